"""CSV and TSV: the characters of the file, unchanged, with cells as offsets.

Quoting follows RFC 4180 (quoted fields may have delimiters, line breaks and doubled quotation
marks). The delimiter is detected from the rows. An unclosed quotation mark is an ordinary
character. Rows are counted as a spreadsheet does: a field with line breaks is in one row. The cell
of a quoted field is the text between the marks.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from typing import NamedTuple

import numpy as np

from shared.documents.model.cells import MAX_COLUMNS, Cells, no_cells
from shared.documents.model.formats import CSV
from shared.documents.model.parsed_document import Page, ParsedDocument
from shared.documents.model.text import decode

DELIMITERS = ("\t", ";", "|", ",")
"""Delimiters by preference. In a table with semicolons, commas are decimal."""

_SAMPLE = 65_536
_SAMPLE_ROWS = 200
_SAYS_ITSELF = re.compile("\ufeff?sep=(.)\r?\n", re.IGNORECASE)


class Field(NamedTuple):
    """`text[start:end]` without quotation marks; row and column count from 1."""

    row: int
    column: int
    start: int
    end: int
    quoted: bool


def delimiter_of(text: str, *, named: bool = False) -> str | None:
    """Return the delimiter of a table; None if the text is not a table.

    Without a telling file name (`named`), all rows must have the same number of fields, at least
    three. With it two fields are enough, and half of the rows may differ.
    """
    if itself := _SAYS_ITSELF.match(text):
        return itself[1]
    text = text[: 4 * _SAMPLE]  # one field may go on for millions of characters
    best: tuple[float, str] | None = None
    for delimiter in DELIMITERS:
        widths = list(islice(_widths(text, delimiter), _SAMPLE_ROWS))
        usual, count = Counter(widths).most_common(1)[0] if widths else (0, 0)
        share = count / len(widths) if widths else 0.0
        fits = usual >= 2 and share >= 0.5 if named else usual >= 3 and share == 1
        enough = named or len(widths) >= 3
        if fits and enough and (best is None or share > best[0] + 0.05):
            best = (share, delimiter)
    return best[1] if best else None


def _widths(text: str, delimiter: str) -> Iterator[int]:
    """Yield the number of fields of each filled row of the sample.

    0 for a row with an unclosed quotation mark: another delimiter cut it.
    """
    row, width, filled, cut = 1, 0, False, False
    for cell in fields(text, delimiter):
        if cell.row != row:
            if filled:
                yield 0 if cut else width
            row, filled, cut = cell.row, False, False
        if cell.start > _SAMPLE:
            return
        width = cell.column
        filled |= cell.end > cell.start
        cut |= not cell.quoted and text.startswith('"', cell.start)
    if filled:
        yield 0 if cut else width


def is_named(name: str) -> bool:
    """Whether the file name is that of a table."""
    return name.lower().endswith((".csv", ".tsv", ".tab"))


def fields(text: str, delimiter: str) -> Iterator[Field]:
    """Yield every field in order, including empty ones; a first line `sep=;` is none."""
    row, column = 1, 1
    itself = _SAYS_ITSELF.match(text)
    start = itself.end() if itself else 1 if text.startswith("\ufeff") else 0
    for match in _pattern(delimiter).finditer(text, start):
        quoted = match.start(1) >= 0
        begin, end = match.span(1 if quoted else 2)
        yield Field(row, column, begin, end, quoted)
        separator = match[3]
        if separator == delimiter:
            column += 1
        elif separator:
            row, column = row + 1, 1
        else:
            return


@cache
def _pattern(delimiter: str) -> re.Pattern[str]:
    """Match a quoted or plain field and its end, without backtracking."""
    ends = re.escape(delimiter) + "\r\n"
    quoted = rf' *+"((?>(?:[^"]++|"")*))" *+(?=[{ends}]|\Z)'
    return re.compile(rf"(?:{quoted}|([^{ends}]*+))({re.escape(delimiter)}|\r\n|\r|\n|\Z)")


def rows(text: str, delimiter: str) -> Iterator[list[Field]]:
    """Yield the fields row by row; an empty line is an empty row."""
    row: list[Field] = []
    number, nothing = 1, True
    for cell in fields(text, delimiter):
        if cell.row != number:
            yield [] if nothing else row
            row, number = [], cell.row
        row.append(cell)
        nothing = cell.start == cell.end and cell.column == 1 and not cell.quoted
    if not nothing:
        yield row


def value_of(text: str, cell: Field) -> str:
    """Return the value of a field: within quotation marks two of them are one."""
    value = text[cell.start : cell.end]
    return value.replace('""', '"') if cell.quoted else value


@dataclass
class _Table:
    """The cells of a table so far, and statistics for warnings."""

    row: array[int] = field(default_factory=lambda: array("I"))
    column: array[int] = field(default_factory=lambda: array("H"))
    start: array[int] = field(default_factory=lambda: array("I"))
    end: array[int] = field(default_factory=lambda: array("I"))
    widths: Counter[int] = field(default_factory=Counter)
    unclosed: int = 0

    def read(self, text: str, delimiter: str) -> None:
        """Record every field that has text. Raises OverflowError for a row beyond any sheet."""
        row, width, filled = 1, 0, False
        for number, column, start, end, quoted in fields(text, delimiter):
            if number != row:
                self.widths[width] += filled
                row, filled = number, False
            width = column
            if start == end:
                continue
            filled = True
            if column > MAX_COLUMNS:
                raise OverflowError
            if not quoted and text[start] == '"' and not self.unclosed:
                self.unclosed = number
            self.row.append(number)
            self.column.append(column)
            self.start.append(start)
            self.end.append(end)
        self.widths[width] += filled

    def cells(self) -> Cells:
        cells = no_cells(len(self.row))
        for name in ("row", "column", "start", "end"):
            cells[name] = np.asarray(getattr(self, name))
        return cells

    def warnings(self) -> Iterator[str]:
        rows = self.widths.total()
        (usual, count), *_ = self.widths.most_common(1) or [(0, 0)]
        if count < rows:
            odd = rows - count
            yield f"{odd:,} of {rows:,} rows have more or fewer than the usual {usual} fields"
        if self.unclosed:
            yield f"row {self.unclosed} has a quotation mark that is not closed: it is kept as text"


def read_table(data: bytes) -> ParsedDocument:
    """Return a CSV or TSV file as one page, with a cell for each field that has text."""
    text, warnings = decode(data)
    table = _Table()
    try:
        table.read(text, delimiter_of(text, named=True) or ",")
        warnings += table.warnings()
    except OverflowError:
        table = _Table()
        warnings.append(f"a row has more than {MAX_COLUMNS:,} fields: it was read without cells")
    return ParsedDocument(
        text=text,
        pages=(Page(1, 0, len(text)),),
        warnings=tuple(warnings),
        media_type=CSV,
        cells=table.cells(),
    )
