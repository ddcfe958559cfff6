"""A run in which all is well, for tests to put one thing of it wrong."""

from __future__ import annotations

import copy
import hashlib
from dataclasses import replace
from typing import Any

from tests.chaos.documents import make_documents
from tests.chaos.events import SeenEvent
from tests.chaos.evidence import Evidence, StateAtRest
from tests.chaos.facts import Facts
from tests.chaos.frontier import Bills
from tests.chaos.people import Claim, ClientRecord
from tests.chaos.receiver import ReceivedMessage

PAPER = make_documents(1, 1)[0]
TEXT = PAPER.data.decode()
DECISION = ("it_1", "accept", "ann")
FURTHER = [{"result_id": "cl_2"}]


def sound() -> Evidence:
    """One contract with one clause, decided by one person, and everything as it should be."""
    paper = copy.deepcopy(PAPER)
    paper.id = "doc_1"
    record = ClientRecord(sent=[paper], attempted={"de_1"}, decisions={"de_1": DECISION})
    record.claims.append(Claim("it_1", "ann", 1.0, 2.0))
    record.states["doc_1"] = [(1, "received"), (1, "processing"), (1, "ended")]
    clause = {"id": "cl_1", "category": "Document Name", "start": 0, "end": 6, "text": TEXT[:6]}
    sha256 = hashlib.sha256(paper.data).hexdigest()
    item = {"id": "it_1", "document_id": "doc_1", "result_id": "cl_1", "about": "clause"}
    item["state"] = "decided"
    verdict = {
        "document_id": "doc_1",
        "item_id": "it_1",
        "stage": "extraction",
        "result_id": "cl_1",
        "verdict": "accept",
        "actor": "ann",
    }
    fields = {"kind": "contract", "attempt": 1, "outcome": "complete", "pages": 1}
    document = {"id": "doc_1", "sha256": sha256, "state": "ended", **fields}
    facts = Facts(
        documents=[{**document, "reasons": [], "failed_pages": []}],
        items=[{**item, "verdict": "accept"}],
        decisions=[{"id": "de_1", **verdict}],
        deliveries=[delivery(number) for number in (3, 2, 1)],
        costs=_costs(),
        results={"doc_1": [clause]},
        originals={"doc_1": sha256},
        texts={"doc_1": TEXT},
        pages={"doc_1": [{"page": 1, "start": 0, "end": len(TEXT)}]},
    )
    link = "/v1/documents/doc_1"
    ended = {**fields, "reasons": [], "failed_page_count": 0, "links": {"document": link}}
    links = {"document": link, "clauses": f"{link}/clauses"}
    read = {"document_id": "doc_1", "attempt": 1, "count": 1, "links": links}
    decided = {**verdict, "links": {"document": link, "item": "/v1/items/it_1"}}
    messages = [
        ReceivedMessage("msg_1", "document.ended", {"document_id": "doc_1", **ended}, 1.0),
        ReceivedMessage("msg_2", "clauses.extracted", read, 2.0),
        ReceivedMessage("msg_3", "review.decided", {"decision_id": "de_1", **decided}, 3.0),
    ]
    text = {"sha256": sha256, "size": len(paper.data)}
    events = (
        event("1", "document.ingested.v1", None),
        event("2", "document.read.v1", "1", text=text, pages=1),
        event("3", "clauses.extracted.v1", "2", adapters=[{"tokens": 50}]),
        event("q", "escalation.requested.v1", "2", result_id="cl_1", further=FURTHER),
        event("a", "escalation.answered.v1", "q", result_id="cl_1", answer={"key": "a"}),
        event("b", "escalation.answered.v1", "q", result_id="cl_2", answer=None),
        event("4", "review.decided.v1", None, decision_id="de_1"),
    )
    record.spent["2026-01"], record.caps = 0.0045, {0.5}
    before = StateAtRest(
        items={"it_1"},
        ended={"doc_1"},
        webhooks={one.id for one in messages},
        booked={("doc_1", 1, 50)},
        events={one.id for one in events},
    )
    return Evidence(
        record=record,
        facts=facts,
        messages=messages,
        seen={one.id: one for one in events},
        hits=[],
        before=before,
        billed=Bills(calls=1, tokens_in=1000, tokens_out=100),
        cap=500_000,
        short={"ann": 0, "bob": 0},
    )


def _costs() -> dict[str, Any]:
    """One document was read, and one call made about it."""
    return {
        "usd": 0.0045,
        "items": [
            {
                "provider": "stand-in",
                "calls": 1,
                "usd": 0.0045,
                "uncertain_usd": 0.0,
                "reserved_usd": 0.0,
                "tokens_in": 1000,
                "tokens_out": 100,
            }
        ],
        "groups": [
            {
                "key": "doc_1",
                "documents": 1,
                "tokens_read": 50,
                "calls": 1,
                "usd": 0.0045,
                "uncertain_usd": 0.0,
                "reserved_usd": 0.0,
                "tokens_in": 1000,
                "tokens_out": 100,
            }
        ],
        "budgets": [{"period": "2026-01", "usd": 0.0045, "max_usd": 0.5}],
    }


def delivery(number: int) -> dict[str, object]:
    """A line in the log of a webhook that came at the first try."""
    tries = [{"error": None}]
    message = {"id": f"dl_{number}", "message_id": f"msg_{number}", "attempts": tries}
    return {**message, "document_id": "doc_1", "type": "a type", "state": "delivered"}


def event(name: str, kind: str, cause: str | None, **data: object) -> SeenEvent:
    """Of the document, as it was heard on the bus."""
    return SeenEvent(name, kind, "default/doc_1", cause, data)


def again(evidence: Evidence, *times: float, of: int = 2) -> None:
    """A message comes again at some moments; the last one came for the first time at 3.0."""
    evidence.messages += [replace(evidence.messages[of], at=at) for at in times]
