"""Removes what a program of the release before left of a document, while both were at work."""

from __future__ import annotations

import logging
import threading
from abc import abstractmethod
from collections.abc import Sequence

from shared.errors import SuiteError
from shared.runtime.rounds import Rounds
from shared.storage import Store

log = logging.getLogger(__name__)

HOUR = 3600.0


class Leftovers(Rounds):
    """Removes it when a process starts, and every hour, for the last older process ends after the
    last start. Several processes may have one each.
    """

    name = "leftovers"

    def __init__(self, store: Store, interval: float = HOUR) -> None:
        super().__init__(interval)
        self.store = store

    @abstractmethod
    def left(self) -> Sequence[tuple[str, str]]:
        """Tenants and documents of which something is left."""

    @abstractmethod
    def remove(self, tenant: str, document_id: str) -> None:
        """Remove what is left of one document."""

    def work(self, stop: threading.Event) -> None:
        """See Rounds. One that can't be removed holds up no other."""
        for tenant, document_id in self.left():
            if stop.is_set():
                return
            self.pulse.beat()
            about = {"tenant": tenant, "document": document_id}
            try:
                self.remove(tenant, document_id)
            except SuiteError as error:
                about["reason"] = error.message
                log.warning("what is left of a document waits", extra=about)
            except Exception:  # it would hold up those behind it, in every round
                log.exception("what is left of a document waits", extra=about)
