"""Parts of mails and archives become documents, all in one transaction.

Their bytes are stored before it, some megabytes at a time, and noted before they are stored. If the
process dies, the next try finds them, and a deletion removes them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from services.ingest.commands import Accepted, admit
from services.ingest.domain import (
    Document,
    DocumentReader,
    PartsFound,
    Relative,
    new_document,
    would_withdraw_results,
)
from services.ingest.store import Documents
from shared.blobs import BlobStore
from shared.blobs.markers import ref_of
from shared.documents import Attachment, Limits, RefusedPart, safe_name
from shared.events import BlobRef, Kind
from shared.messaging import UnitOfWork

AT_ONCE = 8_000_000
"""Bytes of parts that are noted and stored together."""


@dataclass(frozen=True)
class StoredPart:
    """A part whose bytes are stored but that is no document yet."""

    name: str
    media_type: str
    blob: BlobRef


StoredParts = Sequence[StoredPart | RefusedPart]


@dataclass(frozen=True)
class Admitted:
    """The progress fact about the parts, and the accepted documents."""

    fact: PartsFound
    accepted: tuple[Accepted, ...]


def store_parts(
    container: Document,
    data: bytes,
    reader: DocumentReader,
    blobs: BlobStore,
    note: Callable[[Sequence[BlobRef]], bool],
) -> StoredParts:
    """Unpack a mail or archive and store its parts; returns them in order.

    Args:
        note: notes blobs before they are stored; returns False if the attempt is void.

    Raises UnreadableDocument if it can't be opened.
    """
    stored_parts: list[StoredPart | RefusedPart] = []
    waiting: list[Attachment] = []

    def store() -> bool:
        if waiting and not note([ref_of(part.data) for part in waiting]):
            return False
        for part in waiting:
            blobs.put(container.tenant, part.data)
        waiting.clear()
        return True

    for part in reader.unpack(data, name=container.name, depth=container.depth):
        if isinstance(part, RefusedPart):
            stored_parts.append(part)
            continue
        stored_parts.append(StoredPart(part.name, part.media_type, ref_of(part.data)))
        waiting.append(part)
        if sum(len(one.data) for one in waiting) >= AT_ONCE and not store():
            return stored_parts
    store()
    return stored_parts


def admit_parts(
    uow: UnitOfWork, blobs: BlobStore, container: Document, parts: StoredParts, limits: Limits
) -> Admitted:
    """Create or link the documents of the parts, in a transaction that holds `lock_blobs`."""
    documents = Documents(uow.session, container.tenant)
    kind = container.progress.kind if container.kind_source == "uploader" else None
    around = documents.ancestors(container.id)
    allowance = UploadAllowance(limits, *documents.weight(container.root or container.id))
    children: list[Relative] = []
    refused: list[RefusedPart] = []
    accepted: list[Accepted] = []
    for part in parts:
        if isinstance(part, RefusedPart):
            refused.append(part)
            continue
        existing = documents.get_by_hash(part.blob.sha256)
        if existing is not None and existing.id in around:
            refused.append(
                RefusedPart(part.name, "contains_itself", "the archive contains a copy of itself")
            )
        elif existing is None and not allowance.takes(part.blob.size):
            refused.append(allowance.refusal(part))
        else:
            keeps = existing is not None and would_withdraw_results(existing, kind)
            stated = None if keeps else kind
            admitted = admit(uow, blobs, _draft(container, part, stated), stated, container.id)
            children.append(Relative(admitted.document.id, part.name))
            accepted.append(admitted)
    documents.link(container.id, children)
    fact = PartsFound(container.progress.attempt, len(children), tuple(refused))
    return Admitted(fact, tuple(accepted))


@dataclass
class UploadAllowance:
    """The limits of one upload, and its parts and bytes at all depths."""

    limits: Limits
    number: int
    size: int

    def takes(self, size: int) -> bool:
        fits = self.number < self.limits.max_parts and (
            self.size + size <= self.limits.max_unpacked
        )
        if fits:
            self.number, self.size = self.number + 1, self.size + size
        return fits

    def refusal(self, part: StoredPart) -> RefusedPart:
        return RefusedPart(
            part.name,
            "document_too_large",
            f"one upload may contain at most {self.limits.max_parts:,} documents with "
            f"{self.limits.max_unpacked:,} bytes (settings "
            "SMALLPRINT_INGEST_MAX_PARTS, SMALLPRINT_INGEST_MAX_UNPACKED); upload "
            "this one separately",
        )


def _draft(container: Document, part: StoredPart, kind: Kind | None) -> Document:
    draft = new_document(
        container.tenant,
        container.actor,
        safe_name(part.name),
        part.media_type,
        part.blob,
        part.blob,
        kind,
        container.adapters,
    )
    depth, root = container.depth + 1, container.root or container.id
    return replace(draft, uploaded=False, depth=depth, root=root)
