"""ODT: the text as a word processor shows it when every tracked change is accepted.

Read from its XML like DOCX (`package.py`, `markup.py`). odfpy is no longer kept; odfdo (Apache-2.0)
is, but knows list numbers only as stored labels, which LibreOffice does not store, reads deleted
text together with the rest, and has the whole document in memory. See
infra/decisions/0012-office-documents.md. Elements are those of OpenDocument 1.3, part 3.

Numbers of lists and headings are computed; notes, headers, tables, boxes, changes and pages are
shown as in DOCX (`docx.py`). A soft page break is where a program last laid one out.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

from shared.documents.flow import (
    HARD,
    SOFT,
    Flow,
    Piece,
    TableCell,
    joined,
    labelled,
    plain,
    without_marks,
)
from shared.documents.inlaid import of_pictures, with_pictures
from shared.documents.markup import below, blocks, tree
from shared.documents.numerals import numeral
from shared.documents.package import MOST_UNPACKED, ODT, Package
from shared.documents.reading import Limits, Reading
from shared.documents.scans import Scans
from shared.documents.symbols import from_symbols
from shared.documents.tally import Tally
from shared.documents.xml import Element
from shared.errors import DocumentTooLarge, EncryptedDocument, UnreadableDocument

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
_PLACE = re.compile(r"%(\d{1,2})%")
_MOST_REPEATED = 1_000  # times that a cell, a row or a space can stand for
_LEVELS = 10


def read_odt(
    data: bytes, limits: Limits, scans: Scans | None = None, skip: Collection[int] = ()
) -> Reading:
    """The text of an ODT with its pages, cells and warnings, without boxes; behind them a page for
    each picture that `scans` recognise text in, but for those that `skip` numbers.

    Raises EncryptedDocument for one with a password, NoTextLayer for one of pictures without text
    alone, or the UnreadableDocument that fits. Of one that is damaged within its body, what comes
    before is read and the rest is a failed page.
    """
    try:
        scans = scans or Scans(limits, None)
        return _Document(Package(data, MOST_UNPACKED), limits).reading(scans, skip)
    except RecursionError as error:
        raise UnreadableDocument("the document is nested too deeply") from error


@dataclass(frozen=True)
class _Style:
    """What of a style matters to the text; None where its parent decides."""

    parent: str = ""
    hidden: bool | None = None
    list_style: str | None = None
    breaks_before: bool | None = None
    breaks_after: bool | None = None
    master: str = ""  # of the page that begins with the paragraph


@dataclass(frozen=True)
class _Level:
    """One level of a list or of the headings."""

    format: str = ""
    prefix: str = ""
    suffix: str = ""
    pattern: str = ""
    shown: int = 1  # levels of which the number consists
    start: int = 1
    bullet: str = ""
    gap: str = " "


@dataclass
class _List:
    """How far one list has counted, by level from 1 on."""

    style: str
    counts: dict[int, int] = field(default_factory=dict)


class _Item(NamedTuple):
    """The item of a list that a paragraph begins."""

    of: _List
    level: int
    start: int | None


@dataclass
class _Cell:
    content: Piece
    row: int
    column: int
    rows: int
    columns: int


class _Styles:
    """The styles of the document by family and name, and its list styles."""

    def __init__(self) -> None:
        self._styles: dict[tuple[str, str], _Style] = {}
        self._resolved: dict[tuple[str, str], _Style] = {}
        self._lists: dict[str, dict[int, _Level]] = {}
        self.outline: dict[int, _Level] = {}

    def add(self, element: Element) -> None:
        """Take in a style, a list style or the outline."""
        name = element.get("style:name", "")
        if element.tag == "style:style":
            self._styles[element.get("style:family", ""), name] = _style(element)
            self._resolved.clear()
        elif element.tag == "text:list-style":
            self._lists[name] = _levels(element)
        elif element.tag == "text:outline-style":
            self.outline = _levels(element)

    def get(self, family: str, name: str | None) -> _Style:
        """A style with what its parents decide filled in. A circle of parents ends."""
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
        whole = _Style()
        for style in reversed(chain):
            whole = _Style(
                "",
                whole.hidden if style.hidden is None else style.hidden,
                whole.list_style if style.list_style is None else style.list_style,
                whole.breaks_before if style.breaks_before is None else style.breaks_before,
                whole.breaks_after if style.breaks_after is None else style.breaks_after,
                style.master or whole.master,
            )
        return whole

    def levels(self, name: str) -> Mapping[int, _Level]:
        """The levels of a list style."""
        return self._lists.get(name, {})


class _Document:
    """One ODT: its parts, its text in the making, and its page styles."""

    def __init__(self, package: Package, limits: Limits) -> None:
        self._package = package
        self._flow = Flow(limits)
        self._tally = Tally()
        self._styles = _Styles()
        self._masters: dict[str, Element] = {}
        self._shown: set[str] = set()  # page styles whose headers stand already
        self._running: set[str] = set()
        self._footers: list[Piece] = []
        self._refuse_encrypted()
        styles = self._part("styles.xml", "styles: list numbers and hidden text may be wrong")
        for element in styles.iter() if styles is not None else ():
            if element.tag == "style:master-page":
                self._masters[element.get("style:name", "")] = element
            else:
                self._styles.add(element)

    def _refuse_encrypted(self) -> None:
        manifest = self._part("META-INF/manifest.xml", "list of parts")
        if manifest is not None and any(True for _ in manifest.iter("manifest:encryption-data")):
            raise EncryptedDocument(
                "the document is an encrypted ODT: open it with its password and save it "
                "without one"
            )

    def _part(self, name: str, lost: str) -> Element | None:
        """A part beside the body; None if there is none, with a warning if it is damaged."""
        if name not in self._package:
            return None
        try:
            return tree(self._package.chunks(name))
        except DocumentTooLarge:
            raise
        except UnreadableDocument as error:
            self._flow.warn(f"the document has no readable {lost} ({error.message})")
            return None

    def reading(self, scans: Scans, skip: Collection[int]) -> Reading:
        """The whole document. Raises NoTextLayer, or the UnreadableDocument that fits."""
        story = _Story(self._styles, self._flow, self._tally, is_body=True)
        damage = None
        try:
            for piece in story.pieces(self._body()):
                self._begin_pages(story)
                self._flow.add(piece)
        except UnreadableDocument as error:
            if type(error) is not UnreadableDocument:
                raise
            damage = error.message
        for piece in story.endnotes:
            self._flow.add(piece)
        self._add_footers()
        macros = any(re.match(r"/?(Basic|Scripts)/", name) for name in self._package.names())
        self._tally.found["macros"] += macros
        self._tally.warn(self._flow)
        parts = dict.fromkeys(story.pictures)
        pictures = [partial(self._package.picture, part) for part in parts]
        limits, metadata = self._flow.limits, self._metadata()
        if self._flow.visible or damage or not pictures:
            own = self._flow.reading(ODT, "odt", metadata, damage)
            return with_pictures(own, pictures, scans, limits, skip)
        whole = of_pictures(self._flow.warnings, ODT, pictures, scans, limits, skip)
        return replace(whole, metadata=metadata)

    def _body(self) -> Iterator[Element]:
        """The blocks of the body; styles and changes, which come before them, are taken in."""
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
                    self._tally.found[kind] += 1

    def _begin_pages(self, story: _Story) -> None:
        """Headers of the page style that begins here, footers of the one that ends."""
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
        self._add_footers()
        self._shown.update(chain)
        for piece in self._running_texts(chain, "header"):
            self._flow.add(piece, furniture=True)
        self._footers = list(self._running_texts(chain, "footer"))

    def _running_texts(self, masters: Iterable[str], kind: str) -> Iterator[Piece]:
        for master in masters:
            for element in self._masters[master]:
                if not element.tag.startswith(f"style:{kind}"):
                    continue
                if element.get("style:display") == "false":
                    continue
                story = _Story(self._styles, self._flow, self._tally)
                text = without_marks(joined(story.pieces(element), lambda *_: "\n")).text
                if text and text not in self._running:
                    self._running.add(text)
                    yield Piece(text)

    def _add_footers(self) -> None:
        for piece in self._footers:
            self._flow.add(piece, furniture=True)
        self._footers = []

    def _metadata(self) -> dict[str, str]:
        root = self._part("meta.xml", "metadata")
        metadata: dict[str, str] = {}
        for tag, name in _METADATA.items() if root is not None else ():
            found = next(root.iter(tag), None) if root is not None else None
            text = plain((found.text if found is not None else "") or "").strip()
            if text:
                metadata[name] = text[:500]
        return metadata


class _Story:
    """Reads the body, or what is laid out by itself: a note, a header, a text box."""

    def __init__(self, styles: _Styles, flow: Flow, tally: Tally, *, is_body: bool = False) -> None:
        self.endnotes: list[Piece] = []
        self.master = ""  # a page style that begins with the next piece
        self.pictures: list[str] = []
        """The parts of the pictures that are shown, in their order."""
        self._styles = styles
        self._flow = flow
        self._tally = tally
        self._is_body = is_body
        self._footnotes: list[Piece] = []
        self._boxes: list[Piece] = []
        self._out: list[str] = []
        self._hidden = 0
        self._tables = 0
        self._item: _Item | None = None
        self._lists: dict[str, _List] = {}
        self._last_of_style: dict[str, _List] = {}
        self._headings: dict[int, int] = {}
        self._begun = False
        self._break_due = False

    # ------------------------------------------------------------ blocks

    def pieces(self, elements: Iterable[Element]) -> Iterator[Piece]:
        """The paragraphs and tables in their order."""
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

    def _after_block(self) -> Iterator[Piece]:
        boxes, self._boxes = self._boxes, []
        yield from boxes
        if not self._tables:
            notes, self._footnotes = self._footnotes, []
            yield from notes

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
            text = text.replace("\t", " ")  # a tab is the end of a cell
        return labelled(label, lead + text)

    def _page_break(self, style: _Style) -> str:
        """What stands before a block: a new page, by its own style or by that of the one before."""
        breaks = style.breaks_before or self._break_due or bool(style.master and self._begun)
        self._break_due = False
        if style.master and not self._tables:
            self.master = style.master
        begun, self._begun = self._begun, True
        return HARD if breaks and (begun or style.breaks_before) else ""

    # ------------------------------------------------------------ within a paragraph

    def _text(self, element: Element) -> None:
        """The text of an element and of all that is in it; white space of the source is single."""
        self._put(element.text)
        for child in element:
            self._inline(child)
            self._put(child.tail)

    def _put(self, text: str | None) -> None:
        if not text:
            return
        text = plain(_WHITE.sub(" ", text))
        if self._hidden:
            self._tally.found["hidden character"] += len(text)
            return
        if text.startswith(" ") and self._out and self._out[-1].endswith(" "):
            text = text[1:]
        self._out.append(text)

    def _inline(self, element: Element) -> None:
        tag = element.tag
        if tag == "text:s":
            self._keep(" " * _repeated(element.get("text:c")))
        elif tag == "text:tab":
            self._keep("\t")
        elif tag == "text:line-break":
            self._keep("\n")
        elif tag == "text:soft-page-break":
            self._out.append(SOFT)
        elif tag == "text:note":
            self._note(element)
        elif tag == "office:annotation":
            self._tally.found["comment"] += 1
        elif tag == "draw:text-box":
            self._box(element)
        elif tag == "draw:frame":
            self._frame(element)
        elif tag == "draw:image":
            self._picture(element)
        elif tag in _OBJECTS:
            self._tally.found["embedded object"] += 1
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
        """What is in a frame: of several forms of one picture the first, of an object none."""
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

    def _keep(self, text: str) -> None:
        """Space that is meant."""
        if self._hidden:
            self._tally.found["hidden character"] += len(text)
        else:
            self._out.append(text)

    def _hide(self, element: Element) -> None:
        self._tally.found["hidden character"] += sum(len(text) for text in element.itertext())

    def _box(self, element: Element) -> None:
        if not self._hidden:
            self._boxes += self._apart(element)

    def _apart(self, elements: Iterable[Element]) -> list[Piece]:
        story = _Story(self._styles, self._flow, self._tally)
        story.pictures = self.pictures
        return [without_marks(piece) for piece in story.pieces(elements)]

    def _note(self, element: Element) -> None:
        """A note's number in brackets, as its program stored it; its text is kept for its place."""
        if self._hidden:
            return
        citation = element.find("text:note-citation")
        shown = plain((citation.text if citation is not None else "") or "").strip()
        mark = f"[{shown}]" if shown else ""
        self._out.append(mark)
        body = element.find("text:note-body")
        text = joined(self._apart(body if body is not None else ()), lambda *_: "\n").text
        if text and self._is_body:
            is_end = element.get("text:note-class") == "endnote"
            (self.endnotes if is_end else self._footnotes).append(Piece(f"{mark} {text}".strip()))

    # ------------------------------------------------------------ lists

    def _list(self, element: Element, around: _List | None, level: int) -> Iterator[Piece]:
        style = element.get("text:style-name") or (around.style if around else "")
        counting = self._counting(element, around, style)
        for item in element:
            if item.tag not in ("text:list-item", "text:list-header"):
                continue
            start = _whole(item.get("text:start-value"))
            numbered = item.tag == "text:list-item"
            self._item = _Item(counting, min(level, _LEVELS), start) if numbered else None
            for child in item:
                if child.tag == "text:list":
                    yield from self._list(child, counting, level + 1)
                else:
                    yield from self.pieces([child])
            self._item = None

    def _counting(self, element: Element, around: _List | None, style: str) -> _List:
        """A list counts with the one around it, goes on with another, or begins anew."""
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
            level = min(max(1, _whole(element.get("text:outline-level")) or 1), _LEVELS)
            start = _whole(element.get("text:start-value"))
            return _count(self._headings, self._styles.outline, level, start)
        return ""

    # ------------------------------------------------------------ tables

    def _table(self, table: Element) -> Piece:
        self._tables += 1
        item, self._item = self._item, None
        rows: list[list[_Cell]] = []
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
        return self._flow.table(
            [TableCell(c.content, c.row, c.column, c.rows, c.columns) for c in row] for row in rows
        )

    def _row(self, row: Element, number: int) -> list[_Cell]:
        cells: list[_Cell] = []
        column = 1
        for cell in row:
            repeated = _repeated(cell.get("table:number-columns-repeated"))
            if cell.tag == "table:table-cell":
                content = joined(self.pieces(cell), lambda *_: "\n")
                rows = _repeated(cell.get("table:number-rows-spanned"))
                columns = _repeated(cell.get("table:number-columns-spanned"))
                cells.append(_Cell(content, number, column, rows, columns))
            column += repeated
        return cells


def _rows(table: Element) -> Iterator[Element]:
    """The rows of a table, through the groups that they may stand in."""
    for child in table:
        if child.tag == "table:table-row":
            yield child
        elif child.tag in ("table:table-rows", "table:table-header-rows", "table:table-row-group"):
            yield from _rows(child)


def _count(
    counts: dict[int, int], levels: Mapping[int, _Level], level: int, start: int | None
) -> str:
    """Count one paragraph; what is shown before it, with the gap behind."""
    for deeper in [known for known in counts if known > level]:
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
        return _PLACE.sub(lambda place: part(int(place[1])), own.pattern)
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
    found: dict[int, _Level] = {}
    for level in element:
        number = _whole(level.get("text:level"))
        if number is None or not 1 <= number <= _LEVELS:
            continue
        followed = below(level, "style:list-level-properties/style:list-level-label-alignment")
        nothing = followed is not None and followed.get("text:label-followed-by") == "nothing"
        start = _whole(level.get("text:start-value"))
        found[number] = _Level(
            format=level.get("style:num-format", ""),
            prefix=plain(level.get("style:num-prefix", "")),
            suffix=plain(level.get("style:num-suffix", "")),
            pattern=plain(level.get("loext:num-list-format", "")),
            shown=min(max(1, _whole(level.get("text:display-levels")) or 1), _LEVELS),
            start=1 if start is None else start,
            bullet=from_symbols(plain(level.get("text:bullet-char", "")))[:10],
            gap="" if nothing else " ",
        )
    return found


def _whole(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"\d{1,9}", text) else None


def _repeated(text: str | None) -> int:
    number = _whole(text)
    return 1 if number is None else min(max(1, number), _MOST_REPEATED)
