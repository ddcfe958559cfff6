"""The job that counts calls whose process died."""

from __future__ import annotations

import threading

from services.escalation.ledger import Ledger
from shared.runtime.rounds import Rounds


class Recovery(Rounds):
    """Counts reservations whose time is over as spent, so that their money is not set aside for
    ever and not given out twice either.
    """

    name = "recovery"

    def __init__(self, ledger: Ledger, interval: float) -> None:
        super().__init__(interval)
        self.ledger = ledger

    def work(self, stop: threading.Event) -> None:
        """One round."""
        while not stop.is_set() and self.ledger.recover():
            self.pulse.beat()
