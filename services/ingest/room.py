"""How many documents may be in work at the same time: beyond it an upload is asked to come again.

What was accepted is never dropped, so without a bound a queue grows for as long as uploads are
quicker than the work, and so does the wait of everybody in it. The sender keeps what is refused.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.ingest.store import Documents
from shared.errors import TooManyRequests

AGAIN_AFTER = 10
"""Seconds until whoever was refused should ask again."""


class QueueFull(TooManyRequests):
    """So many documents are in work that no further one is taken in for now."""

    code = "queue_full"


@dataclass(frozen=True)
class Room:
    """The most documents that may be received and not ended yet.

    Parts of mails and archives count, but none is refused: what they lie in was accepted.

    Args:
        of_tenant: of one tenant. Exact if the caller holds `lock_blobs` of the tenant.
        of_all: of all tenants together. Tenants that upload at the same moment may exceed it by
            one document each.
    """

    of_tenant: int
    of_all: int

    def require(self, documents: Documents, more: int = 0) -> None:
        """Raise QueueFull if more documents are in work than may be.

        Args:
            more: how many are to come beside those that this transaction sees.
        """
        if documents.in_work(self.of_tenant) + more > self.of_tenant:
            raise QueueFull(
                f"{self.of_tenant:,} documents are in work for this tenant, as many as may be "
                "(setting SMALLPRINT_INGEST_MAX_IN_WORK): nothing of this one was kept; send it "
                f"again in {AGAIN_AFTER} s",
                retry_after=AGAIN_AFTER,
            )
        if documents.in_work(self.of_all, of_all=True) + more > self.of_all:
            raise QueueFull(
                f"{self.of_all:,} documents are in work, as many as may be (setting "
                "SMALLPRINT_INGEST_MAX_IN_WORK_TOGETHER): nothing of this one was kept; send it "
                f"again in {AGAIN_AFTER} s",
                retry_after=AGAIN_AFTER,
            )
