"""One event of every type with fixed ids and times."""

from datetime import UTC, datetime
from typing import Any

from shared.events import (
    AdapterVersion,
    BlobRef,
    ClausesExtracted,
    DocumentAssigned,
    DocumentDeleted,
    DocumentFailed,
    DocumentIngested,
    DocumentRead,
    DocumentReclassified,
    EscalationAnswered,
    EscalationRequested,
    Event,
    FindingsFound,
    FirstPagesRead,
    FurtherQuestion,
    ReviewDecided,
)

DOCUMENT = "doc_" + "7" * 32


def blob(digit: str, size: int = 1000) -> BlobRef:
    return BlobRef(sha256=digit * 64, size=size)


def _common(number: int) -> dict[str, Any]:
    return {
        "id": f"{number:032x}",
        "time": datetime(2026, 3, 1, 12, 0, number, 250_000, tzinfo=UTC),
        "tenant": "default",
        "document_id": DOCUMENT,
        "actor": "alice",
        "cause": f"{number + 100:032x}",
        "trace": "00-" + "a" * 32 + "-" + "b" * 16 + "-01",
    }


SAMPLES: tuple[Event, ...] = (
    DocumentIngested(
        **_common(1),
        name="lease.pdf",
        media_type="application/pdf",
        kind="contract",
        original=blob("1"),
        attempt=2,
        adapters=("contract-clauses", "unfair-terms"),
    ),
    DocumentRead(
        **_common(2),
        name="lease.pdf",
        media_type="application/pdf",
        kind="contract",
        original=blob("1"),
        text=blob("2"),
        layout=blob("3"),
        pages=12,
        failed_pages=(4, 7),
        kind_confidence=0.625,
        kind_unsure=True,
        escalated=("doc_77777777777777777777777777777777",),
        adapters=("contract-clauses", "unfair-terms"),
    ),
    DocumentReclassified(**_common(3), kind="report", previous="contract", attempt=2),
    DocumentFailed(
        **_common(4),
        stage="extraction",
        code="gave_up",
        reason="given up after 5 tries that ended without an answer",
    ),
    DocumentDeleted(**_common(5)),
    ClausesExtracted(
        **_common(6),
        name="lease.pdf",
        clauses=blob("4"),
        count=17,
        accepted=5,
        sampled=("cl_00000000000000000000000000000001",),
        adapter="contract-clauses",
        adapter_version="1.0.0",
        adapters=(
            AdapterVersion(
                name="contract-clauses", version="1.0.0", seconds=2.5, tokens=9000, quoted=700
            ),
            AdapterVersion(
                name="unfair-terms", version="2.1.0", seconds=1.25, tokens=9000, quoted=0
            ),
        ),
        warnings=("most of it is not in English",),
        title=blob("6"),
        searched=blob("5"),
    ),
    FindingsFound(
        **_common(7),
        name="report.json",
        findings=blob("5"),
        count=2,
        accepted=1,
        sampled=("fd_00000000000000000000000000000001",),
        flagged=True,
        risk=0.75,
        missing="no statement was found in it",
        warnings=("no cash flow was found",),
        model="triage-breaks 1.0.0",
        signals=blob("8"),
        narrative=blob("9"),
        adapters=(
            AdapterVersion(
                name="triage-breaks", version="1.0.0", seconds=0.5, tokens=58000, quoted=300
            ),
        ),
        title=blob("6"),
        coverage="Balance sheet only; 12 relations checked, none broken.",
    ),
    EscalationRequested(
        **_common(8),
        stage="extraction",
        result_id="cl_" + "8" * 32,
        question=blob("6"),
        further=(FurtherQuestion(result_id="cl_" + "9" * 32, question=blob("8")),),
        attempt=2,
    ),
    EscalationAnswered(
        **_common(9),
        stage="extraction",
        result_id="cl_" + "8" * 32,
        answer=blob("7"),
        question=blob("6"),
        attempt=2,
    ),
    ReviewDecided(
        **_common(10),
        item_id="it_" + "9" * 32,
        stage="extraction",
        result_id="cl_" + "8" * 32,
        decision_id="de_" + "a" * 32,
        verdict="correct",
        correction={"category": "Parties", "start": 10, "end": 25},
        note="It names who signs.",
        wrong=True,
    ),
    FirstPagesRead(
        **_common(11),
        kind="contract",
        text=blob("2"),
        pages=(1, 2, 4),
        starts=(0, 2000, 4100),
        adapters=("contract-clauses",),
    ),
    DocumentAssigned(**_common(12), assignee="bob"),
)
