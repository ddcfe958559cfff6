"""A filing against the earlier ones of its company: what both show of the same day or period.

What a filing says of an earlier period is usually what was said then. It may lawfully differ: lines
are split or joined, amounts restated, signs printed otherwise. So a line that differs is told, and
doubted only where it differs (nearly) alone in its column and as a slip makes it, or where most of
the column is off by the same thousand or million: so a unit is missed, and nothing is restated.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from statistics import median

from services.triage.causes import handful, once
from services.triage.diagnosis import CAUSES, likeliest_cause
from services.triage.dismissals import filer_of
from services.triage.domain import Finding, NamedCell, Verdict
from services.triage.experience import bare
from services.triage.judgement import severity
from services.triage.relations import Cell, Sheet, sheets
from services.triage.statements import MAX_SENTENCE, Filing, quoted, spelled_day
from services.triage.wording import money

FEWEST = 8
"""Lines that two columns must have in common to be held against each other."""
MOST_BESIDE = 1
"""Other lines of the column that may differ as well where one is doubted."""
SLIPS: Mapping[str, str] = {
    "stale": "it is the amount of another column of its line",
    "transposed": CAUSES["transposed"],
    "scale": CAUSES["scale"],
}
"""Causes that are doubted. One digit that differs, or a sign, is mostly lawful."""
CONFIDENCE = 0.95
"""Of such a doubt: how seldom sound filings raise one is in decision 46."""
KEPT = 12
"""Earlier filings of one company that are kept, the latest."""
NEAR = Decimal("0.001")
"""Share by which an amount may be off a thousand times another."""
FACTORS = tuple(Decimal(10) ** power for power in (3, 6, -3, -6))
"""By which a whole column may be off."""
MOSTLY = Decimal("0.5")
"""More than this share of the amounts which both filings show are off by it then, and at least
FEWEST; others may be restated as well.
"""
ALIKE = 30
"""Times that the amounts of two columns in one unit differ at the most, at the median."""
NAMED = 5
"""Lines that a warning names."""
MOST_CELLS = 50
"""Cells that the finding about a whole column names."""

_NOTHING = "nothing was compared with earlier filings"

Key = tuple[str, str, int | str | None]
"""A column whatever the filing: statement, end, and its quarters or its first day."""


@dataclass(frozen=True)
class Earlier:
    """What an earlier filing shows: label -> amount, by column."""

    filing: str
    last: str
    """The latest day that it is about."""
    shown: Mapping[Key, Mapping[str, Decimal]]
    document: str = ""
    """Its document in the store; empty for a file."""

    @classmethod
    def of(cls, filing: Filing, document: str = "") -> Earlier:
        """Keep what can be compared."""
        found: dict[Key, dict[str, Decimal]] = defaultdict(dict)
        for key, label, cell in places(sheets(filing)):
            value = filing.statements[cell.statement].rows[cell.row].values[cell.column]
            if value is not None:
                found[key][label] = value
        return cls(filing.id, last_day(filing), dict(found), document)


@dataclass
class History:
    """Earlier filings by company, the latest first; of each company the latest dozen."""

    of_filer: dict[str, list[Earlier]] = field(default_factory=dict)
    spelled: dict[str, str] = field(default_factory=dict)
    """Filers as one of their filings spells them."""

    def add(self, filing: Filing) -> bool:
        """Remember a filing. Returns false for one that names no company or no day."""
        filer = filer_of(filing.company)
        if not filer or not last_day(filing):
            return False
        self.spelled[filer] = filing.company or ""
        known = [*self.of_filer.get(filer, ()), Earlier.of(filing)]
        self.of_filer[filer] = sorted(known, key=lambda one: one.last, reverse=True)[:KEPT]
        return True

    def before(self, filing: Filing) -> list[Earlier]:
        """Those of the same company that end earlier."""
        last = last_day(filing)
        known = self.of_filer.get(filer_of(filing.company), ())
        return [one for one in known if one.last < last]

    def uncompared(self, filing: Filing) -> str | None:
        """Why nothing of a filing was held against earlier ones; None if something was."""
        if earlier := self.before(filing):
            return uncompared(filing, earlier)
        why, filer = "", filer_of(filing.company)
        if not filer:
            why = "this one names no company"
        elif not last_day(filing):
            why = "no column of this one has a day"
        elif filer in self.of_filer:
            last = spelled_day(last_day(filing))
            why = f"those of this company end no earlier than this one, {last}"
        else:
            mine = set(filer.split())
            others = sorted(self.spelled, key=lambda one: (-len(mine & set(one.split())), one))
            named = ", ".join(repr(quoted(self.spelled[one], 60)) for one in others[:NAMED])
            more = f" and {len(others) - NAMED:,} more" if len(others) > NAMED else ""
            why = (
                f"none is of this company, {quoted(filing.company or '', 60)!r}; those of the "
                f"history are of {named}{more}"
                if others
                else "the history has none that can be used"
            )
        return f"{_NOTHING}: {why}"


@dataclass(frozen=True)
class Difference:
    """A line that is another amount than in the latest earlier filing that shows it."""

    cell: Cell
    reported: Decimal
    earlier: Decimal
    filing: str
    cause: str
    """`unexplained` also where too many lines of the column differ for it to be doubted."""
    beside: int
    """Other lines of the column that differ as well."""
    compared: int
    """Lines of the column that were compared."""
    document: str = ""
    """The document of the earlier filing; empty for a file."""
    factor: Decimal | None = None
    """How often the amounts of its column are those of the earlier filing; None where the column is
    not off as a whole.
    """

    @property
    def doubted(self) -> bool:
        """Whether it looks like a slip and not like a restatement."""
        alone = self.beside <= MOST_BESIDE
        return self.factor is not None or (self.cause in SLIPS and alone)


def differences(filing: Filing, earlier: Sequence[Earlier]) -> list[Difference]:
    """Every line of an earlier period that no earlier filing shows as this one does.

    Args:
        filing: to be checked.
        earlier: of the same company, the latest first.
    """
    return [one for sheet in sheets(filing) for one in _of_sheet(sheet, earlier)]


def uncompared(filing: Filing, earlier: Sequence[Earlier]) -> str | None:
    """Why nothing was held against the earlier filings of the company; None if something was."""
    most, periods = 0, False
    for sheet in sheets(filing):
        lines = _lines(sheet)
        for at, key in _keys(sheet):
            shown: set[str] = set()
            shown = shown.union(*(one.shown.get(key, ()) for one in earlier))
            periods = periods or bool(shown)
            here = (label for label, row in lines.items() if sheet.value(row, at) is not None)
            most = max(most, sum(label in shown for label in here))
    if most >= FEWEST:
        return None
    if not periods:
        return f"{_NOTHING}: those of this company show no period that this one shows"
    return (
        f"{_NOTHING}: they have at most {most} lines of a period in common, and {FEWEST} are needed"
    )


def with_history(
    filing: Filing, verdict: Verdict, earlier: Sequence[Earlier], flagged_from: float
) -> Verdict:
    """The verdict with what the earlier filings say: doubts as findings, other lines that differ as
    warnings, for restating them is lawful. A statement that does not balance keeps its place.

    Args:
        filing: that was judged.
        verdict: on it alone.
        earlier: of the same company, the latest first.
        flagged_from: risk from which on a filing is flagged.
    """
    pages = sheets(filing)
    found = differences(filing, earlier)
    alone = [one for one in found if one.doubted and one.factor is None]
    doubts = [*(_finding(pages, one) for one in alone), *_of_columns(pages, found)]
    named = [_said(pages, finding, found) for finding in verdict.findings]
    every = _beside(named, doubts)
    told = (*verdict.warnings, *_told(pages, [one for one in found if not one.doubted]))
    findings = tuple(handful(pages, verdict.told, once(pages, every)))
    risk = max([verdict.risk, *(finding.confidence for finding in doubts)])
    flagged = verdict.flagged or risk >= flagged_from
    return replace(verdict, findings=findings, risk=risk, flagged=flagged, warnings=told)


def places(pages: Iterable[Sheet]) -> Iterator[tuple[Key, str, Cell]]:
    """Every cell that can be compared, by its column and the label of its line."""
    for sheet in pages:
        for label, row in _lines(sheet).items():
            for at, key in _keys(sheet):
                yield key, label, Cell(sheet.index, row, at)


def _beside(findings: Sequence[Finding], doubts: Sequence[Finding]) -> list[Finding]:
    """Findings and doubts; one of the same cell says what the earlier filing says as well."""
    of_cell = {(one.statement, one.row, one.column): one for one in doubts}
    found = []
    for finding in findings:
        same = of_cell.pop(_meant(finding, of_cell), None)
        if same is not None:
            message = quoted(f"{finding.message} {same.message}", MAX_SENTENCE)
            sure = max(finding.confidence, same.confidence)
            finding = replace(finding, message=message, confidence=sure)
        found.append(finding)
    return [*found, *of_cell.values()]


_Place = tuple[str, int | None, int | None]


def _meant(finding: Finding, of_cell: Iterable[_Place]) -> _Place:
    """The place of a doubt that is about the same: of a whole statement any of its columns."""
    if finding.row is None and finding.column is None:
        for place in of_cell:
            if place[:2] == (finding.statement, None):
                return place
    return finding.statement, finding.row, finding.column


def _said(pages: Sequence[Sheet], finding: Finding, found: Sequence[Difference]) -> Finding:
    """A finding with what the earlier filing has in its cell, where that is no doubt itself."""
    cell = (finding.statement, finding.row, finding.column)
    for one in found:
        sheet = pages[one.cell.statement]
        here = (sheet.statement.statement, one.cell.row, one.cell.column)
        if here == cell and not one.doubted:
            same = ", the amount expected here" if one.earlier == finding.expected else ""
            what = f"{_which(one)} has {money(one.earlier)} there{same}."
            said = f"{finding.message} {what[0].upper()}{what[1:]}"
            return replace(finding, message=quoted(said, MAX_SENTENCE))
    return finding


def _which(one: Difference) -> str:
    """The earlier filing, in words, and the document that it is in."""
    of = f" (document {one.document})" if one.document else ""
    return f"the earlier filing {quoted(one.filing)}{of}"


def _of_sheet(sheet: Sheet, earlier: Sequence[Earlier]) -> Iterator[Difference]:
    lines = _lines(sheet)
    for at, key in _keys(sheet):
        known = [(one, one.shown[key]) for one in earlier if key in one.shown]
        compared, differing, pairs = 0, [], []
        for label, row in lines.items():
            value = sheet.value(row, at)
            said = [(one, shown[label]) for one, shown in known if label in shown]
            if value is None or not said:
                continue
            compared += 1
            differs = all(value != amount for _, amount in said)
            if differs:
                differing.append((Cell(sheet.index, row, at), value, said[0]))
            if value and said[0][1]:
                pairs.append((value, said[0][1] if differs else value))
        if compared < FEWEST:
            continue
        beside = len(differing) - 1
        whole = _common_factor(pairs)
        for cell, value, (one, amount) in differing:
            factor = whole if whole and _times(value, amount) == whole else None
            slip = beside <= MOST_BESIDE  # of more nothing is doubted, and there may be thousands
            cause = _cause(sheet, cell, value, amount) if slip else "unexplained"
            cause = "scale" if factor else cause
            yield Difference(cell, value, amount, one.filing, cause, beside, compared, one.document,
                             factor)  # fmt: skip


def _times(reported: Decimal, earlier: Decimal) -> Decimal | None:
    """The factor by which an amount is another, whatever its sign; None for any other ratio. What
    was rounded to the larger unit may be half of it off.
    """
    here, then = abs(reported), abs(earlier)
    for factor in FACTORS:
        little, large = (then, here) if factor > 1 else (here, then)
        power = max(factor, 1 / factor)
        if little and abs(large - little * power) <= max(large * NEAR, power / 2):
            return factor
    return None


def _common_factor(pairs: Sequence[tuple[Decimal, Decimal]]) -> Decimal | None:
    """The factor by which most amounts of a column are off; None if there is none.

    Args:
        pairs: of each line that both filings show, the amount here and then, the same twice where
            an earlier filing has it so; none is zero.
    """
    often = Counter(_times(here, then) for here, then in pairs if here != then)
    del often[None]
    factor, count = next(iter(often.most_common(1)), (None, 0))
    return factor if count >= FEWEST and count > MOSTLY * len(pairs) else None


def _cause(sheet: Sheet, cell: Cell, reported: Decimal, earlier: Decimal) -> str:
    others = [sheet.value(cell.row, c) for c in range(sheet.width) if c != cell.column]
    if reported and reported in others and abs(reported) != abs(earlier):
        return "stale"
    cause = likeliest_cause(sheet, cell, reported, earlier)
    if cause == "scale":  # of a few units, any amount is a thousandth of some other
        large, little = sorted((abs(reported), abs(earlier)), reverse=True)
        power = 6 if large > 30_000 * little else 3
        return cause if abs(large - little * 10**power) <= large * NEAR else "unexplained"
    return cause


def _finding(pages: Sequence[Sheet], one: Difference) -> Finding:
    sheet, cell = pages[one.cell.statement], one.cell
    row, place = sheet.rows[cell.row], sheet.rows[cell.row].place(cell.column)
    name = sheet.statement.statement
    gap = one.reported - one.earlier
    message = (
        f"{row.label!r} ({_period(sheet, cell.column)}) is {money(one.reported)}, but "
        f"{_which(one)} has {money(one.earlier)}: a difference of {money(gap)}. Of the "
        f"{one.compared} lines of that column which both have, {one.compared - one.beside - 1} "
        f"agree. Likeliest cause: {SLIPS[one.cause]}."
    )
    return Finding(
        check="earlier_filing",
        severity=severity(pages, gap),
        confidence=CONFIDENCE,
        statement=name,
        column=cell.column,
        row=cell.row,
        rows=(cell.row,),
        label=row.label,
        reported=one.reported,
        expected=one.earlier,
        message=quoted(message, MAX_SENTENCE),
        cells=(NamedCell(name, cell.row, cell.column, row.label, place),),
        page=place.page if place else None,
    )


Column = tuple[int, int]


def _of_columns(pages: Sequence[Sheet], found: Iterable[Difference]) -> Iterator[Finding]:
    """One finding for each factor, about the column of which most lines are off by it."""
    by_factor: dict[Decimal, dict[Column, list[Difference]]] = defaultdict(dict)
    for one in found:
        if one.factor is not None:
            column = one.cell.statement, one.cell.column
            by_factor[one.factor].setdefault(column, []).append(one)
    for factor, columns in by_factor.items():
        (first, off), *others = sorted(columns.items(), key=lambda item: -len(item[1]))
        yield _of_column(pages, factor, first, off, dict(others))


def _of_column(
    pages: Sequence[Sheet],
    factor: Decimal,
    column: Column,
    off: Sequence[Difference],
    others: Mapping[Column, Sequence[Difference]],
) -> Finding:
    sheet, name = pages[column[0]], pages[column[0]].statement.statement
    most = max(off, key=lambda one: max(abs(one.reported), abs(one.earlier)))
    label = sheet.rows[most.cell.row].label
    times = f"{factor:,f} times larger" if factor > 1 else f"{1 / factor:,f} times smaller"
    also = [
        f"{pages[s].statement.statement} ({_period(pages[s], c)}) in {len(lines)} lines"
        for (s, c), lines in others.items()
    ]
    message = (
        f"{len(off)} of the {off[0].compared} lines of this column ({_period(sheet, column[1])}) "
        f"that {_which(most)} has as well are {times} than there: {label!r} is "
        f"{money(most.reported)}, and was {money(most.earlier)}. "
        + (f"So are those of {'; '.join(also[:NAMED])}. " if also else "")
        + _compared_with_others(sheet, column[1])
        + "Likeliest cause: one of the two filings has its amounts in another unit (thousands, "
        "millions) than it says."
    )
    cells = [one.cell for one in (most, *(one for one in off if one is not most))][:MOST_CELLS]
    named = tuple(
        NamedCell(name, c.row, c.column, sheet.rows[c.row].label, sheet.rows[c.row].place(c.column))
        for c in cells
    )
    return Finding(
        check="earlier_filing_scale",
        severity="high",
        confidence=CONFIDENCE,
        statement=name,
        column=column[1],
        row=None,
        rows=tuple(one.cell.row for one in off),
        label=None,
        reported=most.reported,
        expected=most.earlier,
        message=quoted(message, MAX_SENTENCE),
        cells=named,
        page=next((cell.place.page for cell in named if cell.place), None),
    )


def _compared_with_others(sheet: Sheet, column: int) -> str:
    """Whether the rest of the statement is in the unit of the column; empty if there is no rest."""
    ratios = [
        abs(value / here)
        for row in sheet.money
        if (here := sheet.value(row, column))
        for other, value in enumerate(sheet.rows[row].values)
        if value and other != column
    ]
    if not ratios:
        return ""
    if 1 / ALIKE < median(ratios) < ALIKE:
        return "The other columns of the statement are of the size of this one. "
    return "The other columns of the statement are of another size. "


def _told(pages: Sequence[Sheet], some: Iterable[Difference]) -> Iterator[str]:
    """One sentence for each column with lines that differ."""
    columns: dict[tuple[int, int], list[Difference]] = defaultdict(list)
    for one in some:
        columns[one.cell.statement, one.cell.column].append(one)
    for (statement, column), found in columns.items():
        sheet = pages[statement]
        named = ", ".join(repr(quoted(sheet.rows[d.cell.row].label)) for d in found[:NAMED])
        more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
        yield quoted(
            f"{sheet.statement.statement} ({_day(sheet, column)}): {len(found)} of "
            f"{found[0].compared} lines are not as in {quoted(found[0].filing)}, restated or "
            f"mistyped: {named}{more}",
            MAX_SENTENCE,
        )


def _day(sheet: Sheet, column: int) -> str:
    return spelled_day(sheet.statement.columns[column].end or "")


def _period(sheet: Sheet, column: int) -> str:
    """The day that a column ends, and how many months it has where it is a duration."""
    quarters = sheet.statement.columns[column].quarters
    return f"{quarters * 3} months to {_day(sheet, column)}" if quarters else _day(sheet, column)


def last_day(filing: Filing) -> str:
    """The latest day that a filing is about, as YYYYMMDD; empty if none is known."""
    return max((c.end for s in filing.statements for c in s.columns if c.end), default="")


def _keys(sheet: Sheet) -> list[tuple[int, Key]]:
    """The columns whose day and duration are known, each once: two of one period can't be told
    apart.
    """
    name = sheet.statement.statement
    moments = name == "balance_sheet"
    keys = [
        (at, (name, column.end, 0 if moments else column.quarters or column.start))
        for at, column in enumerate(sheet.statement.columns)
        if column.end and (moments or column.quarters or column.start)
    ]
    often = Counter(key for _, key in keys)
    return [(at, key) for at, key in keys if often[key] == 1]


def _lines(sheet: Sheet) -> dict[str, int]:
    """The lines of money whose label stands once in the statement."""
    labels = {row: bare(sheet.rows[row].label) for row in sheet.money}
    often = Counter(labels.values())
    return {label: row for row, label in labels.items() if label and often[label] == 1}
