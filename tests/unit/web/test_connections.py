"""What one client can hold of a server is bounded, tried with real sockets."""

from __future__ import annotations

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
from shared.web.connections import Bounds
from shared.web.server import Server

QUICK = Bounds(
    connections=3,
    head_bytes=4_000,
    head_seconds=0.6,
    body_seconds=0.6,
    body_bytes=200,
    read_seconds=0.6,
)
HEAD = b"POST / HTTP/1.1\r\nhost: here\r\ncontent-length: 100000\r\n\r\n"


class House:
    """An application that notes what its requests come to."""

    def __init__(self) -> None:
        self.ended: list[str] = []
        self.working = 0

    async def take(self, request: Request) -> Response:
        """Read a body."""
        self.working += 1
        try:
            size = len(await request.body())
        except ClientDisconnect:
            self.ended.append("broken off")
            return Response()
        finally:
            self.working -= 1
        self.ended.append("whole")
        return JSONResponse({"bytes": size})

    async def pour(self, _request: Request) -> Response:
        """Answer more than any buffer on the way holds."""

        async def body() -> Iterator[bytes]:  # type: ignore[misc]
            self.working += 1
            try:
                for _ in range(2_000):
                    yield b"x" * 65_536
            finally:
                self.working -= 1
                self.ended.append("poured")

        return StreamingResponse(body())

    def app(self) -> Starlette:
        """It as an application."""
        probe = Route("/livez", lambda _: PlainTextResponse("here"))
        pour = Route("/pour", self.pour)
        return Starlette(routes=[probe, pour, Route("/", self.take, methods=["GET", "POST"])])


@contextmanager
def served(bounds: Bounds, house: House) -> Iterator[tuple[str, int]]:
    """The address of a server with these bounds."""
    config = uvicorn.Config(house.app(), log_config=None, timeout_graceful_shutdown=1)
    ports: list[int] = []
    server = Server(config, threading.Event(), ports.append, bounds=bounds)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        waited(lambda: ports)
        yield "127.0.0.1", ports[0]
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture
def house() -> House:
    """One that nobody has asked yet."""
    return House()


@pytest.fixture
def address(house: House) -> Iterator[tuple[str, int]]:
    """Where it is served within narrow bounds."""
    with served(QUICK, house) as found:
        yield found


def waited(look: object, seconds: float = 30.0) -> None:
    """Until a look finds something."""
    until = time.monotonic() + seconds
    while not look():  # type: ignore[operator]
        assert time.monotonic() < until, "it does not come"
        time.sleep(0.01)


def rest(client: socket.socket, seconds: float = 30.0) -> bytes:
    """All that a server says until it closes the connection."""
    client.settimeout(seconds)
    said = b""
    with suppress(ConnectionResetError):
        while chunk := client.recv(65_536):
            said += chunk
    return said


def status(said: bytes) -> int:
    """Of an answer."""
    return int(said.split(b" ", 2)[1])


@pytest.mark.parametrize("size", [5_000, 1_000_000])
@pytest.mark.parametrize("where", ["line", "header", "names"])
def test_a_head_that_is_too_long_is_refused(
    address: tuple[str, int], house: House, size: int, where: str
) -> None:
    """Whether it comes whole or in parts, and whatever of it is long."""
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
        said = rest(client)
    assert not said or status(said) == 431, said[:200]  # a reset may overtake the answer
    if size < 10_000:
        assert status(said) == 431
        assert b"connection: close" in said.lower()
    assert house.ended == []
    assert httpx.get(f"http://{address[0]}:{address[1]}/livez", trust_env=False).text == "here"


def test_a_head_within_the_bound_is_read(address: tuple[str, int]) -> None:
    """Two connections' worth of cookies are no attack."""
    answer = httpx.get(
        f"http://{address[0]}:{address[1]}/", headers={"cookie": "x" * 3_000}, trust_env=False
    )
    assert answer.json() == {"bytes": 0}


def test_further_connections_are_asked_to_come_again(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 with Retry-After, but for probes; and unheard those far beyond, until there is room."""
    monkeypatch.setattr(connections, "BEYOND", 2)
    with ExitStack() as stack:
        held = [stack.enter_context(begun(address)) for _ in range(3)]
        with socket.create_connection(address) as further:
            further.sendall(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n")
            said = rest(further)
        assert status(said) == 503
        assert b"retry-after: 1\r\n" in said.lower()
        with socket.create_connection(address) as probe:
            probe.sendall(b"GET /livez HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n")
            assert status(rest(probe)) == 200
        held += [stack.enter_context(begun(address)) for _ in range(2)]
        with socket.create_connection(address) as unheard:
            assert rest(unheard) == b""
        for one in held:
            one.close()
    waited(lambda: ask(address) == 200)


@contextmanager
def begun(address: tuple[str, int]) -> Iterator[socket.socket]:
    """A connection on which a request has begun."""
    with socket.create_connection(address) as client:
        client.sendall(b"GET / HTTP/1.1\r\n")
        time.sleep(0.05)
        yield client


def ask(address: tuple[str, int]) -> int:
    """The status of a plain request."""
    return httpx.get(f"http://{address[0]}:{address[1]}/", trust_env=False).status_code


def drip(client: socket.socket, seconds: float, data: bytes = b"x") -> float:
    """Send a byte ten times a second; returns after how many seconds it was no use any more."""
    began = time.monotonic()
    client.settimeout(0.1)
    while time.monotonic() - began < seconds:
        with suppress(TimeoutError):
            client.sendall(data)
            if client.recv(1, socket.MSG_PEEK) is not None:
                break
    return time.monotonic() - began


def test_a_head_that_comes_byte_by_byte_is_not_waited_for(
    address: tuple[str, int], house: House
) -> None:
    """Also as the second one on its connection; who asks nothing at all is left without a word."""
    with socket.create_connection(address) as client:
        client.sendall(b"GET / HTTP/1.1\r\nx: ")
        assert 0.3 < drip(client, 20) < 20
        assert status(rest(client)) == 408
    with socket.create_connection(address) as client:
        client.sendall(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n")
        client.settimeout(5)
        said = b""
        while not said.endswith(b"}"):
            said += client.recv(65_536)
        assert status(said) == 200
        time.sleep(1.0)  # longer than a head may take: kept open all the same
        client.sendall(b"GET / HTTP/1.1\r\nx: ")
        assert 0.3 < drip(client, 20) < 20
        assert status(rest(client)) == 408
    with socket.create_connection(address) as client:
        began = time.monotonic()
        assert rest(client) == b""
        assert 0.3 < time.monotonic() - began < 20
    assert house.ended == ["whole"]


def test_a_body_that_comes_byte_by_byte_is_not_waited_for(
    address: tuple[str, int], house: House
) -> None:
    """Nobody works for it any more then, and others are served meanwhile."""
    with socket.create_connection(address) as client:
        began = time.monotonic()
        client.sendall(HEAD)
        waited(lambda: house.working == 1)
        assert ask(address) == 200
        assert drip(client, 20) < 20
        assert time.monotonic() - began > 0.5
        assert status(rest(client)) == 408
        waited(lambda: house.working == 0)
    assert house.ended == ["whole", "broken off"]


def test_a_slow_line_that_keeps_up_is_served(address: tuple[str, int], house: House) -> None:
    """Longer than the bound of one look, at some times the slowest rate."""
    with socket.create_connection(address) as client:
        client.sendall(HEAD.replace(b"100000", b"4000"))
        for _ in range(20):
            client.sendall(b"x" * 200)
            time.sleep(0.1)
        client.settimeout(5)
        assert status(client.recv(65_536)) == 200
    assert house.ended == ["whole"]


def test_who_waits_for_our_word_is_not_slow(house: House) -> None:
    """Who asked whether to go on, and has no answer, sends nothing and is left alone."""
    with (
        served(replace(QUICK, head_seconds=5.0), house) as address,
        socket.create_connection(address) as client,
    ):
        client.sendall(HEAD.replace(b"100000", b"4\r\nexpect: 100-continue"))
        client.settimeout(5)
        assert status(client.recv(65_536)) == 100
        client.sendall(b"1234")
        assert status(client.recv(65_536)) == 200


def test_who_does_not_read_what_he_asked_for_is_let_go(
    address: tuple[str, int], house: House
) -> None:
    """What waits for him in memory goes with him."""
    with socket.create_connection(address) as client:
        client.sendall(b"GET /pour HTTP/1.1\r\nhost: here\r\n\r\n")
        waited(lambda: house.working == 1)
        waited(lambda: house.working == 0)
    assert house.ended == ["poured"]


def test_what_is_no_request_is_answered_400(address: tuple[str, int], house: House) -> None:
    """And the connection is closed."""
    with socket.create_connection(address) as client:
        client.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert status(rest(client)) == 400
    assert house.ended == []


def test_by_default_a_browser_and_a_slow_telephone_are_served() -> None:
    """What anybody needs is far below the bounds."""
    usual = Bounds()
    assert usual.head_bytes >= 16_384
    assert usual.connections >= 100
    assert usual.body_bytes / usual.body_seconds <= 1_000
