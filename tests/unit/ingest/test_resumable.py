"""Uploads that go on where they broke off (tus), over a real server where it counts."""

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
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi.testclient import TestClient
from sqlalchemy import update

from infra.origin import OriginSettings, create_app
from infra.ports import free_port
from services.ingest.domain import now_utc
from services.ingest.resumable.commands import Resumables, Sweeper
from services.ingest.resumable.domain import Metadata, read_checksum, read_metadata
from services.ingest.resumable.store import uploads
from shared.errors import InvalidRequest
from shared.settings import load
from tests.unit.ingest.house import House, pdf

TUS = {"tus-resumable": "1.0.0"}
BYTES = {"content-type": "application/offset+octet-stream"}


def coded(text: str) -> str:
    """A value of the protocol's metadata."""
    return base64.b64encode(text.encode()).decode()


def begin(client: Any, length: int, name: str = "a.txt", **more: str) -> Any:
    """Begin an upload."""
    metadata = ",".join(f"{k} {coded(v)}" for k, v in {"filename": name, **more}.items())
    headers = {**TUS, "upload-length": str(length), "upload-metadata": metadata}
    return client.post("/v1/uploads", headers=headers)


def begun(client: Any, length: int, name: str = "a.txt", **more: str) -> str:
    """The address of an upload that was begun."""
    answer = begin(client, length, name, **more)
    assert answer.status_code == 201, answer.text
    return str(answer.headers["location"])


def send(client: Any, address: str, data: bytes, offset: int, **headers: str) -> Any:
    """Some of its bytes."""
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.patch(
        address, content=data, headers={**TUS, **BYTES, "upload-offset": str(offset), **more}
    )


def wait_until(true: Callable[[], bool]) -> None:
    """Until something has happened elsewhere."""
    until = time.monotonic() + 60
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)


def offset_of(client: Any, address: str) -> int:
    """How far it is."""
    answer = client.head(address)
    assert answer.status_code == 200, answer.status_code
    return int(answer.headers["upload-offset"])


class Server:
    """An application on a port of loopback, in a thread."""

    def __init__(self, app: Any) -> None:
        self.port = free_port()
        config = uvicorn.Config(app, port=self.port, log_level="error")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)

    def stop(self) -> None:
        """End at once."""
        self.server.should_exit = True
        self.server.force_exit = True
        self.thread.join(10)


@pytest.fixture
def server(any_house: House) -> Iterator[Server]:
    """The house, really listening."""
    server = Server(any_house.service.app)
    yield server
    server.stop()


def cut_off(
    server: Server, client: httpx.Client, address: str, data: bytes, offset: int, cut: int
) -> None:
    """A request that announces all of `data` and breaks off once `cut` bytes of it have come."""
    secret = client.headers["authorization"]
    head = (
        f"PATCH {address} HTTP/1.1\r\nhost: x\r\nauthorization: {secret}\r\n"
        f"tus-resumable: 1.0.0\r\ncontent-type: {BYTES['content-type']}\r\n"
        f"upload-offset: {offset}\r\ncontent-length: {len(data)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(head.encode() + data[:cut])
        wait_until(lambda: offset_of(client, address) == offset + cut)
    wait_until(lambda: send(client, address, b"", offset + cut).status_code == 204)


def test_broken_off_at_ten_points_it_is_one_document(any_house: House, server: Server) -> None:
    """Each time the upload goes on behind the last byte that came, and the document is whole."""
    data = pdf("A long contract.", "Its second page.") + random.Random(1).randbytes(300_000)
    secret = any_house.keys.create("default", "breaker").secret
    headers = {"authorization": f"Bearer {secret}"}
    with httpx.Client(
        base_url=f"http://127.0.0.1:{server.port}", headers=headers, timeout=60
    ) as client:
        address = begun(client, len(data), "broken.pdf")
        offset, offsets = 0, []
        cuts = [1, 100, 4_095, 65_536, 1, 30_000, 65_537, 7, 20_000, 50_000]
        for cut in cuts:
            cut_off(server, client, address, data[offset:], offset, cut)
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
    folder = any_house.service.settings.blobs / "default" / "uploads"
    assert list(folder.iterdir()) == []


def test_through_the_origin_it_is_the_same(house: House) -> None:
    """The proxy of separate processes passes on what came before a break, and streams of events."""
    server = Server(house.service.app)
    origin = Server(create_app(load(OriginSettings, ingest_url=f"http://127.0.0.1:{server.port}")))
    data = b"An agreement that comes in pieces. " * 2000
    headers = {"authorization": f"Bearer {house.keys.create('default', 'far').secret}"}
    try:
        with httpx.Client(
            base_url=f"http://127.0.0.1:{origin.port}", headers=headers, timeout=60
        ) as client:
            address = begun(client, len(data))
            cut_off(origin, client, address, data, 0, 10_000)
            cut_off(origin, client, address, data[10_000:], 10_000, 1)
            last = send(client, address, data[10_001:], 10_001)
            document = last.headers["smallprint-document"]
            assert client.get(f"/v1/documents/{document}/original").content == data
            with client.stream("GET", "/v1/documents/events?after=0") as events:
                lines = events.iter_lines()
                told = next(line for line in lines if line.startswith("data: "))
                assert document in told
    finally:
        origin.stop()
        server.stop()


def test_two_writers_do_not_mix(any_house: House, server: Server) -> None:
    """While one request writes, another one is sent away; the first one's bytes are untouched."""
    data = b"An agreement. " * 1000
    secret = any_house.keys.create("default", "writer").secret
    headers = {"authorization": f"Bearer {secret}"}
    with httpx.Client(
        base_url=f"http://127.0.0.1:{server.port}", headers=headers, timeout=60
    ) as client:
        address = begun(client, len(data))
        holding, let_go = threading.Event(), threading.Event()

        def slowly() -> Iterator[bytes]:
            yield data[:100]
            holding.set()
            let_go.wait(30)
            yield data[100:]

        answers: list[httpx.Response] = []

        def send_slowly() -> None:
            more = {**TUS, **BYTES, "upload-offset": "0", "content-length": str(len(data))}
            answers.append(client.patch(address, content=slowly(), headers=more))

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


def test_memory_stays_small(house: House) -> None:
    """A PDF of 24 MB in two requests costs a small part of that in memory."""
    server = Server(house.service.app)
    secret = house.keys.create("default", "large").secret
    piece = random.Random(2).randbytes(1 << 20)
    head = pdf()
    length = len(head) + 24 * len(piece)
    try:
        with httpx.Client(
            base_url=f"http://127.0.0.1:{server.port}",
            headers={"authorization": f"Bearer {secret}"},
            timeout=300,
        ) as client:
            address = begun(client, length, "large.pdf")
            tracemalloc.start()
            half = len(head) + 12 * len(piece)

            def pieces(first: bytes, number: int) -> Iterator[bytes]:
                yield first
                for _ in range(number):
                    yield piece

            for offset, first in ((0, head), (half, b"")):
                more = {**TUS, **BYTES, "upload-offset": str(offset)}
                answer = client.patch(address, content=pieces(first, 12), headers=more)
                assert answer.status_code == 204, answer.text
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert "smallprint-document" in answer.headers
            assert peak < 8 * (1 << 20), peak
    finally:
        server.stop()


def test_pieces_with_checksums(any_house: House) -> None:
    """Good pieces are kept; a damaged one is thrown away as a whole, and can be sent again."""
    client = any_house.client
    data = b"This Agreement is governed by the law of Delaware.\n"
    address = begun(client, len(data), "c.txt", kind="contract")
    for algorithm in ("sha1", "sha256"):
        offset = offset_of(client, address)
        piece = data[offset : offset + 10]
        wrong = coded_digest(algorithm, b"something else")
        refused = send(client, address, piece, offset, upload_checksum=f"{algorithm} {wrong}")
        assert refused.status_code == 460
        assert offset_of(client, address) == offset
        right = coded_digest(algorithm, piece)
        kept = send(client, address, piece, offset, upload_checksum=f"{algorithm} {right}")
        assert kept.status_code == 204
        assert kept.headers["upload-offset"] == str(offset + 10)
        assert "smallprint-document" not in kept.headers
    state = client.get(address).json()
    assert (state["offset"], state["length"], state["document"]) == (20, len(data), None)
    last = send(client, address, data[20:], 20)
    document = last.headers["smallprint-document"]
    assert any_house.state(document)["kind_source"] == "uploader"
    assert client.get(address).json()["document"] == document
    assert client.head(address).headers["smallprint-document"] == document
    assert send(client, address, b"", len(data)).status_code == 409
    assert any_house.upload(data, "again.txt").json()["id"] == document


def coded_digest(algorithm: str, data: bytes) -> str:
    """A digest as the header has it."""
    return base64.b64encode(hashlib.new(algorithm, data).digest()).decode()


def test_what_does_not_fit_is_refused_and_harms_nothing(house: House) -> None:
    """Wrong offsets, too many bytes, other types and versions: the upload stays as it was."""
    client = house.client
    address = begun(client, 20)
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


def test_limits_hold_from_the_beginning(tmp_path: Path) -> None:
    """Size, emptiness and the sum of what is open are refused before a byte is sent."""
    house = House(tmp_path, ingest_max_bytes=1000, ingest_max_partial=1500)
    client = house.client
    assert begin(client, 0).status_code == 422
    assert begin(client, 1001).status_code == 413
    first = begun(client, 1000)
    refused = begin(client, 501)
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "60"
    assert begin(house.client_of("acme"), 1000).status_code == 201
    assert client.delete(first).status_code == 204
    assert client.head(first).status_code == 404
    assert begin(client, 501).status_code == 201
    options = client.options("/v1/uploads")
    assert options.headers["tus-max-size"] == "1000"
    assert options.headers["tus-extension"] == "creation,expiration,checksum,termination"
    house.close()


def test_a_type_that_is_not_read_ends_the_upload(house: House) -> None:
    """The last request says why, as every upload does, and nothing is left of it."""
    address = begun(house.client, 36, "a.gif")
    refused = send(house.client, address, b"GIF89a" + bytes(30), 0)
    assert refused.status_code == 415
    assert refused.json()["document"] == "a.gif"
    assert house.client.head(address).status_code == 404
    assert house.blobs() == set()


def test_another_tenant_has_no_part_in_it(any_house: House) -> None:
    """Nobody else sees, continues or cancels an upload."""
    address = begun(any_house.client, 10)
    acme = any_house.client_of("acme")
    assert acme.head(address).status_code == 404
    assert send(acme, address, b"x", 0).status_code == 404
    assert acme.delete(address).status_code == 404
    assert offset_of(any_house.client, address) == 0


def test_an_upload_that_nobody_finishes_is_removed(any_house: House) -> None:
    """After its hours it is gone, row and bytes; one that goes on gets new hours."""
    client = any_house.client
    left, kept = begun(client, 10), begun(client, 10)
    send(client, left, b"01234", 0)
    resumables: Resumables = any_house.service.app.state.resumables
    assert resumables.sweep() == 0
    with any_house.service.store.write() as session:
        session.execute(update(uploads).values(expires=now_utc() - timedelta(seconds=1)))
    send(client, kept, b"01234", 0)
    stop = threading.Event()
    loop = threading.Thread(target=Sweeper(resumables, 0.05).run, args=(stop,))
    loop.start()
    until = time.monotonic() + 30
    while client.head(left).status_code != 404 and time.monotonic() < until:
        time.sleep(0.05)
    stop.set()
    loop.join(30)
    assert client.head(left).status_code == 404
    assert offset_of(client, kept) == 5
    folder = any_house.service.settings.blobs / "default" / "uploads"
    assert [path.name for path in folder.iterdir()] == [kept.rpartition("/")[2]]


def test_whoever_looks_finishes_what_a_killed_process_left(any_house: House) -> None:
    """All bytes came, and the process died before they were a document: a look makes them one."""
    data = b"An agreement that was nearly lost."
    address = begun(any_house.client, len(data))
    name = address.rpartition("/")[2]
    path = any_house.service.settings.blobs / "default" / "uploads" / name
    path.write_bytes(data)
    looked = any_house.client.head(address)
    document = looked.headers["smallprint-document"]
    assert any_house.client.get(f"/v1/documents/{document}/original").content == data
    assert not path.exists()
    assert any_house.client.head(address).headers["smallprint-document"] == document


def test_a_stranger_sends_nothing(house: House) -> None:
    """Without a key no byte of a body is read."""
    stranger = TestClient(house.service.app)
    assert begin(stranger, 10).status_code == 401
    address = begun(house.client, 10)
    assert send(stranger, address, b"0123456789", 0).status_code == 401
    assert offset_of(house.client, address) == 0


@pytest.mark.parametrize(
    "header",
    ["filename", "filename $$$", "filename /w==", "a b,a b", "kind " + coded("novel"), "é x"],
)
def test_metadata_that_can_not_be_read(header: str) -> None:
    """What is not the protocol's form, or no kind of ours, is refused with a sentence."""
    if header == "filename":
        assert read_metadata(header) == Metadata(), "a key may have no value"
        return
    with pytest.raises(InvalidRequest):
        read_metadata(header)


@pytest.mark.parametrize("header", ["", "md5 AAAA", "sha256 AAAA", "sha1 $$"])
def test_checksums_that_can_not_be_read(header: str) -> None:
    """An unknown algorithm, a digest of another length, or no Base64."""
    with pytest.raises(InvalidRequest):
        read_checksum(header)
