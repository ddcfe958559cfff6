"""Compare a filing with earlier ones of its company, for periods that both show.

Lines may lawfully differ: they are split or joined, restated, or printed with another sign. So a
difference is a warning. It is a finding if it is nearly alone in its column and looks like a slip.
It is one too if most of the column is off by the same thousand or million.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from statistics import median

from services.triage.checks.diagnosis import CAUSES, likeliest_cause
from services.triage.checks.findings import severity
from services.triage.checks.root_causes import select_findings, unique_causes
from services.triage.dismissals import filer_key
from services.triage.domain import Finding, Verdict
from services.triage.explanations import Explanation, Reason
from services.triage.relations.learned_sums import label_words
from services.triage.relations.message_format import money
from services.triage.relations.relations import Cell, StatementView, Views, statement_views
from services.triage.statements.model import MAX_SENTENCE, Filing, format_day, truncate
from services.triage.statements.named_cells import NamedCell

FEWEST = 8  # lines that two columns must share to be compared
MOST_BESIDE = 1  # other lines of the column that may differ beside a suspect one
SLIPS: Mapping[str, str] = {
    "stale": "it is the amount of another column of its line",
    "transposed": CAUSES["transposed"],
    "scale": CAUSES["scale"],
}
"""Causes of suspect differences. A single digit or a sign is mostly lawful."""
CONFIDENCE = 0.95  # confidence of a difference that looks like a slip
KEPT = 12  # earlier filings per company that are stored, the latest
NEAR = Decimal("0.001")  # relative error of a factor of a thousand
FACTORS = tuple(Decimal(10) ** power for power in (3, 6, -3, -6))  # of a whole column
MOSTLY = Decimal("0.5")  # share of the common amounts that must be off by the factor
ALIKE = 30  # median ratio of two columns in the same unit, at most
NAMED = 5  # lines that a warning names
MOST_CELLS = 50  # cells that a finding about a column names

_NOTHING = "nothing was compared with earlier filings"

Key = tuple[str, str, int | str | None]
"""A column in any filing: statement, end, and its quarters or first day."""


@dataclass(frozen=True)
class PriorAmount:
    """The amounts of an earlier filing: label -> amount, by column."""

    filing: str
    last: str  # its latest day
    shown: Mapping[Key, Mapping[str, Decimal]]
    document: str = ""  # its document in the store; empty for a file

    @classmethod
    def of(cls, filing: Filing, document: str = "") -> PriorAmount:
        amounts: dict[Key, dict[str, Decimal]] = defaultdict(dict)
        for view in statement_views(filing):
            for label, row in _lines(view).items():
                for at, key in _keys(view):
                    if (value := view.value(row, at)) is not None:
                        amounts[key][label] = value
        return cls(filing.id, last_day(filing), dict(amounts), document)


@dataclass
class History:
    """Earlier filings by company, the latest first, at most a dozen each."""

    of_filer: dict[str, list[PriorAmount]] = field(default_factory=dict)
    spelled: dict[str, str] = field(default_factory=dict)  # filers as their filings spell them

    def add(self, filing: Filing) -> bool:
        """Add a filing. Returns false if it names no company or no day."""
        filer = filer_key(filing.company)
        if not filer or not last_day(filing):
            return False
        self.spelled[filer] = filing.company or ""
        filings = [*self.of_filer.get(filer, ()), PriorAmount.of(filing)]
        self.of_filer[filer] = sorted(filings, key=lambda prior: prior.last, reverse=True)[:KEPT]
        return True

    def before(self, filing: Filing) -> list[PriorAmount]:
        """Those of the same company that end earlier."""
        filings = self.of_filer.get(filer_key(filing.company), ())
        return [prior for prior in filings if prior.last < last_day(filing)]

    def uncompared(self, filing: Filing) -> str | None:
        """Why a filing was not compared with earlier ones, or None."""
        if earlier := self.before(filing):
            return uncompared(filing, earlier)
        company, filer = filing.company or "", filer_key(filing.company)
        if not filer:
            why = "smallprint found no company name in this report"
        elif not last_day(filing):
            why = "this report has no date"
        elif filer in self.of_filer:
            last = format_day(last_day(filing))
            why = f"those of this company are not earlier than this one, {last}"
        elif not self.spelled:
            why = "the history has no usable filing"
        else:
            mine = set(filer.split())
            others = sorted(self.spelled, key=lambda name: (-len(mine & set(name.split())), name))
            named = ", ".join(repr(truncate(self.spelled[name], 60)) for name in others[:NAMED])
            more = f" and {len(others) - NAMED:,} more" if len(others) > NAMED else ""
            why = f"the history has no filing of {truncate(company, 60)!r}, only of {named}{more}"
        return f"{_NOTHING}: {why}"


@dataclass(frozen=True)
class Difference:
    """A line whose amount differs from the latest earlier filing that shows it."""

    cell: Cell
    reported: Decimal
    earlier: Decimal
    filing: str
    document: str  # the document of the earlier filing; empty for a file
    compared: int  # compared lines of the column
    differing: int  # other lines of the column that differ
    cause: str = "unexplained"  # also if too many lines of the column differ
    factor: Decimal | None = None  # the factor by which the whole column is off, or None

    @property
    def suspect(self) -> bool:
        """Whether it looks like a slip and not like a restatement."""
        alone = self.differing <= MOST_BESIDE
        return self.factor is not None or (self.cause in SLIPS and alone)


def differences(filing: Filing, earlier: Sequence[PriorAmount]) -> list[Difference]:
    """Lines whose amount appears in no earlier filing. `earlier` has the latest filing first."""
    return [diff for view in statement_views(filing) for diff in _of_sheet(view, earlier)]


def uncompared(filing: Filing, earlier: Sequence[PriorAmount]) -> str | None:
    """Why a filing was not compared with its company's earlier ones, or None."""
    most, periods = 0, False
    for view in statement_views(filing):
        lines = _lines(view)
        for at, key in _keys(view):
            shown: set[str] = set()
            shown = shown.union(*(prior.shown.get(key, ()) for prior in earlier))
            periods = periods or bool(shown)
            here = (label for label, row in lines.items() if view.value(row, at) is not None)
            most = max(most, sum(label in shown for label in here))
    if most >= FEWEST:
        return None
    if not periods:
        return f"{_NOTHING}: those of this company share no period with this one"
    few = f"they share at most {most} lines of a period with it, and {FEWEST} are needed"
    return f"{_NOTHING}: {few}"


def with_history(
    filing: Filing, verdict: Verdict, earlier: Sequence[PriorAmount], flagged_from: float
) -> Verdict:
    """Add earlier filings of a company, the latest first, to a verdict: suspect differences as
    findings, others as warnings."""
    views = statement_views(filing)
    diffs = differences(filing, earlier)
    alone = [diff for diff in diffs if diff.suspect and diff.factor is None]
    suspects = [*(_finding(views, diff) for diff in alone), *_of_columns(views, diffs)]
    named = [_with_earlier_amount(views, finding, diffs) for finding in verdict.findings]
    merged = _merge_suspects(named, suspects)
    plain = [diff for diff in diffs if not diff.suspect]
    warnings = (*verdict.warnings, *_difference_warnings(views, plain))
    findings = tuple(select_findings(views, verdict.always_shown, unique_causes(views, merged)))
    risk = max([verdict.risk, *(finding.confidence for finding in suspects)])
    flagged = verdict.flagged or risk >= flagged_from
    coverage = replace(verdict.coverage, findings=len(findings))
    return replace(
        verdict,
        findings=findings,
        risk=risk,
        flagged=flagged,
        warnings=warnings,
        coverage=coverage,
    )


def _merge_suspects(findings: Sequence[Finding], suspects: Sequence[Finding]) -> list[Finding]:
    """Merge findings with the suspects of the same cell."""
    of_cell = {(suspect.statement, suspect.row, suspect.column): suspect for suspect in suspects}
    merged = []
    for finding in findings:
        same = of_cell.pop(_same_place(finding, of_cell), None)
        if same is not None:
            finding = finding.supported_by(Reason("earlier_filing", same.message))
            sure = max(finding.confidence, same.confidence)
            finding = replace(finding, confidence=sure)
        merged.append(finding)
    return [*merged, *of_cell.values()]


_Place = tuple[str, int | None, int | None]


def _same_place(finding: Finding, of_cell: Iterable[_Place]) -> _Place:
    """The place of a suspect about the same cell; for a whole statement, any of its columns."""
    if finding.row is None and finding.column is None:
        for position in of_cell:
            if position[:2] == (finding.statement, None):
                return position
    return finding.statement, finding.row, finding.column


def _with_earlier_amount(
    views: Views, finding: Finding, differences: Sequence[Difference]
) -> Finding:
    """Add the earlier amount to a finding whose cell is no suspect itself."""
    cell = (finding.statement, finding.row, finding.column)
    for diff in differences:
        view = views[diff.cell.statement]
        here = (view.kind, diff.cell.row, diff.cell.column)
        if here == cell and not diff.suspect:
            same = ", the amount expected here" if diff.earlier == finding.expected else ""
            what = f"{_earlier_name(diff)} has {money(diff.earlier)} there{same}."
            return finding.supported_by(Reason("earlier_filing", f"{what[0].upper()}{what[1:]}"))
    return finding


def _earlier_name(diff: Difference) -> str:
    """The earlier filing and its document, in words."""
    of = f" (document {diff.document})" if diff.document else ""
    return f"the earlier filing {truncate(diff.filing)}{of}"


def _of_sheet(view: StatementView, earlier: Sequence[PriorAmount]) -> Iterator[Difference]:
    lines = _lines(view)
    for at, key in _keys(view):
        priors = [(prior, prior.shown[key]) for prior in earlier if key in prior.shown]
        compared, differing, pairs = 0, [], []
        for label, row in lines.items():
            value = view.value(row, at)
            amounts = [(prior, shown[label]) for prior, shown in priors if label in shown]
            if value is None or not amounts:
                continue
            compared += 1
            differs = all(value != amount for _, amount in amounts)
            if differs:
                differing.append((Cell(view.index, row, at), value, amounts[0]))
            if value and amounts[0][1]:
                pairs.append((value, amounts[0][1] if differs else value))
        if compared < FEWEST:
            continue
        others = len(differing) - 1
        factor = _common_factor(pairs)
        for cell, value, (prior, amount) in differing:
            difference = Difference(cell, value, amount, prior.filing, prior.document,
                                    compared=compared, differing=others)  # fmt: skip
            if factor and _times(value, amount) == factor:
                yield replace(difference, cause="scale", factor=factor)
            elif others <= MOST_BESIDE:
                yield replace(difference, cause=_cause(view, cell, value, amount))
            else:
                yield difference


def _times(reported: Decimal, earlier: Decimal) -> Decimal | None:
    """The factor between two amounts, without sign and within rounding, or None."""
    here, then = abs(reported), abs(earlier)
    for factor in FACTORS:
        little, large = (then, here) if factor > 1 else (here, then)
        power = max(factor, 1 / factor)
        if little and abs(large - little * power) <= max(large * NEAR, power / 2):
            return factor
    return None


def _common_factor(pairs: Sequence[tuple[Decimal, Decimal]]) -> Decimal | None:
    """The factor by which most amounts of a column are off, or None. `pairs` has the amounts of
    each common line here and earlier, never zero. They are equal where an earlier filing agrees.
    """
    often = Counter(_times(here, then) for here, then in pairs if here != then)
    del often[None]
    factor, count = next(iter(often.most_common(1)), (None, 0))
    return factor if count >= FEWEST and count > MOSTLY * len(pairs) else None


def _cause(view: StatementView, cell: Cell, reported: Decimal, earlier: Decimal) -> str:
    other_amounts = [view.value(cell.row, c) for c in range(view.width) if c != cell.column]
    if reported and reported in other_amounts and abs(reported) != abs(earlier):
        return "stale"
    cause = likeliest_cause(view, cell, reported, earlier)
    if cause == "scale":  # a few units are a thousandth of many amounts by chance
        large, little = sorted((abs(reported), abs(earlier)), reverse=True)
        power = 6 if large > 30_000 * little else 3
        return cause if abs(large - little * 10**power) <= large * NEAR else "unexplained"
    return cause


def _finding(views: Views, diff: Difference) -> Finding:
    view, cell = views[diff.cell.statement], diff.cell
    row, named = view.rows[cell.row], NamedCell.at(view.statement, cell.row, cell.column)
    name = view.kind
    gap = diff.reported - diff.earlier
    message = (
        f"{row.label!r} ({_period(view, cell.column)}) is {money(diff.reported)}, but "
        f"{_earlier_name(diff)} has {money(diff.earlier)}: a difference of {money(gap)}. Of the "
        f"{diff.compared} lines of that column in both, {diff.compared - diff.differing - 1} agree."
    )
    explanation = Explanation(likely_cause=Reason(diff.cause, SLIPS[diff.cause]))
    return Finding(
        check="earlier_filing",
        severity=severity(views, gap),
        confidence=CONFIDENCE,
        statement=name,
        column=cell.column,
        row=cell.row,
        rows=(cell.row,),
        label=row.label,
        reported=diff.reported,
        expected=diff.earlier,
        message=truncate(explanation.message(message), MAX_SENTENCE),
        explanation=explanation,
        cells=(named,),
        page=named.position.page if named.position else None,
    )


Column = tuple[int, int]


def _of_columns(views: Views, differences: Iterable[Difference]) -> Iterator[Finding]:
    """One finding for each factor, about the column with the most affected lines."""
    by_factor: dict[Decimal, dict[Column, list[Difference]]] = defaultdict(dict)
    for diff in differences:
        if diff.factor is not None:
            column = diff.cell.statement, diff.cell.column
            by_factor[diff.factor].setdefault(column, []).append(diff)
    for factor, columns in by_factor.items():
        (first, off), *further = sorted(columns.items(), key=lambda item: -len(item[1]))
        yield _of_column(views, factor, first, off, dict(further))


def _of_column(
    views: Views,
    factor: Decimal,
    column: Column,
    off: Sequence[Difference],
    further: Mapping[Column, Sequence[Difference]],
) -> Finding:
    view, name = views[column[0]], views[column[0]].kind
    most = max(off, key=lambda diff: max(abs(diff.reported), abs(diff.earlier)))
    label = view.rows[most.cell.row].label
    times = f"{factor:,f} times larger" if factor > 1 else f"{1 / factor:,f} times smaller"
    also = [
        f"{views[s].kind} ({_period(views[s], c)}) in {len(lines)} lines"
        for (s, c), lines in further.items()
    ]
    message = (
        f"{len(off)} of the {off[0].compared} lines of this column ({_period(view, column[1])}) "
        f"that {_earlier_name(most)} has as well are {times} than there: {label!r} is "
        f"{money(most.reported)}, and was {money(most.earlier)}. "
        + (f"So are those of {'; '.join(also[:NAMED])}. " if also else "")
        + _compared_with_others(view, column[1])
    )
    explanation = Explanation(
        likely_cause=Reason(
            "unit",
            "one of the two filings has its amounts in another unit (thousands, millions) than it "
            "says",
        )
    )
    cells = [diff.cell for diff in (most, *(diff for diff in off if diff is not most))][:MOST_CELLS]
    named = tuple(NamedCell.at(view.statement, c.row, c.column) for c in cells)
    return Finding(
        check="earlier_filing_scale",
        severity="high",
        confidence=CONFIDENCE,
        statement=name,
        column=column[1],
        row=None,
        rows=tuple(diff.cell.row for diff in off),
        label=None,
        reported=most.reported,
        expected=most.earlier,
        message=truncate(explanation.message(message.rstrip()), MAX_SENTENCE),
        explanation=explanation,
        cells=named,
        page=next((cell.position.page for cell in named if cell.position), None),
    )


def _compared_with_others(view: StatementView, column: int) -> str:
    """Whether the other columns of the statement have the same unit, in words."""
    ratios = [
        abs(value / here)
        for row in view.money
        if (here := view.value(row, column))
        for other, value in enumerate(view.rows[row].values)
        if value and other != column
    ]
    if not ratios:
        return ""
    if 1 / ALIKE < median(ratios) < ALIKE:
        return "The other columns of the statement are of the size of this one. "
    return "The other columns of the statement are of another size. "


def _difference_warnings(views: Views, differences: Iterable[Difference]) -> Iterator[str]:
    """One warning for each column with lines that differ."""
    columns: dict[tuple[int, int], list[Difference]] = defaultdict(list)
    for diff in differences:
        columns[diff.cell.statement, diff.cell.column].append(diff)
    for (statement, column), diffs in columns.items():
        view = views[statement]
        named = ", ".join(repr(truncate(view.rows[d.cell.row].label)) for d in diffs[:NAMED])
        more = f" and {len(diffs) - NAMED} more" if len(diffs) > NAMED else ""
        yield truncate(
            f"{view.kind} ({_day(view, column)}): {len(diffs)} of "
            f"{diffs[0].compared} lines differ from {truncate(diffs[0].filing)}, restated or "
            f"mistyped: {named}{more}",
            MAX_SENTENCE,
        )


def _day(view: StatementView, column: int) -> str:
    return format_day(view.statement.columns[column].end or "")


def _period(view: StatementView, column: int) -> str:
    """The end of a column, and its months if it is a period."""
    quarters = view.statement.columns[column].quarters
    return f"{quarters * 3} months to {_day(view, column)}" if quarters else _day(view, column)


def last_day(filing: Filing) -> str:
    """The latest day of a filing, as YYYYMMDD; empty if unknown."""
    return max((c.end for s in filing.statements for c in s.columns if c.end), default="")


def _keys(view: StatementView) -> list[tuple[int, Key]]:
    """The columns with known day and duration, if unique."""
    name = view.kind
    moments = name == "balance_sheet"
    keys = [
        (at, (name, column.end, 0 if moments else column.quarters or column.start))
        for at, column in enumerate(view.statement.columns)
        if column.end and (moments or column.quarters or column.start)
    ]
    often = Counter(key for _, key in keys)
    return [(at, key) for at, key in keys if often[key] == 1]


def _lines(view: StatementView) -> dict[str, int]:
    """The lines of money with a unique label."""
    labels = {row: label_words(view.rows[row].label) for row in view.money}
    often = Counter(labels.values())
    return {label: row for row, label in labels.items() if label and often[label] == 1}
