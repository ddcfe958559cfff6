"""Two reports with the same figures in different bytes share no blobs."""

from __future__ import annotations

from pathlib import Path

from services.triage.store import Reports
from shared.events import DocumentDeleted, EscalationRequested
from tests.support.killed import blobs_below
from tests.unit.triage.filings import record, wrong
from tests.unit.triage.test_questions import triage_with


def test_a_deletion_leaves_the_blobs_of_an_equal_report(database_url: str, tmp_path: Path) -> None:
    with triage_with(tmp_path, triage_database_url=database_url) as triage:
        one, two = (triage.read(f"doc_{n}", record(), wrong(), *[b""] * n) for n in (1, 2))
        folder, blobs = triage.service.settings.blobs, triage.service.blobs
        before = blobs_below(folder)
        triage.handle(one, two)
        assert len(triage.announced(EscalationRequested)) == 2
        triage.handle(DocumentDeleted(document_id="doc_1"))
        with triage.service.store.read() as session:
            (kept,) = [ref for ref in Reports.blob_references(session) if ref.id == "doc_2"]
        assert kept.required
        for _, blob in kept.required:
            assert blobs.get("default", blob.ref)
        items = triage.answer("doc_2", "statements")["items"]
        assert [item["id"] for item in items] == ["f1", "wrong"]
        triage.handle(DocumentDeleted(document_id="doc_2"))
        assert blobs_below(folder) == before
