"""What lies in a mail or archive becomes documents of their own, all of them in one transaction.

The bytes are stored before, a few megabytes at a time, and noted before they are stored: whenever
the process dies, the next try finds them there, and a deletion takes them away. Nothing is accepted
before everything is, so nothing is accepted twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from services.ingest.commands import Accepted, admit
from services.ingest.domain import (
    Document,
    DocumentReader,
    KindSource,
    PartsFound,
    Relative,
    first_progress,
    new_document_id,
    now_utc,
)
from services.ingest.store import Documents
from shared.documents import Limits, Part, RefusedPart, safe_name
from shared.events import BlobRef, Kind
from shared.storage import BlobStore, UnitOfWork
from shared.storage.deletion import ref_of

AT_ONCE = 8_000_000
"""Bytes of parts that are noted and stored together."""


@dataclass(frozen=True)
class StoredPart:
    """A part whose bytes are stored; nobody has accepted it yet."""

    name: str
    media_type: str
    blob: BlobRef


StoredParts = Sequence[StoredPart | RefusedPart]


@dataclass(frozen=True)
class Admitted:
    """What became of the parts: the fact, and the documents that are new work."""

    fact: PartsFound
    accepted: tuple[Accepted, ...]


def store_parts(
    container: Document,
    data: bytes,
    reader: DocumentReader,
    blobs: BlobStore,
    note: Callable[[Sequence[BlobRef]], bool],
) -> StoredParts:
    """Unpack a mail or archive and store the bytes of its parts; returns them in order.

    Args:
        note: remembers where bytes will lie; false if the work does not count any more, so that
            the rest can be left.

    Raises:
        UnreadableDocument: it can't be opened.
    """
    found: list[StoredPart | RefusedPart] = []
    waiting: list[Part] = []

    def store() -> bool:
        if waiting and not note([ref_of(part.data) for part in waiting]):
            return False
        for part in waiting:
            blobs.put(container.tenant, part.data)
        waiting.clear()
        return True

    for part in reader.unpack(data, name=container.name, depth=container.depth):
        if isinstance(part, RefusedPart):
            found.append(part)
            continue
        found.append(StoredPart(part.name, part.media_type, ref_of(part.data)))
        waiting.append(part)
        if sum(len(one.data) for one in waiting) >= AT_ONCE and not store():
            return found
    store()
    return found


def admit_parts(
    uow: UnitOfWork, blobs: BlobStore, container: Document, parts: StoredParts, limits: Limits
) -> Admitted:
    """Make documents of the parts, or link those that are there; in a transaction that holds
    `lock_blobs`.
    """
    documents = Documents(uow.session, container.tenant)
    around = documents.lies_in(container.id)
    room = _Room(limits, *documents.weight(container.root or container.id))
    children: list[Relative] = []
    refused: list[RefusedPart] = []
    accepted: list[Accepted] = []
    for part in parts:
        if isinstance(part, RefusedPart):
            refused.append(part)
            continue
        known = documents.of_bytes(part.blob.sha256)
        if known is not None and known.id in around:
            refused.append(_contains_itself(part))
        elif known is None and not room.takes(part.blob.size):
            refused.append(room.refusal(part))
        else:
            admitted = admit(uow, blobs, _draft(container, part), said(container), container.id)
            children.append(Relative(admitted.document.id, part.name))
            accepted.append(admitted)
    documents.link(container.id, children)
    fact = PartsFound(container.progress.attempt, len(children), tuple(refused))
    return Admitted(fact, tuple(accepted))


def said(container: Document) -> Kind | None:
    """What the uploader said of a mail or archive is said of what lies in it."""
    return container.progress.kind if container.kind_source == "uploader" else None


@dataclass
class _Room:
    """What one upload may still bring, at all its depths together."""

    limits: Limits
    number: int
    size: int

    def takes(self, size: int) -> bool:
        """Count one more document of so many bytes, if there is room for it."""
        fits = self.number < self.limits.max_parts and (
            self.size + size <= self.limits.max_unpacked
        )
        if fits:
            self.number, self.size = self.number + 1, self.size + size
        return fits

    def refusal(self, part: StoredPart) -> RefusedPart:
        """Why a part is not taken."""
        return RefusedPart(
            part.name,
            "document_too_large",
            f"one upload brings at most {self.limits.max_parts:,} documents of "
            f"{self.limits.max_unpacked:,} bytes together (settings SMALLPRINT_INGEST_MAX_PARTS, "
            "SMALLPRINT_INGEST_MAX_UNPACKED): send this one by itself",
        )


def _contains_itself(part: StoredPart) -> RefusedPart:
    return RefusedPart(part.name, "contains_itself", "it is the very file that it lies in")


def _draft(container: Document, part: StoredPart) -> Document:
    now = now_utc()
    kind = said(container)
    source: KindSource = "uploader" if kind else "type"
    draft = Document(
        id=new_document_id(),
        tenant=container.tenant,
        name=safe_name(part.name),
        media_type=part.media_type,
        original=part.blob,
        readable=part.blob,
        actor=container.actor,
        kind_source=source,
        progress=first_progress(part.media_type, kind),
        created=now,
        updated=now,
        adapters=container.adapters,
        uploaded=False,
        depth=container.depth + 1,
        root=container.root or container.id,
    )
    return draft.after(draft.progress, now)
