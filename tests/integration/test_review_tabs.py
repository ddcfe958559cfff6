"""A tab that leaves gives back all that it holds, whatever overtakes what; on both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select

from services.review import store
from services.review.domain import Tab, TabLeft
from services.review.store import Filters
from shared.web.auth import Actor
from tests.unit.review.builders import ReviewService

ADA = Actor("default", "ada", "k1")
THREADS = 100


def tab(number: int, generation: int = 1) -> Tab:
    return Tab(id=f"tab_{number:032x}", generation=generation)


def claim(client: TestClient, by: Tab | None = None, **wanted: object) -> dict[str, Any]:
    answer = client.post("/v1/items/claim", json={**wanted, **_named(by)})
    assert answer.status_code == 200, answer.text
    item: dict[str, Any] = answer.json()
    return item


def refused(client: TestClient, by: Tab, **wanted: object) -> None:
    answer = client.post("/v1/items/claim", json={**wanted, **_named(by)})
    assert (answer.status_code, answer.json()["title"]) == (409, "tab left"), answer.text
    assert "Reload" in answer.json()["detail"]


def leave(client: TestClient, by: Tab) -> int:
    answer = client.post("/v1/items/release", json=_named(by))
    assert answer.status_code == 200, answer.text
    released: int = answer.json()["released"]
    return released


def _named(by: Tab | None) -> dict[str, object]:
    return {"tab": by.model_dump()} if by else {}


def held(client: TestClient) -> dict[str, str]:
    items = client.get("/v1/items", params={"limit": 500}).json()["items"]
    return {item["id"]: item["lease"]["holder"] for item in items if item["lease"]}


def test_leaving_gives_back_what_the_tab_holds_and_nothing_else(house: ReviewService) -> None:
    house.fill(8)
    ada, ben = house.client(), house.client("key-ben")
    mine = [claim(ada, tab(1)), claim(ada, tab(1)), claim(ada, tab(1))]
    ada.post("/v1/decisions", json={"item": mine[0]["id"], "verdict": "accept"})
    kept = {claim(ada, tab(2))["id"]: "ada", claim(ada)["id"]: "ada"}
    kept[claim(ben, tab(1))["id"]] = "ben"
    assert leave(house.client("key-eve"), tab(1)) == 0
    assert leave(ada, tab(1)) == 2
    assert held(ada) == kept
    assert leave(ada, tab(1)) == 0
    assert ada.get(f"/v1/items/{mine[0]['id']}").json()["verdict"] == "accept"


def test_a_claim_that_comes_after_its_tab_left_is_refused(house: ReviewService) -> None:
    """Even if the tab never claimed before it left. After a reload it may claim."""
    house.fill(3)
    ada = house.client()
    assert leave(ada, tab(1, 2)) == 0
    for late in (tab(1), tab(1, 2)):
        refused(ada, late)
        refused(ada, late, item=ada.get("/v1/items").json()["items"][0]["id"])
    assert held(ada) == {}
    item = claim(ada, tab(1, 3))
    assert held(ada) == {item["id"]: "ada"}


def test_a_reload_gives_back_what_was_held_before_it(house: ReviewService) -> None:
    """Its first claim does, if the request to leave was lost; one that is late takes nothing."""
    house.fill(5)
    ada = house.client()
    first, second = claim(ada, tab(1)), claim(ada, tab(1))
    again = claim(ada, tab(1, 2))
    assert again["id"] == first["id"], "the least certain was given back before one was chosen"
    assert held(ada) == {first["id"]: "ada"}
    assert leave(ada, tab(1)) == 0
    refused(ada, tab(1), item=second["id"])
    assert held(ada) == {first["id"]: "ada"}
    assert leave(ada, tab(1, 2)) == 1


def test_what_another_tab_took_over_stays_there(house: ReviewService) -> None:
    house.fill(2)
    ada = house.client()
    item = claim(ada, tab(1))
    claim(ada, tab(2), item=item["id"])
    assert leave(ada, tab(1)) == 0
    claim(ada, item=item["id"])
    assert leave(ada, tab(2)) == 0
    assert held(ada) == {item["id"]: "ada"}


def test_an_undo_that_comes_after_its_tab_left_counts_and_holds_nothing(
    house: ReviewService,
) -> None:
    house.fill(1)
    ada = house.client()
    item = claim(ada, tab(1))["id"]
    ada.post("/v1/decisions", json={"item": item, "verdict": "reject"})
    undo = {"item": item, "verdict": "undo", **_named(tab(1))}
    undone = ada.post("/v1/decisions", json=undo).json()
    assert undone["item"]["lease"]["holder"] == "ada"
    assert leave(ada, tab(1)) == 1
    claim(ada, tab(1, 2))
    ada.post("/v1/decisions", json={"item": item, "verdict": "reject"})
    late = ada.post("/v1/decisions", json=undo)
    assert (late.status_code, late.json()["item"]["state"]) == (201, "waiting")
    assert late.json()["item"]["lease"] is None
    verdicts = [one["verdict"] for one in ada.get("/v1/decisions").json()["items"]]
    assert verdicts == ["undo", "reject", "undo", "reject"]


def _must_wait(future: Future[Any]) -> None:
    with pytest.raises(TimeoutError):
        future.result(0.5)


KNOWN = pytest.mark.parametrize("known", [False, True], ids=["new", "known"])


@KNOWN
def test_leaving_waits_for_a_claim_that_is_being_granted(house: ReviewService, known: bool) -> None:
    """The claim's transaction is open when the tab leaves: what it grants goes back at once."""
    house.fill(2)
    commands, now = house.commands(), datetime.now(UTC)
    if known:
        commands.claim_next(ADA, Filters(), (), tab(1))
    with ThreadPoolExecutor(1) as pool:
        with house.service.store.write() as session:
            assert store.enter_tab(session, "default", "ada", tab(1), now)
            item = store.next_waiting(session, "default", Filters(), (), now)
            assert item is not None
            leaving = pool.submit(commands.leave, ADA, tab(1))
            _must_wait(leaving)
            store.save_item(session, item.claim("ada", now, 300.0, tab(1)))
        assert leaving.result(60) == 1 + known
    assert held(house.client()) == {}


@KNOWN
def test_a_claim_waits_for_its_tab_that_is_leaving(house: ReviewService, known: bool) -> None:
    """The transaction of leaving is open when the claim comes: it is refused."""
    house.fill(2)
    commands = house.commands()
    if known:
        commands.claim_next(ADA, Filters(), (), tab(1))
    item = house.client().get("/v1/items").json()["items"][0]["id"]
    claims: list[Callable[[], object]] = [
        lambda: commands.claim_next(ADA, Filters(), (), tab(1)),
        lambda: commands.claim(ADA, item, tab(1)),
    ]
    with ThreadPoolExecutor(2) as pool:
        with house.service.store.write() as session:
            store.leave_tab(session, "default", "ada", tab(1), datetime.now(UTC))
            late = [pool.submit(one) for one in claims]
            for one in late:
                _must_wait(one)
        for one in late:
            with pytest.raises(TabLeft):
                one.result(60)
    assert held(house.client()) == {}


def test_a_hundred_threads_leave_nothing_behind(house: ReviewService) -> None:
    """Ten tabs claim, leave and come back all at once: only what came back holds anything."""
    house.fill(THREADS)
    commands = house.commands()
    items = [item["id"] for item in house.client().get("/v1/items?limit=500").json()["items"]]
    gate = threading.Barrier(THREADS)
    took: list[str] = []

    def work(number: int) -> None:
        step, which = divmod(number, 10)
        gate.wait(60)
        try:
            if step == 0:
                commands.leave(ADA, tab(which))
            elif step == 1:
                came_back = commands.claim(ADA, items[which], tab(which, 2))
                took.append(came_back.id)
            elif step % 2:
                commands.claim(ADA, items[10 * step + which], tab(which))
            else:
                commands.claim_next(ADA, Filters(), items[:10], tab(which))
        except TabLeft:
            assert step > 1, "a tab that came back was refused"

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, range(THREADS)))
    assert sorted(took) == sorted(items[:10])
    assert held(house.client()) == dict.fromkeys(took, "ada")


def test_tabs_are_forgotten(house: ReviewService) -> None:
    house.fill(1)
    now = datetime(2025, 1, 31, 9, tzinfo=UTC)
    commands = house.commands(clock=lambda: now)
    for number in range(120):
        now += timedelta(minutes=1)
        commands.leave(ADA, tab(number))
        assert _tabs(house) <= 61
    now += timedelta(minutes=59)
    with pytest.raises(TabLeft):
        commands.claim_next(ADA, Filters(), (), tab(119))
    now += timedelta(days=1)
    assert commands.claim_next(ADA, Filters(), (), tab(1_000)) is not None
    assert _tabs(house) == 1
    assert commands.leave(ADA, tab(1_000)) == 1, "forgetting others takes nothing from this one"


def _tabs(house: ReviewService) -> int:
    with house.service.store.read() as session:
        return session.execute(select(func.count()).select_from(store.tabs)).scalar_one()


def test_a_tab_that_was_forgotten_gives_back_all_the_same(house: ReviewService) -> None:
    """A tab that works on one item for long sends nothing until it leaves."""
    house.fill(1)
    now = datetime(2025, 1, 31, 9, tzinfo=UTC)
    commands = house.commands(lease=86_400, clock=lambda: now)
    item = commands.claim_next(ADA, Filters(), (), tab(1, 5))
    assert item is not None
    now += timedelta(hours=2)
    commands.leave(ADA, tab(2))
    assert _tabs(house) == 1
    assert commands.leave(ADA, tab(1, 5)) == 1


def test_a_tab_has_one_form(house: ReviewService) -> None:
    house.fill(1)
    ada = house.client()
    good = tab(1).model_dump()
    wrong: list[dict[str, object]] = [
        {**good, "id": "tab_1"},
        {**good, "id": f"{good['id']}\n"},
        {**good, "id": good["id"].replace("0", "\0")},
        {**good, "generation": 0},
        {**good, "generation": 2**31},
        {"id": good["id"]},
        {**good, "more": 1},
    ]
    for one in wrong:
        assert ada.post("/v1/items/claim", json={"tab": one}).status_code == 422, one
        assert ada.post("/v1/items/release", json={"tab": one}).status_code == 422, one
    assert ada.post("/v1/items/release", json={}).status_code == 422
    item = claim(ada)["id"]
    wish = {"item": item, "verdict": "accept", "tab": good}
    assert ada.post("/v1/decisions", json=wish).status_code == 422
    assert ada.get(f"/v1/items/{item}").json()["state"] == "claimed"
