"""Decisions made without a connection are stored later, each exactly once."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from tests.support.embedded import Embedded
from tests.system.pages.review_stage import CONTRACT, Stage, new_stage, pdf_of, until
from tests.system.pages.test_review_pages import Watched, browser, decisions, heading, held

__all__ = ["browser"]
LEASE = 3.0  # seconds
CUT = ("ERR_INTERNET_DISCONNECTED", "ERR_FAILED", "ERR_CONNECTION_RE", "409")
"""Errors of a cut network, and of a claim that ended meanwhile."""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with new_stage(tmp_path, lease=LEASE) as stage:
        stage.contract = stage.upload("Northwind – Halden, distribution.pdf", pdf_of(CONTRACT))
        stage.extract(stage.contract)
        yield stage


def begin(browser: Any, stage: Any, name: str = "ada") -> Watched:
    """Open the queue with the list of results, and the next item claimed in advance."""
    person = Watched(browser, stage)
    page = person.sign_in(name)
    page.goto(f"{stage.address}/review")
    page.locator(".entry[aria-current]").wait_for()
    return person


def decide(page: Any, *keys: str) -> list[str]:
    """Press a key for each of the next items. Returns their names."""
    names = []
    for key in keys:
        names.append(page.locator(".panel h1").inner_text())
        page.keyboard.press(key)
        other = "(name) => document.querySelector('.panel h1')?.innerText !== name"
        page.wait_for_function(other, arg=names[-1])
        page.wait_for_function("!document.querySelector('.panel.busy')")
    return names


def waits(page: Any, number: int) -> None:
    words = "decision is" if number == 1 else "decisions are"
    page.get_by_text(f"{number} {words} waiting for the network.").wait_for()


def verdicts(found: list[dict[str, Any]]) -> list[str]:
    """The verdicts in the order in which they were made."""
    return [one["verdict"] for one in reversed(found)]


def reload_while_offline(person: Watched) -> None:
    with pytest.raises(Exception, match="ERR_INTERNET_DISCONNECTED"):
        person.page.reload()


def test_decisions_outlive_a_reload_without_a_connection(browser: Any, stage: Stage) -> None:
    ada = begin(browser, stage)
    page = ada.page
    until(lambda: len(held(stage)) == 2, "the item ahead")
    ada.context.set_offline(True)
    names = decide(page, "a", "r", "a")
    waits(page, 3)
    assert len(set(names)) == 3
    done = page.locator(".entry", has_text="rejected")
    assert done.count() == 1, "the list shows what waits"
    ada.draw("offline-waiting", whole=False)
    ada.check_access("offline-waiting")
    reload_while_offline(ada)
    assert decisions(stage) == []
    ada.context.set_offline(False)
    page.goto(f"{stage.address}/review")
    page.locator(".entry[aria-current]").wait_for()
    until(lambda: len(decisions(stage)) == 3, "the decisions sent")
    assert verdicts(decisions(stage)) == ["accept", "reject", "accept"]
    assert len({one["item_id"] for one in decisions(stage)}) == 3
    page.locator("#banner").wait_for(state="hidden")
    page.reload()
    page.locator(".entry[aria-current]").wait_for()
    assert len(decisions(stage)) == 3
    ada.close(allowed=CUT)


def lose(route: Any) -> None:
    route.fetch()
    route.abort()


def leave_without_answer(route: Any) -> None:
    """The request hangs, as on a network that asks for a sign-in first."""


@pytest.mark.parametrize("answer", [lose, leave_without_answer])
def test_a_decision_without_an_answer_is_stored_once(
    browser: Any, stage: Stage, answer: Callable[[Any], None]
) -> None:
    ada = begin(browser, stage)
    page = ada.page
    page.route("**/v1/decisions", answer)
    decide(page, "a")
    waits(page, 1)
    page.unroute("**/v1/decisions")
    page.locator("#banner").wait_for(state="hidden")
    assert verdicts(decisions(stage)) == ["accept"]
    ada.close(allowed=CUT)


def test_an_undo_without_a_connection_follows_its_decision(browser: Any, stage: Stage) -> None:
    ada = begin(browser, stage)
    page = ada.page
    ada.context.set_offline(True)
    [first] = decide(page, "a")
    page.keyboard.press("u")
    heading(page, first)
    assert decide(page, "r") == [first]
    waits(page, 3)
    ada.context.set_offline(False)
    page.locator("#banner").wait_for(state="hidden")
    assert verdicts(decisions(stage)) == ["accept", "undo", "reject"]
    assert len({one["item_id"] for one in decisions(stage)}) == 1
    ada.close(allowed=CUT)


def test_the_slower_of_two_analysts_is_told(browser: Any, stage: Stage) -> None:
    """Ada decides offline, her claim ends, and Ben decides the same item."""
    ada = begin(browser, stage)
    page = ada.page
    ada.context.set_offline(True)
    name = page.locator(".panel h1").inner_text()
    page.keyboard.press("n")
    page.get_by_label("Note").fill("as in the draft")
    page.keyboard.press("Escape")
    decide(page, "a", "a")
    waits(page, 2)
    until(lambda: held(stage) == set(), "the end of the claims", 30)
    ben = begin(browser, stage, "ben")
    assert decide(ben.page, "r") == [name]
    until(lambda: len(decisions(stage)) == 1, "Ben's decision")
    ben.close_tab()
    ada.context.set_offline(False)
    page.get_by_text("1 decision was not stored.").wait_for()
    until(lambda: len(decisions(stage)) == 2, "Ada's second decision")
    mine = [(one["actor"], one["verdict"]) for one in decisions(stage)]
    assert mine == [("ada", "accept"), ("ben", "reject")]
    page.reload()
    page.get_by_role("button", name="See why").click()
    told = page.get_by_role("dialog")
    told.get_by_text("Ben has decided this item (reject)").wait_for()
    assert told.get_by_role("heading", name=name).is_visible()
    assert told.get_by_text("as in the draft").is_visible()
    ada.draw("offline-refused", whole=False)
    ada.check_access("offline-refused")
    told.get_by_role("link", name="Open the item").click()
    page.get_by_text("Ben rejected this").wait_for()
    page.get_by_role("button", name="See why").click()
    told.get_by_role("button", name="Remove").click()
    page.locator("#banner").wait_for(state="hidden")
    ada.close(allowed=CUT)
    ben.close()


def test_a_decision_refused_behind_the_next_item_stays_in_the_banner(
    browser: Any, stage: Stage
) -> None:
    """Ada's claim ends without her noticing, and Ben decides her item."""
    ada = begin(browser, stage)
    page = ada.page
    page.route("**/keep", leave_without_answer)
    until(lambda: held(stage) == set(), "the end of the claims", 30)
    ben = begin(browser, stage, "ben")
    [name] = decide(ben.page, "r")
    until(lambda: len(decisions(stage)) == 1, "Ben's decision")
    ben.close_tab()
    assert decide(page, "a") == [name]
    page.get_by_text("1 decision was not stored.").wait_for()
    page.locator(".entry", has_text="rejected").wait_for()
    page.keyboard.press("u")
    page.get_by_text("Nothing to undo here.").wait_for()
    assert [(one["actor"], one["verdict"]) for one in decisions(stage)] == [("ben", "reject")]
    ada.close(allowed=CUT)
    ben.close()


def test_signing_out_asks_and_keeps_what_waits(browser: Any, stage: Stage) -> None:
    ada = begin(browser, stage)
    page = ada.page
    asked: list[str] = []

    def answer(dialog: Any) -> None:
        asked.append(dialog.message)
        dialog.dismiss() if len(asked) == 1 else dialog.accept()

    page.on("dialog", answer)
    page.route("**/v1/decisions", lambda route: route.abort())
    decide(page, "a")
    waits(page, 1)
    page.get_by_role("button", name="Sign out").click()
    waits(page, 1)
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Key").wait_for()
    assert len(asked) == 2
    assert "1 decision is not sent yet" in asked[0]
    page.unroute("**/v1/decisions")
    ada.sign_in("ben")
    assert decisions(stage) == []
    page.wait_for_load_state("networkidle")  # what is asked for still has the session
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Key").wait_for()
    ada.sign_in("ada")
    assert [(one["actor"], one["verdict"]) for one in decisions(stage)] == [("ada", "accept")]
    ada.close(allowed=CUT)


@pytest.mark.slow
def test_decisions_outlive_a_killed_server(browser: Any, tmp_path: Path) -> None:
    embedded = Embedded(tmp_path)
    key = embedded.start()["key"]
    headers = {"authorization": f"Bearer {key}"}
    suite = SimpleNamespace(address=embedded.url, keys={"ada": key})
    with httpx.Client(base_url=embedded.url, headers=headers, timeout=60) as client:
        files = {"file": ("distribution.pdf", pdf_of(CONTRACT))}
        kind = {"kind": "contract"}
        document = client.post("/v1/documents", files=files, data=kind).json()["id"]
        at = f"/v1/documents/{document}"
        until(lambda: client.get(f"{at}?wait=20").json()["state"] == "ended", "its end", 300)
        until(lambda: len(client.get("/v1/items").json()["items"]) > 3, "its items")
        ada = begin(browser, suite)
        first = decide(ada.page, "a")
        until(lambda: client.get("/v1/decisions").json()["items"], "the first decision")
        embedded.end(signal.SIGKILL)
        others = decide(ada.page, "r", "a", "r")
        waits(ada.page, 3)
        embedded.start()
        ada.page.locator("#banner").wait_for(state="hidden")
        made = client.get("/v1/decisions").json()["items"]
        assert verdicts(made) == ["accept", "reject", "accept", "reject"]
        assert len({one["item_id"] for one in made}) == len({*first, *others}) == 4
        ada.close(allowed=CUT)
    embedded.end()
