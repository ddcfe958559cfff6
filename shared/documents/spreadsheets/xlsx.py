"""Excel workbooks (XLSX, XLSM): each sheet a page, its rows as lines, with cells.

Read as a stream from the XML of ECMA-376, because only that has number formats, uncalculated
formulas and hidden rows (docs/explanation/decisions/document-readers.md). Nothing is calculated,
executed or followed: formulas show their stored value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from shared.documents.containers.xml import Element, elements, local, parse
from shared.documents.containers.zip_package import Package, Relation, related
from shared.documents.flow.embedded_pictures import unread_pictures
from shared.documents.model.cells import MAX_COLUMNS, MAX_ROWS, letters
from shared.documents.model.formats import XLSX
from shared.documents.model.parsed_document import Limits, ParsedDocument
from shared.documents.model.table_builder import Field, in_one_line
from shared.documents.spreadsheets.number_formats import (
    BUILT_IN,
    GENERAL,
    NumberFormat,
    number_format,
)
from shared.documents.spreadsheets.sheet_reader import SheetReader
from shared.errors import UnreadableDocument

MAX_UNPACKED = 1_000_000_000
"""Total unpacked bytes of the parts of one workbook."""

_ADDRESS = re.compile(r"\$?([A-Z]{1,3})\$?([1-9]\d{0,6})")
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_NAN = float("nan")
_TRUE = ("1", "true", "on")
_MOST_MERGED = 100_000
_SHOWN = 3


def read_workbook(
    data: bytes,
    limits: Limits,
    skip: Collection[int] = (),
    progress: Callable[[int], None] | None = None,
) -> ParsedDocument:
    """Return a workbook as text; `skip` and `progress` are as for `SheetReader.parse`.

    Raises UnreadableDocument or a subclass.
    """
    package = Package(data, MAX_UNPACKED)
    book = _Book.of(package)
    reader = _Reader(package, book, limits)
    parsed = reader.parse(XLSX, skip, progress, book.metadata)
    return replace(parsed, warnings=(*parsed.warnings, *unread_pictures(package, "xl/media/")))


def _root(package: Package, name: str) -> Element:
    return parse(package.chunks(name))


def _any_below(package: Package, folder: str) -> bool:
    return any(name.lower().startswith(folder) for name in package.names())


@dataclass(frozen=True)
class _Sheet:
    """One sheet: its name, the part with its cells, and whether it is hidden."""

    name: str
    cells: Relation
    hidden: bool


@dataclass
class _Book:
    sheets: list[_Sheet] = field(default_factory=list)
    strings: list[str] = field(default_factory=list)
    formats: list[NumberFormat] = field(default_factory=list)
    since_1904: bool = False
    warnings: list[str] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, package: Package) -> _Book:
        """Read everything except the sheets. Raises UnreadableDocument if there are none."""
        top = {relation.kind: relation.part for relation in related(package, "")}
        name = top.get("officeDocument", "xl/workbook.xml")
        root = _root(package, name)
        relations = {relation.id: relation for relation in related(package, name)}
        book = cls(sheets=[_sheet(element, relations) for element in _all(root, "sheet")])
        if not book.sheets:
            raise UnreadableDocument("the workbook has no sheets")
        book.since_1904 = any(_true(e.get("date1904")) for e in _all(root, "workbookPr"))
        paths = {relation.kind: relation.part for relation in relations.values()}
        book._read_styles(package, paths.get("styles", ""))
        if paths.get("sharedStrings", "") in package:
            strings = elements(package.chunks(paths["sharedStrings"]), ("si",))
            book.strings = [_text(element) for element in strings]
        if "core-properties" in top:
            book._read_metadata(package, top["core-properties"])
        if _any_below(package, "xl/externallinks/"):
            book.warnings.append(
                "the workbook has links to other files: they are not followed, "
                "their stored values are shown"
            )
        if _any_below(package, "xl/vbaproject"):
            book.warnings.append("the workbook has macros: they are not run")
        return book

    def _read_styles(self, package: Package, name: str) -> None:
        """Read number formats by style index; damage costs only the formats."""
        if name not in package:
            return
        try:
            root = _root(package, name)
        except UnreadableDocument as error:
            self.warnings.append(f"numbers are shown without their formats: {error.message}")
            return
        own = {e.get("numFmtId", ""): e.get("formatCode", "") for e in _all(root, "numFmt")}
        for styles in _all(root, "cellXfs"):
            for style in _all(styles, "xf"):
                key = style.get("numFmtId", "0")
                built_in = BUILT_IN.get(_integer(key, 0), GENERAL)
                self.formats.append(number_format(own.get(key) or built_in))

    def _read_metadata(self, package: Package, name: str) -> None:
        try:
            root = _root(package, name)
        except UnreadableDocument:
            return  # optional
        names = {"title": "title", "creator": "author", "subject": "subject"}
        for element in root:
            value = in_one_line("".join(element.itertext()))[:500]
            if value and local(element) in names:
                self.metadata[names[local(element)]] = value


def _all(root: Element, name: str) -> Iterator[Element]:
    return (element for element in root.iter() if local(element) == name)


def _sheet(element: Element, relations: dict[str, Relation]) -> _Sheet:
    key = next((v for k, v in element.attrib.items() if str(k).endswith("}id")), "")
    cells = relations.get(str(key), Relation("", "", "", False))
    hidden = element.get("state", "visible") != "visible"
    return _Sheet(in_one_line(element.get("name", "")), cells, hidden)


def _true(value: str | None) -> bool:
    return (value or "").strip().lower() in _TRUE


def _text(element: Element) -> str:
    """Return the text of a string with its runs, without phonetic hints."""
    pieces = []
    for part in element:
        name = local(part)
        if name == "t":
            pieces.append(part.text or "")
        elif name == "r":
            pieces += [piece.text or "" for piece in part if local(piece) == "t"]
    text = "".join(pieces)
    if "_x" in text:
        text = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)
    return in_one_line(text)


@dataclass
class _SheetNotes:
    """Facts about a sheet for its warnings."""

    uncalculated: int = 0
    first_uncalculated: list[str] = field(default_factory=list)
    lost: int = 0
    outside: int = 0
    hidden_rows: int = 0
    hidden_columns: set[int] = field(default_factory=set)

    def formula_without_value(self, address: str) -> None:
        self.uncalculated += 1
        if len(self.first_uncalculated) < _SHOWN:
            self.first_uncalculated.append(address)

    def warnings(self, sheet: _Sheet) -> Iterator[str]:
        name = sheet.name
        if sheet.hidden:
            yield f"the sheet {name} is hidden: it was read as well"
        if self.hidden_rows:
            yield f"{name}: {_count(self.hidden_rows, 'hidden row')} read as well"
        if self.hidden_columns:
            yield f"{name}: {_count(len(self.hidden_columns), 'hidden column')} read as well"
        if self.uncalculated:
            where = ", ".join(self.first_uncalculated)
            more = ", …" if self.uncalculated > len(self.first_uncalculated) else ""
            yield (
                f"{name}: {_count(self.uncalculated, 'formula')} without a stored value "
                f"({where}{more}): open it in a spreadsheet program and save it"
            )
        if self.lost:
            yield f"{name}: {_count(self.lost, 'cell')} whose text is missing in the workbook"
        if self.outside:
            yield f"{name}: {_count(self.outside, 'cell')} outside the size of a sheet"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


class _Tags(NamedTuple):
    """Tag names within a cell, with the namespace of its sheet."""

    value: str
    formula: str
    string: str


class _Reader(SheetReader):
    def __init__(self, package: Package, book: _Book, limits: Limits) -> None:
        super().__init__("xlsx", [sheet.name for sheet in book.sheets], limits)
        self.warnings += book.warnings
        self._package = package
        self._book = book
        self._columns: dict[str, int] = {}

    def read_sheet(self, number: int) -> None:
        """See SheetReader. A chart is a sheet without cells."""
        sheet, notes = self._book.sheets[number - 1], _SheetNotes()
        if sheet.cells.kind in ("chartsheet", "dialogsheet", "xlMacrosheet"):
            self.warnings.append(f"the sheet {sheet.name} has no cells: it is a {sheet.cells.kind}")
        else:
            self._read_rows(number, sheet, notes)
        self.warnings += notes.warnings(sheet)

    def _read_rows(self, number: int, sheet: _Sheet, notes: _SheetNotes) -> None:
        if sheet.cells.outside:
            raise UnreadableDocument("it is in another file, which is not opened")
        first = len(self.draft.row)
        hidden = bytearray(MAX_COLUMNS + 1)
        merged: dict[tuple[int, int], tuple[int, int]] = {}
        row, last, lines = 0, 0, 0
        chunks = self._package.chunks(sheet.cells.part)
        for element in elements(chunks, ("col", "row", "mergeCell")):
            name = local(element)
            if name == "col":
                _note_hidden(element, hidden)
                continue
            if name == "mergeCell":
                _note_merged(element, merged)
                continue
            lines += 1
            self.check_limits(lines)
            row = _integer(element.get("r"), row + 1)
            fields = list(self._fields(element, row, hidden, notes))
            if fields:
                notes.hidden_rows += _true(element.get("hidden"))
                self.add_line(number, row, last, fields)
                last = row
        self.draft.merge(first, merged)

    def _fields(
        self, element: Element, row: int, hidden: bytearray, notes: _SheetNotes
    ) -> Iterator[Field]:
        """Yield the cells of a row that have text."""
        space = element.tag[: -len("row")]
        tags = _Tags(f"{space}v", f"{space}f", f"{space}is")
        column = 0
        for cell in element.findall(f"{space}c"):
            column = self._column(cell.get("r"), column + 1)
            if not (1 <= row <= MAX_ROWS and 1 <= column <= MAX_COLUMNS):
                notes.outside += 1
                continue
            text, value = self._content(cell, tags, row, column, notes)
            if text:
                if hidden[column]:
                    notes.hidden_columns.add(column)
                yield column, text, value

    def _column(self, address: str | None, following: int) -> int:
        if not address:
            return following
        name = address.rstrip("0123456789")
        number = self._columns.get(name)
        if number is None:
            match = _ADDRESS.fullmatch(f"{name}1")
            number = self._columns[name] = _number_of(match[1]) if match else 0
        return number

    def _content(
        self, cell: Element, tags: _Tags, row: int, column: int, notes: _SheetNotes
    ) -> tuple[str, float]:
        """Return the text of a cell, and its number or NaN."""
        kind = cell.get("t", "n")
        stored = cell.findtext(tags.value)
        if not stored:
            if kind == "inlineStr" and (string := cell.find(tags.string)) is not None:
                return _text(string), _NAN
            if cell.find(tags.formula) is not None and (stored is None or kind != "str"):
                notes.formula_without_value(f"{letters(column)}{row}")
            return "", _NAN
        if kind == "n":
            return self._shown(stored, cell.get("s"))
        if kind == "s":
            return self._shared(stored, notes), _NAN
        if kind == "b":
            return ("TRUE" if _true(stored) else "FALSE"), _NAN
        return in_one_line(stored), _NAN

    def _shared(self, index: str, notes: _SheetNotes) -> str:
        position = _integer(index, -1)
        if 0 <= position < len(self._book.strings):
            return self._book.strings[position]
        notes.lost += 1
        return ""

    def _shown(self, stored: str, style: str | None) -> tuple[str, float]:
        """Format a number as its cell shows it; other text stays unchanged."""
        try:
            value = float(stored)
        except ValueError:
            return in_one_line(stored), _NAN
        formats = self._book.formats
        index = _integer(style, 0)
        form = formats[index] if index < len(formats) else number_format(GENERAL)
        return form.show(value, since_1904=self._book.since_1904), value


def _integer(text: str | None, otherwise: int) -> int:
    """Parse an integer of at most ten digits; some programs write rows as `7.0`."""
    text = (text or "").strip().removesuffix(".0")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 10 else otherwise


def _number_of(name: str) -> int:
    number = 0
    for letter in name:
        number = 26 * number + ord(letter) - 64
    return number


def _note_hidden(element: Element, hidden: bytearray) -> None:
    if _true(element.get("hidden")):
        first, last = _integer(element.get("min"), 0), _integer(element.get("max"), 0)
        for column in range(max(1, first), min(last, MAX_COLUMNS) + 1):
            hidden[column] = 1


def _note_merged(element: Element, merged: dict[tuple[int, int], tuple[int, int]]) -> None:
    first, _, last = element.get("ref", "").partition(":")
    start, end = _ADDRESS.fullmatch(first), _ADDRESS.fullmatch(last)
    if start and end and len(merged) < _MOST_MERGED:
        row, column = int(start[2]), _number_of(start[1])
        rows, columns = int(end[2]) - row + 1, _number_of(end[1]) - column + 1
        if 1 <= rows <= MAX_ROWS and 1 <= columns <= MAX_COLUMNS:
            merged[row, column] = (rows, columns)
