"""Statements of stockholders' equity: their columns are components, their rows have the periods.

Such a statement is shown and never checked: nothing in a filing's findings rests on it. A row that
is a balance is a moment, and those between two balances are the time from one to the other. Some
companies print it as lines under periods instead, like any other statement: those are read as that.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Container, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal

from services.triage.reading.columns import Layout, layout, line_of
from services.triage.reading.components import Component, cleared, components_of
from services.triage.reading.kinds import is_other, last_lines, names
from services.triage.reading.periods import dates_in, mention, quarters_between, quarters_in
from services.triage.reading.rows import ReadRow, rows_of
from services.triage.reading.scales import (
    MOST_MONEY,
    MOST_SHARES,
    excepts_shares,
    scale_in,
    scale_of_shares,
)
from services.triage.reading.table import Table, TableCell
from services.triage.statements import Column

BALANCE = re.compile(
    r"^\W*((at|as\s+of|as\s+at)\s+)?((beginning|ending|opening|closing|adjusted|restated|total)\s+)*"
    r"(balances?\b|(total\s+)?(\w+\W{0,3}s?\s+)?(equity|deficit|capital)\b.*"
    r"\b(beginning|end)\s+of\b)",
    re.I,
)
_A_DAY = re.compile(r"^\W*((at|as\s+of|as\s+at)\s+)?[a-z]{3,9}\.?\s+\d{1,2}\s*,?\s*\d{4}\W*", re.I)
_A_YEAR = re.compile(r"\W*(19|20)\d\d\W*")
_GOES_ON = re.compile(f"{BALANCE.pattern}|\\b(ended|ending)$", re.I)
_BEGINS = re.compile(r"\b(beginning|opening|start)\b", re.I)
_PER_SHARE = re.compile(r"\bper\b.{0,40}\b(share|unit)\b", re.I)
_STATEMENT = re.compile(r"\bstatements?\b|\bbalance\s+sheets?\b", re.I)
_OTHERS = ("balance_sheet", "income", "cash_flow")
_PRICE = re.compile(r"\d\.\d|[$€£]\s*\d|\d\s*cents?\b|\d\s*/\s*\d", re.I)
_NEAR = 3
"""Tables from one part of the statement to the next at the most."""
_TITLE_LINES = 6
"""Lines above a table, one of which may be its title."""
_HEAD_ROWS = 4
"""Rows of a table that may have its title."""
_TITLE_ROWS = 2
"""Rows; a table with more is no title alone."""
_LONGEST_TITLE = 150
"""Characters; more is a sentence."""
_MOST_COLUMNS = 60
"""Of one statement; companies print two dozen at the most."""
_FEWEST_COLUMNS, _FEWEST_KINDS, _SURE = 3, 2, 3
"""Columns, kinds of components under a title, and kinds without one."""
BALANCES = 2
"""Rows that are balances; fewer are no movement between two."""


@dataclass(frozen=True)
class Equity:
    """A part of a statement of equity: a table, its columns, their names."""

    number: int
    table: Table
    layout: Layout
    components: tuple[Component, ...]
    titled: bool

    def goes_on_in(self, following: Equity) -> bool:
        """Whether another part has the same columns."""
        return _plain(self.components) == _plain(following.components)


def _plain(components: Sequence[Component]) -> list[str]:
    return ["".join(re.findall(r"[a-z]+", one.own.lower())) for one in components]


def is_balance(label: str) -> bool:
    """Whether a row shows a moment."""
    return bool(BALANCE.search(label) or _A_DAY.fullmatch(label))


def title_of(table: Table) -> str | None:
    """The line above a table that names it as a statement of equity; also over two lines."""
    above = last_lines(table.before, _TITLE_LINES).splitlines()
    head = [row[0].text for row in table.rows[:_HEAD_ROWS]]
    lines = [" ".join(line.split()) for line in (*above, *head)]
    for place in range(len(lines) - 1, -1, -1):
        both = " ".join(lines[place : place + 2])
        for line in (lines[place], both):
            if len(line) < _LONGEST_TITLE and names("equity", line) and not is_other(both):
                return line
    return table.name if names("equity", table.name) else None


def titles_of(tables: Sequence[Table], taken: AbstractSet[int]) -> dict[int, str]:
    """The titles of statements of equity by the number of their table: one that stands in a table
    of its own is that of the next.
    """
    titled: dict[int, str] = {}
    for number, table in enumerate(tables):
        alone = number - 1 if number and len(tables[number - 1].rows) <= _TITLE_ROWS else -1
        title = title_of(table) or titled.get(alone)
        if title and number not in taken:
            titled[number] = title
    return titled


def balances_in(table: Table) -> int:
    """How many rows of a table are balances by their first words."""
    return sum(bool(row) and is_balance(row[0].text.strip()) for row in table.rows)


def find_parts(
    tables: Sequence[Table], taken: AbstractSet[int], titled: Container[int]
) -> list[Equity]:
    """The tables of the statement of equity, those that stand together.

    Args:
        tables: of the document in its order.
        taken: numbers of those that are other statements.
        titled: numbers of those under a title of a statement of equity.
    """
    found: list[Equity] = []
    for number, table in enumerate(tables):
        if number in taken or balances_in(table) < 1:
            continue
        for place, panel in enumerate(_panels(table)):
            part = _part(number, panel, number in titled and not place)
            if part is None and found and number - found[-1].number <= _NEAR:
                alike = _part(number, panel, titled=True)
                part = alike if alike and found[-1].goes_on_in(alike) else None
            found += [part] if part else []
    runs: list[list[Equity]] = []
    for part in found:
        if runs and part.number - runs[-1][-1].number <= _NEAR:
            runs[-1].append(part)
        else:
            runs.append([part])
    if not runs:
        return []
    return max(runs, key=lambda run: _worth(run, taken))


def _panels(table: Table) -> list[Table]:
    """The table cut where another head stands below figures: two statements over one another."""
    found = layout(table, sparse=True)
    if found is None or len(found.bands) < _FEWEST_COLUMNS:
        return [table]
    edge = found.bands[0].left
    cuts: list[int] = []
    below_figures, head = False, None
    for row, line in zip(table.rows[len(found.head) :], found.body, strict=True):
        over = [cell for cell in line.words if cell.left >= edge]
        alone = not line.figures and len(over) == len(line.words)
        head = (head or row[0].row) if alone else None
        if below_figures and not line.figures and len(over) >= _FEWEST_COLUMNS - 1:
            cuts.append(head or row[0].row)
            below_figures = False
        below_figures |= bool(line.figures)
    return _cut(table, cuts)


def _cut(table: Table, rows: Sequence[int]) -> list[Table]:
    """The table cut above rows of these numbers."""
    parts: list[list[TableCell]] = [[] for _ in range(len(rows) + 1)]
    for cell in table.cells:
        parts[bisect_right(rows, cell.row)].append(cell)
    return [replace(table, cells=tuple(cells)) for cells in parts]


def apart(table: Table) -> list[Table]:
    """The tables that a sheet or a grid has over one another, where one of them begins with a title
    of equity: cut there, and where another statement begins after it.
    """
    if not table.cells or not table.cells[0].place.cell:
        return [table]
    cuts: list[int] = []
    of_equity = False
    for place, row in enumerate(table.rows):
        if len(row) != 1 or len(row[0].text) >= _LONGEST_TITLE:
            continue
        said = row[0].text
        if names("equity", said) and _has_head(table, place + 1):
            cuts += [row[0].row] if place else []
            of_equity = True
        elif of_equity and _STATEMENT.search(said) and any(names(one, said) for one in _OTHERS):
            cuts.append(row[0].row)
            of_equity = False
    return _cut(table, cuts) if cuts else [table]


def _has_head(table: Table, first: int) -> bool:
    """Whether the first rows from there have words over several columns, and no figures."""
    lines = [line_of(row) for row in table.rows[first : first + _HEAD_ROWS]]
    return any(len(line.words) >= _FEWEST_COLUMNS and not line.figures for line in lines)


def _worth(run: Sequence[Equity], taken: AbstractSet[int]) -> tuple[bool, int]:
    """A title is worth more than anything; then nearness to the other statements."""
    first = run[0].number
    return any(part.titled for part in run), -min((abs(first - at) for at in taken), default=first)


def _part(number: int, table: Table, titled: bool) -> Equity | None:
    """The table as a part of a statement of equity; None for one that is none."""
    if balances_in(table) < BALANCES - titled:
        return None
    found = layout(table, sparse=True)
    if found is None or not _FEWEST_COLUMNS <= len(found.bands) <= _MOST_COLUMNS:
        return None
    found = cleared(found)
    if len(found.bands) < _FEWEST_COLUMNS:
        return None
    components = components_of(found)
    said = [(one.name, one.shares) for one in components]
    if len(set(said)) < len(said):
        return None
    kinds = {one.kind for one in components if one.kind}
    total = any(one.total for one in components)
    enough = len(kinds) >= _FEWEST_KINDS if titled else total and len(kinds) >= _SURE
    if not enough or kinds <= {"comprehensive", "noncontrolling"}:
        return None
    return Equity(number, table, found, components, titled)


@dataclass(frozen=True)
class EquityRows:
    """Parts with the same columns as one statement."""

    parts: tuple[Equity, ...]
    scale: Decimal
    rows: tuple[ReadRow, ...]

    @property
    def components(self) -> tuple[Component, ...]:
        """Its columns."""
        return self.parts[0].components


def read_parts(parts: Sequence[Equity]) -> Iterator[EquityRows]:
    """The statements that parts make: one for each run of the same columns."""
    runs: list[list[Equity]] = []
    for part in parts:
        if runs and runs[-1][-1].goes_on_in(part):
            runs[-1].append(part)
        else:
            runs.append([part])
    scales: list[Decimal] = []
    for run in runs:
        rows: list[ReadRow] = []
        first = len(scales)
        for part in run:
            above = f"{part.layout.stub}\n{last_lines(part.table.before, 8)}"
            heads = "\n".join(band.title for band in part.layout.bands)
            said = (scale_in(scale_of_shares(text)[1]) for text in (above, heads))
            scale = next(filter(None, said), None) or (scales[-1] if scales else Decimal(1))
            notes = f"{above}\n{heads}"
            scales.append(scale)
            plain = rows_of(part.layout, Decimal(1), "")
            whole = _put_together(_scaled(plain, part.components, scale, notes))
            rows += with_periods(whole, notes)
        yield EquityRows(tuple(run), scales[first], tuple(rows))


def _scaled(
    rows: Sequence[ReadRow], components: Sequence[Component], scale: Decimal, notes: str
) -> list[ReadRow]:
    """The rows in whole units, each column by what its page says of it."""
    factors = [scale if one.shares else one.scale or scale for one in components]
    for place, component in enumerate(components):
        if component.shares:
            shown = [abs(value) for row in rows if (value := row.row.values[place])]
            factors[place] = _of_shares(component, max(shown, default=Decimal(0)), scale, notes)
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
    """Amounts per share are written out: one amount with a fraction, which no label says."""
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


def _put_together(rows: Sequence[ReadRow]) -> list[ReadRow]:
    """The rows, with labels that a page breaks before their day or year as one."""
    read: list[ReadRow] = []
    for row in rows:
        above = read[-1].row if read else None
        whole = f"{above.label} {row.row.label}" if above else ""
        broken = above and above.heading and _GOES_ON.search(above.label) and dates_in(whole)
        if broken and (_A_YEAR.fullmatch(row.row.label) or _A_DAY.fullmatch(row.row.label)):
            above_all = read.pop()
            row = replace(row, row=replace(row.row, label=whole), path=above_all.path)
        read.append(row)
    return read


def with_periods(rows: Sequence[ReadRow], notes: str) -> list[ReadRow]:
    """The rows with the moment of each balance and, between two of them, the time from the one to
    the other; what nothing says stays open.
    """
    moments = _moments(rows, notes)
    days = list(moments)
    read: list[ReadRow] = []
    for number, row in enumerate(rows):
        if row.row.heading:
            read.append(row)
        elif number in moments:
            day = moments[number]
            read.append(replace(row, period=Column(day, 0) if day else None))
        else:
            next_one = bisect_right(days, number)
            if 0 < next_one < len(days):
                first, last = (moments[days[at]] for at in (next_one - 1, next_one))
                row = replace(row, period=_between(first, last))
            read.append(row)
    return read


def _moments(rows: Sequence[ReadRow], notes: str) -> dict[int, str | None]:
    """The day of each balance by the number of its row; None where it isn't said."""
    moments: dict[int, str | None] = {}
    said = notes
    for number, row in enumerate(rows):
        label = row.row.label
        if row.row.heading:
            if mention(label).year or quarters_in(label):
                said = label
            continue
        if is_balance(label):
            moments[number] = _day_of(label, said)
    return moments


def _day_of(label: str, said: str) -> str | None:
    """The day that a balance is of: its label's, else the end of the period that stands above."""
    if days := dates_in(label):
        return days[-1]
    own = mention(label)
    ends = dates_in(said)
    end = ends[-1] if len(set(ends)) == 1 else None
    if own.day and own.year:
        return own.year + own.day
    if own.year and end:
        return own.year + end[4:]
    return None if own.year or own.day or _BEGINS.search(label) else end


def _between(first: str | None, last: str | None) -> Column | None:
    """The time from one balance to another; none where a day isn't known or they go back."""
    if last is None:
        return None
    if first is None:
        return Column(end=last)
    if first >= last:
        return None
    start = first if first[6:] == "01" else _day_after(first)
    return Column(last, quarters_between(start, last) if start else None, start)


def _day_after(day: str) -> str | None:
    try:
        return f"{date.fromisoformat(day) + timedelta(days=1):%Y%m%d}"
    except ValueError:
        return None
