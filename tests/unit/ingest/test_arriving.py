"""Uploads that do not end take a bounded part of memory and disk, and leave room to others."""

from __future__ import annotations

import contextlib
import errno
import socket
import tempfile
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.ingest.arriving import Arriving
from services.ingest.uploads import IN_MEMORY
from shared.errors import TooManyRequests, Unavailable
from tests.unit.ingest.house import House
from tests.unit.ingest.test_resumable import Server, wait_until

PART = b'\r\n--B\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'


def arrived(house: House) -> int:
    """Bytes that the process counts."""
    here = house.service.app.state.arriving._here
    return int(here.total())


@contextmanager
def begun(house: House, server: Server, tenant: str, *pieces: bytes) -> Iterator[None]:
    """An upload that stays open behind these bytes, all of which have been counted."""
    secret = house.keys.create(tenant, f"key {arrived(house)}").secret
    head = (
        f"POST /v1/documents HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {secret}\r\n"
        "content-type: multipart/form-data; boundary=B\r\ncontent-length: 90000000\r\n\r\n"
    )
    expected = arrived(house) + sum(map(len, pieces))
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(head.encode())
        for piece in pieces:
            connection.sendall(piece)
        wait_until(lambda: arrived(house) == expected)
        yield


def sent(house: House, server: Server, tenant: str, size: int) -> httpx.Response:
    """The answer to an upload of so many bytes."""
    secret = house.keys.create(tenant, f"sender {arrived(house)} {size}").secret
    return httpx.post(
        f"http://127.0.0.1:{server.port}/v1/documents",
        files={"file": ("a.txt", b"lease " * (size // 6))},
        headers={"authorization": f"Bearer {secret}"},
        timeout=60,
    )


@contextmanager
def served(folder: Path, **settings: Any) -> Iterator[tuple[House, Server]]:
    """A house that really listens."""
    house = House(folder, **settings)
    server = Server(house.service.app)
    yield house, server
    server.stop()
    house.close()


def test_uploads_that_do_not_end_leave_room_to_others(tmp_path: Path) -> None:
    """What is more than may be kept is to come again, and is welcome once another has ended."""
    bounds = {"ingest_max_upload": 100_000_000, "ingest_max_arriving": 200_000_000}
    with served(tmp_path, **bounds) as (house, server):
        arriving = house.service.app.state.arriving
        arriving.most, arriving.share = 400_000, 300_000
        with ExitStack() as open_ones:
            for tenant in ("a", "b"):
                open_ones.enter_context(begun(house, server, tenant, PART, b"x" * 150_000))
            assert sent(house, server, "c", 60_000).status_code == 202
            wait_until(lambda: arrived(house) == 2 * (150_000 + len(PART)))
            refused = sent(house, server, "c", 150_000)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
            assert "SMALLPRINT_INGEST_MAX_ARRIVING" in refused.json()["detail"]
            wait_until(lambda: arrived(house) == 2 * (150_000 + len(PART)))
        wait_until(lambda: not arrived(house))
        assert sent(house, server, "c", 150_000).status_code == 202
        wait_until(lambda: not arrived(house))


def test_a_key_has_a_share(house: House) -> None:
    """What is beyond it is answered 429: another key would be welcome."""
    house.service.app.state.arriving = Arriving(100, 40)
    answer = house.upload(b"x" * 200, "a.txt")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")


def test_what_is_counted() -> None:
    """The share is half, but at least one upload, for which there is always room; what has ended
    is given back, whatever became of it.
    """
    assert (Arriving(10, 8).share, Arriving(10, 4).share, Arriving(2, 8).most) == (8, 5, 8)
    arriving = Arriving(10, 6)
    with arriving.of("a") as mine, arriving.of("a") as mine_too, arriving.of("b") as another:
        mine(4)
        with pytest.raises(TooManyRequests):
            mine_too(3)
        mine_too(2)
        another(4)
        with pytest.raises(Unavailable):
            another(1)
    with contextlib.suppress(KeyError), arriving.of("a") as mine:
        mine(6)
        raise KeyError
    with arriving.of("a") as mine:
        mine(6)
    assert not arriving._here


def test_files_that_are_coming_lie_on_disk(tmp_path: Path) -> None:
    """Thirty of nearly a megabyte each cost little memory before the upload has ended."""
    piece = b"x" * 900_000
    with served(tmp_path) as (house, server):
        tracemalloc.start()
        with begun(house, server, "a", *[PART, piece] * 30):
            now, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert now < 8_000_000, now


def test_a_full_disk_is_said_as_such(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """503, and where to look, as everywhere."""

    def full(*_arguments: object, **_more: object) -> object:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "TemporaryFile", full)
        assert house.upload(b"x" * (IN_MEMORY - 1), "small.txt").status_code == 202
        answer = house.upload(b"x" * 1_500_000, "large.txt")
    assert answer.status_code == 503, answer.text
    assert answer.json()["type"].endswith(":unavailable")
    assert "No space left on device" in answer.json()["detail"]
    assert "TMPDIR" in answer.json()["detail"]
    assert house.upload(b"x" * 1_500_000, "large.txt").status_code == 202
