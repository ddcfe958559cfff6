"""The one table model that every format gives.

A table is a drawing: each cell has its row and a horizontal interval, in units of its own. These
are columns for sheets and HTML, characters for plain text and points for pages with boxes; all that
the reader asks is what stands above what, and in which order. So a header that spans two columns
and one that is centred over two columns of a page are the same thing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from services.triage.places import Place


@dataclass(frozen=True, slots=True)
class TableCell:
    """A piece of text in a row, from `left` up to `right` (half open), and its place."""

    row: int
    left: float
    right: float
    text: str
    place: Place

    def overlap(self, left: float, right: float) -> float:
        """How much of an interval it shares."""
        return min(self.right, right) - max(self.left, left)


@dataclass(frozen=True)
class Table:
    """Cells in reading order, and the text that stands above them (at most a screenful)."""

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
