"""The queue: words, orders, people, and several items accepted at once."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.review.store import find_document
from tests.unit.review.builders import ReviewService, clause

TEXT = "1. Law. Utah law governs. 2. Cap. Liability is limited to 5% of fees. 3. Audits. Yearly."
FOUND = [
    clause(TEXT, "Utah law governs.", "Governing Law", 0.9, 1),
    clause(TEXT, "Liability is limited to 5% of fees.", "Cap On Liability", 0.4, 2),
    clause(TEXT, "Yearly.", "Rofr/Rofo/Rofn", 0.6, 3),
]
LAW, CAP, FIRST = (one["category"] for one in FOUND)


@pytest.fixture
def queue(review: ReviewService) -> ReviewService:
    """Three clauses of a lease."""
    review.read("doc_1", TEXT, name="Lease of a barn.pdf")
    review.extract("doc_1", FOUND)
    return review


def listed(review: ReviewService, **params: str) -> list[str]:
    return [item["category"] for item in review.items(**params)]


def ids(review: ReviewService) -> dict[str, str]:
    return {item["category"]: item["id"] for item in review.items(state="all")}


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("utah", {LAW}),
        ("GOVERNING", {LAW}),
        ("right refusal", {FIRST}),
        ("barn liability", {CAP}),
        ("5%", {CAP}),
        ("5_", set()),
        ("utah liability", set()),
        ("", {LAW, CAP, FIRST}),
    ],
)
def test_all_words_are_found_in_text_type_or_document(
    queue: ReviewService, words: str, found: set[str]
) -> None:
    assert set(listed(queue, q=words)) == found
    counts = queue.client().get("/v1/items/counts", params={"q": words}).json()
    assert counts["waiting"] == len(found)
    assert sum(group["count"] for group in counts["categories"]) == 3


@pytest.mark.parametrize(
    ("sort", "order"), [("confidence", [CAP, FIRST, LAW]), ("urgency", [CAP, FIRST, LAW])]
)
def test_a_page_goes_on_in_its_order(queue: ReviewService, sort: str, order: list[str]) -> None:
    found: list[str] = []
    cursor = ""
    for _ in range(3):
        params = {"sort": sort, "limit": "1", **({"cursor": cursor} if cursor else {})}
        page = queue.client().get("/v1/items", params=params).json()
        found += [item["category"] for item in page["items"]]
        cursor = page["next"]
    assert found == order
    assert cursor is None


def test_the_newest_come_first(queue: ReviewService) -> None:
    queue.read("doc_2", TEXT)
    queue.extract("doc_2", FOUND[:1])
    items, cursor = [], None
    while True:
        params = {"sort": "newest", "limit": "3", **({"cursor": cursor} if cursor else {})}
        page = queue.client().get("/v1/items", params=params).json()
        items += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    assert len({item["id"] for item in items}) == 4
    assert items[0]["document_id"] == "doc_2"


def test_a_cursor_of_another_order_is_refused(queue: ReviewService) -> None:
    client = queue.client()
    cursor = client.get("/v1/items", params={"sort": "urgency", "limit": "1"}).json()["next"]
    answer = client.get("/v1/items", params={"sort": "newest", "cursor": cursor})
    assert answer.status_code == 422


def test_what_is_assigned_waits_for_that_person(queue: ReviewService) -> None:
    items = ids(queue)
    body = {"items": [items[CAP], "it_unknown"], "assignee": "ben"}
    assert queue.client().put("/v1/items/assignee", json=body).json() == {"assigned": 1}
    assert queue.client("key-eve").put("/v1/items/assignee", json=body).json() == {"assigned": 0}
    assert listed(queue, assignee="ben") == [CAP]
    assert set(listed(queue, assignee="nobody")) == {LAW, FIRST}
    assert listed(queue, assignee="me") == []
    assert queue.claim()["category"] == FIRST
    assert queue.claim("key-ben")["category"] == CAP
    assert queue.claim(item=items[LAW])["assignee"] is None
    queue.client().put("/v1/items/assignee", json={**body, "assignee": None})
    assert set(listed(queue, assignee="nobody")) == {LAW, CAP, FIRST}


def test_an_assigned_document_takes_its_open_items_along(queue: ReviewService) -> None:
    decided = ids(queue)[FIRST]
    queue.decide(decided)
    queue.assign("doc_1", "ben")
    assert set(listed(queue, assignee="ben")) == {LAW, CAP}
    queue.assign("doc_1", None)
    assert set(listed(queue, assignee="nobody")) == {LAW, CAP}


def test_later_items_have_the_assignee_of_their_document(queue: ReviewService) -> None:
    queue.assign("doc_2", "ben")  # while it is read
    assert queue.client().get("/v1/items/pages?document=doc_2").status_code == 404
    queue.read("doc_2", TEXT, unsure=0.5)
    queue.extract("doc_2", FOUND[:1])
    assert len(listed(queue, assignee="ben")) == 2
    queue.read("doc_2", TEXT, attempt=2)
    queue.extract("doc_2", FOUND[:2], attempt=2)
    assert set(listed(queue, assignee="ben", document="doc_2")) == {LAW, CAP}


def test_a_late_or_repeated_assignment_changes_nothing(queue: ReviewService) -> None:
    first, last = queue.assign("doc_1", "ben"), queue.assign("doc_1", "ada")
    body = {"items": [ids(queue)[CAP]], "assignee": "eve"}
    queue.client().put("/v1/items/assignee", json=body)
    queue.publish(
        *(event.model_copy(update={"id": f"again-{event.id}"}) for event in (first, last))
    )
    assert set(listed(queue, assignee="ada")) == {LAW, FIRST}
    assert listed(queue, assignee="eve") == [CAP]


def test_a_deleted_document_has_no_assignee(queue: ReviewService) -> None:
    event = queue.assign("doc_1", "ben")
    queue.delete("doc_1")
    queue.publish(event.model_copy(update={"id": "late", "time": datetime.now(UTC)}))
    with queue.service.store.read() as session:
        document = find_document(session, "default", "doc_1")
    assert document is not None
    assert (document.assignee, document.deleted) == (None, True)


def test_several_accepted_at_once_count_in_no_error_rate(queue: ReviewService) -> None:
    item = queue.claim()["id"]
    wish = {"item": item, "verdict": "accept", "bulk": True}
    answer = queue.client().post("/v1/decisions", json=wish)
    assert answer.status_code == 201
    assert answer.json()["decision"]["bulk"]
    assert queue.announced()[-1].wrong is None
    wish["verdict"] = "reject"
    assert queue.client().post("/v1/decisions", json=wish).status_code == 422


@pytest.mark.parametrize("policy", ["[tenants.default]\nbulk_accept = false\n"])
def test_a_tenant_can_refuse_it(queue: ReviewService) -> None:
    client = queue.client()
    assert not client.get("/v1/items/counts").json()["bulk_accept"]
    wish = {"item": queue.claim()["id"], "verdict": "accept", "bulk": True}
    assert client.post("/v1/decisions", json=wish).status_code == 403
    assert client.post("/v1/decisions", json={**wish, "bulk": False}).status_code == 201
