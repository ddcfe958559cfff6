"""Builds the text of a sheet: rows are lines, fields are separated by tabs; records the cells.

Plain arrays keep four million cells in some hundred megabytes. Rows without text make no line, but
a gap between rows is one empty line. Empty cells between two others are tabs, up to a limit.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from shared.documents.model.cells import Cells, no_cells

MOST_TABS = 50
"""Adjacent empty cells that are kept as tabs; more become one tab."""

_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


Field = tuple[int, str, float]
"""Column (from 1), text, and number or NaN of one cell."""


@dataclass
class Draft:
    """The text so far and its cells."""

    lines: list[str] = field(default_factory=list)
    length: int = 0
    page: array[int] = field(default_factory=lambda: array("H"))
    row: array[int] = field(default_factory=lambda: array("I"))
    column: array[int] = field(default_factory=lambda: array("H"))
    start: array[int] = field(default_factory=lambda: array("I"))
    end: array[int] = field(default_factory=lambda: array("I"))
    value: array[float] = field(default_factory=lambda: array("d"))
    rows: dict[int, int] = field(default_factory=dict)
    columns: dict[int, int] = field(default_factory=dict)

    def add(self, text: str) -> None:
        """Add text that belongs to no cell."""
        if text:
            self.lines.append(text)
            self.length += len(text)

    def add_row(self, page: int, row: int, fields: Iterable[Field]) -> None:
        """Add one line with the fields that have text. The caller adds the line break."""
        pieces: list[str] = []
        columns, starts, ends, values = [], [], [], []
        offset, last = self.length, 0
        for column, text, value in fields:
            if not text:
                continue
            gap = max(column - last - (0 if last else 1), 1 if last else 0)
            tabs = "\t" * gap if gap <= MOST_TABS else "\t"
            pieces += (tabs, text)
            offset += len(tabs)
            columns.append(column)
            starts.append(offset)
            offset += len(text)
            ends.append(offset)
            values.append(value)
            last = column
        self.page.extend([page] * len(columns))
        self.row.extend([row] * len(columns))
        self.column.extend(columns)
        self.start.extend(starts)
        self.end.extend(ends)
        self.value.extend(values)
        self.add("".join(pieces))

    def merge(self, first: int, spans: Mapping[tuple[int, int], tuple[int, int]]) -> None:
        """Set the spans of cells from index `first` on: {(row, column): (rows, columns)}."""
        for index in range(first, len(self.row)) if spans else ():
            span = spans.get((self.row[index], self.column[index]))
            if span:
                self.rows[index], self.columns[index] = span

    def mark(self) -> tuple[int, int, int]:
        """Return the current state for `rollback`."""
        return len(self.lines), self.length, len(self.row)

    def rollback(self, mark: tuple[int, int, int]) -> None:
        """Remove everything since the mark."""
        lines, self.length, cells = mark
        del self.lines[lines:]
        for values in (self.page, self.row, self.column, self.start, self.end, self.value):
            del values[cells:]

    @property
    def text(self) -> str:
        return "".join(self.lines)

    def cells(self) -> Cells:
        cells = no_cells(len(self.row))
        for name in ("page", "row", "column", "start", "end", "value"):
            cells[name] = np.asarray(getattr(self, name))
        for name, spans in (("rows", self.rows), ("columns", self.columns)):
            cells[name][list(spans)] = list(spans.values())
        return cells


def in_one_line(text: str) -> str:
    """Replace line breaks, tabs and control characters by one space."""
    if text.isprintable():
        return text.strip()
    return _BREAKS.sub(" ", text).encode("utf-8", "replace").decode().strip()
