"""Builders for tests of extraction: the service, and a specialist that knows words."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from services.extraction.bootstrap import build
from services.extraction.settings import Settings
from shared.categories import CATEGORIES
from shared.documents import ParsedDocument
from shared.documents.model.parsed_document import Page
from shared.events import DocumentIngested, DocumentRead, Kind
from shared.inference import AdapterError, AdapterManifest, Specialist, Specialists, TokenScores
from shared.inference.specialists import Span
from shared.policy.risk_control import Calibration, log_odds
from shared.settings import load
from tests.support.builders import AnyKey, RunningService

LABELS = ("Governing Law", "Audit Rights")
WORDS = {"Governing Law": "governed", "Audit Rights": "inspect", "Insurance": "insurance"}
TERMS = "unfair-terms"
"""The name of the second specialist."""
FOOTER = "Page 1 of 2 governed"
PROVIDER = """
[providers.stand-in]
protocol = "own"
model = "stand-in"
url = "http://127.0.0.1:1"
price = { input = "3", output = "15", as_of = 2026-01-31 }
"""
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
        labels: Sequence[str] = tuple(CATEGORIES),
        words: Mapping[str, str] = WORDS,
    ) -> None:
        self.words = words
        self.manifest = AdapterManifest(
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

    def parts(self, text: str) -> list[Span]:
        return [(0, len(text))]

    def token_probabilities(
        self,
        text: str,
        skip: Sequence[Span] = (),
        with_hidden: bool = False,
    ) -> TokenScores:
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
        for one in (self.specialist, self.terms):
            if one.manifest.name == name:
                return one
        raise AdapterError(f"there is no adapter named {name!r}")


def calibration(families: int = 400, by_contract: bool = False) -> bytes:
    """Four hundred companies with two sure and right clauses each."""
    count = 2 * families
    return Calibration(
        LABELS,
        families,
        np.array([[0.0, 1.0], [0.0, 1.0]]),
        np.arange(count) // 2,
        np.arange(count) % 2,
        np.full(count, 0.97),
        np.zeros(count),
        np.arange(count) // 2,
        np.full(count, 0.97),
        np.arange(count) if by_contract else None,
    ).to_bytes()


def of_two(families: int, first: float, *others: float) -> bytes:
    """Companies with eight clauses of one category and four of the other for each share."""
    shares = [first] * 8 + [share for share in others for _ in range(4)]
    each = len(shares)
    number = np.arange(families * each)
    share = np.tile(shares, families)
    of_group = np.tile([0] * 8 + [1] * 4 * len(others), families)
    at = number // each * np.where(of_group == 0, 8, 4) + number % each % 4
    return Calibration(
        LABELS,
        families,
        np.array([[0.0, 1.0], [0.0, 1.0]]),
        number // each,
        of_group,
        1.0 - share,
        (np.floor((at + 1) * share) > np.floor(at * share)).astype(float),
        np.zeros(0, np.int64),
        np.zeros(0),
    ).to_bytes()


def unsure(belief: float) -> bytes:
    start = float(log_odds(belief) - log_odds(0.9))
    none, nobody = np.zeros(0), np.zeros(0, np.int64)
    labels = ("Governing Law", "Audit Rights", "Insurance")
    lines = np.array([[start, 1.0]] * len(labels))
    return Calibration(labels, 1, lines, nobody, nobody, none, none, nobody, none).to_bytes()


def write_policy(folder: Path, **rules: Any) -> Path:
    """A policy file with rules of the default tenant."""
    path = folder / "policy.toml"
    lines = "\n".join(f"{name} = {json.dumps(value)}" for name, value in rules.items())
    path.write_text(f"{PROVIDER}\n[tenants.default]\n{lines}\n", "utf-8")
    return path


ASKING = {
    "providers": ["stand-in"],
    "external_kinds": ["contract"],
    "day_usd": "1",
    "month_usd": "10",
    "mistake_usd": "0.25",
}
"""Rules with which uncertain clauses are asked about."""


def reading(*pages: str) -> ParsedDocument:
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
    return ParsedDocument(
        text=text,
        pages=tuple(parts),
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        furniture=(furniture,) if furniture else (),
    )


class ExtractionService(RunningService):
    """Extraction with a specialist that knows words; everything else is real."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        chosen = {"data": folder, "bus_url": "memory:", "attempts": 2, "retry_delay": 0.01}
        self.specialists = KeywordSpecialists()
        service = build(
            load(Settings, **{**chosen, **settings}),
            keys=AnyKey(),
            specialists=lambda: self.specialists,
        )
        super().__init__(service)

    def get(self, what: str = "clauses", document: str = "doc_1", **params: Any) -> Any:
        """The response of a route below a document."""
        return self.client.get(f"/v1/documents/{document}/{what}", params=params)

    def clauses(self, document: str = "doc_1", **params: Any) -> list[dict[str, Any]]:
        return list(self.get(document=document, **params).json()["items"])

    def detail(self) -> str:
        """Why the document has no clauses."""
        return str(self.get().json()["detail"])

    def extract(
        self, document: str = "doc_1", *pages: str, attempt: int = 1, **more: Any
    ) -> list[dict[str, Any]]:
        """Handle the upload and the reading of a document; return its clauses."""
        read = self.read(document, *pages, attempt=attempt, **more)
        self.handle(self.ingested(document, attempt=attempt), read)
        return self.clauses(document)

    def ingested(self, document: str, kind: Kind = "contract", **more: Any) -> DocumentIngested:
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
