"""What the tests of extraction are made with: a real service, and a specialist that knows words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from fastapi.testclient import TestClient

from services.extraction.bootstrap import build
from services.extraction.domain import CATEGORIES
from services.extraction.settings import Settings
from shared.documents import Reading
from shared.documents.reading import Page
from shared.events import DocumentIngested, DocumentRead, Event, Kind, decode
from shared.inference import AdapterError, Manifest, Specialist, Specialists, TokenScores
from shared.inference.specialists import Progress, Span
from shared.runtime import Worker
from shared.settings import load
from shared.storage import Relay, UnitOfWork
from shared.web.auth import Actor

WORDS = {"Governing Law": "governed", "Audit Rights": "inspect", "Insurance": "insurance"}
TERMS = "unfair-terms"
"""The name of the second specialist."""
FOOTER = "Page 1 of 2 governed"
PAGES = (
    "This Agreement is governed by the laws of Utah.\n" + FOOTER,
    "\nThe Buyer may inspect the books.\nNothing else is said here.",
)
TEXT = "".join(PAGES)


class KeywordSpecialist(Specialist):
    """A specialist without a base: every token of a sentence with its label's word is likely."""

    def __init__(
        self,
        name: str = "contract-clauses",
        labels: Sequence[str] = CATEGORIES,
        words: Mapping[str, str] = WORDS,
    ) -> None:
        self.words = words
        self.manifest = Manifest(
            format=1,
            name=name,
            version="0.0.1",
            base_sha256="0" * 64,
            adapter_sha256="0" * 64,
            rank=1,
            parameters={},
            labels=tuple(labels),
            window_length=256,
            window_stride=128,
            licence="none",
            thresholds={"best_f1": 0.5},
        )
        self.forests = {}
        self.calls = 0

    def token_probabilities(
        self,
        text: str,
        skip: Sequence[Span] = (),
        progress: Progress | None = None,
        with_hidden: bool = False,
    ) -> TokenScores:
        """See Specialist."""
        self.calls += 1
        spans = [
            m.span()
            for m in re.finditer(r"\w+|[^\w\s]", text)
            if not any(start < m.end() and m.start() < end for start, end in skip)
        ]
        scores = np.full((len(spans), len(self.labels)), 0.01, np.float32)
        for row, (start, _end) in enumerate(spans):
            line = text[text.rfind("\n", 0, start) + 1 :].partition("\n")[0]
            for column, label in enumerate(self.labels):
                if label in self.words and self.words[label] in line:
                    scores[row, column] = 0.9
        return TokenScores(np.array(spans, np.int64).reshape(-1, 2), scores)


class KeywordSpecialists(Specialists):
    """One that knows categories of contracts, and one that knows other labels."""

    def __init__(self) -> None:
        self.specialist = KeywordSpecialist()
        labels = ("Choice of law", "Arbitration")
        self.terms = KeywordSpecialist(TERMS, labels, {"Choice of law": "governed"})

    def get(self, name: str) -> Specialist:
        """See Specialists."""
        for one in (self.specialist, self.terms):
            if one.manifest.name == name:
                return one
        raise AdapterError(f"there is no adapter named {name!r}")


class AnyKey:
    """A key is the name of its tenant."""

    def check(self, secret: str) -> Actor | None:
        """See Keys."""
        return Actor(tenant=secret, name="tester", key_id="k1")


def reading(*pages: str) -> Reading:
    """Pages of typewritten text, every character six points wide and twelve high."""
    text, parts, boxes = "", [], []
    for number, page in enumerate(pages, 1):
        start = len(text)
        text += page
        parts.append(Page(number, start, len(text), 612.0, 792.0))
        line = column = 0
        for character in page:
            if character == "\n":
                boxes.append([np.nan] * 4)
                line, column = line + 1, 0
            else:
                boxes.append([column * 6.0, line * 12.0, column * 6.0 + 6, line * 12.0 + 12])
                column += 1
    furniture = (text.index(FOOTER), text.index(FOOTER) + len(FOOTER)) if FOOTER in text else None
    return Reading(
        text=text,
        pages=tuple(parts),
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        page_count=len(parts),
        furniture=(furniture,) if furniture else (),
    )


class House:
    """Extraction with everything real but the model; its clients; its bus by hand."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        chosen = {"data": folder, "bus_url": "memory:", "attempts": 2, "retry_delay": 0.01}
        self.specialists = KeywordSpecialists()
        self.service = build(
            load(Settings, **{**chosen, **settings}),
            keys=AnyKey(),
            specialists=lambda: self.specialists,
        )
        self.service.store.migrate()
        self.relay = Relay(self.service.store, self.service.bus)
        self.worker = Worker(
            "extraction",
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

    def ingested(self, document: str, kind: Kind = "contract", **more: Any) -> DocumentIngested:
        """What ingest says first."""
        original = self.service.blobs.put(more.get("tenant", "default"), TEXT.encode())
        return DocumentIngested(
            document_id=document,
            name="a.pdf",
            media_type="application/pdf",
            kind=kind,
            original=original,
            **more,
        )

    def read(
        self, document: str, *pages: str, kind: Kind = "contract", **more: Any
    ) -> DocumentRead:
        """What ingest says when the text and layout of a document are stored."""
        found = reading(*(pages or PAGES))
        tenant = more.get("tenant", "default")
        text = self.service.blobs.put(tenant, found.text.encode())
        return DocumentRead(
            document_id=document,
            name="a.pdf",
            media_type="application/pdf",
            kind=kind,
            original=text,
            text=text,
            layout=self.service.blobs.put(tenant, found.to_bytes()),
            pages=found.page_count,
            **more,
        )

    def close(self) -> None:
        """Give everything back."""
        self.service.close()
