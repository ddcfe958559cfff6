"""Cancelling documents."""

from __future__ import annotations

from typing import Any

import pytest

from services.ingest.domain import Progress, advance
from shared.blobs.markers import cancellation_mark, is_cancelled
from shared.errors import UnreadableDocument
from shared.events import DocumentDeleted, DocumentFailed, DocumentIngested, DocumentRead
from tests.support.samples import mail
from tests.unit.documents.archives import archive
from tests.unit.ingest.builders import (
    IngestService,
    InProcessReader,
    NewIngest,
    clauses_extracted,
    document_failed,
    document_read,
    fail_first_mark,
    findings_found,
    pdf,
)

TEXT = b"This Agreement is made between Alpha Inc. and Beta Ltd."
WHY = "cancelled: tester cancelled it; reprocess it or upload it again"


def cancel(ingest: IngestService, document: str, **headers: str) -> Any:
    return ingest.client.post(f"/v1/documents/{document}/cancel", headers=headers)


def over(state: dict[str, Any]) -> tuple[Any, ...]:
    return state["state"], state["outcome"], tuple(state["reasons"])


@pytest.mark.parametrize("read", [False, True], ids=["received", "processing"])
def test_a_cancelled_document_ends_at_once_and_ignores_late_events(
    any_ingest: IngestService, read: bool
) -> None:
    document = any_ingest.upload_new(TEXT, "a.txt")
    if read:
        any_ingest.run()
    any_ingest.published()
    answer = cancel(any_ingest, document)
    assert answer.status_code == 200
    assert over(answer.json()) == ("ended", "failed", (WHY,))
    assert cancel(any_ingest, document).json() == answer.json(), "again is as good as once"
    late = (
        document_read(document),
        clauses_extracted(document),
        findings_found(document),
        document_failed(document),
    )
    for event in late:
        any_ingest.publish(event)
    assert any_ingest.state(document) == answer.json()
    [failed] = [e for e in any_ingest.published() if isinstance(e, DocumentFailed) and e.cancels]
    assert (failed.actor, failed.attempt, failed.stage) == ("tester", 1, "ingest")
    assert any_ingest.client.get(f"/v1/documents/{document}/text").status_code == (
        200 if read else 409
    )


def test_late_facts_of_a_cancelled_attempt_are_ignored() -> None:
    stopped = Progress("contract", attempt=2, cancelled="ann")
    for fact in (
        document_read("d", 2),
        clauses_extracted("d", 2),
        document_failed("d", attempt=2),
        clauses_extracted("d", 1),
    ):
        assert advance(stopped, fact) is stopped
    assert advance(stopped, clauses_extracted("d", 3)).outcome == "complete"


@pytest.mark.parametrize("breaks", [False, True])
def test_text_of_a_document_cancelled_while_read_is_discarded(
    new_ingest: NewIngest, breaks: bool
) -> None:
    reader = InProcessReader()
    ingest = new_ingest(reader)
    document = ingest.upload_new(mail("Lease", {"lease.pdf": pdf()}), "lease.eml")
    original = ingest.blob_names()

    def cancelled() -> None:
        cancel(ingest, document)
        if breaks:
            raise UnreadableDocument("it broke")

    reader.after = cancelled
    ingest.run()
    assert over(ingest.state(document)) == ("ended", "failed", (WHY,))
    assert ingest.published(DocumentRead) == []
    mark = cancellation_mark("default", document, 1)
    assert ingest.blob_names() == original | {mark.sha256}
    assert len(ingest.client.get("/v1/documents").json()["items"]) == 1


@pytest.mark.parametrize("how", ["reprocess", "upload"])
def test_a_cancelled_document_can_be_reprocessed(any_ingest: IngestService, how: str) -> None:
    document = any_ingest.upload_new(TEXT, "a.txt")
    cancel(any_ingest, document)
    any_ingest.run()
    assert over(any_ingest.state(document)) == ("ended", "failed", (WHY,)), (
        "it is not read any more"
    )
    if how == "reprocess":
        path = f"/v1/documents/{document}/reprocess"
        assert any_ingest.client.post(path).json()["attempt"] == 2
    else:
        assert any_ingest.upload(TEXT, "a.txt").json()["attempt"] == 2
    any_ingest.run()
    any_ingest.publish(clauses_extracted(document, attempt=1))
    assert over(any_ingest.state(document)) == ("processing", None, ())
    any_ingest.publish(clauses_extracted(document, attempt=2))
    assert over(any_ingest.state(document)) == ("ended", "complete", ())


def test_an_ended_document_is_not_cancelled(any_ingest: IngestService) -> None:
    document = any_ingest.complete_new(TEXT, "a.txt")
    any_ingest.published()
    answer = cancel(any_ingest, document)
    assert answer.status_code == 409
    assert "ended (complete)" in answer.json()["detail"]
    assert any_ingest.state(document)["outcome"] == "complete"
    assert any_ingest.published() == []


def test_cancel_respects_if_match(any_ingest: IngestService) -> None:
    document = any_ingest.upload_new(TEXT, "a.txt")
    before = any_ingest.state(document)["etag"]
    any_ingest.run()
    assert cancel(any_ingest, document, **{"if-match": before}).status_code == 412
    now = any_ingest.state(document)["etag"]
    assert cancel(any_ingest, document, **{"if-match": now}).status_code == 200


def test_parts_are_cancelled_with_their_archive(any_ingest: IngestService) -> None:
    done, mine = b"This is the first agreement.", b"This is the second agreement."
    data = archive({"done.txt": done, "mine.txt": mine, "open.txt": TEXT})
    alone = any_ingest.upload_new(mine, "mine.txt")
    box = any_ingest.read_new(data, "box.zip")
    parts = {part["name"]: part["id"] for part in any_ingest.state(box)["parts"]}
    any_ingest.publish(clauses_extracted(parts["done.txt"]))
    assert over(cancel(any_ingest, box).json()) == ("ended", "complete", ())
    outcomes = {name: any_ingest.state(one)["outcome"] for name, one in parts.items()}
    assert outcomes == {"done.txt": "complete", "mine.txt": None, "open.txt": "failed"}
    assert parts["mine.txt"] == alone
    assert cancel(any_ingest, box).status_code == 409, "nothing is left to stop"


def test_the_cancellation_mark_stays_until_deletion(any_ingest: IngestService) -> None:
    blobs = any_ingest.service.blobs
    stored = [any_ingest.upload_new(text, "a.txt") for text in (TEXT, b"Another agreement.")]
    for document in stored:
        cancel(any_ingest, document)
        assert is_cancelled(blobs, "default", document, 1)
        assert not is_cancelled(blobs, "default", document, 2)
        assert not is_cancelled(blobs, "acme", document, 1)
    any_ingest.client.post(f"/v1/documents/{stored[0]}/reprocess")
    any_ingest.delete(stored[1])
    assert [is_cancelled(blobs, "default", document, 1) for document in stored] == [True, False]
    assert any_ingest.published(DocumentDeleted)
    assert len(any_ingest.published(DocumentIngested)) == 3


def test_a_cancellation_is_marked_later_if_the_blob_store_was_down(
    any_ingest: IngestService, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = any_ingest.upload_new(TEXT, "a.txt")
    broken = any_ingest.read_new(TEXT + b" It broke.", "b.txt")
    refused = fail_first_mark(any_ingest, monkeypatch)
    assert cancel(any_ingest, document).status_code == 200
    any_ingest.publish(document_failed(broken))
    assert len(refused) == 1
    assert any_ingest.state(broken)["outcome"] == "failed"
    blobs = any_ingest.service.blobs
    assert [is_cancelled(blobs, "default", one, 1) for one in (document, broken)] == [True, False]
