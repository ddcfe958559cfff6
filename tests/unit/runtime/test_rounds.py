"""A job that comes round goes on after a round that failed, and says what happened."""

from __future__ import annotations

import logging
import threading

import pytest

from shared.errors import Unavailable
from shared.runtime.rounds import PeriodicJob


class Troubled(PeriodicJob):
    """Fails in the first two rounds, and is stopped in the third."""

    name = "trouble"

    def __init__(self) -> None:
        super().__init__(interval=0.0)
        self.rounds = 0

    def work(self, stop: threading.Event) -> None:
        self.rounds += 1
        if self.rounds == 1:
            raise Unavailable("the store is away")
        if self.rounds == 2:
            raise OSError("no space left")
        stop.set()


def test_it_goes_on_whatever_a_round_runs_into(caplog: pytest.LogCaptureFixture) -> None:
    job = Troubled()
    with caplog.at_level(logging.WARNING):
        job.run(threading.Event())
    assert job.rounds == 3
    waits, failed = caplog.records
    assert (waits.levelname, waits.getMessage()) == ("WARNING", "trouble waits")
    assert waits.__dict__["reason"] == "the store is away"
    assert (failed.levelname, failed.exc_info is not None) == ("ERROR", True)
