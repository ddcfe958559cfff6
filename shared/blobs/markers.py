"""Marks in the blob store for deleted documents and void attempts.

Services share only the blob store. A service that deletes a document's blobs first leaves a mark.
Another service may still have earlier events of the document: the mark explains a missing blob, and
the late event does nothing. Void attempts (cancelled, or under a wrong kind) are marked so that
services with a long queue skip their work.

A mark is a small blob that contains the document's id, so its hash follows from the id.
"""

from __future__ import annotations

import hashlib
from typing import BinaryIO

from shared.blobs.protocol import CHUNK, BlobStore, MissingBlob
from shared.events import BlobRef

OWNERS = ("", "extraction", "triage", "escalation")
"""Services that remove blobs of a deleted document; ingest's name is empty."""


def mark_deleted(blobs: BlobStore, tenant: str, document_id: str) -> None:
    """Leave the mark durably; repeating it has no effect."""
    blobs.put(tenant, _mark(tenant, document_id))


def is_deleted(blobs: BlobStore, tenant: str, document_id: str) -> bool:
    """Return whether a service left the mark. A document without one may be deleted too."""
    return any(_has(blobs, tenant, deletion_mark(tenant, document_id, owner)) for owner in OWNERS)


def deletion_mark(tenant: str, document_id: str, owner: str = "") -> BlobRef:
    """Return the blob of a service's mark; ingest's name is empty."""
    return ref_of(_mark(tenant, document_id), owner)


def mark_cancelled(blobs: BlobStore, tenant: str, document_id: str, attempt: int) -> None:
    """Leave the mark of a void attempt durably; repeating it has no effect."""
    blobs.put(tenant, _cancelled(tenant, document_id, attempt))


def is_cancelled(blobs: BlobStore, tenant: str, document_id: str, attempt: int) -> bool:
    """Return whether ingest left the mark. An attempt without one may be void too."""
    return _has(blobs, tenant, cancellation_mark(tenant, document_id, attempt))


def cancellation_mark(tenant: str, document_id: str, attempt: int) -> BlobRef:
    """Return the blob of an attempt's mark."""
    return ref_of(_cancelled(tenant, document_id, attempt))


def ref_of(data: bytes, owner: str = "") -> BlobRef:
    """Return the reference of bytes before they are stored, so that a row can note it first."""
    return BlobRef(sha256=hashlib.sha256(data).hexdigest(), size=len(data), owner=owner)


def ref_of_stream(stream: BinaryIO, owner: str = "") -> BlobRef:
    """Like `ref_of`, for a stream, which is read and rewound."""
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
