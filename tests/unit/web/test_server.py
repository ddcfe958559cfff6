"""A server that stops gracefully."""

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
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from services.proxy.proxy import IDLE
from shared.web.server import DRAIN_SECONDS, OPEN_FILES, Server


@dataclass
class Running:
    server: Server
    thread: threading.Thread
    url: str
    stop: threading.Event
    let_go: list[str]

    def requested(self, number: int) -> None:
        self.server.handle_exit(number, None)


@pytest.fixture
def few_files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1_024, before[1]), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
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
def test_a_stopping_server_answers_and_closes(running: Running) -> None:
    with httpx.Client(base_url=running.url, trust_env=False) as client:
        assert "connection" not in client.get("/").headers
        running.requested(signal.SIGTERM)
        assert running.stop.is_set()
        assert running.let_go == ["now"]
        answer = client.get("/")
        assert (answer.text, answer.headers["connection"]) == ("here", "close")
    answer = httpx.get(running.url, trust_env=False)
    assert (answer.text, answer.headers["connection"]) == ("here", "close")


@pytest.mark.usefixtures("few_files")
@pytest.mark.parametrize("running", [0.5], indirect=True)
def test_the_limit_of_open_files_is_raised(running: Running) -> None:
    assert httpx.get(running.url, trust_env=False).text == "here"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert soft == min(OPEN_FILES, hard)


@pytest.mark.parametrize("running", [0.5], indirect=True)
def test_a_stopped_server_ends_after_the_drain(running: Running) -> None:
    requested = time.monotonic()
    running.requested(signal.SIGTERM)
    running.thread.join(30)
    assert not running.thread.is_alive()
    assert time.monotonic() - requested >= 0.5
    with pytest.raises(httpx.TransportError):
        httpx.get(running.url, trust_env=False)


@pytest.mark.parametrize("running", [600.0], indirect=True)
def test_a_signal_within_a_signal_does_not_deadlock(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    requested, reported = running.stop.set, list[str]()

    def again() -> None:
        reported.append("set")
        if len(reported) < 3:
            running.server.handle_exit(signal.SIGINT, None)
        requested()

    monkeypatch.setattr(running.stop, "set", again)
    running.requested(signal.SIGINT)
    running.thread.join(30)
    assert not running.thread.is_alive()
    assert (reported, running.let_go) == (["set"], ["now"])


@pytest.mark.parametrize("running", [600.0], indirect=True)
@pytest.mark.parametrize("signals", [(signal.SIGINT,), (signal.SIGTERM, signal.SIGTERM)])
def test_a_second_signal_ends_at_once(running: Running, signals: tuple[int, ...]) -> None:
    for number in signals:
        running.requested(number)
    running.thread.join(30)
    assert not running.thread.is_alive()


def test_the_drain_outlasts_idle_proxy_connections() -> None:
    assert DRAIN_SECONDS > IDLE


@pytest.mark.parametrize(
    ("trusted", "sent", "client"),
    [
        ("", ["192.0.2.7"], "http 127.0.0.1"),
        ("10.0.0.0/8", ["192.0.2.7"], "http 127.0.0.1"),
        ("127.0.0.1", ["192.0.2.7"], "https 192.0.2.7"),
        ("127.0.0.0/8, 10.0.0.0/8", ["192.0.2.7, 10.1.1.1"], "https 192.0.2.7"),
        # A client invents an address; the trusted proxy appends the true one.
        ("127.0.0.1", ["10.9.9.9, 192.0.2.7"], "https 192.0.2.7"),
        ("127.0.0.1", ["10.9.9.9", "192.0.2.7"], "https 192.0.2.7"),
        ("*", ["192.0.2.7"], "https 192.0.2.7"),
    ],
)
def test_only_a_trusted_proxy_names_the_client(trusted: str, sent: list[str], client: str) -> None:
    def where(request: Request) -> PlainTextResponse:
        assert request.client is not None
        return PlainTextResponse(f"{request.url.scheme} {request.client.host}")

    app = Starlette(routes=[Route("/", where)])
    ports, stop = list[int](), threading.Event()
    config = uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=5)
    server = Server(config, stop, ports.append, trusted_proxies=trusted)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        while not ports:
            time.sleep(0.01)
        headers = [("x-forwarded-proto", "https"), *(("x-forwarded-for", one) for one in sent)]
        url = f"http://127.0.0.1:{ports[0]}"
        assert httpx.get(url, headers=headers, trust_env=False).text == client
        server.should_exit = True
        thread.join(30)
