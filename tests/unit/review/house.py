"""Review as it is, with real storage and a real bus, and what the other services would tell it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from fastapi.testclient import TestClient

from services.review.bootstrap import build
from services.review.desk import Clock, Desk, utc_now
from services.review.session import Session
from services.review.settings import Settings
from shared.bus import Message
from shared.documents.reading import Page, Reading
from shared.errors import NotSignedIn
from shared.events import (
    CANCELLED,
    ClausesExtracted,
    DocumentDeleted,
    DocumentFailed,
    DocumentRead,
    DocumentRekinded,
    Event,
    FindingsFound,
    Kind,
    ReviewDecided,
    decode,
)
from shared.runtime import Worker
from shared.storage import Relay
from shared.web.auth import Actor

LINE, LEADING, WIDTH, HEIGHT = 90, 14.0, 612.0, 792.0


@dataclass
class KnownKeys:
    """Keys and sessions in memory, as ingest would answer for them."""

    actors: dict[str, Actor] = field(
        default_factory=lambda: {
            "key-ada": Actor("default", "ada", "k1"),
            "key-ben": Actor("default", "ben", "k2"),
            "key-eve": Actor("rivals", "eve", "k3"),
        }
    )

    def check(self, secret: str) -> Actor | None:
        """See `Keys.check`."""
        return self.actors.get(secret)

    def open_session(self, key: str) -> Session:
        """See `SessionKeys.open_session`."""
        if key not in self.actors:
            raise NotSignedIn("this key is unknown, expired or revoked")
        secret = f"session-{key}-{len(self.actors)}"
        self.actors[secret] = self.actors[key]
        return Session(secret, datetime.now(UTC) + timedelta(hours=1))

    def close_session(self, secret: str) -> None:
        """See `SessionKeys.close_session`."""
        self.actors.pop(secret, None)


@cache
def reading_of(text: str) -> Reading:
    """A text laid out line by line on letter paper; a form feed begins a new page."""
    boxes = np.full((len(text), 4), np.nan, np.float32)
    pages, start = [], 0
    for number, part in enumerate(text.split("\f"), 1):
        x = y = 72.0
        for offset, letter in enumerate(part, start):
            if letter == "\n":
                x, y = 72.0, y + LEADING
                continue
            boxes[offset] = (x, y, x + 5, y + 11)
            x += 5
        pages.append(Page(number, start, start + len(part), WIDTH, HEIGHT))
        start += len(part) + 1
    return Reading(text, tuple(pages), boxes, len(pages), media_type="application/pdf")


def clause(
    text: str, quote: str, category: str, confidence: float, number: int = 1
) -> dict[str, Any]:
    """A clause of `text` as extraction would announce it."""
    start = text.index(quote)
    boxes = [box._asdict() for box in reading_of(text).boxes_of(start, start + len(quote))]
    return {
        "id": f"cl_{number:032x}",
        "category": category,
        "text": quote,
        "start": start,
        "end": start + len(quote),
        "page": boxes[0]["page"] if boxes else 1,
        "confidence": confidence,
        "boxes": boxes,
    }


class House:
    """One review service, told about documents as if the others were there."""

    def __init__(
        self,
        folder: Path,
        *,
        lease: float = 300.0,
        bus: str = "",
        database: str = "",
        policy: Path | None = None,
    ) -> None:
        self.keys = KnownKeys()
        settings = Settings(
            data=folder,
            bus_url=bus,
            review_lease=lease,
            review_database_url=database,
            policy=policy,
            attempts=2,
        )
        self.service = build(settings, keys=self.keys, sessions=self.keys)
        self.service.store.migrate()
        self.blobs = self.service.blobs
        self.worker = Worker(
            "review", self.service.store, self.service.bus, self.service.handlers, settings
        )
        self.relay = Relay(self.service.store, self.service.bus)
        self.listener = self.service.bus.consumer("listener")

    def client(self, key: str = "key-ada") -> TestClient:
        """A client that signs with a key."""
        return TestClient(
            self.service.app,
            base_url="http://papers.test",
            headers={"authorization": f"Bearer {key}"},
            raise_server_exceptions=False,
        )

    def hear(self, *events: Event) -> None:
        """Tell review what happened, and let it work on that."""
        messages = [Message(key=e.key, value=e.to_json("tests")) for e in events]
        self.service.bus.publish(*messages)
        self.worker.run_until_idle()

    def read(
        self,
        document: str,
        text: str,
        *,
        name: str = "contract.pdf",
        kind: Kind = "contract",
        media_type: str = "application/pdf",
        attempt: int = 1,
        tenant: str = "default",
        unsure: float | None = None,
    ) -> None:
        """The document was read; `unsure`: how sure ingest is of a kind that a person is to say."""
        reading = reading_of(text)
        self.hear(
            DocumentRead(
                tenant=tenant,
                document_id=document,
                name=name,
                media_type=media_type,
                kind=kind,
                original=self.blobs.put(tenant, b"%PDF-1.7"),
                text=self.blobs.put(tenant, text.encode()),
                layout=self.blobs.put(tenant, reading.to_bytes()),
                pages=reading.page_count,
                attempt=attempt,
                kind_confidence=unsure,
                kind_unsure=unsure is not None,
            )
        )

    def extract(
        self,
        document: str,
        clauses: Sequence[dict[str, Any]],
        *,
        name: str = "contract.pdf",
        attempt: int = 1,
        tenant: str = "default",
        sampled: Sequence[str] = (),
    ) -> None:
        """Its clauses were extracted; `sampled` are the ids of those drawn as a check."""
        self.hear(
            ClausesExtracted(
                tenant=tenant,
                document_id=document,
                name=name,
                clauses=self.blobs.put(tenant, json.dumps(list(clauses)).encode()),
                count=len(clauses),
                adapter="contract-clauses",
                adapter_version="1",
                attempt=attempt,
                sampled=tuple(sampled),
            )
        )

    def find(
        self,
        document: str,
        findings: Sequence[dict[str, Any]],
        *,
        name: str = "report.json",
        attempt: int = 1,
        sampled: Sequence[str] = (),
    ) -> None:
        """Its findings were found; `sampled` are the ids of those drawn as a check."""
        self.hear(
            FindingsFound(
                document_id=document,
                name=name,
                findings=self.blobs.put("default", json.dumps(list(findings)).encode()),
                count=len(findings),
                flagged=bool(findings),
                risk=0.5,
                attempt=attempt,
                model="triage-breaks 1.0.0",
                sampled=tuple(sampled),
            )
        )

    def delete(self, document: str) -> None:
        """It was deleted."""
        self.hear(DocumentDeleted(document_id=document))

    def cancel(self, document: str, attempt: int = 1) -> None:
        """Somebody stopped the work on it."""
        self.hear(
            DocumentFailed(
                document_id=document,
                stage="ingest",
                code=CANCELLED,
                reason="ann stopped the work on it",
                attempt=attempt,
            )
        )

    def rekind(self, document: str, kind: Kind, previous: Kind, attempt: int | None = None) -> None:
        """A person said of what kind it is."""
        said = DocumentRekinded(document_id=document, kind=kind, previous=previous, attempt=attempt)
        self.hear(said)

    def fill(self, count: int, document: str = "doc_1") -> None:
        """Queue so many clauses of one document."""
        words = [f"word{number:04d}" for number in range(count)]
        text = " ".join(words)
        self.read(document, text)
        self.extract(
            document, [clause(text, w, "Parties", n / 1000, n) for n, w in enumerate(words)]
        )

    def desk(self, lease: float = 300.0, clock: Clock = utc_now) -> Desk:
        """A desk on the running service's database."""
        return Desk(self.service.store, self.blobs, lease, clock)

    def announced(self) -> list[ReviewDecided]:
        """What review has told the others since the last call."""
        self.relay.run_once()
        heard = []
        while delivery := self.listener.receive(0.0):
            event = decode(delivery.message.value)
            self.listener.ack(delivery)
            if isinstance(event, ReviewDecided):
                heard.append(event)
        return heard

    def close(self) -> None:
        """Give everything back."""
        self.listener.close()
        self.service.close()
