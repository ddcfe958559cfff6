"""The relay loses no event, keeps their order, and marks one sent only after the bus has it."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Table, delete, func, insert, select, update

from shared.bus import MAX_BYTES, Message
from shared.bus.memory import MemoryBus
from shared.errors import Unavailable
from shared.events import ClausesExtracted, DocumentDeleted, decode
from shared.messaging import Inbox, Relay, UnitOfWork, relay
from shared.messaging import outbox as trail
from shared.messaging.tables import inbox, outbox, relay_lease
from shared.metrics import exposition
from shared.settings import CommonSettings
from shared.storage import Store
from tests.contract.events.samples import SAMPLES
from tests.support.queue import HandWorker, begin

DAY = timedelta(days=1)


class Crash(BaseException):
    """The process ends here."""


class Bus(MemoryBus):
    """A bus that may be away, or crash its caller before or after it has taken the messages."""

    def __init__(self) -> None:
        super().__init__()
        self.before: Callable[[], None] = lambda: None
        self.after: Callable[[], None] = lambda: None

    def publish(self, *messages: Message) -> None:
        self.before()
        super().publish(*messages)
        self.after()


def _raise(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def _publish(store: Store, *documents: str) -> list[str]:
    events = [DocumentDeleted(document_id=name) for name in documents]
    with UnitOfWork(store) as uow:
        for event in events:
            uow.publish(event)
    return [event.id for event in events]


def _received(bus: MemoryBus) -> list[str]:
    events = [decode(record.message.value) for record in bus.reader("checker").read(0)]
    assert None not in events
    return [event.id for event in events if event]


@contextmanager
def _running(work: Relay) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=work.run, args=(stop,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        work.store.outbox_filled.set()
        thread.join(10)
    assert not thread.is_alive()


def _wait_until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


CLAUSES = next(sample for sample in SAMPLES if isinstance(sample, ClausesExtracted))
COMMON = {"queue": "main", "tenant": "a", "key": "a/1", "type": "", "value": b""}
"""The common columns of all rows of the inbox."""


def test_events_are_sent_in_order_and_once(store: Store) -> None:
    bus, ids = Bus(), []
    for name in ("a", "b", "a", "c"):
        ids += _publish(store, name)
    work = Relay(store, bus)
    assert (work.waiting(), work.run_once(), work.waiting(), work.run_once()) == (4, 4, 0, 0)
    assert _received(bus) == ids


def test_more_than_a_batch_is_sent(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "BATCH", 3)
    bus, ids = Bus(), _publish(store, *"abcdefg")
    work = Relay(store, bus)
    assert [work.run_once() for _ in range(4)] == [3, 3, 1, 0]
    assert sorted(_received(bus)) == sorted(ids)


def test_an_event_committed_before_a_crash_is_sent_after_it(store: Store) -> None:
    bus, ids = Bus(), _publish(store, "a")
    bus.before = _raise(Crash())
    with pytest.raises(Crash):
        Relay(store, bus, owner="the only one").run_once()
    assert _received(bus) == []
    bus.before = lambda: None
    assert Relay(store, bus, owner="the only one").run_once() == 1
    assert _received(bus) == ids


def test_a_crash_between_publish_and_mark_sends_twice_and_works_once(
    store: Store, note: Table
) -> None:
    bus, (event_id,) = Bus(), _publish(store, "a")
    bus.after = _raise(Crash())
    with pytest.raises(Crash):
        Relay(store, bus, owner="the only one").run_once()
    bus.after = lambda: None
    assert Relay(store, bus, owner="the only one").run_once() == 1
    assert _received(bus) == [event_id, event_id]

    def forget(event: DocumentDeleted, uow: UnitOfWork) -> None:
        with uow:
            uow.session.execute(insert(note).values(text=event.document_id))

    worker = HandWorker("extraction", store, bus, {DocumentDeleted: forget}, CommonSettings())
    assert worker.run_until_idle() == 1
    with store.read() as session:
        assert session.execute(select(func.count()).select_from(note)).scalar_one() == 1


@pytest.mark.parametrize("error", [Unavailable("away"), ValueError("a bug")], ids=["away", "bug"])
def test_a_bus_that_fails_keeps_events_in_the_outbox(store: Store, error: Exception) -> None:
    bus, ids = Bus(), _publish(store, "a", "b")
    bus.before = _raise(error)
    with _running(Relay(store, bus, interval=0.02)):
        time.sleep(0.2)
        assert Relay(store, bus).waiting() == 2
        bus.before = lambda: None
        _wait_until(lambda: Relay(store, bus).waiting() == 0)
    assert sorted(_received(bus)) == sorted(ids)


def test_an_event_that_no_bus_takes_blocks_nobody(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    bus, ids = Bus(), _publish(store, *"abc")
    with store.write() as session:
        large = update(outbox).where(outbox.c.event_id == ids[1])
        session.execute(large.values(value=b"x" * (MAX_BYTES + 1)))
    work = Relay(store, bus)
    assert (work.run_once(), work.waiting()) == (3, 0)
    assert _received(bus) == [ids[0], ids[2]]
    (line,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert line.__dict__["event"] == ids[1]


def test_an_event_is_sent_without_waiting_for_the_interval(store: Store) -> None:
    bus = Bus()
    with _running(Relay(store, bus, interval=30)):
        time.sleep(0.2)
        _publish(store, "a")
        _wait_until(lambda: Relay(store, bus).waiting() == 0, seconds=5)


LAG = "smallprint_bus_lag"
AGE = "smallprint_queue_age_seconds"


def _samples(name: str) -> list[float]:
    lines = exposition().decode().splitlines()
    found = [line for line in lines if line.startswith(f'{name}{{service="extraction"}} ')]
    return [float(line.split()[1]) for line in found]


def _gauge(name: str) -> float:
    (value,) = _samples(name)
    return value


def test_what_waits_is_measured_also_without_a_worker(store: Store) -> None:
    bus = Bus()
    relay = Relay(store, bus)
    (first,) = _publish(store, "a")
    bus.before = _raise(Unavailable("away"))
    with pytest.raises(Unavailable):
        relay.run_once()
    time.sleep(0.05)
    relay.measure()
    assert _gauge("smallprint_queue_age_seconds") >= 0.05
    assert _gauge("smallprint_bus_lag") == 0
    bus.before = lambda: None
    assert (relay.run_once(), relay.run_once()) == (1, 0)
    assert _gauge("smallprint_queue_age_seconds") == 0
    begun = DocumentDeleted(id=first, document_id="a")
    lease = begin(store, begun)
    assert lease is not None
    time.sleep(0.05)
    again = Relay(store, bus, owner=relay.owner)
    again.measure()
    assert _gauge("smallprint_bus_lag") == 2  # on the bus and in the inbox
    assert _gauge("smallprint_queue_age_seconds") >= 0.05
    Inbox(store).finish(lease)
    after = Relay(store, bus, owner=relay.owner)
    after.measure()
    assert _gauge("smallprint_queue_age_seconds") == 0


@pytest.mark.parametrize("error", [Unavailable("away"), ValueError("a bug")], ids=["away", "bug"])
@pytest.mark.parametrize("away", ["bus", "database"])
def test_an_unmeasurable_age_is_not_reported(
    store: Store, monkeypatch: pytest.MonkeyPatch, away: str, error: Exception
) -> None:
    """Alerts detect a missing gauge, but not one that keeps an old value. The age comes from the
    database and stays while only the bus is away.
    """
    monkeypatch.setattr(relay, "MEASURE_EVERY", 0.05)
    monkeypatch.setattr(relay, "NOTIFIED_SECONDS", 0.05)
    bus = Bus()
    with _running(Relay(store, bus, interval=0.02)):
        _wait_until(lambda: _samples(LAG) == _samples(AGE) == [0])
        with monkeypatch.context() as broken:
            if away == "bus":
                bus.before = _raise(error)
                broken.setattr(bus, "lag", lambda _positions: _raise(error)())
                _publish(store, "a")
                _wait_until(lambda: not _samples(LAG) and sum(_samples(AGE)) > 0.3)
            else:
                broken.setattr(store, "read", _raise(error))
                _wait_until(lambda: not _samples(LAG) and not _samples(AGE))
            bus.before = lambda: None
        store.outbox_filled.set()
        _wait_until(lambda: _samples(LAG) == [1 if away == "bus" else 0] and _samples(AGE) == [0])


def test_no_age_is_reported_while_half_is_unknown(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The age needs unsent and unfinished events. Unsent events alone would show too low an age."""
    bus = Bus()
    work = Relay(store, bus)
    begin(store, DocumentDeleted(document_id="a"))
    monkeypatch.setattr(relay, "MEASURE_EVERY", 0.0)
    with monkeypatch.context() as broken:
        broken.setattr(store, "read", _raise(Unavailable("away")))
        work.measure()
    work.run_once()
    assert (_samples(LAG), _samples(AGE)) == ([], [])
    work.measure()
    assert _samples(LAG) == [1]
    assert _samples(AGE)


def test_an_event_travels_with_its_trace_in_the_headers(store: Store) -> None:
    parent = "00-" + "1" * 32 + "-" + "2" * 16 + "-01"
    bus = Bus()
    with UnitOfWork(store) as uow:
        uow.publish(DocumentDeleted(document_id="a", trace=parent, trace_state="v=1"))
        uow.publish(DocumentDeleted(document_id="b"))
    Relay(store, bus).run_once()
    headers = [dict(record.message.headers) for record in bus.reader("checker").read(0)]
    assert headers == [{"traceparent": parent, "tracestate": "v=1"}, {}]


def test_one_relay_works_at_a_time(store: Store) -> None:
    bus = Bus()
    first, second = Relay(store, bus), Relay(store, bus)
    _publish(store, "a")
    assert (first.run_once(), second.run_once()) == (1, 0)
    _publish(store, "b")
    assert (second.run_once(), first.run_once()) == (0, 1)


@pytest.mark.parametrize(
    "shift", [-2 * relay.LEASE, timedelta(days=1)], ids=["run out", "of a clock set back"]
)
def test_a_relay_that_vanished_is_replaced(store: Store, shift: timedelta) -> None:
    bus = Bus()
    first, second = Relay(store, bus), Relay(store, bus)
    _publish(store, "a")
    assert first.run_once() == 1
    _publish(store, "b")
    with store.write() as session:
        until = session.execute(select(relay_lease.c.until)).scalar_one() + shift
        session.execute(update(relay_lease).values(until=until))
    assert (second.run_once(), first.run_once()) == (1, 0)


def test_what_was_sent_long_ago_is_removed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "PRUNE_BATCH", 2)
    bus, ids = Bus(), _publish(store, *"abcdefg")
    Relay(store, bus).run_once()
    unsent = _publish(store, "h")
    old = datetime.now(UTC) - timedelta(days=8)
    with store.write() as session:
        session.execute(update(outbox).values(created=old))
        session.execute(update(outbox).where(outbox.c.event_id.in_(ids[:5])).values(sent=old))
        session.execute(delete(relay_lease))
    bus.before = _raise(Unavailable("the bus is away"))
    work = Relay(store, bus, outbox_days=7)
    left = []
    for _ in range(4):
        with pytest.raises(Unavailable):
            work.run_once()
        with store.read() as session:
            left.append(session.execute(select(func.count()).select_from(outbox)).scalar_one())
    assert left == [6, 4, 3, 3]
    with store.read() as session:
        kept = session.execute(select(outbox.c.event_id).order_by(outbox.c.number)).scalars().all()
    assert list(kept) == [*ids[5:], *unsent]


def _receive(store: Store, time: datetime) -> None:
    rows: list[dict[str, object]] = [
        {"event_id": "handled", "state": "done", "ended": time},
        {"event_id": "begun", "state": "leased", "ended": None},
        {"event_id": "given up", "state": "dead", "ended": time},
    ]
    with store.write() as session:
        for row in rows:
            session.execute(insert(inbox).values(**row, **COMMON, first_seen=time, ready_at=time))


def test_what_was_handled_long_ago_is_forgotten(store: Store) -> None:
    now = datetime.now(UTC)
    _receive(store, now - timedelta(days=31))
    with store.write() as session:
        new = {"event_id": "new", "state": "done", "first_seen": now, "ready_at": now}
        session.execute(insert(inbox).values(**new, **COMMON, ended=now))
    Relay(store, Bus(), inbox_days=30).run_once()
    with store.read() as session:
        left = session.execute(select(inbox.c.event_id).where(inbox.c.tenant == "a")).scalars()
        assert set(left) == {"new", "begun", "given up"}


def test_what_a_restore_sends_again_is_known_by_the_inbox(store: Store) -> None:
    """Days count from the restore, however old the backup is. Otherwise handled events would be
    forgotten just before they come again."""
    old = datetime.now(UTC) - timedelta(days=40)
    _receive(store, old)
    bus, ids = Bus(), _publish(store, "a")
    assert Relay(store, bus, owner="a", inbox_days=50).run_once() == 1
    trail.extend_inbox_retention(store)
    assert trail.resend_all(store) == 1
    assert Relay(store, bus, owner="a", inbox_days=30).run_once() == 1
    assert _received(bus) == ids * 2
    with store.read() as session:
        left = session.execute(
            select(inbox.c.event_id, inbox.c.ended).where(inbox.c.tenant == "a")
        ).all()
    handled = {row.event_id: row.ended for row in left}
    assert handled.keys() == {"handled", "begun", "given up"}
    assert handled["handled"] > datetime.now(UTC) - timedelta(minutes=1)
    assert (handled["begun"], handled["given up"]) == (None, old)


def test_a_relay_that_stops_gives_its_lease_back(store: Store) -> None:
    bus = Bus()
    _publish(store, "a")
    with _running(Relay(store, bus, interval=0.02)):
        _wait_until(lambda: Relay(store, bus).waiting() == 0)
    _publish(store, "b")
    assert Relay(store, bus).run_once() == 1


def test_events_of_the_worker_follow_its_cause(store: Store, note: Table) -> None:
    bus = Bus()
    read = DocumentDeleted(document_id="a", trace="00-" + "1" * 32 + "-" + "2" * 16 + "-01")
    with UnitOfWork(store) as uow:
        uow.publish(read)
    work = Relay(store, bus)
    work.run_once()

    def answer(event: DocumentDeleted, uow: UnitOfWork) -> None:
        with uow:
            uow.session.execute(insert(note).values(text=event.document_id))
            uow.publish(
                CLAUSES.model_copy(update={"document_id": "a", "cause": None, "trace": None})
            )

    HandWorker(
        "extraction", store, bus, {DocumentDeleted: answer}, CommonSettings()
    ).run_until_idle()
    work.run_once()
    found = [decode(record.message.value) for record in bus.reader("checker").read(0)]
    assert [event.type for event in found if event] == [DocumentDeleted.type, ClausesExtracted.type]
    assert found[1] is not None
    assert (found[1].cause, found[1].trace) == (read.id, read.trace)
