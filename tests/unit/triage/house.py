"""What the tests of triage's service are made with: a real service, its bus by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from services.triage.bootstrap import build
from services.triage.settings import Settings
from shared import documents
from shared.documents import Reading
from shared.events import DocumentIngested, DocumentRead, Event, Kind, decode
from shared.inference import Specialists
from shared.runtime import Worker
from shared.settings import load
from shared.storage import Relay, UnitOfWork
from shared.web.auth import Actor


class AnyKey:
    """A key is the name of its tenant."""

    def check(self, secret: str) -> Actor | None:
        """See Keys."""
        return Actor(tenant=secret, name="tester", key_id="k1")


class House:
    """Triage with everything real; its clients; its bus by hand."""

    def __init__(
        self,
        folder: Path,
        specialists: Callable[[], Specialists] | None = None,
        **settings: Any,
    ) -> None:
        chosen = {"data": folder, "bus_url": f"sqlite:///{folder / 'bus.db'}", **settings}
        self.service = build(load(Settings, **chosen), keys=AnyKey(), specialists=specialists)
        self.service.store.migrate()
        self.relay = Relay(self.service.store, self.service.bus)
        self.worker = Worker(
            "triage",
            self.service.store,
            self.service.bus,
            self.service.handlers,
            self.service.settings,
        )
        self.client = self.client_of("default")
        self.listener = self.service.bus.consumer("listener")

    def client_of(self, tenant: str) -> TestClient:
        """A client with a key of a tenant."""
        return TestClient(self.service.app, headers={"authorization": f"Bearer {tenant}"})

    def work(self) -> None:
        """Send and handle until nothing waits."""
        while self.relay.run_once() + self.worker.run_until_idle():
            pass

    def say(self, *events: Event) -> None:
        """Events of other services, on the bus, handled."""
        with UnitOfWork(self.service.store) as uow:
            for event in events:
                uow.publish(event)
        self.work()

    def heard(self, kind: type[Event]) -> list[Any]:
        """Every event of a type since the last time."""
        found = []
        while delivery := self.listener.receive(0):
            event = decode(delivery.message.value)
            self.listener.ack(delivery)
            if isinstance(event, kind):
                found.append(event)
        return found

    def ingested(self, document: str, kind: Kind = "report", attempt: int = 1) -> DocumentIngested:
        """What ingest says first."""
        return DocumentIngested(
            document_id=document,
            name="a.json",
            media_type="application/json",
            kind=kind,
            original=self.service.blobs.put("default", b"{}"),
            attempt=attempt,
        )

    def read(
        self,
        document: str,
        *records: Any,
        media_type: str = "application/x-ndjson",
        name: str = "a.jsonl",
        tenant: str = "default",
        **more: Any,
    ) -> DocumentRead:
        """What ingest says when a document of these lines is stored. Bytes stand as they are."""
        lines = [r if isinstance(r, bytes) else json.dumps(r).encode() for r in records]
        ref = self.service.blobs.put(tenant, b"\n".join(lines))
        values: dict[str, Any] = {
            "document_id": document,
            "tenant": tenant,
            "name": name,
            "media_type": media_type,
            "kind": "report",
            "original": ref,
            "text": ref,
            "layout": ref,
            "pages": 1,
        }
        return DocumentRead(**{**values, **more})

    def page(
        self, document: str, data: bytes, name: str, *, reading: Reading | None = None, **more: Any
    ) -> DocumentRead:
        """What ingest says of a document that it has read (or, by hand, how it was read)."""
        found = reading or documents.read(data, name=name)
        blobs = self.service.blobs
        return self.read(
            document,
            data,
            media_type=found.media_type,
            name=name,
            text=blobs.put("default", found.text.encode()),
            layout=blobs.put("default", found.to_bytes()),
            **more,
        )

    def close(self) -> None:
        """Give everything back."""
        self.service.close()
