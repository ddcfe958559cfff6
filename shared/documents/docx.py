"""DOCX: the text as Word shows it when every tracked change is accepted.

The parts are read with the standard library (`package.py`, `markup.py`). The libraries on offer
were no help where it matters for contracts: python-docx knows neither list numbers nor notes and
leaves out inserted text, docx2python counts lists without regard to their definitions, mammoth
makes HTML and drops the numbers; and all of them have the whole document in memory before anybody
can say that it is too large. See infra/decisions/0012-office-documents.md.

What is shown and where:

* List numbers are computed (`docx_lists.py`) and stand before their paragraph: `1.2 Term`.
* A note's number stands in brackets where it is referred to and before its text: `price[1]`.
  Footnotes follow the paragraph or table that refers to them, endnotes the document.
* Running headers and footers stand once, at the beginning and the end of their section, marked as
  furniture. Text boxes follow the paragraph that they hang on.
* Deleted and hidden text and comments are left out, with a warning that says how much there was.
* Pictures of pages are read by the engine for scans, and are pages behind those of the text.
* A page is one as Word last laid it out, where it left marks of that; else it is what stands
  between the page breaks that the author set.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial

from shared.documents.docx_lists import Numbering, Styles, on, value
from shared.documents.docx_story import Notes, Story
from shared.documents.flow import HARD, Flow, Piece, joined, plain, without_marks
from shared.documents.inlaid import Picture, of_pictures, with_pictures
from shared.documents.markup import blocks, tree
from shared.documents.package import DOCX, MOST_UNPACKED, Package
from shared.documents.reading import Limits, Reading
from shared.documents.scans import Scans
from shared.documents.tally import Tally
from shared.documents.xml import Element
from shared.errors import DocumentTooLarge, UnreadableDocument

_MAIN_PART = re.compile(r"/?word/document\d*\.xml", re.IGNORECASE)

_METADATA = {
    "core-properties": {
        "dc:title": "title",
        "dc:creator": "author",
        "dc:subject": "subject",
        "cp:keywords": "keywords",
    },
    "extended-properties": {"ep:Application": "creator"},
}
_BEGINS_A_PAGE = ("nextPage", "oddPage", "evenPage")


def read_docx(
    data: bytes, limits: Limits, scans: Scans | None = None, skip: Collection[int] = ()
) -> Reading:
    """The text of a DOCX with its pages, cells and warnings, without boxes; behind them a page for
    each picture that `scans` recognise text in, but for those that `skip` numbers.

    Raises UnreadableDocument for a file without a body, NoTextLayer for one of pictures without
    text alone. Of one that is damaged within its body, what comes before is read and the rest is a
    failed page.
    """
    try:
        scans = scans or Scans(limits, None)
        return _Document(Package(data, MOST_UNPACKED), limits).reading(scans, skip)
    except RecursionError as error:
        raise UnreadableDocument("the document is nested too deeply") from error


class _Document:
    """One DOCX: its parts, its text in the making, and its sections."""

    def __init__(self, package: Package, limits: Limits) -> None:
        self._package = package
        self._parts = _Parts(package)
        self._flow = Flow(limits)
        for damage in self._parts.damage:
            self._flow.warn(f"parts that belong to it may be missing ({damage})")
        self._tally = Tally()
        styles = self._optional("styles", "styles: list numbers and hidden text may be wrong")
        self._styles = Styles.of(styles) if styles is not None else Styles()
        lists = self._optional("numbering", "list definitions: list numbers are missing")
        self._lists = Numbering.of(lists, self._styles) if lists is not None else Numbering()
        settings = self._optional("settings", "settings")
        self._even = settings is not None and bool(on(settings.find("w:evenAndOddHeaders")))
        self._section_start = 0
        self._first_section = True
        self._footers: list[Piece] = []
        self._running_read: set[str] = set()
        self._running: set[str] = set()  # texts of headers and footers that stand already

    def reading(self, scans: Scans, skip: Collection[int]) -> Reading:
        """The whole document. Raises NoTextLayer, or the UnreadableDocument that fits."""
        story = self._story(notes={kind: self._notes(kind) for kind in ("footnote", "endnote")})
        body = blocks(self._package.chunks(self._parts.main), {"w:body"})
        damage = None
        try:
            for found in story.pieces(element for _, element in body):
                if isinstance(found, Piece):
                    self._add_footers()
                    self._flow.add(found)
                else:
                    self._end_section(found)
        except UnreadableDocument as error:
            if type(error) is not UnreadableDocument:
                raise
            damage = error.message
        for piece in story.endnotes:
            self._flow.add(piece)
        self._add_footers()
        self._warn()
        pictures = self._pictures(story.pictures)
        if self._flow.visible or damage or not self._tally.found["picture"]:
            own = self._flow.reading(DOCX, "docx", self._metadata(), damage)
            return with_pictures(own, pictures, scans, self._flow.limits, skip)
        limits, warnings = self._flow.limits, self._flow.warnings
        whole = of_pictures(warnings, DOCX, pictures, scans, limits, skip)
        return replace(whole, metadata=self._metadata())

    def _pictures(self, ids: Sequence[str]) -> list[Picture]:
        """The pictures of the body, each part once, in their order, also those that are missing."""
        parts = dict.fromkeys(self._parts.by_id(one) or one for one in ids)
        return [partial(self._package.picture, part) for part in parts]

    def _story(self, notes: Notes | None = None) -> Story:
        numbering = self._lists if notes is not None else self._lists.anew()
        return Story(self._styles, numbering, self._flow, self._tally, notes)

    def _optional(self, kind: str, lost: str) -> Element | None:
        """The part of a kind, None if there is none; damage costs a warning, not the document."""
        name = self._parts.of_kind(kind)
        return self._part(name, f"the document has no readable {lost}") if name else None

    def _part(self, name: str, lost: str) -> Element | None:
        try:
            return tree(self._package.chunks(name))
        except DocumentTooLarge:
            raise
        except UnreadableDocument as error:
            self._flow.warn(f"{lost} ({error.message})")
            return None

    def _notes(self, kind: str) -> dict[str, Element]:
        root = self._optional(f"{kind}s", f"{kind}s: they are missing")
        notes = root.iter(f"w:{kind}") if root is not None else ()
        return {e.get("w:id", ""): e for e in notes if e.get("w:type", "normal") == "normal"}

    def _end_section(self, properties: Element) -> None:
        """Headers before what the section has brought, footers after; the next one begins here.

        The properties come at the end of their section, but say how it begins.
        """
        self._add_footers()
        start = self._section_start
        for piece in self._running_texts(properties, "header"):
            self._flow.add_at(start, piece, furniture=True)
            start += 1
        kind = value(properties, "w:type") or "nextPage"
        if kind in _BEGINS_A_PAGE and not self._first_section:
            self._flow.add_at(self._section_start, Piece(HARD))
        self._footers = list(self._running_texts(properties, "footer"))
        self._section_start = len(self._flow) + len(self._footers)
        self._first_section = False

    def _add_footers(self) -> None:
        """Those of the section that has ended; endnotes may come before the last ones."""
        for piece in self._footers:
            self._flow.add(piece, furniture=True)
        self._footers = []

    def _running_texts(self, properties: Element, kind: str) -> Iterator[Piece]:
        """The headers or footers that this section shows and none before it did."""
        shown = {"default"}
        shown |= {"first"} if on(properties.find("w:titlePg")) else set()
        shown |= {"even"} if self._even else set()
        for reference in properties.findall(f"w:{kind}Reference"):
            name = self._parts.by_id(reference.get("r:id", ""))
            if name is None or reference.get("w:type", "default") not in shown:
                continue
            if name in self._running_read:
                continue
            self._running_read.add(name)
            root = self._part(name, f"a {kind} can't be read")
            if root is None:
                continue
            pieces = [piece for piece in self._story().pieces(root) if isinstance(piece, Piece)]
            text = without_marks(joined(pieces, lambda *_: "\n")).text
            if text and text not in self._running:
                self._running.add(text)
                yield Piece(text)

    def _warn(self) -> None:
        comments = self._optional("comments", "comments")
        if comments is not None:
            self._tally.found["comment"] += sum(1 for _ in comments.iter("w:comment"))
        self._tally.found["macros"] += "word/vbaProject.bin" in self._package
        self._tally.warn(self._flow)

    def _metadata(self) -> dict[str, str]:
        metadata: dict[str, str] = {}
        for kind, names in _METADATA.items():
            root = self._optional(kind, kind)
            for tag, name in names.items() if root is not None else ():
                text = plain((root.findtext(tag) if root is not None else "") or "").strip()
                if text:
                    metadata[name] = text[:500]
        return metadata


class _Parts:
    """Which part has which task: by its relationship, or by its usual name without one."""

    def __init__(self, package: Package) -> None:
        self._package = package
        self.damage: list[str] = []
        """What is wrong with the lists of parts, in words."""
        self._kinds = {kind: part for _, kind, part in self._related("")}
        self.main = self._kinds.get("officeDocument", "")
        if self.main not in package:
            named = (name for name in package.names() if _MAIN_PART.fullmatch(name))
            self.main = next(named, "word/document.xml")
        related = list(self._related(self.main))
        self._ids = {name: part for name, _, part in related}
        self._kinds |= {kind: part for _, kind, part in related}

    def of_kind(self, kind: str) -> str | None:
        """The part of that kind; None if there is none."""
        name = self._kinds.get(kind) or f"word/{kind}.xml"
        return name if name in self._package else None

    def by_id(self, name: str) -> str | None:
        """The part that the body knows by that relationship; None if there is none."""
        part = self._ids.get(name)
        return part if part is not None and part in self._package else None

    def _related(self, part: str) -> Iterator[tuple[str, str, str]]:
        """The id, kind and name of each part that one refers to; none if its list is damaged."""
        folder, name = posixpath.split(part)
        listed = posixpath.join(folder, "_rels", f"{name}.rels")
        if listed not in self._package:
            return
        try:
            root = tree(self._package.chunks(listed))
        except DocumentTooLarge:
            raise
        except UnreadableDocument as error:
            self.damage.append(error.message)
            return
        for element in root.iter("rel:Relationship"):
            if element.get("TargetMode") != "External":
                target = posixpath.join("/", folder, element.get("Target", ""))
                kind = element.get("Type", "").rpartition("/")[2]
                yield element.get("Id", ""), kind, posixpath.normpath(target)
