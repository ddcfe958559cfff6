"""The interface of a blob store, and the paths of blobs.

Blobs are bytes by hash, written once, completely or not at all. Services of a tenant share them.
Each reads all blobs, but writes and deletes only its own: `BlobRef.owner` names the service.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import BinaryIO, Protocol

from shared.errors import SuiteError
from shared.events import BlobRef
from shared.tenancy import must_be_of

CHUNK = 1 << 20
PINNED_SUFFIX = ".held"
"""Suffix of a blob that was deleted while all blobs were pinned."""
PIN_MARKER = ".smallprint-holding"
"""A file in the folder while its blobs are pinned, or after a process died that pinned them."""
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_KEY = re.compile(
    rf"(?P<tenant>{_TENANT.pattern})/((?P<owner>[a-z]{{3,32}})/)?(?P<two>[0-9a-f]{{2}})/"
    r"(?P<sha256>(?P=two)[0-9a-f]{62})"
)


class MissingBlob(SuiteError):
    """The bytes of a blob are missing or damaged."""

    code = "missing_blob"


class BlobStore(Protocol):
    """The interface of a blob store.

    All methods raise Unavailable while its disk or server is down, or the disk is full.
    """

    def put(self, tenant: str, data: bytes) -> BlobRef:
        """Store bytes durably. Storing known bytes again only renews their age."""

    def put_stream(self, tenant: str, stream: BinaryIO) -> BlobRef:
        """Store a stream durably, in bounded memory."""

    def get(self, tenant: str, ref: BlobRef) -> bytes:
        """Return the bytes, checked against their hash. Raises MissingBlob."""

    def open(self, tenant: str, ref: BlobRef) -> BinaryIO:
        """Return the bytes as an unchecked stream. Raises MissingBlob."""

    def delete(self, tenant: str, ref: BlobRef) -> None:
        """Delete own bytes; nothing happens if they are gone."""

    def delete_older(self, tenant: str, ref: BlobRef, before: datetime) -> bool:
        """Delete unless the blob was put after `before`. Returns whether it is gone."""

    def listed(self) -> Iterator[tuple[str, BlobRef, float]]:
        """Yield every blob of every service with its tenant and age in seconds, unchecked.

        Blobs that are put or deleted meanwhile may be missing.
        """

    def sweep(self, older: timedelta) -> int:
        """Remove incomplete blobs of killed processes that are `older`. Returns how many."""

    def pin(self) -> contextlib.AbstractContextManager[None]:
        """Keep the bytes of deleted blobs until the end of the block, for a backup.

        Other readers no longer find such a blob.
        """

    def listed_pinned(self) -> Iterator[tuple[str, BlobRef]]:
        """Yield every blob with its tenant, also those deleted since the pin; some appear twice."""

    def open_pinned(self, tenant: str, ref: BlobRef) -> BinaryIO:
        """Like `open`, also for a blob deleted since the pin."""


def folder_of(tenant: str) -> str:
    """Return the folder of a tenant below the blobs.

    Raises ValueError for an invalid tenant, CrossesTenants in work for another tenant.
    """
    if not _TENANT.fullmatch(tenant):
        raise ValueError(f"not a tenant's name: {tenant!r}")
    must_be_of(tenant, "blobs")
    return tenant


def key_of(tenant: str, ref: BlobRef) -> str:
    """Return the path of a blob: `<tenant>/<owner>/<first two of the hash>/<hash>`.

    Ingest has no owner. Raises the errors of `folder_of`.
    """
    return "/".join(filter(None, (folder_of(tenant), ref.owner, ref.sha256[:2], ref.sha256)))


def ref_of_key(key: str, size: int) -> tuple[str, BlobRef] | None:
    """Parse a path of `key_of` to tenant and blob; None for other paths."""
    found = _KEY.fullmatch(key)
    if found is None:
        return None
    owner = found["owner"] or ""
    return found["tenant"], BlobRef(sha256=found["sha256"], size=size, owner=owner)


def require_owner(tenant: str, ref: BlobRef, owner: str) -> None:
    """Raise ValueError for a blob of another service than `owner`."""
    if ref.owner != owner:
        raise ValueError(
            f"blob {ref.sha256} of tenant {tenant} belongs to {ref.owner or 'ingest'};"
            f" {owner or 'ingest'} can't delete it"
        )
