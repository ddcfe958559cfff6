"""Results as calm tables for a person at a terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from shared.cli.lines import plain

if TYPE_CHECKING:
    from shared.client import Costs, Hit, Report
    from shared.client.results import KindCost, SpecialistsCost

DISCLAIMER = "smallprint points at passages and figures; it gives no legal or audit advice."
FEW = 30
"""Reports below which what is loaded with the first one after each start shows in their pace: one
of 38,000 tokens took 0.6 and 1.6 s then, and 0.2 and 0.4 s when it was read again."""
LOADED = " (so few: the first one after each start loads the models, which counts here)"
_WIDEST_LABEL = 60
"""Characters of a line's label at a terminal."""
_WIDEST_HEAD = 16
"""Characters of a component's name in one line."""


def clauses(line: Mapping[str, Any]) -> Iterator[str]:
    """A document's clauses: category, page, confidence, and the beginning of the text.

    What lies in a mail or archive follows it.
    """
    if line.get("parts") and not line["document"]["pages"]:
        yield f"{plain(line['source'])}  ({_count(len(line['parts']), 'part')})"
        yield ""
    else:
        yield from _own_clauses(line)
    yield from _of_parts(line, clauses)


def _own_clauses(line: Mapping[str, Any]) -> Iterator[str]:
    document = line["document"]
    pages = _count(document["pages"], "page")
    failed = document["failed_pages"]
    lost = f", {len(failed)} of them unreadable" if failed else ""
    seconds = line["timings"]["total"]
    yield f"{plain(line['source'])}  ({pages}{lost}, {seconds:.1f} s)"
    for warning in line["warnings"]:
        yield f"  ! {plain(warning)}"
    rows = [
        (c["category"], f"p. {c['page']}", f"{c['confidence']:.2f}{_route(c)}", plain(c["text"]))
        for c in line["clauses"]
    ]
    yield from _aligned(rows)
    found = _count(len(rows), "clause")
    by = " and ".join(f"{model['adapter']} {model['version']}" for model in line["models"])
    yield f"  {found} by {by}"
    for risk in line.get("risks", ()):
        yield f"  {_risk(risk, line['clauses'])}"
    for missed in line.get("missed", ()):
        yield f"  {_missed(missed)}"
    yield ""


def _route(clause: Mapping[str, Any]) -> str:
    return f" {clause['route']}" if "route" in clause else ""


def _risk(risk: Mapping[str, Any], found: Sequence[Mapping[str, Any]]) -> str:
    """What is accepted, and what that promises."""
    name = risk["adapter"]
    if risk["why_not"]:
        return f"{name}: nothing is accepted, {plain(risk['why_not'])}"
    mine = [clause for clause in found if clause["adapter"] == name]
    accepted = sum(clause["route"] == "accept" for clause in mine)
    return (
        f"{name}: {accepted} of {len(mine)} accepted; of what is accepted at most "
        f"{risk['max_wrong']:g} is wrong, with {risk['level']:.0%} confidence (from "
        f"{risk['families']} company families, or documents where people decided here)"
    )


def _missed(missed: Mapping[str, Any]) -> str:
    """How much is shown, and what that promises: with `--all` more is shown than it takes."""
    name = f"{missed['adapter']}: shown is what is above {missed['shown_above']:g}"
    if missed["why_not"]:
        return f"{name}; {plain(missed['why_not'])}"
    more = missed["shown_above"] < missed["above"]
    enough = f" what is above {missed['above']:g} would be enough for this:" if more else ""
    return (
        f"{name};{enough} of the true clauses at most {missed['max_missed']:g} is missed, with "
        f"{missed['level']:.0%} confidence (from {missed['families']} company families)"
    )


def uploaded(line: Mapping[str, Any]) -> Iterator[str]:
    """A document that was uploaded: where to find it."""
    yield f"{plain(line['source'])}  {line['id']}  ({line['state']})"


def watched(line: Mapping[str, Any]) -> Iterator[str]:
    """A document that came into a watched folder: where it lies now, and what was found."""
    if "clauses" in line and line["document"]["pages"]:
        found = _count(len(line["clauses"]), "clause")
    elif "filings" in line:
        found = _count(sum(len(one.get("findings", ())) for one in line["filings"]), "finding")
    else:
        found = _count(len(line.get("parts", ())), "part")
    yield f"{plain(line['source'])}  {found}, moved to {plain(line['moved_to'])}"


def hit(found: Hit) -> Iterator[str]:
    """A place that a search found: where it is, and the words, in bold on a terminal."""
    clause = f"  {plain(found.clause.category)}" if found.clause else ""
    yield f"{plain(found.document)}  p. {found.page}{clause}  ({found.document_id})"
    bold = ("\x1b[1m", "\x1b[0m") if sys.stdout.isatty() else ("", "")
    words = ((_kept_apart(text), marked) for text, marked in found.pieces)
    yield "  " + "".join(f"{bold[0]}{text}{bold[1]}" if marked else text for text, marked in words)
    yield ""


def costs(
    found: Costs, by: str = "day", names: Mapping[str, str] | None = None, failed: int = 0
) -> Iterator[str]:
    """What frontier models and specialists cost: sums, budgets, and who is stopped.

    Args:
        by: what is added up; days are in their order, all else with the dearest first.
        names: of documents by their ids, where those are added up.
        failed: documents that failed.
    """
    played = f": {_played(found)}" if found.stand_in_usd else ""
    yield f"frontier models: {_count(found.calls, 'call')}, US$ {found.usd:,.6f}{played}"
    yield from _worked(found)
    if failed:
        yield f"{_count(failed, 'document')} failed: what failed counts only if its text was read"
    other = plain(found.frontier.model) if found.frontier else "a frontier model"
    heads = (
        *("", "documents", "machine US$", f"had {other} read it US$", "calls", "paid US$"),
        *("of it uncertain", "reserved", "tokens in", "out"),
    )
    groups = found.groups
    if by != "day":
        groups = tuple(sorted(groups, key=lambda one: -(one.usd + one.machine_usd)))
    rows = [
        (
            plain(one.key)
            + (f"  {plain(names.get(one.key, '(deleted)'))}" if names is not None else ""),
            f"{one.documents:,}",
            f"{one.machine_usd:,.6f}",
            f"{one.frontier_usd:,.6f}",
            f"{one.calls:,}",
            *(f"{usd:,.6f}" for usd in (one.usd, one.uncertain_usd, one.reserved_usd)),
            f"{one.tokens_in:,}",
            f"{one.tokens_out:,}",
        )
        for one in groups
    ]
    yield from _figures(heads, rows)
    for budget in found.budgets:
        over = budget.usd - budget.most_usd
        passed = f", passed by {over:,.6f}" if over > 0 else ""
        yield f"{budget.period}: US$ {budget.usd:,.6f} of at most {budget.most_usd:,.2f}{passed}"
    for stop in found.stopped:
        yield f"! {plain(stop.provider)} is stopped: {plain(stop.reason)}"
    if quoted := found.quoted:
        small, day = quoted.small_million, quoted.small_day
        yield (
            f"for comparison, figures of an article as quoted on {quoted.as_of}, not measured "
            f"here: US$ {quoted.frontier_million:g} for a million tokens out against "
            f"{small[0]:.2f} to {small[1]:.2f}; {quoted.tokens_a_day:,} tokens a day, "
            f"US$ {quoted.frontier_day:g} against {day[0]:g} to {day[1]:g}"
        )


def _played(found: Costs) -> str:
    """That nobody was paid what a stand-in plays."""
    part = "all" if found.stand_in_usd >= found.usd else f"US$ {found.stand_in_usd:,.6f}"
    return f"{part} of it played by a stand-in for tests, which nobody was paid"


def _worked(found: Costs) -> Iterator[str]:
    """What specialists did, what that would have cost elsewhere, and when training is paid."""
    work, other = found.specialists, found.frontier
    if work and work.documents:
        yield (
            f"specialists: {_count(work.documents, 'document')}, {work.tokens_read:,} tokens read "
            f"and {work.tokens_quoted:,} quoted in {work.seconds:,.1f} s: US$ {work.usd:,.6f} at "
            f"{work.hour_usd:.2f} an hour"
        )
        for kind in work.kinds:
            loaded = LOADED if kind.kind == "report" and kind.documents < FEW else ""
            yield f"  {_count(kind.documents, plain(kind.kind))}: {_pace(kind)}{loaded}"
        if not work.kinds:
            yield f"  {_pace(work)}"
    if other:
        yield (
            f"{plain(other.model)} would have cost at least US$ {other.usd:,.6f} for the same: "
            f"{other.read_usd:,.6f} for tokens in, {other.quoted_usd:,.6f} out (US$ "
            f"{other.input_usd:g} and {other.output_usd:g} a million, {other.as_of})"
        )
    for one in found.training:
        name = f"training of {plain(one.adapter)} {one.version}"
        if one.hours is None or one.usd is None:
            yield f"{name}: its hours are not known"
            continue
        paid = f"{_count(one.after_documents, 'document')}" if one.after_documents else "none"
        where = f" on {plain(one.machine)}" if one.machine else ""
        yield (
            f"{name}: {one.hours:.2f} hours{where} at US$ {one.hour_usd:.2f} are {one.usd:,.2f}, "
            f"paid after {paid} ({one.documents:,} so far, US$ {one.saved_each_usd:,.6f} saved "
            "with each, less what frontier models were paid)"
        )


def _pace(work: KindCost | SpecialistsCost) -> str:
    """How fast something was read, and what a million tokens of it cost."""
    read = f"{work.tokens_read:,} tokens in {work.seconds:,.1f} s"
    if work.tokens_per_second is None or work.usd_per_million is None:
        return read
    return (
        f"{read}, {work.tokens_per_second:,.0f} a second, US$ {work.usd_per_million:,.6f} a million"
    )


def costs_of_tenants(lines: Sequence[Mapping[str, Any]], hour: float) -> Iterator[str]:
    """What each tenant cost."""
    heads = ("", "calls", "US$", "documents", "seconds", "machine US$")
    rows = [
        (
            plain(one["tenant"]),
            f"{one['calls']:,}",
            f"{one['usd']:,.6f}",
            f"{one['documents']:,}",
            f"{one['seconds']:,.1f}",
            f"{one['machine_usd']:,.6f}",
        )
        for one in lines
    ]
    yield from _figures(heads, rows)
    yield f"the machine at US$ {hour:.2f} an hour"


def _figures(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows below their heads, figures to the right; nothing where there is no row."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for first, *figures in [heads, *rows] if rows else []:
        aligned = (cell.rjust(width) for cell, width in zip(figures, widths[1:], strict=True))
        yield "  ".join([f"  {first:<{widths[0]}}", *aligned])


def findings(line: Mapping[str, Any], known: str = "") -> Iterator[str]:
    """A filing's findings: check, place, confidence, and what is wrong.

    Of a mail or archive, and of a file of several filings in one, those of each.

    Args:
        known: why nothing is accepted of any filing, which is said elsewhere.
    """
    if "parts" in line:
        yield f"{plain(line['source'])}  ({_count(len(line['parts']), 'part')})"
        yield ""
        yield from _of_parts(line, partial(findings, known=known))
        return
    if "filings" in line:
        for filing in line["filings"]:
            yield from findings({**filing, "source": line["source"]}, known)
        return
    width = shutil.get_terminal_size((100, 24)).columns
    if "error" in line:
        yield f"! {plain(line['source'])}: {plain(line['error']['detail'])}"
        yield from _warned(line, width)
        yield from _in_words(line, width)
        return
    name = plain(line["source"])
    own = f"  {plain(str(line['id']))}" if line.get("id") else ""
    yield f"{name}{own}  ({_verdict(line)})"
    yield from _warned(line, width)
    rows = [
        (f["check"], str(f["statement"] or ""), f"{f['confidence']:.2f}{_route(f)}", "")
        for f in line["findings"]
    ]
    for row, finding in zip(_aligned(rows), line["findings"], strict=True):
        yield row.rstrip()
        said = plain(finding["message"])
        yield from wrap(said, width, initial_indent="    ", subsequent_indent="    ")
    why_not = line["risks"]["why_not"] if line["findings"] and "risks" in line else ""
    if why_not and why_not != known:
        said = f"nothing of it is accepted, {plain(why_not)}"
        yield from wrap(said, width, initial_indent="  ", subsequent_indent="    ")
    for signal in line.get("signals", ()):
        if signal["level"] != "usual":
            said = f"{signal['level']}: {plain(signal['message'])}"
            yield from wrap(said, width, initial_indent="  ~ ", subsequent_indent="    ")
    yield from _in_words(line, width)
    yield ""


def _verdict(line: Mapping[str, Any]) -> str:
    """What a filing comes to: nothing to flag is said only where nothing was found."""
    risk, found = f"risk {line['risk']:.2f}", len(line["findings"])
    if line["flagged"]:
        return f"flagged, {risk}"
    if found:
        return f"below what flags a report, {risk}; {_count(found, 'finding')}"
    return f"nothing to flag, {risk}" if line.get("checked", True) else "nothing was checked"


def _warned(line: Mapping[str, Any], width: int) -> Iterator[str]:
    """What of a filing could not be read or checked, and what differs from an earlier one."""
    for warning in line.get("warnings", ()):
        yield from wrap(plain(warning), width, initial_indent="  ! ", subsequent_indent="    ")


def _in_words(line: Mapping[str, Any], width: int) -> Iterator[str]:
    """What a report says of its filer."""
    for flag in line.get("narrative_flags", ()):
        where = f"page {flag['page']}, {flag['confidence']:.2f}"
        said = f"{flag['title']} ({where}): {plain(flag['text'])}"
        yield from wrap(said, width, initial_indent='  " ', subsequent_indent="    ")


def reports(found: Sequence[Report]) -> Iterator[str]:
    """Reports by risk: risk, whether flagged, findings, name and id, and what became of findings:
    how many people decided about, and how many are folded away.
    """
    for one in found:
        verdict = "flagged" if one.flagged else ""
        counted = _count(one.findings, "finding")
        name = plain(one.name) or "(no name kept)"
        became = [_decided(one)] if one.decided else []
        became += [f"{one.dismissed} folded away"] if one.dismissed else []
        said = f"  [{', '.join(became)}]" if became else ""
        yield f"{one.risk:.2f}  {verdict:<7}  {counted:>11}  {name}  ({one.document_id}){said}"


def _decided(report: Report) -> str:
    return "all decided" if report.decided >= report.findings else f"{report.decided} decided"


def statements(line: Mapping[str, Any], *, concepts: bool = False) -> Iterator[str]:
    """A filing's statements as they were read: a head for the periods, then line by line, behind
    each the concept that it is taken for if those are asked for.
    """
    if "error" in line:
        yield f"! {plain(line['source'])}: {plain(line['error']['detail'])}"
        return
    about = ", ".join(plain(str(line[key])) for key in ("company", "form", "period") if line[key])
    yield f"{plain(line['source'])}  ({about or _count(len(line['statements']), 'statement')})"
    for warning in line["warnings"]:
        yield f"  ! {plain(warning)}"
    for statement in line["statements"]:
        yield ""
        yield from _statement(statement, concepts)
    yield ""


def _statement(statement: Mapping[str, Any], concepts: bool) -> Iterator[str]:
    title = plain(str(statement.get("title") or ""))
    yield f"  {statement['statement']}  {title}".rstrip()
    figures = [
        ["" if value is None else f"{value:,}" for value in row["values"]]
        for row in statement["rows"]
    ]
    heads = [[_period(column) for column in statement["columns"]]]
    if any("component" in column for column in statement["columns"]):
        heads = _broken([plain(column.get("component", "")) for column in statement["columns"]])
        heads = [["", *line] for line in heads]
        figures = [
            [_period(row["period"], line=True) if "period" in row else "", *cells]
            for row, cells in zip(statement["rows"], figures, strict=True)
        ]
    widths = [max(len(cell) for cell in column) for column in zip(*heads, *figures, strict=True)]
    labels = (len(plain(row["label"])) for row in statement["rows"])
    room = max(labels, default=0)
    if sys.stdout.isatty():  # what goes into a file or another program is kept whole
        left = shutil.get_terminal_size().columns - sum(widths) - 2 * len(widths) - 6
        room = min(room, _WIDEST_LABEL, max(20, left))
    names = [_concept(row) if concepts else "" for row in statement["rows"]]
    names = [*("" for _ in heads), *names]
    lines = [*(("", head) for head in heads), *_labelled(statement["rows"], figures)]
    for (label, cells), name in zip(lines, names, strict=True):
        shown = label if len(label) <= room else label[: room - 1] + "…"
        aligned = "  ".join(c.rjust(w) for c, w in zip(cells, widths, strict=True))
        yield f"    {shown:<{room}}  {aligned}  {name}".rstrip()


def _broken(names: Sequence[str]) -> list[list[str]]:
    """The names of components over as many lines as the longest needs, the last line full."""
    wrapped = [wrap(name, _WIDEST_HEAD, break_on_hyphens=False) for name in names]
    tallest = max(map(len, wrapped), default=0)
    lines = [[*[""] * (tallest - len(name)), *name] for name in wrapped]
    return [list(line) for line in zip(*lines, strict=True)]


def _concept(row: Mapping[str, Any]) -> str:
    """`Assets 98%`, and nothing for a line that was not named."""
    concept = row.get("concept")
    return f"{plain(concept['name'])} {concept['confidence']:.0%}" if concept else ""


def _labelled(
    rows: Sequence[Mapping[str, Any]], figures: Sequence[Sequence[str]]
) -> Iterator[tuple[str, Sequence[str]]]:
    for row, cells in zip(rows, figures, strict=True):
        yield plain(row["label"]), cells


def _period(column: Mapping[str, Any], *, line: bool = False) -> str:
    """`2023-06-30 (4 quarters)`, or the one day of a moment; of a line `to` the end of a movement
    whose length is not known.
    """
    end = str(column.get("end") or "?")
    day = f"{end[:4]}-{end[4:6]}-{end[6:]}" if len(end) == 8 else end
    quarters = column.get("quarters")
    if quarters:
        return f"{day} ({_count(quarters, 'quarter')})"
    return f"to {day}" if line and quarters is None else day


def taught(line: Mapping[str, Any]) -> Iterator[str]:
    """What was learned from examples: how good it is, whether more would help, what it missed."""
    examples = line["examples"]
    name = plain(line["name"])
    yield f"{name} {line['version']} on {line['on']}, kept in {plain(line['folder'])}"
    yield (
        f"  {examples['count']} examples of {_count(examples['documents'], 'document')}, "
        f"{examples['empty']} without such a clause, {_count(examples['spans'], 'passage')}"
    )
    yield ""
    yield f"On examples left out ({line['folds']} folds), with 95% intervals:"
    for key, what in (
        ("f1", "F1 at the threshold"),
        ("precision", "  precision"),
        ("recall", "  recall"),
        ("best_f1", "best F1 of any threshold"),
        ("aupr", "area under precision and recall"),
    ):
        one = line[key]
        yield f"  {what:<32} {one['value']:.2f}  [{one['low']:.2f}, {one['high']:.2f}]"
    yield f"  {'confidence off by (ECE)':<32} {line['calibration_error']:.2f}"
    yield f"Shown from a confidence above {line['threshold']:g}."
    yield ""
    for point in line["learning_curve"]:
        yield (
            f"  learned from {point['examples']:>3}: area {point['aupr']:.2f}, "
            f"best F1 {point['best_f1']:.2f}"
        )
    yield line["more_examples"]["reason"]
    if not examples["empty"]:
        yield (
            "No example is without such a clause: in documents that have none, expect more false "
            'alarms than this. Add some with "spans": [].'
        )
    for key, what in (("misses", "Missed by most"), ("false_alarms", "Surest false alarms")):
        if line[key]:
            yield f"{what}, by line of {plain(line['source'])}:"
        for one in line[key]:
            words = plain(one["words"])
            yield f"  line {one['line']}, {one['start']}-{one['end']}: {words} …"
    yield ""
    yield f"Use it: smallprint extract PATH --adapter {name}"


def taught_line(line: Mapping[str, Any]) -> Iterator[str]:
    """One specialist that was taught here."""
    figures = f"  F1 {line['f1']:.2f}, area {line['aupr']:.2f}" if "f1" in line else ""
    count = line.get("examples", 0)
    yield f"{plain(line['name'])}  {line['version']}  {count} examples{figures}"


def _of_parts(
    line: Mapping[str, Any], table: Callable[[Mapping[str, Any]], Iterator[str]]
) -> Iterator[str]:
    for part in line.get("parts", ()):
        if "error" in part:
            yield f"! {plain(part['source'])}: {plain(part['error']['detail'])}"
        else:
            yield from table(part)


def _kept_apart(text: str) -> str:
    """`plain` of a piece of a text, with the spaces at its ends."""
    before = " " if text[:1].isspace() else ""
    after = " " if text.strip() and text[-1:].isspace() else ""
    return before + plain(text) + after


def _aligned(rows: Sequence[tuple[str, str, str, str]]) -> Iterator[str]:
    if not rows:
        return
    first, second, third = (max(len(row[i]) for row in rows) for i in range(3))
    room = max(20, shutil.get_terminal_size((100, 24)).columns - first - second - third - 9)
    for one, two, three, text in rows:
        shown = text if len(text) <= room else text[: room - 1] + "…"
        yield f"  {one:<{first}}  {two:<{second}}  {three:>{third}}  {shown}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
