"""From a report that was read to findings that are stored, announced and answered."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import inspect

from infra.schemas import openapi_of
from services.triage.handlers import forget_document, triage_report
from services.triage.statements import UNSUPPORTED
from shared.events import (
    CANCELLED,
    DocumentDeleted,
    DocumentFailed,
    DocumentRekinded,
    FindingsFound,
)
from shared.storage import FileBlobs, begin_try
from shared.storage.deletion import is_deleted, mark_cancelled, mark_deleted
from tests.killed import Killed, KilledAfterCommit, KilledAfterPut, blobs_below
from tests.support import ROOT
from tests.unit.triage.filings import bent, read, record
from tests.unit.triage.house import House

FINDINGS, STATEMENTS = "/v1/documents/{}/findings", "/v1/documents/{}/statements"


def wrong() -> dict[str, object]:
    """A filing with an altered total."""
    return {**bent("balance_sheet", "Total current assets", 1, 4509), "id": "wrong"}


def test_a_report_goes_the_whole_road(house: House) -> None:
    """Findings come with their arithmetic, the sound filing has none, the document is flagged."""
    house.say(house.read("doc_1", record(), wrong()))
    answer = house.client.get(FINDINGS.format("doc_1"))
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["flagged"], body["filings"], body["warnings"]) == (True, 2, [])
    (finding,) = body["items"]
    assert (finding["filing"], finding["check"]) == ("wrong", "balance_sheet_sums")
    assert (finding["reported"], finding["expected"]) == (4_509_000_000, 4_590_000_000)
    assert finding["confidence"] == body["risk"]
    assert finding["id"].startswith("fd_")


def test_what_is_announced_is_what_rest_answers(house: House) -> None:
    """The blob of the event holds the findings in the same form."""
    event = house.read("doc_1", wrong(), actor="ada")
    house.say(event)
    (found,) = house.heard(FindingsFound)
    listed = json.loads(house.service.blobs.get("default", found.findings))
    assert listed == house.client.get(FINDINGS.format("doc_1")).json()["items"]
    assert (found.count, found.flagged, found.cause, found.actor) == (1, True, event.id, "ada")


def test_statements_are_answered_as_they_were_read(house: House) -> None:
    """What comes back is the structured form, page by page."""
    house.say(house.read("doc_1", record(), wrong()))
    first = house.client.get(STATEMENTS.format("doc_1"), params={"limit": 1}).json()
    second = house.client.get(
        STATEMENTS.format("doc_1"), params={"limit": 1, "cursor": first["next"]}
    ).json()
    assert [f["id"] for f in (*first["items"], *second["items"])] == ["f1", "wrong"]
    assert second["next"] is None
    assert read(first["items"][0]) == read(record())


def test_a_bad_line_is_a_warning_and_the_others_count(house: House) -> None:
    """The document ends with findings, and names the line that could not be read."""
    house.say(house.read("doc_1", wrong(), b"{torn", media_type="text/plain"))
    body = house.client.get(FINDINGS.format("doc_1")).json()
    assert len(body["items"]) == 1
    assert body["warnings"][0].startswith("line 2: not JSON")


def test_a_document_without_one_readable_filing_fails(house: House) -> None:
    """The reason names every line, and nothing is buried as a dead letter."""
    house.say(house.read("doc_1", b"{torn", b"[]"))
    (failed,) = house.heard(DocumentFailed)
    assert (failed.stage, failed.code) == ("triage", "unreadable_report")
    assert "line 1" in failed.reason
    assert "line 2" in failed.reason
    assert not house.service.bus.dead_letters()
    answer = house.client.get(FINDINGS.format("doc_1"))
    assert answer.status_code == 409
    assert "unreadable_report" in answer.json()["detail"]


def test_a_text_that_nothing_can_hold_costs_its_filing_alone(house: House) -> None:
    """A label with half a surrogate pair is a warning; the other filings are judged and stored."""
    odd = json.dumps(record()).replace("Inventories", "\\ud800").encode()
    nul = json.dumps(record()).replace("Inventories", "\\u0000").encode()
    house.say(house.read("doc_1", odd, wrong(), nul))
    body = house.client.get(FINDINGS.format("doc_1")).json()
    assert (len(body["items"]), body["filings"]) == (1, 1)
    assert [w[:6] for w in body["warnings"]] == ["line 1", "line 3"]
    (event,) = house.heard(FindingsFound)
    assert (event.count, event.unreadable) == (1, 2)
    assert not house.service.bus.dead_letters()


def test_a_reason_is_short_enough_to_be_read(house: House) -> None:
    """However many lines can't be read, and whatever is in them, the reason has an end."""
    filing = {"statements": [{"statement": "x" * 100_000}]}
    house.say(house.read("doc_1", *[filing] * 100))
    (failed,) = house.heard(DocumentFailed)
    assert len(failed.reason) <= 2_000
    assert failed.reason.startswith("line 1: the statement 'xxx")


def test_a_pdf_is_an_honest_failure(house: House) -> None:
    """What this version does not read is said in words, not tried."""
    house.say(house.read("doc_1", b"%PDF-1.7", media_type="application/pdf", name="a.pdf"))
    (failed,) = house.heard(DocumentFailed)
    assert failed.code == "unsupported_report"
    assert UNSUPPORTED in failed.reason
    assert not house.service.bus.dead_letters()


def test_a_contract_is_left_to_extraction(house: House) -> None:
    """Only reports are checked; the answer for another kind says so."""
    house.say(house.ingested("doc_1", kind="contract"), house.read("doc_1", kind="contract"))
    assert not house.heard(FindingsFound)
    answer = house.client.get(FINDINGS.format("doc_1"))
    assert answer.status_code == 409
    assert "of kind contract" in answer.json()["detail"]


def test_a_document_on_its_way_says_so_and_an_unknown_one_is_not_found(house: House) -> None:
    """The two are told apart."""
    house.say(house.ingested("doc_1"))
    for path in (FINDINGS, STATEMENTS):
        assert house.client.get(path.format("doc_1")).status_code == 409
        assert house.client.get(path.format("doc_2")).status_code == 404
    assert "waiting" in house.client.get(FINDINGS.format("doc_1")).json()["detail"]


def test_a_deleted_document_is_forgotten_for_good(house: House) -> None:
    """Findings and blobs go, and news that come late do nothing."""
    house.say(house.read("doc_1", wrong()))
    (found,) = house.heard(FindingsFound)
    house.say(DocumentDeleted(document_id="doc_1"))
    assert house.client.get(FINDINGS.format("doc_1")).status_code == 404
    folder = house.service.settings.blobs / "default" / found.findings.sha256[:2]
    assert not (folder / found.findings.sha256).exists()
    house.say(house.read("doc_1", wrong()))
    assert not house.heard(FindingsFound)


def test_blobs_that_another_document_uses_stay(house: House) -> None:
    """Two documents with the same filing share what was read; deleting one leaves the other."""
    house.say(house.read("doc_1", record()), house.read("doc_2", record()))
    house.say(DocumentDeleted(document_id="doc_1"))
    assert house.client.get(STATEMENTS.format("doc_2")).json()["items"]


def test_findings_are_withdrawn_when_the_kind_changes(house: House) -> None:
    """A person's word about the kind counts, until a new attempt."""
    house.say(house.read("doc_1", wrong()))
    house.say(DocumentRekinded(document_id="doc_1", kind="contract", previous="report"))
    assert house.client.get(FINDINGS.format("doc_1")).status_code == 409
    house.say(house.read("doc_1", wrong()))
    assert house.client.get(FINDINGS.format("doc_1")).status_code == 409
    house.say(house.ingested("doc_1", attempt=2), house.read("doc_1", wrong(), attempt=2))
    assert house.client.get(FINDINGS.format("doc_1")).status_code == 200


def test_tenants_do_not_see_each_other(house: House) -> None:
    """Another tenant's report is not there, even by its id."""
    house.say(house.read("doc_1", wrong(), tenant="acme"))
    assert house.client_of("acme").get(FINDINGS.format("doc_1")).status_code == 200
    assert house.client.get(FINDINGS.format("doc_1")).status_code == 404


def test_findings_go_on_at_the_cursor(house: House) -> None:
    """Page by page gives every finding once, the surest first."""
    house.say(house.read("doc_1", wrong(), wrong(), bent("income", "Operating income", 1, 1568)))
    seen, cursor = [], None
    for _ in range(3):
        params = {"limit": 1} | ({"cursor": cursor} if cursor else {})
        body = house.client.get(FINDINGS.format("doc_1"), params=params).json()
        seen += body["items"]
        cursor = body["next"]
    assert cursor is None
    assert len({item["id"] for item in seen}) == 3
    confidences = [item["confidence"] for item in seen]
    assert confidences == sorted(confidences, reverse=True)
    assert house.client.get(FINDINGS.format("doc_1"), params={"cursor": "-1"}).status_code == 422


def test_the_migration_goes_up_and_down(house: House) -> None:
    """Down to nothing and up again."""
    store = house.service.store
    store.migrate("base")
    assert set(inspect(store.engine).get_table_names()) <= {"alembic_version"}
    store.migrate()
    assert {"reports", "findings", "outbox"} <= set(inspect(store.engine).get_table_names())


def test_the_openapi_file_is_the_application_s() -> None:
    """`make schemas` has been run since the last change."""
    path = ROOT / "services" / "triage" / "openapi.json"
    assert path.read_text("utf-8") == openapi_of("triage")


@pytest.mark.parametrize("odd", ["%00", "doc_%00", "%F0%9F%98%80", "a" * 65])
def test_an_id_that_is_none_is_refused_before_any_database(house: House, odd: str) -> None:
    """A NUL or any other odd character in an id is the caller's mistake on every database."""
    for path in ("/findings", "/statements"):
        answer = house.client.get(f"/v1/documents/{odd}{path}")
        assert answer.status_code in (404, 422), answer.text
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_document_deleted_while_it_waited_is_passed_over(house: House) -> None:
    """The bytes are gone before the news of the deletion come: no failure, no dead letter."""
    event = house.read("doc_1", wrong())
    house.service.blobs.delete("default", event.original)
    mark_deleted(FileBlobs(house.service.settings.blobs), "default", "doc_1")
    house.say(event, DocumentDeleted(document_id="doc_1"))
    assert house.heard(DocumentFailed) == []
    assert not house.service.bus.dead_letters()


@pytest.mark.parametrize("when", ["found", "waiting", "marked"])
def test_what_was_cancelled_has_no_findings_until_a_new_attempt(house: House, when: str) -> None:
    """Whether they were there, would come late, or the mark spared the work; with the reason."""
    stopped = DocumentFailed(
        document_id="doc_1", stage="ingest", code=CANCELLED, reason="ann stopped the work on it"
    )
    first = house.read("doc_1", wrong())
    house.say(house.ingested("doc_1"))
    if when == "marked":
        mark_cancelled(FileBlobs(house.service.settings.blobs), "default", "doc_1", 1)
    if when != "waiting":
        house.say(first)
    house.say(stopped, house.read("doc_1", wrong()))
    answer = house.client.get(FINDINGS.format("doc_1"))
    assert answer.status_code == 409
    assert "cancelled: ann stopped" in answer.json()["detail"]
    assert len(house.heard(FindingsFound)) == int(when == "found")
    house.say(house.ingested("doc_1", attempt=2), house.read("doc_1", wrong(), attempt=2))
    house.say(stopped.model_copy(update={"id": "said again"}))
    assert len(house.client.get(FINDINGS.format("doc_1")).json()["items"]) == 1


def test_a_blob_that_is_lost_is_a_failure(house: House) -> None:
    """Without a deletion missing bytes are a fault that somebody has to mend."""
    event = house.read("doc_1", wrong())
    house.service.blobs.delete("default", event.original)
    house.say(event)
    (failed,) = house.heard(DocumentFailed)
    assert failed.code == "missing_blob"


def test_a_deletion_that_is_cut_off_leaves_no_finding(house: House) -> None:
    """Killed right after the commit, nothing is left to be removed."""
    event = house.read("doc_1", wrong())
    before = blobs_below(house.service.settings.blobs)
    house.say(event)
    deleted = DocumentDeleted(document_id="doc_1")
    begin_try(house.service.store, deleted)
    uow = KilledAfterCommit(house.service.store, deleted)
    with pytest.raises(Killed):
        forget_document(deleted, uow, house.service.blobs)
    assert blobs_below(house.service.settings.blobs) == before
    assert is_deleted(house.service.blobs, "default", "doc_1")


def test_findings_that_were_written_but_never_announced_go_with_the_document(house: House) -> None:
    """Killed between blobs and commit, then deleted: neither findings nor statements stay."""
    event = house.read("doc_1", wrong())
    before = blobs_below(house.service.settings.blobs)
    with pytest.raises(Killed):
        triage_report(event, KilledAfterPut(house.service.store, event), house.service.blobs)
    assert len(blobs_below(house.service.settings.blobs)) == len(before) + 2
    house.say(DocumentDeleted(document_id="doc_1"))
    assert blobs_below(house.service.settings.blobs) == before
