"""What one client can hold of a server is bounded, tried with real sockets."""

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
from shared.web.connections import Bounds
from shared.web.server import Server

QUICK = Bounds(
    connections=3,
    head_bytes=4_000,
    head_seconds=0.6,
    body_seconds=0.6,
    body_bytes=200,
    read_seconds=0.6,
    read_bytes=60_000,
)
PATIENT = replace(QUICK, head_seconds=20.0, body_seconds=20.0)
"""As narrow, but for whom a test keeps waiting."""
HEAD = b"POST / HTTP/1.1\r\nhost: here\r\ncontent-length: 100000\r\n\r\n"


class House:
    """An application that notes what its requests come to."""

    def __init__(self) -> None:
        self.ended: list[str] = []
        self.working = 0
        self.thinks = 0.0

    async def take(self, request: Request) -> Response:
        """Read a body, after it has thought for as many seconds as it `thinks`."""
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

    async def give(self, request: Request) -> Response:
        """Answer with so many bytes at once."""
        return Response(b"x" * int(request.query_params["bytes"]))

    def app(self) -> Starlette:
        """It as an application."""
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
def served(bounds: Bounds, house: House, buffer: int = 0) -> Iterator[tuple[str, int]]:
    """The address of a server with these bounds; its kernel keeps `buffer` bytes to send, if any
    number is said."""
    config = uvicorn.Config(house.app(), log_config=None, timeout_graceful_shutdown=1)
    ports: list[int] = []
    server = Server(config, threading.Event(), ports.append, bounds=bounds)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        if buffer:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        waited(lambda: ports)
        try:
            yield "127.0.0.1", ports[0]
        finally:
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
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 with Retry-After, but for probes and what our own services ask about keys; and unheard
    those far beyond, where all are at work, until there is room."""
    with served(PATIENT, house) as address, ExitStack() as stack:
        held = [stack.enter_context(begun(address, HEAD)) for _ in range(3)]
        waited(lambda: house.working == 3)
        said = asked(address, "/")
        assert status(said) == 503
        assert b"retry-after: 1\r\n" in said.lower()
        assert status(asked(address, "/livez")) == 200
        assert status(asked(address, "/v1/keys/self")) == 200
        monkeypatch.setattr(connections, "BEYOND", 0)
        with socket.create_connection(address) as unheard:
            assert rest(unheard) == b""
        for one in held:
            one.close()
        waited(lambda: ask(address) == 200)


def test_who_asks_nothing_goes_before_who_comes(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many are silent, a probe is answered; who is at work stays, and so do the others."""
    monkeypatch.setattr(connections, "BEYOND", 2)
    with served(PATIENT, house) as address, ExitStack() as stack:
        working = stack.enter_context(begun(address, HEAD))
        silent = [stack.enter_context(begun(address, b"")) for _ in range(4)]
        assert status(asked(address, "/livez")) == 200
        assert rest(silent[0]) == b""
        for one in silent[1:]:
            one.sendall(b"GET /livez HTTP/1.1\r\nhost: here\r\n\r\n")
            one.settimeout(10)
            assert status(one.recv(65_536)) == 200
        working.sendall(b"x" * 100_000)
        working.settimeout(10)
        assert status(working.recv(65_536)) == 200


def test_who_came_in_a_crowd_is_served_once_there_is_room(house: House) -> None:
    """On the connection that a probe opened."""
    with served(PATIENT, house) as address, ExitStack() as stack:
        held = [stack.enter_context(begun(address)) for _ in range(3)]
        with socket.create_connection(address) as client:
            client.settimeout(10)
            client.sendall(b"GET /livez HTTP/1.1\r\nhost: here\r\n\r\n")
            said = b""
            while not said.endswith(b"here"):
                said += client.recv(65_536) or pytest.fail("closed")
            assert status(said) == 200
            for one in held:
                one.close()
            time.sleep(0.5)
            client.sendall(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n")
            assert status(client.recv(65_536)) == 200


@contextmanager
def begun(address: tuple[str, int], data: bytes = b"GET / HTTP/1.1\r\n") -> Iterator[socket.socket]:
    """A connection on which a request has begun."""
    with socket.create_connection(address) as client:
        client.sendall(data)
        time.sleep(0.05)
        yield client


def asked(address: tuple[str, int], path: str) -> bytes:
    """All that is answered to a request on a connection of its own."""
    with socket.create_connection(address) as client:
        client.sendall(b"GET %s HTTP/1.1\r\nhost: here\r\n" % path.encode())
        client.sendall(b"connection: close\r\n\r\n")
        return rest(client)


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


@pytest.mark.parametrize("expects", [True, False])
def test_who_waits_for_our_word_is_not_slow(house: House, expects: bool) -> None:
    """Who asked whether to go on, and has no answer, or whose body we do not read further, sends
    nothing and is left alone."""
    house.thinks = 2.0  # more than two looks at the body
    with (
        served(replace(QUICK, head_seconds=5.0), house) as address,
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
    assert house.ended == ["whole"]


def test_who_does_not_read_what_he_asked_for_is_let_go(
    address: tuple[str, int], house: House
) -> None:
    """What waits for him in memory goes with him."""
    with socket.create_connection(address) as client:
        client.sendall(b"GET /pour HTTP/1.1\r\nhost: here\r\n\r\n")
        waited(lambda: house.working == 1)
        waited(lambda: house.working == 0)
    assert house.ended == ["poured"]


@contextmanager
def narrow(address: tuple[str, int], path: str, keeps: int = 65_536) -> Iterator[socket.socket]:
    """A connection on which something was asked, and whose client keeps few bytes unread."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, keeps)
        client.settimeout(10)
        client.connect(address)
        client.sendall(b"GET %s HTTP/1.1\r\nhost: here\r\n\r\n" % path.encode())
        yield client


@pytest.mark.parametrize("path", ["/pour", "/give?bytes=40000000"])
def test_a_slow_line_that_keeps_up_gets_its_answer(house: House, path: str) -> None:
    """However much of it is made ready at once, and whatever the kernel keeps of it."""
    with served(QUICK, house) as address, narrow(address, path) as client:
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
def test_who_reads_byte_by_byte_is_let_go(house: House, size: int) -> None:
    """Also when all of the answer is ready, and little of it."""
    bounds = replace(QUICK, connections=1)
    with (
        served(bounds, house, buffer=4_096) as address,
        narrow(address, f"/give?bytes={size}", keeps=4_096) as client,
    ):
        waited(lambda: client.recv(10) and ask(address) == 503)
        waited(lambda: client.recv(10) and ask(address) == 200)


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
    assert usual.read_bytes / usual.read_seconds <= 1_000
