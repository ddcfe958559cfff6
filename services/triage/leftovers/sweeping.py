"""The loop that removes what older programs left."""

from __future__ import annotations

import logging
import threading

from services.triage.leftovers.store import GONE, left
from services.triage.past.store import Filings
from services.triage.risk import Judge
from services.triage.store import Reports
from services.triage.watch import watching
from services.triage.watch.store import Watches
from shared.errors import SuiteError
from shared.runtime.rounds import Rounds
from shared.storage import Store
from shared.watch.watching import announce

log = logging.getLogger(__name__)

HOUR = 3600.0


class Sweeper(Rounds):
    """Removes it when a process starts, and every hour, for the last older process ends after the
    last start. Several processes may have one each.
    """

    name = "leftovers"

    def __init__(self, store: Store, judge: Judge | None, interval: float = HOUR) -> None:
        super().__init__(interval)
        self.store = store
        self.judge = judge

    def work(self, stop: threading.Event) -> None:
        """See Rounds."""
        with self.store.read() as session:
            found = left(session)
        for tenant, document_id in found:
            if stop.is_set():
                return
            self.pulse.beat()
            about = {"tenant": tenant, "document": document_id}
            try:
                self._remove(tenant, document_id)
            except SuiteError as error:
                about["reason"] = error.message
                log.warning("what is left of a report that is gone waits", extra=about)
            except Exception:  # it would hold up those behind it, in every round
                log.exception("what is left of a report that is gone waits", extra=about)

    def _remove(self, tenant: str, document_id: str) -> None:
        with self.store.write() as session:
            known = Reports(session, tenant).get(document_id, lock=True)
            if known is None or known.state not in GONE:
                return  # it is read anew
            Filings(session, tenant).forget(document_id)
            watches = Watches(session, tenant)  # locked behind reports, as everywhere
            withdrawn = known.state == "withdrawn"
            told = (
                watching.withdraw_decisions(watches, document_id, self.judge) if withdrawn else []
            )
            watches.forget_open(document_id)
            watches.forget_filers(document_id)
        announce(told)
