"""The one table model of all formats, and the tables of documents with cells.

Each cell has a row and a horizontal interval: columns in sheets and HTML, characters in plain text,
points on pages. So a head that spans two columns and one centred over two are the same.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from services.triage.statements.model import parse_date
from services.triage.statements.positions import Position
from shared.documents.model.cells import cell_of
from shared.documents.model.formats import CSV
from shared.documents.model.parsed_document import ParsedDocument

LONGEST = 1_000  # characters of a line or cell that are read; some patterns take quadratic time
_ABOVE = 1_500  # characters above a table that may name it


@dataclass(frozen=True, slots=True)
class TableCell:
    """Text in a row, from `left` to `right` (half open), and its position."""

    row: int
    left: float
    right: float
    text: str
    position: Position

    def overlap(self, left: float, right: float) -> float:
        """How much of an interval it shares."""
        return min(self.right, right) - max(self.left, left)


@dataclass(frozen=True)
class Table:
    """Cells in reading order, and the text above them."""

    cells: tuple[TableCell, ...]
    before: str = ""
    page: int = 1
    name: str = ""
    rows: tuple[tuple[TableCell, ...], ...] = field(init=False)

    def __post_init__(self) -> None:
        rows: dict[int, list[TableCell]] = {}
        for cell in self.cells:
            rows.setdefault(cell.row, []).append(cell)
        ordered = (tuple(sorted(rows[key], key=lambda c: c.left)) for key in sorted(rows))
        object.__setattr__(self, "rows", tuple(ordered))

    def cut(self, rows: Sequence[int]) -> list[Table]:
        """The parts of the table above and below each of these rows, which begin a part."""
        parts: list[list[TableCell]] = [[] for _ in range(len(rows) + 1)]
        for cell in self.cells:
            parts[bisect_right(rows, cell.row)].append(cell)
        return [replace(self, cells=tuple(cells)) for cells in parts]


def tables_of_cells(reading: ParsedDocument) -> Iterator[Table]:
    """Every table in the order of the text, nested tables separately."""
    names = {page.number: page.name for page in reading.pages}
    end = 0
    cells = (cell_of(record) for record in reading.cells)
    for (page, _), group in groupby(cells, key=lambda cell: (cell.page, cell.table)):
        table_cells = list(group)
        before = reading.text[max(end, table_cells[0].start - _ABOVE) : table_cells[0].start]
        end = table_cells[-1].end
        where = reading.name_of(table_cells[0]).removesuffix(table_cells[0].address)
        table = Table(
            cells=tuple(
                TableCell(
                    row=cell.row,
                    left=cell.column,
                    right=cell.column + cell.columns,
                    text=reading.text[cell.start : min(cell.end, cell.start + LONGEST)],
                    position=Position(page, cell.start, cell.end, cell=where + cell.address),
                )
                for cell in table_cells
            ),
            before=before,
            page=page,
            name=names.get(page, ""),
        )
        yield from table.cut(_further_dates(table)) if reading.media_type == CSV else [table]


def _further_dates(table: Table) -> list[int]:
    """Where joined files begin: rows with nothing but the dates of columns, or titles above them.

    The first such row is no further one.
    """
    heads = [
        number
        for number, row in enumerate(table.rows)
        if row[0].left > 1 and all(parse_date(cell.text) for cell in row)
    ][1:]
    for place, number in enumerate(heads):
        while number > 1 and len(table.rows[number - 1]) == 1:
            number -= 1
        heads[place] = table.rows[number][0].row
    return heads
