"""Webhooks with threads, killed processes, fifty receivers and the client."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import smallprint
from fastapi.testclient import TestClient
from standardwebhooks import Webhook

from services.ingest.bootstrap import build
from services.ingest.settings import Settings
from shared.messaging import UnitOfWork
from shared.runtime import Service
from shared.runtime.main import join, start_background
from shared.settings import PREFIX, load
from tests.support import ROOT
from tests.support.embedded import Embedded
from tests.support.local_server import Receiver, Reply, Request
from tests.support.samples import contract, report
from tests.support.served import served
from tests.unit.ingest.builders import clauses_extracted

PATIENCE = 300.0
QUICK: dict[str, Any] = {
    "ingest_webhook_networks": "127.0.0.0/8",
    "ingest_webhook_http": True,
    "ingest_webhook_retries": "0.2,0.2,0.4,0.4,0.8,0.8,1,1,1,1,1,1,1,1,1,1",
    "ingest_webhook_rest": 0.0001,
    "ingest_webhook_seconds": 0.5,
    "ingest_webhook_interval": 0.05,
}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = build(load(Settings, data=tmp_path, retry_delay=0.1, **QUICK))
    service.store.migrate()
    yield service
    service.close()


@pytest.fixture
def api(service: Service) -> TestClient:
    first = service.app.state.keys.create("default", "first")
    return TestClient(service.app, headers={"authorization": f"Bearer {first.secret}"})


@contextmanager
def at_work(service: Service, **parts: Any) -> Iterator[None]:
    stop = threading.Event()
    threads = start_background(service, stop, **parts)
    try:
        yield
    finally:
        stop.set()
        service.store.outbox_filled.set()
        join(threads)


def register(api: TestClient, url: str, *types: str) -> dict[str, Any]:
    answer = api.post("/v1/webhooks", json={"url": url, "types": list(types)})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def upload(api: TestClient, number: int, kind: str) -> str:
    files = {"file": (f"{number}.txt", f"Document number {number}.".encode())}
    answer = api.post("/v1/documents", files=files, data={"kind": kind})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def ask(api: TestClient, path: str, params: Mapping[str, Any] | None = None) -> Any:
    while (answer := api.get(path, params=params)).status_code == 429:
        time.sleep(float(answer.headers["retry-after"]))
    assert answer.status_code == 200, answer.text
    return answer.json()


def log(api: TestClient, webhook: str, **filters: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        params = {**filters, "limit": 100} | ({"cursor": cursor} if cursor else {})
        page = ask(api, f"/v1/webhooks/{webhook}/deliveries", params)
        found += page["items"]
        cursor = page["next"]
        if cursor is None:
            return found


def wait_until(true: Callable[[], bool], what: Callable[[], object] = lambda: "") -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, f"waited in vain: {what()}"
        time.sleep(0.1)


def publish_extracted(service: Service, *documents: str) -> None:
    with UnitOfWork(service.store) as uow:
        for document in documents:
            uow.publish(clauses_extracted(document))


@pytest.mark.slow
def test_a_repeatedly_killed_worker_loses_no_message(
    service: Service, api: TestClient, tmp_path: Path
) -> None:
    worker = _Worker(tmp_path)
    kills = threading.Semaphore(6)
    chance = random.Random(5)

    def answer(_request: Request) -> Reply:
        if chance.random() < 0.2 and kills.acquire(blocking=False):
            worker.kill()
        return Reply()

    with Receiver(answer) as receiver, worker, at_work(service, worker=False):
        hooks = [register(api, receiver.url(f"/{n}"))["id"] for n in range(5)]
        poems = [upload(api, n, "other") for n in range(20)]
        contracts = [upload(api, n, "contract") for n in range(100, 105)]
        extracted: set[str] = set()

        def all_there() -> bool:
            worker.keep()
            for document in set(contracts) - extracted:
                if _state(api, document) == "processing":
                    publish_extracted(service, document)
                    extracted.add(document)
            done = [len(log(api, h, state="delivered")) for h in hooks]
            return done == [len(poems) + 2 * len(contracts)] * 5

        wait_until(all_there, lambda: [Counter(d["state"] for d in log(api, h)) for h in hooks])
    assert worker.killed == 6
    for n, webhook in enumerate(hooks):
        kept = {delivery["message_id"] for delivery in log(api, webhook)}
        assert len(log(api, webhook)) == len(kept) == 30
        assert set(receiver.ids(f"/{n}")) == kept
    arrived = Counter(receiver.ids())
    again = sum(arrived.values()) - 5 * 30
    assert 0 <= again <= 6 * 16, again


@pytest.mark.slow
def test_the_client_manages_webhooks(service: Service) -> None:
    first = service.app.state.keys.create("default", "first")
    broken = threading.Event()
    with (
        Receiver(lambda _: Reply(404 if broken.is_set() else 200, body=b"hello")) as receiver,
        at_work(service),
        served(service.app) as url,
        smallprint.Client(url, first.secret) as client,
    ):
        since = datetime.now(UTC) - timedelta(seconds=1)
        hook = client.create_webhook(receiver.url(), ["document.ended"], description="Ours")
        assert hook.secret
        assert hook.types == ("document.ended",)
        tested = client.test_webhook(hook.id)
        wait_until(lambda: client.delivery(hook.id, tested.id).state == "delivered")
        (attempt,) = client.delivery(hook.id, tested.id).attempts
        assert (attempt.status, attempt.error, attempt.excerpt) == (200, None, "hello")
        broken.set()
        document = client.upload(b"A poem.", name="poem.txt", kind="other")
        wait_until(lambda: bool(list(client.deliveries(hook.id, state="failed"))))
        (failed,) = client.deliveries(hook.id, state="failed")
        assert (failed.document_id, len(failed.attempts)) == (document.id, 17)
        broken.clear()
        rotated = client.rotate_webhook_secret(hook.id)
        assert client.redeliver_failed(hook.id, since) == 1
        wait_until(lambda: client.delivery(hook.id, failed.id).state == "delivered")
        request = receiver.requests[-1]
        for secret in (hook.secret, rotated.secret):
            assert Webhook(str(secret)).verify(request.body, request.headers)["type"] == (
                "document.ended"
            )
        assert client.redeliver(hook.id, failed.id).state == "pending"
        assert client.change_webhook(hook.id, enabled=False).disabled_reason
        with pytest.raises(smallprint.Conflict):
            client.test_webhook(hook.id)
        with pytest.raises(smallprint.Refused, match="not public"):
            client.create_webhook("https://10.0.0.1/")
        assert [found.id for found in client.webhooks()] == [hook.id]
        assert client.webhook(hook.id).secret is None
        client.delete_webhook(hook.id)
        with pytest.raises(smallprint.NotFound):
            client.webhook(hook.id)


@pytest.mark.slow
def test_the_embedded_edition_sends_every_message(tmp_path: Path) -> None:
    names = {f"{PREFIX}{name.upper()}": str(value) for name, value in QUICK.items()}
    suite = Embedded(tmp_path, **names)
    with Receiver() as receiver:
        line = suite.start()
        try:
            with smallprint.Client(line["url"], line["key"]) as client:
                hook = client.create_webhook(receiver.url())
                paper = client.upload(contract(1), name="a.txt")
                client.upload(report(), name="b.json")
                assert client.wait(paper.id).outcome == "complete"
                suite.end(signal.SIGKILL)
                suite.start()
                wait_until(lambda: any(True for _ in client.items(document=paper.id)))
                item = client.claim(document=paper.id)
                assert item is not None
                client.decide(item.id, "accept")
                wait_until(  # a decision about a deleted document would not be sent
                    lambda: any(d.type == "review.decided" for d in client.deliveries(hook.id))
                )
                client.delete(paper.id)
                wanted = {
                    *("clauses.extracted", "findings.found", "document.ended"),
                    *("review.decided", "document.deleted"),
                }
                wait_until(
                    lambda: (
                        {d.type for d in client.deliveries(hook.id, state="delivered")} == wanted
                    ),
                    lambda: [(d.type, d.state) for d in client.deliveries(hook.id)],
                )
                kept = {d.message_id: d.type for d in client.deliveries(hook.id)}
        finally:
            suite.end()
    assert sorted(kept.values()) == sorted([*wanted, "document.ended"])
    assert set(receiver.ids()) == set(kept)
    for request in receiver.requests:
        assert hook.secret
        body = Webhook(hook.secret).verify(request.body, request.headers)
        assert body == json.loads(request.body)
        assert body["type"] == kept[request.headers["webhook-id"]]


class _Worker:
    def __init__(self, folder: Path) -> None:
        others = {k: v for k, v in os.environ.items() if not k.startswith(PREFIX)}
        names = {f"{PREFIX}{name.upper()}": str(value) for name, value in QUICK.items()}
        self._env = {**others, **names, f"{PREFIX}DATA": str(folder)}
        self._log = folder / "worker.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.killed = 0

    def __enter__(self) -> _Worker:
        self.keep()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(PATIENCE)

    def keep(self) -> None:
        if self._process and self._process.poll() is None:
            return
        with self._log.open("ab") as written:
            command = [sys.executable, "-m", "services.ingest", "worker"]
            self._process = subprocess.Popen(command, cwd=ROOT, env=self._env, stderr=written)

    def kill(self) -> None:
        assert self._process is not None
        with suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGKILL)
            self.killed += 1


def _state(api: TestClient, document: str) -> str:
    return str(ask(api, f"/v1/documents/{document}")["state"])
