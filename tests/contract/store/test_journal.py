"""Where a document is with one service, on every database: from its outbox and its inbox."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import update

from shared.events import DocumentDeleted, DocumentRead
from shared.storage import (
    Store,
    Tries,
    UnitOfWork,
    begin_try,
    count_failure,
    note_alive,
    note_given_up,
    note_passed_over,
)
from shared.storage.journal import heard, said
from shared.storage.messages import inbox
from tests.contract.events.samples import SAMPLES

CAUSE = next(sample for sample in SAMPLES if isinstance(sample, DocumentRead))


def test_an_event_in_hand_says_who_has_it_and_since_when(store: Store) -> None:
    """From the moment that its work begins."""
    before = datetime.now(UTC)
    begin_try(store, CAUSE, "host/7")
    (one,) = heard(store, CAUSE.key)
    assert (one.event, one.type, one.standing) == (CAUSE.id, CAUSE.type, "working")
    assert (one.worker, one.attempts, one.failures, one.error) == ("host/7", 1, 0, None)
    assert before - timedelta(seconds=1) <= one.since <= datetime.now(UTC)


def test_who_has_it_in_hand_was_last_seen(store: Store) -> None:
    """From the beginning, then by each sign of life of that very worker, until it is done."""
    before = datetime.now(UTC) - timedelta(seconds=1)
    begin_try(store, CAUSE, "host/7")
    (one,) = heard(store, CAUSE.key)
    assert one.seen is not None
    assert one.seen > before
    note_alive(store, [CAUSE.id], "host/7")
    (later,) = heard(store, CAUSE.key)
    assert later.seen is not None
    assert later.seen > one.seen
    assert later.since == one.since
    begin_try(store, CAUSE, "other/8")
    (taken,) = heard(store, CAUSE.key)
    note_alive(store, [CAUSE.id], "host/7")
    assert heard(store, CAUSE.key) == [taken]
    with UnitOfWork(store, CAUSE):
        pass
    note_alive(store, [CAUSE.id], "other/8")
    assert [one.seen for one in heard(store, CAUSE.key)] == [None]


def test_a_worker_that_gives_no_signs_does_not_show_those_of_the_try_before(store: Store) -> None:
    """One of an older release, beside newer ones, leaves `seen` as it is when it begins."""
    begin_try(store, CAUSE, "host/7")
    with store.write() as session:
        session.execute(
            update(inbox)
            .where(inbox.c.event_id == CAUSE.id)
            .values(began=datetime.now(UTC) + timedelta(seconds=1), worker="older/8")
        )
    (one,) = heard(store, CAUSE.key)
    assert (one.standing, one.worker, one.seen) == ("working", "older/8", None)


def test_a_failed_try_says_why_and_when_it_is_tried_again(store: Store) -> None:
    """Until the next one begins, after which it is in hand again, with the last error in mind."""
    again = datetime.now(UTC) + timedelta(seconds=30)
    begin_try(store, CAUSE, "host/7")
    count_failure(store, CAUSE.id, error="the model is away", next_try=again)
    (one,) = heard(store, CAUSE.key)
    assert (one.standing, one.failures, one.error) == ("retrying", 1, "the model is away")
    assert one.next_try == again
    begin_try(store, CAUSE, "other/8")
    (one,) = heard(store, CAUSE.key)
    assert (one.standing, one.worker, one.attempts) == ("working", "other/8", 2)
    assert (one.error, one.next_try) == ("the model is away", None)


def test_what_was_put_off_says_why_and_until_when(store: Store) -> None:
    """Nobody has it in hand, and it counts as no try, however often it comes."""
    until = datetime.now(UTC) + timedelta(hours=26)
    for _ in range(3):
        begin_try(store, CAUSE, "host/7")
        with store.write() as session:
            UnitOfWork(store, CAUSE).put_off(session, until, "it waits for its batch")
    (one,) = heard(store, CAUSE.key)
    assert (one.standing, one.error) == ("retrying", "it waits for its batch")
    assert (one.worker, one.attempts, one.failures, one.next_try) == ("", 0, 0, until)
    assert begin_try(store, CAUSE) == Tries(failures=0, crashes=0)
    with UnitOfWork(store, CAUSE):
        pass
    (one,) = heard(store, CAUSE.key)
    assert (one.standing, one.error, one.next_try) == ("done", None, None)


def test_what_took_effect_is_done(store: Store) -> None:
    """So is what was passed over, and it comes to nothing twice."""
    begin_try(store, CAUSE)
    with UnitOfWork(store, CAUSE) as uow:
        uow.publish(DocumentDeleted(document_id=CAUSE.document_id, tenant=CAUSE.tenant))
    (one,) = heard(store, CAUSE.key)
    assert (one.standing, one.error, one.next_try) == ("done", None, None)
    (told,) = said(store, CAUSE.key)
    assert (told.type, told.sent) == (DocumentDeleted.type, None)
    other = DocumentDeleted(document_id="b")
    begin_try(store, other)
    note_passed_over(store, other)
    assert [one.standing for one in heard(store, other.key)] == ["done"]
    assert begin_try(store, other) is None


def test_what_was_given_up_says_so(store: Store) -> None:
    """With the reason that its document has."""
    begin_try(store, CAUSE)
    with store.write() as session:
        note_given_up(session, CAUSE, "damaged")
    (one,) = heard(store, CAUSE.key)
    assert (one.standing, one.error) == ("given_up", "damaged")


def test_another_tenant_sees_nothing(store: Store) -> None:
    """The key has the tenant in it; the same id of another one is another document."""
    begin_try(store, CAUSE)
    assert heard(store, f"other/{CAUSE.document_id}") == []
    assert said(store, f"other/{CAUSE.document_id}") == []


def test_a_deletion_takes_the_words_of_errors_with_it(store: Store) -> None:
    """Reasons may quote a document."""
    begin_try(store, CAUSE)
    count_failure(store, CAUSE.id, error="the title is 'Lease'", next_try=datetime.now(UTC))
    deletion = DocumentDeleted(document_id=CAUSE.document_id, tenant=CAUSE.tenant)
    begin_try(store, deletion)
    with UnitOfWork(store, deletion):
        pass
    assert {one.error for one in heard(store, CAUSE.key)} == {None}
