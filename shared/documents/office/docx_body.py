"""The text of a DOCX by paragraph: runs, fields, tracked changes, tables, notes, text boxes.

A body is a part that Word lays out separately: the main text, a note, a header, a text box.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from shared.documents.containers.xml import Element, below
from shared.documents.flow.flow import (
    HARD,
    SOFT,
    Flow,
    Piece,
    TableCell,
    labelled,
    plain,
    stacked,
    trimmed,
    without_marks,
)
from shared.documents.flow.numerals import numeral
from shared.documents.flow.symbol_fonts import in_font, symbol
from shared.documents.office.docx_lists import Numbering, Style, Styles, integer, on, value
from shared.documents.office.package_reader import Body

_BLOCKS = frozenset(["w:p", "w:tbl", "w:sectPr", "w:altChunk"])
_GONE = frozenset(["w:del", "w:moveFrom"])
_SILENT = frozenset([
    "w:pPr", "w:rPr", "w:sdtPr", "w:sdtEndPr", "w:tblPr", "w:tblGrid", "w:trPr", "w:tcPr",
    "w:delText", "w:delInstrText", "w:rt", "w:footnoteRef", "w:endnoteRef", "w:annotationRef",
    "w:moveFrom", "m:ctrlPr",
])  # fmt: skip
_NOTE_NUMBERS = {"footnote": "decimal", "endnote": "lowerRoman"}
_SWITCH = re.compile(r'\\([a-z])\s*("[^"]*"|[^\s\\"]+)?', re.IGNORECASE)
_WORD = re.compile(r'"([^"]*)"|(\S+)')

Notes = dict[str, dict[str, Element]]
"""The notes of a document by kind (`footnote`, `endnote`) and id."""


@dataclass
class _Field:
    """An open field: where its instruction begins in the paragraph, and the instruction."""

    start: int
    element: Element
    code: list[str] = field(default_factory=list)
    shown: bool = False


class _Paragraph(NamedTuple):
    """One `w:p`: its number, its text with page marks, and whether the next continues it."""

    label: str
    text: str
    goes_on: bool  # no line break follows: its end is deleted or hidden, or it is a large initial
    section: Element | None


class _List(NamedTuple):
    name: str
    level: int
    by_style: bool


class DocxBody(Body):
    """Reads one body with its notes and text boxes; `pictures` are relationship ids.

    `numbering` counts the lists of this body only. `notes` may be referenced; each is removed when
    used.
    """

    def __init__(
        self, styles: Styles, numbering: Numbering, flow: Flow, notes: Notes | None = None
    ) -> None:
        super().__init__(flow)
        self._styles = styles
        self._numbering = numbering
        self._notes = notes
        self._counts: Counter[str] = Counter()
        self._fields: list[_Field] = []
        self._style = Style()
        self._list: _List | None = None
        self._font = ""
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
            "w:del": lambda e: self._unshown.change("deletion", e.get("w:author", "")),
            "pic:pic": self._picture,
            "v:imagedata": self._picture,
            "c:chart": lambda _: self._met("chart"),
            "dgm:relIds": lambda _: self._met("diagram"),
            "o:OLEObject": lambda _: self._met("embedded object"),
        }

    def pieces(self, elements: Iterable[Element]) -> Iterator[Piece | Element]:
        """Yield paragraphs and tables in order, and after each section its `w:sectPr`."""
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
            yield labelled(label, text.replace("\t", " ") if self._tables else text)
        yield from self._after_block()

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
        self._fields = [open_field for open_field in self._fields if open_field.shown]
        text = "".join(self._out)
        gone = self._mark_is_gone(mark)
        runs_on = self._is_hidden(mark) or _is_initial(properties)
        counted = counted and not gone and (bool(text.strip()) or not (runs_on or section))
        label = self._label() if counted else ""
        return _Paragraph(label, text, gone or runs_on, section)

    def _mark_is_gone(self, mark: Element | None) -> bool:
        """Whether the paragraph end is deleted; counts inserted ends as well."""
        for tag, kind in (("w:ins", "insertion"), ("w:del", "deletion")):
            change = below(mark, tag)
            if change is not None:
                self._unshown.change(kind, change.get("w:author", ""))
        return any(below(mark, tag) is not None for tag in _GONE)

    def _list_of(self, properties: Element | None, style: str) -> _List | None:
        own = value(properties, "w:numPr/w:numId")
        name = self._style.list_id if own is None else own
        if name is None or name == "0":
            return None
        level = integer(value(properties, "w:numPr/w:ilvl"))
        if level is None:
            level = self._numbering.level_of_style(name, style)
        return _List(name, self._style.level or 0 if level is None else level, own is None)

    def _label(self) -> str:
        if self._list is None:
            return ""
        return self._numbering.label(
            self._list.name, self._list.level, by_style=self._list.by_style
        )

    def _inside(self, element: Element) -> None:
        for child in element:
            reader = self._readers.get(child.tag)
            if reader is not None:
                reader(child)
            elif child.tag not in _SILENT:
                self._inside(child)

    def _met(self, what: str) -> None:
        self._unshown.counts[what] += 1

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
        self._unshown.last_change = None

    def _is_hidden(self, properties: Element | None) -> bool:
        """Whether a run is hidden: directly, or by its style or its paragraph's, but not both."""
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
        author = element.get("w:author", "")
        self._unshown.change(kind, author)
        self._inside(element)
        self._unshown.last_change = (kind, author)

    def _alternatives(self, element: Element) -> None:
        """Read the first choice; the fallback for older programs only if that has nothing."""
        before = self._extent()
        choice = element.find("mc:Choice")
        if choice is not None:
            self._inside(choice)
        fallback = element.find("mc:Fallback")
        if fallback is not None and self._extent() == before:
            self._inside(fallback)

    def _extent(self) -> tuple[int, int, int]:
        return len(self._out), len(self._boxes), self._unshown.counts.total()

    def _box(self, element: Element) -> None:
        if not self._hidden:
            self._boxes += self._apart(element)

    def _word_art(self, element: Element) -> None:
        if not self._hidden:
            self._boxes.append(trimmed(plain(element.get("string", ""))))

    def _apart(self, element: Element) -> list[Piece]:
        """Return the pieces of a note or text box, which has its own numbering."""
        body = DocxBody(self._styles, self._numbering.restarted(), self._flow)
        pieces = body.pieces(element)
        return [without_marks(piece) for piece in pieces if isinstance(piece, Piece)]

    def _reference(self, element: Element, kind: str) -> None:
        """Add a note's number in brackets; keep its text until it is due."""
        if self._hidden or self._notes is None:
            return
        mark = ""
        if element.get("w:customMarkFollows", "0") in ("0", "false", "off"):
            self._counts[kind] += 1
            mark = f"[{numeral(self._counts[kind], _NOTE_NUMBERS[kind])}]"
            self._out.append(mark)
        note = self._notes[kind].pop(element.get("w:id", ""), None)
        if note is not None:
            text = stacked(self._apart(note))
            due = self._footnotes if kind == "footnote" else self.endnotes
            due.append(Piece(f"{mark} {text.text}".strip()))

    def _field_character(self, element: Element) -> None:
        """Replace a field's instruction by its result.

        The instruction may contain fields, whose results are dropped, too. If a field is never
        closed, its text is kept.
        """
        kind = element.get("w:fldCharType")
        if kind == "begin":
            self._fields.append(_Field(len(self._out), element))
        elif kind == "separate" and self._fields and not self._fields[-1].shown:
            self._fields[-1].shown = True
            del self._out[self._fields[-1].start :]
        elif kind == "end" and self._fields:
            ended = self._fields.pop()
            if not ended.shown:
                del self._out[ended.start :]
                self._put(plain(self._computed(ended)))

    def _instruction(self, element: Element) -> None:
        if self._fields:
            self._fields[-1].code.append(element.text or "")

    def _computed(self, ended: _Field) -> str:
        """Return what Word shows for a field without a stored result."""
        code = "".join(ended.code)
        words = [quoted or word for quoted, word in _WORD.findall(code)]
        name = words[0].upper() if words else ""
        switches = {key.lower(): text.strip('"') for key, text in _SWITCH.findall(code)}
        first = words[1] if len(words) > 1 and not words[1].startswith("\\") else ""
        if name == "LISTNUM":
            level = integer(switches.get("l")) or (self._list.level + 2 if self._list else 1)
            return self._numbering.field(first, level, integer(switches.get("s")))
        if name in ("AUTONUM", "AUTONUMLGL"):
            self._counts["autonum"] += 1
            return f"{self._counts['autonum']}."
        if name == "FORMCHECKBOX":
            return _check_box(ended.element)
        if name == "FORMDROPDOWN":
            return _choice(ended.element)
        if name == "SYMBOL" and (number := integer(first)) is not None:
            return symbol(number, switches.get("f", ""))
        if name == "MACROBUTTON":
            return code.strip().partition(" ")[2].strip().partition(" ")[2]
        return ""

    def _table(self, table: Element) -> Piece:
        self._tables += 1
        rows: list[list[TableCell]] = []
        merged: dict[int, TableCell] = {}
        for element in _each(table, "w:tr"):
            if self._row_stays(element):
                rows.append(self._row(element, len(rows) + 1, merged))
        self._tables -= 1
        return self._flow.table(rows)

    def _row_stays(self, row: Element) -> bool:
        properties = row.find("w:trPr")
        for tag, kind in (("w:ins", "insertion"), ("w:del", "deletion")):
            change = below(properties, tag)
            if change is not None:
                self._unshown.change(kind, change.get("w:author", ""))
        if on(below(properties, "w:hidden")):
            length = sum(len(text.text or "") for text in row.iter("w:t"))
            self._unshown.counts["hidden character"] += length
            return False
        return below(properties, "w:del") is None

    def _row(self, element: Element, number: int, merged: dict[int, TableCell]) -> list[TableCell]:
        """Return the cells of a row; `merged` has the cell above that each column may continue."""
        row: list[TableCell] = []
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
                new = TableCell(stacked(pieces), number, column, columns=columns)
                row.append(new)
                merged.pop(column, None)
                if merge is not None:
                    merged[column] = new
            column += columns
        return row


def _flat(elements: Iterable[Element]) -> Iterator[Element]:
    """Yield blocks without wrappers (content controls, custom XML, choices)."""
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
    """Yield the rows of a table or the cells of a row, without wrappers."""
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
    number = integer(text)
    return default if number is None or not 0 < number <= 1000 else number


def _check_box(begin: Element) -> str:
    box = below(begin, "w:ffData/w:checkBox")
    checked = on(below(box, "w:checked"))
    checked = on(below(box, "w:default")) if checked is None else checked
    return "☒" if checked else "☐"


def _choice(begin: Element) -> str:
    box = below(begin, "w:ffData/w:ddList")
    entries = [e.get("w:val", "") for e in box.findall("w:listEntry")] if box is not None else []
    number = integer(value(box, "w:result")) or integer(value(box, "w:default")) or 0
    return entries[number] if 0 <= number < len(entries) else ""
