"""An audit sample looks like other items of the queue, and waits like them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select

from services.review import store
from services.review.blinding import blinding
from services.review.blinding import store as blinding_store
from services.review.blinding.blinding import (
    MADE_UP,
    NEAR,
    Appearance,
    Shown,
    among_others,
    as_before,
)
from services.review.domain import Document, Item, ItemKind
from shared.storage.secret import draw, draw_key
from tests.unit.review.builders import ReviewService, clause
from tests.unit.review.test_domain import an_item

KEY = b"the secret of this installation."
TEXT = "1. Law. This Agreement is governed by Delaware law."
LAW = "governed by Delaware law"
SAMPLE = replace(an_item(), result_id="cl_c", confidence=0.99, sampled=True, weight=2.0)


def unsure(number: int, confidence: float, **more: Any) -> Appearance:
    return Appearance.of(
        replace(an_item(), result_id=f"cl_{number}", confidence=confidence, **more)
    )


OTHERS = [unsure(number, 0.4 + number / 100) for number in range(40)]
SURE = [unsure(number, 0.7 + number / 1000, route="accept") for number in range(100, 150)]


def shown(item: Item) -> float:
    return item.seen_by(reads_results=True).confidence


def seen(sample: Item, others: Sequence[Appearance], key: bytes = KEY) -> Item:
    (item,) = among_others([sample], others, key)
    assert item.confidence == sample.confidence
    return item.seen_by(reads_results=True)


def test_the_own_confidence_of_a_sample_does_not_decide_its_place() -> None:
    sure, less_sure = (
        among_others([replace(SAMPLE, confidence=own)], [*OTHERS, *SURE], KEY)[0]
        for own in (0.999, 0.81)
    )
    assert sure.urgency == less_sure.urgency
    assert shown(sure) == shown(less_sure)
    assert sure.urgency == pytest.approx(2.0 * (1 - shown(sure)))
    assert 0.4 <= shown(sure) < 0.8
    decided = replace(sure, verdict="accept")
    assert decided.seen_by(reads_results=True).confidence == 0.999
    assert decided.seen_by(reads_results=False) == replace(
        sure.seen_by(reads_results=True), verdict="accept"
    )


def test_samples_are_spread_like_other_items() -> None:
    shown = [seen(replace(SAMPLE, result_id=f"cl_x{n}"), OTHERS).confidence for n in range(400)]
    assert len({*shown, *(one.confidence for one in OTHERS)}) == 400 + len(OTHERS)
    fifths = [
        sum(low <= one < low + 0.08 for one in shown) for low in (0.4, 0.48, 0.56, 0.64, 0.72)
    ]
    assert sum(fifths) >= 399
    assert min(fifths) > 50
    assert len({seen(SAMPLE, OTHERS, bytes([n]) * 32).confidence for n in range(40)}) == 40


def test_a_sample_keeps_its_place_when_more_items_come() -> None:
    more = [unsure(number, 0.5) for number in range(1000, 1004)]
    samples = [replace(SAMPLE, result_id=f"cl_x{n}") for n in range(100)]
    moved = sum(
        abs(seen(one, [*OTHERS, *more]).confidence - seen(one, OTHERS).confidence) > 0.05
        for one in samples
    )
    assert moved < 15


def test_a_sample_is_never_shown_with_an_acceptable_confidence() -> None:
    waits = [unsure(number, 0.9) for number in range(200, 300)]
    trusted = unsure(300, 0.1, route="accept", proposal={"verdict": "present"})
    for number in range(50):
        sample = replace(SAMPLE, result_id=f"cl_x{number}")
        assert 0.4 <= seen(sample, [*OTHERS, *waits, *SURE, trusted]).confidence < 0.8
        assert seen(sample, [*waits, *SURE]).confidence == pytest.approx(0.9)


def test_a_sample_does_not_look_like_an_escalated_item() -> None:
    asked = [unsure(n, 0.7, route="escalate", proposal={"verdict": None}) for n in range(20)]
    plain = [unsure(n, 0.2) for n in range(20, 22)]
    for key in (bytes([n]) * 32 for n in range(10)):
        assert seen(SAMPLE, [*asked, *plain], key).confidence == pytest.approx(0.2)
        assert seen(SAMPLE, asked, key).confidence == pytest.approx(0.7)


def test_a_sample_looks_like_results_of_the_same_sort() -> None:
    others = [
        *(unsure(n, 0.1, adapter="taught") for n in range(10)),
        *(unsure(n, 0.1, kind="finding") for n in range(10, 20)),
        *(unsure(n, 0.1, category="Uncapped Liability") for n in range(20, 30)),
        *(unsure(n, 0.1, chance=0.9, ordered_by="review-priority 0") for n in range(30, 40)),
        *(unsure(n, 0.6, chance=0.3, ordered_by="review-priority 1") for n in range(40, 50)),
    ]
    sample = replace(SAMPLE, chance=0.01, ordered_by="review-priority 1")
    shown = seen(sample, others)
    assert shown.confidence == pytest.approx(0.6)
    assert shown.chance == 0.3
    assert shown.ordered_by == sample.ordered_by


@pytest.mark.parametrize("kind", ["clause", "finding"])
def test_the_first_sample_of_all_gets_an_invented_confidence(kind: ItemKind) -> None:
    low, high = MADE_UP[kind]
    samples = [replace(SAMPLE, kind=kind, result_id=f"x_{n}", chance=0.01) for n in range(30)]
    shown = [seen(sample, []) for sample in samples]
    assert all(low <= one.confidence <= high for one in shown)
    assert [one.chance for one in shown] == [
        pytest.approx(1 - one.confidence, abs=1e-4) for one in shown
    ]
    assert len({one.confidence for one in shown}) > 25


def the_sample(review: ReviewService, document: str, result: str) -> dict[str, Any]:
    client = review.client()
    params = {"document": document}
    (item,) = client.get("/v1/items", params=params).json()["items"]
    assert client.get(f"/v1/items/{item['id']}").json() == {**item, "comments": []}
    line = client.get("/v1/exports", params={**params, "state": "open", "format": "jsonl"}).text
    assert json.loads(line)["confidence"] == round(item["confidence"], 3)
    claimed = client.post("/v1/items/claim", json={"item": item["id"]}).json()
    same = ("confidence", "chance", "urgency", "ordered_by", "route", "finding", "proposal")
    assert [claimed[name] for name in same] == [item[name] for name in same]
    client.post(f"/v1/items/{item['id']}/release")
    assert item["result_id"] == result
    return dict(item)


def test_a_clause_alone_in_its_contract_is_like_those_of_others(review: ReviewService) -> None:
    for number in range(20):
        other = clause(TEXT, LAW, "Governing Law", 0.3 + number / 40, number)
        review.read(f"doc_{number}", TEXT)
        review.extract(f"doc_{number}", [{**other, "adapter": "contract-clauses"}])
    found = clause(TEXT, LAW, "Governing Law", 0.971, 77, adapter="contract-clauses")
    review.read("doc_x", TEXT)
    review.extract("doc_x", [found], sampled=[found["id"]])
    item = the_sample(review, "doc_x", found["id"])
    assert 0.3 <= item["confidence"] <= 0.775
    every = review.client().get("/v1/items").json()["items"]
    assert [one["urgency"] for one in every] == sorted(
        (one["urgency"] for one in every), reverse=True
    )
    assert every[-1]["id"] != item["id"]
    review.read("doc_x", TEXT, attempt=2)
    review.extract("doc_x", [found], sampled=[found["id"]], attempt=2)
    again = the_sample(review, "doc_x", found["id"])
    assert again["id"] != item["id"]
    assert again["confidence"] == item["confidence"]


def test_a_finding_alone_in_its_report_is_like_those_of_others(review: ReviewService) -> None:
    for number in range(20):
        review.find(f"doc_{number}", [finding(f"fd_{number}", 0.81 + number / 1000)])
    review.find("doc_x", [finding("fd_x", 0.971)], sampled=["fd_x"])
    item = the_sample(review, "doc_x", "fd_x")
    assert 0.81 <= item["confidence"] <= 0.829
    assert item["confidence"] == round(item["confidence"], 4)
    assert item["urgency"] == pytest.approx(1 - item["confidence"])


def test_a_sample_processed_again_shows_the_same(review: ReviewService) -> None:
    found = [
        clause(TEXT, LAW, "Governing Law", 0.97, 70 + n, adapter="contract-clauses")
        for n in range(12)
    ]

    def confidences(attempt: int) -> dict[str, float]:
        review.read("doc_x", TEXT, attempt=attempt)
        sampled = [one["id"] for one in found]
        review.extract("doc_x", found, sampled=sampled, attempt=attempt)
        listed = review.client().get("/v1/items", params={"document": "doc_x"}).json()["items"]
        assert len(listed) == 12
        return {one["result_id"]: one["confidence"] for one in listed}

    def others(first: int, confidence: float) -> None:
        for number in range(first, first + 10):
            one = clause(TEXT, LAW, "Governing Law", confidence + number / 1000, 100 + number)
            review.read(f"doc_{number:x}", TEXT)
            review.extract(f"doc_{number:x}", [{**one, "adapter": "contract-clauses"}])

    others(0, 0.5)
    first = confidences(1)
    others(10, 0.2)
    assert confidences(2) == first
    found[0]["confidence"] = 0.96
    third = confidences(3)
    assert {name for name in first if third[name] != first[name]} <= {found[0]["id"]}
    assert confidences(4) == third
    assert rows_shown(review) == 12
    review.delete("doc_x")
    assert rows_shown(review) == 0


def rows_shown(review: ReviewService) -> int:
    with review.service.store.read() as session:
        shown = (
            select(func.count()).select_from(store.shown).where(store.shown.c.tenant == "default")
        )
        return int(session.execute(shown).scalar_one())


def test_a_sample_changes_once_its_shown_confidence_would_be_accepted() -> None:
    unsure_ones = [unsure(number, 0.5 + number / 100) for number in range(38)]
    strict = [unsure(number, 0.9 + number / 1000, route="accept") for number in range(100, 150)]
    loose = [one for one in unsure_ones if one.confidence < 0.6]
    loose += [one._replace(route="accept") for one in unsure_ones if one.confidence >= 0.6]
    samples = [replace(SAMPLE, result_id=f"cl_x{number}") for number in range(100)]
    moved = 0
    for sample in samples:
        (first,) = among_others([sample], [*unsure_ones, *strict], KEY)
        before = {sample.result_id: Shown.of(first)}
        fresh = among_others([sample], [*loose, *strict], KEY)
        (again,) = as_before(fresh, before, [*loose, *strict])
        assert shown(again) < 0.6
        moved += shown(again) != shown(first)
    assert 0 < moved < 100


def finding(name: str, confidence: float) -> dict[str, Any]:
    return {"id": name, "check": "income_sums", "confidence": confidence, "message": f"{name}."}


def test_patterns_come_from_other_documents_of_the_tenant(review: ReviewService) -> None:
    for number in range(12):
        tenant = "rivals" if number == 11 else "default"
        review.read(f"doc_{number:x}", TEXT, tenant=tenant)
        one = clause(TEXT, LAW, "Governing Law", 0.5, number, adapter="contract-clauses")
        review.extract(f"doc_{number:x}", [one], tenant=tenant)
    review.decide(review.items()[0]["id"])
    sort = blinding_store.Sort("clause", "contract-clauses", None)
    with review.service.store.read() as session:
        key = draw_key(session)
        here = Document("default", "doc_3", "", "contract")
        found = blinding_store.unsure(session, here, sort, key)
        assert blinding_store.unsure(session, here, sort._replace(adapter="taught"), key) == []
        assert blinding_store.unsure(session, here, sort._replace(category="Parties"), key) == []
    assert sorted(one.result_id for one in found) == [
        f"cl_{number:032x}" for number in range(11) if number != 3
    ]
    assert len(found) < NEAR


def test_patterns_are_found_behind_many_accepted_findings(
    review: ReviewService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blinding_store, "NEAR", 5)
    for number in range(20):
        sure = {**finding(f"fd_a{number}", 0.97), "route": "accept"}
        other = {**finding(f"fd_b{number}", 0.85), "check": "other_sums"}
        review.find(f"doc_y{number:02}", [sure, other])
    for number in range(3):
        review.find(f"doc_z{number}", [finding(f"fd_{number}", 0.9 + number / 1000)])
    review.find("doc_x", [finding("fd_x", 0.98)], sampled=["fd_x"])
    assert 0.9 <= the_sample(review, "doc_x", "fd_x")["confidence"] <= 0.902


@pytest.mark.parametrize(
    ("kind", "low", "below"),
    [("finding", 0.82, 0.97), ("finding", 0.68, 0.7), ("clause", 0.4, 0.9)],
)
def test_an_invented_confidence_is_below_accepted_ones(
    kind: ItemKind, low: float, below: float
) -> None:
    sure = [unsure(1, below, kind=kind, route="accept"), unsure(2, 0.99, kind=kind, sampled=True)]
    samples = [replace(SAMPLE, kind=kind, result_id=f"x_{n}") for n in range(40)]
    shown = [seen(sample, sure).confidence for sample in samples]
    assert low <= min(shown) < low + (below - low) / 4
    assert below > max(shown) > below - (below - low) / 4


def test_the_lowest_accepted_confidence_of_each_category_is_found(review: ReviewService) -> None:
    for number, (category, confidence, route) in enumerate(
        [("A", 0.8, "accept"), ("A", 0.7, "accept"), ("A", 0.2, "review"), ("B", 0.9, "accept")]
    ):
        one = clause(TEXT, LAW, category, confidence, number, adapter="contract-clauses")
        review.read(f"doc_{number}", TEXT)
        review.extract(f"doc_{number}", [{**one, "route": route}])
    with review.service.store.read() as session:
        here = Document("default", "doc_x", "", "contract")
        found = list(blinding_store.least_sure(session, here, "clause", "contract-clauses"))
        less = list(
            blinding_store.least_sure(
                session, replace(here, id="doc_1"), "clause", "contract-clauses"
            )
        )
    assert [(one.category, one.confidence) for one in found] == [("A", 0.7), ("B", 0.9)]
    assert [one.confidence for one in less] == [0.8, 0.9]
    assert all(one.sure for one in found)


def test_the_cost_of_a_sample_does_not_grow_with_its_document(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn, counts = list[str](), list[int]()

    def counted(key: bytes, purpose: str, of: str) -> float:
        drawn.append(of)
        return draw(key, purpose, of)

    monkeypatch.setattr(blinding, "draw", counted)
    for size in (300, 3000):
        items = [
            replace(an_item(), result_id=f"cl_{n}", confidence=n / size, sampled=n % 5 == 0)
            for n in range(size)
        ]
        drawn.clear()
        among_others(items, [], KEY)
        counts.append(len(drawn))
    assert counts[1] == 10 * counts[0]
