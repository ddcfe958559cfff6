"""What the blob store itself tells about a document: that it is deleted, or an attempt at it
cancelled; and what a blob will be.

Services meet in the blob store alone. Whoever removes blobs of a deleted document first leaves a
mark there, so that another service, which hears of the deletion only after the events before it,
knows why a blob is missing: the late event does nothing then, instead of failing the document.

A cancellation is marked for the same reason: whoever has a long queue before it hears of it only
after the work that it was to spare. So is an attempt at a document whose kind somebody corrected.

A mark is a blob of a few bytes with the document's id in it. Its hash, which is its name, follows
from its content, so whoever knows the id finds it.
"""

from __future__ import annotations

import hashlib
from typing import BinaryIO

from shared.events import BlobRef
from shared.storage.blobs import CHUNK, BlobStore, MissingBlob

OWNERS = ("", "extraction", "triage", "escalation")
"""Who removes blobs of a deleted document: ingest, whose name is empty here, and these."""


def mark_deleted(blobs: BlobStore, tenant: str, document_id: str) -> None:
    """Leave the mark, durably; again is as good as once."""
    blobs.put(tenant, _mark(tenant, document_id))


def is_deleted(blobs: BlobStore, tenant: str, document_id: str) -> bool:
    """Whether somebody left the mark. A document without it may be deleted all the same."""
    return any(_has(blobs, tenant, deletion_mark(tenant, document_id, who)) for who in OWNERS)


def deletion_mark(tenant: str, document_id: str, owner: str = "") -> BlobRef:
    """Where the mark that a service leaves lies; ingest's name is empty, as in `BlobRef.owner`."""
    return ref_of(_mark(tenant, document_id), owner)


def mark_cancelled(blobs: BlobStore, tenant: str, document_id: str, attempt: int) -> None:
    """Leave the mark of a cancellation that is committed, or of an attempt that does not count
    since the kind was corrected; again is as good as once.
    """
    blobs.put(tenant, _cancelled(tenant, document_id, attempt))


def is_cancelled(blobs: BlobStore, tenant: str, document_id: str, attempt: int) -> bool:
    """Whether ingest left the mark. An attempt without it may be void all the same."""
    return _has(blobs, tenant, cancellation_mark(tenant, document_id, attempt))


def cancellation_mark(tenant: str, document_id: str, attempt: int) -> BlobRef:
    """Where the mark lies; it says nothing of other attempts."""
    return ref_of(_cancelled(tenant, document_id, attempt))


def ref_of(data: bytes, owner: str = "") -> BlobRef:
    """Where bytes of a service will lie, to be noted before they are put: then a crash in between
    leaves nothing that nobody knows of.
    """
    return BlobRef(sha256=hashlib.sha256(data).hexdigest(), size=len(data), owner=owner)


def ref_of_stream(stream: BinaryIO, owner: str = "") -> BlobRef:
    """The same for a stream, which is rewound after it is read to its end."""
    digest, size = hashlib.sha256(), 0
    while chunk := stream.read(CHUNK):
        digest.update(chunk)
        size += len(chunk)
    stream.seek(0)
    return BlobRef(sha256=digest.hexdigest(), size=size, owner=owner)


def _has(blobs: BlobStore, tenant: str, ref: BlobRef) -> bool:
    try:
        blobs.open(tenant, ref).close()
    except MissingBlob:
        return False
    return True


def _cancelled(tenant: str, document_id: str, attempt: int) -> bytes:
    return f"smallprint: attempt {attempt} at {tenant}/{document_id} is cancelled\n".encode()


def _mark(tenant: str, document_id: str) -> bytes:
    return f"smallprint: document {tenant}/{document_id} is deleted\n".encode()
