"""The progress of a document in one service, from its outbox and inbox, on every database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from shared.events import DocumentDeleted, DocumentRead
from shared.messaging import Inbox, Lease, UnitOfWork
from shared.messaging.inbox import NewEntry
from shared.messaging.journal import ReceivedEventView, announced_events, received_events
from shared.messaging.tables import inbox as entries
from shared.storage import Store
from tests.contract.events.samples import SAMPLES
from tests.support.queue import begin

CAUSE = next(sample for sample in SAMPLES if isinstance(sample, DocumentRead))


def begun(store: Store, owner: str = "host/7") -> Lease:
    lease = begin(store, CAUSE, owner)
    assert lease is not None
    return lease


def received(store: Store) -> ReceivedEventView:
    (one,) = received_events(store, CAUSE.key)
    return one


def test_an_event_waits_for_a_worker(store: Store) -> None:
    Inbox(store).insert([NewEntry(CAUSE.id, "main", CAUSE.key, CAUSE.type, b"{}")])
    one = received(store)
    assert (one.event, one.type, one.state) == (CAUSE.id, CAUSE.type, "waiting")
    assert (one.worker, one.attempts, one.since) == ("", 0, one.first_seen)


def test_an_event_in_work_says_who_has_it_and_since_when(store: Store) -> None:
    before = datetime.now(UTC)
    begun(store)
    one = received(store)
    assert (one.state, one.worker) == ("working", "host/7")
    assert (one.attempts, one.failures, one.error, one.next_try) == (1, 0, None, None)
    assert before <= one.since <= datetime.now(UTC)
    assert one.seen == one.since


def test_heartbeats_are_seen_until_the_event_is_done(store: Store) -> None:
    lease = begun(store)
    first = received(store)
    Inbox(store, "other/8").renew([lease])
    assert received(store) == first
    Inbox(store, "host/7").renew([lease])
    later = received(store)
    assert first.seen is not None
    assert later.seen is not None
    assert later.seen > first.seen
    assert later.since == first.since
    with UnitOfWork(store, CAUSE):
        pass
    assert received(store).seen is None


def test_a_failed_attempt_says_why_and_when_it_is_tried_again(store: Store) -> None:
    inbox = Inbox(store, "host/7")
    lease, again = begun(store), datetime.now(UTC) + timedelta(seconds=30)
    inbox.retry(lease, again, "the model is away", failed=True)
    one = received(store)
    assert (one.state, one.failures, one.error) == ("retrying", 1, "the model is away")
    assert (one.attempts, one.next_try) == (1, again)


def test_an_attempt_that_only_waited_is_not_counted(store: Store) -> None:
    lease = begun(store)
    Inbox(store, "host/7").retry(lease, datetime.now(UTC), "away", failed=False)
    assert (received(store).attempts, received(store).state) == (0, "retrying")
    begin(store, CAUSE, "other/8")
    one = received(store)
    assert (one.state, one.worker, one.attempts, one.error) == ("working", "other/8", 1, "away")


def test_what_took_effect_is_done(store: Store) -> None:
    begun(store)
    with UnitOfWork(store, CAUSE) as uow:
        uow.publish(DocumentDeleted(document_id=CAUSE.document_id, tenant=CAUSE.tenant))
    one = received(store)
    assert (one.state, one.attempts, one.error, one.next_try) == ("done", 1, None, None)
    (announced,) = announced_events(store, CAUSE.key)
    assert (announced.type, announced.sent) == ("document.deleted.v1", None)


def test_what_was_given_up_says_why(store: Store) -> None:
    lease, inbox = begun(store), Inbox(store, "host/7")
    with store.write() as session:
        assert inbox.give_up(session, lease, "damaged", failed=True)
    one = received(store)
    assert (one.state, one.error, one.attempts) == ("given_up", "damaged", 1)
    inbox.drop(inbox.dead_letters()[0])
    assert received(store).state == "given_up"


def test_another_tenants_document_is_another_one(store: Store) -> None:
    begun(store)
    assert received_events(store, f"other/{CAUSE.document_id}") == []
    assert announced_events(store, f"other/{CAUSE.document_id}") == []


def test_decisions_are_no_part_of_it(store: Store) -> None:
    Inbox(store).insert([NewEntry(CAUSE.id, "decisions", CAUSE.key, CAUSE.type, b"{}")])
    assert received_events(store, CAUSE.key) == []


def test_a_deletion_forgets_what_errors_quote(store: Store) -> None:
    lease, inbox = begun(store), Inbox(store, "host/7")
    inbox.retry(lease, datetime.now(UTC), "Very Private", failed=True)
    deletion = DocumentDeleted(tenant=CAUSE.tenant, document_id=CAUSE.document_id)
    inbox.insert([NewEntry(deletion.id, "main", deletion.key, deletion.type, b"{}")])
    with UnitOfWork(store, deletion):
        pass
    assert {one.error for one in received_events(store, CAUSE.key)} == {None}


def test_a_deletion_drops_dead_letters(store: Store) -> None:
    lease, inbox = begun(store), Inbox(store, "host/7")
    with store.write() as session:
        assert inbox.give_up(session, lease, "Very Private", failed=True)
    deletion = DocumentDeleted(tenant=CAUSE.tenant, document_id=CAUSE.document_id)
    inbox.insert([NewEntry(deletion.id, "main", deletion.key, deletion.type, b"{}")])
    with UnitOfWork(store, deletion):
        pass
    assert inbox.dead_letters() == []
    with store.read() as session:
        rows = session.execute(
            select(entries.c.value, entries.c.error).where(entries.c.tenant == CAUSE.tenant)
        ).all()
    assert {(bytes(row.value), row.error) for row in rows} == {(b"", None)}
