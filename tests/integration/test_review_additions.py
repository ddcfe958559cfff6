"""Added clauses on SQLite and PostgreSQL: two reviewers add the same one at the same time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from services.review.domain import AdditionRequest, DecisionRequest, Duplicate, new_id
from shared.web.auth import Actor
from tests.unit.review.builders import ReviewService

ADA, BEN = Actor("default", "ada", "k1"), Actor("default", "ben", "k2")
WORDS = [f"word{number:02d}" for number in range(20)]
TEXT = " ".join(WORDS)


def test_one_of_two_reviewers_adds_a_clause(house: ReviewService) -> None:
    house.read("doc_1", TEXT)
    commands, gate = house.commands(), threading.Barrier(2)

    def race(actor: Actor) -> list[str]:
        added = []
        for word in WORDS:
            start = TEXT.index(word)
            gate.wait(60)
            try:
                span = {"start": start, "end": start + len(word)}
                request = AdditionRequest(document="doc_1", category="Parties", **span)
                added.append(commands.add(actor, request)[1].text)
            except Duplicate:
                pass
        return added

    with ThreadPoolExecutor(2) as pool:
        added = [word for words in pool.map(race, (ADA, BEN)) for word in words]
    assert sorted(added) == WORDS
    assert len(house.items(state="decided", limit="500")) == len(WORDS)
    assert len(house.announced()) == len(WORDS)


def test_a_request_that_is_sent_twice_at_once_adds_one_item(house: ReviewService) -> None:
    house.read("doc_1", TEXT)
    commands, gate = house.commands(), threading.Barrier(2)
    request = AdditionRequest(document="doc_1", category="Parties", absent=True, id=new_id("de"))

    def send(_number: int) -> bool:
        gate.wait(60)
        return commands.add(ADA, request)[2]

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(send, range(2))) == [False, True]
    (item,) = house.items(state="decided")
    undo = DecisionRequest(item=item["id"], verdict="undo", id=new_id("de"))
    assert [commands.decide(ADA, undo)[2] for _ in range(2)] == [True, False]
    assert house.items(state="all") == []
    assert [event.verdict for event in house.announced()] == ["accept", "undo"]
