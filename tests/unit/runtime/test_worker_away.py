"""The worker waits for a store, a bus or another service that is away; each on two buses."""

import threading
import time
from contextlib import suppress
from typing import Any

import pytest

from shared.bus import Bus
from shared.errors import Unavailable
from shared.events import DocumentDeleted
from shared.messaging import Inbox, UnitOfWork
from shared.settings import CommonSettings
from shared.storage import Store
from tests.support.queue import HandWorker
from tests.unit.runtime.working import Away, Fails, announced, keep, notes, send, work_for


def test_what_is_away_is_waited_for(store: Store, bus: Bus, make_worker: Any, inbox: Inbox) -> None:
    handler = Fails(8, Unavailable("the frontier is away"))
    send(bus, DocumentDeleted(document_id="a"))
    work_for(make_worker({DocumentDeleted: handler}), lambda: notes(store) == ["a"])
    assert handler.calls == 9
    assert (inbox.dead_letters(), announced(store)) == ([], [])


def test_where_it_is_known_when_to_come_again_it_comes_then(
    store: Store, bus: Bus, settings: CommonSettings
) -> None:
    handler = Fails(2, Unavailable("there is room in half a second", wait=0.5))
    often = settings.model_copy(update={"retry_delay_most": 60.0})
    send(bus, DocumentDeleted(document_id="a"))
    began = time.monotonic()
    work_for(
        HandWorker("extraction", store, bus, {DocumentDeleted: handler}, often),
        lambda: notes(store) == ["a"],
    )
    assert 1.0 <= time.monotonic() - began < 8.0
    assert handler.calls == 3


@pytest.mark.parametrize("pause", [0.0, 0.05])
@pytest.mark.parametrize("times", [2, 4])
def test_a_store_that_is_away_after_the_work_is_no_crash(
    store: Store, bus: Bus, settings: Any, inbox: Inbox, pause: float, times: int
) -> None:
    handler = Fails(6, Unavailable("the frontier is away"))
    away = Away(store, "write", 0)

    def work(event: DocumentDeleted, uow: UnitOfWork) -> None:
        try:
            handler(event, UnitOfWork(store, event))
        except Unavailable:
            away.left = times
            raise

    worker = HandWorker("extraction", away, bus, {DocumentDeleted: work}, settings)  # type: ignore[arg-type]
    send(bus, DocumentDeleted(document_id="a"))
    end = time.monotonic() + 10
    while notes(store) != ["a"]:
        assert time.monotonic() < end, "worked in vain"
        with suppress(Unavailable):
            worker.run_once(0.01)
        threading.Event().wait(pause)
    assert handler.calls == 7
    assert (inbox.dead_letters(), announced(store)) == ([], [])


def test_waits_use_up_no_tries(store: Store, bus: Bus, make_worker: Any, inbox: Inbox) -> None:
    outage, bug = Fails(8, Unavailable("away")), Fails(2, ValueError("a bug"))

    def work(event: DocumentDeleted, uow: UnitOfWork) -> None:
        if outage.left:
            outage(event, uow)
        bug(event, uow)

    send(bus, DocumentDeleted(document_id="a"))
    work_for(make_worker({DocumentDeleted: work}), lambda: notes(store) == ["a"])
    assert (inbox.dead_letters(), announced(store)) == ([], [])


@pytest.mark.parametrize("what", ["write", "read", "consumer"])
def test_a_store_or_bus_that_was_away_leaves_no_event_behind(
    store: Store, bus: Bus, settings: Any, what: str
) -> None:
    parts: dict[str, Any] = {"store": store, "bus": bus}
    on = "bus" if what == "consumer" else "store"
    parts[on] = Away(parts[on], what, 1)
    worker = HandWorker(
        "extraction", parts["store"], parts["bus"], {DocumentDeleted: keep}, settings
    )
    send(bus, DocumentDeleted(document_id="a"))
    stop = threading.Event()
    threads = [
        threading.Thread(target=run, args=(stop,), daemon=True)
        for run in (worker.pump.run, worker.workers[0].run)
    ]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 10
    while notes(store) != ["a"] and time.monotonic() < end:
        time.sleep(0.02)
    stop.set()
    for thread in threads:
        thread.join(10)
    assert notes(store) == ["a"]
    assert not any(thread.is_alive() for thread in threads)
