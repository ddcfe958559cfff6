"""Jobs that delete expired documents and incomplete blobs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from services.ingest.commands import delete
from services.ingest.domain import now_utc
from services.ingest.retention.store import Retention, tenants
from services.ingest.store import Documents
from shared.errors import NotFound
from shared.runtime.rounds import PeriodicJob
from shared.storage import Store
from shared.web.auth import Actor

log = logging.getLogger(__name__)

ACTOR = "retention"
"""The actor of automatic deletions; keys of release 0.1.0 may have the same name."""
DAY = 86_400.0
STALE = timedelta(days=1)
"""Age at which an incomplete blob counts as abandoned, if the store has no locks. A large document
may take hours on its way to a slow bucket.
"""


class RetentionJob(PeriodicJob):
    """Deletes expired documents by the rules of their tenants.

    Parts are deleted with their mail or archive, so it stays until all of them have expired.
    Documents in progress stay until they end.
    """

    name = "retention"

    def __init__(self, store: Store, interval: float = 600.0) -> None:
        super().__init__(interval)
        self.store = store

    def work(self, stop: threading.Event) -> None:
        self.run_once(stop)

    def run_once(self, stop: threading.Event | None = None) -> int:
        """Go through all tenants once. Returns the number of deleted documents, without parts."""
        with self.store.read() as session:
            every = tenants(session)
        return sum(self._of_tenant(tenant, stop or threading.Event()) for tenant in every)

    def _of_tenant(self, tenant: str, stop: threading.Event) -> int:
        actor = Actor(tenant, ACTOR, key_id="")
        deleted, skipped = 0, set[str]()
        while not stop.is_set():
            self.pulse.beat()
            due = [one for one in self._due(tenant, len(skipped)) if one not in skipped]
            if not due:
                break
            for document_id in due:
                if not self._all_expired(tenant, document_id):
                    skipped.add(document_id)
                    continue
                with suppress(NotFound):  # already deleted
                    delete(self.store, actor, document_id)
                    deleted += 1
        if deleted:
            log.info(
                "expired documents were deleted", extra={"tenant": tenant, "documents": deleted}
            )
        return deleted

    def _due(self, tenant: str, skipped: int) -> list[str]:
        with self.store.read() as session:
            rules = Retention(session, tenant)
            return rules.due(rules.rules(), now_utc(), limit=100 + skipped)

    def _all_expired(self, tenant: str, document_id: str) -> bool:
        """Return whether a document has expired, and all that is deleted with it."""
        with self.store.read() as session:
            rules = Retention(session, tenant)
            current, now = rules.rules(), now_utc()
            ages = rules.ages(Documents(session, tenant).deleted_with(document_id))
        return all(current.is_expired(kind, created, now) for kind, created in ages.values())


class Cleanup(PeriodicJob):
    """Calls `sweep` until it removes nothing more: expired rows, or incomplete blobs.

    Each process may run one.
    """

    def __init__(self, name: str, sweep: Callable[[], int], interval: float = 60.0) -> None:
        super().__init__(interval)
        self.name = name
        self.sweep = sweep

    def work(self, stop: threading.Event) -> None:
        while (removed := self.sweep()) and not stop.is_set():
            log.debug("%s: %d removed", self.name, removed)
            self.pulse.beat()
