"""Find the statements among the tables of a document, and read them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import product, zip_longest
from typing import Any

from services.triage.reading.columns import Layout, column_periods, find_layout, restated_columns
from services.triage.reading.equity import (
    BALANCES,
    EquityRows,
    balances_in,
    find_parts,
    read_parts,
    split_statements,
    titles_of,
)
from services.triage.reading.equity_columns import Component
from services.triage.reading.page_tables import tables_of_pages
from services.triage.reading.periods import mention, years_in
from services.triage.reading.rows import ReadRow, rows_of
from services.triage.reading.scales import scale_in, scale_of_money
from services.triage.reading.statement_kind import (
    explain_missing,
    is_known,
    is_partial_title,
    is_short_statement,
    is_title,
    labels_of,
    last_lines,
    score,
    without_parent,
)
from services.triage.reading.table import Table, tables_of_cells
from services.triage.reading.text_tables import tables_of_lines
from services.triage.reading.two_periods import are_two_durations, join_rows, split_at_heads
from services.triage.relations.message_format import title as title_of
from services.triage.statements.model import CHECKED, Column, Statement
from shared.documents.model.parsed_document import ParsedDocument

_LONGEST_TITLE = 150  # characters of a title; longer lines are sentences
_HEAD = 500  # characters at the beginning of a plain text that apply to all its statements
_TITLE_LINES = 4  # lines above a table that may have its title
_FEWEST_ROWS = 4  # rows that a table needs
_CANDIDATES = 8  # tables per kind that are compared
_SEAM = 3.0  # points that a statement of two tables costs
_OF_PERIODS = ("income", "cash_flow")  # kinds that may be printed for two durations
_APART = 3  # tables from a statement to its other duration, at most
_NEAR, _FAR, _FARTHEST = 6, 0.4, 15
"""Tables in between that cost nothing, points for each further table, and the most that count."""


UsualLines = Callable[[Statement], Sequence[bool]]
"""Says for each line of a statement whether most companies have it."""


@dataclass(frozen=True)
class Part:
    """A table with its columns. A statement has one or several parts."""

    table: Table
    layout: Layout

    def goes_on_in(self, following: Part) -> bool:
        """Whether the next table has as many columns under the same years."""
        mine, following_bands = self.layout.bands, following.layout.bands
        return len(mine) == len(following_bands) and all(
            years_in(a.title) == years_in(b.title)
            for a, b in zip(mine, following_bands, strict=True)
        )


@dataclass(frozen=True)
class ReadStatement:
    """A statement with the details of its page."""

    kind: str
    title: str
    scale: Decimal
    columns: tuple[Column, ...]
    rows: tuple[ReadRow, ...]
    restated: tuple[bool, ...] = ()
    asides: tuple[str, ...] = ()  # heads of columns without a period, which are left out
    broken_down: tuple[str, ...] = ()  # lines of an instance whose breakdown by members is left out
    components: tuple[Component, ...] = ()  # columns of a statement of equity

    @property
    def statement(self) -> Statement:
        """The statement as it is checked."""
        return Statement(self.kind, self.columns, tuple(row.row for row in self.rows))

    def to_json(self) -> dict[str, Any]:
        """The statement in structured form with the details of its page."""
        form = self.statement.to_json()
        for column, again in zip(form["columns"], self.restated, strict=False):
            if again:
                column["restated"] = 1
        for column, component in zip(form["columns"], self.components, strict=False):
            column["component"] = component.name
            if component.shares:
                column["unit"] = "shares"
        for row, read in zip(form["rows"], self.rows, strict=True):
            more = {
                "period": read.period and read.period.to_json(),
                "path": list(read.path),
                "indent": read.indent,
                "notes": list(read.marks),
            }
            row |= {name: value for name, value in more.items() if value}
        form["title"] = self.title
        form["presented_in"] = int(self.scale)
        return form


@dataclass(frozen=True)
class Unread:
    """A table under a statement's title that could not be read, and why."""

    kind: str
    page: int
    title: str
    reason: str


@dataclass(frozen=True)
class DocumentStatements:
    """The statements of a document: checked ones, equity, and tables that could not be read."""

    statements: tuple[ReadStatement, ...]
    unread: tuple[Unread, ...] = ()
    equity: tuple[ReadStatement, ...] = ()
    unread_equity: tuple[Unread, ...] = ()


def tables_of(reading: ParsedDocument) -> list[Table]:
    """The tables of a document, from its cells, boxes or lines."""
    if len(reading.cells):
        return list(tables_of_cells(reading))
    if reading.has_boxes:
        return list(tables_of_pages(reading))
    return list(tables_of_lines(reading))


def find_statements(
    reading: ParsedDocument, usual_lines: UsualLines | None = None
) -> DocumentStatements:
    """The statements of a document, and other tables under their titles that were not read.

    Args:
        usual_lines: for short statements; without it, few lines count as usual.
    """
    tables = [part for table in tables_of(reading) for part in split_statements(table)]
    layouts = list(_laid_out(tables))
    parts = [Part(table, layout) for table, layout in layouts if layout]
    numbered = list(_candidates(parts))
    candidates = [candidate for _, candidate in numbered]
    points = {kind: [_score(kind, parts) for parts in candidates] for kind in CHECKED}
    chosen = choose(points, [number for number, _ in numbered])
    head = "" if len(reading.cells) or reading.has_boxes else reading.text[:_HEAD]
    taken = {id(part.table) for index, _ in chosen for part in candidates[index]}
    for index, kind in _short_statements(numbered, chosen, head, usual_lines):
        chosen.append((index, kind))
        taken.add(id(candidates[index][0].table))
    read: dict[int, ReadStatement] = {}
    ends: dict[str, str] = {}
    for index, kind in sorted(chosen, key=lambda choice: CHECKED.index(choice[1])):
        read[index] = _read(candidates[index], kind, ends, head)
        for other in _beside(index, numbered, points[kind]) if kind in _OF_PERIODS else ():
            pair = [candidates[number] for number in sorted((index, other))]
            first = _read(pair[0], kind, ends, head)
            joined = _joined(first, _read(pair[1], kind, ends, head, first.scale))
            if joined:
                read[index] = joined
                taken |= {id(part.table) for part in candidates[other]}
        if kind == "balance_sheet":
            days = [column.end for column in read[index].columns if column.end]
            ends = {day[:4]: day[4:] for day in reversed(days)}
            ends |= {"": days[0][4:]} if days else {}
    found_kinds = {kind for _, kind in chosen}
    unread = [
        missed
        for kind in CHECKED
        if kind not in found_kinds
        for table, layout in layouts
        if (missed := _unread(kind, table, layout))
    ]
    unread += [
        further
        for kind in CHECKED
        if kind in found_kinds
        for part in parts
        if id(part.table) not in taken
        if (further := _another(kind, part, head, usual_lines))
    ]
    equity, unread_equity = _equity(layouts, taken, ends, head)
    statements = tuple(read[index] for index in sorted(read))
    return DocumentStatements(statements, tuple(unread), tuple(equity), tuple(unread_equity))


def _laid_out(tables: Iterable[Table]) -> Iterator[tuple[Table, Layout | None]]:
    """Tables with their columns, cut where the next statement begins."""
    for table in tables:
        layout = find_layout(table)
        parts = split_at_heads(table, layout) if layout else [table]
        if len(parts) == 1:
            yield table, layout
        else:
            yield from ((part, find_layout(part)) for part in parts)


def _beside(
    index: int, numbered: Sequence[tuple[int, tuple[Part, ...]]], points: Sequence[float]
) -> Iterator[int]:
    """The candidates of a kind that are close to a chosen one, and about the whole company."""
    for other, (number, parts) in enumerate(numbered):
        near = 0 < abs(number - numbered[index][0]) <= _APART
        if near and points[other] and not is_partial_title(_title(parts[0].table)):
            yield other


def _joined(first: ReadStatement, second: ReadStatement) -> ReadStatement | None:
    """Two statements of one kind for two durations as one; None if they are something else."""
    if first.scale != second.scale or not are_two_durations(first.columns, second.columns):
        return None
    rows = join_rows(first.rows, second.rows, (len(first.columns), len(second.columns)))
    if rows is None:
        return None
    return replace(
        first,
        columns=first.columns + second.columns,
        rows=tuple(rows),
        restated=first.restated + second.restated,
        asides=first.asides + second.asides,
    )


def _equity(
    layouts: Sequence[tuple[Table, Layout | None]],
    taken: AbstractSet[int],
    ends: Mapping[str, str],
    head: str,
) -> tuple[list[ReadStatement], list[Unread]]:
    """The statements of equity among the other tables, and unread tables under such a title.

    `taken` has the identities of the tables of other statements.
    """
    numbers = {number for number, (table, _) in enumerate(layouts) if id(table) in taken}
    titled = titles_of([table for table, _ in layouts], numbers)
    parts = find_parts([table for table, _ in layouts], numbers, titled)
    read = [_with_components(rows, titled) for rows in read_parts(parts)]
    if not read:
        read = [
            _read((Part(table, layout),), "equity", ends, head)
            for number, (table, layout) in enumerate(layouts)
            if number in titled and layout and _under_periods(table, layout)
        ][:1]
    if read:
        return read, []
    return [], [
        Unread(
            "equity", table.page, title, "its columns were not recognised as components of equity"
        )
        for number, (table, _) in enumerate(layouts)
        if (title := titled.get(number)) and balances_in(table)
    ]


def _under_periods(table: Table, layout: Layout) -> bool:
    """Whether the components are lines under columns of periods."""
    dated = all(mention(band.title).year for band in layout.bands)
    distinct = len({band.title for band in layout.bands}) == len(layout.bands)
    return dated and distinct and balances_in(table) >= BALANCES


def _with_components(rows: EquityRows, titled: Mapping[int, str]) -> ReadStatement:
    return ReadStatement(
        kind="equity",
        title=next((titled[part.number] for part in rows.parts if part.number in titled), ""),
        scale=rows.scale,
        columns=(Column(),) * len(rows.components),
        rows=rows.rows,
        components=rows.components,
    )


def _unread(kind: str, table: Table, layout: Layout | None) -> Unread | None:
    """Why a table with a statement's title could not be read."""
    first = [cell.text for cell in table.rows[0]] if table.rows else []
    lines = [*last_lines(_title(table), _TITLE_LINES).splitlines(), *first]
    titles = [line for line in lines if len(line) < _LONGEST_TITLE and is_title(kind, line)]
    if not titles or len(table.rows) < _FEWEST_ROWS:
        return None
    reason = explain_missing(kind, layout) if layout else "its figures are not in columns"
    return Unread(kind, table.page, " ".join(titles[-1].split()), reason)


def _another(kind: str, part: Part, head: str, usual_lines: UsualLines | None) -> Unread | None:
    """A further statement of a kind that was read, such as one of another year or of the parent."""
    above = without_parent(_title(part.table))
    if not is_short_statement(kind, part.layout, above) or not (
        _score(kind, (part,)) or _is_short(kind, part, head, usual_lines)
    ):
        return None
    reason = f"another {title_of(kind)} was read"
    return Unread(kind, part.table.page, _name(kind, part.table, part.layout), reason)


def _candidates(parts: Sequence[Part]) -> Iterator[tuple[int, tuple[Part, ...]]]:
    """Each table, and each with the next one if that continues its columns."""
    for number, (part, following) in enumerate(zip_longest(parts, parts[1:])):
        yield number, (part,)
        if following and part.goes_on_in(following):
            yield number, (part, following)


def _short_statements(
    numbered: Sequence[tuple[int, tuple[Part, ...]]],
    chosen: Sequence[tuple[int, str]],
    head: str,
    usual_lines: UsualLines | None,
) -> Iterator[tuple[int, str]]:
    """The first short statement of each kind that was not chosen, close to those that were."""
    places = [numbered[index][0] for index, _ in chosen]
    used = set(places)
    for kind in (kind for kind in CHECKED if kind not in {of for _, of in chosen}):
        for index, (number, parts) in enumerate(numbered):
            near = not places or min(abs(number - place) for place in places) <= _NEAR
            alone = len(parts) == 1 and number not in used
            if alone and near and _is_short(kind, parts[0], head, usual_lines):
                used.add(number)
                yield index, kind
                break


def _is_short(kind: str, part: Part, head: str, usual_lines: UsualLines | None) -> bool:
    """Whether a table is a short statement: its title, its periods, and no unusual line."""
    if not is_short_statement(kind, part.layout, _title(part.table)):
        return False
    statement = _read((part,), kind, {}, head).statement
    columns = statement.columns
    if len(set(columns)) < len(columns) or any(column.end is None for column in columns):
        return False
    usual = usual_lines(statement) if usual_lines else [False] * len(statement.rows)
    return all(
        fits or row.heading or is_known(kind, row.label)
        for row, fits in zip(statement.rows, usual, strict=True)
    )


def _score(kind: str, parts: Sequence[Part]) -> float:
    labels = [label for part in parts for label in labels_of(part.layout)]
    points = score(kind, labels, _title(parts[0].table))
    return points - _SEAM * (len(parts) - 1) if points else 0.0


def choose(points: Mapping[str, Sequence[float]], numbers: Sequence[int]) -> list[tuple[int, str]]:
    """Choose a table for each kind: those that fit best and stand close together.

    Statements follow one another in a report. So the set with the most points, less the cost of
    distance, is taken.
    """
    lists: list[list[tuple[int, str]]] = []
    for kind, scores in points.items():
        best = sorted(range(len(scores)), key=lambda index: (-scores[index], index))
        positions = [index for index in best[:_CANDIDATES] if scores[index] > 0]
        lists.append([*((index, kind) for index in positions), (-1, kind)])

    def worth(chosen: Sequence[tuple[int, str]]) -> float:
        real = [(index, kind) for index, kind in chosen if index >= 0]
        tables = [numbers[index] for index, _ in real]
        if not real or len(set(tables)) < len(tables):
            return 0.0
        span = min(max(0, max(tables) - min(tables) - _NEAR), _FARTHEST)
        return sum(points[kind][index] for index, kind in real) - _FAR * span

    best_set = max(product(*lists), key=worth)
    return [(index, kind) for index, kind in best_set if index >= 0]


def _title(table: Table) -> str:
    first = " ".join(cell.text for cell in table.rows[0]) if table.rows else ""
    return "\n".join(text for text in (table.name, table.before, first) if text)


def _read(
    parts: Sequence[Part],
    kind: str,
    ends: Mapping[str, str],
    head: str,
    unstated: Decimal = Decimal(1),
) -> ReadStatement:
    """Read a statement; `unstated` is its unit if the page does not state one."""
    table, layout = parts[0].table, parts[0].layout
    above = last_lines(table.before, 8)
    if not years_in("\n".join([above, layout.stub, *(band.title for band in layout.bands)])):
        above = f"{head}\n{above}"
    heads = "\n".join([layout.stub, *(band.title for band in layout.bands), above])
    stated = scale_of_money(layout.stub) or scale_of_money(heads)
    scale = stated or _scale_below(layout) or unstated
    return ReadStatement(
        kind=kind,
        title=_name(kind, table, layout),
        scale=scale,
        columns=column_periods(layout, above, kind, ends),
        rows=tuple(row for part in parts for row in rows_of(part.layout, scale, heads)),
        restated=restated_columns(layout),
        asides=tuple(band.title for band in layout.asides),
    )


def _scale_below(layout: Layout) -> Decimal | None:
    """The unit, where a page has it in the first lines without figures."""
    for line in layout.body[:2]:
        if not line.figures and (scale := scale_in(" ".join(c.text for c in line.words))):
            return scale
    return None


def _name(kind: str, table: Table, layout: Layout) -> str:
    """The line above that names the statement, or the name of its sheet."""
    heads = [cell.text for line in layout.head for cell in line.words]
    lines = [*heads, *last_lines(table.before, 8).splitlines(), *layout.stub.splitlines()]
    titles = [" ".join(line.split()) for line in lines if is_title(kind, line)]
    return next((title for title in reversed(titles) if len(title) < _LONGEST_TITLE), table.name)
