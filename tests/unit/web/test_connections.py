"""Limits of connections, with real sockets."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from shared.web import connections
from shared.web.connections import ServerLimits
from shared.web.server import Server

QUICK = ServerLimits(
    connections=3,
    head_bytes=4_000,
    head_seconds=0.6,
    body_seconds=0.6,
    body_bytes=200,
    read_seconds=0.6,
    read_bytes=60_000,
)
PATIENT = replace(QUICK, head_seconds=20.0, body_seconds=20.0)
"""As narrow, with time for a test that makes the server wait."""
HEAD = b"POST / HTTP/1.1\r\nhost: here\r\ncontent-length: 100000\r\n\r\n"


class ServedApp:
    def __init__(self) -> None:
        self.ended: list[str] = []
        self.working = 0
        self.thinks = 0.0

    async def take(self, request: Request) -> Response:
        self.working += 1
        try:
            await asyncio.sleep(self.thinks)
            size = len(await request.body())
        except ClientDisconnect:
            self.ended.append("broken off")
            return Response()
        finally:
            self.working -= 1
        self.ended.append("whole")
        return JSONResponse({"bytes": size})

    async def pour(self, _request: Request) -> Response:
        async def body() -> Iterator[bytes]:  # type: ignore[misc]
            self.working += 1
            try:
                for _ in range(2_000):
                    yield b"x" * 65_536
            finally:
                self.working -= 1
                self.ended.append("poured")

        return StreamingResponse(body())

    async def give(self, request: Request) -> Response:
        return Response(b"x" * int(request.query_params["bytes"]))

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/livez", lambda _: PlainTextResponse("here")),
                Route("/v1/keys/self", lambda _: PlainTextResponse("yours")),
                Route("/pour", self.pour),
                Route("/give", self.give),
                Route("/", self.take, methods=["GET", "POST"]),
            ]
        )


@contextmanager
def served(
    bounds: ServerLimits, served_app: ServedApp, buffer: int = 0
) -> Iterator[tuple[str, int]]:
    config = uvicorn.Config(served_app.app(), log_config=None, timeout_graceful_shutdown=1)
    ports: list[int] = []
    server = Server(config, threading.Event(), ports.append, bounds=bounds)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        if buffer:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        wait_until(lambda: ports)
        try:
            yield "127.0.0.1", ports[0]
        finally:
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive()


@pytest.fixture
def served_app() -> ServedApp:
    return ServedApp()


@pytest.fixture
def address(served_app: ServedApp) -> Iterator[tuple[str, int]]:
    with served(QUICK, served_app) as found:
        yield found


def wait_until(look: object, seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while not look():  # type: ignore[operator]
        assert time.monotonic() < until, "it does not come"
        time.sleep(0.01)


def rest(client: socket.socket, seconds: float = 30.0) -> bytes:
    client.settimeout(seconds)
    message = b""
    with suppress(ConnectionResetError):
        while chunk := client.recv(65_536):
            message += chunk
    return message


def status(message: bytes) -> int:
    return int(message.split(b" ", 2)[1])


@pytest.mark.parametrize("size", [5_000, 1_000_000])
@pytest.mark.parametrize("where", ["line", "header", "names"])
def test_a_too_long_head_is_refused(
    address: tuple[str, int], served_app: ServedApp, size: int, where: str
) -> None:
    long = b"x" * size
    many = b"".join(b"x-%d: 1\r\n" % number for number in range(size // 8))
    head = {
        "line": b"GET /?q=" + long + b" HTTP/1.1\r\nhost: here\r\n\r\n",
        "header": b"GET / HTTP/1.1\r\nhost: here\r\ncookie: " + long + b"\r\n\r\n",
        "names": b"GET / HTTP/1.1\r\nhost: here\r\n" + many + b"\r\n",
    }[where]
    with socket.create_connection(address) as client:
        with suppress(ConnectionResetError, BrokenPipeError):
            client.sendall(head)
        message = rest(client)
    assert not message or status(message) == 431, message[:200]  # a reset may overtake the answer
    if size < 10_000:
        assert status(message) == 431
        assert b"connection: close" in message.lower()
    assert served_app.ended == []
    assert httpx.get(f"http://{address[0]}:{address[1]}/livez", trust_env=False).text == "here"


def test_a_long_head_within_the_limit_is_read(address: tuple[str, int]) -> None:
    answer = httpx.get(
        f"http://{address[0]}:{address[1]}/", headers={"cookie": "x" * 3_000}, trust_env=False
    )
    assert answer.json() == {"bytes": 0}


def test_further_connections_get_503(
    served_app: ServedApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(PATIENT, served_app) as address, ExitStack() as stack:
        held = [stack.enter_context(started(address, HEAD)) for _ in range(3)]
        wait_until(lambda: served_app.working == 3)
        message = requested(address, "/")
        assert status(message) == 503
        assert b"retry-after: 1\r\n" in message.lower()
        assert status(requested(address, "/livez")) == 200
        assert status(requested(address, "/v1/keys/self")) == 200
        monkeypatch.setattr(connections, "EXTRA_CONNECTIONS", 0)
        with socket.create_connection(address) as unheard:
            assert rest(unheard) == b""
        for one in held:
            one.close()
        wait_until(lambda: ask(address) == 200)


def test_idle_connections_are_closed_first(
    served_app: ServedApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "EXTRA_CONNECTIONS", 2)
    with served(PATIENT, served_app) as address, ExitStack() as stack:
        working = stack.enter_context(started(address, HEAD))
        silent = [stack.enter_context(started(address, b"")) for _ in range(4)]
        assert status(requested(address, "/livez")) == 200
        assert rest(silent[0]) == b""
        for one in silent[1:]:
            one.sendall(b"GET /livez HTTP/1.1\r\nhost: here\r\n\r\n")
            one.settimeout(10)
            assert status(one.recv(65_536)) == 200
        working.sendall(b"x" * 100_000)
        working.settimeout(10)
        assert status(working.recv(65_536)) == 200


def test_an_overload_connection_is_served_later(served_app: ServedApp) -> None:
    with served(PATIENT, served_app) as address, ExitStack() as stack:
        held = [stack.enter_context(started(address)) for _ in range(3)]
        with socket.create_connection(address) as client:
            client.settimeout(10)
            client.sendall(b"GET /livez HTTP/1.1\r\nhost: here\r\n\r\n")
            message = b""
            while not message.endswith(b"here"):
                message += client.recv(65_536) or pytest.fail("closed")
            assert status(message) == 200
            for one in held:
                one.close()
            time.sleep(0.5)
            client.sendall(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n")
            assert status(client.recv(65_536)) == 200


@contextmanager
def started(
    address: tuple[str, int], data: bytes = b"GET / HTTP/1.1\r\n"
) -> Iterator[socket.socket]:
    with socket.create_connection(address) as client:
        client.sendall(data)
        time.sleep(0.05)
        yield client


def requested(address: tuple[str, int], path: str) -> bytes:
    with socket.create_connection(address) as client:
        client.sendall(b"GET %s HTTP/1.1\r\nhost: here\r\n" % path.encode())
        client.sendall(b"connection: close\r\n\r\n")
        return rest(client)


def ask(address: tuple[str, int]) -> int:
    return httpx.get(f"http://{address[0]}:{address[1]}/", trust_env=False).status_code


def drip(client: socket.socket, seconds: float, data: bytes = b"x") -> float:
    began = time.monotonic()
    client.settimeout(0.1)
    while time.monotonic() - began < seconds:
        with suppress(TimeoutError):
            client.sendall(data)
            if client.recv(1, socket.MSG_PEEK) is not None:
                break
    return time.monotonic() - began


def test_a_slow_head_times_out(address: tuple[str, int], served_app: ServedApp) -> None:
    with socket.create_connection(address) as client:
        client.sendall(b"GET / HTTP/1.1\r\nx: ")
        assert 0.3 < drip(client, 20) < 20
        assert status(rest(client)) == 408
    with socket.create_connection(address) as client:
        client.sendall(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n")
        client.settimeout(5)
        message = b""
        while not message.endswith(b"}"):
            message += client.recv(65_536)
        assert status(message) == 200
        time.sleep(1.0)  # longer than the limit for a head, but still open
        client.sendall(b"GET / HTTP/1.1\r\nx: ")
        assert 0.3 < drip(client, 20) < 20
        assert status(rest(client)) == 408
    with socket.create_connection(address) as client:
        began = time.monotonic()
        assert rest(client) == b""
        assert 0.3 < time.monotonic() - began < 20
    assert served_app.ended == ["whole"]


def test_a_slow_body_times_out(address: tuple[str, int], served_app: ServedApp) -> None:
    with socket.create_connection(address) as client:
        began = time.monotonic()
        client.sendall(HEAD)
        wait_until(lambda: served_app.working == 1)
        assert ask(address) == 200
        assert drip(client, 20) < 20
        assert time.monotonic() - began > 0.5
        assert status(rest(client)) == 408
        wait_until(lambda: served_app.working == 0)
    assert served_app.ended == ["whole", "broken off"]


def test_a_slow_steady_upload_is_served(address: tuple[str, int], served_app: ServedApp) -> None:
    with socket.create_connection(address) as client:
        client.sendall(HEAD.replace(b"100000", b"4000"))
        for _ in range(20):
            client.sendall(b"x" * 200)
            time.sleep(0.1)
        client.settimeout(5)
        assert status(client.recv(65_536)) == 200
    assert served_app.ended == ["whole"]


@pytest.mark.parametrize("expects", [True, False])
def test_a_client_waiting_for_us_is_not_slow(served_app: ServedApp, expects: bool) -> None:
    served_app.thinks = 2.0  # more than two looks at the body
    with (
        served(replace(QUICK, head_seconds=5.0), served_app) as address,
        socket.create_connection(address) as client,
    ):
        client.settimeout(10)
        if expects:
            client.sendall(HEAD.replace(b"100000", b"4\r\nexpect: 100-continue"))
            assert status(client.recv(65_536)) == 100
            client.sendall(b"1234")
        else:
            client.sendall(HEAD.replace(b"100000", b"20000000") + b"x" * 20_000_000)
        assert status(client.recv(65_536)) == 200
    assert served_app.ended == ["whole"]


def test_a_client_that_does_not_read_is_disconnected(
    address: tuple[str, int], served_app: ServedApp
) -> None:
    with socket.create_connection(address) as client:
        client.sendall(b"GET /pour HTTP/1.1\r\nhost: here\r\n\r\n")
        wait_until(lambda: served_app.working == 1)
        wait_until(lambda: served_app.working == 0)
    assert served_app.ended == ["poured"]


@contextmanager
def narrow(address: tuple[str, int], path: str, keeps: int = 65_536) -> Iterator[socket.socket]:
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, keeps)
        client.settimeout(10)
        client.connect(address)
        client.sendall(b"GET %s HTTP/1.1\r\nhost: here\r\n\r\n" % path.encode())
        yield client


@pytest.mark.parametrize("path", ["/pour", "/give?bytes=40000000"])
def test_a_slow_steady_reader_is_served(served_app: ServedApp, path: str) -> None:
    with served(QUICK, served_app) as address, narrow(address, path) as client:
        until, read = time.monotonic() + 4.0, 0
        while time.monotonic() < until:
            read += len(client.recv(40_000))
            time.sleep(0.05)
        assert read > 500_000
        client.settimeout(0.5)
        rest_of_it = read
        while rest_of_it < 8_000_000:  # more than lay in any kernel: it is still being sent
            rest_of_it += len(client.recv(1 << 20)) or pytest.fail("cut off")


@pytest.mark.parametrize("size", [40_000_000, 60_000])
def test_a_slow_reader_is_disconnected(served_app: ServedApp, size: int) -> None:
    bounds = replace(QUICK, connections=1)
    with (
        served(bounds, served_app, buffer=4_096) as address,
        narrow(address, f"/give?bytes={size}", keeps=4_096) as client,
    ):
        wait_until(lambda: client.recv(10) and ask(address) == 503)
        wait_until(lambda: client.recv(10) and ask(address) == 200)


def test_invalid_http_is_answered_400(address: tuple[str, int], served_app: ServedApp) -> None:
    with socket.create_connection(address) as client:
        client.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert status(rest(client)) == 400
    assert served_app.ended == []
