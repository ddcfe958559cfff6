"""The pump stores events, or leaves them on the bus."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from shared.bus import Message
from shared.bus.memory import MemoryBus
from shared.errors import Unavailable
from shared.events import DocumentDeleted, DocumentReclassified, Event
from shared.messaging import Inbox, Pump, pump
from shared.messaging.tables import inbox as table
from shared.storage import Store
from shared.storage.tenant_isolation import across_tenants

MIGRATIONS = Path(__file__).parents[2] / "contract" / "store" / "migrations"


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    """The inbox of extraction."""
    store = Store(f"sqlite:///{tmp_path / 'store.db'}", "extraction", MIGRATIONS)
    store.migrate()
    yield Inbox(store)
    store.close()


def deleted(document: str) -> DocumentDeleted:
    """An event of a document."""
    return DocumentDeleted(tenant="acme", document_id=document)


def bus_with(*events: Event) -> MemoryBus:
    """A bus on which these events are."""
    bus = MemoryBus()
    bus.publish(*(Message(event.key, event.to_json("ingest")) for event in events))
    return bus


def stored(inbox: Inbox) -> list[tuple[str, str]]:
    """Key and queue of each entry."""
    query = select(table.c.key, table.c.queue).order_by(table.c.number)
    with inbox.store.read() as session:
        rows = session.execute(across_tenants(query, "a test")).all()
    return [(row.key, row.queue) for row in rows]


def test_each_type_goes_to_its_queues(inbox: Inbox) -> None:
    other = DocumentReclassified(document_id="x", kind="report", previous="contract")
    bus = bus_with(deleted("a"), other, deleted("b"))
    kinds = [DocumentDeleted]
    made = Pump("extraction", inbox, bus, kinds, lambda one: one.document_id == "b", kinds)
    assert made.run_once() == 3
    assert stored(inbox) == [
        ("acme/a", "main"),
        ("acme/a", "decisions"),
        ("acme/b", "large"),
        ("acme/b", "decisions"),
    ]
    assert bus.lag(inbox.positions()) == 0


def test_a_full_inbox_leaves_events_on_the_bus(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump, "LIMIT", 1)
    monkeypatch.setattr(pump, "UPKEEP", 0.0)
    bus = bus_with(deleted("a"), deleted("b"))
    made = Pump("extraction", inbox, bus, [DocumentDeleted])
    assert made.run_once() == 2
    bus.publish(Message("acme/c", deleted("c").to_json("ingest")))
    assert (made.run_once(), bus.lag(inbox.positions())) == (0, 1)
    lease = inbox.claim("main")
    assert lease is not None
    inbox.finish(lease)
    assert (made.run_once(), bus.lag(inbox.positions())) == (1, 0)


def test_a_database_that_is_away_loses_nothing(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bus gives out again what was not stored."""
    bus = bus_with(deleted("a"))
    made = Pump("extraction", inbox, bus, [DocumentDeleted])

    def away(_entries: object, _positions: object) -> None:
        raise Unavailable("the database is away")

    with monkeypatch.context() as patch:
        patch.setattr(inbox, "insert", away)
        with pytest.raises(Unavailable):
            made.run_once()
    assert bus.lag(inbox.positions()) == 1
    assert made.run_once() == 1
    assert stored(inbox) == [("acme/a", "main")]
