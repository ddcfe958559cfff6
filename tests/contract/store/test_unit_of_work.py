"""Rows, outgoing events and the incoming event's id are one transaction, on every database."""

import threading
from typing import Any

import pytest
from sqlalchemy import Table, func, insert, select

from shared.events import (
    REASON_CHARACTERS,
    ClausesExtracted,
    DocumentDeleted,
    DocumentRead,
    Event,
    decode,
)
from shared.logs import log_context
from shared.messaging import AlreadyHandled, EventTooLarge, Inbox, UnitOfWork
from shared.messaging.tables import inbox, outbox
from shared.messaging.unit_of_work import EVENT_BYTES
from shared.storage import Store
from shared.storage.tenant_isolation import across_tenants
from tests.contract.events.samples import SAMPLES
from tests.support.queue import begin

CAUSE = next(sample for sample in SAMPLES if isinstance(sample, DocumentRead))
RESULT = next(sample for sample in SAMPLES if isinstance(sample, ClausesExtracted)).model_copy(
    update={"cause": None, "trace": None}
)


def _count(store: Store, table: Table) -> int:
    with store.read() as session:
        return int(session.execute(select(func.count()).select_from(table)).scalar_one())


def _events(store: Store) -> list[Event | None]:
    with store.read() as session:
        rows = session.execute(select(outbox.c.value).order_by(outbox.c.number)).scalars()
        return [decode(bytes(row)) for row in rows]


def _handled(store: Store) -> Any:
    with store.read() as session:
        query = select(inbox.c.ended).where(inbox.c.event_id == CAUSE.id)
        return session.execute(across_tenants(query, "a test")).scalar_one_or_none()


def test_rows_events_and_the_cause_are_kept_together(store: Store, note: Table) -> None:
    begin(store, CAUSE)
    with UnitOfWork(store, CAUSE) as uow:
        uow.session.execute(insert(note).values(text="found"))
        uow.publish(RESULT)
    assert _count(store, note) == 1
    assert _handled(store) is not None
    (event,) = _events(store)
    assert event == RESULT.model_copy(update={"cause": CAUSE.id, "trace": CAUSE.trace})


def test_a_deletion_removes_the_documents_events_from_the_outbox(store: Store) -> None:
    other = RESULT.model_copy(update={"id": "another", "document_id": "doc_another"})
    with UnitOfWork(store) as uow:
        uow.publish(RESULT)
        uow.publish(other)
    deletion = DocumentDeleted(tenant=RESULT.tenant, document_id=RESULT.document_id)
    last = RESULT.model_copy(update={"id": "last"})
    begin(store, deletion)
    with UnitOfWork(store, deletion) as uow:
        uow.publish(last)
    assert [event.id for event in _events(store) if event] == ["another", "last"]


def test_an_error_leaves_none_of_them(store: Store, note: Table) -> None:
    begin(store, CAUSE)
    with pytest.raises(ValueError, match="no"), UnitOfWork(store, CAUSE) as uow:  # noqa: PT012
        uow.session.execute(insert(note).values(text="lost"))
        uow.publish(RESULT)
        raise ValueError("no")
    assert (_count(store, note), _count(store, outbox)) == (0, 0)
    assert _handled(store) is None
    assert not store.outbox_filled.is_set()


def test_a_cause_takes_effect_once(store: Store, note: Table) -> None:
    begin(store, CAUSE)
    with UnitOfWork(store, CAUSE) as uow:
        uow.session.execute(insert(note).values(text="first"))
    with pytest.raises(AlreadyHandled), UnitOfWork(store, CAUSE) as uow:  # noqa: PT012
        uow.session.execute(insert(note).values(text="second"))
        uow.publish(RESULT)
    assert (_count(store, note), _count(store, outbox)) == (1, 0)


def test_of_two_at_once_one_takes_effect(store: Store, note: Table) -> None:
    begin(store, CAUSE)
    together = threading.Barrier(2)
    outcomes: list[str] = []

    def handle() -> None:
        uow = UnitOfWork(store, CAUSE)
        together.wait(10)
        try:
            with uow:
                uow.session.execute(insert(note).values(text="once"))
            outcomes.append("done")
        except AlreadyHandled:
            outcomes.append("handled before")

    threads = [threading.Thread(target=handle) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(outcomes) == ["done", "handled before"]
    assert _count(store, note) == 1


def test_a_cause_that_was_given_up_takes_no_effect(store: Store, note: Table) -> None:
    lease = begin(store, CAUSE)
    assert lease is not None
    with store.write() as session:
        assert Inbox(store).give_up(session, lease, "ü" * REASON_CHARACTERS, failed=True)
    with pytest.raises(AlreadyHandled), UnitOfWork(store, CAUSE) as uow:
        uow.session.execute(insert(note).values(text="late"))
    assert _count(store, note) == 0


def test_an_event_that_is_too_large_is_refused(store: Store, note: Table) -> None:
    large = RESULT.model_copy(update={"name": "x" * EVENT_BYTES})
    with pytest.raises(EventTooLarge, match="256") as caught, UnitOfWork(store) as uow:  # noqa: PT012
        uow.session.execute(insert(note).values(text="lost"))
        uow.publish(large)
    assert not caught.value.retryable
    assert (_count(store, note), _count(store, outbox)) == (0, 0)


def test_a_request_gives_its_trace_to_its_events(store: Store) -> None:
    with log_context(trace="00-" + "c" * 32 + "-" + "d" * 16 + "-01"), UnitOfWork(store) as uow:
        uow.publish(RESULT)
    (event,) = _events(store)
    assert event is not None
    assert event.cause is None
    assert event.trace == "00-" + "c" * 32 + "-" + "d" * 16 + "-01"


def test_the_relay_is_woken_once_the_event_is_kept(store: Store) -> None:
    with UnitOfWork(store):
        pass
    assert not store.outbox_filled.is_set()
    with UnitOfWork(store) as uow:
        uow.publish(RESULT)
        assert not store.outbox_filled.is_set()
    assert store.outbox_filled.is_set()


def test_outside_its_block_a_unit_of_work_is_closed(store: Store) -> None:
    uow = UnitOfWork(store)
    with pytest.raises(RuntimeError, match="not open"):
        _ = uow.session
    with uow:
        assert uow.session.is_active
    with pytest.raises(RuntimeError, match="not open"):
        _ = uow.session
