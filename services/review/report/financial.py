"""The sections of a financial report's report."""

from __future__ import annotations

from collections.abc import Sequence

from services.review.exports import Result
from services.review.report.report import Entry, Group, Section
from services.review.report.wording import amount, decision_of, flowing, pages

_STATEMENTS = {
    "balance_sheet": "Balance sheet",
    "income": "Income statement",
    "cash_flow": "Cash flow statement",
    "equity": "Statement of equity",
}


def financial_sections(results: Sequence[Result]) -> list[Section]:
    """Return the findings by statement, the unusual ratios and the flagged sentences."""
    shown = [one for one in results if one.item.verdict != "reject"]
    findings = [one for one in shown if one.item.kind == "finding" and not one.item.is_of_reading]
    signals = [one for one in shown if one.item.kind == "signal"]
    flags = [one for one in shown if one.item.kind == "flag"]
    several = len({(one.item.finding or {}).get("filing") for one in findings}) > 1
    nothing = () if findings else ("No findings.",)
    sections = [Section("Findings", nothing, groups=_by_statement(findings, several=several))]
    if signals:
        entries = tuple(_entry(one, one.item.text, quoted=False) for one in _sorted(signals))
        sections.append(Section("Unusual ratios", groups=(Group("", entries),)))
    if flags:
        entries = tuple(_entry(one, one.item.text, quoted=True) for one in _sorted(flags))
        sections.append(Section("Flagged sentences", groups=(Group("", entries),)))
    return sections


def _by_statement(findings: Sequence[Result], *, several: bool) -> tuple[Group, ...]:
    groups: dict[str, list[Entry]] = {name: [] for name in _STATEMENTS}
    for one in _sorted(findings):
        finding = one.item.finding or {}
        notes = [
            ("Checked", flowing(str(finding.get("title") or one.item.category.replace("_", " ")))),
            *(
                (name, amount(finding[key]))
                for name, key in (("Reported", "reported"), ("Expected", "expected"))
                if finding.get(key) is not None
            ),
        ]
        if several and finding.get("filing"):
            notes.append(("Filing", flowing(str(finding["filing"]))))
        if finding.get("possible_explanation") and one.item.verdict != "accept":
            notes.append(("May be lawful", flowing(str(finding["possible_explanation"]))))
        groups.setdefault(str(finding.get("statement")), []).append(
            _entry(one, one.item.text, quoted=False, notes=notes)
        )
    return tuple(
        Group(_STATEMENTS.get(name, "Other"), tuple(entries))
        for name, entries in groups.items()
        if entries
    )


def _sorted(results: Sequence[Result]) -> list[Result]:
    """In the order of the document."""
    return sorted(results, key=lambda one: (one.item.page or 0, one.item.start or 0, one.item.id))


def _entry(one: Result, text: str, *, quoted: bool, notes: Sequence[tuple[str, str]] = ()) -> Entry:
    finding, note = one.item.finding or {}, one.decision.note if one.decision else ""
    title = finding.get("label") or finding.get("title") or one.item.category.replace("_", " ")
    return Entry(
        title=flowing(str(title)),
        place=pages([one.item.page] if one.item.page else []),
        decision=decision_of(one),
        text=flowing(text),
        quoted=quoted,
        notes=(*notes, ("Note", flowing(note))) if note else tuple(notes),
    )
