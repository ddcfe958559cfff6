"""DOCX: the text as Word shows it with all tracked changes accepted.

The standard library reads the parts (`zip_package.py`, `xml.py`);
docs/explanation/decisions/document-readers.md compares the libraries that could.

* List numbers are computed (`docx_lists.py`) and precede their paragraph: `1.2 Term`.
* A note's number is in brackets, at its reference and before its text: `price[1]`. Footnotes follow
  the paragraph or table that refers to them, endnotes the document.
* Running headers and footers occur once, at the beginning and end of their section, as furniture.
  Text boxes follow their paragraph.
* Deleted and hidden text and comments are left out, with a warning that counts them.
* Pictures of pages are recognised, and become pages at the end.
* Pages are those of Word's last layout if it left marks, else those between the author's page
  breaks.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from shared.documents.containers.xml import Element, blocks
from shared.documents.containers.zip_package import Package, Relation, related
from shared.documents.flow.flow import HARD, Piece
from shared.documents.model.formats import DOCX
from shared.documents.model.parsed_document import Limits, ParsedDocument
from shared.documents.office.docx_body import DocxBody
from shared.documents.office.docx_lists import Numbering, Styles, on, value
from shared.documents.office.package_reader import PackageReader, metadata_of
from shared.documents.pages.scanned_pages import Scans
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
    data: bytes, limits: Limits, scans: Scans, skip: Collection[int] = ()
) -> ParsedDocument:
    """Return the text of a DOCX with pages, cells and warnings, without boxes.

    A page follows for each picture in which `scans` recognises text, except those numbered in
    `skip`. If the body is damaged, the text before the damage is kept and a failed page follows.

    Raises:
        UnreadableDocument: there is no body.
        NoTextLayer: there are only pictures without text.
    """
    return _Document(data, limits).parse(scans, skip)


class _Document(PackageReader):
    def __init__(self, data: bytes, limits: Limits) -> None:
        super().__init__(data, limits)
        self._parts = _Parts(self._package)
        for damage in self._parts.damage:
            self._flow.warn(f"parts of it may be missing ({damage})")
        styles = self._of_kind("styles", "styles: list numbers and hidden text may be wrong")
        self._styles = Styles.of(styles) if styles is not None else Styles()
        lists = self._of_kind("numbering", "list definitions: list numbers are missing")
        self._lists = Numbering.of(lists, self._styles) if lists is not None else Numbering()
        settings = self._of_kind("settings", "settings")
        self._even = settings is not None and bool(on(settings.find("w:evenAndOddHeaders")))
        self._section_start = 0
        self._first_section = True
        self._running_read: set[str] = set()

    def parse(self, scans: Scans, skip: Collection[int]) -> ParsedDocument:
        notes = {kind: self._notes(kind) for kind in ("footnote", "endnote")}
        body = DocxBody(self._styles, self._lists, self._flow, notes)
        elements = blocks(self._package.chunks(self._parts.main), {"w:body"})
        damage = None
        try:
            for item in body.pieces(element for _, element in elements):
                if isinstance(item, Piece):
                    self._flow.add_footers()
                    self._flow.add(item)
                else:
                    self._end_section(item)
        except UnreadableDocument as error:
            damage = error
        body.pictures = [self._parts.by_id(name) or name for name in body.pictures]
        comments = self._of_kind("comments", "comments")
        if comments is not None:
            self._flow.unshown.counts["comment"] += sum(1 for _ in comments.iter("w:comment"))
        self._flow.unshown.counts["macros"] += "word/vbaProject.bin" in self._package
        metadata: dict[str, str] = {}
        for kind, names in _METADATA.items():
            metadata |= metadata_of(self._of_kind(kind, kind), names)
        return self._finished((DOCX, "docx"), body, damage, metadata, scans, skip)

    def _of_kind(self, kind: str, lost: str) -> Element | None:
        name = self._parts.of_kind(kind)
        return self._part(name, lost) if name else None

    def _notes(self, kind: str) -> dict[str, Element]:
        root = self._of_kind(f"{kind}s", f"{kind}s: they are missing")
        notes = root.iter(f"w:{kind}") if root is not None else ()
        return {e.get("w:id", ""): e for e in notes if e.get("w:type", "normal") == "normal"}

    def _end_section(self, properties: Element) -> None:
        """Add the headers before the section and its footers after it; begin the next section.

        The properties follow their section, but describe its beginning.
        """
        self._flow.add_footers()
        start = self._section_start
        for piece in self._running_texts(properties, "header"):
            self._flow.add_at(start, piece, furniture=True)
            start += 1
        kind = value(properties, "w:type") or "nextPage"
        if kind in _BEGINS_A_PAGE and not self._first_section:
            self._flow.add_at(self._section_start, Piece(HARD))
        self._flow.footers = list(self._running_texts(properties, "footer"))
        self._section_start = len(self._flow) + len(self._flow.footers)
        self._first_section = False

    def _running_texts(self, properties: Element, kind: str) -> Iterator[Piece]:
        """Yield the headers or footers that this section shows for the first time."""
        shown = {"default"}
        shown |= {"first"} if on(properties.find("w:titlePg")) else set()
        shown |= {"even"} if self._even else set()
        for reference in properties.findall(f"w:{kind}Reference"):
            name = self._parts.by_id(reference.get("r:id", ""))
            type_shown = reference.get("w:type", "default") in shown
            if name is None or not type_shown or name in self._running_read:
                continue
            self._running_read.add(name)
            root = self._part(name, kind)
            if root is not None:
                body = DocxBody(self._styles, self._lists.restarted(), self._flow)
                pieces = body.pieces(root)
                yield from self._flow.running(p for p in pieces if isinstance(p, Piece))


class _Parts:
    """Finds parts by their relationship, or else by their usual name."""

    def __init__(self, package: Package) -> None:
        self._package = package
        self.damage: list[str] = []
        """Damage in the lists of parts, in words."""
        self._kinds = {relation.kind: relation.part for relation in self._related("")}
        self.main = self._kinds.get("officeDocument", "")
        if self.main not in package:
            named = (name for name in package.names() if _MAIN_PART.fullmatch(name))
            self.main = next(named, "word/document.xml")
        relations = list(self._related(self.main))
        self._ids = {relation.id: relation.part for relation in relations}
        self._kinds |= {relation.kind: relation.part for relation in relations}

    def of_kind(self, kind: str) -> str | None:
        name = self._kinds.get(kind) or f"word/{kind}.xml"
        return name if name in self._package else None

    def by_id(self, name: str) -> str | None:
        part = self._ids.get(name)
        return part if part is not None and part in self._package else None

    def _related(self, part: str) -> Iterator[Relation]:
        """Yield the relations within the file; none if their list is damaged."""
        try:
            yield from (
                relation for relation in related(self._package, part) if not relation.outside
            )
        except DocumentTooLarge:
            raise
        except UnreadableDocument as error:
            self.damage.append(error.message)
