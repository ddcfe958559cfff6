"""The requests of reviewers, and the reasons of refusals."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient

from services.review.commands import ReviewCommands
from services.review.domain import DecisionRequest, new_id
from services.review.store import Filters, find_document
from shared.audit import chain
from shared.blobs import FileBlobs
from shared.blobs.markers import mark_deleted
from shared.errors import Conflict
from shared.events import BlobRef, DocumentReclassified, DocumentTitle
from shared.web.admission import RateLimit
from shared.web.auth import COOKIE, SECURE_COOKIE, Actor, csrf_token
from shared.web.scopes import SCOPES
from tests.unit.review.builders import ReviewService, clause

TEXT = "Made in 🖋 Ulm. This Agreement is governed by the laws of Bavaria. It renews each year."
LAW = clause(TEXT, "the laws of Bavaria", "Governing Law", 0.4, 1)
TERM = clause(TEXT, "renews each year", "Renewal Term", 0.6, 2)
DECISIONS = "/v1/decisions"


@pytest.fixture
def queue(review: ReviewService) -> ReviewService:
    """Two clauses of one document wait."""
    review.read("doc_1", TEXT)
    review.extract("doc_1", [LAW, TERM])
    return review


def test_two_reviewers_get_different_items_and_then_nothing(queue: ReviewService) -> None:
    first = queue.claim()
    assert first["category"] == "Governing Law"
    assert queue.claim("key-ben")["category"] == "Renewal Term"
    assert queue.client().post("/v1/items/claim", json={}).status_code == 204
    answer = queue.client("key-ben").post("/v1/items/claim", json={"item": first["id"]})
    assert answer.status_code == 409
    assert "Ada is reviewing this item" in answer.json()["detail"]


def test_a_claim_can_skip_and_filter(queue: ReviewService) -> None:
    ada = queue.client()
    first = queue.claim()
    ada.post(f"/v1/items/{first['id']}/release", json={"number": first["lease"]["number"]})
    assert queue.claim(skip=[first["id"]])["id"] != first["id"]
    assert queue.claim(category="Governing Law")["id"] == first["id"]
    assert ada.post("/v1/items/claim", json={"kind": "finding"}).status_code == 204


@pytest.mark.parametrize("path", ["/v1/items", "/v1/exports"])
@pytest.mark.parametrize(
    ("categories", "found"),
    [
        (["Governing Law"], {"the laws of Bavaria"}),
        (["governing law"], {"the laws of Bavaria"}),
        (["governing LAW", "renewal term"], {"the laws of Bavaria", "renews each year"}),
        (["Made In"], {"Made in"}),
        (["Audit Rights"], set()),
        (["Audit Right"], None),
        (["made in"], None),
        (["Governing Law", "laws"], None),
    ],
)
def test_results_of_a_category_are_listed_and_an_unknown_one_is_refused(
    review: ReviewService, path: str, categories: list[str], found: set[str] | None
) -> None:
    """`Made In` is a category of a taught specialist."""
    review.read("doc_1", TEXT)
    review.extract("doc_1", [LAW, TERM, clause(TEXT, "Made in", "Made In", 0.5, 3)])
    answer = review.client().get(path, params={"category": categories, "state": "all"})
    if found is None:
        assert answer.status_code == 422
        assert f"category: {categories[-1]!r} is no clause type" in answer.json()["detail"]
    else:
        lines = answer.text.splitlines() if path == "/v1/exports" else ()
        items = answer.json()["items"] if path == "/v1/items" else map(json.loads, lines)
        assert {item["text"] for item in items} == found


def test_a_category_of_another_tenant_is_unknown(queue: ReviewService) -> None:
    queue.extract("doc_1", [clause(TEXT, "Made in", "Made In", 0.5, 3)])
    for key, status in (("key-ada", 200), ("key-eve", 422)):
        answer = queue.client(key).get("/v1/items", params={"category": "Made In"})
        assert answer.status_code == status


def test_a_late_release_does_not_end_a_newer_claim(queue: ReviewService) -> None:
    ada = queue.client()
    old = queue.claim()
    queue.claim(item=old["id"])
    left = ada.post(f"/v1/items/{old['id']}/release", json={"number": old["lease"]["number"]})
    assert left.json()["state"] == "claimed"
    assert ada.post(f"/v1/items/{old['id']}/release").json()["state"] == "waiting"


def test_a_decision_is_stored_and_announced_once(queue: ReviewService) -> None:
    item = queue.claim()
    assert queue.decide(item["id"], note="plain")["item"]["state"] == "decided"
    (line,) = queue.client().get(DECISIONS).json()["items"]
    assert (line["actor"], line["verdict"], line["note"]) == ("ada", "accept", "plain")
    (event,) = queue.announced()
    assert (event.item_id, event.result_id, event.verdict, event.actor) == (
        item["id"],
        item["result_id"],
        "accept",
        "ada",
    )
    assert event.stage == "extraction"


def test_an_item_shows_its_correction_until_the_undo(queue: ReviewService) -> None:
    accepted, corrected = queue.items()
    queue.decide(accepted["id"])
    queue.decide(corrected["id"], "correct", correction={"category": "Exclusivity"})
    items = {item["id"]: item for item in queue.items(document="doc_1", state="all")}
    assert items[accepted["id"]]["correction"] is None
    right = items[corrected["id"]]["correction"]
    assert (right["category"], right["text"]) == ("Exclusivity", corrected["text"])
    path = f"/v1/items/{corrected['id']}"
    assert queue.client().get(path).json()["correction"] == right
    queue.decide(corrected["id"], "undo")
    assert queue.client().get(path).json()["correction"] is None


def test_a_decision_needs_a_claim_on_an_open_item(queue: ReviewService) -> None:
    ada, ben = queue.client(), queue.client("key-ben")
    item = queue.items()[0]["id"]
    wanted = {"item": item, "verdict": "reject"}
    unclaimed = ada.post(DECISIONS, json=wanted)
    assert (unclaimed.status_code, unclaimed.json()["title"]) == (409, "lease lost")
    queue.claim(item=item)
    other = ben.post(DECISIONS, json=wanted)
    assert (other.status_code, "Ada is reviewing" in other.json()["detail"]) == (409, True)
    assert ada.post(DECISIONS, json=wanted).status_code == 201
    again = ada.post(DECISIONS, json=wanted)
    assert (again.status_code, again.json()["title"]) == (409, "already decided")
    assert len(queue.announced()) == 1


def test_a_repeated_decision_counts_once(queue: ReviewService) -> None:
    ada = queue.client()
    wanted = {"id": new_id("de"), "item": queue.claim()["id"], "verdict": "accept"}
    first, second = ada.post(DECISIONS, json=wanted), ada.post(DECISIONS, json=wanted)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["decision"] == second.json()["decision"]
    assert ada.post(DECISIONS, json={**wanted, "verdict": "reject"}).status_code == 409
    assert len(queue.announced()) == 1


def test_undo_is_a_decision_of_the_same_reviewer_who_claims_the_item(queue: ReviewService) -> None:
    ben = queue.client("key-ben")
    item = queue.claim()["id"]
    queue.decide(item)
    refused = ben.post(DECISIONS, json={"item": item, "verdict": "undo"})
    assert (refused.status_code, refused.json()["title"]) == (403, "not yours")
    assert "Only Ada can undo" in refused.json()["detail"]
    assert ben.get(f"/v1/items/{item}").json()["verdict"] == "accept"
    assert queue.decide(item, "undo")["item"]["lease"]["holder"] == "ada"
    decisions = queue.client().get(DECISIONS).json()["items"]
    assert [decision["verdict"] for decision in decisions] == ["undo", "accept"]
    assert [event.verdict for event in queue.announced()] == ["accept", "undo"]
    assert queue.decide(item, "undo", 409)["title"] == "not decided"


def test_a_decision_about_an_older_attempt_cannot_be_undone(queue: ReviewService) -> None:
    item = queue.claim()["id"]
    queue.decide(item, "reject")
    queue.read("doc_1", "Another text altogether.", attempt=2)
    assert queue.decide(item, "undo", 409)["title"] == "superseded"


def test_a_correction_is_checked_and_completed(queue: ReviewService) -> None:
    item = queue.claim()["id"]
    start = TEXT.index("laws of Bavaria")
    right = {"start": start, "end": start + 15, "text": "laws of Bavaria"}
    queue.decide(item, "correct", 422, correction={**right, "start": start + 1, "end": start + 16})
    queue.decide(item, "accept", 422, correction={"category": "Parties"})
    decision = queue.decide(item, "correct", correction=right)["decision"]
    assert decision["correction"] == {"category": "Governing Law", **right, "page": 1}
    (event,) = queue.announced()
    assert event.correction == decision["correction"]


@pytest.mark.parametrize(
    ("characters", "announced"), [(4_000, True), (4_001, False), (90_000, False)]
)
def test_a_long_corrected_text_is_stored_but_not_announced(
    review: ReviewService, characters: int, announced: bool
) -> None:
    text = "🖋" * 100_000
    review.read("doc_1", text)
    review.extract("doc_1", [clause(text, "🖋" * 3, "Parties", 0.5)])
    right = {"category": "Governing Law", "start": 0, "end": characters}
    decision = review.decide(review.claim()["id"], "correct", correction=right)["decision"]
    assert decision["correction"]["text"] == text[:characters]
    (event,) = review.announced()
    expected = text[:characters] if announced else None
    assert event.correction == {**right, "text": expected, "page": 1}
    assert len(event.to_json("tests")) < 64_000


def test_each_line_about_an_item_names_its_document(queue: ReviewService) -> None:
    client = queue.client()
    item = queue.claim()
    path = f"/v1/items/{item['id']}"
    client.post("/v1/items/claim", json={"item": item["id"]})
    client.get(path)
    client.get(f"{path}/boxes?start=0&end=1")
    client.post(f"{path}/keep")
    decision = {"item": item["id"], "verdict": "accept", "id": new_id("de")}
    for _ in range(2):
        client.post("/v1/decisions", json=decision).raise_for_status()
    client.post("/v1/decisions", json={"item": item["id"], "verdict": "undo"})
    client.post(f"{path}/release").raise_for_status()
    with queue.service.store.read() as session:
        of_document = [
            (line["action"], line["details"].get("operation"))
            for line in chain.lines(session, subject=item["document_id"])
        ]
        assert list(chain.lines(session, subject="doc_none")) == []
    assert of_document == [
        ("item.open", None),
        ("item.open", None),
        ("item.open", "GET /v1/items/{item_id}"),
        ("item.open", "GET /v1/items/{item_id}/boxes"),
        ("change", "POST /v1/items/{item_id}/keep"),
        ("decide", None),
        ("change", "POST /v1/decisions"),
        ("decide", None),
        ("change", "POST /v1/items/{item_id}/release"),
    ]


def test_a_finding_cannot_be_corrected(review: ReviewService) -> None:
    review.read("doc_2", "{}", kind="report", media_type="application/json")
    review.find("doc_2", [{"id": "fd_1", "check": "balance", "confidence": 0.7}])
    (item,) = review.items()
    for correction in (None, {"category": "Parties"}, {"start": 0, "end": 1}):
        answer = review.decide(item["id"], "correct", 422, correction=correction)
        assert "A finding can't be corrected. Accept it if" in answer["detail"]
    assert review.items()[0]["state"] == "claimed"


def test_a_missing_text_is_an_error_unless_its_document_is_deleted(queue: ReviewService) -> None:
    ada = queue.client()
    item = queue.claim()["id"]
    queue.blobs.delete("default", text_of(queue))
    span = {"start": 0, "end": 4}
    wanted = {"item": item, "verdict": "correct", "correction": span}

    def answers() -> list[int]:
        boxes = ada.get(f"/v1/items/{item}/boxes", params=span)
        return [ada.post(DECISIONS, json=wanted).status_code, boxes.status_code]

    assert answers() == [500, 500]
    mark_deleted(FileBlobs(queue.service.settings.blobs), "default", "doc_1")
    assert answers() == [422, 422]


def text_of(review: ReviewService) -> BlobRef:
    with review.service.store.read() as session:
        document = find_document(session, "default", "doc_1")
    assert document is not None
    assert document.text is not None
    return document.text


def test_a_claim_ends_unless_it_is_renewed(queue: ReviewService) -> None:
    now = datetime(2025, 1, 31, 9, tzinfo=UTC)
    commands = ReviewCommands(queue.service.store, queue.blobs, 60.0, clock=lambda: now)
    ada, ben = Actor("default", "ada", "k1"), Actor("default", "ben", "k2")
    item = commands.claim_next(ada, Filters())
    assert item is not None
    now += timedelta(seconds=50)
    assert commands.renew(ada, item.id).lease_until == now + timedelta(seconds=60)
    now += timedelta(seconds=59)
    with pytest.raises(Conflict):
        commands.claim(ben, item.id)
    now += timedelta(seconds=2)
    with pytest.raises(Conflict, match="has ended"):
        commands.decide(ada, DecisionRequest(item=item.id, verdict="accept"))
    assert commands.claim(ben, item.id).holder == "ben"
    with pytest.raises(Conflict, match="Ben is reviewing"):
        commands.renew(ada, item.id)


def test_pages_of_the_queue_have_every_item_once_in_order(review: ReviewService) -> None:
    text = " ".join(f"word{n:03d}" for n in range(60))
    found = [clause(text, f"word{n:03d}", "Parties", (n % 7) / 10, n) for n in range(60)]
    review.read("doc_1", text)
    review.extract("doc_1", found)
    client, seen, cursor = review.client(), [], ""
    while cursor is not None:
        params = {"limit": "7"} | ({"cursor": cursor} if cursor else {})
        page = client.get("/v1/items", params=params).json()
        seen += page["items"]
        cursor = page["next"]
    assert len({item["id"] for item in seen}) == len(seen) == 60
    confidences = [item["confidence"] for item in seen]
    assert confidences == sorted(confidences)
    assert client.get("/v1/items", params={"cursor": "!!"}).status_code == 422
    assert client.get("/v1/decisions", params={"cursor": "WyJ4Il0"}).status_code == 422


def test_counts_are_by_state_reviewer_document_and_category(queue: ReviewService) -> None:
    item = queue.claim()["id"]
    assert queue.client().get("/v1/items/counts").json()["claimed"] == 1
    queue.decide(item)
    counts = queue.client("key-ben").get("/v1/items/counts").json()
    assert {k: counts[k] for k in ("waiting", "decided", "decided_since", "mine_since")} == {
        "waiting": 1,
        "decided": 1,
        "decided_since": 1,
        "mine_since": 0,
    }
    assert counts["documents"] == [{"key": "doc_1", "label": "contract.pdf", "count": 1}]
    assert counts["categories"] == [{"key": "Renewal Term", "label": "Renewal Term", "count": 1}]


def test_pages_and_boxes_come_from_the_layout(queue: ReviewService) -> None:
    ada = queue.client()
    pages = ada.get("/v1/items/pages", params={"document": "doc_1"}).json()
    assert (pages["page_count"], pages["pages"][0]["width"]) == (1, 612.0)
    item = queue.claim()
    span = {"start": item["start"], "end": item["end"]}
    boxes = ada.get(f"/v1/items/{item['id']}/boxes", params=span).json()
    assert boxes == item["boxes"]
    beyond = {"start": 0, "end": len(TEXT) + 1}
    assert ada.get(f"/v1/items/{item['id']}/boxes", params=beyond).status_code == 422


def test_a_browser_signs_in_and_out(queue: ReviewService) -> None:
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


def test_the_cookie_is_secure_over_https(queue: ReviewService) -> None:
    browser = TestClient(queue.service.app, base_url="https://papers.test")
    signed = browser.post("/v1/session", json={"key": "key-ada"})
    cookie = signed.headers["set-cookie"]
    assert cookie.startswith(f"{SECURE_COOKIE}=session-key-ada")
    assert all(part in cookie for part in ("Secure", "Path=/", "HttpOnly"))
    assert "Domain" not in cookie
    assert browser.get("/v1/items").status_code == 200
    token = {"x-csrf-token": signed.json()["csrf"]}
    assert browser.delete("/v1/session", headers=token).status_code == 204
    assert SECURE_COOKIE not in browser.cookies


@pytest.mark.parametrize("public", ["", "https://papers.test"])
def test_over_https_a_session_under_the_plain_name_does_not_count(
    queue: ReviewService, public: str
) -> None:
    queue.service.app.state.https = public.startswith("https:")
    scheme = "http" if public else "https"
    secret = queue.keys.open_session("key-ada").secret
    for name, status in ((COOKIE, 401), (SECURE_COOKIE, 200)):
        browser = TestClient(
            queue.service.app, base_url=f"{scheme}://papers.test", cookies={name: secret}
        )
        assert browser.get("/v1/items").status_code == status
        who = browser.get("/v1/session").json()["actor"]
        assert (who is None) == (status == 401)


def test_a_key_is_no_session(queue: ReviewService) -> None:
    browser = TestClient(queue.service.app, cookies={COOKIE: "key-ada"})
    assert browser.get("/v1/items").status_code == 401
    assert browser.get("/v1/session").json()["actor"] is None


def test_another_site_cannot_sign_a_visitor_in(queue: ReviewService) -> None:
    browser = TestClient(queue.service.app, base_url="http://papers.test")
    forged = {"sec-fetch-site": "cross-site"}
    answer = browser.post("/v1/session", json={"key": "key-ada"}, headers=forged)
    assert answer.status_code == 403
    plain = {"content-type": "text/plain"}
    answer = browser.post("/v1/session", content='{"key": "key-ada"}', headers=plain)
    assert answer.status_code == 422


def test_wrong_keys_of_an_address_are_limited_and_lock_out_nobody(queue: ReviewService) -> None:
    queue.service.app.state.limit = RateLimit(3, lambda: 0.0)  # time stands still

    def signs_in(key: str) -> int:
        return browser.post("/v1/session", json={"key": key}).status_code

    def asks_who(key: str) -> tuple[int, bool]:
        answer = browser.get("/v1/session", headers={"authorization": f"Bearer {key}"})
        return answer.status_code, bool(answer.json().get("actor"))

    browser = TestClient(queue.service.app, base_url="http://papers.test", client=("192.0.2.7", 1))
    assert [signs_in("wrong"), signs_in("wrong")] == [401, 401]
    assert [asks_who("wrong"), asks_who("wrong")] == [(200, False), (429, False)]
    assert signs_in("wrong") == 429
    assert browser.get("/v1/session").status_code == 200
    assert [signs_in("key-ada") for _ in range(4)] == [200] * 3 + [429]
    browser.cookies.clear()
    assert [asks_who("key-ben") for _ in range(4)] == [(200, True)] * 3 + [(429, False)]


def test_items_decisions_and_exports_have_the_title_of_their_document(
    review: ReviewService,
) -> None:
    review.read("doc_1", TEXT)
    title = DocumentTitle(title="Lease · Array / Ono", parties=("Array", "Ono"))
    review.extract("doc_1", [LAW, TERM], title=title)
    item = review.claim()
    assert (item["document"], item["title"], item["parties"]) == (
        "contract.pdf",
        title.title,
        ["Array", "Ono"],
    )
    made = review.client().post(DECISIONS, json={"item": item["id"], "verdict": "accept"}).json()
    listed = review.client().get(DECISIONS).json()["items"]
    assert [one["title"] for one in (made["decision"], *listed)] == [title.title] * 2
    [group] = review.client().get("/v1/items/counts").json()["documents"]
    assert group["label"] == title.title
    exported = review.client().get("/v1/exports", params={"columns": "all"}).text.splitlines()
    assert {json.loads(line)["title"] for line in exported} == {title.title}
    assert {json.loads(line)["parties"] for line in exported} == {"Array; Ono"}


def test_a_title_stays_until_the_next_result_and_ends_with_the_kind(review: ReviewService) -> None:
    review.read("doc_1", TEXT)
    review.extract("doc_1", [LAW], title=DocumentTitle(title="Lease"))
    review.read("doc_1", TEXT, attempt=2)
    review.extract("doc_1", [LAW], attempt=2)
    assert review.claim()["title"] == "Lease"
    review.publish(
        DocumentReclassified(document_id="doc_1", kind="report", previous="contract", attempt=3)
    )
    review.read("doc_1", TEXT, kind="report", attempt=3)
    with review.service.store.read() as session:
        found = find_document(session, "default", "doc_1")
    assert found
    assert found.title is None
