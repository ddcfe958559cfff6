"""HTML as text: what a browser shows of it. Nothing in it is run, loaded or followed.

The only door to lxml, whose parser (libxml2) tells what it meets piece by piece, so that neither
the size nor the depth of a document matters: no tree is built. Measured beside the alternatives in
infra/decisions/0012-office-documents.md.

* Blocks are paragraphs, white space is single, `<br>` is a line break; `<pre>` stays as it is.
* Tables are read row by row. A cell that is alone in its row is no cell but a frame around text.
* List items have their numbers or bullets.
* Scripts, styles, comments and what is hidden (by attribute, by style, by a plain rule of the
  document's own style sheet; the header of inline XBRL) are left out. Tags of inline XBRL are
  transparent.
* Pages are those that the author's style asks a printer for; without such breaks it is one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from lxml import etree

from shared.documents.charsets import codec_of, codec_of_mark, decoded
from shared.documents.flow import HARD, Flow, Piece, TableCell, joined, plain, trimmed
from shared.documents.numerals import numeral
from shared.documents.reading import Limits, Reading
from shared.documents.sniffing import HTML
from shared.documents.symbols import in_font, is_symbol_font
from shared.errors import EmptyDocument, NoTextLayer

_CHUNK = 1 << 20
_MOST_STYLE = 1_000_000  # characters of style sheets that are looked at
_MOST_SPAN = 1_000  # rows or columns of a cell; browsers stop there as well
_MOST_COVERED = 2_000  # columns of a table that cells from above may take
_DEEPEST_TABLE = 40  # a table in so many others is read as plain blocks
_HEAD = 2_048  # bytes in which a document says its encoding
_WRAPPER = re.compile(rb"\s*<(SEC-)?DOCUMENT>", re.IGNORECASE)
_WRAPPED = re.compile(rb"<TEXT>", re.IGNORECASE)
_META = re.compile(rb"<meta[^>]{0,500}?charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_XML = re.compile(rb"\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([\w.:-]+)", re.IGNORECASE)

_BLOCKS = frozenset(
    [
        *(
            "address",
            "article",
            "aside",
            "blockquote",
            "body",
            "caption",
            "center",
            "dd",
            "details",
        ),
        *("dialog", "dir", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form"),
        *("h1", "h2", "h3", "h4", "h5", "h6", "header", "hgroup", "hr", "html", "legend", "li"),
        *("main", "menu", "nav", "ol", "optgroup", "p", "plaintext", "pre", "section", "summary"),
        *("tbody", "textarea", "tfoot", "thead", "ul", "xmp"),
    ]
)
_SILENT = frozenset(
    [
        *("area", "audio", "base", "canvas", "datalist", "embed", "frame", "frameset", "iframe"),
        *("link", "map", "meta", "noembed", "noframes", "noscript", "object", "param", "rp"),
        *("script", "style", "svg", "template", "title", "track", "video"),
    ]
)
_HIDING = re.compile(
    r"(?:^|[;\s{])(?:display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse))", re.I
)
_SHOWING = re.compile(r"(?:^|[;\s{])(?:display|visibility)\s*:", re.I)
_INLINE = re.compile(r"(?:^|[;\s])display\s*:\s*inline(?!-)", re.I)
_BLOCK = re.compile(r"(?:^|[;\s])display\s*:\s*(?:block|flex|grid|list-item|table)\b", re.I)
_APART = re.compile(r"(?:^|[;\s])display\s*:\s*inline-(?:block|flex|grid|table)\b", re.I)
_FONT = re.compile(r"(?:^|[;\s{])font(?:-family)?\s*:([^;]*)", re.I)
_SIZE = re.compile(
    r"^.*\d[\w.%]*(?:\s*/\s*\S+)?\s+"
)  # what stands before the name, as in 10pt Symbol
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
    "1": "decimal",
    "a": "lowerLetter",
    "A": "upperLetter",
    "i": "lowerRoman",
    "I": "upperRoman",
}
_STYLED = {
    "lower-alpha": "a", "lower-latin": "a", "upper-alpha": "A", "upper-latin": "A",
    "lower-roman": "i", "upper-roman": "I", "decimal": "1",
}  # fmt: skip
_STYLE_TYPE = re.compile(
    r"list-style(?:-type)?\s*:[^;]*?\b([a-z]+-(?:alpha|latin|roman)|decimal)\b", re.I
)

_FEEDS = {0x0B: " ", 0x0C: " ", 0x2028: " ", 0x2029: " "}
_LONGEST_STYLE = 2_000  # characters of one element's style that are looked at
_PLAIN_SELECTOR = re.compile(r"(\w+)?(?:([.#])([\w-]+))?")


def read_html(data: bytes, limits: Limits) -> Reading:
    """The text of an HTML document with its pages, cells and warnings, without boxes.

    Raises EmptyDocument, or NoTextLayer for one of pictures alone.
    """
    flow = Flow(limits)
    target = _Target(flow)
    parser = etree.HTMLParser(target=target, encoding="utf-8", huge_tree=True, no_network=True)
    text = _text_of(data, flow)
    try:
        for start in range(0, len(text), _CHUNK):
            parser.feed(text[start : start + _CHUNK].encode("utf-8", "replace"))
        parser.close()
    except etree.XMLSyntaxError as error:  # the parser mends everything else
        raise EmptyDocument(f"the document has no text ({error.msg})") from error
    target.finish()
    if not flow.visible and target.pictures:
        raise NoTextLayer("the document has no text: it is made of pictures, not read yet")
    if target.struck:
        flow.warn(f"{target.struck:,} passages in it are struck through: they are in the text")
    metadata = {"title": target.title} if target.title else {}
    return flow.reading(HTML, "html", metadata, running=True)


def _text_of(data: bytes, flow: Flow) -> str:
    """The markup as text: by its byte order mark, by what it says, or as UTF-8 or Windows 1252."""
    if _WRAPPER.match(data[:_HEAD]):
        wrapped = _WRAPPED.search(data, 0, _HEAD)
        data = data[wrapped.end() :] if wrapped else data
    marked = codec_of_mark(data)
    if marked:
        text, sound = decoded(data[marked[1] :], marked[0])
    else:
        said = _META.search(data[:_HEAD]) or _XML.match(data[:_HEAD])
        codec = codec_of(said[1].decode("ascii", "replace")) if said else None
        text, sound = decoded(data, codec or "utf-8")
        sound = sound or codec is None  # nothing was said, so nothing is wrong
    if not sound:
        flow.warn("some of its characters are not in the encoding that it names")
    return text.replace("\0", "")


class _Style(NamedTuple):
    """What of an element's own style matters to its text; None where it says nothing."""

    hidden: bool | None
    block: bool | None
    apart: bool
    page_before: bool
    page_after: bool
    keeps_space: bool
    font: str | None  # that of symbols, or nothing for any other
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
    """The first of the fonts that are named, if it is one of symbols; nothing for any other."""
    first = _SIZE.sub("", names.split(",")[0].strip()).strip("\"' ").lower()
    return first if is_symbol_font(first) else ""


@dataclass
class _List:
    """An open `<ul>` or `<ol>`; `format` is empty for bullets, `number` that of the next item."""

    format: str
    number: int = 1
    step: int = 1


@dataclass
class _Cell:
    """A cell in the making."""

    pieces: list[Piece]
    row: int
    column: int
    rows: int
    columns: int


@dataclass
class _Table:
    """An open table; `covered` has the last row that cells from above take of each column."""

    rows: list[list[_Cell]] = field(default_factory=list)
    covered: dict[int, int] = field(default_factory=dict)
    column: int = 1


class _Target:
    """Takes what the parser meets, in the order of the document; `start` and `end` are in pairs."""

    def __init__(self, flow: Flow) -> None:
        self.title = ""
        self.pictures = 0
        self.struck = 0
        self._flow = flow
        self._out: list[str] = []
        self._into: list[list[Piece] | None] = [None]  # None is the document itself
        self._tables: list[_Table] = []
        self._lists: list[_List] = []
        self._marker = ""
        self._ends: list[Callable[[], None] | None] = []
        self._hidden = 0  # elements open since the one that hides
        self._kept_space = 0
        self._raised = False
        self._font = ""  # of symbols
        self._hearing: list[str] | None = None  # of a title or a style sheet
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
            "pre": self._keep_space,
            "xmp": self._keep_space,
            "plaintext": self._keep_space,
            "textarea": self._keep_space,
            "sup": self._raise,
        }

    # ------------------------------------------------------------ what the parser calls

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """An element begins."""
        if self._hidden:
            self._hidden += 1
            return
        style = _style(attributes.get("style", "")[:_LONGEST_STYLE])
        if tag in _SILENT or self._is_hidden(tag, attributes, style):
            self._hidden = 1
            self._hearing = [] if tag in ("title", "style") else None
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
        if block or style.page_before:
            self._flush()
        if style.page_before:
            self._out.append(HARD)
        if style.apart:
            self._out.append(" ")
        begin = self._starts.get(tag)
        end = begin(attributes, style) if begin else self._flush if block else None
        if style.apart:
            end = self._then_space(end)
        font = _font(attributes["face"][:100]) if "face" in attributes else style.font
        if font is not None and font != self._font:
            end = self._in_font(font, end)
        if style.keeps_space:
            end = self._with_space_kept(end)
        self._ends.append(self._then_new_page(end) if style.page_after else end)

    def end(self, tag: str) -> None:
        """An element ends."""
        if self._hidden:
            self._hidden -= 1
            if not self._hidden and self._hearing is not None:
                self._heard(tag)
            return
        end = self._ends.pop() if self._ends else None
        if end:
            end()

    def data(self, text: str) -> None:
        """Text, in pieces as the parser has them."""
        if self._hidden:
            if self._hearing is not None and len(self._hearing) < 1_000:
                self._hearing.append(text)
            return
        if self._raised:
            self._raised = False
            text = self._apart(text)
        text = plain(text.translate(_FEEDS))
        if self._font:
            text = in_font(text, self._font)
        if self._kept_space:
            text = text.replace(" ", _SPACE).replace("\n", _BREAK)
        self._out.append(text)

    def comment(self, text: str) -> None:
        """Nobody sees it."""

    def close(self) -> None:
        """The parser is done."""

    def finish(self) -> None:
        """Add what is left when the document ends."""
        while self._ends:
            end = self._ends.pop()
            if end:
                end()
        self._flush()

    # ------------------------------------------------------------ blocks

    def _is_hidden(self, tag: str, attributes: Mapping[str, str], style: _Style) -> bool:
        if tag in ("ix:header", "ix:hidden") or "hidden" in attributes:
            return True
        if style.hidden is not None or not self._hiding:
            return bool(style.hidden)
        names = [(".", name) for name in attributes.get("class", "").split()[:20]]
        names += [("#", attributes.get("id", "")), ("", "")]
        return any((of, kind, name) in self._hiding for kind, name in names for of in (tag, ""))

    def _then_space(self, end: Callable[[], None] | None) -> Callable[[], None]:
        def both() -> None:
            if end:
                end()
            self._out.append(" ")

        return both

    def _in_font(self, font: str, end: Callable[[], None] | None) -> Callable[[], None]:
        outer, self._font = self._font, font

        def both() -> None:
            self._font = outer
            if end:
                end()

        return both

    def _then_new_page(self, end: Callable[[], None] | None) -> Callable[[], None]:
        def both() -> None:
            if end:
                end()
            self._flush()
            self._out.append(HARD)

        return both

    def _flush(self) -> None:
        """The text since the last block is a paragraph."""
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

    def _keep_space(self, *_: object) -> Callable[[], None]:
        return self._with_space_kept(self._flush)

    def _with_space_kept(self, end: Callable[[], None] | None) -> Callable[[], None]:
        self._kept_space += 1

        def both() -> None:
            self._kept_space -= 1
            if end:
                end()

        return both

    def _raise(self, *_: object) -> Callable[[], None]:
        self._raised = True
        return self._lower

    def _lower(self) -> None:
        self._raised = False

    def _apart(self, text: str) -> str:
        """A raised figure after a figure would be read as part of it: 1,234 and a note 1."""
        before = self._out[-1][-1:] if self._out else ""
        note = re.match(r"\s*(\d+)\s*$", text)
        return f"[{note[1]}]" if note and before.isdigit() else text

    def _input(self, attributes: Mapping[str, str]) -> None:
        kind = attributes.get("type", "text").lower()
        if kind in ("checkbox", "radio"):
            self._out.append("☒" if "checked" in attributes else "☐")
        elif kind in ("text", "number", "date", "email", "tel", "url"):
            self._out.append(plain(attributes.get("value", "").translate(_FEEDS)))

    # ------------------------------------------------------------ lists

    def _list(self, attributes: Mapping[str, str], style: _Style, kind: str) -> Callable[[], None]:
        self._flush()
        kind = style.marker or attributes.get("type", kind)
        marker = "none" if kind == "none" else _NUMBERED.get(kind, "")
        first = _whole(attributes.get("start"), 1)
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
        of.number = _whole(attributes.get("value"), of.number)
        if "none" in (of.format, style.marker):
            self._marker = ""
        else:
            self._marker = f"{numeral(of.number, of.format)}. " if of.format else "• "
        of.number += of.step
        return self._end_item

    def _end_item(self) -> None:
        self._flush()
        self._marker = ""

    # ------------------------------------------------------------ tables

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
        rows = min(max(1, _whole(attributes.get("rowspan"), 1)), _MOST_SPAN)
        columns = min(max(1, _whole(attributes.get("colspan"), 1)), _MOST_SPAN)
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

    # ------------------------------------------------------------ titles and style sheets

    def _heard(self, tag: str) -> None:
        text = "".join(self._hearing or ())
        self._hearing = None
        if tag == "title":
            self.title = self.title or " ".join(plain(text).split())[:500]
        else:
            self._hiding |= _hidden_by(text[:_MOST_STYLE])


def _cells(row: list[_Cell]) -> list[TableCell]:
    """The cells of a row; a single one with several paragraphs is a frame around them."""
    filled = [cell for cell in row if any(piece.visible for piece in cell.pieces)]
    between = "\n\n" if len(filled) == 1 else "\n"
    return [
        TableCell(joined(c.pieces, lambda *_: between), c.row, c.column, c.rows, c.columns)
        for c in row
    ]


def _whole(text: str | None, default: int) -> int:
    found = re.match(r"\s*(-?\d{1,6})", (text or "")[:20])
    return int(found[1]) if found else default


def _hidden_by(sheet: str) -> set[tuple[str, str, str]]:
    """Selectors of one element, class or id that a style sheet hides: (element, kind, name).

    Rules within others (`@media print`), and selectors of several parts, are not looked at.
    """
    hidden: set[tuple[str, str, str]] = set()
    first, *others = sheet.split("/*")
    text = first + "".join(other.partition("*/")[2] for other in others)
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
    """One rule: what it hides, and what it shows again."""
    hides, shows = _HIDING.search(rule), _SHOWING.search(rule)
    for selector in selectors.split(",") if hides or shows else ():
        found = _PLAIN_SELECTOR.fullmatch(selector.strip())
        if found and (found[1] or found[3]):
            key = ((found[1] or "").lower(), found[2] or "", found[3] or "")
            (hidden.add if hides else hidden.discard)(key)
