"""What lies in a mail or archive: each part with its type, or the reason why it is refused."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from shared.documents.archive import Archive
from shared.documents.mail import Mail
from shared.documents.parts import Container, Part, RefusedPart
from shared.documents.reading import Limits, Page, Reading, no_boxes
from shared.documents.sniffing import MAIL, OUTLOOK, ZIP, sniff
from shared.errors import DocumentTooLarge, NestedTooDeep, UnreadableDocument, UnsupportedType

ARCHIVES = frozenset({ZIP})
"""Types of documents without a text of their own, which others lie in."""
CONTAINERS = ARCHIVES | {MAIL, OUTLOOK}
"""Types of documents that others lie in."""


@dataclass(frozen=True)
class Contents:
    """A mail or archive, opened, and how deep it lies itself."""

    container: Container
    limits: Limits
    depth: int

    @property
    def names(self) -> tuple[str, ...]:
        """Every part's label, in order: each becomes a document, or is refused."""
        return tuple(self.container.names)

    def parts(
        self,
        first: int = 0,
        *,
        skip: Collection[int] = (),
        unpacked: int = 0,
        progress: Callable[[int], None] | None = None,
    ) -> Iterator[Part | RefusedPart]:
        """Every part from the index `first` on, in order.

        Args:
            skip: indices of parts that brought a reader down: they are refused untouched.
            unpacked: bytes of the parts before `first`.
            progress: called with the index of each part before it is unpacked.
        """
        for index, name in enumerate(self.container.names[first:], first):
            if index in skip:
                yield RefusedPart(name, "crashed", "unpacking it ended the reader")
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

    def _part(self, index: int, name: str, left: int) -> Part:
        data = self.container.part(index, self.limits.max_bytes)
        if len(data) > left:
            raise DocumentTooLarge(
                f"what lies in it has more than {self.limits.max_unpacked:,} bytes together "
                "(setting SMALLPRINT_INGEST_MAX_UNPACKED): send this one by itself"
            )
        media_type = sniff(data, name)
        if media_type in CONTAINERS and self.depth + 1 >= self.limits.max_depth:
            raise NestedTooDeep(
                f"more than {self.limits.max_depth:,} mails and archives lie in one another "
                "(setting SMALLPRINT_INGEST_MAX_DEPTH): send this one by itself"
            )
        return Part(name, media_type, data)


def opened(data: bytes, media_type: str, limits: Limits, depth: int = 0) -> Contents:
    """Open a mail or archive, which lies in `depth` others. Raises UnreadableDocument."""
    if media_type == MAIL:
        return Contents(Mail(data, limits, depth), limits, depth)
    if media_type == OUTLOOK:
        return Contents(_outlook_mail(data, limits, depth), limits, depth)
    if media_type == ZIP:
        return Contents(Archive(data, limits.max_parts), limits, depth)
    raise UnsupportedType(f"nothing lies in a document of the type {media_type}")


def read_container(data: bytes, media_type: str, limits: Limits) -> Reading:
    """What a mail says itself, as one page; an archive says nothing and has none."""
    container = opened(data, media_type, limits).container
    text = container.text or ""
    pages = (Page(1, 0, len(text), 0.0, 0.0),) if container.text is not None else ()
    return Reading(
        text=text,
        pages=pages,
        boxes=no_boxes(len(text)),
        page_count=len(pages),
        warnings=tuple(container.warnings),
        media_type=media_type,
    )


def _outlook_mail(data: bytes, limits: Limits, depth: int) -> Container:
    from shared.documents.outlook import OutlookMail  # loaded with the first of them

    return OutlookMail(data, limits, depth)
