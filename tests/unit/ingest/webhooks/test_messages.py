"""Which events become messages, and what they contain."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from sqlalchemy import delete

from services.ingest import handlers
from services.ingest.webhooks import store
from services.ingest.webhooks.messages import MESSAGES, body_of, document_ended
from shared.bus import Message
from shared.documents import FailedPage
from shared.events import DocumentDeleted, FindingsFound
from shared.messaging.tables import inbox
from tests.support import ROOT
from tests.support.local_server import Receiver, Reply
from tests.unit.ingest.builders import clauses_extracted, document_failed, findings_found, pdf
from tests.unit.ingest.webhooks.builders import NewHooks, WebhookService, review_decision

OPENAPI = json.loads((ROOT / "services/ingest/openapi.json").read_text("utf-8"))
CONTRACT = b"Agreement of Alpha and Beta."


def bodies(receiver: Receiver) -> list[dict[str, Any]]:
    findings_found = [json.loads(request.body) for request in receiver.requests]
    for body in findings_found:
        operation = OPENAPI["webhooks"][body["type"]]["post"]
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        jsonschema.validate(body, {**schema, "components": OPENAPI["components"]})
    return findings_found


def types(receiver: Receiver) -> list[str]:
    return [body["type"] for body in bodies(receiver)]


def test_a_contract_sends_messages_from_clauses_to_deletion(
    any_hooks: WebhookService, receiver: Receiver
) -> None:
    any_hooks.register(receiver.url())
    document = any_hooks.complete_new(CONTRACT, "secret name.txt")
    any_hooks.publish(review_decision(document))
    any_hooks.delete(document)
    any_hooks.send()
    clauses, ended, decision, deleted = bodies(receiver)
    assert clauses["type"] == "clauses.extracted"
    path = f"/v1/documents/{document}"
    assert clauses["data"]["links"] == {"document": path, "clauses": f"{path}/clauses"}
    assert ended["data"] == {
        "document_id": document,
        "kind": "contract",
        "attempt": 1,
        "outcome": "complete",
        "reasons": [],
        "pages": 1,
        "failed_pages": [],
        "failed_page_count": 0,
        "links": {"document": path},
    }
    assert decision["data"]["verdict"] == "correct"
    assert decision["data"]["links"]["item"] == "/v1/items/it_1"
    assert deleted["data"] == {"document_id": document, "actor": "tester"}
    everything = b"".join(request.body for request in receiver.requests)
    assert b"secret name" not in everything
    assert b"words of the contract" not in everything


def test_a_report_sends_findings_and_its_end(hooks: WebhookService, receiver: Receiver) -> None:
    hooks.register(receiver.url())
    report = hooks.read_new(b'{"id": "a"}', "a.json")
    hooks.publish(findings_found(report, unreadable=2))
    hooks.send()
    findings, ended = bodies(receiver)
    assert findings["type"] == "findings.found"
    assert (findings["data"]["flagged"], findings["data"]["unreadable"]) == (False, 2)
    assert ended["data"]["outcome"] == "partial"
    assert "2 filings" in ended["data"]["reasons"][0]


@pytest.mark.usefixtures("no_engine")
def test_every_outcome_sends_a_message(hooks: WebhookService, receiver: Receiver) -> None:
    hooks.register(receiver.url(), "document.ended")
    poem = hooks.upload_new(b"A poem.", "poem.txt", kind="other")
    broken = hooks.upload_new(pdf()[:400] + b"\0" * 50, "broken.pdf")
    lost = hooks.upload_new(CONTRACT, "lost.txt")
    half = hooks.read_new(pdf("One page.", ""), "half.pdf")
    hooks.publish(document_failed(lost), clauses_extracted(half))
    hooks.send()
    reported = {body["data"]["document_id"]: body["data"] for body in bodies(receiver)}
    ends = {
        name: reported[document]["outcome"] for name, document in (("poem", poem), ("lost", lost))
    }
    assert ends == {"poem": "rejected", "lost": "failed"}
    assert reported[poem]["reasons"][0].startswith("not_our_kind: ")
    assert reported[broken]["outcome"] == "failed"
    assert reported[lost]["reasons"] == ["internal: it broke"]
    assert reported[half]["outcome"] == "partial"
    assert reported[half]["failed_pages"] == [{"page": 2, "code": "no_text_layer"}]
    assert len(reported) == len(receiver.requests) == 4


def test_a_success_after_a_failure_is_another_end(
    hooks: WebhookService, receiver: Receiver
) -> None:
    hooks.register(receiver.url(), "document.ended")
    document = hooks.read_new(CONTRACT, "a.txt")
    hooks.publish(document_failed(document))
    hooks.publish(clauses_extracted(document))
    assert hooks.client.post(f"/v1/documents/{document}/reprocess").status_code == 202
    hooks.run()
    hooks.publish(clauses_extracted(document, attempt=2))
    hooks.send()
    reported = [(body["data"]["outcome"], body["data"]["attempt"]) for body in bodies(receiver)]
    assert reported == [("failed", 1), ("complete", 1), ("complete", 2)]
    assert len(set(receiver.ids())) == 3


def test_a_repeated_event_sends_one_message(any_hooks: WebhookService, receiver: Receiver) -> None:
    made = any_hooks.register(receiver.url())
    document = any_hooks.read_new(CONTRACT, "a.txt")
    events = [clauses_extracted(document), review_decision(document)]
    any_hooks.publish(*events)
    for _ in range(2):
        for event in events:
            message = Message(event.key, event.to_json("elsewhere"))
            any_hooks.service.bus.publish(message)
        any_hooks.run()
        with any_hooks.service.store.write() as session:
            session.execute(delete(inbox))
    any_hooks.send()
    assert types(receiver) == ["clauses.extracted", "document.ended", "review.decided"]
    assert any_hooks.states(made["id"]) == ["delivered"] * 3


def test_late_events_send_nothing(hooks: WebhookService, receiver: Receiver) -> None:
    hooks.register(receiver.url(), "clauses.extracted", "findings.found", "review.decided")
    gone = hooks.upload_new(CONTRACT, "a.txt")
    again = hooks.read_new(CONTRACT + b"2", "b.txt")
    hooks.publish(document_failed(again))
    hooks.client.post(f"/v1/documents/{again}/reprocess")
    hooks.delete(gone)
    hooks.publish(
        clauses_extracted(gone),
        review_decision(gone),
        clauses_extracted("doc_none"),
        review_decision("doc_none"),
    )
    hooks.publish(clauses_extracted(again, attempt=1), DocumentDeleted(document_id="doc_none"))
    hooks.send()
    assert receiver.requests == []


def test_messages_are_separate_for_each_tenant(
    any_hooks: WebhookService, receiver: Receiver
) -> None:
    other = any_hooks.client_for("other")
    any_hooks.register(receiver.url("/ours"))
    any_hooks.register(receiver.url("/theirs"), client=other)
    any_hooks.upload(b"A poem.", "a.txt", client=other, kind="other")
    any_hooks.send()
    assert [request.path for request in receiver.requests] == ["/theirs"]


def test_a_webhook_gets_its_types_only(hooks: WebhookService, receiver: Receiver) -> None:
    hooks.register(receiver.url("/deleted"), "document.deleted")
    hooks.register(receiver.url("/two"), "document.deleted", "clauses.extracted")
    document = hooks.complete_new(CONTRACT, "a.txt")
    hooks.delete(document)
    hooks.send()
    sent = sorted((request.path, json.loads(request.body)["type"]) for request in receiver.requests)
    assert sent == [
        ("/deleted", "document.deleted"),
        ("/two", "clauses.extracted"),
        ("/two", "document.deleted"),
    ]


def test_a_message_is_committed_with_its_cause(
    hooks: WebhookService, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = hooks.register(receiver.url(), "document.ended")
    document = hooks.read_new(CONTRACT, "a.txt")
    broken = [True]

    def publish_then_break(*arguments: Any) -> None:
        store.publish(*arguments)
        if broken:
            broken.pop()
            raise ValueError("a bug after the messages were written")

    monkeypatch.setattr(handlers, "publish", publish_then_break)
    hooks.publish(clauses_extracted(document))
    assert hooks.log(made["id"]) == []
    while hooks.state(document)["state"] != "ended":
        hooks.run()
    hooks.send()
    assert types(receiver) == ["document.ended"]


def test_links_are_absolute_with_a_public_address(new_hooks: NewHooks, receiver: Receiver) -> None:
    hooks = new_hooks(public_url="https://papers.example/")
    hooks.register(receiver.url())
    poem = hooks.upload_new(b"A poem.", "a.txt", kind="other")
    hooks.send()
    (body,) = bodies(receiver)
    assert body["data"]["links"] == {"document": f"https://papers.example/v1/documents/{poem}"}


def test_a_deletion_removes_reasons_and_excerpts(
    any_hooks: WebhookService, receiver: Receiver
) -> None:
    quoted = "MARKER-7f3a"
    receiver.answer = lambda request: Reply(500, body=request.body)
    made = any_hooks.register(receiver.url(), "document.ended", "document.deleted")
    document = any_hooks.read_new(CONTRACT, "a.txt")
    failure = document_failed(document).model_copy(update={"reason": f"can't parse {quoted}"})
    any_hooks.publish(failure)
    any_hooks.send()
    assert quoted in receiver.requests[0].body.decode()
    assert quoted in str(any_hooks.log(made["id"]))
    any_hooks.delete(document)
    assert quoted not in str(any_hooks.log(made["id"]))
    any_hooks.let_time_pass()
    receiver.answer = lambda request: Reply()
    any_hooks.send()
    ended, deleted = bodies(receiver)[1:]
    assert ended["data"]["reasons"] == []
    assert deleted["type"] == "document.deleted"
    assert receiver.ids()[0] == receiver.ids()[1]
    if any_hooks.service.store.engine.dialect.name == "sqlite":
        with any_hooks.service.store.engine.connect() as connection:
            dump = "\n".join(connection.connection.driver_connection.iterdump())  # type: ignore[union-attr]
        stored = [line for line in dump.splitlines() if quoted in line and '"outbox"' not in line]
        assert stored == []


def test_messages_stay_small(hooks: WebhookService, receiver: Receiver) -> None:
    document = hooks.upload_new(CONTRACT, "a.txt")
    before = hooks.stored(document)
    pages = tuple(FailedPage(n, "no_text_layer", "x" * 2000) for n in range(1, 3000))
    progress = replace(
        before.progress, pages=3000, failed_pages=pages, results=frozenset({"extraction"})
    )
    (message,) = document_ended(replace(before, progress=progress), before)
    assert len(body_of(message, "")) < 20_000
    assert message.data["failed_page_count"] == 2999
    assert len(message.data["failed_pages"]) == 100


def test_every_message_is_in_openapi() -> None:
    assert len(MESSAGES) == len(OPENAPI["webhooks"]) == 6
    for operation in (item["post"] for item in OPENAPI["webhooks"].values()):
        headers = {parameter["name"] for parameter in operation["parameters"]}
        assert headers == {"webhook-id", "webhook-timestamp", "webhook-signature"}
        assert set(operation["responses"]) == {"204"}
    assert FindingsFound.type not in OPENAPI["webhooks"]  # customers' types have no version
