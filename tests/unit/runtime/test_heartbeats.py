"""Heartbeats renew the lease of an event as long as its handler works."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from shared.bus import Bus
from shared.events import DocumentDeleted
from shared.messaging import Inbox, UnitOfWork
from shared.messaging.journal import received_events
from shared.runtime.heartbeats import Heartbeats
from shared.storage import Store
from tests.support.queue import begin
from tests.unit.runtime.working import Away, keep, notes, send

EVENT = DocumentDeleted(document_id="a")


def _seen(store: Store) -> datetime | None:
    (one,) = received_events(store, EVENT.key)
    return one.seen


def _later(store: Store, than: datetime | None) -> Callable[[], bool]:
    return lambda: (seen := _seen(store)) is not None and than is not None and seen > than


def _eventually(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)
    return condition()


def test_an_event_is_seen_as_long_as_it_is_in_hand(store: Store) -> None:
    lease = begin(store, EVENT, "host/7")
    assert lease is not None
    began = _seen(store)
    heartbeats = Heartbeats(Inbox(store, "host/7"), every=0.01)
    with heartbeats.sent():
        with heartbeats.of(lease):
            assert _eventually(_later(store, began))
        time.sleep(0.1)  # one may have been on its way
        last = _seen(store)
        time.sleep(0.2)
        assert _seen(store) == last


@pytest.mark.parametrize(
    ("error", "logged"), [(None, 0), (RuntimeError("cannot write in a read-only transaction"), 3)]
)
def test_an_error_of_the_store_ends_no_heartbeats(
    store: Store, caplog: pytest.LogCaptureFixture, error: Exception | None, logged: int
) -> None:
    lease = begin(store, EVENT, "host/7")
    assert lease is not None
    away: Any = Away(store, "write", 3, error)
    heartbeats = Heartbeats(Inbox(away, "host/7"), every=0.01)
    began = _seen(store)
    with caplog.at_level(logging.WARNING), heartbeats.sent(), heartbeats.of(lease):
        assert _eventually(_later(store, began))
    assert away.left == 0
    logs = [one for one in caplog.records if one.name == "shared.runtime.heartbeats"]
    assert len([one for one in logs if one.exc_info]) == logged


def test_a_worker_gives_heartbeats_while_its_handler_works(
    store: Store, bus: Bus, make_worker: Any
) -> None:
    go_on, stop = threading.Event(), threading.Event()

    def work(event: DocumentDeleted, uow: UnitOfWork) -> None:
        assert go_on.wait(30)
        keep(event, uow)

    worker = make_worker({DocumentDeleted: work})
    worker.workers[0]._heartbeats._every = 0.01
    send(bus, EVENT)
    worker.pump.run_once()
    thread = threading.Thread(target=worker.workers[0].run, args=(stop,), daemon=True)
    thread.start()
    try:
        assert _eventually(lambda: bool(received_events(store, EVENT.key)[0].seen))
        assert _eventually(_later(store, _seen(store)))
        go_on.set()
        assert _eventually(lambda: notes(store) == ["a"])
        assert _seen(store) is None
    finally:
        go_on.set()
        stop.set()
        thread.join(10)
    assert not thread.is_alive()
