"""Unpack a mail or archive: each part is a document with its type, or refused with a reason."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Protocol

from shared.documents.mail.archive import Archive
from shared.documents.mail.eml import Mail
from shared.documents.model.formats import CONTAINERS, MAIL, OUTLOOK, ZIP
from shared.documents.model.parsed_document import Limits, Page, ParsedDocument
from shared.documents.sniffing import sniff
from shared.errors import DocumentTooLarge, NestedTooDeep, UnreadableDocument, UnsupportedType


@dataclass(frozen=True)
class Attachment:
    """One document of a mail or archive.

    `name` is a label: its path in the archive without unsafe parts. `media_type` is detected from
    the content.
    """

    name: str
    media_type: str
    data: bytes


@dataclass(frozen=True)
class RefusedPart:
    """A part of a mail or archive that can't become a document, with an error code and a reason."""

    name: str
    code: str
    reason: str


class Container(Protocol):
    """An open mail or archive."""

    text: str | None
    """The text of a mail; None for an archive."""
    names: list[str]
    """Labels of all parts, in their order."""
    warnings: list[str]

    def part(self, index: int, most: int) -> bytes:
        """Return the bytes of one part, at most `most`. Raises UnreadableDocument or a subclass."""


@dataclass(frozen=True)
class Contents:
    """An open mail or archive, nested in `depth` others."""

    container: Container
    limits: Limits
    depth: int

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.container.names)

    def parts(
        self,
        first: int = 0,
        *,
        skip: Collection[int] = (),
        unpacked: int = 0,
        progress: Callable[[int], None] | None = None,
    ) -> Iterator[Attachment | RefusedPart]:
        """Yield every part from index `first` on, in order.

        Args:
            first: index of the first part.
            skip: indices of parts that ended a reader: they are refused unread.
            unpacked: bytes of the parts before `first`.
            progress: called with the index of each part before it is unpacked.
        """
        for index, name in enumerate(self.container.names[first:], first):
            if index in skip:
                yield RefusedPart(name, "crashed", "the reader crashed while unpacking it")
                continue
            if progress:
                progress(index)
            try:
                part = self._part(index, name, self.limits.max_unpacked - unpacked)
            except UnreadableDocument as error:
                yield RefusedPart(name, error.code, error.message)
            else:
                unpacked += len(part.data)
                yield part

    def _part(self, index: int, name: str, left: int) -> Attachment:
        data = self.container.part(index, self.limits.max_bytes)
        if len(data) > left:
            raise DocumentTooLarge(
                f"the parts have more than {self.limits.max_unpacked:,} bytes in total "
                "(setting SMALLPRINT_INGEST_MAX_UNPACKED): send this part separately"
            )
        media_type = sniff(data, name)
        if media_type in CONTAINERS and self.depth + 1 >= self.limits.max_depth:
            raise NestedTooDeep(
                f"mails and archives are nested more than {self.limits.max_depth:,} deep "
                "(setting SMALLPRINT_INGEST_MAX_DEPTH): send this part separately"
            )
        return Attachment(name, media_type, data)


def open_container(data: bytes, media_type: str, limits: Limits, depth: int = 0) -> Contents:
    """Open a mail or archive that is nested in `depth` others. Raises UnreadableDocument."""
    container: Container
    if media_type == MAIL:
        container = Mail(data, limits, depth)
    elif media_type == OUTLOOK:
        from shared.documents.mail.msg import OutlookMail

        container = OutlookMail(data, limits, depth)
    elif media_type == ZIP:
        container = Archive(data, limits.max_parts)
    else:
        raise UnsupportedType(f"a document of type {media_type} has no parts")
    return Contents(container, limits, depth)


def read_container(data: bytes, media_type: str, limits: Limits) -> ParsedDocument:
    """Return the text of a mail as one page; an archive has no page."""
    container = open_container(data, media_type, limits).container
    text = container.text or ""
    pages = (Page(1, 0, len(text)),) if container.text is not None else ()
    return ParsedDocument(text, pages, warnings=tuple(container.warnings), media_type=media_type)
