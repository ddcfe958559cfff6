"""Ingest with SQLite bus, child processes, threads and kill -9."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from services.ingest.bootstrap import build
from services.ingest.settings import Settings
from shared.events import ClausesExtracted, DocumentRead
from shared.messaging import UnitOfWork
from shared.runtime import Service
from shared.runtime.main import join, start_background
from shared.settings import load
from tests.support import ROOT, data_folder
from tests.support.queue import Listener, dead_letters
from tests.unit.ingest.builders import SENTENCE, clauses_extracted, encrypted, pdf

PATIENCE = 300.0


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = build(load(Settings, data=tmp_path, retry_delay=0.1))
    service.store.migrate()
    yield service
    service.close()


@pytest.fixture
def client(service: Service) -> TestClient:
    first = service.app.state.keys.create("default", "first")
    return TestClient(service.app, headers={"authorization": f"Bearer {first.secret}"})


@pytest.fixture
def running(service: Service) -> Iterator[Service]:
    stop = threading.Event()
    threads = start_background(service, stop)
    yield service
    stop.set()
    join(threads)


def upload(client: TestClient, data: bytes, name: str = "a.pdf", **fields: Any) -> str:
    answer = client.post("/v1/documents", files={"file": (name, data)}, data=fields)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def wait(client: TestClient, document: str, *states: str) -> dict[str, Any]:
    until = time.monotonic() + PATIENCE
    while True:
        state: dict[str, Any] = client.get(f"/v1/documents/{document}").json()
        if state["state"] in states:
            return state
        assert time.monotonic() < until, state
        time.sleep(0.1)


def publish_extracted(service: Service, document: str) -> None:
    with UnitOfWork(service.store) as uow:
        uow.publish(clauses_extracted(document))


@pytest.mark.usefixtures("no_engine")  # an empty page fails only where it can't be recognised
def test_valid_and_invalid_documents_end(running: Service, client: TestClient) -> None:
    good = upload(client, pdf(SENTENCE, "Governed by the law of Delaware."))
    half = upload(client, pdf(SENTENCE, ""), "half.pdf")
    bad = upload(client, pdf()[:500] + b"\0" * 20, "cut.pdf")
    locked = upload(client, encrypted(pdf(), "secret"), "locked.pdf")
    opened = upload(
        client,
        encrypted(pdf("This agreement was opened with its password."), "secret"),
        "o.pdf",
        password="secret",
    )
    text = upload(client, "Ein Vertrag über einen Preis in €\r\n".encode(), "v.txt")
    for document in (good, half, opened, text):
        wait(client, document, "processing")
        publish_extracted(running, document)
    ends = {
        document: wait(client, document, "ended")["outcome"]
        for document in (good, half, bad, locked, opened, text)
    }
    wanted = ["complete", "partial", "failed", "failed", "complete", "complete"]
    assert list(ends.values()) == wanted
    assert (
        client.get(f"/v1/documents/{text}/text").content
        == "Ein Vertrag über einen Preis in €\r\n".encode()
    )
    assert SENTENCE in client.get(f"/v1/documents/{good}/text").text
    page = client.get(f"/v1/documents/{good}/pages/2.png")
    assert page.content.startswith(b"\x89PNG")
    assert client.get(f"/v1/documents/{good}/pages/3.png").status_code == 404
    assert dead_letters(running) == []


@pytest.mark.slow
def test_a_killed_worker_loses_no_document(
    service: Service, client: TestClient, tmp_path: Path
) -> None:
    chance = random.Random(7)
    documents = [
        upload(client, pdf(f"This is agreement number {n} of twelve."), f"{n}.pdf")
        for n in range(12)
    ]
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("SMALLPRINT_")},
        "SMALLPRINT_DATA": str(tmp_path),
        "SMALLPRINT_BUS_LEASE": "2",
        "SMALLPRINT_CRASHES": "50",
        "PYTHONPATH": str(ROOT),
    }
    stop = threading.Event()
    threads = start_background(service, stop, worker=False)
    for _ in range(5):
        with subprocess.Popen(
            [sys.executable, "-m", "services.ingest", "worker"],
            env=environment,
            stderr=subprocess.DEVNULL,
        ) as process:
            time.sleep(chance.uniform(1.5, 6.0))
            process.send_signal(signal.SIGKILL)
    threads += start_background(service, stop, relay=False)
    for document in documents:
        state = wait(client, document, "processing", "ended")
        assert (state["state"], state["pages"]) == ("processing", 1), state
    stop.set()
    join(threads)
    events = list(Listener(service.bus).events())
    assert not any(isinstance(event, ClausesExtracted) for event in events)
    read = [event.document_id for event in events if isinstance(event, DocumentRead)]
    assert sorted(read) == sorted(documents)


@pytest.mark.slow
def test_a_killed_reader_loses_no_page(running: Service, client: TestClient) -> None:
    document = upload(client, long_agreement())
    killed = 0
    until = time.monotonic() + PATIENCE
    while not killed:
        assert time.monotonic() < until
        time.sleep(0.05)
        for child in children_at_work():
            os.kill(child, signal.SIGKILL)
            killed += 1
    state = wait(client, document, "processing", "ended")
    assert (state["state"], state["pages"], state["failed_pages"]) == ("processing", 1200, [])


@pytest.mark.slow
def test_stopping_during_reading_fails_no_document(
    service: Service, client: TestClient, tmp_path: Path
) -> None:
    document = upload(client, long_agreement())
    stop = threading.Event()
    threads = start_background(service, stop)
    until = time.monotonic() + PATIENCE
    while not children_at_work():
        assert time.monotonic() < until
        time.sleep(0.05)
    service.close_parts()
    stop.set()
    join(threads)
    assert client.get(f"/v1/documents/{document}").json()["state"] == "received"
    successor = build(load(Settings, data=tmp_path, bus_lease=2))
    stop = threading.Event()
    threads = start_background(successor, stop)
    assert wait(client, document, "processing", "ended")["state"] == "processing"
    stop.set()
    join(threads)
    successor.close()


def long_agreement() -> bytes:
    return pdf(*[f"Page {n} of a long agreement between two parties. " * 50 for n in range(1200)])


def children_at_work() -> list[int]:
    every = [
        int(child)
        for task in Path("/proc/self/task").iterdir()
        for child in (task / "children").read_text().split()
    ]
    return [child for child in every if seconds_of(child) > 0.8]


def seconds_of(process: int) -> float:
    try:
        after_name = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.slow
@pytest.mark.needs("real data")
def test_real_contracts_are_read(running: Service, client: TestClient) -> None:
    folder = data_folder("legal")
    every = sorted(folder.rglob("*.pdf"))
    assert len(every) >= 20, f"few PDFs below {folder}"
    for path in random.Random(11).sample(every, 5):
        document = upload(client, path.read_bytes(), path.name)
        state = wait(client, document, "processing", "ended")
        assert state["state"] == "processing", (path.name, state["reasons"])
        assert state["pages"] >= 1
        text = client.get(f"/v1/documents/{document}/text").text
        assert len(text) > 500, path.name
