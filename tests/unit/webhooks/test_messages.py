"""What customers are told: which events become messages, once, for whom, and with what in them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from sqlalchemy import delete

from services.ingest import handlers
from services.ingest.store import Documents
from services.ingest.webhooks import store
from services.ingest.webhooks.messages import MESSAGES, body_of, document_ended
from shared.bus import Message
from shared.documents import FailedPage
from shared.events import DocumentDeleted, FindingsFound
from shared.storage.messages import inbox
from tests.receiver import Receiver, Reply
from tests.support import ROOT
from tests.unit.ingest.house import extracted, found, gave_up, pdf
from tests.unit.webhooks.hooks import Hooks, decided

OPENAPI = json.loads((ROOT / "services/ingest/openapi.json").read_text("utf-8"))
CONTRACT = b"Agreement of Alpha and Beta."


def bodies(receiver: Receiver) -> list[dict[str, Any]]:
    """What arrived, each held against the schema that is published for its type."""
    found = [json.loads(request.body) for request in receiver.requests]
    for body in found:
        operation = OPENAPI["webhooks"][body["type"]]["post"]
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        jsonschema.validate(body, {**schema, "components": OPENAPI["components"]})
    return found


def types(receiver: Receiver) -> list[str]:
    """The types of what arrived, in order."""
    return [body["type"] for body in bodies(receiver)]


def test_a_contract_is_told_of_from_its_clauses_to_its_deletion(
    any_hooks: Hooks, receiver: Receiver
) -> None:
    """Clauses, end, decision, deletion: in this order, thin, and as published."""
    any_hooks.register(receiver.url())
    document = any_hooks.accepted(CONTRACT, "secret name.txt")
    any_hooks.work()
    any_hooks.say(extracted(document))
    any_hooks.say(decided(document))
    any_hooks.client.delete(f"/v1/documents/{document}")
    any_hooks.work()
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


def test_a_report_is_told_of(hooks: Hooks, receiver: Receiver) -> None:
    """Findings with what they amount to, and filings that could not be read as a partial end."""
    hooks.register(receiver.url())
    report = hooks.accepted(b'{"id": "a"}', "a.json")
    hooks.work()
    hooks.say(found(report, unreadable=2))
    hooks.send()
    findings, ended = bodies(receiver)
    assert findings["type"] == "findings.found"
    assert (findings["data"]["flagged"], findings["data"]["unreadable"]) == (False, 2)
    assert ended["data"]["outcome"] == "partial"
    assert "2 filings" in ended["data"]["reasons"][0]


@pytest.mark.usefixtures("no_engine")
def test_every_kind_of_end_is_told(hooks: Hooks, receiver: Receiver) -> None:
    """Rejected at the upload, failed by ingest, failed elsewhere, partial with its pages."""
    hooks.register(receiver.url(), "document.ended")
    poem = hooks.accepted(b"A poem.", "poem.txt", kind="other")
    broken = hooks.accepted(pdf()[:400] + b"\0" * 50, "broken.pdf")
    lost = hooks.accepted(CONTRACT, "lost.txt")
    half = hooks.accepted(pdf("One page.", ""), "half.pdf")
    hooks.work()
    hooks.say(gave_up(lost), extracted(half))
    hooks.send()
    told = {body["data"]["document_id"]: body["data"] for body in bodies(receiver)}
    ends = {name: told[document]["outcome"] for name, document in (("poem", poem), ("lost", lost))}
    assert ends == {"poem": "rejected", "lost": "failed"}
    assert told[poem]["reasons"][0].startswith("not_our_kind: ")
    assert told[broken]["outcome"] == "failed"
    assert told[lost]["reasons"] == ["internal: it broke"]
    assert told[half]["outcome"] == "partial"
    assert told[half]["failed_pages"] == [{"page": 2, "code": "no_text_layer"}]
    assert len(told) == len(receiver.requests) == 4


def test_a_success_after_a_failure_is_another_end(hooks: Hooks, receiver: Receiver) -> None:
    """Both are told, and so is the end of a new attempt."""
    hooks.register(receiver.url(), "document.ended")
    document = hooks.accepted(CONTRACT, "a.txt")
    hooks.work()
    hooks.say(gave_up(document))
    hooks.say(extracted(document))
    assert hooks.client.post(f"/v1/documents/{document}/reprocess").status_code == 202
    hooks.work()
    hooks.say(extracted(document, attempt=2))
    hooks.send()
    told = [(body["data"]["outcome"], body["data"]["attempt"]) for body in bodies(receiver)]
    assert told == [("failed", 1), ("complete", 1), ("complete", 2)]
    assert len(set(receiver.ids())) == 3


def test_an_event_that_comes_again_is_one_message(any_hooks: Hooks, receiver: Receiver) -> None:
    """The bus delivers twice, even after the inbox has forgotten: the id follows from the event."""
    made = any_hooks.register(receiver.url())
    document = any_hooks.accepted(CONTRACT, "a.txt")
    any_hooks.work()
    events = [extracted(document), decided(document)]
    any_hooks.say(*events)
    for _ in range(2):
        for event in events:
            message = Message(event.key, event.to_json("elsewhere"))
            any_hooks.service.bus.publish(message)
        any_hooks.work()
        with any_hooks.service.store.write() as session:
            session.execute(delete(inbox))
    any_hooks.send()
    assert types(receiver) == ["clauses.extracted", "document.ended", "review.decided"]
    assert any_hooks.states(made["id"]) == ["delivered"] * 3


def test_late_news_is_not_told(hooks: Hooks, receiver: Receiver) -> None:
    """Of a deleted document, of none at all, and of an older attempt nobody hears."""
    hooks.register(receiver.url(), "clauses.extracted", "findings.found", "review.decided")
    gone = hooks.accepted(CONTRACT, "a.txt")
    again = hooks.accepted(CONTRACT + b"2", "b.txt")
    hooks.work()
    hooks.say(gave_up(again))
    hooks.client.post(f"/v1/documents/{again}/reprocess")
    hooks.client.delete(f"/v1/documents/{gone}")
    hooks.work()
    hooks.say(extracted(gone), decided(gone), extracted("doc_none"), decided("doc_none"))
    hooks.say(extracted(again, attempt=1), DocumentDeleted(document_id="doc_none"))
    hooks.send()
    assert receiver.requests == []


def test_tenants_hear_of_their_own_documents_alone(any_hooks: Hooks, receiver: Receiver) -> None:
    """The same event for another tenant's document of the same bytes is another message."""
    other = any_hooks.client_of("other")
    any_hooks.register(receiver.url("/ours"))
    any_hooks.register(receiver.url("/theirs"), client=other)
    any_hooks.upload(b"A poem.", "a.txt", client=other, kind="other")
    any_hooks.send()
    assert [request.path for request in receiver.requests] == ["/theirs"]


def test_a_webhook_is_sent_the_types_that_it_wants(hooks: Hooks, receiver: Receiver) -> None:
    """None named is all; what nobody wants is not even noted."""
    hooks.register(receiver.url("/deleted"), "document.deleted")
    hooks.register(receiver.url("/two"), "document.deleted", "clauses.extracted")
    document = hooks.accepted(CONTRACT, "a.txt")
    hooks.work()
    hooks.say(extracted(document))
    hooks.client.delete(f"/v1/documents/{document}")
    hooks.work()
    hooks.send()
    sent = sorted((request.path, json.loads(request.body)["type"]) for request in receiver.requests)
    assert sent == [
        ("/deleted", "document.deleted"),
        ("/two", "clauses.extracted"),
        ("/two", "document.deleted"),
    ]


def test_a_message_is_noted_with_its_cause_or_not_at_all(
    hooks: Hooks, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction that is rolled back has told nobody; tried again, it tells once."""
    made = hooks.register(receiver.url(), "document.ended")
    document = hooks.accepted(CONTRACT, "a.txt")
    hooks.work()
    broken = [True]

    def publish_then_break(*arguments: Any) -> None:
        store.publish(*arguments)
        if broken:
            broken.pop()
            raise ValueError("a bug after the messages were written")

    monkeypatch.setattr(handlers, "publish", publish_then_break)
    hooks.say(extracted(document))
    assert hooks.log(made["id"]) == []
    while hooks.state(document)["state"] != "ended":
        hooks.work()
    hooks.send()
    assert types(receiver) == ["document.ended"]


def test_links_are_absolute_where_there_is_a_public_address(
    hooks_with: Any, receiver: Receiver
) -> None:
    """The setting that browsers' address has goes in front of them."""
    hooks = hooks_with(public_url="https://papers.example/")
    hooks.register(receiver.url())
    poem = hooks.accepted(b"A poem.", "a.txt", kind="other")
    hooks.send()
    (body,) = bodies(receiver)
    assert body["data"]["links"] == {"document": f"https://papers.example/v1/documents/{poem}"}


def test_a_deleted_document_leaves_no_words_behind(any_hooks: Hooks, receiver: Receiver) -> None:
    """Reasons may quote it and receivers may echo it: both go, sent or not; ids stay."""
    quoted = "MARKER-7f3a"
    receiver.answer = lambda request: Reply(500, body=request.body)
    made = any_hooks.register(receiver.url(), "document.ended", "document.deleted")
    document = any_hooks.accepted(CONTRACT, "a.txt")
    any_hooks.work()
    failure = gave_up(document).model_copy(update={"reason": f"can't parse {quoted}"})
    any_hooks.say(failure)
    any_hooks.send()
    assert quoted in receiver.requests[0].body.decode()
    assert quoted in str(any_hooks.log(made["id"]))
    any_hooks.client.delete(f"/v1/documents/{document}")
    any_hooks.work()
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
        kept = [line for line in dump.splitlines() if quoted in line and '"outbox"' not in line]
        assert kept == []


def test_messages_stay_small(hooks: Hooks, receiver: Receiver) -> None:
    """Of thousands of failed pages and long reasons the first are named: below 20 kB."""
    document = hooks.accepted(CONTRACT, "a.txt")
    with hooks.service.store.read() as session:
        before = Documents(session, "default").get(document)
    assert before is not None
    pages = tuple(FailedPage(n, "no_text_layer", "x" * 2000) for n in range(1, 3000))
    progress = replace(
        before.progress, pages=3000, failed_pages=pages, results=frozenset({"extraction"})
    )
    (message,) = document_ended(replace(before, progress=progress), before)
    assert len(body_of(message, "")) < 20_000
    assert message.data["failed_page_count"] == 2999
    assert len(message.data["failed_pages"]) == 100


def test_every_message_is_published() -> None:
    """OpenAPI has each type, with the three headers, and its schema is that of its model."""
    assert len(MESSAGES) == len(OPENAPI["webhooks"]) == 6
    for operation in (item["post"] for item in OPENAPI["webhooks"].values()):
        headers = {parameter["name"] for parameter in operation["parameters"]}
        assert headers == {"webhook-id", "webhook-timestamp", "webhook-signature"}
        assert set(operation["responses"]) == {"204"}
    assert FindingsFound.type not in OPENAPI["webhooks"]  # customers' types have no version
