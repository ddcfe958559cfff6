"""The loop that removes what older programs left."""

from __future__ import annotations

from collections.abc import Sequence

from services.triage.leftovers.store import GONE, left
from services.triage.past.store import Filings
from services.triage.risk import Judge
from services.triage.store import Reports
from services.triage.watch import watching
from services.triage.watch.store import Watches
from shared.runtime.leftovers import HOUR, Leftovers
from shared.storage import Store
from shared.watch.watching import announce


class Sweeper(Leftovers):
    """Removes filings, open checks and names of companies of reports that are gone."""

    def __init__(self, store: Store, judge: Judge | None, interval: float = HOUR) -> None:
        super().__init__(store, interval)
        self.judge = judge

    def left(self) -> Sequence[tuple[str, str]]:
        """See Leftovers."""
        with self.store.read() as session:
            return left(session)

    def remove(self, tenant: str, document_id: str) -> None:
        """See Leftovers."""
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
