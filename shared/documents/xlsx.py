"""Excel workbooks (XLSX, XLSM): each sheet a page, its rows as lines, its cells with their places.

Read as a stream, straight from the XML of ECMA-376, because only there a cell has all that a person
sees of it: its number format, whether a formula was ever calculated, whether its row is hidden
(see infra/decisions for what was measured). Nothing is calculated, run or followed: of a formula
counts the value that was stored with it, and links to other files stay what they are.
"""

from __future__ import annotations

import posixpath
import re
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from shared.documents.cells import MAX_COLUMNS, MAX_ROWS, letters
from shared.documents.drafting import Draft, Field, in_one_line
from shared.documents.inlaid import not_read
from shared.documents.number_formats import BUILT_IN, GENERAL, NumberFormat, number_format
from shared.documents.package import XLSX, Package
from shared.documents.reading import FailedPage, Limits, Page, Reading, no_boxes
from shared.documents.xml import Element, elements, local, parse
from shared.errors import (
    DocumentTooLarge,
    EmptyDocument,
    UnreadableDocument,
)

MAX_UNPACKED = 1_000_000_000
"""Bytes that the parts of one workbook may unpack to, together."""

_RELATION = re.compile(r"[\w-]+$")
_ADDRESS = re.compile(r"\$?([A-Z]{1,3})\$?([1-9]\d{0,6})")
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_NAN = float("nan")
_TRUE = ("1", "true", "on")
_CHECK_EVERY = 1000
_MOST_MERGED = 100_000
_SHOWN = 3


def read_workbook(
    data: bytes,
    limits: Limits,
    skip: Collection[int] = (),
    progress: Callable[[int], None] | None = None,
) -> Reading:
    """A workbook as a reading; a sheet that can't be read is a failed page.

    Sheets in `skip` (from 1) are not touched and become failed pages; `progress` is called with the
    number of each before it is read. Raises the UnreadableDocument that fits.
    """
    package = Package(data, MAX_UNPACKED)
    book = _Book.of(package)
    if len(book.sheets) > limits.max_pages:
        raise DocumentTooLarge(
            f"the workbook has {len(book.sheets):,} sheets: at most {limits.max_pages:,} are read"
        )
    return _Reader(package, book, limits).reading(skip, progress)


# ---------------------------------------------------------------- the package


def _root(package: Package, name: str) -> Element:
    return parse(package.chunks(name))


def _related(package: Package, name: str) -> Iterator[tuple[str, str, str, bool]]:
    """What a part (or "" for the package) points to: id, kind, target, whether outside."""
    folder, file = posixpath.split(name)
    listed = posixpath.join(folder, "_rels", f"{file}.rels")
    for relation in _root(package, listed) if listed in package else ():
        kind = _RELATION.search(relation.get("Type", ""))
        target = relation.get("Target", "")
        path = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
        outside = relation.get("TargetMode") == "External"
        yield relation.get("Id", ""), kind[0] if kind else "", path, outside


def _any_below(package: Package, folder: str) -> bool:
    return any(name.lower().startswith(folder) for name in package.names())


# ---------------------------------------------------------------- the book


@dataclass(frozen=True)
class _Sheet:
    """One sheet by name, where its cells are, and whether a person has to look for it."""

    name: str
    part: str
    kind: str
    hidden: bool
    outside: bool


@dataclass
class _Book:
    """What the whole workbook says about its sheets."""

    sheets: list[_Sheet] = field(default_factory=list)
    strings: list[str] = field(default_factory=list)
    formats: list[NumberFormat] = field(default_factory=list)
    since_1904: bool = False
    warnings: list[str] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, package: Package) -> _Book:
        """Read everything but the sheets. Raises UnreadableDocument if there are none."""
        top = {kind: path for _, kind, path, _ in _related(package, "")}
        name = top.get("officeDocument", "xl/workbook.xml")
        root = _root(package, name)
        related = {key: (kind, path, out) for key, kind, path, out in _related(package, name)}
        book = cls(sheets=[_sheet(element, related) for element in _all(root, "sheet")])
        if not book.sheets:
            raise UnreadableDocument("the workbook has no sheets")
        book.since_1904 = any(_true(e.get("date1904")) for e in _all(root, "workbookPr"))
        paths = {kind: path for kind, path, _ in related.values()}
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
        """Number formats by index of style; a damaged list of them costs no cell."""
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
                built_in = BUILT_IN.get(_whole(key, 0), GENERAL)
                self.formats.append(number_format(own.get(key) or built_in))

    def _read_metadata(self, package: Package, name: str) -> None:
        try:
            root = _root(package, name)
        except UnreadableDocument:
            return  # nothing that anybody would miss
        names = {"title": "title", "creator": "author", "subject": "subject"}
        for element in root:
            value = in_one_line("".join(element.itertext()))[:500]
            if value and local(element) in names:
                self.metadata[names[local(element)]] = value


def _all(root: Element, name: str) -> Iterator[Element]:
    return (element for element in root.iter() if local(element) == name)


def _sheet(element: Element, related: dict[str, tuple[str, str, bool]]) -> _Sheet:
    key = next((v for k, v in element.attrib.items() if str(k).endswith("}id")), "")
    kind, part, outside = related.get(str(key), ("", "", False))
    hidden = element.get("state", "visible") != "visible"
    return _Sheet(in_one_line(element.get("name", "")), part, kind, hidden, outside)


def _true(value: str | None) -> bool:
    return (value or "").strip().lower() in _TRUE


def _text(element: Element) -> str:
    """The text of a string with its runs, without what only says how to pronounce it."""
    pieces = []
    for part in element:
        name = local(part)
        if name == "t":
            pieces.append(part.text or "")
        elif name == "r":
            pieces += [piece.text or "" for piece in part if local(piece) == "t"]
    text = "".join(pieces)
    if "_x" in text:
        text = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
    return in_one_line(text)


# ---------------------------------------------------------------- the sheets


@dataclass
class _Seen:
    """What a sheet has that a person should know of: how often, and where first."""

    uncalculated: int = 0
    first_uncalculated: list[str] = field(default_factory=list)
    lost: int = 0
    outside: int = 0
    hidden_rows: int = 0
    hidden_columns: set[int] = field(default_factory=set)

    def formula_without_value(self, address: str) -> None:
        """One more, at that address."""
        self.uncalculated += 1
        if len(self.first_uncalculated) < _SHOWN:
            self.first_uncalculated.append(address)

    def warnings(self, sheet: _Sheet) -> Iterator[str]:
        """A sentence for each."""
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
            yield f"{name}: {_count(self.outside, 'cell')} outside of what a sheet can hold"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


class _Tags(NamedTuple):
    """The names of what is in a cell, with the namespace of its sheet."""

    value: str
    formula: str
    string: str


class _Reader:
    """Reads the sheets of one book into one text."""

    def __init__(self, package: Package, book: _Book, limits: Limits) -> None:
        self._package = package
        self._book = book
        self._limits = limits
        self._deadline = time.monotonic() + 0.8 * limits.seconds
        self._draft = Draft()
        self._columns: dict[str, int] = {}

    def reading(self, skip: Collection[int], progress: Callable[[int], None] | None) -> Reading:
        pages: list[Page] = []
        failed: list[FailedPage] = []
        warnings = list(self._book.warnings)
        for number, sheet in enumerate(self._book.sheets, 1):
            if number in skip:
                failed.append(FailedPage(number, "crashed", "reading this sheet ended the reader"))
                continue
            if progress:
                progress(number)
            page = self._page(number, sheet, warnings)
            (pages if isinstance(page, Page) else failed).append(page)  # type: ignore[arg-type]
        _refuse_nothing(self._draft.length, failed)
        warnings += not_read(self._package, "xl/media/")
        return Reading(
            text=self._draft.text,
            pages=tuple(pages),
            boxes=no_boxes(self._draft.length),
            page_count=len(pages) + len(failed),
            failed=tuple(failed),
            warnings=tuple(warnings),
            media_type=XLSX,
            metadata=self._book.metadata,
            cells=self._draft.cells(),
        )

    def _page(self, number: int, sheet: _Sheet, warnings: list[str]) -> Page | FailedPage:
        """One sheet, or why there is nothing of it; a chart is a sheet without cells."""
        mark = self._draft.mark()
        if self._draft.length:
            self._draft.add("\n\n")
        start = self._draft.length
        seen = _Seen()
        try:
            if sheet.kind in ("chartsheet", "dialogsheet", "xlMacrosheet"):
                warnings.append(f"the sheet {sheet.name} has no cells: it is a {sheet.kind}")
            else:
                self._read_sheet(number, sheet, seen)
        except TimeoutError:
            self._draft.rollback(mark)
            return FailedPage(number, "timeout", "the time for this document was up")
        except DocumentTooLarge:
            raise
        except UnreadableDocument as error:
            self._draft.rollback(mark)
            reason = f"the sheet {sheet.name}: {error.message}"
            return FailedPage(number, "unreadable_sheet", reason)
        warnings += seen.warnings(sheet)
        if self._draft.length == start:
            self._draft.rollback(mark)
            start = self._draft.length
        return Page(number, start, self._draft.length, 0.0, 0.0, method="xlsx", name=sheet.name)

    def _read_sheet(self, number: int, sheet: _Sheet, seen: _Seen) -> None:
        if sheet.outside:
            raise UnreadableDocument("it lies in another file, which is not opened")
        first = len(self._draft.row)
        hidden = bytearray(MAX_COLUMNS + 1)
        merged: dict[tuple[int, int], tuple[int, int]] = {}
        row, last, lines = 0, 0, 0
        chunks = self._package.chunks(sheet.part)
        for element in elements(chunks, ("col", "row", "mergeCell")):
            name = local(element)
            if name == "col":
                _note_hidden(element, hidden)
                continue
            if name == "mergeCell":
                _note_merged(element, merged)
                continue
            lines += 1
            self._check(lines)
            row = _whole(element.get("r"), row + 1)
            fields = list(self._fields(element, row, hidden, seen))
            if not fields:
                continue
            if last:
                self._draft.add("\n" if row == last + 1 else "\n\n")
            seen.hidden_rows += _true(element.get("hidden"))
            self._draft.add_row(number, row, fields)
            last = row
        self._draft.merge(first, merged)

    def _check(self, lines: int) -> None:
        if lines % _CHECK_EVERY == 0 and time.monotonic() > self._deadline:
            raise TimeoutError
        if self._draft.length > self._limits.max_plain_text:
            raise DocumentTooLarge(
                f"the workbook has more than {self._limits.max_plain_text:,} characters"
            )

    def _fields(
        self, element: Element, row: int, hidden: bytearray, seen: _Seen
    ) -> Iterator[Field]:
        """The cells of a row that have text."""
        space = element.tag[: -len("row")]
        tags = _Tags(f"{space}v", f"{space}f", f"{space}is")
        column = 0
        for cell in element.findall(f"{space}c"):
            column = self._column(cell.get("r"), column + 1)
            if not (1 <= row <= MAX_ROWS and 1 <= column <= MAX_COLUMNS):
                seen.outside += 1
                continue
            text, value = self._content(cell, tags, row, column, seen)
            if text:
                if hidden[column]:
                    seen.hidden_columns.add(column)
                yield column, text, value

    def _column(self, address: str | None, following: int) -> int:
        if not address:
            return following
        name = address.rstrip("0123456789")
        number = self._columns.get(name)
        if number is None:
            found = _ADDRESS.fullmatch(f"{name}1")
            number = self._columns[name] = _number_of(found[1]) if found else 0
        return number

    def _content(
        self, cell: Element, tags: _Tags, row: int, column: int, seen: _Seen
    ) -> tuple[str, float]:
        """What a cell shows, and the number behind it or NaN."""
        kind = cell.get("t", "n")
        stored = cell.findtext(tags.value)
        if not stored:
            if kind == "inlineStr" and (string := cell.find(tags.string)) is not None:
                return _text(string), _NAN
            if cell.find(tags.formula) is not None and (stored is None or kind != "str"):
                seen.formula_without_value(f"{letters(column)}{row}")
            return "", _NAN
        if kind == "n":
            return self._shown(stored, cell.get("s"))
        if kind == "s":
            return self._shared(stored, seen), _NAN
        if kind == "b":
            return ("TRUE" if _true(stored) else "FALSE"), _NAN
        return in_one_line(stored), _NAN

    def _shared(self, index: str, seen: _Seen) -> str:
        place = _whole(index, -1)
        if 0 <= place < len(self._book.strings):
            return self._book.strings[place]
        seen.lost += 1
        return ""

    def _shown(self, stored: str, style: str | None) -> tuple[str, float]:
        """A number in its cell's format; what is no number after all stays as it is."""
        try:
            value = float(stored)
        except ValueError:
            return in_one_line(stored), _NAN
        formats = self._book.formats
        index = _whole(style, 0)
        form = formats[index] if index < len(formats) else number_format(GENERAL)
        return form.show(value, since_1904=self._book.since_1904), value


def _whole(text: str | None, otherwise: int) -> int:
    """A whole number of at most ten digits; some programs write rows as `7.0`."""
    text = (text or "").strip().removesuffix(".0")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 10 else otherwise


def _number_of(name: str) -> int:
    number = 0
    for letter in name:
        number = 26 * number + ord(letter) - 64
    return number


def _note_hidden(element: Element, hidden: bytearray) -> None:
    if _true(element.get("hidden")):
        first, last = _whole(element.get("min"), 0), _whole(element.get("max"), 0)
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


def _refuse_nothing(length: int, failed: list[FailedPage]) -> None:
    if length:
        return
    if failed:
        raise UnreadableDocument(f"no sheet can be read; the first says: {failed[0].reason}")
    raise EmptyDocument("the workbook has no cell with a value in it")
