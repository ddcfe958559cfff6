"""Resumable uploads (tus)."""

from __future__ import annotations

import base64
import hashlib
import random
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from services.ingest.domain import now_utc
from services.ingest.resumable.commands import Resumables
from services.ingest.resumable.domain import Metadata, read_checksum, read_metadata
from services.ingest.resumable.store import uploads
from services.ingest.retention.commands import Cleanup
from services.proxy.proxy import create_app
from services.proxy.settings import OriginSettings
from shared.errors import InvalidRequest
from shared.settings import load
from tests.support.served import served
from tests.unit.ingest.builders import (
    IngestService,
    NewIngest,
    clauses_extracted,
    connected,
    pdf,
)

TUS = {"tus-resumable": "1.0.0"}
BYTES = {"content-type": "application/offset+octet-stream"}


def coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def begin(client: Any, length: int, name: str = "a.txt", **more: str) -> Any:
    metadata = ",".join(f"{k} {coded(v)}" for k, v in {"filename": name, **more}.items())
    headers = {**TUS, "upload-length": str(length), "upload-metadata": metadata}
    return client.post("/v1/uploads", headers=headers)


def started(client: Any, length: int, name: str = "a.txt", **more: str) -> str:
    answer = begin(client, length, name, **more)
    assert answer.status_code == 201, answer.text
    return str(answer.headers["location"])


def send(client: Any, address: str, data: bytes, offset: int, **headers: str) -> Any:
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.patch(
        address, content=data, headers={**TUS, **BYTES, "upload-offset": str(offset), **more}
    )


def wait_until(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)


def offset_of(client: Any, address: str) -> int:
    answer = client.head(address)
    assert answer.status_code == 200, answer.status_code
    return int(answer.headers["upload-offset"])


def cut_off(client: httpx.Client, address: str, data: bytes, offset: int, cut: int) -> None:
    secret = client.headers["authorization"]
    head = (
        f"PATCH {address} HTTP/1.1\r\nhost: localhost\r\nauthorization: {secret}\r\n"
        f"tus-resumable: 1.0.0\r\ncontent-type: {BYTES['content-type']}\r\n"
        f"upload-offset: {offset}\r\ncontent-length: {len(data)}\r\n\r\n"
    )
    with socket.create_connection((client.base_url.host, client.base_url.port)) as connection:
        connection.sendall(head.encode() + data[:cut])
        wait_until(lambda: offset_of(client, address) == offset + cut)
    wait_until(lambda: send(client, address, b"", offset + cut).status_code == 204)


def test_an_upload_broken_off_ten_times_is_one_document(any_ingest: IngestService) -> None:
    data = pdf("A long contract.", "Its second page.") + random.Random(1).randbytes(300_000)
    with connected(any_ingest) as client:
        address = started(client, len(data), "broken.pdf")
        offset, offsets = 0, []
        cuts = [1, 100, 4_095, 65_536, 1, 30_000, 65_537, 7, 20_000, 50_000]
        for cut in cuts:
            cut_off(client, address, data[offset:], offset, cut)
            offset = offset_of(client, address)
            offsets.append(offset)
        assert offsets == sorted(offsets)
        assert offsets[-1] == sum(cuts), "every byte that came counts"
        last = send(client, address, data[offset:], offset)
        assert last.status_code == 204, last.text
        document = last.headers["smallprint-document"]
        assert client.get(f"/v1/documents/{document}/original").content == data
        assert client.get(f"/v1/documents/{document}").json()["name"] == "broken.pdf"
        assert [item["id"] for item in client.get("/v1/documents").json()["items"]] == [document]
    folder = any_ingest.service.settings.blobs / "default" / "uploads"
    assert list(folder.iterdir()) == []


def test_an_upload_through_the_proxy_can_be_resumed(ingest: IngestService) -> None:
    data = b"An agreement that comes in pieces. " * 2000
    with (
        served(ingest.service.app) as url,
        connected(ingest, create_app(load(OriginSettings, ingest_url=url))) as client,
    ):
        address = started(client, len(data))
        cut_off(client, address, data, 0, 10_000)
        cut_off(client, address, data[10_000:], 10_000, 1)
        last = send(client, address, data[10_001:], 10_001)
        document = last.headers["smallprint-document"]
        assert client.get(f"/v1/documents/{document}/original").content == data
        with client.stream("GET", "/v1/documents/events?after=0") as events:
            lines = events.iter_lines()
            assert document in next(line for line in lines if line.startswith("data: "))


def test_two_writers_do_not_mix_bytes(any_ingest: IngestService) -> None:
    data = b"An agreement. " * 1000
    with connected(any_ingest) as client:
        address = started(client, len(data))
        holding, let_go = threading.Event(), threading.Event()

        def slow_hash() -> Iterator[bytes]:
            yield data[:100]
            holding.set()
            let_go.wait(30)
            yield data[100:]

        answers: list[httpx.Response] = []

        def send_slowly() -> None:
            more = {**TUS, **BYTES, "upload-offset": "0", "content-length": str(len(data))}
            answers.append(client.patch(address, content=slow_hash(), headers=more))

        thread = threading.Thread(target=send_slowly)
        thread.start()
        assert holding.wait(30)
        wait_until(lambda: offset_of(client, address) == 100)
        refused = send(client, address, b"x" * 10, 100)
        let_go.set()
        thread.join(60)
        assert refused.status_code == 409
        assert refused.json()["type"].endswith(":upload_busy")
        assert answers[0].status_code == 204
        document = answers[0].headers["smallprint-document"]
        assert client.get(f"/v1/documents/{document}/original").content == data


def test_memory_stays_small(ingest: IngestService) -> None:
    head, piece = pdf(), random.Random(2).randbytes(1 << 20)
    half = len(head) + 12 * len(piece)

    def pieces(first: bytes) -> Iterator[bytes]:
        yield first
        for _ in range(12):
            yield piece

    with connected(ingest) as client:
        address = started(client, half + 12 * len(piece), "large.pdf")
        tracemalloc.start()
        for offset, first in ((0, head), (half, b"")):
            more = {**TUS, **BYTES, "upload-offset": str(offset)}
            answer = client.patch(address, content=pieces(first), headers=more)
            assert answer.status_code == 204, answer.text
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert "smallprint-document" in answer.headers
    assert peak < 8 * (1 << 20), peak


def test_pieces_with_checksums(any_ingest: IngestService) -> None:
    client = any_ingest.client
    data = b"This Agreement is governed by the law of Delaware.\n"
    address = started(client, len(data), "c.txt", kind="contract")
    for algorithm in ("sha1", "sha256"):
        offset = offset_of(client, address)
        piece = data[offset : offset + 10]
        wrong = coded_digest(algorithm, b"something else")
        refused = send(client, address, piece, offset, upload_checksum=f"{algorithm} {wrong}")
        assert refused.status_code == 460
        assert offset_of(client, address) == offset
        right = coded_digest(algorithm, piece)
        stored = send(client, address, piece, offset, upload_checksum=f"{algorithm} {right}")
        assert stored.status_code == 204
        assert stored.headers["upload-offset"] == str(offset + 10)
        assert "smallprint-document" not in stored.headers
    state = client.get(address).json()
    assert (state["offset"], state["length"], state["document"]) == (20, len(data), None)
    last = send(client, address, data[20:], 20)
    document = last.headers["smallprint-document"]
    assert any_ingest.state(document)["kind_source"] == "uploader"
    assert client.get(address).json()["document"] == document
    assert client.head(address).headers["smallprint-document"] == document
    assert send(client, address, b"", len(data)).status_code == 409
    assert any_ingest.upload(data, "again.txt").json()["id"] == document


def coded_digest(algorithm: str, data: bytes) -> str:
    return base64.b64encode(hashlib.new(algorithm, data).digest()).decode()


def test_invalid_requests_leave_the_upload_unchanged(ingest: IngestService) -> None:
    client = ingest.client
    address = started(client, 20)
    assert send(client, address, b"0123456789", 0).status_code == 204
    assert send(client, address, b"x", 0).status_code == 409
    assert send(client, address, b"x", 11).status_code == 409
    assert send(client, address, b"x" * 11, 10).status_code == 413
    wrong_type = client.patch(address, content=b"x", headers={**TUS, "upload-offset": "10"})
    assert wrong_type.status_code == 415
    for version in ({}, {"tus-resumable": "0.2.0"}):
        refused = client.patch(
            address, content=b"x", headers={**BYTES, "upload-offset": "10", **version}
        )
        assert refused.status_code == 412
        assert refused.headers["tus-version"] == "1.0.0"
    assert offset_of(client, address) == 10


def test_limits_are_checked_at_the_beginning(new_ingest: NewIngest) -> None:
    ingest = new_ingest(ingest_max_bytes=1000, ingest_max_partial=1500)
    client = ingest.client
    assert begin(client, 0).status_code == 422
    assert begin(client, 1001).status_code == 413
    first = started(client, 1000)
    refused = begin(client, 501)
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "60"
    assert begin(ingest.client_for("acme"), 1000).status_code == 201
    assert client.delete(first).status_code == 204
    assert client.head(first).status_code == 404
    assert begin(client, 501).status_code == 201
    options = client.options("/v1/uploads")
    assert options.headers["tus-max-size"] == "1000"
    assert options.headers["tus-extension"] == "creation,expiration,checksum,termination"


def test_an_unsupported_type_ends_the_upload(ingest: IngestService) -> None:
    address = started(ingest.client, 36, "a.gif")
    refused = send(ingest.client, address, b"GIF89a" + bytes(30), 0)
    assert refused.status_code == 415
    assert refused.json()["document"] == "a.gif"
    assert ingest.client.head(address).status_code == 404
    assert ingest.blob_names() == set()


def test_another_kind_of_a_document_with_results_ends_the_upload(ingest: IngestService) -> None:
    words = b"This Agreement is governed by the laws of Delaware. " * 5
    document = ingest.read_new(words, "a.txt")
    ingest.publish(clauses_extracted(document))
    address = started(ingest.client, len(words), kind="report")
    answer = send(ingest.client, address, words, 0)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:smallprint:problem:conflict")
    assert document in answer.json()["detail"]
    assert ingest.client.head(address, headers=TUS).status_code == 404


def test_another_tenants_upload_is_not_found(any_ingest: IngestService) -> None:
    address = started(any_ingest.client, 10)
    acme = any_ingest.client_for("acme")
    assert acme.head(address).status_code == 404
    assert send(acme, address, b"x", 0).status_code == 404
    assert acme.delete(address).status_code == 404
    assert offset_of(any_ingest.client, address) == 0


def test_an_unfinished_upload_expires(any_ingest: IngestService) -> None:
    client = any_ingest.client
    remaining, stored = started(client, 10), started(client, 10)
    send(client, remaining, b"01234", 0)
    resumables: Resumables = any_ingest.service.app.state.resumables
    assert resumables.sweep() == 0
    with any_ingest.service.store.write() as session:
        session.execute(update(uploads).values(expires=now_utc() - timedelta(seconds=1)))
    send(client, stored, b"01234", 0)
    stop = threading.Event()
    loop = threading.Thread(target=Cleanup("uploads", resumables.sweep, 0.05).run, args=(stop,))
    loop.start()
    until = time.monotonic() + 30
    while client.head(remaining).status_code != 404 and time.monotonic() < until:
        time.sleep(0.05)
    stop.set()
    loop.join(30)
    assert client.head(remaining).status_code == 404
    assert offset_of(client, stored) == 5
    folder = any_ingest.service.settings.blobs / "default" / "uploads"
    assert [path.name for path in folder.iterdir()] == [stored.rpartition("/")[2]]


def test_a_status_request_finishes_a_complete_upload(any_ingest: IngestService) -> None:
    data = b"An agreement that was nearly lost."
    address = started(any_ingest.client, len(data))
    name = address.rpartition("/")[2]
    path = any_ingest.service.settings.blobs / "default" / "uploads" / name
    path.write_bytes(data)
    looked = any_ingest.client.head(address)
    document = looked.headers["smallprint-document"]
    assert any_ingest.client.get(f"/v1/documents/{document}/original").content == data
    assert not path.exists()
    assert any_ingest.client.head(address).headers["smallprint-document"] == document


def test_without_a_key_no_byte_is_read(ingest: IngestService) -> None:
    stranger = TestClient(ingest.service.app)
    assert begin(stranger, 10).status_code == 401
    address = started(ingest.client, 10)
    assert send(stranger, address, b"0123456789", 0).status_code == 401
    assert offset_of(ingest.client, address) == 0


@pytest.mark.parametrize(
    "header",
    ["filename", "filename $$$", "filename /w==", "a b,a b", "kind " + coded("novel"), "é x"],
)
def test_invalid_metadata_is_refused(header: str) -> None:
    if header == "filename":
        assert read_metadata(header) == Metadata(), "a key may have no value"
        return
    with pytest.raises(InvalidRequest):
        read_metadata(header)


@pytest.mark.parametrize("header", ["", "md5 AAAA", "sha256 AAAA", "sha1 $$"])
def test_invalid_checksums_are_refused(header: str) -> None:
    with pytest.raises(InvalidRequest):
        read_checksum(header)
