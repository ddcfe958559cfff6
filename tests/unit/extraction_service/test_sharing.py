"""Two documents of the same text in other bytes: what is deleted with one is not the other's."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.stand_in import Labels, StandIn
from services.escalation.ledger.store import ledger
from services.extraction import handlers
from services.extraction.domain import Extraction
from services.extraction.questions import Asked, batches
from services.extraction.store import holdings
from shared.events import BlobRef, DocumentDeleted, EscalationRequested, Event
from tests.killed import blobs_below
from tests.postgres import Servers
from tests.unit.escalation.test_service import House as Frontier
from tests.unit.extraction_service.house import House
from tests.unit.extraction_service.test_questions import policy, unsure

OLD = pytest.mark.parametrize("old", [False, True], ids=["new", "old"])


@pytest.fixture(params=["sqlite", "postgresql"])
def house(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Iterator[House]:
    """Extraction that asks about what it finds, on either database."""
    url = servers.database() if request.param == "postgresql" else ""
    (tmp_path / "rules").mkdir()
    house = House(tmp_path, policy=policy(tmp_path / "rules"), extraction_database_url=url)
    house.specialists.specialist.guarantee = unsure(0.6)
    yield house
    house.close()


def ask_as_before(patch: pytest.MonkeyPatch) -> None:
    """Questions do not say which result they are about, and rows not that no other document has
    them, as older programs wrote them.
    """
    noting = Extraction.noting

    def unmarked(extraction: Extraction, refs: Collection[BlobRef]) -> Extraction:
        return replace(noting(extraction, refs), own=extraction.own)

    patch.setattr(Extraction, "noting", unmarked)

    def without(*arguments: Any) -> Iterator[list[Asked]]:
        for batch in batches(*arguments):
            yield [replace(o, question=o.question.model_copy(update={"result": ""})) for o in batch]

    patch.setattr(handlers, "batches", without)


def likes(house: House, attempt: int = 1) -> list[Event]:
    """What ingest says of two documents of one text."""
    said: list[Event] = []
    for name in ("doc_1", "doc_2"):
        original = house.service.blobs.put("default", f"the bytes of {name}".encode())
        read = house.read(name, attempt=attempt).model_copy(update={"original": original})
        said += [house.ingested(name, attempt=attempt), read]
    return said


def requests(house: House) -> Sequence[EscalationRequested]:
    """What is asked about the two."""
    first, second = house.heard(EscalationRequested)
    assert (first.document_id, second.document_id) == ("doc_1", "doc_2")
    return first, second


def mine(house: House) -> set[str]:
    """The blobs of extraction, and what the test has put for ingest."""
    return blobs_below(house.service.settings.blobs)


@OLD
def test_what_is_asked_of_a_document_stays_when_its_like_is_deleted(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: bool
) -> None:
    """Each of its blobs opens, and its request is answered, for what the same was answered once."""
    monkeypatch.setenv("TEST_FRONTIER_KEY", "k")
    if old:
        ask_as_before(monkeypatch)
    house.say(*likes(house))
    first, second = requests(house)
    refs = [{r.question, *(more.question for more in r.further)} for r in (first, second)]
    assert bool(refs[0] & refs[1]) is old
    with StandIn(Labels([]), hang_seconds=30) as stand_in:
        frontier = Frontier(tmp_path, stand_in)
        assert len(frontier.say(first)) == 1 + len(first.further) > 1
        house.say(DocumentDeleted(document_id="doc_1"))
        with house.service.store.read() as session:
            held = {one.id: one for one in holdings(session)}
        assert held["doc_2"].required
        for _, blob in held["doc_2"].required:
            assert house.service.blobs.get("default", blob.ref)
        answers = frontier.say(second)
        assert [one.question for one in answers] == [
            second.question, *(more.question for more in second.further)
        ]  # fmt: skip
        assert all(one.answer for one in answers)
        assert not frontier.service.bus.dead_letters()
        assert len(frontier.rows(ledger)) == 1
        frontier.service.close()


@OLD
def test_the_last_of_them_takes_all_with_it(
    house: House, monkeypatch: pytest.MonkeyPatch, old: bool
) -> None:
    """Nothing of what was asked of either is left."""
    if old:
        ask_as_before(monkeypatch)
    said = likes(house)
    before = mine(house)
    house.say(*said)
    requests(house)
    house.say(DocumentDeleted(document_id="doc_1"))
    assert mine(house) > before
    house.say(DocumentDeleted(document_id="doc_2"))
    assert mine(house) == before


def test_what_is_asked_anew_goes_as_the_old_does(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Documents have questions of both."""
    said = likes(house)
    before = mine(house)
    with monkeypatch.context() as patch:
        ask_as_before(patch)
        house.say(*said)
    old = mine(house)
    house.say(*likes(house, attempt=2))
    assert mine(house) > old
    house.say(DocumentDeleted(document_id="doc_1"), DocumentDeleted(document_id="doc_2"))
    assert mine(house) == before
