"""The job that writes down which policy is in force."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime

from services.escalation.rules.domain import Version
from services.escalation.rules.store import note_policies
from shared.runtime.rounds import Rounds
from shared.storage import Store


class PolicyNotes(Rounds):
    """Writes down once after the start what holds for whom; it tries again where the database does
    not answer. The file is read at the start alone, so there is nothing to note later.
    """

    name = "policies"

    def __init__(
        self,
        store: Store,
        named: Mapping[str, Version],
        of: Callable[[str], Version],
        clock: Callable[[], datetime],
        interval: float,
    ) -> None:
        """See `note_policies`; since the moment of being made the policy is in force."""
        super().__init__(interval)
        self.store, self.named, self.of = store, named, of
        self.since = clock()
        self.noted = False

    def work(self, _stop: threading.Event) -> None:
        """One round."""
        if not self.noted:
            note_policies(self.store, self.named, self.of, self.since)
            self.noted = True
