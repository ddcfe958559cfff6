"""Clauses that a person adds, and categories that a person confirms to be absent."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import Any

import pytest
from openpyxl import load_workbook

from services.review import store
from services.review.domain import AdditionRequest, Superseded, new_id
from services.review.error_rates import was_wrong
from shared.audit import chain
from shared.web.auth import Actor
from tests.unit.review.builders import ReviewService, clause, proposal
from tests.unit.review.test_domain import an_item

TEXT = (
    "1. Law. Utah law governs. \f2. Cap. Liability is limited to US$ 5. 3. Audits. Buyer may audit."
)
LAW, CAP, AUDIT = "Utah law governs.", "Liability is limited to US$ 5.", "Buyer may audit."
FOUND = clause(TEXT, LAW, "Governing Law", 0.4, 1, adapter="contract-clauses")
ITEMS = "/v1/items"
ABSENT = {"document": "doc_1", "category": "Insurance", "absent": True}
ANALYST = "key-cara"


def of(quote: str, category: str = "Cap On Liability", **more: Any) -> dict[str, Any]:
    """The request to add a quote of the text."""
    start = TEXT.index(quote)
    span = {"start": start, "end": start + len(quote)}
    return {"document": "doc_1", "category": category, **span, **more}


@pytest.fixture
def contract(review: ReviewService) -> ReviewService:
    """A contract in which the model found the law alone."""
    review.read("doc_1", TEXT)
    review.extract("doc_1", [FOUND])
    return review


def add(review: ReviewService, body: dict[str, Any], status: int = 201) -> dict[str, Any]:
    answer = review.client().post(ITEMS, json=body)
    assert answer.status_code == status, answer.text
    return dict(answer.json())


def undo(review: ReviewService, item: str) -> dict[str, Any]:
    return review.decide(item, "undo")


def shown(review: ReviewService) -> list[str]:
    return [item["category"] for item in review.items(state="all")]


def exported(review: ReviewService, form: str = "jsonl", **params: str) -> Any:
    wanted = {"format": form, "columns": "all", **params}
    answer = review.client().get("/v1/exports", params=wanted)
    assert answer.status_code == 200
    return answer


def rows_of(review: ReviewService, **params: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in exported(review, **params).text.splitlines()]


def test_an_added_clause_is_decided_and_looks_like_others(contract: ReviewService) -> None:
    answer = add(contract, of(CAP, note="in the second section", text=CAP))
    item, decision = answer["item"], answer["decision"]
    assert (item["kind"], item["stage"], item["state"]) == ("clause", "extraction", "decided")
    assert (item["text"], item["page"], item["origin"]) == (CAP, 2, "person")
    assert (item["verdict"], item["decided_by"]) == ("accept", "ada")
    assert item["boxes"] == clause(TEXT, CAP, "", 1.0)["boxes"] != []
    assert (item["before"].strip(), item["after"].strip()) == (
        TEXT[: item["start"]].strip(),
        TEXT[item["end"] :].strip(),
    )
    assert (decision["note"], decision["origin"]) == ("in the second section", "person")
    assert decision["item_id"] == item["id"]
    assert sorted(shown(contract)) == ["Cap On Liability", "Governing Law"]
    assert contract.client().get(f"{ITEMS}/{item['id']}").json() == {**item, "comments": []}
    assert contract.client().get("/v1/decisions").json()["items"] == [decision]
    (event,) = contract.announced()
    assert (event.origin, event.verdict, event.wrong) == ("person", "accept", None)
    assert (event.item_id, event.result_id, event.stage) == (item["id"], item["id"], "extraction")


def test_an_absent_category_is_confirmed_once(contract: ReviewService) -> None:
    item = add(contract, ABSENT)["item"]
    assert (item["kind"], item["about"], item["absent"]) == ("clause", "clause", True)
    assert (item["text"], item["start"], item["page"]) == ("", None, None)
    (row,) = rows_of(contract, kind="absence")
    assert (row["kind"], row["category"], row["verdict"]) == ("absence", "Insurance", "accept")
    again = add(contract, ABSENT, 409)
    assert (again["title"], "no Insurance" in again["detail"]) == ("duplicate", True)
    add(contract, of(CAP, "Insurance"))  # both stay
    assert sorted(shown(contract)) == ["Governing Law", "Insurance", "Insurance"]


@pytest.mark.parametrize("body", [of(CAP), ABSENT], ids=["clause", "absence"])
def test_an_undo_withdraws_the_item_and_the_audit_keeps_both(
    contract: ReviewService, body: dict[str, Any]
) -> None:
    item = add(contract, body)["item"]["id"]
    refused = contract.client("key-ben").post(
        "/v1/decisions", json={"item": item, "verdict": "undo"}
    )
    assert refused.status_code == 403
    taken_back = {"item": item, "verdict": "undo", "id": new_id("de")}
    for status in (201, 200):
        answer = contract.client().post("/v1/decisions", json=taken_back)
        assert answer.status_code == status
    assert (answer.json()["item"]["verdict"], answer.json()["item"]["lease"]) == (None, None)
    assert shown(contract) == ["Governing Law"]
    assert [row["category"] for row in rows_of(contract)] == ["Governing Law"]
    assert contract.client().get(f"{ITEMS}/{item}").status_code == 404
    assert contract.client().post(f"{ITEMS}/claim", json={"item": item}).status_code == 404
    assert contract.client().get(f"{ITEMS}/counts").json()["decided"] == 0
    verdicts = [one["verdict"] for one in contract.client().get("/v1/decisions").json()["items"]]
    assert verdicts == ["undo", "accept"]
    with contract.service.store.read() as session:
        lines = [(line["action"], line["details"]) for line in chain.lines(session, subject=item)]
    about = {"document": "doc_1"}
    assert lines == [
        ("decide", {**about, "verdict": "accept"}),
        ("decide", {**about, "verdict": "undo"}),
    ]
    assert [(e.origin, e.verdict) for e in contract.announced()] == [
        ("person", "accept"),
        ("person", "undo"),
    ]
    assert add(contract, body)["item"]["id"] != item


def test_a_repeated_request_adds_nothing(contract: ReviewService) -> None:
    wanted = of(CAP, id=new_id("de"))
    first, second = add(contract, wanted), add(contract, wanted, 200)
    assert first == second
    assert len(contract.items(state="all")) == 2
    assert len(contract.announced()) == 1
    add(contract, of(AUDIT, id=wanted["id"]), 409)
    add(contract, {**ABSENT, "id": wanted["id"]}, 409)
    assert contract.client("key-ben").post(ITEMS, json=wanted).status_code == 409
    undo(contract, first["item"]["id"])
    assert add(contract, wanted, 200)["decision"] == first["decision"]


@pytest.mark.parametrize(
    ("body", "status", "title"),
    [
        ({**of(CAP), "document": "doc_9"}, 404, "not found"),
        (of(CAP, "Cap on liability"), 422, "invalid request"),
        (of(CAP, "document_kind"), 422, "invalid request"),
        (of(CAP, text="other words"), 422, "invalid request"),
        ({**of(CAP), "start": len(TEXT), "end": len(TEXT) + 1}, 422, "invalid request"),
        ({**of(CAP), "end": of(CAP)["start"]}, 422, "invalid request"),
        ({"document": "doc_1", "category": "Parties"}, 422, "invalid request"),
        ({**of(CAP), "absent": True}, 422, "invalid request"),
        ({**ABSENT, "category": "Nothing"}, 422, "invalid request"),
        (of(LAW, "Governing Law"), 409, "duplicate"),
        (of(" \f"), 422, "invalid request"),
    ],
)
def test_a_wrong_addition_is_refused(
    contract: ReviewService, body: dict[str, Any], status: int, title: str
) -> None:
    contract.read("doc_2", TEXT, unsure=0.4)
    assert add(contract, body, status)["title"] == title
    assert len(contract.items(state="all", document="doc_1")) == 1
    assert contract.announced() == []


def test_a_category_of_a_taught_specialist_can_be_added(contract: ReviewService) -> None:
    add(contract, of(AUDIT, "Data Retention"), 422)
    contract.read("doc_2", TEXT)
    contract.extract("doc_2", [clause(TEXT, CAP, "Data Retention", 0.7, 5)])
    add(contract, of(AUDIT, "Data Retention"))


def test_a_document_must_be_a_read_contract_of_this_attempt(review: ReviewService) -> None:
    review.read("doc_1", TEXT, kind="report")
    assert "Only contracts" in add(review, of(CAP), 409)["detail"]
    review.extract("doc_2", [FOUND])
    assert "not read yet" in add(review, {**of(CAP), "document": "doc_2"}, 409)["detail"]
    review.read("doc_3", TEXT)
    review.cancel("doc_3")
    assert add(review, {**of(CAP), "document": "doc_3"}, 409)["title"] == "superseded"
    review.read("doc_4", TEXT)
    assert (
        review.client("key-eve").post(ITEMS, json={**of(CAP), "document": "doc_4"}).status_code
        == 404
    )
    review.delete("doc_4")
    add(review, {**ABSENT, "document": "doc_4"}, 404)


def test_a_document_that_is_processed_again_meanwhile_takes_no_clause(
    contract: ReviewService, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = contract.commands()
    request = AdditionRequest(**of(CAP))
    read = commands._read

    def then_again(*where: str) -> Any:
        seen = read(*where)
        contract.read("doc_1", "0. " + TEXT, attempt=2)
        return seen

    monkeypatch.setattr(commands, "_read", then_again)
    with pytest.raises(Superseded):
        commands.add(Actor("default", "ada", "k1"), request)


def test_a_clause_counts_as_it_was_corrected(contract: ReviewService) -> None:
    (item,) = contract.items()
    right = {key: of(AUDIT, "Audit Rights")[key] for key in ("category", "start", "end")}
    contract.decide(item["id"], "correct", correction=right)
    add(contract, of(AUDIT, "Audit Rights"), 409)
    add(contract, of(LAW, "Governing Law"))


def test_a_rejected_clause_can_be_added_by_another_person(contract: ReviewService) -> None:
    (found,) = contract.items()
    contract.decide(found["id"], "reject")
    added = contract.client("key-ben").post(ITEMS, json=of(LAW, "Governing Law"))
    assert added.status_code == 201, added.text
    add(contract, of(LAW, "Governing Law"), 409)


def test_the_place_of_a_hidden_check_answers_like_any_other(review: ReviewService) -> None:
    quotes = {"hidden": LAW, "shown": CAP, "accepted": AUDIT}
    found = {
        name: clause(TEXT, quote, "Parties", 0.5 if name == "shown" else 0.97, number, **more)
        for number, (name, quote) in enumerate(quotes.items())
        for more in [{"adapter": "a", "route": "accept" if name == "accepted" else "review"}]
    }
    review.keys.actors[ANALYST] = Actor("default", "cara", "k9", scopes=frozenset({"review"}))
    review.read("doc_1", TEXT)
    review.extract("doc_1", list(found.values()), sampled=[found["hidden"]["id"]])
    same, beside = set[str](), set[str]()
    for quote in quotes.values():
        answer = review.client(ANALYST).post(ITEMS, json=of(quote, "Parties"))
        same.add(f"{answer.status_code} {answer.json()['title']} {answer.json()['detail']}")
        answer = review.client(ANALYST).post(ITEMS, json=of(quote[:-1], "Parties"))
        known = {key: answer.json()["item"][key] for key in ("confidence", "chance", "route")}
        beside.add(f"{answer.status_code} {known} {sorted(answer.json()['item'])}")
    assert (len(same), len(beside)) == (1, 1)


def test_an_added_clause_stays_decided_when_its_document_is_processed_again(
    contract: ReviewService,
) -> None:
    kept, found = add(contract, of(CAP))["item"], add(contract, of(AUDIT, "Audit Rights"))["item"]
    contract.read("doc_1", TEXT, attempt=2)
    again = clause(TEXT, AUDIT, "Audit Rights", 0.93, 7, adapter="contract-clauses")
    contract.extract("doc_1", [FOUND, again], attempt=2, sampled=[again["id"]])
    now = {item["id"]: item for item in contract.items(state="all")}
    assert len(now) == 3
    assert now[kept["id"]] == kept
    assert now[found["id"]] == {**found, "result_id": again["id"]}
    add(contract, of(AUDIT, "Audit Rights"), 409)
    undo(contract, kept["id"])
    assert undo(contract, found["id"])["item"]["state"] == "claimed"  # the model's result stays
    assert sorted(shown(contract)) == ["Audit Rights", "Governing Law"]


def test_an_undone_clause_that_the_model_finds_then_is_queued(review: ReviewService) -> None:
    review.read("doc_1", TEXT)
    undo(review, add(review, of(LAW, "Governing Law"))["item"]["id"])
    review.extract("doc_1", [FOUND])
    (item,) = review.items()
    assert (item["result_id"], item["origin"]) == (FOUND["id"], "model")


def test_a_deletion_removes_the_words_of_an_added_clause(contract: ReviewService) -> None:
    add(contract, of(CAP, note="why"))
    contract.delete("doc_1")
    assert contract.items(state="all") == []
    (decision,) = contract.client().get("/v1/decisions").json()["items"]
    assert (decision["text"], decision["note"]) == ("", "")


def test_an_export_has_the_origin_in_every_format(contract: ReviewService) -> None:
    add(contract, of(CAP))
    expected = {"Governing Law": ("model", 0.4), "Cap On Liability": ("person", None)}
    rows = rows_of(contract)
    assert {row["category"]: (row["origin"], row["confidence"]) for row in rows} == expected
    table = csv.DictReader(io.StringIO(exported(contract, "csv").text.lstrip("\ufeff")))
    assert {row["category"]: row["origin"] for row in table} == {
        category: origin for category, (origin, _) in expected.items()
    }
    head, *cells = load_workbook(io.BytesIO(exported(contract, "xlsx").content))["Results"].values
    sheet = [dict(zip(head, row, strict=True)) for row in cells]
    assert {row["category"]: (row["origin"], row["confidence"]) for row in sheet} == expected
    assert "origin" not in json.loads(exported(contract, columns="short").text.splitlines()[0])


def test_an_added_clause_is_an_example_for_training(contract: ReviewService) -> None:
    """A line of the export has what an example of `smallprint teach` needs."""
    add(contract, of(CAP))
    (row,) = rows_of(contract, category="Cap On Liability", state="decided")
    assert (row["document_id"], row["verdict"]) == ("doc_1", "accept")
    assert TEXT[row["start"] : row["end"]] == row["text"] == CAP


def test_an_added_clause_is_no_evidence_about_the_model(review: ReviewService) -> None:
    """Not in the error rates, not in the accuracy of a provider, not in a simulated policy."""
    item = replace(an_item(), origin="person", sampled=True)
    assert [was_wrong(item, verdict, None) for verdict in ("accept", "reject", "undo")] == [
        None
    ] * 3
    review.read("doc_1", TEXT)
    add(review, of(LAW, "Governing Law"))
    escalated = {**FOUND, "route": "escalate"}
    review.extract("doc_1", [escalated], sampled=[FOUND["id"]])
    review.answer(FOUND["id"], proposal(TEXT, LAW), TEXT)
    (found,) = review.items(state="all")
    assert (found["result_id"], found["verdict"]) == (FOUND["id"], "accept")
    assert found["proposal"]["verdict"] == "present"
    for path in ("error-rates", "proposal-rates"):
        assert review.client().get(f"/v1/decisions/{path}").json()["items"] == []
    with review.service.store.read() as session:
        assert store.verdicts(session, "default") == {}
    undo(review, found["id"])
    review.client().post("/v1/decisions", json={"item": found["id"], "verdict": "reject"})
    assert [event.wrong for event in review.announced()] == [None] * 3
    assert review.client().get("/v1/decisions/error-rates").json()["items"] == []


def test_a_hidden_check_never_looks_like_an_added_clause(review: ReviewService) -> None:
    review.read("doc_1", TEXT)
    add(review, of(CAP))
    review.read("doc_2", TEXT)
    sample = clause(TEXT, CAP, "Cap On Liability", 0.97, 3)
    review.extract("doc_2", [sample], sampled=[sample["id"]])
    (item,) = review.items(document="doc_2")
    assert item["confidence"] < 0.9
