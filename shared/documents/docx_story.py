"""The text of a DOCX, paragraph by paragraph: runs, fields, tracked changes, tables, notes, boxes.

A story is what Word lays out by itself: the body, a note, a header, a text box.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from shared.documents.docx_lists import Numbering, Style, Styles, on, value, whole
from shared.documents.flow import (
    HARD,
    SOFT,
    Flow,
    Piece,
    TableCell,
    joined,
    labelled,
    plain,
    trimmed,
    without_marks,
)
from shared.documents.markup import below
from shared.documents.numerals import numeral
from shared.documents.symbols import in_font, symbol
from shared.documents.tally import Tally
from shared.documents.xml import Element

_BLOCKS = frozenset(["w:p", "w:tbl", "w:sectPr", "w:altChunk"])
_GONE = frozenset(["w:del", "w:moveFrom"])
_SILENT = frozenset(
    [
        "w:pPr",
        "w:rPr",
        "w:sdtPr",
        "w:sdtEndPr",
        "w:tblPr",
        "w:tblGrid",
        "w:trPr",
        "w:tcPr",
        "w:delText",
        "w:delInstrText",
        "w:rt",
        "w:footnoteRef",
        "w:endnoteRef",
        "w:annotationRef",
        "w:moveFrom",
        "m:ctrlPr",
    ]
)
_NOTE_NUMBERS = {"footnote": "decimal", "endnote": "lowerRoman"}
_SWITCH = re.compile(r'\\([a-z])\s*("[^"]*"|[^\s\\"]+)?', re.IGNORECASE)
_WORD = re.compile(r'"([^"]*)"|(\S+)')

Notes = dict[str, dict[str, Element]]
"""The notes of a document by kind and id, `footnote` and `endnote`."""


@dataclass
class _Field:
    """A field that has begun: where its instruction begins in its paragraph, and what it says."""

    start: int
    element: Element
    code: list[str] = field(default_factory=list)
    shown: bool = False


class _Paragraph(NamedTuple):
    """One `w:p`: the number before it, its text with page marks, and how the next one follows."""

    label: str
    text: str
    goes_on: bool  # no line break follows: its mark is deleted or hidden, or it is a large initial
    section: Element | None


@dataclass
class _Cell:
    """A cell in the making: it may yet grow downwards."""

    content: Piece
    row: int
    column: int
    columns: int
    rows: int = 1


class _List(NamedTuple):
    """The list that a paragraph belongs to."""

    name: str
    level: int
    by_style: bool


class Story:
    """Reads one story, and what hangs on it.

    Args:
        numbering: counts the lists of this story alone.
        notes: those that may be referred to; each is taken out where it is. None: no notes here.
    """

    def __init__(
        self,
        styles: Styles,
        numbering: Numbering,
        flow: Flow,
        tally: Tally,
        notes: Notes | None = None,
    ) -> None:
        self.endnotes: list[Piece] = []
        self.pictures: list[str] = []
        """The relationships of the pictures that are shown, in their order."""
        self._styles = styles
        self._numbering = numbering
        self._flow = flow
        self._tally = tally
        self._notes = notes
        self._counts: Counter[str] = Counter()
        self._footnotes: list[Piece] = []
        self._boxes: list[Piece] = []
        self._fields: list[_Field] = []
        self._out: list[str] = []
        self._style = Style()
        self._list: _List | None = None
        self._hidden = False
        self._font = ""
        self._tables = 0  # around what is read
        self._readers: dict[str, Callable[[Element], None]] = {
            "w:r": self._run,
            "w:t": self._text,
            "m:t": self._text,
            "w:tab": lambda _: self._put("\t"),
            "w:ptab": lambda _: self._put("\t"),
            "w:cr": lambda _: self._put("\n"),
            "w:br": lambda e: self._put(HARD if e.get("w:type") == "page" else "\n"),
            "w:noBreakHyphen": lambda _: self._put("-"),
            "w:sym": self._symbol,
            "w:lastRenderedPageBreak": lambda _: self._out.append(SOFT),
            "w:fldChar": self._field_character,
            "w:instrText": self._instruction,
            "w:footnoteReference": lambda e: self._reference(e, "footnote"),
            "w:endnoteReference": lambda e: self._reference(e, "endnote"),
            "w:txbxContent": self._box,
            "v:textpath": self._word_art,
            "mc:AlternateContent": self._alternatives,
            "w:ins": lambda e: self._change(e, "insertion"),
            "w:moveTo": lambda e: self._change(e, "move"),
            "w:del": lambda e: self._tally.change("deletion", e.get("w:author", "")),
            "pic:pic": self._picture,
            "v:imagedata": self._picture,
            "c:chart": lambda _: self._met("chart"),
            "dgm:relIds": lambda _: self._met("diagram"),
            "o:OLEObject": lambda _: self._met("embedded object"),
        }

    # ------------------------------------------------------------ paragraphs and what is between

    def pieces(self, elements: Iterable[Element]) -> Iterator[Piece | Element]:
        """The paragraphs and tables in their order, and after each section its `w:sectPr`."""
        label = carried = ""
        for element in _flat(elements):
            if element.tag == "w:p":
                paragraph = self._paragraph(element, counted=not label)
                label, carried = label or paragraph.label, carried + paragraph.text
                if not paragraph.goes_on:
                    yield from self._finished(label, carried)
                    label = carried = ""
                if paragraph.section is not None:
                    yield paragraph.section
                continue
            yield from self._finished(label, carried)
            label = carried = ""
            if element.tag == "w:tbl":
                yield self._table(element)
                yield from self._after_block()
            elif element.tag == "w:sectPr":
                yield element
            else:
                self._met("embedded document")
        yield from self._finished(label, carried)

    def _finished(self, label: str, text: str) -> Iterator[Piece]:
        if label or text:
            yield self._labelled(label, text)
        yield from self._after_block()

    def _labelled(self, label: str, text: str) -> Piece:
        return labelled(label, text.replace("\t", " ") if self._tables else text)

    def _after_block(self) -> Iterator[Piece]:
        """Text boxes that hang on the block, and the footnotes that it refers to."""
        boxes, self._boxes = self._boxes, []
        yield from boxes
        if not self._tables:
            notes, self._footnotes = self._footnotes, []
            yield from notes

    def _paragraph(self, element: Element, *, counted: bool) -> _Paragraph:
        properties = element.find("w:pPr")
        style_name = value(properties, "w:pStyle")
        self._style = self._styles.of_paragraph(style_name)
        self._list = self._list_of(properties, style_name or self._styles.default)
        mark = below(properties, "w:rPr")
        section = below(properties, "w:sectPr")
        self._out = []
        new_page = on(below(properties, "w:pageBreakBefore"))
        if self._style.new_page if new_page is None else new_page:
            self._out.append(HARD)
        self._inside(element)
        self._fields = [found for found in self._fields if found.shown]
        text = "".join(self._out)
        gone = self._mark_is_gone(mark)
        runs_on = self._is_hidden(mark) or _is_initial(properties)
        counted = counted and not gone and (bool(text.strip()) or not (runs_on or section))
        label = self._label() if counted else ""
        return _Paragraph(label, text, gone or runs_on, section)

    def _mark_is_gone(self, mark: Element | None) -> bool:
        """Whether the end of the paragraph is deleted; one that was inserted is noted as well."""
        for tag, kind in (("w:ins", "insertion"), ("w:del", "deletion")):
            change = below(mark, tag)
            if change is not None:
                self._tally.change(kind, change.get("w:author", ""))
        return any(below(mark, tag) is not None for tag in _GONE)

    def _list_of(self, properties: Element | None, style: str) -> _List | None:
        own = value(properties, "w:numPr/w:numId")
        name = self._style.list_id if own is None else own
        if name is None or name == "0":
            return None
        level = whole(value(properties, "w:numPr/w:ilvl"))
        if level is None:
            level = self._numbering.level_of_style(name, style)
        return _List(name, self._style.level or 0 if level is None else level, own is None)

    def _label(self) -> str:
        if self._list is None:
            return ""
        return self._numbering.label(
            self._list.name, self._list.level, by_style=self._list.by_style
        )

    # ------------------------------------------------------------ within a paragraph

    def _inside(self, element: Element) -> None:
        for child in element:
            reader = self._readers.get(child.tag)
            if reader is not None:
                reader(child)
            elif child.tag not in _SILENT:
                self._inside(child)

    def _put(self, text: str) -> None:
        if self._hidden:
            self._tally.found["hidden character"] += len(text)
        else:
            self._out.append(text)

    def _met(self, what: str) -> None:
        self._tally.found[what] += 1

    def _picture(self, element: Element) -> None:
        self._met("picture")
        blips = element.iter("a:blip")
        named = [blip.get("r:embed", "") or blip.get("r:link", "") for blip in blips]
        if not self._hidden:
            own = element.get("r:id", "") or element.get("r:href", "")
            self.pictures += filter(None, [*named, own])

    def _run(self, element: Element) -> None:
        properties = element.find("w:rPr")
        outer = (self._hidden, self._font)
        self._hidden = self._is_hidden(properties)
        fonts = below(properties, "w:rFonts")
        self._font = fonts.get("w:ascii", "") if fonts is not None else ""
        self._inside(element)
        self._hidden, self._font = outer
        self._tally.last_change = None

    def _is_hidden(self, properties: Element | None) -> bool:
        """By the run itself, or by its style and its paragraph's, which cancel each other out."""
        direct = on(below(properties, "w:vanish"))
        if direct is not None:
            return direct
        style = self._styles.of_runs(value(properties, "w:rStyle") or "")
        by_style = bool(style.hidden) != bool(self._style.hidden)
        return by_style or self._styles.hidden_by_default

    def _text(self, element: Element) -> None:
        text = element.text or ""
        if element.get("xml:space") != "preserve":
            text = text.strip(" \t\r\n")
        self._put(in_font(plain(re.sub(r"[\t\n\r]", " ", text)), self._font))

    def _symbol(self, element: Element) -> None:
        code = element.get("w:char", "")
        if re.fullmatch(r"[0-9A-Fa-f]{1,6}", code):
            self._put(symbol(int(code, 16), element.get("w:font", "")))

    def _change(self, element: Element, kind: str) -> None:
        """Text that a change brought: it stays."""
        author = element.get("w:author", "")
        self._tally.change(kind, author)
        self._inside(element)
        self._tally.last_change = (kind, author)

    def _alternatives(self, element: Element) -> None:
        """The first choice; what is there for older programs only if that has nothing for us."""
        before = self._extent()
        choice = element.find("mc:Choice")
        if choice is not None:
            self._inside(choice)
        fallback = element.find("mc:Fallback")
        if fallback is not None and self._extent() == before:
            self._inside(fallback)

    def _extent(self) -> tuple[int, int, int]:
        return len(self._out), len(self._boxes), self._tally.found.total()

    def _box(self, element: Element) -> None:
        if not self._hidden:
            self._boxes += self._apart(element)

    def _word_art(self, element: Element) -> None:
        if not self._hidden:
            self._boxes.append(trimmed(plain(element.get("string", ""))))

    def _apart(self, element: Element) -> list[Piece]:
        """The pieces of a note or text box, which is a story of its own on the page around it."""
        story = Story(self._styles, self._numbering.anew(), self._flow, self._tally)
        found = story.pieces(element)
        return [without_marks(piece) for piece in found if isinstance(piece, Piece)]

    def _reference(self, element: Element, kind: str) -> None:
        """A note's number in brackets; its text is kept until its place comes."""
        if self._hidden or self._notes is None:
            return
        mark = ""
        if element.get("w:customMarkFollows", "0") in ("0", "false", "off"):
            self._counts[kind] += 1
            mark = f"[{numeral(self._counts[kind], _NOTE_NUMBERS[kind])}]"
            self._out.append(mark)
        note = self._notes[kind].pop(element.get("w:id", ""), None)
        if note is not None:
            text = joined(self._apart(note), lambda *_: "\n")
            due = self._footnotes if kind == "footnote" else self.endnotes
            due.append(Piece(f"{mark} {text.text}".strip()))

    # ------------------------------------------------------------ fields

    def _field_character(self, element: Element) -> None:
        """A field is what it shows; what it was computed from is its instruction.

        Text can stand in an instruction as the result of a field within it, and is dropped with
        it; in a field that is never closed it stays.
        """
        kind = element.get("w:fldCharType")
        if kind == "begin":
            self._fields.append(_Field(len(self._out), element))
        elif kind == "separate" and self._fields and not self._fields[-1].shown:
            self._fields[-1].shown = True
            del self._out[self._fields[-1].start :]
        elif kind == "end" and self._fields:
            found = self._fields.pop()
            if not found.shown:
                del self._out[found.start :]
                self._put(plain(self._computed(found)))

    def _instruction(self, element: Element) -> None:
        if self._fields:
            self._fields[-1].code.append(element.text or "")

    def _computed(self, found: _Field) -> str:
        """What Word shows for a field without a stored result."""
        code = "".join(found.code)
        words = [quoted or word for quoted, word in _WORD.findall(code)]
        name = words[0].upper() if words else ""
        switches = {key.lower(): text.strip('"') for key, text in _SWITCH.findall(code)}
        first = words[1] if len(words) > 1 and not words[1].startswith("\\") else ""
        if name == "LISTNUM":
            level = whole(switches.get("l")) or (self._list.level + 2 if self._list else 1)
            return self._numbering.field(first, level, whole(switches.get("s")))
        if name in ("AUTONUM", "AUTONUMLGL"):
            self._counts["autonum"] += 1
            return f"{self._counts['autonum']}."
        if name == "FORMCHECKBOX":
            return _check_box(found.element)
        if name == "FORMDROPDOWN":
            return _choice(found.element)
        if name == "SYMBOL" and (number := whole(first)) is not None:
            return symbol(number, switches.get("f", ""))
        if name == "MACROBUTTON":
            return code.strip().partition(" ")[2].strip().partition(" ")[2]
        return ""

    # ------------------------------------------------------------ tables

    def _table(self, table: Element) -> Piece:
        self._tables += 1
        rows: list[list[_Cell]] = []
        merged: dict[int, _Cell] = {}
        for element in _each(table, "w:tr"):
            if self._row_stays(element):
                rows.append(self._row(element, len(rows) + 1, merged))
        self._tables -= 1
        return self._flow.table(
            [TableCell(c.content, c.row, c.column, c.rows, c.columns) for c in row] for row in rows
        )

    def _row_stays(self, row: Element) -> bool:
        properties = row.find("w:trPr")
        for tag, kind in (("w:ins", "insertion"), ("w:del", "deletion")):
            change = below(properties, tag)
            if change is not None:
                self._tally.change(kind, change.get("w:author", ""))
        if on(below(properties, "w:hidden")):
            length = sum(len(text.text or "") for text in row.iter("w:t"))
            self._tally.found["hidden character"] += length
            return False
        return below(properties, "w:del") is None

    def _row(self, element: Element, number: int, merged: dict[int, _Cell]) -> list[_Cell]:
        """The cells of a row; `merged` has the cell above that each column may go on with."""
        row: list[_Cell] = []
        column = 1 + _width(value(element, "w:trPr/w:gridBefore"), 0)
        for cell in _each(element, "w:tc"):
            properties = cell.find("w:tcPr")
            if below(properties, "w:cellDel") is not None:
                self._met("deletion")
                continue
            columns = _width(value(properties, "w:gridSpan"), 1)
            merge = below(properties, "w:vMerge")
            above = merged.get(column)
            if merge is not None and merge.get("w:val") != "restart" and above is not None:
                above.rows += 1
            else:
                pieces = [piece for piece in self.pieces(cell) if isinstance(piece, Piece)]
                found = _Cell(joined(pieces, lambda *_: "\n"), number, column, columns)
                row.append(found)
                merged.pop(column, None)
                if merge is not None:
                    merged[column] = found
            column += columns
        return row


def _flat(elements: Iterable[Element]) -> Iterator[Element]:
    """Blocks without what is only wrapped around them (content controls, custom XML, choices)."""
    for element in elements:
        if element.tag in _BLOCKS:
            yield element
        elif element.tag == "mc:AlternateContent":
            choice = element.find("mc:Choice")
            yield from _flat(choice if choice is not None else element)
        elif element.tag == "w:r" or element.tag.startswith("m:"):
            paragraph = Element("w:p")
            paragraph.append(element)
            yield paragraph
        elif element.tag not in _GONE and element.tag not in _SILENT:
            yield from _flat(element)


def _each(parent: Element, tag: str) -> Iterator[Element]:
    """The rows of a table or the cells of a row, through what is wrapped around them."""
    for child in parent:
        if child.tag == tag:
            yield child
        elif child.tag not in _GONE and child.tag not in _SILENT:
            yield from _each(child, tag)


def _is_initial(properties: Element | None) -> bool:
    """Whether the paragraph is the large first letter of the next."""
    frame = below(properties, "w:framePr")
    return frame is not None and frame.get("w:dropCap") in ("drop", "margin")


def _width(text: str | None, default: int) -> int:
    number = whole(text)
    return default if number is None or not 0 < number <= 1000 else number


def _check_box(begin: Element) -> str:
    box = below(begin, "w:ffData/w:checkBox")
    checked = on(below(box, "w:checked"))
    checked = on(below(box, "w:default")) if checked is None else checked
    return "☒" if checked else "☐"


def _choice(begin: Element) -> str:
    box = below(begin, "w:ffData/w:ddList")
    entries = [e.get("w:val", "") for e in box.findall("w:listEntry")] if box is not None else []
    number = whole(value(box, "w:result")) or whole(value(box, "w:default")) or 0
    return entries[number] if 0 <= number < len(entries) else ""
