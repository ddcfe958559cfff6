"""What a check looks like is found, kept and forgotten on both databases."""

from __future__ import annotations

from threading import Event

from sqlalchemy import func, select, update

from services.review import store
from services.review.looks.sweeping import Sweeper
from tests.unit.review.house import House, clause

TEXT = "1. Law. This Agreement is governed by Delaware law."
FOUND = {
    **clause(TEXT, "governed by Delaware law", "Governing Law", 0.97, 77),
    "adapter": "contract-clauses",
}


def confidence(house: House, attempt: int = 1, document: str = "doc_x") -> float:
    """What the check shows that is all of its document."""
    house.read(document, TEXT, attempt=attempt)
    house.extract(document, [FOUND], sampled=[FOUND["id"]], attempt=attempt)
    (item,) = house.client().get("/v1/items", params={"document": document}).json()["items"]
    return float(item["confidence"])


def others(house: House, first: int, certainty: float) -> None:
    """Ten contracts come in, of each of which one unsure clause waits and one was accepted."""
    for number in range(first, first + 10):
        waits = {**FOUND, "id": f"cl_{number:032x}", "confidence": certainty + number / 1000}
        sure = {**FOUND, "id": f"cl_a{number:031x}", "confidence": 0.9, "route": "accept"}
        house.read(f"doc_{number:x}", TEXT)
        house.extract(f"doc_{number:x}", [waits, sure])


def kept(house: House) -> int:
    """Of how many checks it is kept what they showed."""
    with house.service.store.read() as session:
        of = select(func.count()).select_from(store.shown).where(store.shown.c.tenant == "default")
        return int(session.execute(of).scalar_one())


def test_what_a_check_shows_stays_until_its_document_goes(house: House) -> None:
    """It is like what waits, and the same when it is read again behind a change of tables, and many
    others. What a program of the release before deletes leaves nothing for long.
    """
    others(house, 0, 0.5)
    first = confidence(house)
    assert 0.5 <= first <= 0.51
    house.service.store.migrate("0014")
    house.service.store.migrate()
    assert kept(house) == 1
    others(house, 10, 0.2)
    assert confidence(house, attempt=2) == confidence(house, attempt=3) == first
    house.delete("doc_x")
    assert kept(house) == 0
    confidence(house, document="doc_y")
    gone = store.documents.c.tenant == "default", store.documents.c.id == "doc_y"
    Sweeper(house.service.store).work(Event())
    assert kept(house) == 1
    with house.service.store.write() as session:
        session.execute(update(store.documents).where(*gone).values(deleted=True))
    Sweeper(house.service.store).work(Event())
    assert kept(house) == 0
