"""The origin as a browser sees it: real ingest and review, and stand-ins for what finds results.

The stand-ins publish a test's results on the real bus, and answer the two lists that the pages
read from extraction and triage.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import APIRouter, Depends
from reportlab.lib.pagesizes import letter
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import inch
from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate
from sqlalchemy import text
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as Part

from infra.servers.ports import free_port
from services.escalation.bootstrap import build as build_escalation
from services.escalation.settings import Settings as EscalationSettings
from services.extraction.values import ClauseContext, document_values, value_json
from services.ingest.bootstrap import build as build_ingest
from services.ingest.settings import Settings as IngestSettings
from services.review.bootstrap import build as build_review
from services.review.settings import Settings as ReviewSettings
from services.review.store import find_document
from shared.artefacts.loader import newest
from shared.bus import Message
from shared.documents.model.parsed_document import ParsedDocument
from shared.events import (
    AdapterVersion,
    ClausesExtracted,
    DocumentFailed,
    DocumentTitle,
    EscalationAnswered,
    Event,
    FindingsFound,
)
from shared.events.questions import Proposal, Quote
from shared.events.searched import SearchedContract
from shared.runtime.main import join, start_background
from shared.web.app import create_app
from shared.web.auth import authenticate
from shared.web.routing_table import Dispatcher
from shared.web.suite_openapi import merge
from tests.support import ROOT

SHIPPED = newest(ROOT / "models/artefacts", "contract-clauses", "manifest.json").name
"""The version of the specialist that comes along."""

SCRIPT = "<script>document.title='taken'</script>"
CONTRACT: tuple[tuple[str, ...], ...] = (
    (
        "DISTRIBUTION AGREEMENT",
        "This Distribution Agreement (the “Agreement”) is made as of March 3, 2021 by and between "
        "Northwind Instruments, Inc., a Delaware corporation (“Supplier”), and Halden Trading AS, "
        "a company organised under the laws of Norway (“Distributor”).",
        "1. APPOINTMENT. Supplier appoints Distributor as its exclusive distributor of the "
        "Products in the Territory, and Distributor accepts that appointment. During the Term "
        "Supplier shall not appoint any other distributor in the Territory nor sell the Products "
        "there itself, save to the customers that are listed in Schedule B.",
        "2. MINIMUM PURCHASES. In each Contract Year Distributor shall order Products for at least "
        "US$400,000 net of freight and duties. If it orders less, Supplier may make the "
        "appointment non-exclusive by sixty (60) days' written notice.",
        "3. TERM. This Agreement takes effect on the date first written above and continues for "
        "three (3) years. It shall then renew for successive periods of one (1) year unless "
        "either party gives notice of non-renewal at least ninety (90) days before the end of the "
        "period then running.",
        "4. PRICES. Supplier may change its prices by ninety (90) days' notice, but not more often "
        "than once in a Contract Year and by no more than four per cent (4%).",
        "5. REPORTS. Distributor shall send to Supplier, within ten (10) days after the end of "
        "each calendar quarter, a report of its sales by product and customer, of its stock, and "
        "of what it knows about the activities of competitors in the Territory.",
    ),
    (
        "6. AUDIT. Upon ten (10) days' notice Supplier may, no more than once a year, inspect the "
        "books and records of Distributor that relate to the Products.",
        "7. ASSIGNMENT. Neither party may assign this Agreement, in whole or in part, without the "
        "prior written consent of the other party, which shall not be unreasonably withheld. A "
        "change of control of Distributor is an assignment for the purposes of this Section.",
        "8. LIABILITY. Except for breach of Section 10, neither party's liability under this "
        "Agreement shall exceed the amounts paid by Distributor in the twelve (12) months before "
        "the claim arose. In no event shall either party be liable for lost profits.",
        "9. INSURANCE. Distributor shall hold, at its own expense, product liability insurance of "
        "no less than US$2,000,000 for each occurrence, and name Supplier as additional insured.",
        f"10. MARKS. Distributor shall not register {SCRIPT.replace('<', '&lt;')} or any other "
        "mark of Supplier, and shall stop all use of the marks when this Agreement ends.",
    ),
    (
        "11. GOVERNING LAW. This Agreement is governed by the laws of the State of New York, "
        "without regard to its rules on conflicts of law. The United Nations Convention on "
        "Contracts for the International Sale of Goods does not apply.",
        "12. TERMINATION. Either party may terminate this Agreement without cause by one hundred "
        "and twenty (120) days' written notice to the other. Sections 6, 8 and 10 survive.",
        "IN WITNESS WHEREOF the parties have signed this Agreement.",
    ),
)
CLAUSES: tuple[tuple[str, str, float], ...] = (
    ("Rofr/Rofo/Rofn", "save to the customers that are listed in Schedule B", 0.31),
    ("Change Of Control", "A change of control of Distributor is an assignment", 0.44),
    ("Anti-Assignment", "Neither party may assign this Agreement, in whole or in part", 0.52),
    ("Price Restrictions", "by no more than four per cent (4%)", 0.57),
    ("Renewal Term", "It shall then renew for successive periods of one (1) year", 0.63),
    ("Minimum Commitment", "Distributor shall order Products for at least", 0.71),
    ("Audit Rights", "inspect the", 0.78),
    ("Cap On Liability", "shall exceed the amounts paid by Distributor", 0.83),
    ("Insurance", "product liability insurance", 0.88),
    ("Governing Law", "governed by the laws of the State of New York", 0.93),
    ("Exclusivity", "exclusive distributor", 0.95),
    ("Document Name", "DISTRIBUTION AGREEMENT", 0.98),
)
DECIDED: dict[str, list[dict[str, Any]]] = {
    "Change Of Control": [
        {
            "verdict": "correct",
            "correction": {"category": "Anti-Assignment"},
            "note": "It only widens what counts as an assignment.",
        }
    ],
    "Audit Rights": [{"verdict": "accept"}],
    "Cap On Liability": [{"verdict": "accept"}, {"verdict": "undo"}, {"verdict": "reject"}],
    "Insurance": [{"verdict": "accept"}],
}
STATEMENT = {
    "statement": "balance_sheet",
    "columns": [{"end": "20231231"}, {"end": "20221231"}],
    "rows": [
        {"label": "Assets", "values": [None, None], "unit": None, "heading": True},
        {"label": "Cash and cash equivalents", "values": [41_300, 38_950], "unit": "USD"},
        {"label": "Trade receivables, net", "values": [22_870, 21_440], "unit": "USD"},
        {"label": "Inventories", "values": [18_210, 17_905], "unit": "USD"},
        {"label": "Total current assets", "values": [83_280, 78_295], "unit": "USD"},
        {"label": "Property, plant and equipment, net", "values": [64_015, 61_220], "unit": "USD"},
        {"label": "Total assets", "values": [147_295, 139_515], "unit": "USD"},
    ],
}
FINDING = {
    "filing": "q4",
    "check": "sum_of_rows",
    "severity": "high",
    "confidence": 0.81,
    "statement": "balance_sheet",
    "column": 0,
    "row": 4,
    "rows": [1, 2, 3],
    "label": "Total current assets",
    "reported": 83_280,
    "expected": 82_380,
    "message": "41,300 + 22,870 + 18,210 = 82,380, but Total current assets says 83,280: "
    "900 too much. Two digits may have changed places.",
}


FILING: dict[str, Any] = {"id": "q4", "statements": [STATEMENT]}


def pdf_of(pages: Sequence[Sequence[str]]) -> bytes:
    body = ParagraphStyle("body", fontName="Times-Roman", fontSize=11.5, leading=16, spaceAfter=11)
    title = ParagraphStyle("title", parent=body, fontName="Times-Bold", fontSize=15, spaceAfter=20)
    title.alignment = 1
    story: list[Any] = []
    for number, page in enumerate(pages):
        story += [PageBreak()] if number else []
        story += [
            Paragraph(words, title if number == 0 and at == 0 else body)
            for at, words in enumerate(page)
        ]
    file = io.BytesIO()
    SimpleDocTemplate(
        file,
        pagesize=letter,
        leftMargin=1.1 * inch,
        rightMargin=1.1 * inch,
        invariant=1,
    ).build(story)
    return file.getvalue()


def until(condition: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"waited in vain for {what}")


class Road:
    """The way of claims to review and back, on which a test can hold them up."""

    CLAIM = "/v1/items/claim"

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.there = threading.Event()
        self.back = threading.Event()
        self.open()
        self.waiting = 0
        """Claims that are on the way there."""
        self.tabs: list[dict[str, Any]] = []
        """The tab of each claim."""
        self.answers: list[int] = []
        """The status of every claim that review has answered."""

    def open(self) -> None:
        self.there.set()
        self.back.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pure ASGI. A claim arrives whole, even if the browser has gone in the meantime."""
        if scope["type"] != "http" or scope["path"] != self.CLAIM:
            await self.app(scope, receive, send)
            return
        parts = [await receive()]
        while parts[-1].get("more_body"):
            parts.append(await receive())

        async def replay() -> Part:
            return parts.pop(0) if parts else await receive()

        async def answer(part: Part) -> None:
            if part["type"] == "http.response.start":
                self.answers.append(part["status"])
                await _opened(self.back)
            await send(part)

        body = json.loads(b"".join(part["body"] for part in parts))
        self.tabs.append(body.get("tab") or {})
        self.waiting += 1
        await _opened(self.there)
        self.waiting -= 1
        await self.app(scope, replay, answer)


async def _opened(gate: threading.Event) -> None:
    while not gate.is_set():
        await asyncio.sleep(0.01)


class Stage:
    """Everything behind one address. Close it to stop."""

    def __init__(
        self, folder: Path, *, lease: float = 300.0, port: int = 0, **settings: Any
    ) -> None:
        """`settings` are those of ingest."""
        self.ingest = build_ingest(IngestSettings(data=folder, **settings))
        self.ingest.store.migrate()
        keys = self.ingest.app.state.keys
        self.review = build_review(ReviewSettings(data=folder, review_lease=lease), keys=keys)
        self.review.store.migrate()
        self.escalation = build_escalation(EscalationSettings(data=folder), keys=keys)
        self.escalation.store.migrate()
        self.tenant = "default"
        """Whose documents are uploaded and extracted."""
        self.keys = {name: keys.create("default", name).secret for name in ("ada", "ben")}
        self.results: dict[str, dict[str, list[Any]]] = {}
        self.warnings: dict[str, list[str]] = {}
        self.reports: list[dict[str, Any]] = []
        self.watched: dict[str, list[dict[str, Any]]] = {"items": [], "notices": []}
        self.watched_findings: dict[str, list[dict[str, Any]]] = {"items": [], "notices": []}
        self.contract = self.report = ""
        self.stop = threading.Event()
        self.threads = [
            thread
            for service in (self.ingest, self.review, self.escalation)
            for thread in start_background(service, self.stop)
        ]
        self.road = Road(self.review.app)
        results = create_app("results", [self._results()], [], keys)
        front = create_app("front", [], [], None)
        services = {"ingest": self.ingest.app, "review": self.review.app}
        described = merge({name: app.openapi() for name, app in services.items()})
        front.openapi = lambda: described  # type: ignore[method-assign]
        origin = Dispatcher(
            {
                "ingest": self.ingest.app,
                "review": self.road,
                "extraction": results,
                "triage": results,
                "escalation": self.escalation.app,
            },
            front,
        )
        self.address = f"http://127.0.0.1:{self._serve(origin, port or free_port())}"
        self.http = httpx.Client(
            base_url=self.address,
            headers={"authorization": f"Bearer {self.keys['ada']}"},
            timeout=60,  # seconds: machines that run tests are busy
        )

    def move_to(self, tenant: str) -> None:
        self.keys[tenant] = self.ingest.app.state.keys.create(tenant, tenant).secret
        self.http.headers["authorization"] = f"Bearer {self.keys[tenant]}"
        self.tenant = tenant

    def _serve(self, origin: Dispatcher, port: int) -> int:
        config = uvicorn.Config(origin, host="127.0.0.1", port=port, log_config=None)
        self.server = uvicorn.Server(config)
        self.threads.append(threading.Thread(target=self.server.run, daemon=True))
        self.threads[-1].start()
        until(lambda: self.server.started, "the server")
        return port

    def _results(self) -> APIRouter:
        """Stands in for extraction and triage at `/v1/documents/{id}/clauses` and their kin."""

        def page(limit: int = 50, cursor: str | None = None) -> None:
            """The parameters of every list; all of it is one page here."""

        router = APIRouter(dependencies=[Depends(authenticate), Depends(page)])

        @router.get("/v1/watch")
        def watched() -> dict[str, Any]:
            return {**self.watched, "next": None}

        @router.get("/v1/watch/findings")
        def watched_findings() -> dict[str, Any]:
            return {**self.watched_findings, "next": None}

        @router.get("/v1/reports")
        def by_risk(
            flagged: bool | None = None, min_risk: float = 0.0, order: str = "-risk"
        ) -> dict[str, Any]:
            assert order
            fitting = [one for one in self.reports if one["risk"] >= min_risk]
            if flagged is not None:
                fitting = [one for one in fitting if one["flagged"] == flagged]
            return {"items": fitting, "next": None}

        @router.get("/v1/documents/{document}/{what}")
        def listed(document: str, what: str) -> dict[str, Any]:
            items = self.results.get(document, {}).get(what, [])
            answer = {"items": items, "next": None, "warnings": self.warnings.get(document, [])}
            searched: dict[str, list[Any]] = {"failed_pages": [], "warnings": []}
            return answer | ({"searched": searched} if what == "presence" else {})

        return router

    def upload(self, name: str, data: bytes, kind: str = "contract") -> str:
        answer = self.http.post("/v1/documents", files={"file": (name, data)}, data={"kind": kind})
        assert answer.status_code == 202, answer.text
        document: str = answer.json()["id"]
        until(lambda: self._read(document), f"the reading of {name}")
        return document

    @contextmanager
    def passing_report(self, name: str, data: bytes) -> Iterator[str]:
        """A report that is deleted again, so that its items are in no other test's way."""
        document = self.upload(name, data, "report")
        try:
            yield document
        finally:
            self.http.delete(f"/v1/documents/{document}")
            until(lambda: document not in self.documents(), "the deletion")

    def documents(self) -> set[str]:
        """The documents of the items that are not decided."""
        return {item["document_id"] for item in self.open_items()}

    def _read(self, document: str) -> bool:
        with self.review.store.read() as session:
            return find_document(session, self.tenant, document) is not None

    def rename(self, document: str, name: str) -> None:
        """Give a document a name that ingest would have made harmless, as if it had not."""
        for service in (self.ingest, self.review):
            with service.store.write() as session:
                session.execute(
                    text("UPDATE documents SET name = :name WHERE id = :id"),
                    {"name": name, "id": document},
                )

    def extract(
        self,
        document: str,
        wanted: Sequence[tuple[str, str, float]] = CLAUSES,
        adapter: str = "",
        accepted: float = 1.0,
        *,
        sampled: bool = False,
        omitted: str = "",
        title: DocumentTitle | None = None,
        searched: SearchedContract | None = None,
    ) -> None:
        """Publish clauses of a document.

        Args:
            wanted: (category, words in the text, confidence) of each.
            adapter: the specialist, by default an unknown one.
            accepted: the confidence from which clauses are accepted.
            sampled: whether all clauses are drawn as checks.
            omitted: words that are no part of the clauses around them.
        """
        with self.review.store.read() as session:
            known = find_document(session, self.tenant, document)
        assert known is not None
        assert known.text is not None
        assert known.layout is not None
        blobs = self.review.blobs
        words = blobs.get(self.tenant, known.text).decode()
        reading = ParsedDocument.from_bytes(blobs.get(self.tenant, known.layout), words)
        found = (_clause(reading, document, number, *one) for number, one in enumerate(wanted, 1))
        clauses = [
            {
                **clause,
                "adapter": adapter,
                "route": "accept" if clause["confidence"] >= accepted else "review",
            }
            for clause in found
        ]
        if omitted:
            start = words.index(omitted)
            for clause in clauses:
                clause["omitted"] = [{"start": start, "end": start + len(omitted)}]
        contexts = [
            ClauseContext(one["id"], one["category"], one["confidence"], one["start"], one["text"])
            for one in clauses
        ]
        values = [value.to_json() for value in document_values(contexts)]
        self.results[document] = {"clauses": clauses, "values": values}
        self._announce(
            ClausesExtracted(
                tenant=self.tenant,
                document_id=document,
                name=known.name,
                clauses=blobs.put(self.tenant, json.dumps(clauses).encode()),
                count=len(clauses),
                sampled=tuple(clause["id"] for clause in clauses) if sampled else (),
                adapter="contract-clauses",
                title=title and blobs.put(self.tenant, title.model_dump_json().encode()),
                searched=searched and blobs.put(self.tenant, searched.model_dump_json().encode()),
                adapter_version=SHIPPED,
                adapters=(
                    AdapterVersion(
                        name="contract-clauses",
                        version=SHIPPED,
                        seconds=len(words) / 20_000,
                        tokens=len(words) // 5,
                        quoted=sum(len(clause["text"]) for clause in clauses) // 5,
                    ),
                ),
            ),
            sum(clause["route"] == "review" for clause in clauses),
        )

    def find(
        self,
        document: str,
        findings: Sequence[dict[str, Any]] = (FINDING,),
        filing: dict[str, Any] = FILING,
        signals: Sequence[dict[str, Any]] = (),
        flags: Sequence[dict[str, Any]] = (),
        missing: str | None = None,
        warnings: Sequence[str] = (),
    ) -> None:
        """Announce findings, strong signals and flags, and have their statement at hand, unless it
        is `missing`.
        """
        self.warnings[document] = list(warnings)
        named = [
            {"id": f"fd_{document[-8:]}{number}", **finding}
            for number, finding in enumerate(findings)
        ]
        self.results[document] = {
            "findings": named,
            "statements": [filing],
            "signals": list(signals),
            "narrative-flags": list(flags),
        }
        if missing:
            self.results[document] = {"narrative-flags": list(flags)}
        self._announce(
            FindingsFound(
                document_id=document,
                name="report.json",
                findings=self.review.blobs.put("default", json.dumps(named).encode()),
                count=len(named),
                flagged=not missing,
                risk=0.0 if missing else 0.8,
                missing=missing,
                unreadable=int(bool(missing)),
                signals=self.review.blobs.put("default", json.dumps(list(signals)).encode()),
                narrative=self.review.blobs.put("default", json.dumps(list(flags)).encode()),
            ),
            sum(not one.get("dismissed") for one in named) + len(signals) + len(flags),
        )

    def propose(self, item: dict[str, Any], quote: Quote, why: str) -> None:
        proposal = Proposal(
            verdict="present",
            category=item["category"],
            quotes=(quote,),
            why=why,
            provider="claude",
            model="m-1",
        )
        self.answer(item, proposal)

    def answer(self, item: dict[str, Any], proposal: Proposal) -> None:
        kept = self.review.blobs.put("default", proposal.model_dump_json().encode())
        self._publish(
            EscalationAnswered(
                document_id=item["document_id"],
                stage=item["stage"],
                result_id=item["result_id"],
                answer=kept,
            )
        )
        path = f"/v1/items/{item['id']}"
        until(lambda: self.http.get(path).json()["proposal"], "the proposal")

    def decide_some(self, document: str) -> None:
        """Have Ben decide about four clauses of a document, and change one decision."""
        self.extract(document, [clause for clause in CLAUSES if clause[0] in DECIDED])
        headers = {"authorization": f"Bearer {self.keys['ben']}"}
        for item in self.http.get("/v1/items", params={"document": document}).json()["items"]:
            self.decide(item, *DECIDED[item["category"]], headers=headers)

    def decide(
        self, item: dict[str, Any], *wishes: dict[str, Any], headers: dict[str, str] | None = None
    ) -> None:
        """Claim an item and decide about it, once for each wish."""
        self.http.post("/v1/items/claim", json={"item": item["id"]}, headers=headers)
        for wish in wishes:
            answer = self.http.post(
                "/v1/decisions", json={"item": item["id"], **wish}, headers=headers
            )
            assert answer.status_code == 201, answer.text

    def fail(self, document: str, reason: str) -> None:
        event = DocumentFailed(document_id=document, stage="extraction", code="odd", reason=reason)
        self._publish(event)
        path = f"/v1/documents/{document}"
        until(lambda: self.http.get(path).json()["state"] == "ended", "its end")

    def open_items(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.http.get("/v1/items?limit=200").json()["items"]
        return items

    def _announce(self, event: Event, new: int) -> None:
        def items() -> int:
            return sum(one["document_id"] == event.document_id for one in self.open_items())

        before = items()
        self._publish(event)
        until(lambda: items() == before + new, "the items")

    def _publish(self, event: Event) -> None:
        self.review.bus.publish(Message(key=event.key, value=event.to_json("tests")))

    def close(self) -> None:
        self.http.close()
        self.stop.set()
        self.server.should_exit = True
        join(self.threads, 10)
        self.ingest.close()
        self.review.close()
        self.escalation.close()


@contextmanager
def new_stage(folder: Path, **options: Any) -> Iterator[Stage]:
    """A stage without the developer's own settings."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith("SMALLPRINT_"):
                patch.delenv(name)
        stage = Stage(folder, **options)
        yield stage
        stage.close()


def _clause(
    reading: ParsedDocument,
    document: str,
    number: int,
    category: str,
    words: str,
    confidence: float,
) -> dict[str, Any]:
    start = reading.text.replace("\n", " ").index(words)
    end = start + len(words)
    return {
        "id": f"cl_{document[-8:]}{number}",
        "category": category,
        "text": reading.text[start:end],
        "start": start,
        "end": end,
        "page": reading.page_at(start),
        "confidence": confidence,
        "boxes": [box._asdict() for box in reading.boxes_of(start, end)],
        "value": value_json(category, reading.text[start:end], start),
    }
