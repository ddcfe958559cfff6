"""A check looks like others in the queue, and waits like them, whatever it is itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from threading import Event
from typing import Any

import pytest
from sqlalchemy import func, select

from services.review import disguise, store
from services.review.disguise import MADE_UP, NEAR, Look, Shown, among_others, as_before
from services.review.domain import Document, Item, ItemKind
from services.review.looks import store as looks
from services.review.looks.sweeping import Sweeper
from shared.storage.secret import draw, draw_key
from tests.unit.review.house import House, clause
from tests.unit.review.test_domain import an_item

KEY = b"the secret of this installation."
TEXT = "1. Law. This Agreement is governed by Delaware law."
LAW = "governed by Delaware law"
CHECK = replace(an_item(), result_id="cl_c", confidence=0.99, sampled=True, weight=2.0)


def unsure(number: int, confidence: float, **more: Any) -> Look:
    """A clause of another document that people are asked about."""
    return Look.of(replace(an_item(), result_id=f"cl_{number}", confidence=confidence, **more))


OTHERS = [unsure(number, 0.4 + number / 100) for number in range(40)]
SURE = [unsure(number, 0.7 + number / 1000, route="accept") for number in range(100, 150)]


def seen(check: Item, others: Sequence[Look], key: bytes = KEY) -> Item:
    """A check that is all of its document, as people see it."""
    (item,) = among_others([check], others, key)
    assert item.confidence == check.confidence
    return item.apparent


def test_nothing_of_its_own_confidence_decides_where_a_check_waits() -> None:
    """Also where it is the only item of its document; until it is decided."""
    sure, less_sure = (
        among_others([replace(CHECK, confidence=own)], [*OTHERS, *SURE], KEY)[0]
        for own in (0.999, 0.81)
    )
    assert sure.urgency == less_sure.urgency
    assert sure.apparent.confidence == less_sure.apparent.confidence
    assert sure.urgency == pytest.approx(2.0 * (1 - sure.apparent.confidence))
    assert 0.4 <= sure.apparent.confidence < 0.8
    assert replace(sure, verdict="accept").apparent.confidence == 0.999


def test_checks_are_spread_over_what_people_are_asked_about() -> None:
    """As its confidences are, and no two are the same to the last digit, nor that of another."""
    shown = [seen(replace(CHECK, result_id=f"cl_x{n}"), OTHERS).confidence for n in range(400)]
    assert len({*shown, *(one.confidence for one in OTHERS)}) == 400 + len(OTHERS)
    fifths = [
        sum(low <= one < low + 0.08 for one in shown) for low in (0.4, 0.48, 0.56, 0.64, 0.72)
    ]
    assert sum(fifths) >= 399
    assert min(fifths) > 50
    assert len({seen(CHECK, OTHERS, bytes([n]) * 32).confidence for n in range(40)}) == 40


def test_a_check_keeps_its_place_when_more_comes_in() -> None:
    """Read again, it would be known by a confidence that moves where those of others stay."""
    more = [unsure(number, 0.5) for number in range(1000, 1004)]
    checks = [replace(CHECK, result_id=f"cl_x{n}") for n in range(100)]
    moved = sum(
        abs(seen(one, [*OTHERS, *more]).confidence - seen(one, OTHERS).confidence) > 0.05
        for one in checks
    )
    assert moved < 15


def test_a_check_is_never_shown_as_sure_as_what_is_accepted() -> None:
    """What waits though it is sure (a page that was recognised) is no pattern for it."""
    waits = [unsure(number, 0.9) for number in range(200, 300)]
    trusted = unsure(300, 0.1, route="accept", proposal={"verdict": "present"})
    for number in range(50):
        check = replace(CHECK, result_id=f"cl_x{number}")
        assert 0.4 <= seen(check, [*OTHERS, *waits, *SURE, trusted]).confidence < 0.8
        assert seen(check, [*waits, *SURE]).confidence == pytest.approx(0.9)


def test_a_check_is_not_like_one_that_a_model_is_asked_about() -> None:
    """No answer comes beside it, by which it would be known; unless there is nothing else."""
    asked = [unsure(n, 0.7, route="escalate", proposal={"verdict": None}) for n in range(20)]
    plain = [unsure(n, 0.2) for n in range(20, 22)]
    for key in (bytes([n]) * 32 for n in range(10)):
        assert seen(CHECK, [*asked, *plain], key).confidence == pytest.approx(0.2)
        assert seen(CHECK, asked, key).confidence == pytest.approx(0.7)


def test_a_check_is_like_results_of_its_own_sort_alone() -> None:
    """Not like those of another specialist or kind, of a category of which nothing is accepted, or
    whose chance another version has told.
    """
    others = [
        *(unsure(n, 0.1, adapter="taught") for n in range(10)),
        *(unsure(n, 0.1, kind="finding") for n in range(10, 20)),
        *(unsure(n, 0.1, category="Uncapped Liability") for n in range(20, 30)),
        *(unsure(n, 0.1, chance=0.9, ordered_by="review-priority 0") for n in range(30, 40)),
        *(unsure(n, 0.6, chance=0.3, ordered_by="review-priority 1") for n in range(40, 50)),
    ]
    check = replace(CHECK, chance=0.01, ordered_by="review-priority 1")
    shown = seen(check, others)
    assert shown.confidence == pytest.approx(0.6)
    assert shown.chance == 0.3
    assert shown.ordered_by == check.ordered_by


@pytest.mark.parametrize("kind", ["clause", "finding"])
def test_the_first_of_all_is_between_what_is_shown_and_what_is_accepted(kind: ItemKind) -> None:
    """Nothing waits yet that it could look like, and nothing was accepted; drawn, it is another one
    for each.
    """
    low, high = MADE_UP[kind]
    checks = [replace(CHECK, kind=kind, result_id=f"x_{n}", chance=0.01) for n in range(30)]
    shown = [seen(check, []) for check in checks]
    assert all(low <= one.confidence <= high for one in shown)
    assert [one.chance for one in shown] == [
        pytest.approx(1 - one.confidence, abs=1e-4) for one in shown
    ]
    assert len({one.confidence for one in shown}) > 25


def the_check(house: House, document: str, result: str) -> dict[str, Any]:
    """The only item of a document, by the API, which says the same wherever it is looked at."""
    client = house.client()
    params = {"document": document}
    (item,) = client.get("/v1/items", params=params).json()["items"]
    assert client.get(f"/v1/items/{item['id']}").json() == item
    line = client.get("/v1/exports", params={**params, "state": "open", "format": "jsonl"}).text
    assert json.loads(line)["confidence"] == item["confidence"]
    claimed = client.post("/v1/items/claim", json={"item": item["id"]}).json()
    same = ("confidence", "chance", "urgency", "ordered_by", "route", "finding", "proposal")
    assert [claimed[name] for name in same] == [item[name] for name in same]
    client.post(f"/v1/items/{item['id']}/release")
    assert item["result_id"] == result
    return dict(item)


def test_a_clause_alone_in_its_contract_is_like_those_of_others(house: House) -> None:
    """It comes before what is surer than what it shows, and its own confidence is nowhere; read
    again it is shown the same.
    """
    for number in range(20):
        other = clause(TEXT, LAW, "Governing Law", 0.3 + number / 40, number)
        house.read(f"doc_{number}", TEXT)
        house.extract(f"doc_{number}", [{**other, "adapter": "contract-clauses"}])
    found = {**clause(TEXT, LAW, "Governing Law", 0.971, 77), "adapter": "contract-clauses"}
    house.read("doc_x", TEXT)
    house.extract("doc_x", [found], sampled=[found["id"]])
    item = the_check(house, "doc_x", found["id"])
    assert 0.3 <= item["confidence"] <= 0.775
    every = house.client().get("/v1/items").json()["items"]
    assert [one["urgency"] for one in every] == sorted(
        (one["urgency"] for one in every), reverse=True
    )
    assert every[-1]["id"] != item["id"]
    house.read("doc_x", TEXT, attempt=2)
    house.extract("doc_x", [found], sampled=[found["id"]], attempt=2)
    again = the_check(house, "doc_x", found["id"])
    assert again["id"] != item["id"]
    assert again["confidence"] == item["confidence"]


def test_a_finding_alone_in_its_report_is_like_those_of_others(house: House) -> None:
    """Signals and sentences of the same reports are none."""
    for number in range(20):
        house.find(f"doc_{number}", [a_finding(f"fd_{number}", 0.81 + number / 1000)])
    house.find("doc_x", [a_finding("fd_x", 0.971)], sampled=["fd_x"])
    item = the_check(house, "doc_x", "fd_x")
    assert 0.81 <= item["confidence"] <= 0.829
    assert item["confidence"] == round(item["confidence"], 4)
    assert item["urgency"] == pytest.approx(1 - item["confidence"])


def test_a_document_that_is_read_again_shows_the_same(house: House) -> None:
    """To the last digit, as ordinary results do, however many came in since; not once the
    specialist itself says another confidence. Nothing of it stays when the document is deleted.
    """
    found = [
        {**clause(TEXT, LAW, "Governing Law", 0.97, 70 + n), "adapter": "contract-clauses"}
        for n in range(12)
    ]

    def told(attempt: int) -> dict[str, float]:
        house.read("doc_x", TEXT, attempt=attempt)
        sampled = [one["id"] for one in found]
        house.extract("doc_x", found, sampled=sampled, attempt=attempt)
        listed = house.client().get("/v1/items", params={"document": "doc_x"}).json()["items"]
        assert len(listed) == 12
        return {one["result_id"]: one["confidence"] for one in listed}

    def others(first: int, confidence: float) -> None:
        for number in range(first, first + 10):
            one = clause(TEXT, LAW, "Governing Law", confidence + number / 1000, 100 + number)
            house.read(f"doc_{number:x}", TEXT)
            house.extract(f"doc_{number:x}", [{**one, "adapter": "contract-clauses"}])

    others(0, 0.5)
    first = told(1)
    others(10, 0.2)
    assert told(2) == first
    found[0]["confidence"] = 0.96
    third = told(3)
    assert {name for name in first if third[name] != first[name]} <= {found[0]["id"]}
    assert told(4) == third
    assert rows_shown(house) == 12
    house.delete("doc_x")
    assert rows_shown(house) == 0


def test_what_an_older_program_leaves_of_a_deleted_document_is_removed(house: House) -> None:
    """It knows of no such rows; those of documents that are there stay."""
    for name in ("doc_x", "doc_y"):
        found = {**clause(TEXT, LAW, "Governing Law", 0.97, 7), "adapter": "contract-clauses"}
        house.read(name, TEXT)
        house.extract(name, [found], sampled=[found["id"]])
    gone = store.documents.c.tenant == "default", store.documents.c.id == "doc_x"
    with house.service.store.write() as session:
        session.execute(store.documents.update().where(*gone).values(deleted=True))
    assert rows_shown(house) == 2
    Sweeper(house.service.store).work(Event())
    assert rows_shown(house) == 1
    with house.service.store.read() as session:
        key = "default", "doc_y"
        assert looks.shown_before(session, Document(*key, name="", kind="contract"))


def rows_shown(house: House) -> int:
    """How many checks it is kept of what they showed."""
    with house.service.store.read() as session:
        shown = (
            select(func.count()).select_from(store.shown).where(store.shown.c.tenant == "default")
        )
        return int(session.execute(shown).scalar_one())


def test_what_a_check_showed_is_kept_for_the_same_figures_alone() -> None:
    """A chance that another model tells is drawn anew; nothing is kept for what is no check."""
    item = replace(CHECK, chance=0.1, shown_confidence=0.5, shown_chance=0.4)
    before = {item.result_id: Shown.of(item)}
    fresh = replace(item, shown_confidence=0.6, shown_chance=0.3)
    another = replace(fresh, ordered_by="review-priority 2")
    surer, plain = replace(fresh, confidence=0.995), replace(fresh, sampled=False)
    assert as_before([fresh, another, surer, plain], before) == [
        item,
        replace(another, shown_confidence=0.5),
        surer,
        plain,
    ]
    assert as_before([fresh], {}) == [fresh]


def test_a_check_shows_no_more_what_is_accepted_since_a_policy_was_loosened() -> None:
    """Whatever else showed that much has left the queue; where nothing else waits, it stays."""
    unsure_ones = [unsure(number, 0.5 + number / 100) for number in range(38)]
    strict = [unsure(number, 0.9 + number / 1000, route="accept") for number in range(100, 150)]
    loose = [one for one in unsure_ones if one.confidence < 0.6]
    loose += [one._replace(route="accept") for one in unsure_ones if one.confidence >= 0.6]
    checks = [replace(CHECK, result_id=f"cl_x{number}") for number in range(100)]
    moved = 0
    for check in checks:
        (first,) = among_others([check], [*unsure_ones, *strict], KEY)
        before = {check.result_id: Shown.of(first)}
        fresh = among_others([check], [*loose, *strict], KEY)
        (again,) = as_before(fresh, before, [*loose, *strict])
        assert again.apparent.confidence < 0.6
        moved += again.apparent.confidence != first.apparent.confidence
    assert 0 < moved < 100


def a_finding(name: str, confidence: float) -> dict[str, Any]:
    """One as triage announces it."""
    return {"id": name, "check": "income_sums", "confidence": confidence, "message": f"{name}."}


def test_what_a_check_may_look_like_is_of_other_documents_of_the_tenant(house: House) -> None:
    """Of any age, decided or not, from a document on that is drawn, and around to it."""
    for number in range(12):
        tenant = "rivals" if number == 11 else "default"
        house.read(f"doc_{number:x}", TEXT, tenant=tenant)
        one = {**clause(TEXT, LAW, "Governing Law", 0.5, number), "adapter": "contract-clauses"}
        house.extract(f"doc_{number:x}", [one], tenant=tenant)
    client = house.client()
    taken = client.post("/v1/items/claim", json={}).json()
    client.post("/v1/decisions", json={"item": taken["id"], "verdict": "accept"})
    sort = looks.Sort("clause", "contract-clauses", None)
    with house.service.store.read() as session:
        key = draw_key(session)
        here = Document("default", "doc_3", "", "contract")
        found = looks.unsure(session, here, sort, key)
        assert looks.unsure(session, here, sort._replace(adapter="taught"), key) == []
        assert looks.unsure(session, here, sort._replace(category="Parties"), key) == []
    assert sorted(one.result_id for one in found) == [
        f"cl_{number:032x}" for number in range(11) if number != 3
    ]
    assert len(found) < NEAR


def test_findings_that_wait_are_seen_behind_many_that_were_accepted(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as are looked at, and more, were accepted or are of another check."""
    monkeypatch.setattr(looks, "NEAR", 5)
    kept = {"route": "accept"}
    for number in range(20):
        sure = {**a_finding(f"fd_a{number}", 0.97), **kept}
        other = {**a_finding(f"fd_b{number}", 0.85), "check": "other_sums"}
        house.find(f"doc_y{number:02}", [sure, other])
    for number in range(3):
        house.find(f"doc_z{number}", [a_finding(f"fd_{number}", 0.9 + number / 1000)])
    house.find("doc_x", [a_finding("fd_x", 0.98)], sampled=["fd_x"])
    assert 0.9 <= the_check(house, "doc_x", "fd_x")["confidence"] <= 0.902


@pytest.mark.parametrize(
    ("kind", "low", "below"),
    [("finding", 0.82, 0.97), ("finding", 0.68, 0.7), ("clause", 0.4, 0.9)],
)
def test_what_is_made_up_is_below_what_was_accepted(
    kind: ItemKind, low: float, below: float
) -> None:
    """Also where that is surer, or less sure, than what is usually accepted."""
    sure = [unsure(1, below, kind=kind, route="accept"), unsure(2, 0.99, kind=kind, sampled=True)]
    checks = [replace(CHECK, kind=kind, result_id=f"x_{n}") for n in range(40)]
    shown = [seen(check, sure).confidence for check in checks]
    assert low <= min(shown) < low + (below - low) / 4
    assert below > max(shown) > below - (below - low) / 4


def test_the_least_sure_of_each_category_is_found(house: House) -> None:
    """Of what was accepted, or drawn as a check of that, in other documents of the tenant."""
    for number, (category, confidence, route) in enumerate(
        [("A", 0.8, "accept"), ("A", 0.7, "accept"), ("A", 0.2, "review"), ("B", 0.9, "accept")]
    ):
        one = {**clause(TEXT, LAW, category, confidence, number), "adapter": "contract-clauses"}
        house.read(f"doc_{number}", TEXT)
        house.extract(f"doc_{number}", [{**one, "route": route}])
    with house.service.store.read() as session:
        here = Document("default", "doc_x", "", "contract")
        found = list(looks.least_sure(session, here, "clause", "contract-clauses"))
        less = list(
            looks.least_sure(session, replace(here, id="doc_1"), "clause", "contract-clauses")
        )
    assert [(one.category, one.confidence) for one in found] == [("A", 0.7), ("B", 0.9)]
    assert [one.confidence for one in less] == [0.8, 0.9]
    assert all(one.sure for one in found)


def test_what_a_check_costs_does_not_grow_with_its_document(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Draws are counted: of each check as many in a long document as in a short one."""
    drawn, counts = list[str](), list[int]()

    def counted(key: bytes, purpose: str, of: str) -> float:
        drawn.append(of)
        return draw(key, purpose, of)

    monkeypatch.setattr(disguise, "draw", counted)
    for size in (300, 3000):
        items = [
            replace(an_item(), result_id=f"cl_{n}", confidence=n / size, sampled=n % 5 == 0)
            for n in range(size)
        ]
        drawn.clear()
        among_others(items, [], KEY)
        counts.append(len(drawn))
    assert counts[1] == 10 * counts[0]
