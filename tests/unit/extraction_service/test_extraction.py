"""From a document that was read to clauses that are stored, announced and answered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from infra.schemas import openapi_of
from services.extraction.domain import CATEGORIES, Extraction, presence, searched
from services.extraction.handlers import extract_clauses, forget_document
from services.extraction.pipeline import Clause, Search
from services.extraction.pipeline import Presence as FoundPresence
from services.extraction.values import CATEGORIES as VALUED
from shared.asking import Askers
from shared.bus import Message
from shared.events import (
    CANCELLED,
    ClausesExtracted,
    DocumentDeleted,
    DocumentFailed,
    DocumentRekinded,
    Kind,
)
from shared.policy import Risks
from shared.storage import FileBlobs, begin_try
from shared.storage.deletion import is_deleted, mark_cancelled, mark_deleted
from tests.killed import Killed, KilledAfterCommit, KilledAfterPut, blobs_below
from tests.support import ROOT
from tests.unit.extraction_service.house import FOOTER, PAGES, TERMS, TEXT, House, reading

PATH = "/v1/documents/{}/clauses"


def test_a_contract_is_extracted_with_evidence(house: House) -> None:
    """Each clause has its exact text, its page and a box for each piece of a line."""
    house.say(house.read("doc_1"))
    answer = house.client.get(PATH.format("doc_1"))
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
    assert law["boxes"][0]["x0"] == law["start"] * 6
    assert answer.json()["next"] is None


def test_furniture_is_read_over(house: House) -> None:
    """A word in a page footer makes no clause."""
    house.say(house.read("doc_1"))
    items = house.client.get(PATH.format("doc_1")).json()["items"]
    assert not any(FOOTER in clause["text"] for clause in items)


def test_what_is_announced_is_what_rest_answers(house: House) -> None:
    """The blob of the event holds the clauses in the same form, with the adapter that made them."""
    read = house.read("doc_1", actor="ada")
    house.say(read)
    (event,) = house.heard(ClausesExtracted)
    listed = json.loads(house.service.blobs.get("default", event.clauses))
    assert listed == house.client.get(PATH.format("doc_1")).json()["items"]
    assert (event.count, event.cause, event.actor) == (2, read.id, "ada")
    assert (event.adapter, event.adapter_version) == ("contract-clauses", "0.0.1")
    assert [(one.name, one.version) for one in event.read_by] == [("contract-clauses", "0.0.1")]


def test_every_adapter_that_was_named_reads_the_contract(house: House) -> None:
    """One result with the clauses of all in the order of the text, each with who found it."""
    house.say(house.read("doc_1", adapters=("contract-clauses", TERMS, TERMS)))
    (event,) = house.heard(ClausesExtracted)
    assert (event.adapter, event.count) == ("contract-clauses", 3)
    assert [one.name for one in event.read_by] == ["contract-clauses", TERMS]
    assert all(one.seconds is not None and one.seconds > 0 for one in event.read_by)
    assert all((one.tokens or 0) > (one.quoted or 0) > 0 for one in event.read_by)
    items = house.client.get(PATH.format("doc_1")).json()["items"]
    assert [(c["adapter"], c["category"]) for c in items] == [
        (TERMS, "Choice of law"),
        ("contract-clauses", "Governing Law"),
        ("contract-clauses", "Audit Rights"),
    ]
    assert len({c["id"] for c in items}) == 3
    assert json.loads(house.service.blobs.get("default", event.clauses)) == items
    for name in ("contract-clauses", TERMS):
        chosen = house.client.get(PATH.format("doc_1"), params={"adapter": name}).json()["items"]
        assert chosen == [c for c in items if c["adapter"] == name]


def test_only_the_adapters_that_were_named_read_it(house: House) -> None:
    """What nobody looked for is neither absent nor not stated, and whose clauses are asked for
    must have read it.
    """
    house.say(house.read("doc_1", adapters=(TERMS,)))
    assert (house.specialists.specialist.calls, house.specialists.terms.calls) == (0, 1)
    lines = house.client.get("/v1/documents/doc_1/presence").json()["items"]
    assert [(line["adapter"], line["category"], line["present"]) for line in lines] == [
        (TERMS, "Choice of law", True),
        (TERMS, "Arbitration", False),
    ]
    assert house.client.get("/v1/documents/doc_1/values").json()["items"] == []
    for path in ("clauses", "presence", "values"):
        answer = house.client.get(f"/v1/documents/doc_1/{path}?adapter=contract-clauses")
        assert answer.status_code == 409
        assert f"but by {TERMS}: reprocess it" in answer.json()["detail"]


def test_another_attempt_may_have_other_adapters(house: House) -> None:
    """What the first ones found is replaced, and only then."""
    house.say(house.read("doc_1", adapters=(TERMS,)))
    house.say(house.read("doc_1", attempt=2))
    items = house.client.get(PATH.format("doc_1")).json()["items"]
    assert {c["adapter"] for c in items} == {"contract-clauses"}


def test_an_adapter_that_is_gone_is_a_stated_failure(house: House) -> None:
    """No other one is read by in its place, and nothing is kept of half the work."""
    house.say(house.read("doc_1", adapters=("contract-clauses", "gone")))
    assert house.heard(ClausesExtracted) == []
    assert house.specialists.specialist.calls == 0


def test_an_event_delivered_twice_is_extracted_once(house: House) -> None:
    """The same event again does nothing, and a new one about the same text keeps the ids."""
    read = house.read("doc_1")
    house.say(read)
    ids = [c["id"] for c in house.client.get(PATH.format("doc_1")).json()["items"]]
    house.service.bus.publish(Message(key=read.key, value=read.to_json("ingest")))
    house.work()
    assert len(house.heard(ClausesExtracted)) == 1
    assert house.specialists.specialist.calls == 1
    house.say(house.read("doc_1", attempt=2))
    assert [c["id"] for c in house.client.get(PATH.format("doc_1")).json()["items"]] == ids


def test_a_report_is_left_to_triage(house: House) -> None:
    """Only contracts are read; the answer for another kind says so."""
    house.say(house.ingested("doc_1", kind="report"), house.read("doc_1", kind="report"))
    assert house.specialists.specialist.calls == 0
    answer = house.client.get(PATH.format("doc_1"))
    assert answer.status_code == 409
    assert "of kind report" in answer.json()["detail"]


def test_no_clauses_is_a_result(house: House) -> None:
    """A contract in which nothing is found has been extracted all the same."""
    house.say(house.read("doc_1", "Nothing of note."))
    assert house.client.get(PATH.format("doc_1")).json() == {
        "items": [],
        "provisional": False,
        "pages": None,
        "risks": [],
        "missed": [],
        "next": None,
    }
    (event,) = house.heard(ClausesExtracted)
    assert event.count == 0


def test_an_unknown_document_is_not_found(house: House) -> None:
    """The problem names the document."""
    answer = house.client.get(PATH.format("doc_none"))
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["document"] == "doc_none"


def test_a_document_on_its_way_says_so(house: House) -> None:
    """Before the work is done, the answer is its state."""
    house.say(house.ingested("doc_1"))
    answer = house.client.get(PATH.format("doc_1"))
    assert answer.status_code == 409
    assert "its state is waiting" in answer.json()["detail"]
    house.say(
        DocumentFailed(document_id="doc_1", stage="ingest", code="encrypted", reason="locked")
    )
    assert "failed (encrypted: locked)" in house.client.get(PATH.format("doc_1")).json()["detail"]


def test_a_layout_of_another_text_is_given_up(house: House) -> None:
    """What can never work is a dead letter and a stated failure, at the first try."""
    read = house.read("doc_1")
    other = house.read("doc_2", "Another text.")
    house.say(read.model_copy(update={"layout": other.layout}))
    (failed,) = house.heard(DocumentFailed)
    assert (failed.stage, failed.document_id) == ("extraction", "doc_1")
    assert len(house.service.bus.dead_letters("extraction")) == 1
    detail = house.client.get(PATH.format("doc_1"))
    assert detail.status_code in (404, 409)


def test_a_deleted_document_is_forgotten_for_good(house: House) -> None:
    """Its clauses and their blob go, and news that come late do nothing."""
    read = house.read("doc_1")
    house.say(read)
    (event,) = house.heard(ClausesExtracted)
    house.say(DocumentDeleted(document_id="doc_1"))
    assert house.client.get(PATH.format("doc_1")).status_code == 404
    path = house.service.settings.blobs / "default" / event.clauses.sha256[:2]
    assert not (path / event.clauses.sha256).exists()
    house.say(house.read("doc_1"), house.ingested("doc_1", attempt=2))
    assert house.client.get(PATH.format("doc_1")).status_code == 404
    assert not house.heard(ClausesExtracted)


def test_clauses_are_withdrawn_when_the_kind_changes_and_come_back(house: House) -> None:
    """A person's word about the kind counts, until a new attempt."""
    house.say(house.ingested("doc_1"), house.read("doc_1"))
    house.say(DocumentRekinded(document_id="doc_1", kind="report", previous="contract"))
    assert "of kind report" in house.client.get(PATH.format("doc_1")).json()["detail"]
    house.say(house.read("doc_1"))
    assert house.client.get(PATH.format("doc_1")).status_code == 409
    house.say(
        DocumentRekinded(document_id="doc_1", kind="contract", previous="report"),
        house.ingested("doc_1", attempt=2),
        house.read("doc_1", attempt=2),
    )
    assert len(house.client.get(PATH.format("doc_1")).json()["items"]) == 2


@pytest.mark.parametrize("found", [True, False], ids=["found", "waiting"])
def test_what_was_cancelled_has_no_clauses_until_a_new_attempt(house: House, found: bool) -> None:
    """Whether they were there already or would come late; the answer says why."""
    house.say(house.ingested("doc_1"), *([house.read("doc_1")] if found else []))
    house.say(cancelled("doc_1"))
    house.say(house.read("doc_1"))
    answer = house.client.get(PATH.format("doc_1"))
    assert answer.status_code == 409
    assert "cancelled: ann stopped" in answer.json()["detail"]
    assert len(house.heard(ClausesExtracted)) == int(found)
    house.say(house.ingested("doc_1", attempt=2), house.read("doc_1", attempt=2))
    house.say(cancelled("doc_1"))
    assert len(house.client.get(PATH.format("doc_1")).json()["items"]) == 2


def test_whoever_has_a_long_queue_sees_the_mark_of_a_cancellation(house: House) -> None:
    """The work is spared although the news of the cancellation stand behind it."""
    mark_cancelled(FileBlobs(house.service.settings.blobs), "default", "doc_1", 1)
    house.say(house.ingested("doc_1"), house.read("doc_1"), cancelled("doc_1"))
    assert house.specialists.specialist.calls == 0
    assert house.heard(ClausesExtracted) == []
    house.say(house.ingested("doc_1", attempt=2), house.read("doc_1", attempt=2))
    assert len(house.client.get(PATH.format("doc_1")).json()["items"]) == 2


def test_a_cancellation_that_comes_first_of_all(house: House) -> None:
    """What is tried again later finds it there."""
    house.say(cancelled("doc_1"), house.ingested("doc_1"), house.read("doc_1"))
    assert house.specialists.specialist.calls == 0
    house.say(DocumentDeleted(document_id="doc_1"), cancelled("doc_1"))
    assert house.client.get(PATH.format("doc_1")).status_code == 404


def cancelled(document: str) -> DocumentFailed:
    """What ingest says when somebody stops the work on a first attempt."""
    return DocumentFailed(
        document_id=document, stage="ingest", code=CANCELLED, reason="ann stopped the work on it"
    )


def test_a_new_kind_begins_with_its_attempt(house: House) -> None:
    """What was found is void at once; news of the old kind, late or again, bring nothing back."""

    def rekinded(kind: Kind, previous: Kind, attempt: int) -> DocumentRekinded:
        return DocumentRekinded(document_id="doc_1", kind=kind, previous=previous, attempt=attempt)

    house.say(house.ingested("doc_1"), house.read("doc_1"))
    house.say(rekinded("report", "contract", 2), house.read("doc_1"))
    assert "of kind report" in house.client.get(PATH.format("doc_1")).json()["detail"]
    house.say(rekinded("contract", "report", 3))
    assert "ask again soon" in house.client.get(PATH.format("doc_1")).json()["detail"]
    house.say(house.read("doc_1", attempt=3))
    house.say(rekinded("report", "contract", 2), rekinded("contract", "report", 3))
    assert len(house.client.get(PATH.format("doc_1")).json()["items"]) == 2


def test_a_kind_that_is_only_confirmed_takes_nothing_away(house: House) -> None:
    """Somebody says what it was taken for already."""
    house.say(house.ingested("doc_1"), house.read("doc_1"))
    house.say(
        DocumentRekinded(document_id="doc_1", kind="contract", previous="contract", attempt=1)
    )
    assert len(house.client.get(PATH.format("doc_1")).json()["items"]) == 2


def test_what_its_text_shows_to_be_a_report_is_not_waited_for(house: House) -> None:
    """Its type made it a contract; who asks for its clauses is told what it is."""
    read = house.read("doc_1")
    house.say(house.ingested("doc_1"), read.model_copy(update={"kind": "report"}))
    assert "of kind report" in house.client.get(PATH.format("doc_1")).json()["detail"]


def test_an_older_attempt_changes_nothing(house: House) -> None:
    """News of attempt one that come after attempt two has begun are passed over."""
    house.say(house.ingested("doc_1", attempt=2), house.read("doc_1", attempt=1))
    assert house.specialists.specialist.calls == 0


def test_tenants_do_not_see_each_other(house: House) -> None:
    """Another tenant's document is not there, even by its id."""
    house.say(house.read("doc_1", tenant="acme"))
    assert house.client_of("acme").get(PATH.format("doc_1")).status_code == 200
    assert house.client.get(PATH.format("doc_1")).status_code == 404
    house.say(DocumentDeleted(document_id="doc_1", tenant="default"))
    assert house.client_of("acme").get(PATH.format("doc_1")).status_code == 200


def test_lists_go_on_at_the_cursor_and_filter(house: House) -> None:
    """Page by page gives every clause once; a category gives its own."""
    house.say(house.read("doc_1", *(page.replace(FOOTER, "") for page in PAGES)))
    first = house.client.get(PATH.format("doc_1"), params={"limit": 1}).json()
    second = house.client.get(
        PATH.format("doc_1"), params={"limit": 1, "cursor": first["next"]}
    ).json()
    assert [c["category"] for c in (*first["items"], *second["items"])] == [
        "Governing Law",
        "Audit Rights",
    ]
    assert second["next"] is None
    chosen = house.client.get(PATH.format("doc_1"), params={"category": "Audit Rights"}).json()
    assert [c["category"] for c in chosen["items"]] == ["Audit Rights"]
    wrong = house.client.get(PATH.format("doc_1"), params={"cursor": "x"})
    assert wrong.status_code == 422


def test_presence_answers_for_every_category(house: House) -> None:
    """All 41 are there, in their fixed order, found or not."""
    house.say(house.read("doc_1"))
    items = house.client.get("/v1/documents/doc_1/presence").json()["items"]
    assert [line["category"] for line in items] == list(CATEGORIES)
    assert len(items) == len(set(CATEGORIES)) == 41
    there = {line["category"]: line["confidence"] for line in items if line["present"]}
    assert set(there) == {"Governing Law", "Audit Rights"}
    assert all(line["confidence"] is None for line in items if not line["present"])


def test_presence_says_what_was_searched_and_what_comes_nearest(house: House) -> None:
    """What is there is likely and has its words, what is absent unlikely; pages are named."""
    house.say(house.read("doc_1"))
    answer = house.client.get("/v1/documents/doc_1/presence").json()
    expected = {"characters": len(TEXT), "pages": 2, "failed_pages": [], "warnings": []}
    assert answer["searched"] == expected
    lines = {line["category"]: line for line in answer["items"]}
    law = lines["Governing Law"]
    assert law["probability"] > 0.5
    nearest = law["nearest"]
    assert nearest["text"] == TEXT[nearest["start"] : nearest["end"]]
    assert "Utah" in nearest["text"]
    assert lines["Insurance"]["probability"] < 0.5
    assert not lines["Insurance"]["present"]
    assert lines["Insurance"]["clauses"] == 0


def test_a_long_passage_is_kept_in_part() -> None:
    """What only comes near is kept up to a length, with the offsets of what is kept."""
    text = "law " * 400
    clause = Clause("Governing Law", text, 0, len(text), 0.2)
    found = Search([], [FoundPresence("Governing Law", 0.1, clause)])
    (line,) = searched(found, reading(text)).categories
    assert line.nearest
    assert (line.nearest.text, line.nearest.end) == (text[:500], 500)


def test_a_clause_has_its_value(house: House) -> None:
    """The law is named, with its words; a category without values has none."""
    house.say(house.read("doc_1"))
    law, audit = house.client.get(PATH.format("doc_1")).json()["items"]
    value = law["value"]
    assert (value["kind"], value["status"], value["value"]) == ("jurisdiction", "stated", "Utah")
    assert value["text"] == TEXT[value["start"] : value["end"]] == "Utah"
    assert value["others"] == []
    assert audit["value"] is None


def test_values_answer_for_every_category_that_has_them(house: House) -> None:
    """Each has a line, stated, redacted or not, and what is stated leads to its clause."""
    house.say(house.read("doc_1"))
    answer = house.client.get("/v1/documents/doc_1/values")
    assert answer.status_code == 200, answer.text
    lines = {line["category"]: line for line in answer.json()["items"]}
    assert list(lines) == list(VALUED)
    clauses = house.client.get(PATH.format("doc_1")).json()["items"]
    assert (lines["Governing Law"]["value"], lines["Governing Law"]["clause_id"]) == (
        "Utah",
        clauses[0]["id"],
    )
    insurance = lines["Insurance"]
    assert (insurance["status"], insurance["text"], insurance["clause_id"]) == (
        "not_stated",
        None,
        None,
    )


def test_presence_takes_the_surest_clause() -> None:
    """Of several clauses of a category the best confidence counts."""
    lines = {p.category: p for p in presence([("Insurance", 0.6), ("Insurance", 0.9)])}
    assert (lines["Insurance"].confidence, lines["Insurance"].clauses) == (0.9, 2)
    assert (lines["Insurance"].present, lines["Insurance"].probability) == (True, 0.9)
    assert not lines["Parties"].present


@pytest.mark.parametrize(
    ("state", "attempt", "awaited"),
    [
        ("waiting", 1, True),
        ("extracted", 2, True),
        ("extracted", 1, True),
        ("failed", 1, True),
        ("waiting", 0, False),
        ("withdrawn", 1, False),
        ("withdrawn", 2, True),
        ("deleted", 9, False),
    ],
)
def test_which_news_still_count(state: str, attempt: int, awaited: bool) -> None:
    """A state decides whether an attempt is still awaited."""
    known = Extraction("default", "doc_1", "contract", 1, state=state)  # type: ignore[arg-type]
    assert known.awaits(attempt) is awaited


def test_the_api_needs_no_model(house: House) -> None:
    """Without a key nothing is told; the probes answer."""
    del house.client.headers["authorization"]
    assert house.client.get(PATH.format("doc_1")).status_code == 401
    assert house.client.get("/readyz").status_code == 200


def test_the_migration_goes_up_and_down(house: House) -> None:
    """Down to nothing and up again."""
    store = house.service.store
    store.migrate("base")
    assert set(inspect(store.engine).get_table_names()) <= {"alembic_version"}
    store.migrate()
    assert {"extractions", "clauses", "outbox"} <= set(inspect(store.engine).get_table_names())


def test_what_was_extracted_before_there_were_several_stays(house: House) -> None:
    """One pass of the specialist that was noted, with what it searched; and back again."""
    house.say(house.read("doc_1"))
    paths = ("/clauses", "/presence", "/values")
    before = [house.client.get(f"/v1/documents/doc_1{path}").json() for path in paths]
    house.service.store.migrate("0003")
    with house.service.store.read() as session:
        row = session.execute(text("SELECT adapter, adapter_version FROM extractions")).one()
    assert tuple(row) == ("contract-clauses", "0.0.1")
    house.service.store.migrate()
    assert [house.client.get(f"/v1/documents/doc_1{path}").json() for path in paths] == before


def test_the_index_of_what_was_accepted_comes_and_goes(house: House) -> None:
    """By revision 9; clauses stay."""
    house.say(house.read("doc_1"))
    store = house.service.store

    def there() -> tuple[bool, int]:
        indexes = {one["name"] for one in inspect(store.engine).get_indexes("clauses")}
        with store.read() as session:
            many = session.execute(text("SELECT count(*) FROM clauses")).scalar_one()
        return "clauses_accepted" in indexes, int(many)

    made, many = there()
    assert made
    assert many > 0
    store.migrate("0008")
    assert there() == (False, many)
    store.migrate()
    assert there() == (True, many)


def test_the_openapi_file_is_the_application_s() -> None:
    """`make schemas` has been run since the last change."""
    path = ROOT / "services" / "extraction" / "openapi.json"
    assert path.read_text("utf-8") == openapi_of("extraction")


@pytest.mark.parametrize("odd", ["%00", "doc_%00", "%F0%9F%98%80", "a" * 65])
def test_an_id_that_is_none_is_refused_before_any_database(house: House, odd: str) -> None:
    """A NUL or any other odd character in an id is the caller's mistake on every database."""
    for path in ("/clauses", "/presence", "/values", "/clauses?category=%00"):
        answer = house.client.get(f"/v1/documents/{odd}{path}")
        assert answer.status_code in (404, 422), answer.text
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_text_beyond_the_limit_ends_in_words(tmp_path: Path) -> None:
    """Nothing is tokenised: the document fails with the limit and its setting."""
    house = House(tmp_path, extraction_max_characters=len(TEXT) - 1)
    house.say(house.ingested("doc_1"), house.read("doc_1"))
    (failed,) = house.heard(DocumentFailed)
    assert (failed.stage, failed.code) == ("extraction", "document_too_large")
    assert "SMALLPRINT_EXTRACTION_MAX_CHARACTERS" in failed.reason
    assert house.specialists.specialist.calls == 0
    assert not house.service.bus.dead_letters()
    answer = house.client.get(PATH.format("doc_1"))
    assert answer.status_code == 409
    assert "document_too_large" in answer.json()["detail"]
    house.close()


@pytest.mark.parametrize("gone", ["text", "layout"])
def test_a_document_deleted_while_it_waited_is_passed_over(house: House, gone: str) -> None:
    """The blobs are gone before the news of the deletion come: no failure, no dead letter."""
    read = house.read("doc_1")
    house.service.blobs.delete("default", getattr(read, gone))
    mark_deleted(FileBlobs(house.service.settings.blobs), "default", "doc_1")
    house.say(read, DocumentDeleted(document_id="doc_1"))
    assert house.heard(DocumentFailed) == []
    assert not house.service.bus.dead_letters()


def test_a_blob_that_is_lost_is_a_failure(house: House) -> None:
    """Without a deletion a missing text is a fault that somebody has to mend."""
    read = house.read("doc_1")
    house.service.blobs.delete("default", read.text)
    house.say(read)
    (failed,) = house.heard(DocumentFailed)
    assert failed.code == "missing_blob"
    assert len(house.service.bus.dead_letters("extraction")) == 1


def test_a_deletion_that_is_cut_off_leaves_no_clause(house: House) -> None:
    """Killed right after the commit, nothing is left to be removed."""
    read = house.read("doc_1")
    house.say(read)
    (event,) = house.heard(ClausesExtracted)
    deleted = DocumentDeleted(document_id="doc_1")
    begin_try(house.service.store, deleted)
    uow = KilledAfterCommit(house.service.store, deleted)
    with pytest.raises(Killed):
        forget_document(deleted, uow, house.service.blobs)
    assert event.clauses.sha256 not in blobs_below(house.service.settings.blobs)
    assert is_deleted(house.service.blobs, "default", "doc_1")


def test_clauses_that_were_written_but_never_announced_go_with_the_document(house: House) -> None:
    """Killed between blob and commit, then deleted: no clause stays."""
    read = house.read("doc_1")
    before = blobs_below(house.service.settings.blobs)
    with pytest.raises(Killed):
        extract_clauses(
            read,
            KilledAfterPut(house.service.store, read),
            house.service.blobs,
            house.specialists.get,
            "contract-clauses",
            1000,
            Risks(),
            Askers(),
        )
    assert len(blobs_below(house.service.settings.blobs)) == len(before) + 1
    house.say(DocumentDeleted(document_id="doc_1"))
    assert blobs_below(house.service.settings.blobs) == before


@pytest.mark.parametrize("odd", ["%00", "Governing%0ALaw"])
def test_a_category_that_is_none_is_refused(house: House, odd: str) -> None:
    """A NUL in a filter is the caller's mistake as well."""
    house.say(house.read("doc_1"))
    answer = house.client.get(f"/v1/documents/doc_1/clauses?category={odd}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_contracts_of_much_text_are_searched_beside_the_others(house: House) -> None:
    """By the bytes of the text; what extraction does not work on holds nobody up."""
    most = house.service.settings.extraction_large_text  # type: ignore[attr-defined]
    event = house.read("doc_1")
    large = event.text.model_copy(update={"size": most})
    is_large = house.service.large
    assert not is_large(event)
    assert is_large(event.model_copy(update={"text": large}))
    assert not is_large(event.model_copy(update={"text": large, "kind": "report"}))
    assert not is_large(DocumentDeleted(document_id="doc_1"))
