"""Slow requests leave threads for others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.ingest.resumable import api
from shared.documents.sandbox import Reader
from shared.errors import TooManyRequests
from shared.tenancy import current_tenant
from shared.web import admission
from shared.web.admission import ConcurrencyLimit
from tests.support.served import served
from tests.unit.documents import samples
from tests.unit.ingest.builders import IngestService, InProcessReader, NewIngest, encrypted, pdf
from tests.unit.ingest.test_resumable import send, started, wait_until

POOL = 40
"""Threads that answer requests: anyio's default."""
MANY = POOL + 20


class Stuck(InProcessReader):
    def __init__(self) -> None:
        super().__init__()
        self.at_work = threading.Semaphore(0)
        self.go = threading.Event()

    def render(
        self, data: bytes, number: int, *, scale: float = 2.0, password: str | None = None
    ) -> bytes:
        self._wait()
        return super().render(data, number, scale=scale, password=password)

    def decrypt(self, data: bytes, *, password: str | None = None) -> bytes:
        self._wait()
        return super().decrypt(data, password=password)

    def _wait(self) -> None:
        self.at_work.release()
        assert self.go.wait(120)


@contextmanager
def clients_of(ingest: IngestService) -> Iterator[Callable[[str], httpx.Client]]:
    with served(ingest.service.app) as url, ExitStack() as stack:

        def client_for(tenant: str) -> httpx.Client:
            secret = ingest.keys.create(tenant, f"key of {tenant}").secret
            client = httpx.Client(
                base_url=url,
                headers={"authorization": f"Bearer {secret}"},
                timeout=60,
                limits=httpx.Limits(max_connections=2 * MANY),
            )
            return stack.enter_context(client)

        yield client_for
    ingest.close()


def status(client: httpx.Client, path: str) -> int:
    return client.get(path, timeout=20).status_code


@pytest.mark.slow
@pytest.mark.parametrize("waiting", [admission.MAX_WAITING, 2 * POOL], ids=["some", "all threads"])
def test_slow_page_images_leave_threads_for_other_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waiting: int
) -> None:
    monkeypatch.setattr(admission, "MAX_WAITING", waiting)
    reader = Stuck()
    ingest = IngestService(tmp_path, reader, rate_requests=0)
    document = ingest.upload_new(pdf(*["A page."] * MANY))
    with clients_of(ingest) as client_for, ThreadPoolExecutor(MANY) as many:
        one, other = client_for("default"), client_for("acme")
        pages = [f"/v1/documents/{document}/pages/{n}.png" for n in range(1, MANY + 1)]
        requested = [many.submit(one.get, page) for page in pages]
        try:
            assert reader.at_work.acquire(timeout=60)
            places = 2 + waiting - admission.RESERVED
            wait_until(lambda: sum(future.done() for future in requested) == max(0, MANY - places))
            for path in ("/livez", "/readyz", "/metrics", "/v1/keys/self"):
                assert status(other, path) == 200, path
            if waiting < POOL:
                assert status(other, "/v1/documents") == 200
        finally:
            reader.go.set()
        answers = [future.result(60) for future in requested]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert len(refused) == max(0, MANY - places)
    assert {answer.status_code for answer in refused} <= {429}
    assert {answer.headers["retry-after"] for answer in refused} <= {"2"}


def test_few_requests_wait_for_a_busy_upload(
    ingest: IngestService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "WAIT_SECONDS", 60.0)
    let_go, holding = threading.Event(), threading.Event()

    def slow_hash() -> Iterator[bytes]:
        yield b"x" * 10
        holding.set()
        assert let_go.wait(120)
        yield b"x" * 10

    with clients_of(ingest) as client_for, ThreadPoolExecutor(MANY + 1) as many:
        one, other = client_for("default"), client_for("acme")
        address = started(one, 1000)
        headers = {"tus-resumable": "1.0.0", "content-type": "application/offset+octet-stream"}
        headers |= {"upload-offset": "0", "content-length": "20"}
        writer = many.submit(one.patch, address, content=slow_hash(), headers=headers)
        assert holding.wait(60)
        wait_until(lambda: one.head(address).headers["upload-offset"] == "10")
        requested = [many.submit(send, one, address, b"y", 20) for _ in range(MANY)]
        try:
            remaining = api.MAX_WAITING
            wait_until(lambda: sum(future.done() for future in requested) == MANY - remaining)
            assert status(other, "/v1/documents") == 200
        finally:
            let_go.set()
        assert writer.result(60).status_code == 204
        statuses = [future.result(60).status_code for future in requested]
    assert statuses.count(204) == 1, "the first of those that waited"
    assert statuses.count(409) == MANY - 1


def test_slow_passwords_leave_threads_for_other_requests(
    new_ingest: NewIngest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "MAX_WAITING", 2)
    reader = Stuck()
    ingest = new_ingest(reader, ingest_renders=1)
    secret, others = encrypted(pdf(), "open"), ingest.client_for("acme")
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(ingest.upload, secret, password="open")
        assert reader.at_work.acquire(timeout=60)
        refused = ingest.upload(secret, password="open")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "2")
        assert ingest.upload(b"An agreement.", "a.txt").status_code == 202
        second = threads.submit(ingest.upload, secret, client=others, password="open")
        reader.go.set()
        assert (first.result(60).status_code, second.result(60).status_code) == (202, 202)


def test_a_slow_page_delays_no_other_tenant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str | None] = []
    render = Reader.render

    def watched(self: Reader, data: bytes, number: int, *, scale: float) -> bytes:
        drawn.append(current_tenant())
        return render(self, data, number, scale=scale)

    monkeypatch.setattr(Reader, "render", watched)
    ingest = IngestService(tmp_path, children=True, ingest_read_seconds=6)
    with clients_of(ingest) as client_for, ThreadPoolExecutor(3) as threads:
        one, other = client_for("default"), client_for("rivals")
        page = f"/v1/documents/{ingest.upload_new(samples.plain())}/pages/1.png"
        sent = other.post("/v1/documents", files={"file": ("a.pdf", samples.slow_to_draw())})
        hostile = sent.json()["id"]
        slow = [threads.submit(other.get, f"/v1/documents/{hostile}/pages/1.png") for _ in range(3)]
        wait_until(lambda: drawn == ["rivals"])
        assert one.get(page).status_code == 200
        assert not any(future.done() for future in slow)
        problems = [future.result(120).json() for future in slow]
        problems.append(other.get(f"/v1/documents/{hostile}/pages/1.png").json())
    assert drawn == ["rivals", "default"]
    assert {problem["status"] for problem in problems} == {422}
    assert {problem["document"] for problem in problems} == {hostile}
    [detail] = {problem["detail"] for problem in problems}
    assert "longer than 6 seconds" in detail


def test_one_request_of_a_tenant_runs_at_a_time() -> None:
    limit, held = ConcurrencyLimit(2, "tea"), threading.Event()
    begun: list[str] = []

    def wait(tenant: str) -> None:
        with limit.acquire(tenant):
            begun.append(tenant)
            assert held.wait(60)

    with ThreadPoolExecutor(3) as threads:
        waiting = [threads.submit(wait, "a") for _ in range(2)]
        wait_until(lambda: limit._counts["a"] == 2)
        waiting.append(threads.submit(wait, "b"))
        wait_until(lambda: sorted(begun) == ["a", "b"])
        held.set()
    assert [future.result(60) for future in waiting] == [None] * 3
    assert sorted(begun) == ["a", "a", "b"]


def test_slots_are_released_after_errors() -> None:
    some, held = ConcurrencyLimit(1, "tea"), threading.Event()

    def wait(tenant: str) -> Any:
        with some.acquire(tenant):
            return held.wait(60)

    for _ in range(3 * admission.MAX_WAITING):
        with pytest.raises(KeyError), some.acquire("a"):
            raise KeyError
    with ThreadPoolExecutor(20) as threads, some.acquire("a"):
        mine = admission.MAX_WAITING - admission.RESERVED
        waiting = [threads.submit(wait, "a") for _ in range(mine)]
        wait_until(lambda: some._counts["a"] == 1 + mine)
        with pytest.raises(TooManyRequests, match="tea"), some.acquire("a"):
            pass
        waiting += [threads.submit(wait, "b") for _ in range(admission.RESERVED)]
        wait_until(lambda: some._counts.total() == 1 + admission.MAX_WAITING)
        with pytest.raises(TooManyRequests), some.acquire("c"):
            pass
        held.set()
    assert all(future.result(60) for future in waiting)
    assert not some._counts
