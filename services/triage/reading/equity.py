"""Statements of stockholders' equity: columns are components, rows have the periods.

They are shown and never checked. A balance is a moment; rows between two balances are the period
between them. Some companies print it under periods like any other statement; those are read that
way.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from decimal import Decimal

from services.triage.reading.columns import Layout, find_layout, split_row
from services.triage.reading.equity_columns import Component, components_of, drop_mark_columns
from services.triage.reading.periods import (
    dates_in,
    mention,
    quarters_between,
    quarters_in,
    shift_day,
)
from services.triage.reading.rows import ReadRow, rows_of
from services.triage.reading.scales import excepts_shares, scale_in, scale_of_shares
from services.triage.reading.statement_kind import is_partial_title, is_title, last_lines
from services.triage.reading.table import Table
from services.triage.statements.model import CHECKED, MOST_MONEY, MOST_SHARES, Column

BALANCE = re.compile(
    r"^\W*((at|as\s+of|as\s+at)\s+)?((beginning|ending|opening|closing|adjusted|restated|total)\s+)*"
    r"(balances?\b|(total\s+)?(\w+\W{0,3}s?\s+)?(equity|deficit|capital)\b.*"
    r"\b(beginning|end)\s+of\b)",
    re.I,
)
_A_DAY = re.compile(
    r"^\W*((at|as\s+of|as\s+at)\s+)?[a-z]{3,9}\.?\s+\d{1,2}\s*+(?:,\s*+)?\d{4}\W*", re.I
)
_A_YEAR = re.compile(r"\W*(19|20)\d\d\W*")
_GOES_ON = re.compile(f"{BALANCE.pattern}|\\b(ended|ending)$", re.I)
_BEGINS = re.compile(r"\b(beginning|opening|start)\b", re.I)
_PER_SHARE = re.compile(r"\bper\b.{0,40}\b(share|unit)\b", re.I)
_STATEMENT = re.compile(r"\bstatements?\b|\bbalance\s+sheets?\b", re.I)
_PRICE = re.compile(r"\d\.\d|[$€£]\s*\d|\d\s*cents?\b|\d\s*/\s*\d", re.I)
_NEAR = 3  # tables between two parts of the statement, at most
_TITLE_LINES = 6  # lines above a table that may have its title
_HEAD_ROWS = 4  # rows of a table that may have its title
_TITLE_ROWS = 2  # rows of a table that may be only a title
_LONGEST_TITLE = 150  # characters of a title; longer lines are sentences
_MOST_COLUMNS = 60  # columns of one statement
_FEWEST_COLUMNS, _FEWEST_KINDS, _SURE = 3, 2, 3
"""Columns, kinds of components under a title, and kinds without a title."""
BALANCES = 2  # rows with balances that a statement needs


@dataclass(frozen=True)
class Equity:
    """A table that is a part of a statement of equity, with its columns and their components."""

    number: int
    table: Table
    layout: Layout
    components: tuple[Component, ...]
    titled: bool

    def goes_on_in(self, following: Equity) -> bool:
        """Whether another part has the same columns."""
        return _plain(self.components) == _plain(following.components)


def _plain(components: Sequence[Component]) -> list[str]:
    return ["".join(re.findall(r"[a-z]+", component.own.lower())) for component in components]


def is_balance(label: str) -> bool:
    """Whether a row shows a balance."""
    return bool(BALANCE.search(label) or _A_DAY.fullmatch(label))


def title_of(table: Table) -> str | None:
    """The line, or two lines, above a table that name it as a statement of equity."""
    above = last_lines(table.before, _TITLE_LINES).splitlines()
    head = [row[0].text for row in table.rows[:_HEAD_ROWS]]
    lines = [" ".join(line.split()) for line in (*above, *head)]
    for index in range(len(lines) - 1, -1, -1):
        both = " ".join(lines[index : index + 2])
        for line in (lines[index], both) if not is_partial_title(both) else ():
            if len(line) < _LONGEST_TITLE and is_title("equity", line):
                return line
    return table.name if is_title("equity", table.name) else None


def titles_of(tables: Sequence[Table], taken: AbstractSet[int]) -> dict[int, str]:
    """Titles of equity statements by table number; a table with only a title names the next one."""
    titled: dict[int, str] = {}
    for number, table in enumerate(tables):
        alone = number - 1 if number and len(tables[number - 1].rows) <= _TITLE_ROWS else -1
        title = title_of(table) or titled.get(alone)
        if title and number not in taken:
            titled[number] = title
    return titled


def balances_in(table: Table) -> int:
    """The rows of a table whose first words name a balance."""
    return sum(bool(row) and is_balance(row[0].text.strip()) for row in table.rows)


def find_parts(
    tables: Sequence[Table], taken: AbstractSet[int], titled: Container[int]
) -> list[Equity]:
    """The neighbouring tables of the statement of equity. `taken` has the numbers of other
    statements, `titled` those under a title of a statement of equity.
    """
    parts: list[Equity] = []
    for number, table in enumerate(tables):
        if number in taken or balances_in(table) < 1:
            continue
        for index, panel in enumerate(_panels(table)):
            part = _part(number, panel, number in titled and not index)
            if part is None and parts and number - parts[-1].number <= _NEAR:
                alike = _part(number, panel, titled=True)
                part = alike if alike and parts[-1].goes_on_in(alike) else None
            parts += [part] if part else []
    runs = _runs(parts, lambda part, following: following.number - part.number <= _NEAR)
    return max(runs, key=lambda run: _worth(run, taken), default=[])


def _runs(parts: Iterable[Equity], goes_on: Callable[[Equity, Equity], bool]) -> list[list[Equity]]:
    """Group consecutive parts while each goes on in the next."""
    runs: list[list[Equity]] = []
    for part in parts:
        if runs and goes_on(runs[-1][-1], part):
            runs[-1].append(part)
        else:
            runs.append([part])
    return runs


def _panels(table: Table) -> list[Table]:
    """Split a table where a second head stands below figures."""
    layout = find_layout(table, sparse=True)
    if layout is None or len(layout.bands) < _FEWEST_COLUMNS:
        return [table]
    edge = layout.bands[0].left
    cuts: list[int] = []
    below_figures, head = False, None
    for row, line in zip(table.rows[len(layout.head) :], layout.body, strict=True):
        over = [cell for cell in line.words if cell.left >= edge]
        alone = not line.figures and len(over) == len(line.words)
        head = (head or row[0].row) if alone else None
        if below_figures and not line.figures and len(over) >= _FEWEST_COLUMNS - 1:
            cuts.append(head or row[0].row)
            below_figures = False
        below_figures |= bool(line.figures)
    return table.cut(cuts)


def split_statements(table: Table) -> list[Table]:
    """Split a sheet or grid where a statement of equity or the next statement begins."""
    if not table.cells or not table.cells[0].position.cell:
        return [table]
    cuts: list[int] = []
    of_equity = False
    for index, row in enumerate(table.rows):
        if len(row) != 1 or len(row[0].text) >= _LONGEST_TITLE:
            continue
        text = row[0].text
        if is_title("equity", text) and _has_head(table, index + 1):
            cuts += [row[0].row] if index else []
            of_equity = True
        elif of_equity and _STATEMENT.search(text) and any(is_title(k, text) for k in CHECKED):
            cuts.append(row[0].row)
            of_equity = False
    return table.cut(cuts) if cuts else [table]


def _has_head(table: Table, first: int) -> bool:
    """Whether one of the next rows has words over several columns, and no figures."""
    lines = [split_row(row) for row in table.rows[first : first + _HEAD_ROWS]]
    return any(len(line.words) >= _FEWEST_COLUMNS and not line.figures for line in lines)


def _worth(run: Sequence[Equity], taken: AbstractSet[int]) -> tuple[bool, int]:
    """The rank of a run: a title counts first, then nearness to other statements."""
    first = run[0].number
    return any(part.titled for part in run), -min((abs(first - at) for at in taken), default=first)


def _part(number: int, table: Table, titled: bool) -> Equity | None:
    """The table as a part of a statement of equity, or None."""
    if balances_in(table) < BALANCES - titled:
        return None
    layout = find_layout(table, sparse=True)
    if layout is None or not _FEWEST_COLUMNS <= len(layout.bands) <= _MOST_COLUMNS:
        return None
    layout = drop_mark_columns(layout)
    if len(layout.bands) < _FEWEST_COLUMNS:
        return None
    components = components_of(layout)
    named = [(component.name, component.shares) for component in components]
    if len(set(named)) < len(named):
        return None
    kinds = {component.kind for component in components if component.kind}
    total = any(component.total for component in components)
    enough = len(kinds) >= _FEWEST_KINDS if titled else total and len(kinds) >= _SURE
    if not enough or kinds <= {"comprehensive", "noncontrolling"}:
        return None
    return Equity(number, table, layout, components, titled)


@dataclass(frozen=True)
class EquityRows:
    """Parts with the same columns, as one statement."""

    parts: tuple[Equity, ...]
    scale: Decimal
    rows: tuple[ReadRow, ...]

    @property
    def components(self) -> tuple[Component, ...]:
        return self.parts[0].components


def read_parts(parts: Sequence[Equity]) -> Iterator[EquityRows]:
    """One statement for each run of parts with the same columns."""
    scales: list[Decimal] = []
    for run in _runs(parts, Equity.goes_on_in):
        rows: list[ReadRow] = []
        first = len(scales)
        for part in run:
            above = f"{part.layout.stub}\n{last_lines(part.table.before, 8)}"
            heads = "\n".join(band.title for band in part.layout.bands)
            stated = (scale_in(scale_of_shares(text)[1]) for text in (above, heads))
            scale = next(filter(None, stated), None) or (scales[-1] if scales else Decimal(1))
            notes = f"{above}\n{heads}"
            scales.append(scale)
            plain = rows_of(part.layout, Decimal(1), "")
            joined = _join_labels(_scaled(plain, part.components, scale, notes))
            rows += with_periods(joined, notes)
        yield EquityRows(tuple(run), scales[first], tuple(rows))


def _scaled(
    rows: Sequence[ReadRow], components: Sequence[Component], scale: Decimal, notes: str
) -> list[ReadRow]:
    """The rows in whole units, each column by its stated unit."""
    factors = [scale if component.shares else component.scale or scale for component in components]
    for index, component in enumerate(components):
        if component.shares:
            shown = [abs(value) for row in rows if (value := row.row.values[index])]
            factors[index] = _of_shares(component, max(shown, default=Decimal(0)), scale, notes)
    return [
        replace(row, row=replace(row.row, values=tuple(_times(row, factors, components))))
        for row in rows
    ]


def _of_shares(component: Component, largest: Decimal, scale: Decimal, notes: str) -> Decimal:
    stated = component.scale or scale_of_shares(notes)[0]
    if not stated and excepts_shares(notes) and largest >= 100_000:
        return Decimal(1)
    times = stated or scale
    return times if largest * times <= MOST_SHARES else Decimal(1)


def _times(
    row: ReadRow, factors: Sequence[Decimal], components: Sequence[Component]
) -> Iterator[Decimal | None]:
    """Scale a row. Amounts per share are already in full: one amount with a fraction."""
    values = row.row.values
    shown = {abs(value) for value in values if value}
    label = row.row.label
    per_share = (
        bool(_PER_SHARE.search(label))
        and sum(bool(value) for value in values) == 1
        and all(value < 100 and value % 1 for value in shown)
        and not any(f"{value.normalize():f}" in label for value in shown)
        and not _PRICE.search(label)
    )
    for value, factor, component in zip(values, factors, components, strict=True):
        written_out = not component.shares and (
            per_share or (value is not None and abs(value) * factor > MOST_MONEY)
        )
        yield value if value is None or written_out else value * factor


def _join_labels(rows: Sequence[ReadRow]) -> list[ReadRow]:
    """Join labels that a page breaks before their day or year."""
    read: list[ReadRow] = []
    for row in rows:
        above = read[-1].row if read else None
        joined = f"{above.label} {row.row.label}" if above else ""
        broken = above and above.heading and _GOES_ON.search(above.label) and dates_in(joined)
        if broken and (_A_YEAR.fullmatch(row.row.label) or _A_DAY.fullmatch(row.row.label)):
            above_all = read.pop()
            row = replace(row, row=replace(row.row, label=joined), path=above_all.path)
        read.append(row)
    return read


def with_periods(rows: Sequence[ReadRow], notes: str) -> list[ReadRow]:
    """Give each balance its day, and the rows between two balances the period between them."""
    moments = _moments(rows, notes)
    days = list(moments)

    def period(number: int) -> Column | None:
        if number in moments:
            day = moments[number]
            return Column(day, 0) if day else None
        after = bisect_right(days, number)
        if not 0 < after < len(days):
            return None
        return _between(moments[days[after - 1]], moments[days[after]])

    return [
        row if row.row.heading else replace(row, period=period(number))
        for number, row in enumerate(rows)
    ]


def _moments(rows: Sequence[ReadRow], notes: str) -> dict[int, str | None]:
    """The day of each balance by row number; None where it is unknown."""
    moments: dict[int, str | None] = {}
    context = notes
    for number, row in enumerate(rows):
        label = row.row.label
        if row.row.heading:
            if mention(label).year or quarters_in(label):
                context = label
            continue
        if is_balance(label):
            moments[number] = _day_of(label, context)
    return moments


def _day_of(label: str, context: str) -> str | None:
    """The day of a balance: from its label, or the end of the period above."""
    if days := dates_in(label):
        return days[-1]
    own = mention(label)
    ends = dates_in(context)
    end = ends[-1] if len(set(ends)) == 1 else None
    if own.day and own.year:
        return own.year + own.day
    if own.year and end:
        return own.year + end[4:]
    return None if own.year or own.day or _BEGINS.search(label) else end


def _between(first: str | None, last: str | None) -> Column | None:
    """The period between two balances; None if a day is unknown or they are out of order."""
    if last is None:
        return None
    if first is None:
        return Column(end=last)
    if first >= last:
        return None
    start = first if first[6:] == "01" else shift_day(first, 1)
    return Column(last, quarters_between(start, last) if start else None, start)
