"""A process of a service starts its threads and reports on them."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from shared.blobs import FileBlobs
from shared.bus import Bus
from shared.errors import Unavailable
from shared.events import DocumentDeleted
from shared.messaging import UnitOfWork
from shared.runtime import Service, embedded, main
from shared.runtime.embedded import at_work
from shared.runtime.main import join, start_background
from shared.runtime.pulse import Heartbeat, Loop, check_threads
from shared.settings import CommonSettings
from shared.storage import Store
from shared.web.app import create_app


@pytest.fixture
def service(store: Store, bus: Bus, tmp_path: Path) -> Service:
    """A service that does nothing with deletions."""

    def pass_over(event: DocumentDeleted, uow: UnitOfWork) -> None:
        with uow:
            pass

    return Service(
        name="extraction",
        settings=CommonSettings(workers=3),
        port=0,
        store=store,
        blobs=FileBlobs(tmp_path / "blobs"),
        bus=bus,
        app=create_app("extraction", [], [store.ready], None),
        handlers={DocumentDeleted: pass_over},
    )


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    stop = threading.Event()
    yield stop
    stop.set()


def test_work_that_does_not_end_in_time_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    go = threading.Event()
    long = threading.Thread(target=go.wait, name="extraction-worker-0", daemon=True)
    long.start()
    join([long], seconds=0.05)
    (record,) = caplog.records
    assert "not ended in time: its current work starts again later" in record.getMessage()
    assert record.__dict__["name_of_thread"] == "extraction-worker-0"
    go.set()
    caplog.clear()
    join([long], seconds=10)
    assert caplog.records == []


class Stuck(threading.Thread):
    """One that does not end."""

    waited: float

    def join(self, timeout: float | None = None) -> None:
        assert timeout is not None
        self.waited = timeout
        time.sleep(timeout)

    def is_alive(self) -> bool:
        return True


def test_the_wait_for_several_threads_is_one_wait() -> None:
    stuck = [Stuck() for _ in range(8)]
    join(stuck, seconds=0.1)
    assert sum(one.waited for one in stuck) < 0.1 + 1e-6


def _names(threads: list[threading.Thread]) -> list[str]:
    return [thread.name for thread in threads]


def test_as_many_workers_are_started_as_are_set(service: Service, stop: threading.Event) -> None:
    threads = start_background(service, stop)
    few = start_background(service, stop, relay=False, workers=1)
    own = start_background(replace(service, workers=2), stop, relay=False)
    workers = [f"extraction-worker-{number}" for number in range(3)]
    pump = "extraction-pump"
    assert _names(threads) == [pump, *workers, "extraction-relay"]
    assert _names(few) == [pump, *workers[:1]]
    assert _names(own) == [pump, *workers[:2]]
    check_threads([*threads, *few])
    stop.set()
    service.store.outbox_filled.set()
    join([*threads, *few])
    assert not any(thread.is_alive() for thread in [*threads, *few])


def test_the_embedded_edition_starts_as_many(service: Service) -> None:
    with at_work([service]):
        names = [thread.name for thread in threading.enumerate()]
    assert sum(name.startswith("extraction-worker-") for name in names) == 3


class Bell:
    """A job that waits for the stop event."""

    name = "bell"

    def __init__(self, owner: str | None) -> None:
        self.owner = owner
        self.pulse = Heartbeat()
        self.rung = threading.Event()

    def run(self, stop: threading.Event) -> None:
        self.rung.set()
        stop.wait()


def test_jobs_run_beside_the_worker(service: Service, stop: threading.Event) -> None:
    made: list[Bell] = []

    def make(owner: str | None) -> Bell:
        made.append(Bell(owner))
        return made[-1]

    service = replace(service, jobs=(make,))
    threads = start_background(service, stop, workers=1)
    start_background(service, stop, worker=False)
    assert _names(threads) == [
        "extraction-pump",
        "extraction-worker-0",
        "extraction-bell",
        "extraction-relay",
    ]
    assert len(made) == 1
    assert made[0].rung.wait(10)
    with at_work([service]):
        assert made[1].rung.wait(10)
    assert [bell.owner for bell in made] == [None, "embedded"]
    stop.set()
    service.store.outbox_filled.set()
    join(threads)
    assert not any(thread.is_alive() for thread in threads)


@pytest.mark.parametrize("busy", [True, False])
def test_the_end_says_that_work_in_hand_is_finished(service: Service, busy: bool) -> None:
    begun, done, finished = threading.Event(), threading.Event(), []

    def slow(event: DocumentDeleted, uow: UnitOfWork) -> None:
        begun.set()
        assert done.wait(20)
        with uow:
            pass

    def finishing() -> None:
        finished.append(done.is_set())
        done.set()

    service = replace(service, handlers={DocumentDeleted: slow})
    with at_work([service], finishing):
        if busy:
            with UnitOfWork(service.store) as uow:
                uow.publish(DocumentDeleted(tenant="default", document_id="doc_1", actor="x"))
            assert begun.wait(20)
    assert finished == ([False] if busy else [])


def test_files_of_a_process_are_its_owners_alone(service: Service, tmp_path: Path) -> None:
    made = tmp_path / "made"

    def build() -> Service:
        made.mkdir()
        (made / "a.db").touch()
        return service

    before = os.umask(0o022)
    try:
        assert main.main(build, ["migrate"]) == 0
        after = os.umask(0o022)
    finally:
        os.umask(before)
    assert [made.stat().st_mode & 0o777, (made / "a.db").stat().st_mode & 0o777] == [0o700, 0o600]
    assert after == 0o022


def _probe(service: Service, role: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The application that a process of this role serves."""
    served: list[Any] = []
    monkeypatch.setattr(main, "serve_http", lambda app, *_, **__: served.append(app))
    settings = service.settings.model_copy(update={"health_port": 1})
    main._serve(replace(service, settings=settings), role)
    return served[0]


@pytest.mark.parametrize("role", ["worker", "relay", "all"])
def test_a_process_whose_threads_ended_is_not_ready(
    service: Service, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = TestClient(_probe(service, role, monkeypatch)).get("/readyz")
    assert answer.status_code == 503
    first = {"worker": "pump", "relay": "relay", "all": "pump"}[role]
    assert f"extraction-{first}" in answer.json()["detail"]
    assert "ended" in answer.json()["detail"]


def _thread(pulse: Heartbeat, stop: threading.Event) -> Loop:
    wait: Callable[[threading.Event], None] = lambda stop: (stop.wait(), None)[1]  # noqa: E731
    thread = Loop("extraction-worker-0", wait, stop, pulse)
    thread.start()
    return thread


def test_a_loop_that_stands_still_is_not_ready(stop: threading.Event) -> None:
    pulse = Heartbeat(idle=0.2)
    thread = _thread(pulse, stop)
    check_threads([thread])
    time.sleep(0.3)
    with pytest.raises(Unavailable, match="extraction-worker-0 has made no progress"):
        check_threads([thread])
    pulse.beat()
    check_threads([thread])


def test_who_waits_is_let_go_when_the_process_is_asked_to_end(
    service: Service, stop: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    service = replace(service, let_go=lambda: asked.append("let go"))
    monkeypatch.setattr(main, "serve_http", lambda *_, let_go, **__: let_go())
    main._serve(service, "api")
    assert asked == ["let go"]
    monkeypatch.setattr(embedded, "serve_http", lambda *parts, **_: parts[-1]())
    embedded.serve([service, service], "127.0.0.1", 0, lambda _port: None)
    assert asked == ["let go"] * 3


def test_long_work_is_no_standstill(stop: threading.Event) -> None:
    pulse = Heartbeat(idle=0.2)
    thread = _thread(pulse, stop)
    pulse.begin()
    time.sleep(0.3)
    check_threads([thread])
    assert pulse.working_since is not None
    pulse.end()
    check_threads([thread])


def test_worker_and_relay_beat(service: Service, stop: threading.Event) -> None:
    threads = start_background(service, stop, workers=1, relay_interval=0.05)
    pulses = [thread.pulse for thread in threads if isinstance(thread, Loop)]
    assert len(pulses) == 3
    time.sleep(2.5)
    assert [pulse.still < 2.3 for pulse in pulses] == [True] * 3
    stop.set()
    join(threads)
