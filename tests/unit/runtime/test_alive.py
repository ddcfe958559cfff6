"""When a process says that it has to be started again, asked over HTTP as a probe does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient

from infra.servers.ports import free_port
from shared.blobs import FileBlobs
from shared.bus import Bus
from shared.errors import Unavailable
from shared.events import DocumentDeleted
from shared.messaging import UnitOfWork
from shared.runtime import Service, main, pulse
from shared.runtime.embedded import at_work
from shared.runtime.pulse import Heartbeat, Loop, check_alive, stuck
from shared.settings import CommonSettings
from shared.storage import Store
from shared.web.app import PROBLEM, create_app, health_app
from shared.web.server import Server

Asked = Callable[[str], httpx.Response]


def until(true: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


class Fallen:
    name = "fallen"

    def __init__(self, may: threading.Event) -> None:
        self.may = may
        self.pulse = Heartbeat()

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set() and not self.may.wait(0.02):
            self.pulse.beat()


class Place:
    """A service whose job can be felled, and whose one worker can be held at an event."""

    def __init__(self, store: Store, bus: Bus, folder: Path) -> None:
        self.felled, self.begun, self.go_on = (threading.Event() for _ in range(3))
        self.service = Service(
            name="extraction",
            settings=CommonSettings(workers=1, host="127.0.0.1", health_port=free_port()),
            port=free_port(),
            store=store,
            blobs=FileBlobs(folder / "blobs"),
            bus=bus,
            app=create_app("extraction", [], [store.ready], None),
            handlers={DocumentDeleted: self.hold},
            jobs=(lambda _owner: Fallen(self.felled),),
        )

    def hold(self, _event: DocumentDeleted, uow: UnitOfWork) -> None:
        """Long work on one event."""
        self.begun.set()
        assert self.go_on.wait(30)
        with uow:
            pass

    def upload(self) -> None:
        with UnitOfWork(self.service.store) as uow:
            uow.publish(DocumentDeleted(tenant="default", document_id="doc_1", actor="x"))


@pytest.fixture
def place(store: Store, bus: Bus, tmp_path: Path) -> Iterator[Place]:
    place = Place(store, bus, tmp_path)
    yield place
    place.go_on.set()


@contextmanager
def _served(service: Service, role: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    """A process of this role with a real server, in a thread; yields what asks it."""
    servers: list[Server] = []
    build = Server.__init__

    def noted(server: Server, *arguments: object, **options: object) -> None:
        build(server, *arguments, **options)  # type: ignore[arg-type]
        servers.append(server)

    monkeypatch.setattr(Server, "__init__", noted)
    thread = threading.Thread(target=main._serve, args=(service, role))
    thread.start()
    port = service.port if role in ("api", "all") else service.settings.health_port

    def asked(path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{port}{path}", trust_env=False, timeout=10)

    try:
        until(lambda: bool(servers) and servers[0].started)
        yield asked
    finally:
        for server in servers:
            server.should_exit = True
        service.store.outbox_filled.set()
        thread.join(60)
        assert not thread.is_alive()


@pytest.mark.parametrize("role", ["worker", "all"])
def test_a_process_of_which_a_thread_has_ended_asks_for_a_new_start(
    place: Place, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _served(place.service, role, monkeypatch) as asked:
        assert (asked("/livez").status_code, asked("/readyz").status_code) == (200, 200)
        assert 'smallprint_stuck_loops{service="extraction"} 0.0' in asked("/metrics").text
        place.felled.set()
        until(lambda: asked("/livez").status_code == 503)
        answer = asked("/livez")
        assert answer.headers["content-type"] == PROBLEM
        assert "extraction-fallen ended: start this process again" in answer.json()["detail"]
        assert 'smallprint_stuck_loops{service="extraction"} 1.0' in asked("/metrics").text


@pytest.mark.parametrize("role", ["relay", "api"])
def test_a_process_without_that_thread_is_well(
    place: Place, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.felled.set()
    with _served(place.service, role, monkeypatch) as asked:
        assert asked("/livez").json() == {"status": "ok"}


def test_long_work_is_alive_whatever_stands_still_beside_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulse, "STUCK_SECONDS", 0.5)
    hung = threading.Event()

    class Hung(Fallen):
        name = "hung"

        def __init__(self) -> None:
            super().__init__(hung)
            self.pulse = Heartbeat(idle=0.05)

        def run(self, stop: threading.Event) -> None:
            self.may.wait(30)

    service = replace(place.service, jobs=(lambda _owner: Hung(),))
    try:
        with _served(service, "all", monkeypatch) as asked:
            place.upload()
            assert place.begun.wait(30)
            time.sleep(1.0)
            assert asked("/readyz").status_code == 503
            assert asked("/livez").status_code == 200
            place.go_on.set()
            until(lambda: asked("/livez").status_code == 503)
            assert "extraction-hung has made no progress" in asked("/livez").json()["detail"]
            hung.set()
    finally:
        hung.set()


def test_the_embedded_edition_asks_for_it_too(place: Place) -> None:
    with at_work([place.service]) as (application, _):
        client = TestClient(application)
        assert client.get("/livez").json() == {"status": "ok"}
        place.felled.set()
        until(lambda: client.get("/livez").status_code == 503)
        assert "extraction-fallen ended" in client.get("/livez").json()["detail"]
        assert 'smallprint_stuck_loops{service="extraction"} 1.0' in client.get("/metrics").text


def test_a_loop_that_has_stood_still_for_a_minute_is_not_yet_given_up() -> None:
    stop = threading.Event()
    loop = Loop("extraction-worker-0", lambda stop: (stop.wait(), None)[1], stop, Heartbeat())
    loop.start()
    try:
        for still, counted, alive in ((50.0, 0, True), (70.0, 1, True), (601.0, 1, False)):
            loop.pulse._beat = time.monotonic() - still
            assert stuck([loop]) == counted
            if alive:
                check_alive([loop])
            else:
                with pytest.raises(Unavailable, match="made no progress for 601 seconds"):
                    check_alive([loop])
    finally:
        stop.set()
    assert health_app("extraction-worker", []).state.alive == ()
