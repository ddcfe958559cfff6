"""Cells: where in the text of a reading the fields of a sheet or table stand, and their names.

A document has one array of them, in the order of the text; a field without text has no cell.
Packed they take a few bytes each, so that a sheet of half a million lines stays small.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

CELL = np.dtype(
    [
        ("page", "<u2"),
        ("table", "<u2"),
        ("column", "<u2"),
        ("columns", "<u2"),
        ("row", "<u4"),
        ("rows", "<u4"),
        ("start", "<u4"),
        ("end", "<u4"),
        ("value", "<f8"),
    ]
)
"""One cell: the fields of `Cell`, in 32 bytes; a `value` that is none is NaN."""

MAX_ROWS = 1_048_576
MAX_COLUMNS = 16_384
"""What a sheet can hold, by ECMA-376; a table that claims more is no table."""

_WHOLE = tuple(name for name in CELL.names or () if name != "value")

Cells = npt.NDArray[np.void]


class Cell(NamedTuple):
    """One field of a sheet or table that has text: `text[start:end]` of its reading.

    `page` is the number of the sheet or page, `table` the number of the table on it (from 1; a
    sheet is one table). `row` and `column` count from 1 as the sheet shows them; `rows` and
    `columns` are how many of them it spans. `value` is the number that the cell holds, where the
    text only shows it in some format; None if it holds none.
    """

    page: int
    table: int
    row: int
    column: int
    rows: int
    columns: int
    start: int
    end: int
    value: float | None

    @property
    def address(self) -> str:
        """Its name on its sheet, such as `B7`, or `B7:D7` where it spans several."""
        first = f"{letters(self.column)}{self.row}"
        if self.rows == self.columns == 1:
            return first
        return f"{first}:{letters(self.column + self.columns - 1)}{self.row + self.rows - 1}"


def cell_of(record: Any) -> Cell:
    """One record of the array."""
    value = float(record["value"])
    places = [int(record[name]) for name in Cell._fields[:-1]]
    return Cell._make([*places, None if np.isnan(value) else value])


def no_cells(length: int = 0) -> Cells:
    """So many cells that span one row and one column of the first table of the first page."""
    cells = np.zeros(length, CELL)
    for name in ("page", "table", "rows", "columns"):
        cells[name] = 1
    cells["value"] = np.nan
    return cells


def letters(column: int) -> str:
    """The letters of a column: `A` for 1, `AA` for 27."""
    name = ""
    while column:
        column, rest = divmod(column - 1, 26)
        name = chr(65 + rest) + name
    return name


def check_cells(cells: Cells, length: int) -> None:
    """Raises ValueError for cells that can't be those of a text of that length."""
    if cells.dtype != CELL or cells.ndim != 1:
        raise ValueError(f"{cells.dtype} is no array of cells")
    if not len(cells):
        return
    start, end = (cells[name].astype(np.int64) for name in ("start", "end"))
    if (start > end).any() or (start[1:] < end[:-1]).any() or end[-1] > length:
        raise ValueError("cells that overlap, or lie outside of the text")


def pack_cells(cells: Cells) -> bytes:
    """Field by field as differences, byte by byte, so that they compress well."""
    if not len(cells):
        return b""
    planes = [_planes(np.diff(cells[name].astype("<u4"), prepend=np.uint32(0))) for name in _WHOLE]
    if not np.isnan(cells["value"]).all():
        planes.append(_planes(np.ascontiguousarray(cells["value"])))
    return b"".join(planes)


def unpack_cells(packed: bytes, count: int) -> Cells:
    """The array again. Raises ValueError if the bytes are not those of so many cells."""
    cells = no_cells(count)
    whole = 4 * count * len(_WHOLE)
    if len(packed) not in (whole, whole + 8 * count):
        raise ValueError(f"{len(packed)} bytes for {count} cells")
    for index, name in enumerate(_WHOLE):
        steps = _unplaned(packed, 4 * count * index, count, "<u4")
        cells[name] = np.cumsum(steps, dtype=np.uint32)
    if len(packed) > whole:
        cells["value"] = _unplaned(packed, whole, count, "<f8")
    return cells


def _planes(values: npt.NDArray[Any]) -> bytes:
    size = values.dtype.itemsize
    return np.ascontiguousarray(values.view(np.uint8).reshape(-1, size).T).tobytes()


def _unplaned(packed: bytes, start: int, count: int, kind: str) -> npt.NDArray[Any]:
    size = np.dtype(kind).itemsize
    planes = np.frombuffer(packed, np.uint8, size * count, offset=start).reshape(size, count)
    return np.ascontiguousarray(planes.T).view(kind).reshape(-1)
