"""Builders for tests of ingest: a service in this process, events and small documents."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast, overload

import httpx
import pytest
from fastapi.testclient import TestClient
from pypdf import PdfReader, PdfWriter
from reportlab.pdfgen.canvas import Canvas
from sqlalchemy import Table, func, select

from services.ingest.bootstrap import build
from services.ingest.domain import Document, DocumentReader
from services.ingest.keys import KeyRing
from services.ingest.settings import Settings
from services.ingest.store import Documents
from shared import documents
from shared.documents import Attachment, Limits, PageCallback, ParsedDocument, RefusedPart
from shared.errors import Unavailable
from shared.events import (
    BlobRef,
    ClausesExtracted,
    DocumentFailed,
    DocumentRead,
    DocumentTitle,
    Event,
    FindingsFound,
)
from shared.messaging import Relay, UnitOfWork
from shared.settings import load
from shared.web.auth import Actor
from tests.support.killed import MARK
from tests.support.queue import HandWorker, Listener
from tests.support.served import served

E = TypeVar("E", bound=Event)
Parts = Iterator[Attachment | RefusedPart]
SOME_BLOB = BlobRef(sha256="0" * 64, size=2)
SENTENCE = "This Agreement is made between Alpha Inc. and Beta Ltd."


class InProcessReader:
    """Reads in this process; `before` may replace the bytes, and `after` is called once."""

    limits = Limits()

    def __init__(self) -> None:
        self.before: Callable[[bytes], bytes] = lambda data: data
        self.after: Callable[[], object] | None = None
        self.parts: Callable[[Parts], Parts] = lambda parts: parts

    def read(
        self,
        data: bytes,
        *,
        name: str = "",
        password: str | None = None,
        on_page: PageCallback | None = None,
    ) -> ParsedDocument:
        data = self.before(data)
        reading = documents.read(data, name=name, password=password, on_page=on_page)
        after, self.after = self.after, None
        if after:
            after()
        return reading

    def render(
        self, data: bytes, number: int, *, scale: float = 2.0, password: str | None = None
    ) -> bytes:
        return documents.render(data, number, scale=scale, password=password)

    def unpack(self, data: bytes, *, name: str = "", depth: int = 0) -> Parts:
        unpacked = documents.unpack(data, name=name, limits=self.limits, depth=depth)
        return self.parts(unpacked.parts())

    def decrypt(self, data: bytes, *, password: str | None = None) -> bytes:
        return documents.decrypt(data, password=password)


class IngestService:
    """Reads and draws in this process, unless it may start `children`."""

    def __init__(
        self,
        folder: Path,
        reader: DocumentReader | None = None,
        *,
        children: bool = False,
        **settings: Any,
    ) -> None:
        self.folder = folder
        chosen = {"data": folder, "bus_url": "memory:", **settings}
        used = None if children else reader or InProcessReader()
        self.service = build(load(Settings, **chosen), reader=used)
        self.service.store.migrate()
        self.keys: KeyRing = self.service.app.state.keys
        self.relay = Relay(self.service.store, self.service.bus)
        self.listeners: dict[type[Event], Listener] = {}
        self.worker = HandWorker(
            "ingest",
            self.service.store,
            self.service.bus,
            self.service.handlers,
            self.service.settings,
        )
        self.client = self.client_for("default")

    def client_for(self, tenant: str, name: str = "tester") -> TestClient:
        return self.client_with(self.keys.create(tenant, name).secret)

    def client_with(self, secret: str) -> TestClient:
        return TestClient(self.service.app, headers={"authorization": f"Bearer {secret}"})

    def upload(
        self, data: bytes, name: str = "a.pdf", client: TestClient | None = None, **fields: Any
    ) -> httpx.Response:
        answer: Any = (client or self.client).post(
            "/v1/documents", files={"file": (name, data)}, data=fields
        )
        return cast("httpx.Response", answer)

    def upload_new(self, data: bytes, name: str = "a.pdf", **fields: Any) -> str:
        answer = self.upload(data, name, **fields)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def read_new(self, data: bytes, name: str = "a.pdf", **fields: Any) -> str:
        """Upload a document and read it."""
        document = self.upload_new(data, name, **fields)
        self.run()
        return document

    def complete_new(self, data: bytes, name: str = "a.pdf", **fields: Any) -> str:
        """Upload a contract that ends complete."""
        document = self.read_new(data, name, **fields)
        self.publish(clauses_extracted(document))
        return document

    def delete(self, document_id: str) -> None:
        assert self.client.delete(f"/v1/documents/{document_id}").status_code == 204
        self.run()

    def state(self, document_id: str) -> dict[str, Any]:
        answer = self.client.get(f"/v1/documents/{document_id}")
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def run(self) -> None:
        while self.relay.run_once() + self.worker.run_until_idle():
            pass

    def publish(self, *events: Event) -> None:
        with UnitOfWork(self.service.store) as uow:
            for event in events:
                uow.publish(event)
        self.run()

    def stored(self, document_id: str) -> Document:
        with self.service.store.read() as session:
            return Documents(session, "default").require(document_id)

    def count(self, table: Table) -> int:
        with self.service.store.read() as session:
            return int(session.execute(select(func.count()).select_from(table)).scalar_one())

    def ids(self, **params: Any) -> list[str]:
        """The documents of the first page of a list, newest first."""
        answer = self.client.get("/v1/documents", params={"limit": 200, **params})
        assert answer.status_code == 200, answer.text
        return [item["id"] for item in answer.json()["items"]]

    def every(self, path: str, **params: Any) -> list[dict[str, Any]]:
        """The items of all pages of a list."""
        found, cursor = [], ""
        while cursor is not None:
            page = self.client.get(path, params=params | ({"cursor": cursor} if cursor else {}))
            assert page.status_code == 200, page.text
            found += page.json()["items"]
            cursor = page.json()["next"]
        return found

    @overload
    def published(self) -> list[Event]: ...
    @overload
    def published(self, kind: type[E]) -> list[E]: ...
    def published(self, kind: type[Event] = Event) -> list[Any]:
        self.relay.run_once()
        if kind not in self.listeners:
            self.listeners[kind] = Listener(self.service.bus)
        events = self.listeners[kind].events()
        return [event for event in events if isinstance(event, kind)]

    def blob_names(self, tenant: str = "default") -> set[str]:
        folder = self.service.settings.blobs / tenant
        return {
            path.name
            for path in folder.rglob("*")
            if path.is_file() and not path.read_bytes().startswith(MARK)
        }

    def close(self) -> None:
        self.service.close()


NewIngest = Callable[..., IngestService]


@contextmanager
def connected(ingest: IngestService, app: Any = None) -> Iterator[httpx.Client]:
    """A client of ingest, or of an app before it, over a real socket."""
    secret = ingest.keys.create("default", "remote").secret
    headers = {"authorization": f"Bearer {secret}"}
    with (
        served(app or ingest.service.app) as url,
        httpx.Client(base_url=url, headers=headers, timeout=300) as client,
    ):
        yield client


def parallel(work: Callable[[], object], count: int) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def fail_first_mark(ingest: IngestService, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    refused: list[bytes] = []
    put = ingest.service.blobs.put

    def first_refused(tenant: str, data: bytes) -> BlobRef:
        if data.startswith(b"smallprint: attempt ") and not refused:
            refused.append(data)
            raise Unavailable("the disk is away")
        return put(tenant, data)

    monkeypatch.setattr(ingest.service.blobs, "put", first_refused)
    return refused


def clauses_extracted(
    document_id: str, attempt: int = 1, tenant: str = "default", warnings: tuple[str, ...] = ()
) -> ClausesExtracted:
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


def titled(ingest: IngestService, document: str, title: DocumentTitle) -> Event:
    """The event of its clauses, with a title."""
    ref = ingest.service.blobs.put("default", title.model_dump_json().encode())
    return clauses_extracted(document).model_copy(update={"title": ref})


def findings_found(
    document_id: str, attempt: int = 1, unreadable: int = 0, warnings: tuple[str, ...] = ()
) -> FindingsFound:
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


def document_failed(
    document_id: str, stage: Any = "extraction", attempt: int = 1, code: str = "internal"
) -> DocumentFailed:
    return DocumentFailed(
        document_id=document_id, stage=stage, code=code, reason="it broke", attempt=attempt
    )


def document_read(document_id: str, attempt: int = 1) -> DocumentRead:
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
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(data)))
    writer.encrypt(password, algorithm="AES-256")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def actor(tenant: str = "default") -> Actor:
    return Actor(tenant=tenant, name="somebody", key_id="0" * 16)


def _picture() -> Any:
    from PIL import Image
    from reportlab.lib.utils import ImageReader

    return ImageReader(Image.new("RGB", (20, 10), "navy"))
