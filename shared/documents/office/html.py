"""HTML as text: what a browser shows. Nothing is executed, loaded or followed.

The only module that imports lxml. Its parser (libxml2) reports elements as events and builds no
tree, so size and depth of a document don't matter.

* Blocks are paragraphs, white space is single, `<br>` is a line break; `<pre>` is unchanged.
* Tables are read row by row. A row with one filled cell is layout: its text is read as
  paragraphs.
* List items have their numbers or bullets.
* Scripts, styles, comments and hidden elements are left out. Elements are hidden by attribute,
  style, a simple rule of the document's style sheet, or as the header of inline XBRL. Tags of
  inline XBRL are transparent.
* Pages are the author's print page breaks; without any, the document is one page.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import NamedTuple

from lxml import etree

from shared.documents.flow.charsets import codec_of, codec_of_mark, decoded
from shared.documents.flow.flow import HARD, Flow, Piece, TableCell, joined, plain, trimmed
from shared.documents.flow.numerals import numeral
from shared.documents.flow.symbol_fonts import in_font, is_symbol_font
from shared.documents.model.formats import HTML
from shared.documents.model.parsed_document import Limits, ParsedDocument
from shared.errors import EmptyDocument, NoTextLayer

_CHUNK = 1 << 20
_MOST_STYLE = 1_000_000  # characters of style sheets that are examined
_MOST_SPAN = 1_000  # rows or columns of a cell, as in browsers
_MOST_COVERED = 2_000  # columns of a table that cells from above may take
_DEEPEST_TABLE = 40  # tables nested deeper are read as blocks
_HEAD = 2_048  # bytes in which the encoding is declared
_WRAPPER = re.compile(rb"\s*<(SEC-)?DOCUMENT>", re.IGNORECASE)
_WRAPPED = re.compile(rb"<TEXT>", re.IGNORECASE)
_META = re.compile(rb"<meta[^>]{0,500}?charset\s*=\s*+(?:[\"']\s*+)?([\w.:-]+)", re.IGNORECASE)
_XML = re.compile(rb"\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([\w.:-]+)", re.IGNORECASE)

_BLOCKS = frozenset([
    "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details",
    "dialog", "dir", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form",
    "h1", "h2", "h3", "h4", "h5", "h6", "header", "hgroup", "hr", "html", "legend", "li",
    "main", "menu", "nav", "ol", "optgroup", "p", "plaintext", "pre", "section", "summary",
    "tbody", "textarea", "tfoot", "thead", "ul", "xmp",
])  # fmt: skip
_SILENT = frozenset([
    "area", "audio", "base", "canvas", "datalist", "embed", "frame", "frameset", "iframe",
    "link", "map", "meta", "noembed", "noframes", "noscript", "object", "param", "rp",
    "script", "style", "svg", "template", "title", "track", "video",
])  # fmt: skip
_PREFORMATTED = ("plaintext", "pre", "textarea", "xmp")
_HIDING = re.compile(
    r"(?:^|[;\s{])(?:display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse))", re.I
)
_SHOWING = re.compile(r"(?:^|[;\s{])(?:display|visibility)\s*:", re.I)
_INLINE = re.compile(r"(?:^|[;\s])display\s*:\s*inline(?!-)", re.I)
_BLOCK = re.compile(r"(?:^|[;\s])display\s*:\s*(?:block|flex|grid|list-item|table)\b", re.I)
_APART = re.compile(r"(?:^|[;\s])display\s*:\s*inline-(?:block|flex|grid|table)\b", re.I)
_FONT = re.compile(r"(?:^|[;\s{])font(?:-family)?\s*:([^;]*)", re.I)
_SIZE = re.compile(r"^.*\d[\w.%]*(?:\s*/\s*\S+)?\s+")  # before the name, as in 10pt Symbol
_BEFORE = re.compile(r"(?:page-)?break-before\s*:\s*(?:always|page|left|right)", re.I)
_AFTER = re.compile(r"(?:page-)?break-after\s*:\s*(?:always|page|left|right)", re.I)
_NO_MARKER = re.compile(r"list-style(?:-type)?\s*:[^;]*\bnone\b", re.I)
_KEEPS_SPACE = re.compile(r"white-space\s*:\s*(?:pre|pre-wrap|break-spaces)\b", re.I)

_BREAK = "\u2028"  # a line break that stays
_SPACE = "\u2029"  # a space that stays
_WHITE = re.compile("[ \t\n\r]+")
_AROUND_BREAK = re.compile(f" ?{_BREAK} ?")
_MANY_BREAKS = re.compile("\n{3,}")
_NUMBERED = {
    "1": "decimal", "a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman", "I": "upperRoman",
}  # fmt: skip
_STYLED = {
    "lower-alpha": "a", "lower-latin": "a", "upper-alpha": "A", "upper-latin": "A",
    "lower-roman": "i", "upper-roman": "I", "decimal": "1",
}  # fmt: skip
_STYLE_TYPE = re.compile(
    r"list-style(?:-type)?\s*:[^;]*?\b([a-z]+-(?:alpha|latin|roman)|decimal)\b", re.I
)

_FEEDS = {0x0B: " ", 0x0C: " ", 0x2028: " ", 0x2029: " "}
_LONGEST_STYLE = 2_000  # characters of an element's style that are examined
_LONGEST_FONT = 200  # characters of the name of a font, and of the size before it
_PLAIN_SELECTOR = re.compile(r"(\w+)?(?:([.#])([\w-]+))?")


def read_html(data: bytes, limits: Limits) -> ParsedDocument:
    """Return the text of an HTML document with pages, cells and warnings, without boxes.

    Raises EmptyDocument, or NoTextLayer if it has only pictures.
    """
    flow = Flow(limits)
    target = _Target(flow)
    parser = etree.HTMLParser(target=target, encoding="utf-8", huge_tree=True, no_network=True)
    text = _text_of(data, flow)
    try:
        for start in range(0, len(text), _CHUNK):
            parser.feed(text[start : start + _CHUNK].encode("utf-8", "replace"))
        parser.close()
    except etree.XMLSyntaxError as error:  # the parser repairs everything else
        raise EmptyDocument(f"the document has no text ({error.msg})") from error
    target.finish()
    if not flow.visible and target.pictures:
        raise NoTextLayer("the document has no text: its pictures are not supported")
    if target.struck:
        many = (
            "1 passage in it is" if target.struck == 1 else f"{target.struck:,} passages in it are"
        )
        flow.warn(f"{many} struck through, but part of the text")
    metadata = {"title": target.title} if target.title else {}
    return flow.to_document(HTML, "html", metadata, running=True)


def _text_of(data: bytes, flow: Flow) -> str:
    """Decode the markup: by byte order mark, by declaration, or as UTF-8 or Windows-1252."""
    if _WRAPPER.match(data[:_HEAD]):
        wrapped = _WRAPPED.search(data, 0, _HEAD)
        data = data[wrapped.end() :] if wrapped else data
    marked = codec_of_mark(data)
    if marked:
        text, sound = decoded(data[marked[1] :], marked[0])
    else:
        declared = _META.search(data[:_HEAD]) or _XML.match(data[:_HEAD])
        codec = codec_of(declared[1].decode("ascii", "replace")) if declared else None
        text, sound = decoded(data, codec or "utf-8")
        sound = sound or codec is None  # nothing declared, so nothing wrong
    if not sound:
        flow.warn("some of its characters are not in the declared encoding")
    return text.replace("\0", "")


class _Style(NamedTuple):
    """The properties of an element's style that affect its text; None if not specified."""

    hidden: bool | None
    block: bool | None
    apart: bool
    page_before: bool
    page_after: bool
    keeps_space: bool
    font: str | None  # a symbol font, or empty
    marker: str | None  # of a list: its type, "none", or None


@lru_cache(maxsize=4_096)
def _style(text: str) -> _Style:
    inline, block = _INLINE.search(text), _BLOCK.search(text)
    named = _STYLE_TYPE.search(text)
    hides = _HIDING.search(text)
    named_font = _FONT.search(text)
    return _Style(
        hidden=True if hides else False if _SHOWING.search(text) else None,
        block=False if inline else True if block else None,
        apart=bool(_APART.search(text)),
        page_before=bool(_BEFORE.search(text)),
        page_after=bool(_AFTER.search(text)),
        font=_font(named_font[1]) if named_font else None,
        keeps_space=bool(_KEEPS_SPACE.search(text)),
        marker="none" if _NO_MARKER.search(text) else _STYLED[named[1].lower()] if named else None,
    )


def _font(names: str) -> str:
    """Return the first font if it is a symbol font; empty for any other."""
    first = _SIZE.sub("", names.split(",")[0].strip()[:_LONGEST_FONT]).strip("\"' ").lower()
    return first if is_symbol_font(first) else ""


@dataclass
class _List:
    """An open `<ul>` or `<ol>`; `format` is empty for bullets, `number` that of the next item."""

    format: str
    number: int = 1
    step: int = 1


@dataclass
class _Cell:
    pieces: list[Piece]
    row: int
    column: int
    rows: int
    columns: int


@dataclass
class _Table:
    """An open table; `covered` has, by column, the last row that a cell from above covers."""

    rows: list[list[_Cell]] = field(default_factory=list)
    covered: dict[int, int] = field(default_factory=dict)
    column: int = 1


class _Target:
    """Receives the parser's events in document order; `start` and `end` are paired."""

    def __init__(self, flow: Flow) -> None:
        self.title = ""
        self.pictures = 0
        self.struck = 0
        self._flow = flow
        self._out: list[str] = []
        self._into: list[list[Piece] | None] = [None]  # None: the document
        self._tables: list[_Table] = []
        self._lists: list[_List] = []
        self._marker = ""
        self._ends: list[list[Callable[[], None]]] = []
        self._hidden = 0  # elements open since the one that hides
        self._preformatted = 0
        self._raised = False
        self._font = ""  # a symbol font, or empty
        self._captured: list[str] | None = None  # of a title or a style sheet
        self._hiding: set[tuple[str, str, str]] = set()
        self._starts: dict[str, Callable[[Mapping[str, str], _Style], Callable[[], None]]] = {
            "table": self._table,
            "tr": self._row,
            "td": self._cell,
            "th": self._cell,
            "ul": lambda a, s: self._list(a, s, ""),
            "menu": lambda a, s: self._list(a, s, ""),
            "dir": lambda a, s: self._list(a, s, ""),
            "ol": lambda a, s: self._list(a, s, "1"),
            "li": self._item,
            "sup": self._raise,
        }

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if self._hidden:
            self._hidden += 1
            return
        style = _style(attributes.get("style", "")[:_LONGEST_STYLE])
        if tag in _SILENT or self._is_hidden(tag, attributes, style):
            self._hidden = 1
            self._captured = [] if tag in ("title", "style") else None
            return
        if tag == "br":
            self._out.append(_BREAK)
        elif tag == "img":
            self.pictures += 1
        elif tag == "input":
            self._input(attributes)
        elif tag in ("del", "s", "strike"):
            self.struck += 1
        block = tag in _BLOCKS if style.block is None else style.block
        if style.page_before:
            self._new_page()
        elif block:
            self._flush()
        if style.apart:
            self._out.append(" ")
        begin = self._starts.get(tag)
        ends: list[Callable[[], None]] = []
        if begin:
            ends.append(begin(attributes, style))
        elif block:
            ends.append(self._flush)
        if style.apart:
            ends.append(lambda: self._out.append(" "))
        font = _font(attributes["face"][:100]) if "face" in attributes else style.font
        if font is not None and font != self._font:
            ends.append(partial(setattr, self, "_font", self._font))
            self._font = font
        if style.keeps_space or tag in _PREFORMATTED:
            self._preformatted += 1
            ends.append(self._end_preformatted)
        if style.page_after:
            ends.append(self._new_page)
        self._ends.append(ends)

    def end(self, tag: str) -> None:
        if self._hidden:
            self._hidden -= 1
            if not self._hidden and self._captured is not None:
                self._end_capture(tag)
            return
        for end in self._ends.pop() if self._ends else ():
            end()

    def data(self, text: str) -> None:
        if self._hidden:
            if self._captured is not None and len(self._captured) < 1_000:
                self._captured.append(text)
            return
        if self._raised:
            self._raised = False
            text = self._apart(text)
        text = plain(text.translate(_FEEDS))
        if self._font:
            text = in_font(text, self._font)
        if self._preformatted:
            text = text.replace(" ", _SPACE).replace("\n", _BREAK)
        self._out.append(text)

    def close(self) -> None:
        """End of the parser."""

    def finish(self) -> None:
        """Close all open elements at the end of the document."""
        while self._ends:
            for end in self._ends.pop():
                end()
        self._flush()

    def _is_hidden(self, tag: str, attributes: Mapping[str, str], style: _Style) -> bool:
        if tag in ("ix:header", "ix:hidden") or "hidden" in attributes:
            return True
        if style.hidden is not None or not self._hiding:
            return bool(style.hidden)
        names = [(".", name) for name in attributes.get("class", "").split()[:20]]
        names += [("#", attributes.get("id", "")), ("", "")]
        return any((of, kind, name) in self._hiding for kind, name in names for of in (tag, ""))

    def _new_page(self) -> None:
        self._flush()
        self._out.append(HARD)

    def _flush(self) -> None:
        """Turn the text since the last block into a paragraph."""
        if not self._out:
            return
        text = _WHITE.sub(" ", "".join(self._out))
        self._out = []
        text = _AROUND_BREAK.sub("\n", text).replace(_SPACE, " ")
        piece = trimmed(_MANY_BREAKS.sub("\n\n", text))
        if piece.visible and self._marker:
            core = piece.text.lstrip(HARD)
            marks = len(piece.text) - len(core)
            piece = Piece(f"{HARD * marks}{self._marker}{core}")
            self._marker = ""
        self._add(piece)

    def _add(self, piece: Piece) -> None:
        into = self._into[-1]
        if into is None:
            self._flow.add(piece)
        elif piece.text:
            into.append(piece)

    def _end_preformatted(self) -> None:
        self._preformatted -= 1

    def _raise(self, *_: object) -> Callable[[], None]:
        self._raised = True
        return self._lower

    def _lower(self) -> None:
        self._raised = False

    def _apart(self, text: str) -> str:
        """Put a raised figure after a figure into brackets: 1,234 with a note 1 is not 12341."""
        before = self._out[-1][-1:] if self._out else ""
        note = re.match(r"\s*(\d+)\s*$", text)
        return f"[{note[1]}]" if note and before.isdigit() else text

    def _input(self, attributes: Mapping[str, str]) -> None:
        kind = attributes.get("type", "text").lower()
        if kind in ("checkbox", "radio"):
            self._out.append("☒" if "checked" in attributes else "☐")
        elif kind in ("text", "number", "date", "email", "tel", "url"):
            self._out.append(plain(attributes.get("value", "").translate(_FEEDS)))

    def _list(self, attributes: Mapping[str, str], style: _Style, kind: str) -> Callable[[], None]:
        self._flush()
        kind = style.marker or attributes.get("type", kind)
        marker = "none" if kind == "none" else _NUMBERED.get(kind, "")
        first = _integer(attributes.get("start"), 1)
        self._lists.append(_List(marker, first, -1 if "reversed" in attributes else 1))
        return self._end_list

    def _end_list(self) -> None:
        self._flush()
        self._lists.pop()

    def _item(self, attributes: Mapping[str, str], style: _Style) -> Callable[[], None]:
        self._flush()
        if not self._lists:
            self._marker = "• "
            return self._end_item
        of = self._lists[-1]
        of.number = _integer(attributes.get("value"), of.number)
        if "none" in (of.format, style.marker):
            self._marker = ""
        else:
            self._marker = f"{numeral(of.number, of.format)}. " if of.format else "• "
        of.number += of.step
        return self._end_item

    def _end_item(self) -> None:
        self._flush()
        self._marker = ""

    def _table(self, *_: object) -> Callable[[], None]:
        self._flush()
        if len(self._tables) >= _DEEPEST_TABLE:
            return self._flush
        self._tables.append(_Table())
        return self._end_table

    def _end_table(self) -> None:
        self._flush()
        table = self._tables.pop()
        self._add(self._flow.table([_cells(row) for row in table.rows]))

    def _row(self, *_: object) -> Callable[[], None]:
        self._flush()
        if self._tables and len(self._tables) < _DEEPEST_TABLE:
            self._tables[-1].rows.append([])
            self._tables[-1].column = 1
        return self._flush

    def _cell(self, attributes: Mapping[str, str], _: _Style) -> Callable[[], None]:
        self._flush()
        if not self._tables or len(self._tables) >= _DEEPEST_TABLE:
            return self._flush
        table = self._tables[-1]
        if not table.rows:
            table.rows.append([])
        row = len(table.rows)
        rows = min(max(1, _integer(attributes.get("rowspan"), 1)), _MOST_SPAN)
        columns = min(max(1, _integer(attributes.get("colspan"), 1)), _MOST_SPAN)
        while table.covered.get(table.column, 0) >= row:
            table.column += 1
        cell = _Cell([], row, table.column, rows, columns)
        if rows > 1 and len(table.covered) < _MOST_COVERED:
            last = dict.fromkeys(range(cell.column, cell.column + columns), row + rows - 1)
            table.covered.update(last)
        table.column += columns
        table.rows[-1].append(cell)
        self._into.append(cell.pieces)
        return self._end_cell

    def _end_cell(self) -> None:
        self._flush()
        self._into.pop()

    def _end_capture(self, tag: str) -> None:
        text = "".join(self._captured or ())
        self._captured = None
        if tag == "title":
            self.title = self.title or " ".join(plain(text).split())[:500]
        else:
            self._hiding |= _hidden_by(text[:_MOST_STYLE])


def _cells(row: list[_Cell]) -> list[TableCell]:
    """Return the cells of a row; a single filled cell keeps its paragraphs apart."""
    filled = [cell for cell in row if any(piece.visible for piece in cell.pieces)]
    between = "\n\n" if len(filled) == 1 else "\n"
    return [
        TableCell(joined(c.pieces, lambda *_: between), c.row, c.column, c.rows, c.columns)
        for c in row
    ]


def _integer(text: str | None, default: int) -> int:
    match = re.match(r"\s*(-?\d{1,6})", (text or "")[:20])
    return int(match[1]) if match else default


def _hidden_by(sheet: str) -> set[tuple[str, str, str]]:
    """Return the selectors of one element, class or id that a style sheet hides: (element, kind,
    name).

    Nested rules (`@media print`) and compound selectors are ignored.
    """
    hidden: set[tuple[str, str, str]] = set()
    first, *comments = sheet.split("/*")
    text = first + "".join(other.partition("*/")[2] for other in comments)
    depth, start, selectors = 0, 0, ""
    for brace in re.finditer("[{}]", text):
        if brace[0] == "{":
            depth += 1
            if depth == 1:
                selectors = text[start : brace.start()].rpartition(";")[2]
        else:
            depth = max(0, depth - 1)
            if depth == 0 and "@" not in selectors:
                _apply(hidden, selectors, text[start : brace.start()])
        start = brace.end()
    return hidden


def _apply(hidden: set[tuple[str, str, str]], selectors: str, rule: str) -> None:
    """Apply one rule: add the selectors that it hides, remove those that it shows."""
    hides, shows = _HIDING.search(rule), _SHOWING.search(rule)
    for selector in selectors.split(",") if hides or shows else ():
        match = _PLAIN_SELECTOR.fullmatch(selector.strip())
        if match and (match[1] or match[3]):
            key = ((match[1] or "").lower(), match[2] or "", match[3] or "")
            (hidden.add if hides else hidden.discard)(key)
