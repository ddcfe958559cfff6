"""RTF: the text as a word processor shows it with all tracked changes accepted.

RTF is a stream of control words for a machine with a stack. Open groups are a list, so depth costs
nothing; the purpose of a group decides where its text goes.
docs/explanation/decisions/document-readers.md compares libraries. The words are those of
Microsoft's RTF 1.9.1.

List numbers are stored in the file. Notes, headers, tables and pages are as in DOCX (`docx.py`). A
truncated file is read up to its end, and a failed page follows.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field

from shared.documents.flow.charsets import decoded
from shared.documents.flow.flow import (
    HARD,
    SOFT,
    Flow,
    Piece,
    TableCell,
    counted,
    labelled,
    plain,
    stacked,
    without_marks,
)
from shared.documents.flow.numerals import numeral
from shared.documents.flow.symbol_fonts import from_symbols, is_symbol_font, symbol
from shared.documents.model.formats import RTF
from shared.documents.model.parsed_document import Limits, ParsedDocument
from shared.errors import NoTextLayer

_TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?\d{1,18})? ?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z])|([{}])"
    rb"|([^\\{}\r\n]+)|[\r\n]+|."
)
_SIGNS = {b"~": " ", b"_": "-", b"\\": "\\", b"{": "{", b"}": "}", b"\t": "\t"}
_CHARACTERS = {
    "line": "\n", "column": "\n", "tab": "\t", "page": HARD, "softpage": SOFT, "bullet": "•",
    "emdash": "\u2014", "endash": "\u2013", "lquote": "\u2018", "rquote": "\u2019",
    "ldblquote": "\u201c", "rdblquote": "\u201d", "emspace": " ", "enspace": " ", "qmspace": " ",
    "zwj": "\u200d", "zwnj": "\u200c", "ltrmark": "\u200e", "rtlmark": "\u200f",
}  # fmt: skip
_CODE_PAGES = {
    77: "mac_roman", 128: "cp932", 129: "cp949", 130: "johab", 134: "gb18030", 136: "big5hkscs",
    161: "cp1253", 162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257",
    204: "cp1251", 222: "cp874", 238: "cp1250", 255: "cp437",
}  # fmt: skip
_NUMBERED_PAGES = frozenset((437, 850, 852, 866, 874, 932, 936, 949, 950, *range(1250, 1259)))
_SYMBOL_CHARSET = 2
_PICTURES = "not supported in RTF: save it as DOCX or PDF"
_SILENT = frozenset(
    [
        *("aftncn", "aftnsep", "aftnsepc", "annotation", "atnauthor", "atndate", "atnid", "atnref"),
        *("atntime", "atrfend", "atrfstart", "background", "bkmkend", "bkmkstart", "colortbl"),
        *("colorschememapping", "datafield", "datastore", "defchp", "defpap", "docvar", "falt"),
        *("filetbl", "fontemb", "formfield", "ftncn", "ftnsep", "ftnsepc", "generator", "keycode"),
        *("latentstyles", "listoverridetable", "listpicture", "listtable", "mmathPict"),
        *("nonesttables", "nonshppict", "objalias", "objclass", "objdata", "objname", "panose"),
        *("pgdsctbl", "pict", "pn", "pnseclvl", "private", "revtbl", "rsidtbl", "shprslt", "sp"),
        *("stylesheet", "tc", "tcn", "template", "themedata", "userprops", "wgrffmtfilter", "xe"),
        *("xmlnstbl",),
    ]
)
_TRANSPARENT = frozenset(["do", "moMath", "moMathPara", "nesttableprops", "shpinst", "shppict"])
"""Optional groups that contain text."""
_RUNNING = frozenset(
    ["header", "headerf", "headerl", "headerr", "footer", "footerf", "footerl", "footerr"]
)
_BOXES = frozenset(["shptxt", "dptxbxtext"])
_LABELS = frozenset(["listtext", "pntext"])
_INFO = frozenset(["title", "author", "subject", "keywords"])
_CONTROLS = re.compile("[\0-\x08\x0a-\x1f]")
_DEEPEST_TABLE = 40
_MOST_EDGES = 2_000  # different right edges of the cells of a table
_ENDNOTE = re.compile(rb"\\footnote\s*\\ftnalt")
_NOTE = re.compile(rb"\\footnote")


def read_rtf(data: bytes, limits: Limits) -> ParsedDocument:
    """Return the text of an RTF document with pages, cells and warnings, without boxes.

    Raises NoTextLayer if it has only pictures, EmptyDocument or UnreadableDocument.
    """
    return _Machine(data, Flow(limits)).parse()


@dataclass(slots=True)
class _State:
    """State that a group inherits and may change."""

    kind: str = "text"  # or "silent", "label", "fonts", "info", "code"
    around: str = "text"  # the kind around a text that occurs twice
    name: str = ""  # of the information
    hidden: bool = False
    change: str = ""  # "insertion", "deletion", "move", or "gone" for moved away
    author: int = 0
    font: int | None = None
    fallback: int = 1  # substitute characters after \u for programs without Unicode
    in_table: bool = False
    depth: int = 1  # of the table
    ends: Callable[[], None] | None = None  # called at the end of this group


@dataclass
class _Font:
    """One entry of the font table."""

    charset: int = 0
    codec: str = ""
    name: str = ""


@dataclass
class _Row:
    """A finished row: its cells, their right edges, and their merges."""

    cells: list[list[Piece]]
    edges: list[int]
    merges: list[str]


@dataclass
class _Table:
    """An open table: its rows, the current row's cells, and the current cell."""

    rows: list[_Row] = field(default_factory=list)
    cells: list[list[Piece]] = field(default_factory=list)
    cell: list[Piece] = field(default_factory=list)


@dataclass
class _Sink:
    """Destination of text: the document, or a note, header or box."""

    add: Callable[[Piece], None]
    out: list[str] = field(default_factory=list)
    label: list[str] = field(default_factory=list)
    tables: list[_Table] = field(default_factory=list)


class _Machine:
    def __init__(self, data: bytes, flow: Flow) -> None:
        self._data = data
        self._flow = flow
        self._unshown = flow.unshown
        self._position = 0
        self._state = _State()
        self._open: list[_State] = []
        self._body = self._sink = _Sink(flow.add)
        self._sinks: list[_Sink] = []
        self._bytes = bytearray()
        self._high = 0  # the first half of a character beyond the first plane
        self._skip = 0  # substitute characters still to skip
        self._optional = False  # programs may ignore the group
        self._fonts: dict[int, _Font] = {}
        self._font = _Font()
        self._default_font: int | None = None
        self._codec = "cp1252"
        self._info: dict[str, str] = {}
        self._code: list[str] = []
        self._form: dict[str, int] = {}
        self._counts: Counter[str] = Counter()
        self._mark = ""
        self._footnotes: list[Piece] = []
        self._endnotes: list[Piece] = []
        self._boxes: list[Piece] = []
        self._new_page = False  # before the current paragraph
        self._section_due = False  # the next text begins a section
        self._section_breaks = True
        self._edges: list[int] = []
        self._merges: list[str] = []
        self._merge = ""

    def parse(self) -> ParsedDocument:
        for _ in iter(self._token, False):
            pass  # until the last group is closed
        self._flush_bytes()
        unclosed = len(self._open)
        while self._open:
            self._close()
        self._end_paragraph()
        self._close_tables(0)
        for piece in [*self._boxes, *self._footnotes, *self._endnotes]:
            self._flow.add(piece)
        self._flow.add_footers()
        if not self._flow.visible and self._unshown.counts["picture"]:
            raise NoTextLayer(f"the document has no text: it has only pictures, {_PICTURES}")
        self._flow.warn_of_unshown()
        if pictures := self._unshown.counts["picture"]:
            self._flow.warn(f"{counted(pictures, 'picture')} in it, {_PICTURES}")
        damage = f"it is truncated: {unclosed:,} groups are not closed" if unclosed else None
        info = {name: " ".join(plain(text).split())[:500] for name, text in self._info.items()}
        return self._flow.to_document(RTF, "rtf", {k: v for k, v in info.items() if v}, damage)

    def _token(self) -> bool:
        """Process one token. Returns whether there may be more."""
        match = _TOKEN.match(self._data, self._position)
        if match is None:
            return False
        self._position = match.end()
        word, number, code, sign, brace, text = match.groups()
        if text is not None:
            self._raw(text)
        elif code is not None:
            self._raw(bytes([int(code, 16)]))
        elif word is not None:
            self._flush_bytes()
            self._word(word.decode(), None if number is None else int(number))
        elif brace == b"{":
            self._flush_bytes()
            self._open.append(self._state)
            self._state = copy(self._state)
            self._state.ends = None
        elif brace == b"}":
            self._flush_bytes()
            return self._close()
        elif sign is not None:
            self._sign(sign)
        return True

    def _close(self) -> bool:
        """End a group. Returns whether it was not the last."""
        ends = self._state.ends
        if ends:
            ends()
        if not self._open:
            return False
        self._state = self._open.pop()
        self._optional, self._skip = False, 0
        return bool(self._open)

    def _sign(self, sign: bytes) -> None:
        self._flush_bytes()
        if sign == b"*":
            self._optional = True
        elif sign in b"\r\n":
            self._end_line()
        elif sign in _SIGNS:
            self._put(_SIGNS[sign])

    def _raw(self, data: bytes) -> None:
        """Collect bytes in the encoding of their font."""
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        if self._state.kind != "silent":
            self._bytes += data

    def _flush_bytes(self) -> None:
        if not self._bytes:
            return
        data, self._bytes = bytes(self._bytes), bytearray()
        font = self._current_font()
        if font and (font.charset == _SYMBOL_CHARSET or is_symbol_font(font.name)):
            self._put("".join(symbol(b, font.name) if b > 32 else " " for b in data))
        else:
            text = decoded(data, (font.codec if font else "") or self._codec)[0]
            self._put(_CONTROLS.sub("", text))

    def _current_font(self) -> _Font | None:
        if self._state.kind == "fonts":
            return None
        number = self._default_font if self._state.font is None else self._state.font
        return None if number is None else self._fonts.get(number)

    def _put(self, text: str) -> None:
        """Add text to the destination of the current group."""
        state = self._state
        self._high = 0
        if state.kind in ("text", "label"):
            self._show(text)
        elif state.kind == "fonts":
            self._font.name = (self._font.name + text.replace(";", ""))[:100]
        elif state.kind == "code":
            self._code.append(text)
        elif state.kind == "info" and state.name:
            self._info[state.name] = self._info.get(state.name, "") + text[:1_000]

    def _show(self, text: str) -> None:
        state = self._state
        if state.hidden:
            self._unshown.counts["hidden character"] += len(text)
            return
        if state.change in ("deletion", "gone"):
            if state.change == "deletion":
                self._unshown.change("deletion", str(state.author))
            return
        if state.change:
            self._unshown.change(state.change, str(state.author))
        elif text.strip():
            self._unshown.last_change = None
        if self._section_due and self._sink is self._body:
            self._begin_section()
        (self._sink.label if state.kind == "label" else self._sink.out).append(text)

    def _end_line(self) -> None:
        """End the paragraph, unless its end is deleted or hidden: then the next continues it."""
        if self._state.kind == "text" and not self._state.hidden:
            if self._state.change in ("deletion", "gone"):
                self._put("")
            else:
                self._end_paragraph()

    def _end_paragraph(self) -> None:
        sink = self._sink
        text = plain("".join(sink.out))
        label = " ".join(plain("".join(sink.label)).split())
        sink.out, sink.label = [], []
        depth = self._state.depth if self._state.in_table else 0
        if self._new_page and sink is self._body and not depth:
            text = HARD + text
        if depth:
            text = text.replace("\t", " ")  # a tab ends a cell
        self._place(labelled(f"{label} " if label else "", text), depth)

    def _place(self, piece: Piece, depth: int) -> None:
        """Add a paragraph to the table at this depth, or end all tables."""
        sink = self._sink
        self._close_tables(depth)
        while len(sink.tables) < depth:
            sink.tables.append(_Table())
        if depth:
            sink.tables[-1].cell.append(piece)
            return
        sink.add(piece)
        if sink is self._body:
            self._add_notes()

    def _add_notes(self) -> None:
        """Add text boxes of the block, and the footnotes it refers to."""
        for piece in [*self._boxes, *self._footnotes]:
            self._flow.add(piece)
        self._boxes, self._footnotes = [], []

    def _word(self, word: str, number: int | None) -> None:
        state = self._state
        optional, self._optional = self._optional, False
        if word == "bin":
            left = len(self._data) - self._position
            self._position += number if number and 0 < number <= left else 0
            return
        if word in ("ffres", "ffdefres"):
            self._form[word] = number or 0
        if word == "ud":
            state.kind = state.around
        if state.kind == "silent":
            return
        if word == "u":
            self._unicode(number or 0)
            return
        self._skip = 0
        if word in _CHARACTERS:
            self._put(_CHARACTERS[word])
        elif not self._group(word) and not self._property(word, number) and optional:
            state.kind = "silent"

    def _unicode(self, number: int) -> None:
        """Add a character by its number (surrogates in two halves), and skip its substitute."""
        code = number & 0xFFFF
        if 0xD800 <= code < 0xDC00:
            self._high = code
        elif 0xDC00 <= code < 0xE000:
            code_point = 0x10000 + ((self._high - 0xD800) << 10) + (code - 0xDC00)
            self._put(chr(code_point) if self._high else "\ufffd")
            self._high = 0
        else:
            font = self._current_font()
            self._put(_CONTROLS.sub("", from_symbols(chr(code), font.name if font else "")))
            self._high = 0
        self._skip = self._state.fallback

    def _group(self, word: str) -> bool:
        """Process a word that defines the purpose of its group. Returns whether it is one."""
        state = self._state
        if word in _SILENT or (word.startswith("m") and word.endswith("Pr")):
            state.kind = "silent"
            self._unshown.counts["picture"] += word == "pict"
            self._unshown.counts["comment"] += word == "annotation"
        elif word == "upr":  # the same text twice, then in Unicode
            state.around, state.kind = state.kind, "silent"
        elif word == "fonttbl":
            state.kind = "fonts"
        elif word == "info":
            state.kind = "info"
        elif word == "fldinst":
            state.kind, state.ends = "code", self._end_code
            self._code, self._form = [], {}
        elif word in _LABELS:
            state.kind = "label"
        elif word == "footnote":
            self._begin_note()
        elif word in _BOXES:
            boxes: list[Piece] = []
            self._push(boxes.append, lambda: self._boxes.extend(boxes))
        elif word in _RUNNING:
            pieces: list[Piece] = []
            self._push(pieces.append, lambda: self._end_running(word, pieces))
        elif word == "object":
            self._unshown.counts["embedded object"] += 1
        else:
            return word in _TRANSPARENT or word == "ud"
        return True

    def _property(self, word: str, number: int | None) -> bool:
        """Process a word that changes the meaning of text. Returns whether it is one."""
        state = self._state
        on = number != 0
        if state.kind == "fonts" and word in ("f", "fcharset", "cpg"):
            self._define_font(word, number or 0)
        elif state.kind == "info" and word in _INFO:
            state.name = word
        elif word == "par":
            self._end_line()
        elif word == "sect":
            self._end_section()
        elif word in ("cell", "nestcell"):
            self._end_cell(1 if word == "cell" else state.depth)
        elif word in ("row", "nestrow"):
            self._end_row(1 if word == "row" else state.depth)
        elif word == "chftn":
            self._note_number()
        elif word == "f":
            state.font = number
        elif word == "v":
            state.hidden = on
        elif word in ("deleted", "revised", "mvf", "mvt"):
            kinds = {"deleted": "deletion", "revised": "insertion", "mvf": "gone", "mvt": "move"}
            state.change = kinds[word] if on else ""
        elif word in ("revauth", "revauthdel"):
            state.author = number or 0
        elif word == "plain":
            state.hidden, state.change, state.font = False, "", self._default_font
        elif word == "uc":
            state.fallback = min(max(0, number or 0), 100)
        elif word == "pard":
            state.in_table, state.depth, self._new_page = False, 1, False
        elif word == "pagebb":
            self._new_page = on
        elif word == "intbl":
            state.in_table = on
        elif word == "itap":
            state.in_table = bool(number)
            state.depth = min(max(1, number or 1), _DEEPEST_TABLE)
        else:
            return self._layout(word, number)
        return True

    def _layout(self, word: str, number: int | None) -> bool:
        """Process a word about rows, sections or the document. Returns whether it is one."""
        if word == "trowd":
            self._edges, self._merges, self._merge = [], [], ""
        elif word in ("clmgf", "clmrg", "clvmgf", "clvmrg"):
            self._merge = word
        elif word == "cellx" and len(self._edges) < _MOST_EDGES:
            self._edges.append(number or 0)
            self._merges.append(self._merge)
            self._merge = ""
        elif word == "sectd":
            self._section_breaks = True
        elif word in ("sbknone", "sbkcol"):
            self._section_breaks = False
        elif word == "deff":
            self._default_font = number
        elif word == "ansicpg":
            self._codec = _codec_of_page(number or 0) or self._codec
        elif word in ("mac", "pc", "pca"):
            self._codec = {"mac": "mac_roman", "pc": "cp437", "pca": "cp850"}[word]
        else:
            return False
        return True

    def _define_font(self, word: str, number: int) -> None:
        if word == "f":
            self._font = self._fonts.setdefault(number, _Font()) if number < 100_000 else _Font()
        elif word == "fcharset":
            self._font.charset = number
            self._font.codec = self._font.codec or _CODE_PAGES.get(number, "")
        else:
            self._font.codec = _codec_of_page(number) or self._font.codec

    def _end_code(self) -> None:
        """End the instruction of a field; a check box has no other text than its state."""
        code = "".join(self._code).strip()
        if code.upper().startswith("FORMCHECKBOX"):
            chosen = self._form.get("ffres", 25)
            ticked = self._form.get("ffdefres", 0) if chosen == 25 else chosen
            self._state.kind = "text"
            self._put("☒" if ticked else "☐")

    def _push(self, add: Callable[[Piece], None], then: Callable[[], None]) -> None:
        """Send the text of the group elsewhere until its end."""
        self._sinks.append(self._sink)
        self._sink = _Sink(add)
        self._state.in_table = False

        def end() -> None:
            self._end_paragraph()
            self._close_tables(0)
            self._sink = self._sinks.pop()
            then()

        self._state.ends = end

    def _note_number(self) -> None:
        """Add the number of the next note in brackets; within the note it is already there."""
        if self._sink is not self._body or self._state.hidden or self._state.change in _NOT_SHOWN:
            return
        near = self._position + 400
        note = _NOTE.search(self._data, self._position, near)
        is_end = note and _ENDNOTE.match(self._data, note.start())
        kind = "endnote" if is_end else "footnote"
        self._counts[kind] += 1
        self._mark = f"[{numeral(self._counts[kind], 'lowerRoman' if is_end else 'decimal')}]"
        self._put(self._mark)

    def _begin_note(self) -> None:
        at_end = bool(re.match(rb"\s*\\ftnalt", self._data[self._position : self._position + 40]))
        mark, self._mark = self._mark, ""
        pieces: list[Piece] = []

        def end() -> None:
            text = without_marks(stacked(pieces)).text
            if text:
                notes = self._endnotes if at_end else self._footnotes
                notes.append(Piece(f"{mark} {text}".strip()))

        self._push(pieces.append, end)

    def _end_running(self, word: str, pieces: list[Piece]) -> None:
        for piece in self._flow.running(pieces):
            if word.startswith("footer"):
                self._flow.footers.append(piece)
                continue
            if self._section_due:
                self._begin_section()
                self._end_paragraph()
            self._flow.add(piece, furniture=True)

    def _end_section(self) -> None:
        if self._sink is self._body and self._state.kind == "text":
            self._end_paragraph()
            self._close_tables(0)
            self._flow.add_footers()
            self._section_due = True

    def _begin_section(self) -> None:
        self._section_due = False
        if self._section_breaks:
            self._body.out.append(HARD)

    def _end_cell(self, depth: int) -> None:
        if self._state.kind != "text":
            return
        outer = (self._state.in_table, self._state.depth)
        self._state.in_table, self._state.depth = True, depth
        self._end_paragraph()
        self._state.in_table, self._state.depth = outer
        table = self._sink.tables[-1]
        table.cells.append(table.cell)
        table.cell = []

    def _end_row(self, depth: int) -> None:
        tables = self._sink.tables
        if self._state.kind != "text" or len(tables) < depth:
            return
        self._close_tables(depth)
        table = tables[-1]
        deleted = self._state.change in _NOT_SHOWN and not any(map(_visible, table.cells))
        if table.cells and not deleted:
            table.rows.append(_Row(table.cells, self._edges, self._merges))
        table.cells = []

    def _close_tables(self, depth: int) -> None:
        """End tables deeper than `depth`; each becomes part of the surrounding cell."""
        tables = self._sink.tables
        while len(tables) > depth:
            table = tables.pop()
            if table.cell:
                table.cells.append(table.cell)
            if table.cells:
                table.rows.append(_Row(table.cells, self._edges, self._merges))
            piece = self._flow.table(_placed(table.rows))
            if tables:
                tables[-1].cell.append(piece)
                continue
            self._sink.add(piece)
            if self._sink is self._body:
                self._add_notes()


_NOT_SHOWN = ("deletion", "gone")


def _visible(pieces: list[Piece]) -> bool:
    return any(piece.visible for piece in pieces)


def _placed(rows: list[_Row]) -> list[list[TableCell]]:
    """Assign columns to the cells of all rows, by the table's right edges."""
    edge_lists = {id(row.edges): row.edges for row in rows}  # most rows share them
    edges = sorted({edge for row_edges in edge_lists.values() for edge in row_edges})
    placed: list[list[TableCell]] = []
    above: dict[int, TableCell] = {}
    for number, row in enumerate(rows, 1):
        last = 0
        line: list[TableCell] = []
        for index, pieces in enumerate(row.cells):
            has_edge = index < len(row.edges)
            end = bisect_left(edges, row.edges[index]) + 1 if has_edge else last + 1
            start, columns, last = last + 1, max(1, end - last), max(end, last + 1)
            merge = row.merges[index] if has_edge else ""
            content = stacked(pieces)
            if merge == "clmrg" and line and not content.visible:
                line[-1].columns += columns
            elif merge == "clvmrg" and start in above and not content.visible:
                above[start].rows += 1
            else:
                cell = TableCell(content, number, start, columns=columns)
                line.append(cell)
                above[start] = cell
        placed.append(line)
    return placed


def _codec_of_page(number: int) -> str:
    """Return Python's codec for a Windows code page; empty if unknown."""
    if number == 65001:
        return "utf-8"
    if number == 936:
        return "gb18030"
    if number == 10000:
        return "mac_roman"
    return f"cp{number}" if number in _NUMBERED_PAGES else ""
