"""Unfinished uploads have a limit of memory and disk."""

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

from services.ingest.uploads.multipart import IN_MEMORY
from shared.errors import TooManyRequests, Unavailable
from shared.web.admission import ByteBudget
from tests.support.served import served
from tests.unit.ingest.builders import IngestService
from tests.unit.ingest.test_resumable import wait_until

PART = b'\r\n--B\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'


def arrived(ingest: IngestService) -> int:
    here = ingest.service.app.state.upload_bytes._counts
    return int(here.total())


@contextmanager
def started(ingest: IngestService, url: str, tenant: str, *pieces: bytes) -> Iterator[None]:
    secret = ingest.keys.create(tenant, f"key {arrived(ingest)}").secret
    head = (
        f"POST /v1/documents HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {secret}\r\n"
        "content-type: multipart/form-data; boundary=B\r\ncontent-length: 90000000\r\n\r\n"
    )
    expected = arrived(ingest) + sum(map(len, pieces))
    with socket.create_connection((httpx.URL(url).host, httpx.URL(url).port)) as connection:
        connection.sendall(head.encode())
        for piece in pieces:
            connection.sendall(piece)
        wait_until(lambda: arrived(ingest) == expected)
        yield


def sent(ingest: IngestService, url: str, tenant: str, size: int) -> httpx.Response:
    secret = ingest.keys.create(tenant, f"sender {arrived(ingest)} {size}").secret
    return httpx.post(
        f"{url}/v1/documents",
        files={"file": ("a.txt", b"lease " * (size // 6))},
        headers={"authorization": f"Bearer {secret}"},
        timeout=60,
    )


@contextmanager
def ingest_at(folder: Path, **settings: Any) -> Iterator[tuple[IngestService, str]]:
    ingest = IngestService(folder, **settings)
    with served(ingest.service.app) as url:
        yield ingest, url
    ingest.close()


def test_unfinished_uploads_leave_room_for_others(tmp_path: Path) -> None:
    bounds = {"ingest_max_upload": 100_000_000, "ingest_max_arriving": 200_000_000}
    with ingest_at(tmp_path, **bounds) as (ingest, url):
        budget = ingest.service.app.state.upload_bytes
        budget.total, budget.per_key = 400_000, 300_000
        with ExitStack() as open_ones:
            for tenant in ("a", "b"):
                open_ones.enter_context(started(ingest, url, tenant, PART, b"x" * 150_000))
            assert sent(ingest, url, "c", 60_000).status_code == 202
            wait_until(lambda: arrived(ingest) == 2 * (150_000 + len(PART)))
            refused = sent(ingest, url, "c", 150_000)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
            assert "SMALLPRINT_INGEST_MAX_ARRIVING" in refused.json()["detail"]
            wait_until(lambda: arrived(ingest) == 2 * (150_000 + len(PART)))
        wait_until(lambda: not arrived(ingest))
        assert sent(ingest, url, "c", 150_000).status_code == 202
        wait_until(lambda: not arrived(ingest))


def test_a_key_above_its_share_is_refused(ingest: IngestService) -> None:
    ingest.service.app.state.upload_bytes = ByteBudget(100, 40)
    answer = ingest.upload(b"x" * 200, "a.txt")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")


def test_shares_and_released_bytes() -> None:
    assert (ByteBudget(10, 8).per_key, ByteBudget(10, 4).per_key, ByteBudget(2, 8).total) == (
        8,
        5,
        8,
    )
    budget = ByteBudget(10, 6)
    with (
        budget.reserve("a") as mine,
        budget.reserve("a") as mine_too,
        budget.reserve("b") as another,
    ):
        mine(4)
        with pytest.raises(TooManyRequests):
            mine_too(3)
        mine_too(2)
        another(4)
        with pytest.raises(Unavailable):
            another(1)
    with contextlib.suppress(KeyError), budget.reserve("a") as mine:
        mine(6)
        raise KeyError
    with budget.reserve("a") as mine:
        mine(6)
    assert not budget._counts


def test_arriving_files_are_spooled_to_disk(tmp_path: Path) -> None:
    piece = b"x" * 900_000
    with ingest_at(tmp_path) as (ingest, url):
        tracemalloc.start()
        with started(ingest, url, "a", *[PART, piece] * 30):
            now, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert now < 8_000_000, now


def test_a_full_disk_is_unavailable(ingest: IngestService, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object, **_more: object) -> object:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "TemporaryFile", full)
        assert ingest.upload(b"x" * (IN_MEMORY - 1), "small.txt").status_code == 202
        answer = ingest.upload(b"x" * 1_500_000, "large.txt")
    assert answer.status_code == 503, answer.text
    assert answer.json()["type"].endswith(":unavailable")
    assert "No space left on device" in answer.json()["detail"]
    assert "TMPDIR" in answer.json()["detail"]
    assert ingest.upload(b"x" * 1_500_000, "large.txt").status_code == 202
