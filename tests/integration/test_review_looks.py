"""The confidence shown for an audit sample is stored and deleted on both databases."""

from __future__ import annotations

from sqlalchemy import func, select

from services.review import store
from tests.unit.review.builders import ReviewService, clause

TEXT = "1. Law. This Agreement is governed by Delaware law."
FOUND = {
    **clause(TEXT, "governed by Delaware law", "Governing Law", 0.97, 77),
    "adapter": "contract-clauses",
}


def confidence(house: ReviewService, attempt: int = 1, document: str = "doc_x") -> float:
    house.read(document, TEXT, attempt=attempt)
    house.extract(document, [FOUND], sampled=[FOUND["id"]], attempt=attempt)
    (item,) = house.client().get("/v1/items", params={"document": document}).json()["items"]
    return float(item["confidence"])


def others(house: ReviewService, first: int, certainty: float) -> None:
    for number in range(first, first + 10):
        waits = {**FOUND, "id": f"cl_{number:032x}", "confidence": certainty + number / 1000}
        sure = {**FOUND, "id": f"cl_a{number:031x}", "confidence": 0.9, "route": "accept"}
        house.read(f"doc_{number:x}", TEXT)
        house.extract(f"doc_{number:x}", [waits, sure])


def kept(house: ReviewService) -> int:
    with house.service.store.read() as session:
        of = select(func.count()).select_from(store.shown).where(store.shown.c.tenant == "default")
        return int(session.execute(of).scalar_one())


def test_what_a_check_shows_stays_until_its_document_goes(house: ReviewService) -> None:
    others(house, 0, 0.5)
    first = confidence(house)
    assert 0.5 <= first <= 0.51
    assert kept(house) == 1
    others(house, 10, 0.2)
    assert confidence(house, attempt=2) == confidence(house, attempt=3) == first
    house.delete("doc_x")
    assert kept(house) == 0
