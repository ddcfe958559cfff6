"""The blobs that each service's rows refer to, for backup and verification."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from shared.events import BlobRef


class Blob(NamedTuple):
    """A `BlobRef` in a quarter of its memory, since `verify` has those of all rows at once."""

    sha256: str
    size: int
    owner: str = ""

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Blob:
        """Convert a `BlobRef` as rows store it."""
        return cls(row["sha256"], row["size"], sys.intern(row["owner"]))

    @property
    def ref(self) -> BlobRef:
        return BlobRef(sha256=self.sha256, size=self.size, owner=self.owner)


@dataclass(frozen=True, slots=True)
class DocumentBlobs:
    """The blobs of one document in ingest.

    `required` blobs must exist, each with its use. `noted` blobs may exist: rows name them before
    they are written and until they are removed. `results` are the services with a result of this
    attempt.
    """

    tenant: str
    id: str
    living: bool
    purged: bool
    ended: bool
    attempt: int
    is_read: bool
    results: frozenset[str]
    required: tuple[tuple[str, Blob], ...]
    noted: tuple[Blob, ...]
    changed: datetime


@dataclass(frozen=True, slots=True)
class BlobReference:
    """The blobs of one document in another service.

    `done`: it has a result of the attempt. `alive`: the service has not deleted the document.
    `required` and `noted` as in `DocumentBlobs`.
    """

    tenant: str
    id: str
    attempt: int | None
    done: bool
    alive: bool
    required: tuple[tuple[str, Blob], ...] = ()
    noted: tuple[Blob, ...] = ()
