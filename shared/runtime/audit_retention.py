"""The job that removes old lines of the audit trail."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime, timedelta

from shared.audit import prune, tenants
from shared.runtime.rounds import PeriodicJob
from shared.storage import Store

log = logging.getLogger(__name__)

DAY = 86_400.0


class AuditRetention(PeriodicJob):
    """Removes the lines that are older than `days`, once a day."""

    name = "audit"

    def __init__(self, store: Store, days: float) -> None:
        super().__init__(DAY)
        self.store = store
        self.days = days

    def work(self, stop: threading.Event) -> None:
        """Go through all chains once."""
        before = datetime.now(UTC) - timedelta(days=self.days)
        with self.store.read() as session:
            every = tenants(session)
        for tenant in every:
            if stop.is_set():
                return
            self.pulse.beat()
            with self.store.write() as session:
                removed = prune(session, tenant, before)
            if removed:
                extra = {"tenant": tenant, "lines": removed}
                log.info("old lines of the audit trail were removed", extra=extra)
