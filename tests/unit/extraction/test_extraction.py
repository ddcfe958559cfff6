"""The service: clauses are stored, announced and served."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.extraction.api import presence_of
from services.extraction.domain import CategoryResult, Pass, SearchRecord, search_record
from services.extraction.handlers import extract_clauses, forget_document
from services.extraction.pipeline.search import ClauseSpan, Search
from services.extraction.pipeline.search import Presence as FoundPresence
from services.extraction.values import CATEGORIES as VALUED
from shared.blobs import FileBlobs
from shared.blobs.markers import is_deleted, mark_cancelled, mark_deleted
from shared.bus import Message
from shared.categories import CATEGORIES
from shared.events import (
    CANCELLED,
    ClausesExtracted,
    DocumentDeleted,
    DocumentFailed,
    DocumentReclassified,
    Event,
    Kind,
)
from shared.policy.escalation_value import EscalationRules
from shared.policy.rules import RiskPolicy
from tests.support.killed import Killed, KilledAfterCommit, KilledAfterPut, blobs_below
from tests.support.queue import begin, dead_letters
from tests.unit.extraction.builders import FOOTER, PAGES, TERMS, TEXT, ExtractionService, reading

PATH = "/v1/documents/doc_1/clauses"


def test_a_contract_is_extracted_with_evidence(extraction: ExtractionService) -> None:
    extraction.handle(extraction.read("doc_1"))
    answer = extraction.get()
    assert answer.status_code == 200, answer.text
    law, audit = answer.json()["items"]
    assert (law["category"], law["page"]) == ("Governing Law", 1)
    assert (audit["category"], audit["page"]) == ("Audit Rights", 2)
    for clause in (law, audit):
        assert clause["text"] == TEXT[clause["start"] : clause["end"]]
        assert 0 < clause["confidence"] < 1
        assert clause["id"].startswith("cl_")
        assert clause["boxes"]
        assert {box["page"] for box in clause["boxes"]} == {clause["page"]}
        assert FOOTER not in clause["text"]
    assert law["boxes"][0]["x0"] == law["start"] * 6
    assert answer.json()["next"] is None


def test_what_is_announced_is_what_rest_answers(extraction: ExtractionService) -> None:
    read = extraction.read("doc_1", actor="ada")
    extraction.handle(read)
    (event,) = extraction.announced(ClausesExtracted)
    listed = json.loads(extraction.service.blobs.get("default", event.clauses))
    assert listed == extraction.clauses()
    assert (event.count, event.cause, event.actor) == (2, read.id, "ada")
    assert (event.adapter, event.adapter_version) == ("contract-clauses", "0.0.1")
    assert [(one.name, one.version) for one in event.read_by] == [("contract-clauses", "0.0.1")]


def test_every_named_adapter_reads_the_contract(extraction: ExtractionService) -> None:
    extraction.handle(extraction.read("doc_1", adapters=("contract-clauses", TERMS, TERMS)))
    (event,) = extraction.announced(ClausesExtracted)
    assert (event.adapter, event.count) == ("contract-clauses", 3)
    assert [one.name for one in event.read_by] == ["contract-clauses", TERMS]
    assert all(one.seconds is not None and one.seconds > 0 for one in event.read_by)
    assert all((one.tokens or 0) > (one.quoted or 0) > 0 for one in event.read_by)
    items = extraction.clauses()
    assert [(c["adapter"], c["category"]) for c in items] == [
        (TERMS, "Choice of law"),
        ("contract-clauses", "Governing Law"),
        ("contract-clauses", "Audit Rights"),
    ]
    assert len({c["id"] for c in items}) == 3
    assert json.loads(extraction.service.blobs.get("default", event.clauses)) == items
    for name in ("contract-clauses", TERMS):
        assert extraction.clauses(adapter=name) == [c for c in items if c["adapter"] == name]


def test_only_the_named_adapters_read_a_document(extraction: ExtractionService) -> None:
    extraction.handle(extraction.read("doc_1", adapters=(TERMS,)))
    assert (extraction.specialists.specialist.calls, extraction.specialists.terms.calls) == (0, 1)
    lines = extraction.get("presence").json()["items"]
    assert [(line["adapter"], line["category"], line["present"]) for line in lines] == [
        (TERMS, "Choice of law", True),
        (TERMS, "Arbitration", False),
    ]
    assert extraction.get("values").json()["items"] == []
    for path in ("clauses", "presence", "values"):
        answer = extraction.get(path, adapter="contract-clauses")
        assert answer.status_code == 409
        assert f"but by {TERMS}: reprocess it" in answer.json()["detail"]


def test_a_new_attempt_may_have_other_adapters(extraction: ExtractionService) -> None:
    extraction.handle(extraction.read("doc_1", adapters=(TERMS,)))
    extraction.handle(extraction.read("doc_1", attempt=2))
    items = extraction.clauses()
    assert {c["adapter"] for c in items} == {"contract-clauses"}


def test_a_missing_adapter_is_a_stated_failure(extraction: ExtractionService) -> None:
    extraction.handle(extraction.read("doc_1", adapters=("contract-clauses", "gone")))
    assert extraction.announced(ClausesExtracted) == []
    assert extraction.specialists.specialist.calls == 0


def test_an_event_delivered_twice_is_extracted_once(extraction: ExtractionService) -> None:
    read = extraction.read("doc_1")
    extraction.handle(read)
    ids = [c["id"] for c in extraction.clauses()]
    extraction.service.bus.publish(Message(key=read.key, value=read.to_json("ingest")))
    extraction.work()
    assert len(extraction.announced(ClausesExtracted)) == 1
    assert extraction.specialists.specialist.calls == 1
    extraction.handle(extraction.read("doc_1", attempt=2))
    assert [c["id"] for c in extraction.clauses()] == ids


def test_a_report_is_left_to_triage(extraction: ExtractionService) -> None:
    extraction.handle(
        extraction.ingested("doc_1", kind="report"), extraction.read("doc_1", kind="report")
    )
    assert extraction.specialists.specialist.calls == 0
    answer = extraction.get()
    assert answer.status_code == 409
    assert "kind is report" in answer.json()["detail"]


def test_no_clauses_is_a_result(extraction: ExtractionService) -> None:
    extraction.handle(extraction.read("doc_1", "Nothing of note."))
    assert extraction.get().json() == {
        "items": [],
        "provisional": False,
        "pages": None,
        "risks": [],
        "missed": [],
        "next": None,
    }
    (event,) = extraction.announced(ClausesExtracted)
    assert event.count == 0


def test_an_unknown_document_is_not_found(extraction: ExtractionService) -> None:
    answer = extraction.get(document="doc_none")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["document"] == "doc_none"


def test_an_unfinished_document_says_so(extraction: ExtractionService) -> None:
    extraction.handle(extraction.ingested("doc_1"))
    answer = extraction.get()
    assert answer.status_code == 409
    assert "it has not been processed yet" in answer.json()["detail"]
    extraction.handle(
        DocumentFailed(document_id="doc_1", stage="ingest", code="encrypted", reason="locked")
    )
    assert "failed (encrypted: locked)" in extraction.detail()


def test_a_layout_of_another_text_fails(extraction: ExtractionService) -> None:
    read = extraction.read("doc_1")
    other = extraction.read("doc_2", "Another text.")
    extraction.handle(read.model_copy(update={"layout": other.layout}))
    (failed,) = extraction.announced(DocumentFailed)
    assert (failed.stage, failed.document_id) == ("extraction", "doc_1")
    assert len(dead_letters(extraction.service)) == 1
    assert extraction.get().status_code in (404, 409)


def test_a_deleted_document_is_forgotten_for_good(extraction: ExtractionService) -> None:
    read = extraction.read("doc_1")
    extraction.handle(read)
    (event,) = extraction.announced(ClausesExtracted)
    extraction.handle(DocumentDeleted(document_id="doc_1"))
    assert extraction.get().status_code == 404
    path = extraction.service.settings.blobs / "default" / event.clauses.sha256[:2]
    assert not (path / event.clauses.sha256).exists()
    extraction.handle(extraction.read("doc_1"), extraction.ingested("doc_1", attempt=2))
    assert extraction.get().status_code == 404
    assert not extraction.announced(ClausesExtracted)


def event(extraction: ExtractionService, step: str) -> Event:
    """An event about doc_1, such as `read 2`: its name and its attempt."""
    name, _, number = step.partition(" ")
    attempt = int(number or 1)
    if name == "ingested":
        return extraction.ingested("doc_1", attempt=attempt)
    if name == "cancelled":
        return DocumentFailed(
            document_id="doc_1", stage="ingest", code=CANCELLED, reason="ann stopped it"
        )
    if name in KINDS:
        kind, previous = KINDS[name]
        given = {"attempt": int(number)} if number else {}
        return DocumentReclassified(document_id="doc_1", kind=kind, previous=previous, **given)
    read = extraction.read("doc_1", attempt=attempt)
    return read.model_copy(update={"kind": "report"}) if name == "read-as-report" else read


KINDS: dict[str, tuple[Kind, Kind]] = {
    "to-report": ("report", "contract"),
    "to-contract": ("contract", "report"),
    "confirmed": ("contract", "contract"),
}
TO_REPORT = "ingested, read, to-report, read"
WITHDRAWN = "ingested, read, to-report 2, read"


@pytest.mark.parametrize(
    ("steps", "result"),
    [
        (TO_REPORT, "kind is report"),
        (f"{TO_REPORT}, to-contract, ingested 2, read 2", 2),
        (WITHDRAWN, "kind is report"),
        (f"{WITHDRAWN}, to-contract 3", "it has not been processed yet"),
        (f"{WITHDRAWN}, to-contract 3, read 3, to-report 2, to-contract 3", 2),
        ("ingested, read, confirmed 1", 2),
        ("ingested, read-as-report", "kind is report"),
        ("ingested, read, cancelled, read", "cancelled: ann stopped"),
        ("ingested, cancelled, read", "cancelled: ann stopped"),
        ("cancelled, ingested, read", "cancelled: ann stopped"),
        ("ingested, cancelled, ingested 2, read 2, cancelled", 2),
        ("ingested 2, read 1", "it has not been processed yet"),
    ],
)
def test_events_decide_whether_a_document_has_clauses(
    extraction: ExtractionService, steps: str, result: str | int
) -> None:
    for step in steps.split(", "):
        extraction.handle(event(extraction, step))
    if isinstance(result, int):
        assert len(extraction.clauses()) == result
    else:
        assert extraction.get().status_code == 409
        assert result in extraction.detail()


@pytest.mark.parametrize("steps", ["cancelled, ingested, read", "ingested 2, read 1"])
def test_outdated_requests_are_skipped(extraction: ExtractionService, steps: str) -> None:
    for step in steps.split(", "):
        extraction.handle(event(extraction, step))
    assert extraction.specialists.specialist.calls == 0
    assert extraction.announced(ClausesExtracted) == []


def test_a_cancellation_mark_comes_before_its_event(extraction: ExtractionService) -> None:
    mark_cancelled(FileBlobs(extraction.service.settings.blobs), "default", "doc_1", 1)
    extraction.handle(extraction.ingested("doc_1"), extraction.read("doc_1"))
    assert extraction.specialists.specialist.calls == 0
    assert extraction.announced(ClausesExtracted) == []


def test_lists_go_on_at_the_cursor_and_filter(extraction: ExtractionService) -> None:
    extraction.handle(extraction.read("doc_1", *(page.replace(FOOTER, "") for page in PAGES)))
    first = extraction.get(limit=1).json()
    second = extraction.get(limit=1, cursor=first["next"]).json()
    assert [c["category"] for c in (*first["items"], *second["items"])] == [
        "Governing Law",
        "Audit Rights",
    ]
    assert second["next"] is None
    for wanted in ("Audit Rights", "audit rights", ["Audit Rights", "Insurance"]):
        assert [c["category"] for c in extraction.clauses(category=wanted)] == ["Audit Rights"]
    assert extraction.clauses(category="Non-Compete") == []
    assert extraction.get(category="Audit").status_code == 422
    assert extraction.get(cursor="x").status_code == 422


def test_presence_answers_for_every_category(extraction: ExtractionService) -> None:
    extraction.handle(extraction.read("doc_1"))
    answer = extraction.get("presence").json()
    items = answer["items"]
    assert [line["category"] for line in items] == list(CATEGORIES)
    assert len(items) == len(set(CATEGORIES)) == 41
    there = {line["category"]: line["confidence"] for line in items if line["present"]}
    assert set(there) == {"Governing Law", "Audit Rights"}
    assert all(line["confidence"] is None for line in items if not line["present"])
    expected = {"characters": len(TEXT), "pages": 2, "failed_pages": [], "warnings": []}
    assert answer["searched"] == expected
    lines = {line["category"]: line for line in items}
    law = lines["Governing Law"]
    assert law["probability"] > 0.5
    nearest = law["nearest"]
    assert nearest["text"] == TEXT[nearest["start"] : nearest["end"]]
    assert "Utah" in nearest["text"]
    assert lines["Insurance"]["probability"] < 0.5
    assert not lines["Insurance"]["present"]
    assert lines["Insurance"]["clauses"] == 0


def test_a_long_passage_is_kept_in_part() -> None:
    text = "law " * 400
    clause = ClauseSpan("Governing Law", text, 0, len(text), 0.2)
    found = Search([], [FoundPresence("Governing Law", 0.1, clause)])
    (line,) = search_record(found, reading(text)).categories
    assert line.nearest
    assert (line.nearest.text, line.nearest.end) == (text[:500], 500)


def test_a_clause_has_its_value(extraction: ExtractionService) -> None:
    extraction.handle(extraction.read("doc_1"))
    law, audit = extraction.clauses()
    value = law["value"]
    assert (value["kind"], value["status"], value["value"]) == ("jurisdiction", "stated", "Utah")
    assert value["text"] == TEXT[value["start"] : value["end"]] == "Utah"
    assert value["other_values"] == []
    assert audit["value"] is None


def test_values_answer_for_every_category_that_has_them(extraction: ExtractionService) -> None:
    extraction.handle(extraction.read("doc_1"))
    answer = extraction.get("values")
    assert answer.status_code == 200, answer.text
    lines = {line["category"]: line for line in answer.json()["items"]}
    assert list(lines) == list(VALUED)
    clauses = extraction.clauses()
    law, insurance = lines["Governing Law"], lines["Insurance"]
    assert (law["value"], law["clause_id"]) == ("Utah", clauses[0]["id"])
    assert insurance["status"] == "not_stated"
    assert (insurance["text"], insurance["clause_id"]) == (None, None)


def test_presence_takes_the_surest_clause() -> None:
    looked = CategoryResult("Insurance", 0.7, None), CategoryResult("Parties", 0.2, None)
    found = [("Insurance", 0.6), ("Insurance", 0.9)]
    first, second = presence_of(found, Pass("a", "1.0.0", SearchRecord(100, 1, (), looked)))
    assert (first.confidence, first.clauses) == (0.9, 2)
    assert (first.present, first.probability) == (True, 0.7)
    assert (second.confidence, second.clauses, second.present) == (None, 0, False)


def test_the_api_needs_no_model(extraction: ExtractionService) -> None:
    del extraction.client.headers["authorization"]
    assert extraction.get().status_code == 401
    assert extraction.client.get("/readyz").status_code == 200


@pytest.mark.parametrize("odd", ["%00", "doc_%00", "%F0%9F%98%80", "a" * 65])
def test_an_invalid_id_is_refused_before_the_database(
    extraction: ExtractionService, odd: str
) -> None:
    paths = [f"{odd}/{what}" for what in ("clauses", "presence", "values")]
    for path in (*paths, "doc_1/clauses?category=%00", "doc_1/clauses?category=Law%0A"):
        answer = extraction.client.get(f"/v1/documents/{path}")
        assert answer.status_code in (404, 422), answer.text
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_text_beyond_the_limit_is_a_stated_failure(tmp_path: Path) -> None:
    extraction = ExtractionService(tmp_path, extraction_max_characters=len(TEXT) - 1)
    extraction.handle(extraction.ingested("doc_1"), extraction.read("doc_1"))
    (failed,) = extraction.announced(DocumentFailed)
    assert (failed.stage, failed.code) == ("extraction", "document_too_large")
    assert "SMALLPRINT_EXTRACTION_MAX_CHARACTERS" in failed.reason
    assert extraction.specialists.specialist.calls == 0
    assert not dead_letters(extraction.service)
    answer = extraction.get()
    assert answer.status_code == 409
    assert "document_too_large" in answer.json()["detail"]
    extraction.close()


@pytest.mark.parametrize("gone", ["text", "layout"])
def test_a_document_deleted_while_waiting_is_skipped(
    extraction: ExtractionService, gone: str
) -> None:
    read = extraction.read("doc_1")
    extraction.service.blobs.delete("default", getattr(read, gone))
    mark_deleted(FileBlobs(extraction.service.settings.blobs), "default", "doc_1")
    extraction.handle(read, DocumentDeleted(document_id="doc_1"))
    assert extraction.announced(DocumentFailed) == []
    assert not dead_letters(extraction.service)


def test_a_missing_blob_is_a_failure(extraction: ExtractionService) -> None:
    read = extraction.read("doc_1")
    extraction.service.blobs.delete("default", read.text)
    extraction.handle(read)
    (failed,) = extraction.announced(DocumentFailed)
    assert failed.code == "missing_blob"
    assert len(dead_letters(extraction.service)) == 1


def test_an_interrupted_deletion_leaves_no_clause(extraction: ExtractionService) -> None:
    read = extraction.read("doc_1")
    extraction.handle(read)
    (event,) = extraction.announced(ClausesExtracted)
    deleted = DocumentDeleted(document_id="doc_1")
    begin(extraction.service.store, deleted)
    uow = KilledAfterCommit(extraction.service.store, deleted)
    with pytest.raises(Killed):
        forget_document(deleted, uow, extraction.service.blobs)
    assert event.clauses.sha256 not in blobs_below(extraction.service.settings.blobs)
    assert is_deleted(extraction.service.blobs, "default", "doc_1")


def test_unannounced_clauses_are_deleted_with_the_document(
    extraction: ExtractionService,
) -> None:
    read = extraction.read("doc_1")
    before = blobs_below(extraction.service.settings.blobs)
    with pytest.raises(Killed):
        extract_clauses(
            read,
            KilledAfterPut(extraction.service.store, read),
            extraction.service.blobs,
            extraction.specialists.get,
            "contract-clauses",
            1000,
            RiskPolicy(),
            EscalationRules(),
        )
    assert len(blobs_below(extraction.service.settings.blobs)) == len(before) + 2
    extraction.handle(DocumentDeleted(document_id="doc_1"))
    assert blobs_below(extraction.service.settings.blobs) == before


def test_contracts_of_much_text_are_searched_beside_the_others(
    extraction: ExtractionService,
) -> None:
    most = extraction.service.settings.extraction_large_text  # type: ignore[attr-defined]
    event = extraction.read("doc_1")
    large = event.text.model_copy(update={"size": most})
    is_large = extraction.service.large
    assert not is_large(event)
    assert is_large(event.model_copy(update={"text": large}))
    assert not is_large(event.model_copy(update={"text": large, "kind": "report"}))
    assert not is_large(DocumentDeleted(document_id="doc_1"))
