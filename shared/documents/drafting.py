"""The text of a sheet in the making: rows as lines, cells between tabs, and where each one stands.

Both are kept in plain arrays, so that four million cells take some hundred megabytes and not
gigabytes. A row without text makes no line, but a gap between rows is one empty line; empty cells
between two others are tabs, as far as there are few of them.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from shared.documents.cells import Cells, no_cells

MOST_TABS = 50
"""Empty cells side by side that are kept as tabs; more of them are one."""

_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


Field = tuple[int, str, float]
"""One cell to be: its column (from 1), its text, and the number in it or NaN."""


@dataclass
class Draft:
    """The text so far and its cells; `mark` and `rollback` take a part of it back."""

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
        """Text that belongs to no cell."""
        if text:
            self.lines.append(text)
            self.length += len(text)

    def add_row(self, page: int, row: int, fields: Iterable[Field]) -> None:
        """One line with the fields that have text, in the order given; its line break is yours."""
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
        """Cells from index `first` on span rows and columns: {(row, column): (rows, columns)}."""
        for index in range(first, len(self.row)) if spans else ():
            span = spans.get((self.row[index], self.column[index]))
            if span:
                self.rows[index], self.columns[index] = span

    def mark(self) -> tuple[int, int, int]:
        """Where it stands now."""
        return len(self.lines), self.length, len(self.row)

    def rollback(self, mark: tuple[int, int, int]) -> None:
        """Forget everything since then."""
        lines, self.length, cells = mark
        del self.lines[lines:]
        for kept in (self.page, self.row, self.column, self.start, self.end, self.value):
            del kept[cells:]

    @property
    def text(self) -> str:
        """The whole of it."""
        return "".join(self.lines)

    def cells(self) -> Cells:
        """The whole of them."""
        cells = no_cells(len(self.row))
        for name in ("page", "row", "column", "start", "end", "value"):
            cells[name] = np.asarray(getattr(self, name))
        for name, spans in (("rows", self.rows), ("columns", self.columns)):
            cells[name][list(spans)] = list(spans.values())
        return cells


def in_one_line(text: str) -> str:
    """Text for a field: line breaks, tabs and control characters are one space."""
    if text.isprintable():
        return text.strip()
    return _BREAKS.sub(" ", text).encode("utf-8", "replace").decode().strip()
