"""What checks of a document showed goes with it, also where a program of the release before, which
knows of no such rows and works beside this one while it is rolled out, deletes it.
"""

from __future__ import annotations

import threading

from services.review.looks.store import forget_shown, left
from shared.runtime.rounds import Rounds
from shared.storage import Store

HOUR = 3600.0


class Sweeper(Rounds):
    """Removes it when a process starts, and every hour, for the last older process ends after the
    last start. Several processes may have one each.
    """

    name = "leftovers"

    def __init__(self, store: Store, interval: float = HOUR) -> None:
        super().__init__(interval)
        self.store = store

    def work(self, stop: threading.Event) -> None:
        """See Rounds."""
        with self.store.read() as session:
            found = left(session)
        for tenant, document_id in found:
            if stop.is_set():
                return
            self.pulse.beat()
            with self.store.write() as session:
                forget_shown(session, tenant, document_id)
