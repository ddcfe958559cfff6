"""What the tests of ingest are made with: a service in this process, and small documents."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from fastapi.testclient import TestClient
from pypdf import PdfReader, PdfWriter
from reportlab.pdfgen.canvas import Canvas

from services.ingest.bootstrap import build
from services.ingest.domain import DocumentReader
from services.ingest.keys import KeyRing
from services.ingest.settings import Settings
from shared import documents
from shared.documents import Early, Limits, Part, Reading, RefusedPart
from shared.errors import Unavailable
from shared.events import (
    BlobRef,
    ClausesExtracted,
    DocumentFailed,
    DocumentRead,
    Event,
    FindingsFound,
    decode,
)
from shared.runtime import Worker
from shared.settings import load
from shared.storage import Relay, UnitOfWork
from shared.web.auth import Actor
from tests.killed import MARK

SOME_BLOB = BlobRef(sha256="0" * 64, size=2)
SENTENCE = "This Agreement is made between Alpha Inc. and Beta Ltd."


class InProcessReader:
    """The reader without its child process: quick, and the real engines all the same."""

    limits = Limits()

    def read(
        self,
        data: bytes,
        *,
        name: str = "",
        password: str | None = None,
        early: Early | None = None,
    ) -> Reading:
        """See DocumentReader."""
        return documents.read(data, name=name, password=password, early=early)

    def render(
        self, data: bytes, number: int, *, scale: float = 2.0, password: str | None = None
    ) -> bytes:
        """See DocumentReader."""
        return documents.render(data, number, scale=scale, password=password)

    def unpack(
        self, data: bytes, *, name: str = "", depth: int = 0
    ) -> Iterator[Part | RefusedPart]:
        """See DocumentReader."""
        return documents.unpack(data, name=name, limits=self.limits, depth=depth).parts()

    def decrypt(self, data: bytes, *, password: str | None = None) -> bytes:
        """See DocumentReader."""
        return documents.decrypt(data, password=password)


class House:
    """Ingest with everything real but the reader's child process; its clients; its bus by hand."""

    def __init__(self, folder: Path, reader: DocumentReader | None = None, **settings: Any) -> None:
        self.folder = folder
        chosen = {"data": folder, "bus_url": "memory:", **settings}
        self.service = build(load(Settings, **chosen), reader=reader or InProcessReader())
        self.service.store.migrate()
        self.keys: KeyRing = self.service.app.state.keys
        self.relay = Relay(self.service.store, self.service.bus)
        self.worker = Worker(
            "ingest",
            self.service.store,
            self.service.bus,
            self.service.handlers,
            self.service.settings,
        )
        self.client = self.client_of("default")

    def client_of(self, tenant: str, name: str = "tester") -> TestClient:
        """A client with a key of its own."""
        return self.client_with(self.keys.create(tenant, name).secret)

    def client_with(self, secret: str) -> TestClient:
        """A client with this key."""
        return TestClient(self.service.app, headers={"authorization": f"Bearer {secret}"})

    def upload(
        self, data: bytes, name: str = "a.pdf", client: TestClient | None = None, **fields: Any
    ) -> httpx.Response:
        """One file."""
        answer: Any = (client or self.client).post(
            "/v1/documents", files={"file": (name, data)}, data=fields
        )
        return cast("httpx.Response", answer)

    def accepted(self, data: bytes, name: str = "a.pdf", **fields: Any) -> str:
        """The id of a document that was accepted as new."""
        answer = self.upload(data, name, **fields)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def state(self, document_id: str) -> dict[str, Any]:
        """Where a document stands."""
        answer = self.client.get(f"/v1/documents/{document_id}")
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def work(self) -> None:
        """Send and handle until nothing waits."""
        while self.relay.run_once() + self.worker.run_until_idle():
            pass

    def say(self, *events: Event) -> None:
        """Another service's events, on the bus, handled."""
        with UnitOfWork(self.service.store) as uow:
            for event in events:
                uow.publish(event)
        self.work()

    def said(self, kind: type[Event] | None = None) -> list[Event]:
        """Every event on the bus so far, as a group that hears everything gets them."""
        self.relay.run_once()
        consumer = self.service.bus.consumer("listener" + str(id(kind)))
        heard = []
        while delivery := consumer.receive(0):
            event = decode(delivery.message.value)
            consumer.ack(delivery)
            if event is not None and (kind is None or isinstance(event, kind)):
                heard.append(event)
        consumer.close()
        return heard

    def blobs(self, tenant: str = "default") -> set[str]:
        """The names of all files that are kept for a tenant, but for the marks of deletions."""
        folder = self.service.settings.blobs / tenant
        return {
            path.name
            for path in folder.rglob("*")
            if path.is_file() and not path.read_bytes().startswith(MARK)
        }

    def close(self) -> None:
        """Give everything back."""
        self.service.close()


def away_once(house: House, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Have the blob store be away for the first mark of an attempt that is over. Returns what it
    has refused.
    """
    refused: list[bytes] = []
    put = house.service.blobs.put

    def first_refused(tenant: str, data: bytes) -> BlobRef:
        if data.startswith(b"smallprint: attempt ") and not refused:
            refused.append(data)
            raise Unavailable("the disk is away")
        return put(tenant, data)

    monkeypatch.setattr(house.service.blobs, "put", first_refused)
    return refused


def extracted(
    document_id: str, attempt: int = 1, tenant: str = "default", warnings: tuple[str, ...] = ()
) -> ClausesExtracted:
    """What extraction says when it is done."""
    return ClausesExtracted(
        tenant=tenant,
        document_id=document_id,
        name="a.pdf",
        clauses=SOME_BLOB,
        count=0,
        adapter="contract-clauses",
        adapter_version="1",
        warnings=warnings,
        attempt=attempt,
    )


def found(
    document_id: str, attempt: int = 1, unreadable: int = 0, warnings: tuple[str, ...] = ()
) -> FindingsFound:
    """What triage says when it is done."""
    return FindingsFound(
        document_id=document_id,
        name="a.json",
        findings=SOME_BLOB,
        count=0,
        flagged=False,
        risk=0.1,
        unreadable=unreadable,
        warnings=warnings,
        attempt=attempt,
    )


def gave_up(
    document_id: str, stage: Any = "extraction", attempt: int = 1, code: str = "internal"
) -> DocumentFailed:
    """What a service says when it gives up."""
    return DocumentFailed(
        document_id=document_id, stage=stage, code=code, reason="it broke", attempt=attempt
    )


def announced(document_id: str, attempt: int = 1) -> DocumentRead:
    """What ingest says when a document is read."""
    return DocumentRead(
        document_id=document_id,
        name="a.pdf",
        media_type="application/pdf",
        kind="contract",
        original=SOME_BLOB,
        text=SOME_BLOB,
        layout=SOME_BLOB,
        pages=2,
        attempt=attempt,
    )


def pdf(*pages: str) -> bytes:
    """A PDF with one line of text a page; an empty line makes a page that is only a picture."""
    out = io.BytesIO()
    canvas = Canvas(out, invariant=True)
    for text in pages or (SENTENCE,):
        if text:
            canvas.drawString(72, 700, text)
        else:
            canvas.drawImage(_picture(), 72, 500, 200, 100)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def encrypted(data: bytes, password: str) -> bytes:
    """The same PDF, encrypted with AES-256."""
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(data)))
    writer.encrypt(password, algorithm="AES-256")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def actor(tenant: str = "default") -> Actor:
    """Somebody of a tenant, without a key in the database."""
    return Actor(tenant=tenant, name="somebody", key_id="0" * 16)


def _picture() -> Any:
    from PIL import Image
    from reportlab.lib.utils import ImageReader

    return ImageReader(Image.new("RGB", (20, 10), "navy"))
