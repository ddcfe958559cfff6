"""Handlers: reading, projection, deletion, and late or repeated events."""

from __future__ import annotations

import pytest

from services.ingest.commands import delete
from services.ingest.handlers import read_document
from shared import metrics
from shared.blobs.markers import is_deleted
from shared.documents import Limits, ParsedDocument
from shared.errors import UnreadableDocument
from shared.events import DocumentFailed, DocumentIngested, DocumentRead, DocumentTitle
from shared.messaging import Inbox, UnitOfWork
from tests.support.killed import Killed, KilledAfterPut
from tests.support.queue import dead_letters
from tests.unit.ingest.builders import (
    SENTENCE,
    IngestService,
    InProcessReader,
    NewIngest,
    actor,
    clauses_extracted,
    document_failed,
    pdf,
    titled,
)

LIMITS = Limits()
TEXT = "Das Übereinkommen gilt für 1 € …\r\nSecond line\n".encode()


def ended(outcome: str, kind: str) -> float:
    return float(metrics.documents_total.labels(outcome, kind)._value.get())


def test_a_contract_goes_from_received_to_complete(any_ingest: IngestService) -> None:
    before = ended("complete", "contract")
    document = any_ingest.upload_new(pdf(SENTENCE, "Second page."))
    any_ingest.relay.run_once()
    any_ingest.worker.run_until_idle()
    assert any_ingest.state(document)["state"] == "read"
    any_ingest.run()
    state = any_ingest.state(document)
    assert (state["state"], state["pages"], state["failed_pages"]) == ("processing", 2, [])
    any_ingest.publish(clauses_extracted(document))
    state = any_ingest.state(document)
    assert (state["state"], state["outcome"], state["reasons"]) == ("ended", "complete", [])
    assert state["ended"]
    assert ended("complete", "contract") == before + 1


def test_a_document_has_the_title_of_its_result(any_ingest: IngestService) -> None:
    document = any_ingest.read_new(pdf(SENTENCE))
    state = any_ingest.state(document)
    assert (state["title"], state["parties"]) == (None, [])
    title = DocumentTitle(title="Lease · Array / Ono", parties=("Array", "Ono"))
    any_ingest.publish(titled(any_ingest, document, title))
    [listed] = any_ingest.client.get("/v1/documents").json()["items"]
    [hit] = any_ingest.client.get("/v1/search", params={"q": "agreement"}).json()["items"]
    for one in (any_ingest.state(document), listed, hit):
        assert (one["title"], one["parties"]) == ("Lease · Array / Ono", ["Array", "Ono"])
    any_ingest.client.put(f"/v1/documents/{document}/kind", json={"kind": "report"})
    assert any_ingest.state(document)["title"] is None


def test_a_title_of_an_older_attempt_is_ignored(ingest: IngestService) -> None:
    document = ingest.complete_new(pdf(SENTENCE))
    ingest.client.post(f"/v1/documents/{document}/reprocess")
    ingest.publish(titled(ingest, document, DocumentTitle(title="Lease")))
    assert ingest.state(document)["title"] is None


def test_the_announced_blobs_are_the_stored_ones(any_ingest: IngestService) -> None:
    document = any_ingest.read_new(TEXT, "a.txt")
    [event] = any_ingest.published(DocumentRead)
    blobs = any_ingest.service.blobs
    text = blobs.get("default", event.text)
    assert text == TEXT
    reading = ParsedDocument.from_bytes(blobs.get("default", event.layout), text.decode())
    assert (reading.page_count, event.pages, event.failed_pages) == (1, 1, ())
    assert (event.name, event.kind, event.document_id) == ("a.txt", "contract", document)
    assert any_ingest.client.get(f"/v1/documents/{document}/text").content == TEXT


@pytest.mark.usefixtures("no_engine")
def test_failed_pages_are_listed_with_reasons(any_ingest: IngestService) -> None:
    document = any_ingest.complete_new(pdf(SENTENCE, "", SENTENCE))
    state = any_ingest.state(document)
    assert (state["outcome"], state["pages"]) == ("partial", 3)
    [page] = state["failed_pages"]
    assert (page["page"], page["code"]) == (2, "no_text_layer")
    assert state["reasons"] == [f"page 2: no_text_layer: {page['reason']}"]
    [event] = any_ingest.published(DocumentRead)
    assert event.failed_pages == (2,)


@pytest.mark.usefixtures("no_engine")
@pytest.mark.parametrize("data", [pdf(""), b"%PDF-1.7\nnothing of the kind", pdf()[:300]])
def test_an_unreadable_document_fails_with_a_reason(any_ingest: IngestService, data: bytes) -> None:
    before = ended("failed", "contract")
    document = any_ingest.read_new(data)
    state = any_ingest.state(document)
    assert (state["state"], state["outcome"]) == ("ended", "failed")
    code, _, sentence = state["reasons"][0].partition(": ")
    assert code in ("no_text_layer", "unreadable_document", "empty_document")
    assert len(sentence) > 10
    [event] = any_ingest.published(DocumentFailed)
    assert (event.stage, event.code, event.document_id) == ("ingest", code, document)
    assert dead_letters(any_ingest.service) == []
    assert ended("failed", "contract") == before + 1
    answer = any_ingest.client.get(f"/v1/documents/{document}/text")
    assert answer.status_code == 409
    assert code in answer.json()["detail"]


def test_events_of_an_old_attempt_are_ignored(any_ingest: IngestService) -> None:
    document = any_ingest.complete_new(pdf())
    answer = any_ingest.client.post(f"/v1/documents/{document}/reprocess")
    assert answer.status_code == 202
    assert (answer.json()["state"], answer.json()["attempt"]) == ("received", 2)
    any_ingest.publish(document_failed(document, attempt=1), clauses_extracted(document, attempt=1))
    state = any_ingest.state(document)
    assert (state["state"], state["outcome"]) == ("processing", None)
    any_ingest.publish(clauses_extracted(document, attempt=2))
    assert any_ingest.state(document)["outcome"] == "complete"


def test_reprocessing_waits_for_the_end(ingest: IngestService) -> None:
    document = ingest.upload_new(pdf())
    assert ingest.client.post(f"/v1/documents/{document}/reprocess").status_code == 409
    poem = ingest.upload_new(TEXT, "poem.txt", kind="other")
    answer = ingest.client.post(f"/v1/documents/{poem}/reprocess")
    assert answer.status_code == 409
    assert "kind" in answer.json()["detail"]


def test_a_defect_of_the_reader_is_retried_then_a_dead_letter(new_ingest: NewIngest) -> None:
    def broken(data: bytes) -> bytes:
        raise ZeroDivisionError("a defect of ours")

    reader = InProcessReader()
    works, reader.before = reader.before, broken
    ingest = new_ingest(reader, attempts=2, retry_delay=0.01)
    document = ingest.upload_new(pdf())
    for _ in range(50):
        ingest.run()
        if ingest.state(document)["state"] == "ended":
            break
        ingest.worker.run_once(0.05)
    state = ingest.state(document)
    assert state["outcome"] == "failed"
    assert "internal error in ingest" in state["reasons"][0]
    assert "ZeroDivisionError" not in str(state)
    [letter] = dead_letters(ingest.service)
    reader.before = works
    Inbox(ingest.service.store).replay(letter)
    ingest.run()
    assert ingest.state(document)["pages"] == 1
    ingest.publish(clauses_extracted(document))
    assert ingest.state(document)["outcome"] == "complete"


def test_a_deletion_removes_everything_but_the_tombstone(any_ingest: IngestService) -> None:
    document = any_ingest.read_new(pdf(), "Very Private.pdf")
    assert any_ingest.client.get(f"/v1/documents/{document}/pages/1.png").status_code == 200
    assert len(any_ingest.blob_names()) == 4
    assert any_ingest.client.delete(f"/v1/documents/{document}").status_code == 204
    for path in ("", "/text", "/original", "/pages/1.png"):
        assert any_ingest.client.get(f"/v1/documents/{document}{path}").status_code == 404
    assert any_ingest.client.delete(f"/v1/documents/{document}").status_code == 404
    assert any_ingest.client.get("/v1/documents").json()["items"] == []
    any_ingest.run()
    assert any_ingest.blob_names() == set()
    any_ingest.publish(clauses_extracted(document), document_failed(document))
    assert any_ingest.client.get(f"/v1/documents/{document}").status_code == 404
    again = any_ingest.upload(pdf())
    assert again.status_code == 202
    assert again.json()["id"] != document


def test_a_shared_blob_stays_after_one_deletion(any_ingest: IngestService) -> None:
    one, two = pdf(), pdf() + b"\n% the same text in other bytes\n"
    first, second = any_ingest.upload_new(one), any_ingest.upload_new(two)
    any_ingest.run()
    assert len(any_ingest.blob_names()) == 4  # two originals, one text, one layout
    any_ingest.delete(first)
    assert len(any_ingest.blob_names()) == 3
    assert any_ingest.client.get(f"/v1/documents/{second}/text").text.strip() == SENTENCE
    any_ingest.delete(second)
    assert any_ingest.blob_names() == set()


def test_the_blobs_of_another_tenant_stay(any_ingest: IngestService) -> None:
    acme = any_ingest.client_for("acme")
    mine = any_ingest.upload_new(pdf())
    theirs = any_ingest.upload(pdf(), client=acme).json()["id"]
    any_ingest.run()
    any_ingest.delete(mine)
    assert any_ingest.blob_names() == set()
    assert acme.get(f"/v1/documents/{theirs}/text").text.strip() == SENTENCE


def test_a_document_deleted_while_it_is_read_leaves_nothing(new_ingest: NewIngest) -> None:
    reader = InProcessReader()
    ingest = new_ingest(reader)
    document = ingest.upload_new(pdf())
    reader.after = lambda: delete(ingest.service.store, actor(), document)
    ingest.run()
    assert ingest.blob_names() == set()
    assert ingest.published(DocumentRead) == []


def test_a_new_text_replaces_the_old_text(new_ingest: NewIngest) -> None:
    def fail(data: bytes) -> bytes:
        raise UnreadableDocument("not any more")

    reader = InProcessReader()
    ingest = new_ingest(reader)
    document = ingest.complete_new(b"one", "a.txt", kind="contract")
    assert len(ingest.blob_names()) == 2  # the text of a text file is its very bytes
    reader.before = lambda data: data + b" and two"
    ingest.client.post(f"/v1/documents/{document}/reprocess")
    ingest.run()
    assert ingest.client.get(f"/v1/documents/{document}/text").text == "one and two"
    assert len(ingest.blob_names()) == 3
    ingest.publish(clauses_extracted(document, attempt=2))
    reader.before = fail
    ingest.client.post(f"/v1/documents/{document}/reprocess")
    ingest.run()
    assert ingest.state(document)["reasons"] == ["unreadable_document: not any more"]
    assert len(ingest.blob_names()) == 1


def test_events_of_unknown_documents_are_ignored(ingest: IngestService) -> None:
    mine = ingest.read_new(pdf())
    ingest.publish(clauses_extracted("doc_unknown"), clauses_extracted(mine, tenant="acme"))
    assert ingest.state(mine)["state"] == "processing"
    assert dead_letters(ingest.service) == []


def test_a_rejected_document_is_not_read(ingest: IngestService) -> None:
    document = ingest.upload_new(TEXT, "poem.txt", kind="other")
    [event] = ingest.published(DocumentIngested)
    reader = InProcessReader()
    reader.after = lambda: pytest.fail("it was read")
    read_document(event, UnitOfWork(ingest.service.store), ingest.service.blobs, reader, LIMITS)
    assert ingest.state(document)["pages"] is None


def test_blobs_of_a_killed_reader_are_deleted_with_the_document(any_ingest: IngestService) -> None:
    document = any_ingest.upload_new(pdf())
    [event] = any_ingest.published(DocumentIngested)
    store, blobs = any_ingest.service.store, any_ingest.service.blobs
    with pytest.raises(Killed):
        read_document(event, KilledAfterPut(store, event), blobs, InProcessReader(), LIMITS)
    assert len(any_ingest.blob_names()) == 3
    any_ingest.delete(document)
    assert any_ingest.blob_names() == set()


def test_a_deletion_leaves_a_mark_for_other_services(ingest: IngestService) -> None:
    document = ingest.read_new(pdf())
    assert not is_deleted(ingest.service.blobs, "default", document)
    ingest.delete(document)
    assert is_deleted(ingest.service.blobs, "default", document)
