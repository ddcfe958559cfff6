"""The typed client against ingest over a real socket."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import smallprint

from services.ingest.bootstrap import build
from services.ingest.settings import Settings
from shared.messaging import UnitOfWork
from shared.runtime import Service
from shared.runtime.main import join, start_background
from shared.settings import load
from tests.support.samples import mail
from tests.support.served import served
from tests.unit.ingest.builders import SENTENCE, clauses_extracted, encrypted, pdf


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = build(load(Settings, data=tmp_path, ingest_max_bytes=2_000_000))
    service.store.migrate()
    stop = threading.Event()
    threads = start_background(service, stop)
    yield service
    stop.set()
    join(threads)
    service.close()


@pytest.fixture
def client(service: Service) -> Iterator[smallprint.Client]:
    first = service.app.state.keys.create("default", "first")
    with served(service.app) as url, smallprint.Client(url, first.secret) as client:
        yield client


def test_the_client_uploads_reads_and_deletes(
    service: Service, client: smallprint.Client, tmp_path: Path
) -> None:
    path = tmp_path / "Vertrag.pdf"
    path.write_bytes(pdf(SENTENCE))
    document = client.upload(path)
    assert (document.name, document.state) == ("Vertrag.pdf", "received")
    assert client.upload(path.read_bytes()).id == document.id

    def finish() -> None:
        while client.document(document.id).state != "processing":
            time.sleep(0.1)
        with UnitOfWork(service.store) as uow:
            uow.publish(clauses_extracted(document.id))

    other = threading.Thread(target=finish)
    other.start()
    ended = client.wait(document.id, timeout=120)
    other.join()
    assert (ended.outcome, ended.pages, ended.reasons) == ("complete", 1, ())
    assert SENTENCE in client.text(document.id)
    assert client.original(document.id) == path.read_bytes()
    assert client.page_image(document.id, 1).startswith(b"\x89PNG")
    assert client.page_image(document.id, 1, scale=2).startswith(b"\x89PNG")
    (page,) = client.pages(document.id)
    assert (page.page, page.method, page.confidence) == (1, "pypdfium2", None)
    assert [d.id for d in client.documents(outcome="complete")] == [document.id]
    assert client.reprocess(document.id).attempt == 2
    client.delete(document.id)
    with pytest.raises(smallprint.NotFound):
        client.document(document.id)
    assert list(client.documents()) == []


def test_the_client_lists_parts_of_a_mail(client: smallprint.Client) -> None:
    data = mail("The lease", {"lease.pdf": pdf(SENTENCE), "scan.gif": b"GIF89a"})
    document = client.wait(client.upload(data, name="lease.eml", kind="report").id, timeout=120)
    lease, scan = document.parts
    assert (document.outcome, lease.name, lease.code) == ("partial", "lease.pdf", None)
    assert (scan.name, scan.id, scan.code) == ("scan.gif", None, "unsupported_type")
    [part] = client.documents(parent=document.id)
    assert (part.id, part.parent, part.kind) == (lease.id, document.id, "report")
    assert part.parents == (smallprint.Parent(document.id, "lease.eml"),)
    client.delete(document.id)
    assert list(client.documents()) == []


def test_refusals_are_clear(client: smallprint.Client) -> None:
    for data, code in (
        (b"", "empty_document"),
        (b"GIF89a and more", "unsupported_type"),
        (b"x" * 2_000_001, "document_too_large"),
    ):
        with pytest.raises(smallprint.Refused) as caught:
            client.upload(data, name="a.pdf")
        assert caught.value.code == code
        assert caught.value.document == "a.pdf"
    with pytest.raises(smallprint.Refused, match="this password is wrong"):
        client.upload(encrypted(pdf(), "open"), password="shut")


def test_the_client_creates_and_revokes_keys(client: smallprint.Client, service: Service) -> None:
    made = client.create_key("Ann")
    assert made.secret
    address = str(client._http.base_url)
    with smallprint.Client(address, made.secret) as ann:
        assert ann.own_key().name == "Ann"
        client.revoke_key(made.id)
        with pytest.raises(smallprint.NotSignedIn):
            ann.own_key()
    every = client.keys()
    assert [key.name for key in every] == ["first", "Ann"]
