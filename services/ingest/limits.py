"""The limit of unfinished documents. Beyond it, an upload is refused and can be retried.

Accepted documents are never dropped, so without a limit the queue and its waiting time would grow
without end.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.ingest.store import Documents
from shared.errors import TooManyRequests

RETRY_AFTER = 10
"""Seconds after which a refused upload should be retried."""


class QueueFull(TooManyRequests):
    """Too many documents are in progress."""

    code = "queue_full"


@dataclass(frozen=True)
class QueueLimit:
    """The most documents that may be in progress: received and not ended.

    Parts of mails and archives count, but are not refused: their container was accepted.

    Args:
        of_tenant: limit of a tenant, exact if the caller holds `lock_blobs` of the tenant.
        of_all: limit of all tenants; simultaneous uploads of several may exceed it.
    """

    of_tenant: int
    of_all: int

    def require(self, documents: Documents, more: int = 0) -> None:
        """Raise QueueFull if the limit is exceeded.

        Args:
            more: documents to come in addition to those in this transaction.
        """
        if documents.in_work(self.of_tenant) + more > self.of_tenant:
            raise QueueFull(
                f"This tenant already has {self.of_tenant:,} documents in progress, the "
                "most it may have (setting SMALLPRINT_INGEST_MAX_IN_WORK). Retry in "
                f"{RETRY_AFTER} s.",
                retry_after=RETRY_AFTER,
            )
        if documents.in_work(self.of_all, of_all=True) + more > self.of_all:
            raise QueueFull(
                f"All tenants already have {self.of_all:,} documents in progress, the most"
                " there may be (setting SMALLPRINT_INGEST_MAX_IN_WORK_TOGETHER). "
                f"Retry in {RETRY_AFTER} s.",
                retry_after=RETRY_AFTER,
            )
