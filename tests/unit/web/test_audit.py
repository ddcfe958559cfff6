"""Reads and refusals in the audit trail."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter
from fastapi.testclient import TestClient
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from services.extraction.store import MIGRATIONS
from shared.audit import record
from shared.audit.trail import audit
from shared.errors import NotFound
from shared.storage import Store
from shared.web.app import create_app
from shared.web.audit import Line, LineWriter
from shared.web.auth import COOKIE, CSRF_HEADER, Actor, CurrentActor, csrf_token
from shared.web.parameters import Id

READER = frozenset({"documents:read", "documents:write", "review"})


class Ring:
    """Accepts every key as the name of its holder, who also has a session."""

    def check(self, secret: str) -> Actor:
        return Actor("default", secret, f"key_of_{secret}", f"session_of_{secret}", READER)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path / 'one.db'}", "extraction", MIGRATIONS)
    store.migrate()
    yield store
    store.close()


@pytest.fixture
def client(store: Store) -> TestClient:
    router = APIRouter(prefix="/v1")

    @router.get("/documents/{id}/text")
    def document_text(_actor: CurrentActor, document_id: Id) -> str:
        if document_id == "doc_none":
            raise NotFound("There is no document.")
        return "text"

    @router.get("/documents/{id}/pages/{number}.txt")
    def page(_actor: CurrentActor, document_id: Id, number: int) -> str:
        return f"{document_id} {number}"

    @router.get("/items")
    def items(_actor: CurrentActor, document: str = "") -> str:
        return document

    @router.delete("/webhooks/{id}")
    def remove_webhook(_actor: CurrentActor, webhook_id: Id) -> str:
        return webhook_id

    @router.get("/keys")
    def keys(_actor: CurrentActor) -> list[str]:
        return []

    @router.delete("/documents/{id}")
    def remove(actor: CurrentActor, document_id: Id) -> None:
        with store.write() as session:
            record(session, actor, "document.delete", document_id)

    @router.get("/open")
    def of_everybody() -> str:
        return "free"

    app = create_app("extraction", [router], [], Ring(), store=store)
    return TestClient(app, headers={"authorization": "Bearer alice"})


def lines(store: Store) -> list[tuple[Any, ...]]:
    """Actor, address, action, object and details of all lines."""
    columns = (audit.c.actor, audit.c.address, audit.c.action, audit.c.object, audit.c.details)
    with store.read() as session:
        return [tuple(row) for row in session.execute(select(*columns).order_by(audit.c.number))]


@pytest.mark.parametrize(
    ("requests", "recorded"),
    [
        (["GET /v1/documents/doc_1/text"], [("document.read", "doc_1")]),
        (["GET /v1/documents/doc_1/text"] * 3, [("document.read", "doc_1")]),
        (
            ["GET /v1/documents/doc_1/pages/1.txt", "GET /v1/documents/doc_1/pages/2.txt"],
            [("document.read", "doc_1")],
        ),
        (
            ["GET /v1/documents/doc_1/text", "GET /v1/documents/doc_2/text"],
            [("document.read", "doc_1"), ("document.read", "doc_2")],
        ),
        (
            ["GET /v1/items", "GET /v1/items?document=doc_1", "GET /v1/items?document=%00"],
            [("list", ""), ("list", "doc_1")],
        ),
        (["GET /v1/keys"] * 2, [("refuse", "")]),
        (["DELETE /v1/webhooks/wh_1", "DELETE /v1/webhooks/wh_2"], [("refuse", "wh_1")]),
        (["DELETE /v1/documents/doc_1"], [("document.delete", "doc_1")]),
        (["DELETE /v1/documents/doc_1"] * 2, [("document.delete", "doc_1")] * 2),
        (["GET /v1/documents/doc_none/text", "GET /v1/open", "GET /livez"], []),
    ],
)
def test_each_read_and_refusal_leaves_one_line_in_five_minutes(
    client: TestClient, store: Store, requests: list[str], recorded: list[tuple[str, str]]
) -> None:
    for request in requests:
        client.request(*request.split())
    found = lines(store)
    assert [(action, subject) for _, _, action, subject, _ in found] == recorded
    assert {(actor, address) for actor, address, *_ in found} <= {("alice", "testclient")}


def test_every_key_has_its_own_line(client: TestClient, store: Store) -> None:
    for name in ("alice", "bob"):
        client.get("/v1/documents/doc_1/text", headers={"authorization": f"Bearer {name}"})
    operation = {"operation": "GET /v1/documents/{id}/text"}
    assert lines(store) == [
        (name, "testclient", "document.read", "doc_1", operation) for name in ("alice", "bob")
    ]


def test_a_wrong_csrf_token_leaves_a_line(client: TestClient, store: Store) -> None:
    del client.headers["authorization"]
    client.cookies.set(COOKIE, "alice")
    for token in ("wrong", "wrong", csrf_token("alice")):
        client.delete("/v1/documents/doc_1", headers={CSRF_HEADER: token})
    refused = {"operation": "DELETE /v1/documents/{id}"}
    assert lines(store) == [
        ("alice", "testclient", "refuse", "doc_1", refused),
        ("alice", "testclient", "document.delete", "doc_1", {}),
    ]


def test_no_answer_leaves_without_its_line(client: TestClient, store: Store) -> None:
    with store.write() as session:
        session.execute(text("ALTER TABLE audit RENAME TO lost"))
    answer = client.get("/v1/documents/doc_1/text")
    assert answer.status_code == 503
    assert answer.json()["type"].endswith(":unavailable")
    with store.write() as session:
        session.execute(text("ALTER TABLE lost RENAME TO audit"))
    assert client.get("/v1/documents/doc_1/text").status_code == 200
    assert len(lines(store)) == 1


def test_the_log_of_a_request_has_the_key_and_the_address(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        client.get("/v1/documents/doc_1/text")
    [found] = [one for one in caplog.records if one.message == "request"]
    assert (found.key, found.address) == ("key_of_alice", "testclient")  # type: ignore[attr-defined]


def test_lines_that_come_together_share_a_commit(store: Store) -> None:
    """Also lines of several tenants."""
    writer, commits = LineWriter(store), 0
    write, first, others = store.write, threading.Event(), threading.Event()

    @contextmanager
    def slow_write() -> Iterator[Session]:
        nonlocal commits
        commits += 1
        first.set()
        others.wait(10)
        with write() as session:
            yield session

    store.write = slow_write  # type: ignore[method-assign]

    def send(number: int) -> None:
        actor = Actor(f"tenant_{number % 2}", "alice", key_id=str(number))
        writer.write(Line(actor, "list", "", f"GET /{number}"), "192.0.2.7")

    threads = [threading.Thread(target=send, args=[number]) for number in range(9)]
    threads[0].start()
    assert first.wait(10)
    for thread in threads[1:]:
        thread.start()
    while len(writer._waiting) < 8:
        time.sleep(0.01)
    others.set()
    for thread in threads:
        thread.join(10)
    assert commits == 2
    assert len(lines(store)) == 9
