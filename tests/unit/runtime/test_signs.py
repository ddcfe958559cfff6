"""Whoever works says so, again and again; whoever has died does not."""

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
from shared.runtime.signs import Signs
from shared.storage import Store, UnitOfWork, begin_try
from shared.storage.journal import heard
from tests.unit.runtime.working import Away, keep, notes, send

EVENT = DocumentDeleted(document_id="a")


def _seen(store: Store) -> datetime | None:
    (one,) = heard(store, EVENT.key)
    return one.seen


def _later(store: Store, than: datetime | None) -> Callable[[], bool]:
    return lambda: (seen := _seen(store)) is not None and than is not None and seen > than


def _eventually(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)
    return condition()


def test_an_event_is_seen_as_long_as_it_is_in_hand(store: Store) -> None:
    """And no longer, which is what a dead process looks like."""
    begin_try(store, EVENT, "host/7")
    began = _seen(store)
    signs = Signs(store, "host/7", every=0.01)
    with signs.given():
        with signs.of(EVENT.id):
            assert _eventually(_later(store, began))
        time.sleep(0.1)  # one may have been on its way
        last = _seen(store)
        time.sleep(0.2)
        assert _seen(store) == last


def test_a_store_that_is_away_ends_no_signs(store: Store) -> None:
    """The next one is noted again."""
    begin_try(store, EVENT, "host/7")
    away: Any = Away(store, "write", 3)
    signs = Signs(away, "host/7", every=0.01)
    began = _seen(store)
    with signs.given(), signs.of(EVENT.id):
        assert _eventually(_later(store, began))
    assert away.left == 0


def test_an_error_that_nobody_foresaw_ends_no_signs(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """Such as a database that can be read alone while another takes its place."""
    begin_try(store, EVENT, "host/7")
    away: Any = Away(store, "write", 3, RuntimeError("cannot write in a read-only transaction"))
    signs = Signs(away, "host/7", every=0.01)
    began = _seen(store)
    with caplog.at_level(logging.WARNING), signs.given(), signs.of(EVENT.id):
        assert _eventually(_later(store, began))
    said = [one for one in caplog.records if one.name == "shared.runtime.signs"]
    assert len(said) == 3
    assert all(one.exc_info for one in said)


def test_a_worker_gives_signs_while_its_handler_works(
    store: Store, bus: Bus, make_worker: Any
) -> None:
    """However long that takes; afterwards there is nothing to be seen."""
    go_on, stop = threading.Event(), threading.Event()

    def work(event: DocumentDeleted, uow: UnitOfWork) -> None:
        assert go_on.wait(30)
        keep(event, uow)

    worker = make_worker({DocumentDeleted: work})
    worker._signs._every = 0.01
    send(bus, EVENT)
    thread = threading.Thread(target=worker.run, args=(stop,), daemon=True)
    thread.start()
    try:
        assert _eventually(lambda: bool(heard(store, EVENT.key)))
        assert _eventually(_later(store, _seen(store)))
        go_on.set()
        assert _eventually(lambda: notes(store) == ["a"])
        assert _seen(store) is None
    finally:
        go_on.set()
        stop.set()
        thread.join(10)
    assert not thread.is_alive()
