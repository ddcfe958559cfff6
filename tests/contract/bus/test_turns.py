"""Tenants take turns, on every bus: who sent ten thousand does not keep the others waiting."""

from __future__ import annotations

from pathlib import Path

from shared.bus import Bus, Consumer, Message
from shared.events import DocumentIngested, Event
from shared.runtime import Handler, Worker
from shared.settings import CommonSettings
from shared.storage import Store, UnitOfWork
from tests.contract.bus.test_large import MIGRATIONS, document
from tests.contract.bus.worlds import eventually, receive, text, texts


def sent(tenant: str, count: int) -> list[Message]:
    """Messages of so many documents of a tenant."""
    return [Message(f"{tenant}/{n}", f"{tenant} {n}".encode()) for n in range(count)]


def wait_for(consumer: Consumer, waiting: int) -> None:
    """Wait until the consumer sees so many messages: on Kafka it reads one partition by one."""
    if keeper := getattr(consumer, "_keeper", None):

        def seen() -> bool:
            with keeper.changed:
                lanes = [lane for one in keeper.partitions.values() for lane in one.lanes.values()]
                return sum(len(lane.entries) for lane in lanes) >= waiting

        eventually(seen, f"{waiting} messages are taken in")


def test_a_single_document_does_not_wait_for_a_thousand(bus: Bus) -> None:
    """It is next after what is in hand, though it came last of all."""
    bus.publish(*sent("big", 1000))
    consumer = bus.consumer("g")
    held = receive(consumer)
    bus.publish(*sent("small", 1))
    wait_for(consumer, 1001)

    assert text(receive(consumer)) == "small 0"
    assert text(held).startswith("big")


def test_tenants_that_have_much_take_turns(bus: Bus) -> None:
    """One delivery each, until one of them has nothing left; each in the order it was sent."""
    consumer = bus.consumer("g")
    bus.publish(*sent("a", 6), *sent("b", 3), *sent("c", 3))
    wait_for(consumer, 12)
    heard = texts(consumer, 12)

    for first in range(0, 9, 3):
        assert {one.split()[0] for one in heard[first : first + 3]} == {"a", "b", "c"}
    assert {one.split()[0] for one in heard[9:]} == {"a"}


def test_a_delay_of_one_tenant_holds_up_nobody(bus: Bus) -> None:
    """A tenant of which nothing may be delivered yet has no turn, and loses none."""
    consumer = bus.consumer("g")
    bus.publish(*sent("slow", 1))
    consumer.retry(receive(consumer), 3600.0, "later")
    bus.publish(*sent("quick", 2))

    assert sorted(texts(consumer, 2)) == ["quick 0", "quick 1"]


def test_a_worker_reaches_the_single_document_early(tmp_path: Path, bus: Bus) -> None:
    """Through the whole worker: one file of a tenant among hundreds of another."""
    store = Store(f"sqlite:///{tmp_path / 'store.db'}", "ingest", MIGRATIONS)
    store.migrate()
    worked: list[str] = []

    def work(event: DocumentIngested, uow: UnitOfWork) -> None:
        with uow:
            worked.append(event.tenant)

    handlers: dict[type[Event], Handler] = {DocumentIngested: work}
    worker = Worker("ingest", store, bus, handlers, CommonSettings())
    events = [*(document("big", f"b{n}") for n in range(60)), document("small", "s")]
    bus.publish(*(Message(one.key, one.to_json("ingest")) for one in events))
    assert worker.run_once(90)
    assert worker._consumer is not None
    wait_for(worker._consumer, 60)
    while "small" not in worked:
        assert worker.run_once(90)
    assert len(worked) <= 3
    store.close()
