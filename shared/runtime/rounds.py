"""Jobs that repeat, also after a failed round."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod

from shared.errors import SuiteError
from shared.runtime.pulse import Heartbeat

log = logging.getLogger(__name__)


class PeriodicJob(ABC):
    """A `Job` that calls `work` every `interval` seconds."""

    name: str

    def __init__(self, interval: float) -> None:
        """`interval` is in seconds."""
        self.interval = interval
        self.pulse = Heartbeat(interval * 2)

    @abstractmethod
    def work(self, stop: threading.Event) -> None:
        """Do one round. A long one beats the heartbeat, and ends soon after `stop` is set."""

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set. A failed round is logged."""
        while not stop.is_set():
            self.pulse.beat()
            try:
                self.work(stop)
            except SuiteError as error:
                log.warning("%s waits", self.name, extra={"reason": error.message})
            except Exception:
                log.exception("a run of %s failed; it continues", self.name)
            stop.wait(self.interval)
