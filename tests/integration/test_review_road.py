"""Review on its real database and bus: each event and command takes effect once, even in races."""

from __future__ import annotations

import base64
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.review.domain import AlreadyDecided, DecisionRequest, Item, LeaseLost, new_id
from services.review.store import Filters
from shared.bus import Message
from shared.errors import Conflict
from shared.events import ClausesExtracted
from shared.web.app import PROBLEM
from shared.web.auth import Actor
from tests.unit.review.builders import ReviewService, clause

ROUNDS = 200
ADA, BEN = Actor("default", "ada", "k1"), Actor("default", "ben", "k2")


def test_two_analysts_racing_for_one_item_never_both_get_it(house: ReviewService) -> None:
    house.fill(ROUNDS)
    commands = house.commands()
    items = [item["id"] for item in house.client().get("/v1/items?limit=500").json()["items"]]
    assert len(items) == ROUNDS
    gate = threading.Barrier(2)
    wins: dict[str, list[str]] = {item: [] for item in items}

    def race(actor: Actor) -> list[str]:
        messages = []
        for item in items:
            gate.wait(60)
            try:
                commands.claim(actor, item)
                wins[item].append(actor.name)
            except Conflict as conflict:
                messages.append(conflict.message)
        return messages

    with ThreadPoolExecutor(2) as pool:
        messages = [message for messages in pool.map(race, (ADA, BEN)) for message in messages]
    assert all(len(names) == 1 for names in wins.values())
    assert len(messages) == ROUNDS
    assert all("is reviewing this item" in message for message in messages)


def test_two_analysts_asking_for_the_next_get_different_items(house: ReviewService) -> None:
    house.fill(ROUNDS)
    commands = house.commands()
    gate = threading.Barrier(2)

    def work(actor: Actor) -> list[Item | None]:
        claimed = []
        for _ in range(ROUNDS // 2):
            gate.wait(60)
            claimed.append(commands.claim_next(actor, Filters()))
        return claimed

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(work, (ADA, BEN))
    got = [item.id for item in [*first, *second] if item]
    assert len(got) == len(set(got)) == ROUNDS


def test_two_decisions_about_one_item_are_one(house: ReviewService) -> None:
    house.fill(20)
    commands = house.commands()
    gate = threading.Barrier(2)

    def decide(item: str) -> bool:
        gate.wait(60)
        try:
            commands.decide(ADA, DecisionRequest(item=item, verdict="accept"))
        except (AlreadyDecided, LeaseLost):
            return False
        return True

    for _ in range(20):
        item = commands.claim_next(ADA, Filters())
        assert item is not None
        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(decide, [item.id, item.id])) == [False, True]
    assert len(house.announced()) == 20
    assert len(house.client().get("/v1/decisions?limit=500").json()["items"]) == 20


def test_a_lease_that_runs_out_gives_the_item_to_another(house: ReviewService) -> None:
    house.fill(1)
    commands = house.commands(lease=5.0)
    item = commands.claim_next(ADA, Filters())
    assert item is not None
    assert item.lease_until is not None
    assert commands.claim_next(BEN, Filters()) is None
    time.sleep(max(0.0, (item.lease_until - datetime.now(UTC)).total_seconds()))
    taken = commands.claim_next(BEN, Filters())
    assert taken is not None
    assert taken.id == item.id
    with pytest.raises(LeaseLost, match="Ben is reviewing this item now"):
        commands.decide(ADA, DecisionRequest(item=item.id, verdict="accept"))


NUL = "with\0in"
PLACE = base64.urlsafe_b64encode(json.dumps([0.5, NUL]).encode()).decode()
FAR = base64.urlsafe_b64encode(b"[99999999999999999999]").decode()
ENDLESS = base64.urlsafe_b64encode(b"[1e999]").decode()


def test_text_that_no_database_holds_is_refused_at_the_door(house: ReviewService) -> None:
    house.fill(1)
    client = house.client()
    item = client.post("/v1/items/claim", json={}).json()["id"]
    wish = {"item": item, "verdict": "reject"}
    right = {"item": item, "verdict": "correct"}
    bodies: list[tuple[str, dict[str, object]]] = [
        ("/v1/decisions", {**wish, "note": NUL}),
        ("/v1/decisions", {**wish, "note": "n" * 4_001}),
        ("/v1/decisions", {**wish, "item": NUL}),
        ("/v1/decisions", {**right, "correction": {"category": NUL}}),
        ("/v1/decisions", {**right, "correction": {"category": "c" * 201}}),
        ("/v1/decisions", {**right, "correction": {"start": 0, "end": 2, "text": NUL}}),
        ("/v1/decisions", {**right, "correction": {"start": 0, "end": 2, "text": "t" * 100_001}}),
        ("/v1/items/claim", {"item": NUL}),
        ("/v1/items/claim", {"document": NUL}),
        ("/v1/items/claim", {"category": NUL}),
        ("/v1/items/claim", {"skip": [NUL]}),
        ("/v1/items/claim", {"skip": ["s" * 65]}),
    ]
    for path, body in bodies:
        answer = client.post(path, json=body)
        assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM), body
    lone = '{"item": "%s", "verdict": "reject", "note": "\\ud800"}' % item  # noqa: UP031
    headers = {"content-type": "application/json"}
    assert client.post("/v1/decisions", content=lone, headers=headers).status_code == 422
    queries: list[tuple[str, dict[str, str]]] = [
        ("/v1/items", {"document": NUL}),
        ("/v1/items", {"category": NUL}),
        ("/v1/items", {"cursor": PLACE}),
        ("/v1/items/pages", {"document": NUL}),
        ("/v1/items/it_%00", {}),
        ("/v1/items/it_%00/boxes", {"start": "0", "end": "1"}),
        ("/v1/decisions", {"by": NUL}),
        ("/v1/decisions", {"document": NUL}),
        ("/v1/decisions", {"item": NUL}),
        ("/v1/decisions", {"cursor": FAR}),
        ("/v1/decisions", {"cursor": ENDLESS}),
        ("/v1/decisions", {"cursor": "W" * 401}),
        ("/v1/exports", {"document": NUL}),
    ]
    for path, params in queries:
        answer = client.get(path, params=params)
        assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM), path
    for step in ("keep", "release"):
        assert client.post(f"/v1/items/it_%00/{step}").status_code == 422
    assert client.get("/v1/decisions").json()["items"] == []


def test_a_report_with_a_nul_in_a_label_is_queued(house: ReviewService) -> None:
    finding = {"id": "fd_1", "check": "balance", "confidence": 0.5, "message": f"{NUL} is off"}
    house.find("doc_2", [{**finding, "label": NUL}])
    (item,) = house.client().get("/v1/items").json()["items"]
    assert item["text"] == "with\ufffdin is off"


def test_an_event_that_comes_twice_queues_once(house: ReviewService) -> None:
    text = "One clause stands here."
    house.read("doc_1", text)
    blob = house.blobs.put("default", b"[]")
    event = ClausesExtracted(
        document_id="doc_1", name="a.pdf", clauses=blob, count=0, adapter="a", adapter_version="1"
    )
    house.publish(event)
    house.extract("doc_1", [clause(text, "One clause", "Parties", 0.5)])
    house.publish(event)
    assert len(house.client().get("/v1/items").json()["items"]) == 1


def test_a_decision_survives_a_bus_that_is_away(house: ReviewService, tmp_path: Path) -> None:
    house.fill(1)
    commands = house.commands()
    item = commands.claim_next(ADA, Filters())
    assert item is not None
    publish, house.service.bus.publish = house.service.bus.publish, _away  # type: ignore[method-assign]
    decision, _, _ = commands.decide(
        ADA, DecisionRequest(item=item.id, verdict="reject", id=new_id("de"))
    )
    with pytest.raises(ConnectionError):
        house.relay.run_once()
    house.service.bus.publish = publish  # type: ignore[method-assign]
    assert [event.decision_id for event in house.announced()] == [decision.id]
    assert house.announced() == []


def _away(*_messages: Message) -> None:
    raise ConnectionError("the bus is away")
