"""A large document of one tenant is read beside the small ones of others."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from services.ingest.bootstrap import build
from services.ingest.settings import Settings
from shared.documents import Early, Reading
from shared.documents.sandbox import Reader
from shared.events import DocumentRead
from shared.runtime.main import join, start_background
from shared.settings import load
from tests.unit.ingest.house import House, InProcessReader

LARGE = 2000
SECONDS = 120.0


class SlowReader(InProcessReader):
    """Reads a large document for as long as a test wants."""

    def __init__(self) -> None:
        self.begun, self.let_go = threading.Event(), threading.Event()

    def read(
        self,
        data: bytes,
        *,
        name: str = "",
        password: str | None = None,
        early: Early | None = None,
    ) -> Reading:
        """See DocumentReader."""
        if len(data) >= LARGE:
            self.begun.set()
            assert self.let_go.wait(SECONDS)
        return super().read(data, name=name, password=password, early=early)


def _until_read(client: TestClient, document: str) -> None:
    end = time.monotonic() + SECONDS
    while client.get(f"/v1/documents/{document}").json()["pages"] is None:
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_a_small_document_is_read_while_a_large_one_still_is(tmp_path: Path) -> None:
    """Through the service's own threads; each is announced once in the end."""
    reader, stop = SlowReader(), threading.Event()
    house = House(tmp_path, reader, ingest_large_bytes=LARGE, relay_interval=0.05)
    threads = start_background(house.service, stop)
    try:
        scan = house.accepted(b"Page. " * LARGE, "scan.txt")
        assert reader.begun.wait(SECONDS)
        other = house.client_of("other")
        lease = house.upload(b"This Lease is short.", "lease.txt", other).json()["id"]
        _until_read(other, lease)
        assert house.state(scan)["pages"] is None
        reader.let_go.set()
        _until_read(house.client, scan)
    finally:
        reader.let_go.set()
        stop.set()
        join(threads, SECONDS)
    assert sorted(event.document_id for event in house.said(DocumentRead)) == sorted((lease, scan))
    house.close()


def test_each_of_the_two_has_a_child_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child reads one document at a time, so the small one must not wait for its turn there."""
    asked: list[tuple[Reader, int]] = []

    def read(reader: Reader, data: bytes, *, name: str = "", early: Early | None = None) -> Reading:
        asked.append((reader, len(data)))
        return InProcessReader().read(data, name=name)

    monkeypatch.setattr(Reader, "read", read)
    house = House(tmp_path)
    chosen = load(Settings, data=tmp_path, bus_url="memory:", ingest_large_bytes=LARGE)
    house.service = build(chosen, bus=house.service.bus)
    house.worker.handlers = house.service.handlers
    for size in (10, LARGE, 11):
        house.accepted(b"a" * size, "a.txt")
    house.work()
    by_size = {size: reader for reader, size in asked}
    assert by_size[10] is by_size[11]
    assert by_size[LARGE] is not by_size[10]
    house.close()
