"""ODT: the text as a word processor shows it with all tracked changes accepted.

Read from its XML like DOCX; docs/explanation/decisions/document-readers.md compares libraries.
Elements are those of OpenDocument 1.3, part 3.

Numbers of lists and headings are computed. Notes, headers, tables, boxes, changes and pages are as
in DOCX (`docx.py`). A soft page break is one of the program's last layout.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from shared.documents.containers.xml import Element, below, blocks
from shared.documents.flow.flow import (
    HARD,
    SOFT,
    Flow,
    Piece,
    TableCell,
    labelled,
    plain,
    stacked,
    without_marks,
)
from shared.documents.flow.numerals import numeral
from shared.documents.flow.symbol_fonts import from_symbols
from shared.documents.model.formats import ODT
from shared.documents.model.parsed_document import Limits, ParsedDocument
from shared.documents.office.package_reader import Body, PackageReader, first_given, metadata_of
from shared.documents.pages.scanned_pages import Scans
from shared.errors import EncryptedDocument, UnreadableDocument

_PARENTS = frozenset(["office:automatic-styles", "office:text"])
_METADATA = {
    "dc:title": "title",
    "meta:initial-creator": "author",
    "dc:subject": "subject",
    "meta:keyword": "keywords",
    "meta:generator": "creator",
}
_SILENT = frozenset(
    [
        *("office:annotation-end", "office:forms", "svg:desc", "svg:title", "text:bookmark"),
        *("text:alphabetical-index-source", "text:bibliography-source", "text:ruby-text"),
        *("text:script", "text:sequence-decls", "text:table-of-content-source"),
        *("text:tracked-changes", "text:user-field-decls", "text:variable-decls"),
        *("text:dde-connection-decls", "text:illustration-index-source", "text:note-citation"),
        *("text:object-index-source", "text:table-index-source", "text:user-index-source"),
        *("table:table-column", "table:table-columns", "table:table-header-columns"),
        *("text:hidden-text", "office:event-listeners", "draw:glue-point", "form:form"),
    ]
)
_OBJECTS = ("draw:object", "draw:object-ole")
_FORMATS = {"1": "decimal", "a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman"}
_FORMATS["I"] = "upperRoman"
_WHITE = re.compile("[ \t\n\r]+")
_LEVEL = re.compile(r"%(\d{1,2})%")
_MOST_REPEATED = 1_000  # repetitions of a cell, a row or a space
_LEVELS = 10


def read_odt(
    data: bytes, limits: Limits, scans: Scans, skip: Collection[int] = ()
) -> ParsedDocument:
    """Return the text of an ODT with pages, cells and warnings, without boxes.

    A page follows for each picture in which `scans` recognises text, except those numbered in
    `skip`. If the body is damaged, the text before the damage is kept and a failed page follows.

    Raises:
        EncryptedDocument: it has a password.
        NoTextLayer: there are only pictures without text.
        UnreadableDocument: or a subclass that fits.
    """
    return _Document(data, limits).parse(scans, skip)


@dataclass(frozen=True)
class _Style:
    """The properties of a style that affect the text; None if its parent decides."""

    parent: str = ""
    hidden: bool | None = None
    list_style: str | None = None
    breaks_before: bool | None = None
    breaks_after: bool | None = None
    master: str = ""  # page style that begins with the paragraph


@dataclass(frozen=True)
class _Level:
    """One level of a list or of the headings."""

    format: str = ""
    prefix: str = ""
    suffix: str = ""
    pattern: str = ""
    shown: int = 1  # levels in the number
    start: int = 1
    bullet: str = ""
    gap: str = " "


@dataclass
class _List:
    """The counters of one list by level, from 1."""

    style: str
    counts: dict[int, int] = field(default_factory=dict)


class _Item(NamedTuple):
    """The list item that a paragraph begins."""

    of: _List
    level: int
    start: int | None


class _Styles:
    """The styles of the document by family and name, and its list styles."""

    def __init__(self) -> None:
        self._styles: dict[tuple[str, str], _Style] = {}
        self._resolved: dict[tuple[str, str], _Style] = {}
        self._lists: dict[str, dict[int, _Level]] = {}
        self.outline: dict[int, _Level] = {}

    def add(self, element: Element) -> None:
        """Add a style, a list style or the outline."""
        name = element.get("style:name", "")
        if element.tag == "style:style":
            self._styles[element.get("style:family", ""), name] = _style(element)
            self._resolved.clear()
        elif element.tag == "text:list-style":
            self._lists[name] = _levels(element)
        elif element.tag == "text:outline-style":
            self.outline = _levels(element)

    def get(self, family: str, name: str | None) -> _Style:
        """Return a style with inherited properties."""
        key = (family, name or "")
        if key not in self._resolved:
            self._resolved[key] = self._with_parents(family, name or "")
        return self._resolved[key]

    def _with_parents(self, family: str, name: str) -> _Style:
        chain: list[_Style] = []
        seen: set[str] = set()
        while (family, name) in self._styles and name not in seen:
            seen.add(name)
            chain.append(self._styles[family, name])
            name = chain[-1].parent
        return _Style(
            "",
            first_given(style.hidden for style in chain),
            first_given(style.list_style for style in chain),
            first_given(style.breaks_before for style in chain),
            first_given(style.breaks_after for style in chain),
            next((style.master for style in chain if style.master), ""),
        )

    def levels(self, name: str) -> Mapping[int, _Level]:
        return self._lists.get(name, {})


class _Document(PackageReader):
    def __init__(self, data: bytes, limits: Limits) -> None:
        super().__init__(data, limits)
        self._styles = _Styles()
        self._masters: dict[str, Element] = {}
        self._shown: set[str] = set()  # page styles whose headers were added
        manifest = self._part("META-INF/manifest.xml", "list of parts")
        if manifest is not None and any(True for _ in manifest.iter("manifest:encryption-data")):
            raise EncryptedDocument(
                "the document is an encrypted ODT: open it with its password and save it "
                "without one"
            )
        styles = self._part("styles.xml", "styles: list numbers and hidden text may be wrong")
        for element in styles.iter() if styles is not None else ():
            if element.tag == "style:master-page":
                self._masters[element.get("style:name", "")] = element
            else:
                self._styles.add(element)

    def parse(self, scans: Scans, skip: Collection[int]) -> ParsedDocument:
        body = _OdtBody(self._styles, self._flow, is_main=True)
        damage = None
        try:
            for piece in body.pieces(self._body()):
                self._begin_pages(body)
                self._flow.add(piece)
        except UnreadableDocument as error:
            damage = error
        macros = any(re.match(r"/?(Basic|Scripts)/", name) for name in self._package.names())
        self._flow.unshown.counts["macros"] += macros
        metadata = metadata_of(self._part("meta.xml", "metadata"), _METADATA)
        return self._finished((ODT, "odt"), body, damage, metadata, scans, skip)

    def _body(self) -> Iterator[Element]:
        """Yield the blocks of the body; process the styles and changes before them."""
        for parent, element in blocks(self._package.chunks("content.xml"), _PARENTS):
            if parent == "office:automatic-styles":
                self._styles.add(element)
            elif element.tag == "text:tracked-changes":
                self._note_changes(element)
            else:
                yield element

    def _note_changes(self, element: Element) -> None:
        for region in element.iter("text:changed-region"):
            for tag, kind in (("text:insertion", "insertion"), ("text:deletion", "deletion")):
                if region.find(tag) is not None:
                    self._flow.unshown.counts[kind] += 1

    def _begin_pages(self, story: _OdtBody) -> None:
        """Add footers of the page style that ends, and headers of the one that begins."""
        name = story.master or next(iter(self._masters), "")
        story.master = ""
        if self._shown and not name:
            return
        chain: list[str] = []
        while name in self._masters and name not in chain and name not in self._shown:
            chain.append(name)
            name = self._masters[name].get("style:next-style-name", "")
        if not chain:
            return
        self._flow.add_footers()
        self._shown.update(chain)
        for piece in self._running_texts(chain, "header"):
            self._flow.add(piece, furniture=True)
        self._flow.footers = list(self._running_texts(chain, "footer"))

    def _running_texts(self, masters: Iterable[str], kind: str) -> Iterator[Piece]:
        for master in masters:
            for element in self._masters[master]:
                displayed = element.get("style:display") != "false"
                if element.tag.startswith(f"style:{kind}") and displayed:
                    body = _OdtBody(self._styles, self._flow)
                    yield from self._flow.running(body.pieces(element))


class _OdtBody(Body):
    """Reads one body: the main text, a note, a header or a text box."""

    def __init__(self, styles: _Styles, flow: Flow, *, is_main: bool = False) -> None:
        super().__init__(flow)
        self.master = ""  # page style that begins with the next piece
        self._styles = styles
        self._is_main = is_main
        self._item: _Item | None = None
        self._lists: dict[str, _List] = {}
        self._last_of_style: dict[str, _List] = {}
        self._headings: dict[int, int] = {}
        self._started = False
        self._break_due = False

    def pieces(self, elements: Iterable[Element]) -> Iterator[Piece]:
        for element in elements:
            tag = element.tag
            if tag in ("text:p", "text:h"):
                yield self._paragraph(element)
                yield from self._after_block()
            elif tag == "table:table":
                yield from self._table_block(element)
            elif tag == "text:list":
                yield from self._list(element, None, 1)
            elif tag == "text:soft-page-break":
                yield Piece(SOFT)
            elif tag == "text:section" and element.get("text:display") == "none":
                self._hide(element)
            elif tag.startswith("draw:"):
                self._inline(element)
                yield from self._after_block()
            elif tag not in _SILENT:
                yield from self.pieces(element)

    def _table_block(self, element: Element) -> Iterator[Piece]:
        lead = self._page_break(self._styles.get("table", element.get("table:style-name")))
        if lead:
            yield Piece(lead)
        yield self._table(element)
        yield from self._after_block()

    def _paragraph(self, element: Element) -> Piece:
        style = self._styles.get("paragraph", element.get("text:style-name"))
        lead = self._page_break(style)
        self._out = []
        self._hidden += bool(style.hidden)
        self._text(element)
        self._hidden -= bool(style.hidden)
        text = "".join(self._out).lstrip(" ")
        label = self._label(element, style) if text.strip() or not style.hidden else ""
        self._break_due = bool(style.breaks_after)
        if self._tables:
            text = text.replace("\t", " ")  # a tab ends a cell
        return labelled(label, lead + text)

    def _page_break(self, style: _Style) -> str:
        """Return a page mark if a new page begins, by its own style or that of the previous
        block.
        """
        breaks = style.breaks_before or self._break_due or bool(style.master and self._started)
        self._break_due = False
        if style.master and not self._tables:
            self.master = style.master
        started, self._started = self._started, True
        return HARD if breaks and (started or style.breaks_before) else ""

    def _text(self, element: Element) -> None:
        self._put_source(element.text)
        for child in element:
            self._inline(child)
            self._put_source(child.tail)

    def _put_source(self, text: str | None) -> None:
        """Add text of the file, whose white space is single."""
        if text:
            text = plain(_WHITE.sub(" ", text))
            if not self._hidden and self._out and self._out[-1].endswith(" "):
                text = text.removeprefix(" ")
            self._put(text)

    def _inline(self, element: Element) -> None:
        tag = element.tag
        if tag == "text:s":
            self._put(" " * _repeated(element.get("text:c")))
        elif tag == "text:tab":
            self._put("\t")
        elif tag == "text:line-break":
            self._put("\n")
        elif tag == "text:soft-page-break":
            self._out.append(SOFT)
        elif tag == "text:note":
            self._note(element)
        elif tag == "office:annotation":
            self._unshown.counts["comment"] += 1
        elif tag == "draw:text-box":
            self._box(element)
        elif tag == "draw:frame":
            self._frame(element)
        elif tag == "draw:image":
            self._picture(element)
        elif tag in _OBJECTS:
            self._unshown.counts["embedded object"] += 1
        elif tag in ("text:p", "text:h", "text:list", "table:table"):  # in a drawn shape
            self._boxes += self._apart([element])
        elif tag == "text:span":
            hidden = bool(self._styles.get("text", element.get("text:style-name")).hidden)
            self._hidden += hidden
            self._text(element)
            self._hidden -= hidden
        elif tag in ("text:conditional-text", "text:hidden-paragraph"):
            if element.get("text:is-hidden") != "true":
                self._text(element)
        elif tag not in _SILENT:
            self._text(element)

    def _frame(self, frame: Element) -> None:
        """Read a frame: the first form of a picture; none if there is an object."""
        shown = any(child.tag in _OBJECTS for child in frame)
        for child in frame:
            if child.tag != "draw:image":
                self._inline(child)
            elif not shown:
                self._picture(child)
                shown = True

    def _picture(self, image: Element) -> None:
        if not self._hidden:
            self.pictures.append(image.get("xlink:href", "").removeprefix("./"))

    def _hide(self, element: Element) -> None:
        self._unshown.counts["hidden character"] += sum(len(text) for text in element.itertext())

    def _box(self, element: Element) -> None:
        if not self._hidden:
            self._boxes += self._apart(element)

    def _apart(self, elements: Iterable[Element]) -> list[Piece]:
        body = _OdtBody(self._styles, self._flow)
        body.pictures = self.pictures
        return [without_marks(piece) for piece in body.pieces(elements)]

    def _note(self, element: Element) -> None:
        """Add a note's stored number in brackets; keep its text until it is due."""
        if self._hidden:
            return
        citation = element.find("text:note-citation")
        shown = plain((citation.text if citation is not None else "") or "").strip()
        mark = f"[{shown}]" if shown else ""
        self._out.append(mark)
        body = element.find("text:note-body")
        text = stacked(self._apart(body if body is not None else ())).text
        if text and self._is_main:
            is_end = element.get("text:note-class") == "endnote"
            (self.endnotes if is_end else self._footnotes).append(Piece(f"{mark} {text}".strip()))

    def _list(self, element: Element, around: _List | None, level: int) -> Iterator[Piece]:
        style = element.get("text:style-name") or (around.style if around else "")
        counting = self._counting(element, around, style)
        for item in element:
            if item.tag not in ("text:list-item", "text:list-header"):
                continue
            start = _integer(item.get("text:start-value"))
            numbered = item.tag == "text:list-item"
            self._item = _Item(counting, min(level, _LEVELS), start) if numbered else None
            for child in item:
                if child.tag == "text:list":
                    yield from self._list(child, counting, level + 1)
                else:
                    yield from self.pieces([child])
            self._item = None

    def _counting(self, element: Element, around: _List | None, style: str) -> _List:
        """Return the counters: of the surrounding list, of a list that continues, or new ones."""
        if around is not None and style == around.style:
            return around
        counting = self._lists.get(element.get("text:continue-list", ""))
        if counting is None and element.get("text:continue-numbering") == "true":
            counting = self._last_of_style.get(style)
        counting = counting or _List(style)
        counting.style = style
        self._lists[element.get("xml:id", "")] = counting
        self._last_of_style[style] = counting
        return counting

    def _label(self, element: Element, style: _Style) -> str:
        item, self._item = self._item, None
        if item is not None:
            levels = self._styles.levels(item.of.style or style.list_style or "")
            return _count(item.of.counts, levels, item.level, item.start)
        if element.tag == "text:h" and style.list_style in (None, "Outline"):
            if element.get("text:is-list-header") == "true":
                return ""
            level = min(max(1, _integer(element.get("text:outline-level")) or 1), _LEVELS)
            start = _integer(element.get("text:start-value"))
            return _count(self._headings, self._styles.outline, level, start)
        return ""

    def _table(self, table: Element) -> Piece:
        self._tables += 1
        item, self._item = self._item, None
        rows: list[list[TableCell]] = []
        number = 0
        for row in _rows(table):
            number += 1
            if row.get("table:visibility") == "collapse":
                self._hide(row)
                continue
            rows.append(self._row(row, number))
            number += _repeated(row.get("table:number-rows-repeated")) - 1
        self._item = item
        self._tables -= 1
        return self._flow.table(rows)

    def _row(self, row: Element, number: int) -> list[TableCell]:
        cells: list[TableCell] = []
        column = 1
        for cell in row:
            repeated = _repeated(cell.get("table:number-columns-repeated"))
            if cell.tag == "table:table-cell":
                content = stacked(self.pieces(cell))
                rows = _repeated(cell.get("table:number-rows-spanned"))
                columns = _repeated(cell.get("table:number-columns-spanned"))
                cells.append(TableCell(content, number, column, rows, columns))
            column += repeated
        return cells


def _rows(table: Element) -> Iterator[Element]:
    for child in table:
        if child.tag == "table:table-row":
            yield child
        elif child.tag in ("table:table-rows", "table:table-header-rows", "table:table-row-group"):
            yield from _rows(child)


def _count(
    counts: dict[int, int], levels: Mapping[int, _Level], level: int, start: int | None
) -> str:
    """Count one paragraph; return its number with the gap behind."""
    for deeper in [other for other in counts if other > level]:
        del counts[deeper]
    for above in range(1, level):
        counts.setdefault(above, levels.get(above, _Level()).start)
    own = levels.get(level, _Level())
    if start is not None:
        counts[level] = start
    elif level in counts:
        counts[level] += 1
    else:
        counts[level] = own.start
    shown = own.bullet or _number(counts, levels, level, own)
    return f"{shown}{own.gap}" if shown.strip() else ""


def _number(
    counts: Mapping[int, int], levels: Mapping[int, _Level], level: int, own: _Level
) -> str:
    def part(of: int) -> str:
        name = levels.get(of, _Level()).format
        return numeral(counts[of], _FORMATS.get(name, "decimal")) if name and of in counts else ""

    if own.pattern:
        return _LEVEL.sub(lambda match: part(int(match[1])), own.pattern)
    if not own.format:
        return f"{own.prefix}{own.suffix}"
    parts = [part(of) for of in range(max(1, level - own.shown + 1), level + 1)]
    return f"{own.prefix}{'.'.join(p for p in parts if p)}{own.suffix}"


def _style(element: Element) -> _Style:
    text = element.find("style:text-properties")
    paragraph = element.find("style:paragraph-properties")
    table = element.find("style:table-properties")
    hidden = None if text is None else text.get("text:display")
    layout = paragraph if paragraph is not None else table
    before = None if layout is None else layout.get("fo:break-before")
    after = None if layout is None else layout.get("fo:break-after")
    return _Style(
        parent=element.get("style:parent-style-name", ""),
        hidden=None if hidden is None else hidden == "none",
        list_style=element.get("style:list-style-name"),
        breaks_before=None if before is None else before == "page",
        breaks_after=None if after is None else after == "page",
        master=element.get("style:master-page-name", ""),
    )


def _levels(element: Element) -> dict[int, _Level]:
    levels: dict[int, _Level] = {}
    for level in element:
        number = _integer(level.get("text:level"))
        if number is None or not 1 <= number <= _LEVELS:
            continue
        followed = below(level, "style:list-level-properties/style:list-level-label-alignment")
        nothing = followed is not None and followed.get("text:label-followed-by") == "nothing"
        start = _integer(level.get("text:start-value"))
        levels[number] = _Level(
            format=level.get("style:num-format", ""),
            prefix=plain(level.get("style:num-prefix", "")),
            suffix=plain(level.get("style:num-suffix", "")),
            pattern=plain(level.get("loext:num-list-format", "")),
            shown=min(max(1, _integer(level.get("text:display-levels")) or 1), _LEVELS),
            start=1 if start is None else start,
            bullet=from_symbols(plain(level.get("text:bullet-char", "")))[:10],
            gap="" if nothing else " ",
        )
    return levels


def _integer(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"\d{1,9}", text) else None


def _repeated(text: str | None) -> int:
    number = _integer(text)
    return 1 if number is None else min(max(1, number), _MOST_REPEATED)
