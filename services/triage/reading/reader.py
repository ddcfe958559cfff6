"""From a document to its statements: its tables, those that are statements, what they say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from decimal import Decimal
from itertools import product, zip_longest
from typing import Any

from services.triage.reading.boxes import tables_of_pages
from services.triage.reading.columns import Layout, layout, periods, restated
from services.triage.reading.components import Component
from services.triage.reading.equity import (
    BALANCES,
    EquityRows,
    apart,
    balances_in,
    find_parts,
    read_parts,
    titles_of,
)
from services.triage.reading.grids import tables_of_cells
from services.triage.reading.kinds import (
    is_short_balance_sheet,
    labels_of,
    lacks,
    last_lines,
    names,
    score,
)
from services.triage.reading.lines import tables_of_lines
from services.triage.reading.periods import mention, years_in
from services.triage.reading.rows import ReadRow, rows_of
from services.triage.reading.scales import scale_in
from services.triage.reading.table import Table
from services.triage.statements import Column, Statement
from shared.documents.reading import Reading

_LONGEST_TITLE = 150
"""Characters; more is a sentence."""
_HEAD = 500
"""Characters at the beginning of a plain text that hold for all of its statements."""
_TITLE_LINES = 4
"""Lines right above a table, one of which has to be its title."""
_FEWEST_ROWS = 4
"""Rows; less is the end of another table."""
_CANDIDATES = 8
"""Tables of a kind that are weighed against one another."""
_SEAM = 3.0
"""Points that a statement of two tables costs."""
_NEAR, _FAR, _FARTHEST = 6, 0.4, 15
"""Tables in between that cost nothing, points that each of the others costs, most that count."""
KINDS = ("balance_sheet", "income", "cash_flow")


@dataclass(frozen=True)
class Part:
    """A table with its columns; a statement is one, or several that go on with one another."""

    table: Table
    layout: Layout

    def goes_on_in(self, following: Part) -> bool:
        """Whether the next table has the same columns: as many, under the same years."""
        mine, others = self.layout.bands, following.layout.bands
        return len(mine) == len(others) and all(
            years_in(a.title) == years_in(b.title) for a, b in zip(mine, others, strict=True)
        )


@dataclass(frozen=True)
class ReadStatement:
    """A statement with what its page says of it."""

    kind: str
    title: str
    scale: Decimal
    columns: tuple[Column, ...]
    rows: tuple[ReadRow, ...]
    restated: tuple[bool, ...] = ()
    asides: tuple[str, ...] = ()
    """Heads of the columns that are no periods, which are left out."""
    broken_down: tuple[str, ...] = ()
    """Lines of an instance that it splits by members, too: the parts are left out."""
    components: tuple[Component, ...] = ()
    """What the columns are in a statement of equity; empty where they are periods."""

    @property
    def statement(self) -> Statement:
        """The statement in the form that is checked."""
        return Statement(self.kind, self.columns, tuple(row.row for row in self.rows))

    def to_json(self) -> dict[str, Any]:
        """The statement in structured form, with what its page says besides."""
        whole = self.statement.to_json()
        for column, again in zip(whole["columns"], self.restated, strict=False):
            if again:
                column["restated"] = 1
        for column, component in zip(whole["columns"], self.components, strict=False):
            column["component"] = component.name
            if component.shares:
                column["unit"] = "shares"
        for row, read in zip(whole["rows"], self.rows, strict=True):
            if read.period:
                row["period"] = read.period.to_json()
            if read.path:
                row["path"] = list(read.path)
            if read.indent:
                row["indent"] = read.indent
            if read.marks:
                row["notes"] = list(read.marks)
        whole["title"] = self.title
        whole["presented_in"] = int(self.scale)
        return whole


@dataclass(frozen=True)
class Unread:
    """A table under the title of a statement that could not be read as one, and why."""

    kind: str
    page: int
    title: str
    reason: str


@dataclass(frozen=True)
class Found:
    """What was found in a document: statements that are checked, those of equity, which are only
    shown, and the tables that could not be read as any.
    """

    statements: tuple[ReadStatement, ...]
    unread: tuple[Unread, ...] = ()
    equity: tuple[ReadStatement, ...] = ()
    unread_equity: tuple[Unread, ...] = ()


def tables_of(reading: Reading) -> list[Table]:
    """The tables of a document, by what its reading has."""
    if len(reading.cells):
        return list(tables_of_cells(reading))
    if reading.has_boxes:
        return list(tables_of_pages(reading))
    return list(tables_of_lines(reading))


def read_statements(reading: Reading) -> list[ReadStatement]:
    """The statements of one document that are checked, at most one of a kind, in its order."""
    return list(find_statements(reading).statements)


def find_statements(reading: Reading) -> Found:
    """The statements, and for each kind without one the tables that bear its title."""
    tables = [part for table in tables_of(reading) for part in apart(table)]
    layouts = [(table, layout(table)) for table in tables]
    parts = [Part(table, found) for table, found in layouts if found]
    numbered = list(_candidates(parts))
    candidates = [candidate for _, candidate in numbered]
    chosen = choose(
        {kind: [_score(kind, parts) for parts in candidates] for kind in KINDS},
        [number for number, _ in numbered],
    )
    chosen = chosen or _short(candidates)
    read: dict[int, ReadStatement] = {}
    head = "" if len(reading.cells) or reading.has_boxes else reading.text[:_HEAD]
    ends: dict[str, str] = {}
    for place, kind in sorted(chosen, key=lambda choice: KINDS.index(choice[1])):
        read[place] = _read(candidates[place], kind, ends, head)
        if kind == "balance_sheet":
            days = [column.end for column in read[place].columns if column.end]
            ends = {day[:4]: day[4:] for day in reversed(days)}
            ends |= {"": days[0][4:]} if days else {}
    found_kinds = {kind for _, kind in chosen}
    unread = [
        missed
        for kind in KINDS
        if kind not in found_kinds
        for table, found in layouts
        if (missed := _unread(kind, table, found))
    ]
    taken = {id(part.table) for place, _ in chosen for part in candidates[place]}
    equity, unread_equity = _equity(layouts, taken, ends, head)
    statements = tuple(read[place] for place in sorted(read))
    return Found(statements, tuple(unread), tuple(equity), tuple(unread_equity))


def _equity(
    layouts: Sequence[tuple[Table, Layout | None]],
    taken: AbstractSet[int],
    ends: Mapping[str, str],
    head: str,
) -> tuple[list[ReadStatement], list[Unread]]:
    """The statements of equity among the tables that are no other statement (`taken` has the
    identities of those), and those under such a title that could not be read.
    """
    numbers = {number for number, (table, _) in enumerate(layouts) if id(table) in taken}
    titled = titles_of([table for table, _ in layouts], numbers)
    parts = find_parts([table for table, _ in layouts], numbers, titled)
    read = [_with_components(one, titled) for one in read_parts(parts)]
    if not read:
        read = [
            _read((Part(table, found),), "equity", ends, head)
            for number, (table, found) in enumerate(layouts)
            if number in titled and found and _under_periods(table, found)
        ][:1]
    if read:
        return read, []
    return [], [
        Unread("equity", table.page, title, "its columns were not told as components of equity")
        for number, (table, _) in enumerate(layouts)
        if (title := titled.get(number)) and balances_in(table)
    ]


def _under_periods(table: Table, found: Layout) -> bool:
    """Whether the components are lines under columns of periods."""
    dated = all(mention(band.title).year for band in found.bands)
    told_apart = len({band.title for band in found.bands}) == len(found.bands)
    return dated and told_apart and balances_in(table) >= BALANCES


def _with_components(rows: EquityRows, titled: Mapping[int, str]) -> ReadStatement:
    return ReadStatement(
        kind="equity",
        title=next((titled[one.number] for one in rows.parts if one.number in titled), ""),
        scale=rows.scale,
        columns=(Column(),) * len(rows.components),
        rows=rows.rows,
        components=rows.components,
    )


def _unread(kind: str, table: Table, found: Layout | None) -> Unread | None:
    """Why a table with the title of a statement is none that could be read."""
    first = [cell.text for cell in table.rows[0]] if table.rows else []
    lines = [*last_lines(_title(table), _TITLE_LINES).splitlines(), *first]
    titles = [line for line in lines if len(line) < _LONGEST_TITLE and names(kind, line)]
    if not titles or len(table.rows) < _FEWEST_ROWS:
        return None
    reason = lacks(kind, found) if found else "its figures stand in no columns"
    return Unread(kind, table.page, " ".join(titles[-1].split()), reason)


def _candidates(parts: Sequence[Part]) -> Iterator[tuple[int, tuple[Part, ...]]]:
    """Each table, and each with the next where that goes on with the same columns."""
    for number, (part, following) in enumerate(zip_longest(parts, parts[1:])):
        yield number, (part,)
        if following and part.goes_on_in(following):
            yield number, (part, following)


def _short(candidates: Sequence[tuple[Part, ...]]) -> list[tuple[int, str]]:
    """Of a document without any statement, the first table that is a balance sheet of few lines."""
    for place, parts in enumerate(candidates):
        dated = all(mention(band.title).year for band in parts[0].layout.bands)
        if dated and is_short_balance_sheet(parts[0].layout, _title(parts[0].table)):
            return [(place, "balance_sheet")]
    return []


def _score(kind: str, parts: Sequence[Part]) -> float:
    labels = [label for part in parts for label in labels_of(part.layout)]
    points = score(kind, labels, _title(parts[0].table))
    return points - _SEAM * (len(parts) - 1) if points else 0.0


def choose(points: Mapping[str, Sequence[float]], numbers: Sequence[int]) -> list[tuple[int, str]]:
    """For each kind the table to read: those that look like it, and stand close together.

    A report shows a company's figures in many places; its statements follow one another. So the
    set is taken that has most points, less what its distance costs.
    """
    lists: list[list[tuple[int, str]]] = []
    for kind, scores in points.items():
        best = sorted(range(len(scores)), key=lambda place: (-scores[place], place))
        places = [place for place in best[:_CANDIDATES] if scores[place] > 0]
        lists.append([*((place, kind) for place in places), (-1, kind)])

    def worth(chosen: Sequence[tuple[int, str]]) -> float:
        real = [(place, kind) for place, kind in chosen if place >= 0]
        tables = [numbers[place] for place, _ in real]
        if not real or len(set(tables)) < len(tables):
            return 0.0
        span = min(max(0, max(tables) - min(tables) - _NEAR), _FARTHEST)
        return sum(points[kind][place] for place, kind in real) - _FAR * span

    found = max(product(*lists), key=worth)
    return [(place, kind) for place, kind in found if place >= 0]


def _title(table: Table) -> str:
    first = " ".join(cell.text for cell in table.rows[0]) if table.rows else ""
    return "\n".join(text for text in (table.name, table.before, first) if text)


def _read(parts: Sequence[Part], kind: str, ends: Mapping[str, str], head: str) -> ReadStatement:
    table, found = parts[0].table, parts[0].layout
    above = last_lines(table.before, 8)
    if not years_in("\n".join([above, found.stub, *(band.title for band in found.bands)])):
        above = f"{head}\n{above}"
    heads = "\n".join([found.stub, *(band.title for band in found.bands), above])
    scale = scale_in(found.stub) or scale_in(heads) or _scale_below(found) or Decimal(1)
    return ReadStatement(
        kind=kind,
        title=_name(kind, table, found),
        scale=scale,
        columns=periods(found, above, kind, ends),
        rows=tuple(row for part in parts for row in rows_of(part.layout, scale, heads)),
        restated=restated(found),
        asides=tuple(band.title for band in found.asides),
    )


def _scale_below(found: Layout) -> Decimal | None:
    """Some pages say it in the first lines, before any figure."""
    for line in found.body[:2]:
        if not line.figures and (scale := scale_in(" ".join(c.text for c in line.words))):
            return scale
    return None


def _name(kind: str, table: Table, found: Layout) -> str:
    """The line above that names the statement, or the name of its sheet."""
    heads = [cell.text for line in found.head for cell in line.words]
    lines = [*heads, *last_lines(table.before, 8).splitlines(), *found.stub.splitlines()]
    titles = [" ".join(line.split()) for line in lines if names(kind, line)]
    return next((title for title in reversed(titles) if len(title) < _LONGEST_TITLE), table.name)
