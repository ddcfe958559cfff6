"""Every database stores people's decisions in the same way."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from services.escalation.decisions import KnownDecisions, forget_decisions, note_decision
from shared.bus import open_bus
from shared.events import DocumentDeleted, Event, ReviewDecided
from shared.messaging import Relay, UnitOfWork
from shared.messaging.inbox import QUEUES
from shared.runtime import Handler
from shared.settings import CommonSettings
from shared.storage import Store
from tests.contract.ledger.calls import NOON
from tests.support.queue import HandWorker


def decision(result: str, **changed: Any) -> ReviewDecided:
    values: dict[str, Any] = {
        "document_id": "doc_1",
        "item_id": "it_1",
        "stage": "extraction",
        "result_id": result,
        "decision_id": "de_1",
        "verdict": "accept",
        "time": NOON,
        **changed,
    }
    return ReviewDecided(**values)


def known(database: Store, result: str, tenant: str = "default") -> bool:
    with database.read() as session:
        return KnownDecisions(session, tenant).since("doc_1", "extraction", result, NOON)


def test_the_latest_decision_counts_until_its_document_is_deleted(database: Store) -> None:
    bus = open_bus("memory:")
    handlers: dict[type[Event], Handler] = {
        ReviewDecided: note_decision,
        DocumentDeleted: forget_decisions,
    }
    worker = HandWorker("escalation", database, bus, {}, CommonSettings(), decisions=handlers)
    events = [
        decision("cl_1"),
        decision("cl_1", time=NOON + timedelta(hours=1), verdict="reject"),
        decision("cl_2"),
        decision("cl_2", verdict="undo"),
        decision("cl_3", time=NOON - timedelta(seconds=1)),
        decision("cl_\0"),
        decision("cl_4", tenant="acme"),
    ]
    with UnitOfWork(database) as uow:
        for event in events:
            uow.publish(event)
    relay = Relay(database, bus)
    while relay.run_once():
        pass
    assert worker.run_until_idle() == len(events)
    assert [known(database, f"cl_{number}") for number in (1, 2, 3, 4)] == [True, *[False] * 3]
    assert known(database, "cl_4", "acme")
    with UnitOfWork(database) as uow:
        uow.publish(DocumentDeleted(document_id="doc_1"))
    while relay.run_once():
        pass
    assert worker.run_until_idle() == 1
    assert not known(database, "cl_1")
    assert known(database, "cl_4", "acme")
    assert worker.inbox.unfinished(QUEUES) == 0
    bus.close()
