"""What a service says that it holds of documents: the rows that others are held against."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from shared.events import BlobRef


@dataclass(frozen=True)
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
    required: tuple[tuple[str, BlobRef], ...]
    noted: tuple[BlobRef, ...]
    changed: datetime
    kind_unsure: bool = False


@dataclass(frozen=True)
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
    required: tuple[tuple[str, BlobRef], ...] = ()
    noted: tuple[BlobRef, ...] = ()
    accepted: bool = False
