"""A server that is asked to end still answers for a moment; clients open new connections then."""

from __future__ import annotations

import resource
import signal
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from infra.origin import IDLE
from shared.web.server import LEAVE_SECONDS, OPEN_FILES, Server


@dataclass
class Running:
    """A server in a thread, and what it has told."""

    server: Server
    thread: threading.Thread
    url: str
    stop: threading.Event
    let_go: list[str]

    def asked(self, number: int) -> None:
        """As the process would be, by a signal."""
        self.server.handle_exit(number, None)


@pytest.fixture
def few_files() -> Iterator[None]:
    """As systems start a process, with room for 1,024 open files."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1_024, before[1]), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
    """One that leaves after so many seconds."""
    leave: float = request.param
    app = Starlette(routes=[Route("/", lambda _: PlainTextResponse("here"))])
    config = uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=5)
    stop, ports, let_go = threading.Event(), list[int](), list[str]()
    server = Server(config, stop, ports.append, lambda: let_go.append("now"), leave)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        until = time.monotonic() + 30
        while not ports and time.monotonic() < until:
            time.sleep(0.01)
        yield Running(server, thread, f"http://127.0.0.1:{ports[0]}", stop, let_go)
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


@pytest.mark.parametrize("running", [600.0], indirect=True)
def test_it_answers_for_a_moment_and_closes_what_it_has_answered(running: Running) -> None:
    """On the connection that is open, and on new ones."""
    with httpx.Client(base_url=running.url, trust_env=False) as client:
        assert "connection" not in client.get("/").headers
        running.asked(signal.SIGTERM)
        assert running.stop.is_set()
        assert running.let_go == ["now"]
        answer = client.get("/")
        assert (answer.text, answer.headers["connection"]) == ("here", "close")
    answer = httpx.get(running.url, trust_env=False)
    assert (answer.text, answer.headers["connection"]) == ("here", "close")


@pytest.mark.usefixtures("few_files")
@pytest.mark.parametrize("running", [0.5], indirect=True)
def test_it_has_room_for_the_files_of_many_uploads(running: Running) -> None:
    """For as many as the system lets it have, up to its own bound."""
    assert httpx.get(running.url, trust_env=False).text == "here"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert soft == min(OPEN_FILES, hard)


@pytest.mark.parametrize("running", [0.5], indirect=True)
def test_after_that_moment_it_has_ended(running: Running) -> None:
    """By itself, and not before."""
    asked = time.monotonic()
    running.asked(signal.SIGTERM)
    running.thread.join(30)
    assert not running.thread.is_alive()
    assert time.monotonic() - asked >= 0.5
    with pytest.raises(httpx.TransportError):
        httpx.get(running.url, trust_env=False)


@pytest.mark.parametrize("running", [600.0], indirect=True)
def test_a_second_signal_within_the_first_waits_for_no_lock(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a terminal, and a program around this one, both pass Ctrl-C on."""
    asked, told = running.stop.set, list[str]()

    def again() -> None:
        told.append("set")
        if len(told) < 3:
            running.server.handle_exit(signal.SIGINT, None)
        asked()

    monkeypatch.setattr(running.stop, "set", again)
    running.asked(signal.SIGINT)
    running.thread.join(30)
    assert not running.thread.is_alive()
    assert (told, running.let_go) == (["set"], ["now"])


@pytest.mark.parametrize("running", [600.0], indirect=True)
@pytest.mark.parametrize("signals", [(signal.SIGINT,), (signal.SIGTERM, signal.SIGTERM)])
def test_who_insists_is_not_kept_waiting(running: Running, signals: tuple[int, ...]) -> None:
    """Ctrl-C and a second signal end it at once."""
    for number in signals:
        running.asked(number)
    running.thread.join(30)
    assert not running.thread.is_alive()


def test_it_answers_for_longer_than_the_origin_keeps_what_it_does_not_use() -> None:
    """So none of the origin's requests meets a connection that is being closed."""
    assert LEAVE_SECONDS > IDLE
