"""After a lost commit the old row and its bytes stay valid."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import OperationalError

from services.ingest.commands import DocumentCommands
from shared.events import DocumentIngested
from shared.messaging import UnitOfWork
from tests.unit.ingest.builders import IngestService, clauses_extracted

LEASE = b"This lease is governed by the law of Ohio.\n"


@pytest.fixture(autouse=True)
def _anyones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DocumentCommands, "require", lambda _self, _adapters: None)


def lost(_self: UnitOfWork) -> None:
    raise OperationalError("COMMIT", {}, Exception("server closed the connection"))


def there(ingest: IngestService, document_id: str) -> None:
    document = ingest.stored(document_id)
    for ref in document.blobs:
        assert len(ingest.service.blobs.get("default", ref)) == ref.size


def test_a_lost_commit_of_an_upload_for_other_adapters(
    any_ingest: IngestService, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = any_ingest.complete_new(LEASE, "lease.txt", adapter="cuad")
    before = any_ingest.blob_names()
    with monkeypatch.context() as patch:
        patch.setattr(UnitOfWork, "_seal", lost)
        assert any_ingest.upload(LEASE, "lease.txt", adapter="other").status_code == 503
    state = any_ingest.state(document)
    assert (state["outcome"], state["attempt"]) == ("complete", 1)
    assert any_ingest.client.get(f"/v1/documents/{document}/text").text == LEASE.decode()
    there(any_ingest, document)
    again = any_ingest.upload(LEASE, "lease.txt", adapter="other")
    assert (again.status_code, again.json()["attempt"]) == (202, 2)
    assert any_ingest.blob_names() == before
    any_ingest.run()
    any_ingest.publish(clauses_extracted(document, attempt=2))
    assert any_ingest.blob_names() == before, "the same text and layout, and nothing beside"
    any_ingest.delete(document)
    assert any_ingest.blob_names() == set()


def test_a_deletion_removes_blobs_of_the_previous_attempt(any_ingest: IngestService) -> None:
    document = any_ingest.complete_new(LEASE, "lease.txt", adapter="cuad")
    assert any_ingest.upload(LEASE, "lease.txt", adapter="other").status_code == 202
    any_ingest.delete(document)
    assert any_ingest.blob_names() == set()
    assert len(any_ingest.published(DocumentIngested)) == 2


def test_a_lost_commit_of_a_cancellation(
    any_ingest: IngestService, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = any_ingest.complete_new(LEASE, "lease.txt")
    assert any_ingest.client.post(f"/v1/documents/{document}/reprocess").status_code == 202
    before = any_ingest.blob_names()
    path = f"/v1/documents/{document}/cancel"
    with monkeypatch.context() as patch:
        patch.setattr(UnitOfWork, "_seal", lost)
        assert any_ingest.client.post(path).status_code == 503
    there(any_ingest, document)
    assert any_ingest.blob_names() == before
    assert any_ingest.client.post(path).json()["outcome"] == "failed"
    assert len(any_ingest.blob_names() & before) == 1, "the original"
