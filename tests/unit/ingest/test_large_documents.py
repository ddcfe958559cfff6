"""Large documents are read beside small ones."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from services.ingest.bootstrap import build
from services.ingest.settings import Settings
from shared.documents import PageCallback, ParsedDocument
from shared.documents.sandbox import Reader
from shared.events import DocumentRead
from shared.runtime.main import join, start_background
from shared.settings import load
from tests.support.queue import HandWorker
from tests.unit.documents.archives import archive
from tests.unit.ingest.builders import IngestService, InProcessReader, NewIngest

LARGE = 2000
SECONDS = 120.0


def _until_read(client: TestClient, document: str) -> None:
    end = time.monotonic() + SECONDS
    while client.get(f"/v1/documents/{document}").json()["pages"] is None:
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_a_small_document_is_read_beside_a_large_one(new_ingest: NewIngest) -> None:
    started, let_go, stop = threading.Event(), threading.Event(), threading.Event()

    def slow(data: bytes) -> bytes:
        if len(data) >= LARGE:
            started.set()
            assert let_go.wait(SECONDS)
        return data

    reader = InProcessReader()
    reader.before = slow
    ingest = new_ingest(reader, ingest_large_bytes=LARGE, relay_interval=0.05)
    threads = start_background(ingest.service, stop)
    try:
        scan = ingest.upload_new(b"Page. " * LARGE, "scan.txt")
        assert started.wait(SECONDS)
        other = ingest.client_for("other")
        lease = ingest.upload(b"This Lease is short.", "lease.txt", other).json()["id"]
        _until_read(other, lease)
        assert ingest.state(scan)["pages"] is None
        let_go.set()
        _until_read(ingest.client, scan)
    finally:
        let_go.set()
        stop.set()
        join(threads, SECONDS)
    assert sorted(event.document_id for event in ingest.published(DocumentRead)) == sorted(
        (lease, scan)
    )


def test_large_and_small_documents_have_separate_child_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requested: list[tuple[Reader, int]] = []

    def read(
        reader: Reader, data: bytes, *, name: str = "", on_page: PageCallback | None = None
    ) -> ParsedDocument:
        requested.append((reader, len(data)))
        return InProcessReader().read(data, name=name)

    monkeypatch.setattr(Reader, "read", read)
    ingest = IngestService(tmp_path)
    chosen = load(Settings, data=tmp_path, bus_url="memory:", ingest_large_bytes=LARGE)
    ingest.service = build(chosen, bus=ingest.service.bus)
    ingest.worker = HandWorker.of(ingest.service)
    for size in (10, LARGE, 11):
        ingest.upload_new(b"a" * size, "a.txt")
    packed = {sheets: archive({"sheet.csv": b"a,1\n" * LARGE * sheets}) for sheets in (1, 5)}
    assert all(len(data) < LARGE for data in packed.values())
    for data in packed.values():
        ingest.upload_new(data, "sheets.zip")
    ingest.run()
    by_size = {size: reader for reader, size in requested}
    small, large = by_size[10], by_size[LARGE]
    assert small is not large
    assert by_size[11] is small
    assert by_size[len(packed[1])] is small
    assert by_size[len(packed[5])] is large
    ingest.close()
