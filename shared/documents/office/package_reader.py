"""Common parts of the readers of DOCX and ODT: hidden text, notes, boxes, and the end."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from typing import TypeVar

from shared.documents.containers.xml import Element, tree
from shared.documents.containers.zip_package import MOST_UNPACKED, Package
from shared.documents.flow.embedded_pictures import with_pictures
from shared.documents.flow.flow import Flow, Piece, plain
from shared.documents.model.parsed_document import Limits, ParsedDocument
from shared.documents.pages.scanned_pages import Scans
from shared.errors import DocumentTooLarge, UnreadableDocument


class PackageReader:
    """One document: its parts and the text so far."""

    def __init__(self, data: bytes, limits: Limits) -> None:
        self._package = Package(data, MOST_UNPACKED)
        self._flow = Flow(limits)

    def _part(self, name: str, lost: str) -> Element | None:
        """Return a part; None if it is missing or damaged, with a warning for damage."""
        if name not in self._package:
            return None
        try:
            return tree(self._package.chunks(name))
        except DocumentTooLarge:
            raise
        except UnreadableDocument as error:
            self._flow.warn(f"the document has no readable {lost} ({error.message})")
            return None

    def _finished(
        self,
        form: tuple[str, str],
        body: Body,
        damage: UnreadableDocument | None,
        metadata: dict[str, str],
        scans: Scans,
        skip: Collection[int],
    ) -> ParsedDocument:
        """Return the document with endnotes, footers, warnings, and a page for each picture.

        Args:
            form: media type and method.
            body: that was read.
            damage: the error that ended it; any subclass is raised.
            metadata: of the document.
            scans: recognise the pictures.
            skip: numbers of pictures to leave out.
        """
        if damage and type(damage) is not UnreadableDocument:
            raise damage
        for piece in body.endnotes:
            self._flow.add(piece)
        self._flow.add_footers()
        self._flow.warn_of_unshown()
        pictures = [partial(self._package.picture, part) for part in dict.fromkeys(body.pictures)]
        media_type, method = form
        has_pictures = pictures or self._flow.unshown.counts["picture"]
        if self._flow.visible or damage or not has_pictures:
            why = damage.message if damage else None
            own = self._flow.to_document(media_type, method, metadata, why)
        else:
            warnings = tuple(self._flow.warnings)
            own = ParsedDocument("", warnings=warnings, media_type=media_type, metadata=metadata)
        return with_pictures(own, pictures, scans, skip)


T = TypeVar("T")


def first_given(values: Iterable[T | None]) -> T | None:
    """Return the first value that is not None, such as that of the nearest style with one."""
    return next((value for value in values if value is not None), None)


def metadata_of(root: Element | None, names: Mapping[str, str]) -> dict[str, str]:
    """Return the metadata by our names, which `names` has by tag."""
    if root is None:
        return {}
    found = {name: next(root.iter(tag), None) for tag, name in names.items()}
    texts = {name: plain(e.text or "").strip() for name, e in found.items() if e is not None}
    return {name: text[:500] for name, text in texts.items() if text}


class Body:
    """A separate layout: the main text, a note, a header or a text box."""

    def __init__(self, flow: Flow) -> None:
        self.endnotes: list[Piece] = []
        self.pictures: list[str] = []
        """Names of the pictures shown, in order."""
        self._flow = flow
        self._unshown = flow.unshown
        self._footnotes: list[Piece] = []
        self._boxes: list[Piece] = []
        self._out: list[str] = []
        self._hidden = 0
        self._tables = 0  # open tables

    def _put(self, text: str) -> None:
        """Add text, or count it if it is hidden."""
        if self._hidden:
            self._unshown.counts["hidden character"] += len(text)
        else:
            self._out.append(text)

    def _after_block(self) -> Iterator[Piece]:
        """Yield text boxes of the block, and the footnotes it refers to."""
        boxes, self._boxes = self._boxes, []
        yield from boxes
        if not self._tables:
            notes, self._footnotes = self._footnotes, []
            yield from notes
