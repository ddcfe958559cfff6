"""CSV and TSV: the file's own characters, nothing added or taken away, with cells as offsets.

Quoting is that of RFC 4180 (a quoted field may hold delimiters, line breaks and doubled quotation
marks), which delimiter is meant is found out from the rows, and a quotation mark that is never
closed is a character like any other. Rows count as a spreadsheet counts them that opens the file: a
field with line breaks is one row. A cell of a quoted field is what stands between the marks.
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

from shared.documents.cells import MAX_COLUMNS, Cells, no_cells
from shared.documents.reading import Page, Reading, no_boxes
from shared.errors import UnreadableDocument

CSV = "text/csv"

DELIMITERS = ("\t", ";", "|", ",")
"""In this order, where several would do: a semicolon makes commas decimal, and not the reverse."""

_SAMPLE = 65_536
_SAMPLE_ROWS = 200
_CONTROL = re.compile("[\0-\x08\x0e-\x19\x1b-\x1f]")
_SAYS_ITSELF = re.compile("\ufeff?sep=(.)\r?\n", re.IGNORECASE)


class Field(NamedTuple):
    """`text[start:end]`, without the quotation marks around it; row and column count from 1."""

    row: int
    column: int
    start: int
    end: int
    quoted: bool


@dataclass(frozen=True)
class Decoded:
    """The text of a file, and what a person should know about how it was decoded."""

    text: str
    warning: str = ""


def decode_table(data: bytes) -> Decoded:
    """UTF-8, UTF-16 with its mark, or Windows-1252 with a warning: what spreadsheets write.

    Byte order marks stay in the text. Raises UnreadableDocument with the place.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        little = data.startswith(b"\xff\xfe")
        decoded = Decoded(_decoded(data, "utf-16-le" if little else "utf-16-be", "UTF-16"))
    else:
        try:
            decoded = Decoded(data.decode("utf-8"))
        except UnicodeDecodeError as error:
            place = f"byte {error.start} is 0x{data[error.start]:02x}"
            decoded = Decoded(
                _decoded(data, "cp1252", "UTF-8 nor Windows-1252"),
                f"the text is not UTF-8 ({place}): it was read as Windows-1252; "
                "save it as UTF-8 if letters are wrong",
            )
    if (nul := decoded.text.find("\0")) >= 0:
        raise UnreadableDocument(f"not a text: there is a NUL at character {nul + 1}")
    return decoded


def _decoded(data: bytes, encoding: str, called: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise UnreadableDocument(
            f"the text is not {called} (byte {error.start}): save it as UTF-8"
        ) from error


def delimiter_of(text: str, *, named: bool = False) -> str | None:
    """What separates the fields of a table; None if the text is none.

    Without a name that says so (`named`) only rows that all have the same number of fields, three
    or more, are a table; with it two are enough, and half of the rows may have another number.
    """
    if itself := _SAYS_ITSELF.match(text):
        return itself[1]
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
    """The number of fields of each row that has something in it, as far as the sample goes.

    None, that is 0, for a row in which a quotation mark is not closed: another delimiter cut it.
    """
    row, width, filled, cut = 1, 0, False, False
    for found in fields(text, delimiter):
        if found.row != row:
            if filled:
                yield 0 if cut else width
            row, filled, cut = found.row, False, False
        if found.start > _SAMPLE:
            return
        width = found.column
        filled |= found.end > found.start
        cut |= not found.quoted and text.startswith('"', found.start)
    if filled:
        yield 0 if cut else width


def is_table(data: bytes, name: str) -> bool:
    """Whether bytes that are no UTF-8 text are a table in one of the encodings of spreadsheets."""
    try:
        text = decode_table(data).text
    except UnreadableDocument:
        return False
    return (
        not _CONTROL.search(text[:_SAMPLE]) and delimiter_of(text, named=is_named(name)) is not None
    )


def is_named(name: str) -> bool:
    """Whether a file's name says that it is a table."""
    return name.lower().endswith((".csv", ".tsv", ".tab"))


def fields(text: str, delimiter: str) -> Iterator[Field]:
    """Every field in order, empty ones too; a line `sep=;` at the very beginning is none."""
    row, column = 1, 1
    itself = _SAYS_ITSELF.match(text)
    start = itself.end() if itself else 1 if text.startswith("\ufeff") else 0
    for found in _pattern(delimiter).finditer(text, start):
        quoted = found.start(1) >= 0
        begin, end = found.span(1 if quoted else 2)
        yield Field(row, column, begin, end, quoted)
        separator = found[3]
        if separator == delimiter:
            column += 1
        elif separator:
            row, column = row + 1, 1
        else:
            return


@cache
def _pattern(delimiter: str) -> re.Pattern[str]:
    """A quoted field or any other, and what ends it. Nothing in it is tried twice."""
    ends = re.escape(delimiter) + "\r\n"
    quoted = rf' *+"((?:[^"]++|"")*+)" *+(?=[{ends}]|\Z)'
    return re.compile(rf"(?:{quoted}|([^{ends}]*+))({re.escape(delimiter)}|\r\n|\r|\n|\Z)")


def rows(text: str, delimiter: str) -> Iterator[list[Field]]:
    """The fields row by row; an empty line is an empty row."""
    row: list[Field] = []
    number, nothing = 1, True
    for found in fields(text, delimiter):
        if found.row != number:
            yield [] if nothing else row
            row, number = [], found.row
        row.append(found)
        nothing = found.start == found.end and found.column == 1 and not found.quoted
    if not nothing:
        yield row


def value_of(text: str, found: Field) -> str:
    """What a field says: within quotation marks two of them are one."""
    value = text[found.start : found.end]
    return value.replace('""', '"') if found.quoted else value


def records(text: str, delimiter: str) -> Iterator[list[str]]:
    """The rows as lists of their fields' values; an empty line is an empty row."""
    for row in rows(text, delimiter):
        yield [value_of(text, found) for found in row]


@dataclass
class _Table:
    """The cells of a table in the making, and what a person should know of it."""

    row: array[int] = field(default_factory=lambda: array("I"))
    column: array[int] = field(default_factory=lambda: array("H"))
    start: array[int] = field(default_factory=lambda: array("I"))
    end: array[int] = field(default_factory=lambda: array("I"))
    widths: Counter[int] = field(default_factory=Counter)
    unclosed: int = 0

    def read(self, text: str, delimiter: str) -> None:
        """Note every field that has text. Raises OverflowError for a row beyond any sheet."""
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
        """The array of them."""
        cells = no_cells(len(self.row))
        for name in ("row", "column", "start", "end"):
            cells[name] = np.asarray(getattr(self, name))
        return cells

    def warnings(self) -> Iterator[str]:
        """A sentence for what looks odd."""
        rows = self.widths.total()
        (usual, count), *_ = self.widths.most_common(1) or [(0, 0)]
        if count < rows:
            odd = rows - count
            yield f"{odd:,} of {rows:,} rows have more or fewer than the usual {usual} fields"
        if self.unclosed:
            yield f"row {self.unclosed} has a quotation mark that is not closed: it stays as it is"


def read_table(data: bytes) -> Reading:
    """A CSV or TSV file as one page of its own text, with a cell for each field that has text."""
    decoded = decode_table(data)
    text = decoded.text
    warnings = [decoded.warning] if decoded.warning else []
    table = _Table()
    try:
        table.read(text, delimiter_of(text, named=True) or ",")
        warnings += table.warnings()
    except OverflowError:
        table = _Table()
        warnings.append(f"a row has more than {MAX_COLUMNS:,} fields: it was read without cells")
    return Reading(
        text=text,
        pages=(Page(1, 0, len(text), 0.0, 0.0, 0, "text"),),
        boxes=no_boxes(len(text)),
        page_count=1,
        warnings=tuple(warnings),
        media_type=CSV,
        cells=table.cells(),
    )
