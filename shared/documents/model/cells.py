"""Cells of sheets and tables: positions in the text, and names such as `B7`.

A document has one packed array of cells in the order of the text: 32 bytes each, so half a million
rows stay small. A field without text has no cell.
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
"""One cell: the fields of `Cell`. A missing `value` is NaN."""

MAX_ROWS = 1_048_576
MAX_COLUMNS = 16_384
"""The size of a sheet by ECMA-376."""

_INTEGERS = tuple(name for name in CELL.names or () if name != "value")

Cells = npt.NDArray[np.void]


class Cell(NamedTuple):
    """One field of a sheet or table: `text[start:end]` of its document.

    `page` is the number of the sheet or page, `table` that of the table on it (from 1; a sheet is
    one table). `row` and `column` count from 1; `rows` and `columns` are the spans. `value` is the
    number that the cell contains, or None.
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
        """Its address, such as `B7` or `B7:D7`."""
        first = f"{letters(self.column)}{self.row}"
        if self.rows == self.columns == 1:
            return first
        return f"{first}:{letters(self.column + self.columns - 1)}{self.row + self.rows - 1}"


def cell_of(record: Any) -> Cell:
    """Convert one record of the array."""
    value = float(record["value"])
    places = [int(record[name]) for name in Cell._fields[:-1]]
    return Cell._make([*places, None if np.isnan(value) else value])


def no_cells(length: int = 0) -> Cells:
    """Return `length` cells of one row and one column in table 1 of page 1."""
    cells = np.zeros(length, CELL)
    for name in ("page", "table", "rows", "columns"):
        cells[name] = 1
    cells["value"] = np.nan
    return cells


def letters(column: int) -> str:
    """Return the letters of a column: `A` for 1, `AA` for 27."""
    name = ""
    while column:
        column, remainder = divmod(column - 1, 26)
        name = chr(65 + remainder) + name
    return name


def check_cells(cells: Cells, length: int) -> None:
    """Raises ValueError if the cells overlap or exceed a text of that length."""
    if cells.dtype != CELL or cells.ndim != 1:
        raise ValueError(f"expected a 1-d array of cells, not {cells.ndim}-d of {cells.dtype}")
    if not len(cells):
        return
    start, end = (cells[name].astype(np.int64) for name in ("start", "end"))
    if (start > end).any() or (start[1:] < end[:-1]).any() or end[-1] > length:
        raise ValueError("cells that overlap, or lie outside of the text")


def pack_cells(cells: Cells) -> bytes:
    """Pack the array field by field as differences, byte by byte, so that it compresses well."""
    if not len(cells):
        return b""
    planes = [
        _planes(np.diff(cells[name].astype("<u4"), prepend=np.uint32(0))) for name in _INTEGERS
    ]
    if not np.isnan(cells["value"]).all():
        planes.append(_planes(np.ascontiguousarray(cells["value"])))
    return b"".join(planes)


def unpack_cells(packed: bytes, count: int) -> Cells:
    """Undo `pack_cells`. Raises ValueError if the length of the bytes is wrong."""
    cells = no_cells(count)
    integers = 4 * count * len(_INTEGERS)
    if len(packed) not in (integers, integers + 8 * count):
        raise ValueError(f"{len(packed)} bytes for {count} cells")
    for index, name in enumerate(_INTEGERS):
        steps = _unplaned(packed, 4 * count * index, count, "<u4")
        cells[name] = np.cumsum(steps, dtype=np.uint32)
    if len(packed) > integers:
        cells["value"] = _unplaned(packed, integers, count, "<f8")
    return cells


def _planes(values: npt.NDArray[Any]) -> bytes:
    size = values.dtype.itemsize
    return np.ascontiguousarray(values.view(np.uint8).reshape(-1, size).T).tobytes()


def _unplaned(packed: bytes, start: int, count: int, kind: str) -> npt.NDArray[Any]:
    size = np.dtype(kind).itemsize
    planes = np.frombuffer(packed, np.uint8, size * count, offset=start).reshape(size, count)
    return np.ascontiguousarray(planes.T).view(kind).reshape(-1)
