"""A job that comes round every so often, and goes on whatever a round runs into."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod

from shared.errors import SuiteError
from shared.runtime.pulse import Pulse

log = logging.getLogger(__name__)


class Rounds(ABC):
    """A `Job` that does its work again and again; a subclass says what in `work`."""

    name: str

    def __init__(self, interval: float) -> None:
        """Come round every `interval` seconds."""
        self.interval = interval
        self.pulse = Pulse(interval * 2)

    @abstractmethod
    def work(self, stop: threading.Event) -> None:
        """One round; a long one beats the pulse and ends soon after `stop` is set."""

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set. A round that fails is logged, and the next one comes."""
        while not stop.is_set():
            self.pulse.beat()
            try:
                self.work(stop)
            except SuiteError as error:
                log.warning("%s waits", self.name, extra={"reason": error.message})
            except Exception:
                log.exception("a round of %s failed; it goes on", self.name)
            stop.wait(self.interval)
