"""The loops that delete what is kept for long enough, and what was never ended."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta

from services.ingest.commands import delete
from services.ingest.domain import now_utc
from services.ingest.retention.store import Retention, tenants
from services.ingest.store import Documents
from shared.errors import NotFound
from shared.runtime.rounds import Rounds
from shared.storage import BlobStore, Store
from shared.web.auth import Actor

log = logging.getLogger(__name__)

ACTOR = "retention"
"""Who deleted it, in its tombstone; a key may have the same name, but no rule acts for a key."""
DAY = 86_400.0
STALE = timedelta(days=1)
"""Age at which a half-written blob belongs to a process that is no more, where there are no locks
to tell: a bucket has none, and a large document may be on its way to a slow one for hours.
"""


class Keeper(Rounds):
    """Deletes documents whose time is over, by the rules of their tenants.

    What lies in a mail or archive goes with it, so the mail stays until the time of all that would
    go is over. A document that is still being worked on stays until it has ended.
    """

    name = "retention"

    def __init__(self, store: Store, interval: float = 600.0) -> None:
        super().__init__(interval)
        self.store = store

    def work(self, stop: threading.Event) -> None:
        """See Rounds."""
        self.round(stop)

    def round(self, stop: threading.Event | None = None) -> int:
        """Once through all tenants. Returns how many were deleted, without their parts."""
        with self.store.read() as session:
            every = tenants(session)
        return sum(self._of_tenant(tenant, stop or threading.Event()) for tenant in every)

    def _of_tenant(self, tenant: str, stop: threading.Event) -> int:
        actor = Actor(tenant, ACTOR, key_id="")
        deleted, held = 0, set[str]()
        while not stop.is_set():
            self.pulse.beat()
            due = [one for one in self._due(tenant, len(held)) if one not in held]
            if not due:
                break
            for one in due:
                if not self._all_over(tenant, one):
                    held.add(one)
                    continue
                try:
                    delete(self.store, actor, one)
                    deleted += 1
                except NotFound:
                    continue  # somebody was quicker
        if deleted:
            log.info("kept for long enough", extra={"tenant": tenant, "documents": deleted})
        return deleted

    def _due(self, tenant: str, held: int) -> list[str]:
        with self.store.read() as session:
            rules = Retention(session, tenant)
            return rules.due(rules.rules(), now_utc(), most=100 + held)

    def _all_over(self, tenant: str, document_id: str) -> bool:
        """Whether the time of a document is over, and of all that goes with it."""
        with self.store.read() as session:
            rules = Retention(session, tenant)
            known, now = rules.rules(), now_utc()
            ages = rules.ages(Documents(session, tenant).goes_with(document_id))
        return all(known.over(kind, created, now) for kind, created in ages.values())


class HalfBlobs(Rounds):
    """Removes, every day, what killed processes left of blobs half written, and of backups: a
    bucket takes money for it, and names it in no list of its blobs.
    """

    name = "half-blobs"

    def __init__(self, blobs: BlobStore, interval: float = DAY) -> None:
        super().__init__(interval)
        self.blobs = blobs

    def work(self, _stop: threading.Event) -> None:
        """See Rounds."""
        if removed := self.blobs.sweep(STALE):
            log.info("blobs that were never ended are removed", extra={"blobs": removed})
