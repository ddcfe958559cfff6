"""Large documents are worked on beside the others, on every bus: none waits, none is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from shared.bus import Bus, Consumer, Delivery, Message
from shared.errors import Unavailable, UnreadableDocument
from shared.events import BlobRef, DocumentDeleted, DocumentIngested, Event
from shared.runtime import Handler, Worker
from shared.runtime import worker as runtime
from shared.settings import CommonSettings
from shared.storage import Store, UnitOfWork
from tests.contract.bus.worlds import eventually

MIGRATIONS = Path(__file__).parents[1] / "store" / "migrations"
LARGE = 1000


def document(tenant: str, name: str, size: int = 1) -> DocumentIngested:
    """One that came in."""
    blob = BlobRef(sha256="0" * 64, size=size)
    return DocumentIngested(
        tenant=tenant,
        document_id=name,
        name=name,
        media_type="application/pdf",
        kind="contract",
        original=blob,
    )


def is_large(event: Event) -> bool:
    """By the bytes of the document."""
    return isinstance(event, DocumentIngested) and event.original.size >= LARGE


class Readers:
    """Works on documents; a large one is in hand until the test lets go of it."""

    def __init__(self, store: Store, bus: Bus) -> None:
        self.bus = bus
        self.let_go = threading.Event()
        self.in_hand: set[str] = set()
        self.begun: list[str] = []
        self.at_once = 0
        self.finished: list[str] = []
        self.fails = False
        self.fails_once = False
        handlers: dict[type[Event], Handler] = {
            DocumentIngested: self._read,
            DocumentDeleted: self._forget,
        }
        settings = CommonSettings(retry_delay=0.01, retry_delay_most=0.02)
        self.worker = Worker("ingest", store, bus, handlers, settings, is_large)

    def _read(self, event: DocumentIngested, uow: UnitOfWork) -> None:
        self.begun.append(event.document_id)
        if is_large(event):
            self.in_hand.add(event.document_id)
            self.at_once = max(self.at_once, len(self.in_hand))
            assert self.let_go.wait(120)
            self.in_hand.remove(event.document_id)
            if self.fails:
                raise UnreadableDocument("it is torn")
            if self.fails_once and event.document_id != "scan":
                self.fails_once = False
                raise ValueError("it passes")
        with uow:
            self.finished.append(event.document_id)

    def _forget(self, event: DocumentDeleted, uow: UnitOfWork) -> None:
        with uow:
            self.finished.append(f"{event.document_id} deleted")

    def send(self, *events: Event) -> None:
        """Publish."""
        self.bus.publish(*(Message(event.key, event.to_json("ingest")) for event in events))

    @contextmanager
    def at_work(self) -> Iterator[Callable[[], None]]:
        """The worker in its thread; yields what asks it to stop."""
        stop = threading.Event()
        thread = threading.Thread(target=self.worker.run, args=(stop,), daemon=True)
        thread.start()
        try:
            yield stop.set
        finally:
            self.let_go.set()
            stop.set()
            thread.join(120)
            assert not thread.is_alive()


@pytest.fixture
def readers(tmp_path: Path, bus: Bus, monkeypatch: pytest.MonkeyPatch) -> Iterator[Readers]:
    """One worker of ingest."""
    monkeypatch.setattr(runtime, "TURN", 0.05)
    monkeypatch.setattr(runtime, "IDLE_POLL", 0.05)
    store = Store(f"sqlite:///{tmp_path / 'store.db'}", "ingest", MIGRATIONS)
    store.migrate()
    yield Readers(store, bus)
    store.close()


def test_small_documents_do_not_wait_for_a_large_one(readers: Readers) -> None:
    """They end while it is in hand; what comes behind it with its own key waits, as ever."""
    scan = document("acme", "scan", LARGE)
    readers.send(scan, document("acme", "letter"))
    with readers.at_work():
        eventually(lambda: readers.in_hand == {"scan"}, "the large one is begun")
        gone = DocumentDeleted(tenant="acme", document_id="scan")
        readers.send(gone, *(document("other", f"lease {n}") for n in range(5)))
        small = {"letter", *(f"lease {n}" for n in range(5))}
        eventually(lambda: set(readers.finished) == small, "the small ones end")
        assert readers.in_hand == {"scan"}
        assert readers.worker.pulse.busy
        readers.let_go.set()
        eventually(lambda: readers.bus.lag("ingest") == 0, "nothing is left")
    assert readers.finished[6:] == ["scan", "scan deleted"]
    assert not readers.worker.pulse.busy


def test_large_documents_take_turns(readers: Readers) -> None:
    """One at a time, each once, and the small ones between them all the same."""
    readers.send(*(document("acme", f"scan {n}", LARGE) for n in range(3)))
    with readers.at_work():
        eventually(lambda: len(readers.in_hand) == 1, "one of them is begun")
        readers.send(document("other", "lease"))
        eventually(lambda: readers.finished == ["lease"], "the small one ends")
        readers.let_go.set()
        eventually(lambda: readers.bus.lag("ingest") == 0, "nothing is left")
    assert sorted(readers.finished[1:]) == ["scan 0", "scan 1", "scan 2"]
    assert readers.at_once == 1


def test_what_is_in_hand_is_finished_before_the_end(readers: Readers) -> None:
    """A calm stop waits for it, and nobody gets it again."""
    readers.send(document("acme", "scan", LARGE))
    with readers.at_work() as stop:
        eventually(lambda: readers.in_hand == {"scan"}, "it is begun")
        stop()
    assert readers.finished == ["scan"]
    assert readers.bus.lag("ingest") == 0


def test_a_large_document_that_can_not_be_read_ends_as_any_other(readers: Readers) -> None:
    """Tried as often, then a dead letter of the same group."""
    readers.fails = True
    readers.let_go.set()
    readers.send(document("acme", "scan", LARGE), document("other", "lease"))
    with readers.at_work():
        eventually(lambda: bool(readers.bus.dead_letters("ingest")), "it is given up")
    (letter,) = readers.bus.dead_letters("ingest")
    assert letter.message.key == "acme/scan"
    assert letter.error.splitlines()[0] == "it is torn"  # and behind it, whence it came
    assert readers.finished == ["lease"]


@pytest.mark.parametrize("error", [Unavailable("the bus is away"), RuntimeError("a bug")])
def test_a_loop_that_fails_keeps_what_is_in_hand_beside(
    readers: Readers, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Its consumer is left only once the large one has ended, so nobody begins it again; the small
    ones do not wait for that.
    """
    failed, left = threading.Event(), []
    make = readers.bus.consumer

    def fail() -> None:
        if not failed.is_set():
            failed.set()
            raise error

    def watched(group: str) -> Consumer:
        consumer = make(group)
        close = consumer.close

        def note() -> None:
            left.append(set(readers.in_hand))
            close()

        monkeypatch.setattr(consumer, "close", note)
        return consumer

    monkeypatch.setattr(readers.bus, "consumer", watched)
    readers.send(document("acme", "scan", LARGE))
    with readers.at_work():
        eventually(lambda: readers.in_hand == {"scan"}, "the large one is begun")
        monkeypatch.setattr(readers.worker, "_report", fail)
        assert failed.wait(120)
        readers.send(document("other", "lease"))
        eventually(lambda: readers.finished == ["lease"], "the small one ends")
        assert readers.in_hand == {"scan"}
        readers.let_go.set()
        eventually(lambda: readers.bus.lag("ingest") == 0, "nothing is left")
    assert sorted(readers.begun) == sorted(readers.finished) == ["lease", "scan"]
    assert left, "after the failure at least"
    assert not any(left)


@pytest.mark.parametrize(
    "what", [("receive",), ("ack",), ("ack", "retry"), ("ack", "retry", "retry")]
)
def test_a_bus_that_was_away_holds_up_no_small_document(
    readers: Readers, monkeypatch: pytest.MonkeyPatch, what: tuple[str, ...]
) -> None:
    """What it did not take is given back as soon as it answers, beside the large one; the rest goes
    on, and nothing is done twice.
    """
    away = list(what)
    make = readers.bus.consumer

    def failing(consumer: Consumer, name: str) -> Callable[..., object]:
        real = getattr(consumer, name)

        def call(*arguments: Any) -> object:
            if readers.in_hand and away and away[0] == name:
                away.pop(0)
                raise Unavailable("the bus is away")
            return real(*arguments)

        return call

    def watched(group: str) -> Consumer:
        consumer = make(group)
        for name in set(what):
            monkeypatch.setattr(consumer, name, failing(consumer, name))
        return consumer

    monkeypatch.setattr(readers.bus, "consumer", watched)
    readers.send(document("acme", "scan", LARGE))
    with readers.at_work():
        eventually(lambda: readers.in_hand == {"scan"}, "the large one is begun")
        readers.send(document("other", "lease"))
        eventually(lambda: not away, "the bus was away")
        readers.send(document("other", "letter"))
        eventually(lambda: readers.bus.lag("ingest") == 1, "the small ones are done with")
        assert sorted(readers.finished) == ["lease", "letter"]
        assert readers.in_hand == {"scan"}
        readers.let_go.set()
        eventually(lambda: readers.bus.lag("ingest") == 0, "nothing is left")
    assert readers.finished[2:] == ["scan"]
    assert sorted(readers.begun) == ["lease", "letter", "scan"]


def test_a_turn_that_is_waited_for_counts_as_no_attempt(
    readers: Readers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was tried: a failure after many turns is followed by the shortest delay, and a turn
    is no longer for those that the same document had before.
    """
    came: list[str] = []
    delays: list[float] = []
    turns: list[float] = []
    make = readers.bus.consumer

    def watched(group: str) -> Consumer:
        consumer = make(group)
        receive, retry, later = consumer.receive, consumer.retry, consumer.later

        def note_delivery(timeout: float) -> Delivery | None:
            delivery = receive(timeout)
            if delivery is not None:
                came.append(delivery.message.key)
            return delivery

        def note_delay(delivery: Delivery, delay: float, error: str) -> None:
            delays.append(delay)
            retry(delivery, delay, error)

        def note_turn(delivery: Delivery, delay: float) -> None:
            turns.append(delay)
            later(delivery, delay)

        monkeypatch.setattr(consumer, "receive", note_delivery)
        monkeypatch.setattr(consumer, "retry", note_delay)
        monkeypatch.setattr(consumer, "later", note_turn)
        return consumer

    monkeypatch.setattr(readers.bus, "consumer", watched)
    longer = readers.worker.settings.model_copy(update={"retry_delay_most": 60.0})
    monkeypatch.setattr(readers.worker, "settings", longer)
    readers.send(document("acme", "scan", LARGE))
    with readers.at_work():
        eventually(lambda: readers.in_hand == {"scan"}, "the large one is begun")
        readers.fails_once = True
        readers.send(document("other", "scan 2", LARGE))
        eventually(lambda: came.count("other/scan 2") >= 5, "it waits for its turn")
        readers.let_go.set()
        eventually(lambda: readers.bus.lag("ingest") == 0, "nothing is left")
    assert sorted(readers.begun) == ["scan", "scan 2", "scan 2"]
    assert delays == [readers.worker.settings.retry_delay]
    assert set(turns) <= {runtime.turn(0), runtime.turn(1)}, "one waits, however often it asked"


def test_the_more_turns_are_given_the_longer_is_each() -> None:
    """A thousand that wait ask about twenty times a second, all of them together."""
    delays = [runtime.turn(given) for given in range(2000)]
    assert delays[0] == runtime.TURN
    assert delays == sorted(delays)
    assert delays[-1] == runtime.TURN_MOST
    assert 1000 / 20 <= delays[1000] <= 1000 / 16
