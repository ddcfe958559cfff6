"""What an analyst's requests do, and what they are told when they can't be done."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from services.review.desk import Desk
from services.review.domain import Wish, new_id
from services.review.store import find_document
from shared.errors import Conflict
from shared.events import BlobRef
from shared.storage import FileBlobs
from shared.storage.deletion import mark_deleted
from shared.web.auth import COOKIE, Actor, csrf_token
from shared.web.scopes import SCOPES
from tests.unit.review.house import House, clause

TEXT = "Made in 🖋 Ulm. This Agreement is governed by the laws of Bavaria. It renews each year."
LAW = clause(TEXT, "the laws of Bavaria", "Governing Law", 0.4, 1)
TERM = clause(TEXT, "renews each year", "Renewal Term", 0.6, 2)
DECISIONS = "/v1/decisions"


@pytest.fixture
def queue(house: House) -> House:
    """Two clauses of one document wait."""
    house.read("doc_1", TEXT)
    house.extract("doc_1", [LAW, TERM])
    return house


def claim(client: TestClient, **body: object) -> dict[str, Any]:
    """Claim, and expect to get it."""
    answer = client.post("/v1/items/claim", json=body)
    assert answer.status_code == 200, answer.text
    item: dict[str, Any] = answer.json()
    return item


def test_two_analysts_get_different_items_and_then_nothing(queue: House) -> None:
    """What one holds is not given to another, and an empty queue says so without an error."""
    ada, ben = queue.client(), queue.client("key-ben")
    assert claim(ada)["category"] == "Governing Law"
    assert claim(ben)["category"] == "Renewal Term"
    assert ada.post("/v1/items/claim", json={}).status_code == 204


def test_a_named_item_of_another_is_refused(queue: House) -> None:
    """Who holds the item is told, so that one can take another."""
    item = claim(queue.client())
    answer = queue.client("key-ben").post("/v1/items/claim", json={"item": item["id"]})
    assert answer.status_code == 409
    assert "ada works on this item" in answer.json()["detail"]


def test_skipped_items_are_passed_over_and_filters_hold(queue: House) -> None:
    """The next item is the least certain of those that are wanted."""
    ada = queue.client()
    first = claim(ada)
    ada.post(f"/v1/items/{first['id']}/release", json={"number": first["lease"]["number"]})
    assert claim(ada, skip=[first["id"]])["id"] != first["id"]
    assert claim(ada, category="Governing Law")["id"] == first["id"]
    assert ada.post("/v1/items/claim", json={"kind": "finding"}).status_code == 204


def test_a_late_release_does_not_end_a_newer_claim(queue: House) -> None:
    """A closing tab's request may come after the same analyst claimed anew."""
    ada = queue.client()
    old = claim(ada)
    claim(ada, item=old["id"])
    left = ada.post(f"/v1/items/{old['id']}/release", json={"number": old["lease"]["number"]})
    assert left.json()["state"] == "claimed"
    assert ada.post(f"/v1/items/{old['id']}/release").json()["state"] == "waiting"


def test_a_decision_is_stored_and_announced_once(queue: House) -> None:
    """The audit has actor and time, and the others hear of it in one event."""
    ada = queue.client()
    item = claim(ada)
    answer = ada.post(DECISIONS, json={"item": item["id"], "verdict": "accept", "note": "plain"})
    assert answer.status_code == 201
    assert answer.json()["item"]["state"] == "decided"
    (line,) = ada.get(DECISIONS).json()["items"]
    assert (line["actor"], line["verdict"], line["note"]) == ("ada", "accept", "plain")
    (event,) = queue.announced()
    assert (event.item_id, event.result_id, event.verdict, event.actor) == (
        item["id"],
        item["result_id"],
        "accept",
        "ada",
    )
    assert event.stage == "extraction"


def test_an_item_tells_how_it_was_corrected(queue: House) -> None:
    """The list of a document's items has each verdict, and what a correction changed."""
    ada = queue.client()
    accepted, corrected = claim(ada), claim(ada)
    ada.post(DECISIONS, json={"item": accepted["id"], "verdict": "accept"})
    wish = {"verdict": "correct", "correction": {"category": "Exclusivity"}}
    ada.post(DECISIONS, json={"item": corrected["id"], **wish})
    params = {"document": corrected["document_id"], "state": "all"}
    items = {item["id"]: item for item in ada.get("/v1/items", params=params).json()["items"]}
    assert items[accepted["id"]]["correction"] is None
    right = items[corrected["id"]]["correction"]
    assert (right["category"], right["text"]) == ("Exclusivity", corrected["text"])
    assert ada.get(f"/v1/items/{corrected['id']}").json()["correction"] == right
    ada.post(DECISIONS, json={"item": corrected["id"], "verdict": "undo"})
    assert ada.get(f"/v1/items/{corrected['id']}").json()["correction"] is None


def test_deciding_without_holding_the_item_is_a_conflict(queue: House) -> None:
    """Neither an unclaimed item, nor another's, nor a decided one can be decided."""
    ada, ben = queue.client(), queue.client("key-ben")
    (item, _) = ada.get("/v1/items").json()["items"]
    wish = {"item": item["id"], "verdict": "reject"}
    unheld = ada.post(DECISIONS, json=wish)
    assert (unheld.status_code, unheld.json()["title"]) == (409, "lease lost")
    claim(ada, item=item["id"])
    other = ben.post(DECISIONS, json=wish)
    assert (other.status_code, "ada works on" in other.json()["detail"]) == (409, True)
    assert ada.post(DECISIONS, json=wish).status_code == 201
    again = ada.post(DECISIONS, json=wish)
    assert (again.status_code, again.json()["title"]) == (409, "already decided")
    assert len(queue.announced()) == 1


def test_the_same_decision_sent_twice_counts_once(queue: House) -> None:
    """A repeated request with the client's own id answers what was stored."""
    ada = queue.client()
    item = claim(ada)
    wish = {"id": new_id("de"), "item": item["id"], "verdict": "accept"}
    first, second = ada.post(DECISIONS, json=wish), ada.post(DECISIONS, json=wish)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["decision"] == second.json()["decision"]
    assert ada.post(DECISIONS, json={**wish, "verdict": "reject"}).status_code == 409
    assert len(queue.announced()) == 1


def test_undo_is_a_decision_and_gives_the_item_back(queue: House) -> None:
    """The audit only grows, and whoever undoes holds the item."""
    ada = queue.client()
    item = claim(ada)
    ada.post(DECISIONS, json={"item": item["id"], "verdict": "accept"})
    undone = ada.post(DECISIONS, json={"item": item["id"], "verdict": "undo"})
    assert undone.status_code == 201
    assert undone.json()["item"]["lease"]["holder"] == "ada"
    assert [d["verdict"] for d in ada.get(DECISIONS).json()["items"]] == ["undo", "accept"]
    assert [e.verdict for e in queue.announced()] == ["accept", "undo"]
    nothing = ada.post(DECISIONS, json={"item": item["id"], "verdict": "undo"})
    assert (nothing.status_code, nothing.json()["title"]) == (409, "not decided")


def test_nobody_undoes_what_another_decided(queue: House) -> None:
    """A verdict is its maker's: another is told whose it is, and nothing changes."""
    ada, ben = queue.client(), queue.client("key-ben")
    item = claim(ada)
    ada.post(DECISIONS, json={"item": item["id"], "verdict": "accept"})
    undo = {"item": item["id"], "verdict": "undo"}
    answer = ben.post(DECISIONS, json=undo)
    assert (answer.status_code, answer.json()["title"]) == (403, "not yours")
    assert "ada decided this item" in answer.json()["detail"]
    assert ben.get(f"/v1/items/{item['id']}").json()["verdict"] == "accept"
    assert [e.verdict for e in queue.announced()] == ["accept"]
    assert ada.post(DECISIONS, json=undo).status_code == 201


def test_what_an_older_reading_decided_can_not_be_undone(queue: House) -> None:
    """Its offsets mean nothing in the new text, and the message says where to look instead."""
    ada = queue.client()
    item = claim(ada)
    ada.post(DECISIONS, json={"item": item["id"], "verdict": "reject"})
    queue.read("doc_1", "Another text altogether.", attempt=2)
    answer = ada.post(DECISIONS, json={"item": item["id"], "verdict": "undo"})
    assert (answer.status_code, answer.json()["title"]) == (409, "superseded")


def test_a_correction_is_checked_and_completed(queue: House) -> None:
    """Offsets count code points, and the stored correction is whole: category, span, text, page."""
    ada = queue.client()
    item = claim(ada)
    start = TEXT.index("laws of Bavaria")
    wish = {
        "item": item["id"],
        "verdict": "correct",
        "correction": {"start": start, "end": start + 15, "text": "laws of Bavaria"},
    }
    wrong = {
        **wish,
        "correction": {"start": start + 1, "end": start + 16, "text": "laws of Bavaria"},
    }
    assert ada.post(DECISIONS, json=wrong).status_code == 422
    decision = ada.post(DECISIONS, json=wish).json()["decision"]
    assert decision["correction"] == {
        "category": "Governing Law",
        "start": start,
        "end": start + 15,
        "text": "laws of Bavaria",
        "page": 1,
    }
    (event,) = queue.announced()
    assert event.correction == decision["correction"]


@pytest.mark.parametrize(("characters", "told"), [(4_000, True), (4_001, False), (90_000, False)])
def test_a_long_corrected_text_is_kept_and_its_event_is_small(
    house: House, characters: int, told: bool
) -> None:
    """The row has every word, and the event the offsets at least: no bus takes it otherwise."""
    text = "🖋" * 100_000
    house.read("doc_1", text)
    house.extract("doc_1", [clause(text, "🖋" * 3, "Parties", 0.5)])
    ada = house.client()
    item = claim(ada)
    right = {"category": "Governing Law", "start": 0, "end": characters}
    wish = {"item": item["id"], "verdict": "correct", "correction": right}
    answer = ada.post(DECISIONS, json=wish)
    assert answer.status_code == 201, answer.text
    assert answer.json()["decision"]["correction"]["text"] == text[:characters]
    (event,) = house.announced()
    expected = text[:characters] if told else None
    assert event.correction == {**right, "text": expected, "page": 1}
    assert len(event.to_json("tests")) < 64_000


def test_a_finding_can_not_be_corrected_and_the_answer_says_what_can_be_done(house: House) -> None:
    """Whether it is held or not, and whatever the correction, one reads how to decide instead."""
    house.read("doc_2", "{}", kind="report", media_type="application/json")
    house.find("doc_2", [{"id": "fd_1", "check": "balance", "confidence": 0.7}])
    ada = house.client()
    (item,) = ada.get("/v1/items").json()["items"]
    wish = {"item": item["id"], "verdict": "correct"}
    for correction in (None, {"category": "Parties"}, {"start": 0, "end": 1}):
        answer = ada.post(DECISIONS, json={**wish, "correction": correction})
        assert answer.status_code == 422
        assert "a finding can't be corrected: accept it if" in answer.json()["detail"]
    claim(ada, item=item["id"])
    assert ada.post(DECISIONS, json=wish).status_code == 422
    assert ada.get(f"/v1/items/{item['id']}").json()["state"] == "claimed"


def test_a_correction_goes_with_the_verdict_correct_alone(queue: House) -> None:
    """A correction that would go unheard is refused, and nothing is decided."""
    ada = queue.client()
    item = claim(ada)
    wish = {"item": item["id"], "verdict": "accept", "correction": {"category": "Parties"}}
    answer = ada.post(DECISIONS, json=wish)
    assert (answer.status_code, "verdict correct" in answer.json()["detail"]) == (422, True)
    assert ada.get(DECISIONS).json()["items"] == []


def test_a_document_that_is_being_deleted_has_no_text_at_hand(queue: House) -> None:
    """Its blobs go before review hears of it: a request then is told so, and is no failure."""
    ada = queue.client()
    item = claim(ada)
    blobs = FileBlobs(queue.service.settings.blobs)
    queue.blobs.delete("default", text_of(queue))
    span = {"start": 0, "end": 4}
    wish = {"item": item["id"], "verdict": "correct", "correction": span}
    lost = [ada.post(DECISIONS, json=wish), ada.get(f"/v1/items/{item['id']}/boxes", params=span)]
    assert [answer.status_code for answer in lost] == [500, 500]
    mark_deleted(blobs, "default", "doc_1")
    gone = [ada.post(DECISIONS, json=wish), ada.get(f"/v1/items/{item['id']}/boxes", params=span)]
    assert [answer.status_code for answer in gone] == [422, 422]
    assert "not at hand" in gone[0].json()["detail"]


def text_of(house: House) -> BlobRef:
    """The blob with the text of the one document."""
    with house.service.store.read() as session:
        document = find_document(session, "default", "doc_1")
    assert document is not None
    assert document.text is not None
    return document.text


def test_the_lease_runs_out_and_can_be_kept(queue: House) -> None:
    """A heartbeat holds an item; without one it returns to the queue by itself."""
    now = datetime(2025, 1, 31, 9, tzinfo=UTC)
    desk = Desk(queue.service.store, queue.blobs, 60.0, clock=lambda: now)
    ada, ben = Actor("default", "ada", "k1"), Actor("default", "ben", "k2")
    item = desk.claim_next(ada, _any())
    assert item is not None
    now += timedelta(seconds=50)
    assert desk.keep(ada, item.id).lease_until == now + timedelta(seconds=60)
    now += timedelta(seconds=59)
    with pytest.raises(Conflict):
        desk.claim(ben, item.id)
    now += timedelta(seconds=2)
    with pytest.raises(Conflict, match="run out"):
        desk.decide(ada, Wish(item=item.id, verdict="accept"))
    assert desk.claim(ben, item.id).holder == "ben"
    with pytest.raises(Conflict, match="ben works on"):
        desk.keep(ada, item.id)


def _any() -> Any:
    from services.review.store import Filters

    return Filters()


def test_the_queue_is_read_page_by_page(house: House) -> None:
    """Cursors lead through every item once, in order, equal confidences included."""
    text = " ".join(f"word{n:03d}" for n in range(60))
    found = [clause(text, f"word{n:03d}", "Parties", (n % 7) / 10, n) for n in range(60)]
    house.read("doc_1", text)
    house.extract("doc_1", found)
    client, seen, cursor = house.client(), [], None
    while True:
        params = {"limit": 7, **({"cursor": cursor} if cursor else {})}
        page = client.get("/v1/items", params=params).json()
        seen += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    assert len({item["id"] for item in seen}) == 60
    confidences = [item["confidence"] for item in seen]
    assert confidences == sorted(confidences)
    assert client.get("/v1/items", params={"cursor": "!!"}).status_code == 422
    assert client.get("/v1/decisions", params={"cursor": "WyJ4Il0"}).status_code == 422


def test_counts_tell_what_waits_and_what_one_did(queue: House) -> None:
    """The head of the queue is one request."""
    ada = queue.client()
    item = claim(ada)
    assert ada.get("/v1/items/counts").json()["claimed"] == 1
    ada.post(DECISIONS, json={"item": item["id"], "verdict": "accept"})
    counts = queue.client("key-ben").get("/v1/items/counts").json()
    assert {k: counts[k] for k in ("waiting", "decided", "decided_since", "mine_since")} == {
        "waiting": 1,
        "decided": 1,
        "decided_since": 1,
        "mine_since": 0,
    }
    assert counts["documents"] == [{"key": "doc_1", "label": "contract.pdf", "count": 1}]
    assert counts["categories"] == [{"key": "Renewal Term", "label": "Renewal Term", "count": 1}]


def test_pages_and_boxes_come_from_the_reading(queue: House) -> None:
    """A page can be laid out before its image comes, and a new span be shown on it."""
    ada = queue.client()
    pages = ada.get("/v1/items/pages", params={"document": "doc_1"}).json()
    assert (pages["page_count"], pages["pages"][0]["width"]) == (1, 612.0)
    item = claim(ada)
    span = {"start": item["start"], "end": item["end"]}
    boxes = ada.get(f"/v1/items/{item['id']}/boxes", params=span).json()
    assert boxes == item["boxes"]
    beyond = {"start": 0, "end": len(TEXT) + 1}
    assert ada.get(f"/v1/items/{item['id']}/boxes", params=beyond).status_code == 422


def test_a_browser_signs_in_and_out(queue: House) -> None:
    """The key becomes a cookie that scripts can't read, and changes need its token."""
    browser = TestClient(queue.service.app, base_url="http://papers.test")
    assert browser.get("/v1/session").json()["actor"] is None
    assert browser.post("/v1/session", json={"key": "wrong"}).status_code == 401
    signed = browser.post("/v1/session", json={"key": " key-ada\n"})
    cookie = signed.headers["set-cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=strict", "Path=/", "Max-Age="))
    assert "Secure" not in cookie
    token = signed.json()["csrf"]
    assert token == csrf_token(browser.cookies[COOKIE])
    who = browser.get("/v1/session").json()["actor"]
    assert (who["name"], who["tenant"]) == ("ada", "default")
    assert who["scopes"] == list(SCOPES)
    assert browser.post("/v1/items/claim", json={}).status_code == 403
    with_token = {"x-csrf-token": token}
    assert browser.post("/v1/items/claim", json={}, headers=with_token).status_code == 200
    assert browser.delete("/v1/session", headers=with_token).status_code == 204
    assert browser.get("/v1/session").json()["actor"] is None
    assert browser.get("/v1/items").status_code == 401


def test_the_cookie_is_secure_where_the_page_is(queue: House) -> None:
    """Over HTTPS the browser sends the cookie over HTTPS alone."""
    browser = TestClient(queue.service.app, base_url="https://papers.test")
    assert "Secure" in browser.post("/v1/session", json={"key": "key-ada"}).headers["set-cookie"]


def test_another_site_can_not_sign_its_visitors_in(queue: House) -> None:
    """A forged sign-in would let somebody watch what an analyst uploads."""
    browser = TestClient(queue.service.app, base_url="http://papers.test")
    forged = {"sec-fetch-site": "cross-site"}
    answer = browser.post("/v1/session", json={"key": "key-ada"}, headers=forged)
    assert answer.status_code == 403
    plain = {"content-type": "text/plain"}
    answer = browser.post("/v1/session", content='{"key": "key-ada"}', headers=plain)
    assert answer.status_code == 422
