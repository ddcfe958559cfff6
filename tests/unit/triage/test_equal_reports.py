"""Two reports with the same figures in different bytes share no blobs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from services.triage.store import Reports, reports
from shared.events import DocumentDeleted, DocumentRead, EscalationRequested
from tests.support.killed import blobs_below
from tests.unit.triage.builders import Triage
from tests.unit.triage.filings import record, wrong
from tests.unit.triage.test_questions import triage_with


@pytest.fixture
def asking(database_url: str, tmp_path: Path) -> Iterator[Triage]:
    with triage_with(tmp_path, triage_database_url=database_url) as triage:
        yield triage


def likes(triage: Triage, *names: str) -> list[DocumentRead]:
    blank = [b""] * len(names)
    return [triage.read(n, record(), wrong(), *blank[:i]) for i, n in enumerate(names)]


def mine(triage: Triage) -> set[str]:
    return blobs_below(triage.service.settings.blobs)


def noted(triage: Triage, document: str) -> set[str]:
    with triage.service.store.read() as session:
        rows = session.execute(select(reports.c.blobs).where(reports.c.document_id == document))
        return {ref["sha256"] for ref in rows.scalar_one()}


def all_open(triage: Triage, document: str) -> bool:
    with triage.service.store.read() as session:
        held = {one.id: one for one in Reports.blob_references(session)}
    assert len(held[document].required) > 0
    for _, blob in held[document].required:
        assert triage.service.blobs.get("default", blob.ref)
    return noted(triage, document) <= mine(triage)


def test_each_report_goes_by_itself(asking: Triage) -> None:
    said = likes(asking, "doc_1", "doc_2")
    before = mine(asking)
    asking.handle(*said)
    assert len(asking.announced(EscalationRequested)) == 2
    asking.handle(DocumentDeleted(document_id="doc_1"))
    assert all_open(asking, "doc_2")
    items = asking.client.get("/v1/documents/doc_2/statements").json()["items"]
    assert [one["id"] for one in items] == ["f1", "wrong"]
    asking.handle(DocumentDeleted(document_id="doc_2"))
    assert mine(asking) == before
