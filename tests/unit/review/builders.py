"""Review with real storage and a real bus, and the events of the other services."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from fastapi.testclient import TestClient

from services.review.bootstrap import build
from services.review.commands import Clock, ReviewCommands, utc_now
from services.review.session import Session
from services.review.settings import Settings
from shared.bus import Message
from shared.documents.model.parsed_document import Page, ParsedDocument
from shared.errors import NotSignedIn
from shared.events import (
    CANCELLED,
    ClausesExtracted,
    DocumentAssigned,
    DocumentDeleted,
    DocumentFailed,
    DocumentRead,
    DocumentReclassified,
    DocumentTitle,
    EscalationAnswered,
    Event,
    FindingsFound,
    Kind,
    ReviewDecided,
    Stage,
)
from shared.events.questions import Candidate, Proposal, Question, Quote
from shared.events.searched import SearchedContract
from shared.messaging import Relay
from shared.web.auth import Actor
from tests.support.queue import HandWorker, Listener

LEADING, WIDTH, HEIGHT = 14.0, 612.0, 792.0
BOX = {"page": 3, "x0": 72.0, "y0": 72.0, "x1": 100.0, "y1": 83.0}
FLAG: dict[str, Any] = {
    "id": "nf_1",
    "family": "going_concern",
    "title": "Going-concern doubt",
    "text": "These factors raise substantial doubt about our ability to go on.",
    "start": 4,
    "end": 69,
    "page": 3,
    "boxes": [BOX],
    "confidence": 0.97,
    "level": "strong",
    "filer": "our",
}
SIGNAL: dict[str, Any] = {
    "id": "sg_1",
    "filing": "f1",
    "signal": "sales_growth",
    "title": "Growth of sales",
    "level": "strong",
    "distance": 9.5,
    "value": 12.5,
    "unit": "share",
    "end": "20231231",
    "quarters": 4,
    "message": "Growth of sales 1,250.0% (year to 2023-12-31).",
    "formula": "sales / sales a year before - 1",
    "source": "somebody (1999)",
    "inputs": [
        {"figure": "revenue", "value": 27, "statement": "income", "row": 4, "column": 0,
         "label": "Net sales", "place": {"page": 3, "box": [72.0, 72.0, 100.0, 83.0]}},
        {"figure": "revenue", "value": 2, "statement": "income", "row": 4, "column": 1,
         "label": "Net sales", "place": None},
    ],
    "history": [{"end": "20221231", "value": 0.1}],
    "peers": {"companies": 300, "low": -0.4, "median": 0.0, "high": 0.5, "distance": 9.5},
    "change": None,
    "page": 3,
    "boxes": [BOX],
}  # fmt: skip


@dataclass
class KnownKeys:
    """Keys and sessions in memory instead of ingest's."""

    actors: dict[str, Actor] = field(
        default_factory=lambda: {
            "key-ada": Actor("default", "ada", "k1"),
            "key-ben": Actor("default", "ben", "k2"),
            "key-eve": Actor("rivals", "eve", "k3"),
        }
    )

    def check(self, secret: str) -> Actor | None:
        return self.actors.get(secret)

    def open_session(
        self, key: str, address: str | None = None, user_agent: str | None = None
    ) -> Session:
        if key not in self.actors:
            raise NotSignedIn("this key is unknown, expired or revoked")
        secret = f"session-{key}-{len(self.actors)}"
        self.actors[secret] = replace(self.actors[key], session_id=secret)
        return Session(secret, datetime.now(UTC) + timedelta(hours=1))

    def close_session(self, secret: str, address: str | None = None) -> None:
        self.actors.pop(secret, None)


@cache
def reading_of(text: str) -> ParsedDocument:
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
    return ParsedDocument(text, tuple(pages), boxes, media_type="application/pdf")


def clause(
    text: str, quote: str, category: str, confidence: float, number: int = 1, **more: Any
) -> dict[str, Any]:
    """A clause of `text` as extraction announces it."""
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
        **more,
    }


def proposal(text: str, quote: str | None, **changed: Any) -> Proposal:
    """The answer of a model that quotes these words of a text, or finds no clause."""
    start = text.index(quote) if quote else 0
    quotes = (Quote(text=quote, start=start, end=start + len(quote)),) if quote else ()
    values: dict[str, Any] = {
        "verdict": "present" if quote else "absent",
        "category": "Governing Law",
        "quotes": quotes,
        "why": "it says so",
        "provider": "p",
        "model": "m",
        **changed,
    }
    return Proposal(**values)


class ReviewService:
    """One review service, with the events of the others and the requests of reviewers."""

    def __init__(
        self,
        folder: Path,
        *,
        lease: float = 300.0,
        bus: str = "",
        database: str = "",
        policy: str = "",
    ) -> None:
        """`policy` is the text of the policy file."""
        folder.mkdir(exist_ok=True)
        if policy:
            (folder / "policy.toml").write_text(policy, "utf-8")
        self.keys = KnownKeys()
        settings = Settings(
            data=folder,
            bus_url=bus,
            review_lease=lease,
            review_database_url=database,
            policy=folder / "policy.toml" if policy else None,
            attempts=2,
        )
        self.service = build(settings, keys=self.keys, sessions=self.keys)
        self.service.store.migrate()
        self.blobs = self.service.blobs
        self.worker = HandWorker(
            "review", self.service.store, self.service.bus, self.service.handlers, settings
        )
        self.relay = Relay(self.service.store, self.service.bus)
        self.listener = Listener(self.service.bus)

    def client(self, key: str = "key-ada") -> TestClient:
        return TestClient(
            self.service.app,
            base_url="http://papers.test",
            headers={"authorization": f"Bearer {key}"},
            raise_server_exceptions=False,
        )

    def items(self, **params: str) -> list[dict[str, Any]]:
        answer = self.client().get("/v1/items", params=params)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])

    def claim(self, key: str = "key-ada", **body: object) -> dict[str, Any]:
        """Claim an item, by default the most urgent one."""
        answer = self.client(key).post("/v1/items/claim", json=body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def decide(
        self, item: str, verdict: str = "accept", status: int = 201, **more: object
    ) -> dict[str, Any]:
        """Claim an item, unless to undo, and decide it as Ada."""
        if verdict != "undo":
            self.claim(item=item)
        wanted = {"item": item, "verdict": verdict, **more}
        answer = self.client().post("/v1/decisions", json=wanted)
        assert answer.status_code == status, answer.text
        return dict(answer.json())

    def publish(self, *events: Event) -> None:
        """Publish events and handle them."""
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
        unsound: tuple[int, ...] = (),
        escalated: tuple[str, ...] = (),
    ) -> None:
        """The document was read.

        Args:
            unsure: confidence of a kind that a person must confirm.
            unsound: pages with suspicious text.
        """
        reading = replace(reading_of(text), unsound=unsound)
        self.publish(
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
                escalated=escalated,
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
        title: DocumentTitle | None = None,
        searched: SearchedContract | None = None,
    ) -> None:
        """Its clauses were extracted; `sampled` are the ids of audit samples."""
        search = searched and self.blobs.put(tenant, searched.model_dump_json().encode())
        self.publish(
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
                title=title and self.blobs.put(tenant, title.model_dump_json().encode()),
                searched=search,
            )
        )

    def find(
        self,
        document: str,
        findings: Sequence[dict[str, Any]],
        *,
        signals: Sequence[dict[str, Any]] = (),
        flags: Sequence[dict[str, Any]] = (),
        name: str = "report.json",
        attempt: int = 1,
        sampled: Sequence[str] = (),
    ) -> None:
        """Its findings, signals and flags were found; `sampled` are the ids of audit samples."""
        refs = [
            self.blobs.put("default", json.dumps(list(some)).encode())
            for some in (findings, signals, flags)
        ]
        self.publish(
            FindingsFound(
                document_id=document,
                name=name,
                findings=refs[0],
                signals=refs[1],
                narrative=refs[2],
                count=len(findings),
                flagged=bool(findings),
                risk=0.5,
                attempt=attempt,
                model="triage-breaks 1.0.0",
                coverage="Balance sheet only; 12 relations checked, 1 broken.",
                sampled=tuple(sampled),
            )
        )

    def answer(
        self,
        result: str,
        proposal: Proposal | None,
        text: str,
        *,
        document: str = "doc_1",
        stage: Stage = "extraction",
        subject: Any = "clause",
        reason: str = "the budget is spent",
        candidate: tuple[int, int] | None = None,
        **changed: Any,
    ) -> EscalationAnswered:
        """A frontier model answered about a result, or did not, for a reason. Returns the event."""
        question = Question(
            subject=proposal.subject if proposal and subject == "clause" else subject,
            kind="contract",
            text=self.blobs.put("default", text.encode()),
            start=0,
            end=len(text),
            category=proposal.category if proposal else "Governing Law",
            definition="",
            candidates=(Candidate(start=candidate[0], end=candidate[1], confidence=0.3),)
            if candidate
            else (),
        )
        answer = proposal and proposal.model_copy(update={"escalation": f"es_{document}_{result}"})
        values: dict[str, Any] = {
            "document_id": document,
            "stage": stage,
            "result_id": result,
            "answer": answer and self.blobs.put("default", answer.model_dump_json().encode()),
            "reason": None if proposal else reason,
            "question": self.blobs.put("default", question.model_dump_json().encode()),
            **changed,
        }
        event = EscalationAnswered(**values)
        self.publish(event)
        return event

    def assign(self, document: str, assignee: str | None) -> DocumentAssigned:
        """Its assignee was set. Returns the event."""
        event = DocumentAssigned(document_id=document, assignee=assignee)
        self.publish(event)
        return event

    def delete(self, document: str) -> None:
        self.publish(DocumentDeleted(document_id=document))

    def cancel(self, document: str, attempt: int = 1) -> None:
        self.publish(
            DocumentFailed(
                document_id=document,
                stage="ingest",
                code=CANCELLED,
                reason="ann cancelled it",
                attempt=attempt,
            )
        )

    def reclassify(
        self, document: str, kind: Kind, previous: Kind, attempt: int | None = None
    ) -> None:
        self.publish(
            DocumentReclassified(
                document_id=document, kind=kind, previous=previous, attempt=attempt
            )
        )

    def fill(self, count: int, document: str = "doc_1") -> None:
        """Queue so many clauses of one document."""
        words = [f"word{number:04d}" for number in range(count)]
        text = " ".join(words)
        self.read(document, text)
        self.extract(
            document, [clause(text, w, "Parties", n / 1000, n) for n, w in enumerate(words)]
        )

    def commands(self, lease: float = 300.0, clock: Clock = utc_now) -> ReviewCommands:
        """Commands on the running service's database."""
        return ReviewCommands(self.service.store, self.blobs, lease, clock)

    def announced(self) -> list[ReviewDecided]:
        """The decisions announced since the last call."""
        self.relay.run_once()
        return [event for event in self.listener.events() if isinstance(event, ReviewDecided)]

    def close(self) -> None:
        self.service.close()
