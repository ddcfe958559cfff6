"""The state of one document in one service."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, Self

from shared.events import CANCELLED, BlobRef, Kind

State = Literal["waiting", "done", "failed", "withdrawn", "deleted"]


@dataclass(frozen=True)
class DocumentRecord:
    """One document of one tenant. A service adds fields with defaults for its result.

    Of a deleted document only the id remains, so that late events have no effect.
    """

    tenant: str
    document_id: str
    kind: Kind
    attempt: int
    state: State = "waiting"
    code: str | None = None
    reason: str | None = None
    blobs: tuple[BlobRef, ...] = ()
    """Every blob that the service stored for the document. No other document shares them."""
    updated: datetime | None = None
    """When the record was stored; None before."""

    def with_blobs(self, refs: Iterable[BlobRef]) -> Self:
        """The record with more blobs."""
        return replace(self, blobs=tuple({*self.blobs, *refs}))

    def restarted(self, kind: Kind, attempt: int) -> Self:
        """A waiting record without a result, which keeps only the blobs."""
        return type(self)(self.tenant, self.document_id, kind, attempt, blobs=self.blobs)

    def failed(self, code: str, reason: str) -> Self:
        """The record of a document that this service or one before it gave up."""
        return replace(self, state="failed", code=code, reason=reason)

    def accepts(self, attempt: int) -> bool:
        """Whether events of an attempt still count.

        They don't after a deletion, a newer attempt, or a withdrawal or cancellation of this one.
        """
        if self.state == "deleted" or attempt < self.attempt:
            return False
        cancelled = self.state == "failed" and self.code == CANCELLED
        return attempt > self.attempt or not (cancelled or self.state == "withdrawn")
