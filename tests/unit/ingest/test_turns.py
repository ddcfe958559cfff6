"""What waits for its turn does not take the threads that everybody's requests need."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.ingest import turns
from services.ingest.resumable import api
from services.ingest.turns import Turns
from shared.errors import TooManyRequests
from tests.unit.ingest.house import House, InProcessReader, encrypted, pdf
from tests.unit.ingest.test_resumable import Server, begun, send, wait_until

POOL = 40
"""Threads that answer requests: anyio's default."""
MANY = POOL + 20


class Stuck(InProcessReader):
    """A reader that draws and decrypts nothing until it is let go."""

    def __init__(self) -> None:
        self.at_work = threading.Semaphore(0)
        self.go = threading.Event()

    def render(
        self, data: bytes, number: int, *, scale: float = 2.0, password: str | None = None
    ) -> bytes:
        """See DocumentReader."""
        self._wait()
        return super().render(data, number, scale=scale, password=password)

    def decrypt(self, data: bytes, *, password: str | None = None) -> bytes:
        """See DocumentReader."""
        self._wait()
        return super().decrypt(data, password=password)

    def _wait(self) -> None:
        self.at_work.release()
        assert self.go.wait(120)


@contextmanager
def served(house: House) -> Iterator[Callable[[str], httpx.Client]]:
    """The house, really listening; makes clients of tenants."""
    server = Server(house.service.app)
    clients: list[httpx.Client] = []

    def client_of(tenant: str) -> httpx.Client:
        secret = house.keys.create(tenant, f"key {len(clients)}").secret
        client = httpx.Client(
            base_url=f"http://127.0.0.1:{server.port}",
            headers={"authorization": f"Bearer {secret}"},
            timeout=60,
            limits=httpx.Limits(max_connections=2 * MANY),
        )
        clients.append(client)
        return client

    yield client_of
    for client in clients:
        client.close()
    server.stop()
    house.close()


def status(client: httpx.Client, path: str) -> int:
    """What is answered, soon."""
    return client.get(path, timeout=20).status_code


@pytest.mark.parametrize("waiting", [turns.WAITING, 2 * POOL], ids=["some", "all threads"])
def test_pages_that_are_drawn_slowly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waiting: int
) -> None:
    """Probes, and whose a key is, are answered while one key asks for many pages; so is everything
    else, for only a few of them wait, and the others are told when to come again. All of a
    tenant's wait together leave some room to another.
    """
    monkeypatch.setattr(turns, "WAITING", waiting)
    reader = Stuck()
    house = House(tmp_path, reader, rate_requests=0)
    document = house.accepted(pdf(*["A page."] * MANY))
    with served(house) as client_of, ThreadPoolExecutor(MANY) as many:
        one, other = client_of("default"), client_of("acme")
        pages = [f"/v1/documents/{document}/pages/{n}.png" for n in range(1, MANY + 1)]
        asked = [many.submit(one.get, page) for page in pages]
        try:
            assert reader.at_work.acquire(timeout=60)
            assert reader.at_work.acquire(timeout=60)
            places = 2 + waiting - turns.OTHERS
            wait_until(lambda: sum(future.done() for future in asked) == max(0, MANY - places))
            for path in ("/livez", "/readyz", "/metrics", "/v1/keys/self"):
                assert status(other, path) == 200, path
            if waiting < POOL:
                assert status(other, "/v1/documents") == 200
        finally:
            reader.go.set()
        answers = [future.result(60) for future in asked]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert len(refused) == max(0, MANY - places)
    assert {answer.status_code for answer in refused} <= {429}
    assert {answer.headers["retry-after"] for answer in refused} <= {"2"}


def test_requests_for_an_upload_that_another_one_writes_to(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few wait for it, without a thread, and the others are answered at once."""
    monkeypatch.setattr(api, "PATIENCE", 60.0)
    let_go, holding = threading.Event(), threading.Event()

    def slowly() -> Iterator[bytes]:
        yield b"x" * 10
        holding.set()
        assert let_go.wait(120)
        yield b"x" * 10

    with served(house) as client_of, ThreadPoolExecutor(MANY + 1) as many:
        one, other = client_of("default"), client_of("acme")
        address = begun(one, 1000)
        headers = {"tus-resumable": "1.0.0", "content-type": "application/offset+octet-stream"}
        headers |= {"upload-offset": "0", "content-length": "20"}
        writer = many.submit(one.patch, address, content=slowly(), headers=headers)
        assert holding.wait(60)
        wait_until(lambda: one.head(address).headers["upload-offset"] == "10")
        asked = [many.submit(send, one, address, b"y", 20) for _ in range(MANY)]
        try:
            left = api.MOST_WAITING
            wait_until(lambda: sum(future.done() for future in asked) == MANY - left)
            assert status(other, "/v1/documents") == 200
        finally:
            let_go.set()
        assert writer.result(60).status_code == 204
        statuses = [future.result(60).status_code for future in asked]
    assert statuses.count(204) == 1, "the first of those that waited"
    assert statuses.count(409) == MANY - 1


def test_passwords_that_are_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those, too, only some wait; what needs no turn is taken in meanwhile."""
    monkeypatch.setattr(turns, "WAITING", 2)
    reader = Stuck()
    house = House(tmp_path, reader, ingest_renders=1)
    secret, others = encrypted(pdf(), "open"), house.client_of("acme")
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(house.upload, secret, password="open")
        assert reader.at_work.acquire(timeout=60)
        refused = house.upload(secret, password="open")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "2")
        assert house.upload(b"An agreement.", "a.txt").status_code == 202
        second = threads.submit(house.upload, secret, client=others, password="open")
        reader.go.set()
        assert (first.result(60).status_code, second.result(60).status_code) == (202, 202)
    house.close()


def test_a_place_is_given_back_whatever_happens() -> None:
    """Also after an error in the block; a tenant that is refused takes none."""
    some, held = Turns(1, "tea"), threading.Event()

    def wait(tenant: str) -> Any:
        with some.taken(tenant):
            return held.wait(60)

    for _ in range(3 * turns.WAITING):
        with pytest.raises(KeyError), some.taken("a"):
            raise KeyError
    with ThreadPoolExecutor(20) as threads, some.taken("a"):
        mine = turns.WAITING - turns.OTHERS
        waiting = [threads.submit(wait, "a") for _ in range(mine)]
        wait_until(lambda: some._here["a"] == 1 + mine)
        with pytest.raises(TooManyRequests, match="tea"), some.taken("a"):
            pass
        waiting += [threads.submit(wait, "b") for _ in range(turns.OTHERS)]
        wait_until(lambda: some._here.total() == 1 + turns.WAITING)
        with pytest.raises(TooManyRequests), some.taken("c"):
            pass
        held.set()
    assert all(future.result(60) for future in waiting)
    assert not some._here
