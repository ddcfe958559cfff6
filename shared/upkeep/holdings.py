"""What a service says that it holds of documents: the rows that others are held against."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from shared.events import BlobRef


class Blob(NamedTuple):
    """What a `BlobRef` says, in a quarter of its memory: `verify` has those of all rows at once."""

    sha256: str
    size: int
    owner: str = ""

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Blob:
        """From a `BlobRef` as rows have it."""
        return cls(row["sha256"], row["size"], sys.intern(row.get("owner", "")))

    @property
    def ref(self) -> BlobRef:
        """As blob stores take it."""
        return BlobRef(sha256=self.sha256, size=self.size, owner=self.owner)


@dataclass(frozen=True, slots=True)
class Known:
    """What ingest knows of one document, living or deleted.

    `required` are the blobs that have to be there, by what they are; `noted` may be there, for they
    are noted before they are written and until after they are removed. `results` are the services
    whose result ingest has heard of in this attempt. `changed` is when it last changed.
    `kind_unsure` says that a person is still to say its kind.
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
    kind_unsure: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """What another service holds of one document.

    `done` says whether it has a result of the attempt, `alive` whether it takes the document for
    one that is not deleted. `required` and `noted` as above. `accepted` says whether results are
    accepted that no person has to look at.
    """

    tenant: str
    id: str
    attempt: int | None
    done: bool
    alive: bool
    required: tuple[tuple[str, Blob], ...] = ()
    noted: tuple[Blob, ...] = ()
    accepted: bool = False
