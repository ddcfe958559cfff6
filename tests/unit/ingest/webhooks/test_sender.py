"""The sending loop: leases, failures, pauses, killed processes, cleanup."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from services.ingest.domain import now_utc
from services.ingest.webhooks import store
from services.ingest.webhooks.domain import Attempt
from services.ingest.webhooks.sender import Sender
from services.ingest.webhooks.store import Turn, attempts, deliveries, messages, webhooks
from shared.errors import Unavailable
from shared.runtime.main import join, start_background
from tests.support.killed import Killed
from tests.support.local_server import Receiver, Reply, Request
from tests.unit.ingest.webhooks.builders import NewHooks, WebhookService

WAIT_SECONDS = 120.0


def poem(hooks: WebhookService, number: int = 1, **options: Any) -> str:
    return hooks.upload_new(f"Poem {number}.".encode(), f"{number}.txt", kind="other", **options)


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def claimed(hooks: WebhookService, owner: str = "other", most: int = 10) -> Turn:
    turn = hooks.queue.claim(owner, now_utc(), most)
    assert turn is not None
    return turn


def test_a_webhook_is_leased_by_one_sender(any_hooks: WebhookService, receiver: Receiver) -> None:
    first = any_hooks.register(receiver.url("/first"))
    any_hooks.register(receiver.url("/second"))
    poem(any_hooks)
    turn = claimed(any_hooks)
    assert turn.webhook.id == first["id"]
    assert any_hooks.send() == 1
    assert [request.path for request in receiver.requests] == ["/second"]
    any_hooks.queue.release(turn)
    assert any_hooks.send() == 1
    assert [request.path for request in receiver.requests] == ["/second", "/first"]


def test_parallel_senders_send_each_message_once(
    any_hooks: WebhookService, receiver: Receiver
) -> None:
    ids = [any_hooks.register(receiver.url(f"/{n}"))["id"] for n in range(20)]
    for n in range(3):
        poem(any_hooks, n)
    senders = [any_hooks.new_sender() for _ in range(4)]
    threads = [threading.Thread(target=_drain, args=(sender,)) for sender in senders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_SECONDS)
    assert len(receiver.requests) == 60
    for n, webhook in enumerate(ids):
        assert len(set(receiver.ids(f"/{n}"))) == 3
        assert any_hooks.states(webhook) == ["delivered"] * 3


def test_messages_are_sent_in_order(any_hooks: WebhookService, receiver: Receiver) -> None:
    made = any_hooks.register(receiver.url("/many"))
    for n in range(12):
        poem(any_hooks, n)
    any_hooks.register(receiver.url("/few"))
    poem(any_hooks, 100)
    any_hooks.send()
    wanted = [delivery["message_id"] for delivery in any_hooks.log(made["id"])]
    assert receiver.ids("/many") == wanted
    paths = [request.path for request in receiver.requests]
    assert paths == ["/many"] * 10 + ["/few"] + ["/many"] * 3


@pytest.mark.parametrize("moment", ["before the answer", "before it is written down"])
def test_a_killed_sender_repeats_its_message(
    any_hooks: WebhookService, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    made = any_hooks.register(receiver.url())
    poem(any_hooks)

    def die(*_: Any, **__: Any) -> Any:
        raise Killed

    with monkeypatch.context() as patch:
        if moment == "before the answer":
            patch.setattr(any_hooks.sender.poster, "post", die)
        else:
            patch.setattr(any_hooks.queue, "note", die)
        with pytest.raises(Killed):
            any_hooks.sender.serve_next()
    assert any_hooks.send() == 0
    _forward(any_hooks, seconds=121)
    assert any_hooks.send() == 1
    assert len(receiver.requests) == (1 if moment == "before the answer" else 2)
    assert len(set(receiver.ids())) == 1
    assert any_hooks.states(made["id"]) == ["delivered"]


def test_a_single_process_releases_its_own_leases(
    hooks: WebhookService, receiver: Receiver
) -> None:
    hooks.register(receiver.url("/mine"))
    poem(hooks)
    hooks.queue.claim("embedded", now_utc(), 10)
    hooks.register(receiver.url("/theirs"))
    poem(hooks, 2)
    hooks.queue.claim("embedded-too", now_utc(), 10)
    sender = hooks.new_sender("embedded")
    assert not sender.serve_next()
    stop = threading.Event()
    thread = threading.Thread(target=sender.run, args=(stop,))
    thread.start()
    wait_until(lambda: len(receiver.requests) == 2)
    stop.set()
    thread.join(WAIT_SECONDS)
    assert {request.path for request in receiver.requests} == {"/mine"}


def test_a_lease_from_the_future_has_expired(any_hooks: WebhookService, receiver: Receiver) -> None:
    any_hooks.register(receiver.url())
    poem(any_hooks)
    claimed(any_hooks)
    with any_hooks.service.store.write() as session:
        ahead = now_utc() + timedelta(days=1)
        session.execute(update(webhooks).values(leased_until=ahead))
    assert any_hooks.send() == 1


def test_a_sender_without_its_lease_stops(any_hooks: WebhookService, receiver: Receiver) -> None:
    made = any_hooks.register(receiver.url())
    for n in range(3):
        poem(any_hooks, n)
    turn = claimed(any_hooks)
    _forward(any_hooks, seconds=121)
    other = claimed(any_hooks, "another")
    (delivery, _), *_ = turn.due
    taken = Attempt(now_utc(), 0.1, 200, None, "")
    assert not any_hooks.queue.note(turn, delivery, taken, None, lambda webhook: webhook)
    assert any_hooks.states(made["id"]) == ["delivered", "pending", "pending"]
    assert any_hooks.queue.claim("third", now_utc(), 10) is None
    any_hooks.queue.release(turn)
    assert any_hooks.queue.claim("third", now_utc(), 10) is None
    any_hooks.queue.release(other)
    assert any_hooks.queue.claim("third", now_utc(), 10) is not None


def test_a_failing_webhook_pauses_and_recovers(
    any_hooks: WebhookService, receiver: Receiver
) -> None:
    made = any_hooks.register(receiver.url())
    receiver.answer = lambda _: Reply(503)
    for n in range(5):
        poem(any_hooks, n)
    any_hooks.send()
    _forward(any_hooks, seconds=-60)  # a slow machine is not through with its rest
    any_hooks.send()
    assert len(receiver.requests) == 1
    shown = any_hooks.webhook(made["id"])
    assert (shown["failures"], shown["failing_since"]) == (1, shown["last_failed"])
    receiver.answer = lambda _: Reply()
    any_hooks.let_time_pass()
    any_hooks.send()
    assert len(receiver.requests) == 6
    assert len(set(receiver.ids())) == 5
    shown = any_hooks.webhook(made["id"])
    assert (shown["failures"], shown["failing_since"]) == (0, None)
    assert shown["last_delivered"] > shown["last_failed"]


def test_retry_after_pauses_the_webhook(any_hooks: WebhookService, receiver: Receiver) -> None:
    made = any_hooks.register(receiver.url())
    receiver.answer = lambda _: Reply(429, {"retry-after": "7200"})
    poem(any_hooks, 1)
    poem(any_hooks, 2)
    any_hooks.send()
    (first, _) = any_hooks.log(made["id"])
    assert datetime.fromisoformat(first["next_try"]) > now_utc() + timedelta(seconds=7000)
    _forward(any_hooks, seconds=7000)
    any_hooks.send()
    assert len(receiver.requests) == 1
    receiver.answer = lambda _: Reply()
    _forward(any_hooks, seconds=300)
    any_hooks.send()
    assert any_hooks.states(made["id"]) == ["delivered", "delivered"]


def test_a_410_disables_the_webhook(any_hooks: WebhookService, receiver: Receiver) -> None:
    made = any_hooks.register(receiver.url())
    receiver.answer = lambda _: Reply(410)
    poem(any_hooks, 1)
    poem(any_hooks, 2)
    any_hooks.send()
    any_hooks.let_time_pass()
    any_hooks.send()
    assert len(receiver.requests) == 1
    shown = any_hooks.webhook(made["id"])
    assert shown["enabled"] is False
    assert shown["disabled_reason"].startswith("gone: ")
    assert any_hooks.states(made["id"]) == ["failed", "failed"]


def test_days_of_failures_disable_a_webhook(any_hooks: WebhookService, receiver: Receiver) -> None:
    made = any_hooks.register(receiver.url())
    receiver.answer = lambda _: Reply(500)
    poem(any_hooks, 1)
    any_hooks.send()
    now = now_utc()
    with any_hooks.service.store.write() as session:
        long_ago = {"failing_since": now - timedelta(days=5), "last_failed": now}
        session.execute(update(webhooks).values(long_ago))
    any_hooks.let_time_pass()
    any_hooks.send()
    shown = any_hooks.webhook(made["id"])
    assert shown["enabled"] is False
    assert "status: the receiver answered 500" in shown["disabled_reason"]
    assert any_hooks.states(made["id"]) == ["failed"]
    on = any_hooks.client.patch(f"/v1/webhooks/{made['id']}", json={"enabled": True}).json()
    assert (on["failures"], on["failing_since"]) == (0, None)


def test_a_webhook_deleted_during_a_try_is_not_updated(
    any_hooks: WebhookService, receiver: Receiver
) -> None:
    made = any_hooks.register(receiver.url())
    poem(any_hooks, 1)
    poem(any_hooks, 2)

    def answer(_request: Request) -> Reply:
        assert any_hooks.client.delete(f"/v1/webhooks/{made['id']}").is_success
        return Reply(500)

    receiver.answer = answer
    any_hooks.send()
    assert len(receiver.requests) == 1
    assert any_hooks.count(attempts) == 0


def test_expired_entries_are_removed_in_batches(
    any_hooks: WebhookService, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "BATCH", 2)
    made = any_hooks.register(receiver.url())
    for n in range(5):
        poem(any_hooks, n)
    any_hooks.send()
    poem(any_hooks, 5)
    old = now_utc() - timedelta(days=31)
    with any_hooks.service.store.write() as session:
        session.execute(update(deliveries).values(created=old))
        session.execute(update(messages).values(created=old))
    poem(any_hooks, 6)
    removed = []
    while gone := any_hooks.queue.prune(now_utc() - timedelta(days=30)):
        removed.append(gone)
    assert max(removed) <= 4
    assert any_hooks.states(made["id"]) == ["pending", "pending"]
    assert [any_hooks.count(table) for table in (deliveries, messages, attempts)] == [2, 2, 0]


def test_a_delivery_keeps_its_last_twenty_attempts(
    any_hooks: WebhookService, receiver: Receiver
) -> None:
    made = any_hooks.register(receiver.url())
    poem(any_hooks)
    any_hooks.send()
    (delivery,) = any_hooks.log(made["id"])
    with any_hooks.service.store.read() as session:
        number = session.execute(select(deliveries.c.number)).scalar_one()
    with any_hooks.service.store.write() as session:
        row = {"delivery": number, "time": now_utc(), "seconds": 0.1, "status": 500}
        session.execute(insert(attempts), [row] * 30)
    any_hooks.client.post(f"/v1/webhooks/{made['id']}/deliveries/{delivery['id']}/redeliver")
    any_hooks.send()
    (delivery,) = any_hooks.log(made["id"])
    assert [a["status"] for a in delivery["attempts"]] == [500] * 19 + [204]


def test_a_slow_receiver_delays_no_other(new_hooks: NewHooks, receiver: Receiver) -> None:
    hooks = new_hooks(ingest_webhook_threads=4, ingest_webhook_interval=0.05)
    release = threading.Event()

    def answer(request: Request) -> Reply:
        if request.path.startswith("/slow"):
            release.wait(60)
        return Reply()

    receiver.answer = answer
    for n in range(3):
        hooks.register(receiver.url(f"/slow{n}"))
    quick = [hooks.register(receiver.url(f"/quick{n}"))["id"] for n in range(6)]
    for n in range(4):
        poem(hooks, n)
    stop = threading.Event()
    threads = start_background(hooks.service, stop, relay=False)
    try:
        wait_until(lambda: all(hooks.states(webhook) == ["delivered"] * 4 for webhook in quick))
        slow = [request for request in receiver.requests if request.path.startswith("/slow")]
        assert len(slow) == 3
    finally:
        release.set()
        stop.set()
        join(threads)


def test_the_loop_waits_for_the_database(
    new_hooks: NewHooks, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = new_hooks(ingest_webhook_interval=0.02, ingest_webhook_seconds=0.2)
    made = hooks.register(receiver.url())
    poem(hooks)
    sender: Sender = hooks.new_sender()
    note, claim, away = sender.queue.note, sender.queue.claim, [True, True]

    def fail_once(work: Any) -> Any:
        def failing(*arguments: Any) -> Any:
            if away:
                away.pop()
                raise Unavailable("the database does not answer")
            return work(*arguments)

        return failing

    monkeypatch.setattr(sender.queue, "claim", fail_once(claim))
    stop = threading.Event()
    thread = threading.Thread(target=sender.run, args=(stop,))
    thread.start()
    wait_until(lambda: not away)
    away.append(True)
    monkeypatch.setattr(sender.queue, "note", fail_once(note))
    wait_until(lambda: hooks.states(made["id"]) == ["delivered"])
    stop.set()
    thread.join(WAIT_SECONDS)
    assert not thread.is_alive()
    assert len(set(receiver.ids())) == 1


def test_the_loop_runs_in_the_worker(hooks: WebhookService) -> None:
    stop = threading.Event()
    both = start_background(hooks.service, stop)
    relay = start_background(hooks.service, stop, worker=False)
    assert "ingest-webhooks" in [thread.name for thread in both]
    assert [thread.name for thread in relay] == ["ingest-relay"]
    stop.set()
    hooks.service.store.outbox_filled.set()
    join([*both, *relay])
    assert not any(thread.is_alive() for thread in [*both, *relay])


def _drain(sender: Sender) -> None:
    while sender.serve_next():
        pass


def _forward(hooks: WebhookService, seconds: float) -> None:
    span = timedelta(seconds=seconds)
    with hooks.service.store.write() as session:
        for table, names in (
            (webhooks, ("leased_until", "paused_until", "served")),
            (deliveries, ("due",)),
        ):
            for row in session.execute(select(table)).mappings().all():
                key = table.primary_key.columns[0]
                moved = {name: row[name] - span for name in names if row[name] is not None}
                session.execute(update(table).where(key == row[key.name]).values(moved))


def test_the_result_of_an_old_url_is_ignored(any_hooks: WebhookService, receiver: Receiver) -> None:
    made = any_hooks.register(receiver.url("/old"))
    poem(any_hooks)

    def answer(request: Request) -> Reply:
        if request.path == "/new":
            return Reply()
        changed = {"url": receiver.url("/new")}
        assert any_hooks.client.patch(f"/v1/webhooks/{made['id']}", json=changed).is_success
        return Reply(500)

    receiver.answer = answer
    any_hooks.send()
    shown = any_hooks.webhook(made["id"])
    assert (shown["enabled"], shown["failures"]) == (True, 0)
    any_hooks.let_time_pass()
    any_hooks.send()
    assert any_hooks.states(made["id"]) == ["delivered"]
