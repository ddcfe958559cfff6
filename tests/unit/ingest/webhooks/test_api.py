"""Routes of webhooks."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from standardwebhooks import Webhook, WebhookVerificationError

from services.ingest.webhooks.store import attempts, deliveries, webhooks
from shared.web import auth
from tests.support.local_server import Receiver, Reply, Request
from tests.unit.ingest.webhooks.builders import NewHooks, WebhookService

URL = "https://hooks.example/in"


def poem(hooks: WebhookService, number: int = 1) -> str:
    return hooks.upload_new(f"Poem {number}.".encode(), f"{number}.txt", kind="other")


def test_a_secret_is_shown_once(any_hooks: WebhookService) -> None:
    made = any_hooks.register(URL, "document.ended")
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert (made["url"], made["types"], made["enabled"]) == (URL, ["document.ended"], True)
    assert any_hooks.webhook(made["id"]) == made
    rotated = any_hooks.client.post(f"/v1/webhooks/{made['id']}/rotate").json()
    assert rotated["secret"] not in (None, secret)
    seen = (
        any_hooks.client.get("/v1/webhooks").text
        + any_hooks.client.get(f"/v1/webhooks/{made['id']}").text
    )
    assert secret not in seen
    assert rotated["secret"] not in seen
    assert "whsec_" not in seen


def test_secrets_are_in_no_log_line(
    hooks: WebhookService, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    receiver.answer = lambda _: Reply(500)
    made = hooks.register(receiver.url())
    poem(hooks)
    new = hooks.client.post(f"/v1/webhooks/{made['id']}/rotate").json()["secret"]
    hooks.send()
    assert len(receiver.requests) == 1
    logged = "\n".join(str(record.__dict__) for record in caplog.records)
    assert "webhook" in logged
    for secret in (made["secret"], new):
        assert secret not in logged
        assert secret.removeprefix("whsec_") not in logged
        assert secret.removeprefix("whsec_") not in repr(hooks.queue.__dict__)


def test_location_leads_to_the_new_webhook(hooks: WebhookService) -> None:
    answer = hooks.client.post("/v1/webhooks", json={"url": URL, "description": "Ours"})
    assert answer.status_code == 201
    found = hooks.client.get(answer.headers["location"]).json()
    assert found["description"] == "Ours"
    assert found["created_by"] == "tester"


@pytest.mark.parametrize(
    ("request_body", "detail"),
    [
        ({}, "url"),
        ({"url": ""}, "url"),
        ({"url": "https://10.0.0.1/"}, "not public"),
        ({"url": "https://[::ffff:10.0.0.1]/"}, "not public"),
        ({"url": "https://2130706433/"}, "decimal numbers"),
        ({"url": "ftp://hooks.example/"}, "https"),
        ({"url": "https://a:b@hooks.example/"}, "user name"),
        ({"url": "https://hooks.example:25/"}, "Port 25"),
        ({"url": "hooks.example"}, "https"),
        ({"url": URL, "types": ["document.lost"]}, "types"),
        ({"url": URL, "types": "document.ended"}, "types"),
        ({"url": URL, "description": "a\0b"}, "description"),
        ({"url": URL, "description": "x" * 501}, "description"),
        ({"url": URL, "secret": "mine"}, "secret"),
    ],
)
def test_an_invalid_webhook_is_refused(
    hooks: WebhookService, request_body: dict[str, Any], detail: str
) -> None:
    answer = hooks.client.post("/v1/webhooks", json=request_body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert detail in answer.json()["detail"]
    assert hooks.client.get("/v1/webhooks").json()["items"] == []
    if request_body:
        made = hooks.register(URL)
        answer = hooks.client.patch(f"/v1/webhooks/{made['id']}", json=request_body)
        assert answer.status_code == 422
        assert hooks.webhook(made["id"])["url"] == URL


def test_http_needs_the_setting(new_hooks: NewHooks) -> None:
    hooks = new_hooks(ingest_webhook_http=False)
    answer = hooks.client.post("/v1/webhooks", json={"url": "http://hooks.example/"})
    assert answer.status_code == 422
    assert "SMALLPRINT_INGEST_WEBHOOK_HTTP" in answer.json()["detail"]


def test_a_list_continues_at_its_cursor(any_hooks: WebhookService) -> None:
    ids = [any_hooks.register(f"{URL}/{n}")["id"] for n in range(5)]
    for n in range(5):
        poem(any_hooks, n)
    for path, wanted in (
        ("/v1/webhooks", ids[::-1]),
        (f"/v1/webhooks/{ids[0]}/deliveries", [d["id"] for d in any_hooks.log(ids[0])][::-1]),
    ):
        assert [item["id"] for item in any_hooks.every(path, limit=2)] == wanted
        assert len(wanted) == 5
        wrong = any_hooks.client.get(path, params={"cursor": "nonsense"})
        assert wrong.status_code == 422


def test_the_log_is_filtered(hooks: WebhookService, receiver: Receiver) -> None:
    made = hooks.register(receiver.url())
    first, second = poem(hooks, 1), poem(hooks, 2)
    hooks.delete(first)

    def reported(**filters: str) -> list[tuple[str, str]]:
        return [(d["type"], d["document_id"]) for d in hooks.log(made["id"], **filters)]

    assert reported(type="document.deleted") == [("document.deleted", first)]
    assert reported(document=second) == [("document.ended", second)]
    assert len(reported(state="pending")) == 3
    hooks.send()
    assert reported(state="pending") == []
    assert len(reported(state="delivered")) == 3
    assert hooks.client.get(f"/v1/webhooks/{made['id']}/deliveries?state=lost").status_code == 422


def test_the_log_has_every_attempt(any_hooks: WebhookService, receiver: Receiver) -> None:
    made = any_hooks.register(receiver.url())
    receiver.answer = lambda _: Reply(500, body=b"caf\xc3\xa9 \0\x1b[31m" + b"x" * 5000)
    document = poem(any_hooks)
    any_hooks.send()
    (delivery,) = any_hooks.log(made["id"])
    (attempt,) = delivery["attempts"]
    assert (delivery["state"], delivery["document_id"]) == ("pending", document)
    assert delivery["reason"] == attempt["error"] == "status: the receiver answered 500"
    assert delivery["next_try"] > attempt["time"]
    assert (attempt["status"], 0 < attempt["seconds"] < 10) == (500, True)
    assert attempt["excerpt"].startswith("café ��[31mxxx")
    assert len(attempt["excerpt"]) <= 1000
    receiver.answer = lambda _: Reply(200, body=b"fine")
    any_hooks.let_time_pass()
    any_hooks.send()
    (delivery,) = any_hooks.log(made["id"])
    assert (delivery["state"], delivery["reason"], delivery["next_try"]) == (
        "delivered",
        None,
        None,
    )
    assert [a["status"] for a in delivery["attempts"]] == [500, 200]
    path = f"/v1/webhooks/{made['id']}/deliveries/{delivery['id']}"
    assert any_hooks.client.get(path).json() == delivery
    assert receiver.ids() == [delivery["message_id"]] * 2
    assert len({request.body for request in receiver.requests}) == 1
    times = [request.headers["webhook-timestamp"] for request in receiver.requests]
    assert all(abs(int(time) - datetime.now(UTC).timestamp()) < 60 for time in times)


def test_webhooks_of_another_tenant_are_not_found(
    any_hooks: WebhookService, receiver: Receiver
) -> None:
    made = any_hooks.register(receiver.url())
    poem(any_hooks)
    (delivery,) = any_hooks.log(made["id"])
    other = any_hooks.client_for("other")
    theirs = any_hooks.register(receiver.url("/theirs"), client=other)
    mine, since = f"/v1/webhooks/{made['id']}", {"since": "2000-01-01T00:00:00Z"}
    one = f"/deliveries/{delivery['id']}"
    answers = [
        other.get(mine),
        other.patch(mine, json={"enabled": False}),
        other.delete(mine),
        other.post(f"{mine}/rotate"),
        other.post(f"{mine}/test"),
        other.get(f"{mine}/deliveries"),
        other.get(mine + one),
        other.post(f"{mine}{one}/redeliver"),
        other.post(f"{mine}/redeliver", json=since),
        other.get(f"/v1/webhooks/{theirs['id']}{one}"),
        other.post(f"/v1/webhooks/{theirs['id']}{one}/redeliver"),
    ]
    assert [answer.status_code for answer in answers] == [404] * len(answers)
    assert [item["id"] for item in other.get("/v1/webhooks").json()["items"]] == [theirs["id"]]
    assert any_hooks.webhook(made["id"])["enabled"] is True
    assert any_hooks.log(made["id"]) == [delivery]


def test_an_older_session_reads_but_changes_nothing(
    hooks: WebhookService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "FRESH", timedelta(0))
    made = hooks.register(URL)
    session = hooks.client_with(hooks.client.post("/v1/keys/sessions").json()["secret"])
    mine = f"/v1/webhooks/{made['id']}"
    assert session.get(mine).status_code == 200
    answers = [
        session.post("/v1/webhooks", json={"url": URL}),
        session.patch(mine, json={"url": "https://evil.example/"}),
        session.delete(mine),
        session.post(f"{mine}/rotate"),
        session.post(f"{mine}/test"),
        session.post(f"{mine}/redeliver", json={"since": "2000-01-01T00:00:00Z"}),
    ]
    assert [answer.status_code for answer in answers] == [403] * 6
    assert hooks.webhook(made["id"])["url"] == URL


def test_the_number_of_webhooks_is_limited(new_hooks: NewHooks) -> None:
    hooks = new_hooks(ingest_webhook_most=2)
    first = hooks.register(URL)
    hooks.register(URL)
    answer = hooks.client.post("/v1/webhooks", json={"url": URL})
    assert answer.status_code == 409
    assert "2 webhooks" in answer.json()["detail"]
    hooks.register(URL, client=hooks.client_for("other"))
    hooks.client.delete(f"/v1/webhooks/{first['id']}")
    hooks.register(URL)


def test_a_change_keeps_missing_fields(hooks: WebhookService) -> None:
    made = hooks.register(URL, "document.ended")
    mine = f"/v1/webhooks/{made['id']}"
    assert hooks.client.patch(mine, json={"description": "new"}).json()["types"] == [
        "document.ended"
    ]
    changed = hooks.client.patch(mine, json={"types": [], "url": "https://Other.example"}).json()
    assert (changed["types"], changed["description"]) == ([], "new")
    assert changed["url"] == "https://other.example/"
    assert hooks.client.patch(mine, json={}).json()["url"] == "https://other.example/"


def test_rotation_overlaps_both_secrets(any_hooks: WebhookService, receiver: Receiver) -> None:
    made = any_hooks.register(receiver.url())
    mine = f"/v1/webhooks/{made['id']}"
    new = any_hooks.client.post(f"{mine}/rotate", json={"overlap": 3600}).json()
    assert new["old_secret_until"] is not None
    poem(any_hooks, 1)
    any_hooks.send()
    newest = any_hooks.client.post(f"{mine}/rotate", json={"overlap": 0}).json()
    assert newest["old_secret_until"] is None
    poem(any_hooks, 2)
    any_hooks.send()
    first, second = receiver.requests
    assert _verified(first, made["secret"], new["secret"], newest["secret"]) == [True, True, False]
    assert _verified(second, made["secret"], new["secret"], newest["secret"]) == [
        *(False, False, True)
    ]
    for wrong in (-1, False, "1", 604_801):
        assert any_hooks.client.post(f"{mine}/rotate", json={"overlap": wrong}).status_code == 422


def test_a_test_event_is_sent_once(hooks: WebhookService, receiver: Receiver) -> None:
    made = hooks.register(receiver.url(), "document.deleted")
    mine = f"/v1/webhooks/{made['id']}"
    answer = hooks.client.post(f"{mine}/test")
    assert (answer.status_code, answer.json()["state"]) == (202, "pending")
    hooks.send()
    body = Webhook(made["secret"]).verify(receiver.requests[0].body, receiver.requests[0].headers)
    assert (body["type"], body["data"]["webhook_id"]) == ("webhook.test", made["id"])
    receiver.answer = lambda _: Reply(500)
    second = hooks.client.post(f"{mine}/test").json()
    hooks.send()
    assert second["message_id"] != answer.json()["message_id"]
    assert hooks.states(made["id"]) == ["delivered", "failed"]
    assert len(hooks.log(made["id"], type="webhook.test")) == 2


def test_failed_deliveries_can_be_sent_again(any_hooks: WebhookService, receiver: Receiver) -> None:
    made = any_hooks.register(receiver.url())
    mine = f"/v1/webhooks/{made['id']}"
    receiver.answer = lambda _: Reply(500)
    for n in range(3):
        poem(any_hooks, n)
    while "pending" in any_hooks.states(made["id"]):
        any_hooks.let_time_pass()
        any_hooks.send()
    assert any_hooks.states(made["id"]) == ["failed"] * 3
    tried = len(receiver.requests)
    assert tried == 30
    receiver.answer = lambda _: Reply()
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    none = any_hooks.client.post(f"{mine}/redeliver", json={"since": later})
    assert (none.status_code, none.json()) == (202, {"count": 0})
    first = any_hooks.log(made["id"])[0]
    again = any_hooks.client.post(f"{mine}/deliveries/{first['id']}/redeliver")
    assert (again.status_code, again.json()["state"]) == (202, "pending")
    any_hooks.let_time_pass()
    any_hooks.send()
    assert any_hooks.states(made["id"]) == ["delivered", "failed", "failed"]
    since = {"since": first["created"]}
    assert any_hooks.client.post(f"{mine}/redeliver", json=since).json() == {"count": 2}
    any_hooks.send()
    assert any_hooks.states(made["id"]) == ["delivered"] * 3
    any_hooks.client.post(f"{mine}/deliveries/{first['id']}/redeliver")
    any_hooks.send()
    assert len(receiver.requests) == tried + 4
    assert receiver.ids()[-1] == first["message_id"]
    assert len(set(receiver.ids())) == 3


@pytest.mark.parametrize(
    "since", ["2026-01-01T00:00:00", "yesterday", None, 0, "9999-12-31T23:59:59-12:00"]
)
def test_a_time_needs_a_zone(hooks: WebhookService, since: object) -> None:
    made = hooks.register(URL)
    path = f"/v1/webhooks/{made['id']}/redeliver"
    assert hooks.client.post(path, json={"since": since}).status_code == 422


def test_a_disabled_webhook_is_sent_nothing(any_hooks: WebhookService, receiver: Receiver) -> None:
    made = any_hooks.register(receiver.url())
    mine = f"/v1/webhooks/{made['id']}"
    poem(any_hooks, 1)
    off = any_hooks.client.patch(mine, json={"enabled": False}).json()
    assert (off["enabled"], off["disabled_reason"]) == (False, "manual: disabled by tester")
    poem(any_hooks, 2)
    any_hooks.send()
    assert receiver.requests == []
    log = any_hooks.log(made["id"])
    assert [delivery["state"] for delivery in log] == ["failed", "failed"]
    assert all(delivery["reason"].startswith("webhook_disabled: ") for delivery in log)
    for path in ("/test", f"/deliveries/{log[0]['id']}/redeliver"):
        assert any_hooks.client.post(mine + path).status_code == 409
    since = {"since": log[0]["created"]}
    assert any_hooks.client.post(f"{mine}/redeliver", json=since).status_code == 409
    on = any_hooks.client.patch(mine, json={"enabled": True}).json()
    assert (on["enabled"], on["disabled_reason"]) == (True, None)
    any_hooks.send()
    assert receiver.requests == []
    assert any_hooks.client.post(f"{mine}/redeliver", json=since).json() == {"count": 2}
    any_hooks.send()
    assert len(receiver.requests) == 2


def test_a_deleted_webhook_is_gone(any_hooks: WebhookService, receiver: Receiver) -> None:
    made = any_hooks.register(receiver.url())
    stored = any_hooks.register(receiver.url("/kept"))
    poem(any_hooks, 1)
    any_hooks.send()
    poem(any_hooks, 2)
    mine = f"/v1/webhooks/{made['id']}"
    assert any_hooks.client.delete(mine).status_code == 204
    assert any_hooks.client.get(mine).status_code == 404
    assert any_hooks.client.delete(mine).status_code == 404
    any_hooks.send()
    assert [request.path for request in receiver.requests] == ["/", "/kept", "/kept"]
    with any_hooks.service.store.read() as session:
        gone = select(webhooks).where(webhooks.c.id == made["id"])
        row = session.execute(gone).mappings().one()
    assert (row["secret"], row["old_secret"], row["url"]) == ("", None, "")
    while any_hooks.queue.prune(datetime.now(UTC) - timedelta(days=30)):
        pass
    assert [any_hooks.count(table) for table in (webhooks, deliveries, attempts)] == [1, 2, 2]
    assert any_hooks.states(stored["id"]) == ["delivered", "delivered"]


def _verified(request: Request, *secrets: str) -> list[bool]:
    return [_verifies(request, secret) for secret in secrets]


def _verifies(request: Request, secret: str) -> bool:
    try:
        return bool(
            Webhook(secret).verify(request.body, request.headers) == json.loads(request.body)
        )
    except WebhookVerificationError:
        return False
