"""Large documents have their own worker: no other document waits, and none is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from shared.bus import Message
from shared.bus.memory import MemoryBus
from shared.errors import UnreadableDocument
from shared.events import BlobRef, DocumentDeleted, DocumentIngested, Event
from shared.messaging import TakesLong, UnitOfWork
from shared.runtime import Handler
from shared.settings import CommonSettings
from shared.storage import Store
from tests.support.queue import HandWorker

LARGE = 1000


def document(tenant: str, name: str, size: int = 1) -> DocumentIngested:
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
    return isinstance(event, DocumentIngested) and event.original.size >= LARGE


def eventually(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.02)


class Readers:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.bus = MemoryBus()
        self.let_go = threading.Event()
        self.in_work: set[str] = set()
        self.at_once = 0
        self.finished: list[str] = []
        self.fails = False
        handlers: dict[type[Event], Handler] = {
            DocumentIngested: self._read,
            DocumentDeleted: self._forget,
        }
        settings = CommonSettings(retry_delay=0.01, retry_delay_most=0.02)
        self.worker = HandWorker("ingest", store, self.bus, handlers, settings, is_large)

    def _read(self, event: DocumentIngested, uow: UnitOfWork) -> None:
        if is_large(event):
            self.in_work.add(event.document_id)
            self.at_once = max(self.at_once, len(self.in_work))
            assert self.let_go.wait(120)
            self.in_work.remove(event.document_id)
            if self.fails:
                raise UnreadableDocument("it is torn")
        with uow:
            self.finished.append(event.document_id)

    def _forget(self, event: DocumentDeleted, uow: UnitOfWork) -> None:
        with uow:
            self.finished.append(f"{event.document_id} deleted")

    def send(self, *events: Event) -> None:
        self.bus.publish(*(Message(event.key, event.to_json("ingest")) for event in events))

    def is_idle(self) -> bool:
        return self.bus.lag(self.worker.inbox.positions()) + self.worker.inbox.unfinished() == 0

    @contextmanager
    def at_work(self) -> Iterator[Callable[[], None]]:
        """Pump and workers in their threads; yields what asks them to stop."""
        stop = threading.Event()
        loops = [self.worker.pump.run, *(one.run for one in self.worker.workers)]
        threads = [threading.Thread(target=run, args=(stop,), daemon=True) for run in loops]
        for thread in threads:
            thread.start()
        try:
            yield stop.set
        finally:
            self.let_go.set()
            stop.set()
            for thread in threads:
                thread.join(120)
            assert not any(thread.is_alive() for thread in threads)


@pytest.fixture
def readers(store: Store) -> Readers:
    return Readers(store)


def test_small_documents_do_not_wait_for_a_large_one(readers: Readers) -> None:
    readers.send(document("acme", "scan", LARGE), document("acme", "letter"))
    with readers.at_work():
        eventually(lambda: readers.in_work == {"scan"}, "the large one is begun")
        gone = DocumentDeleted(tenant="acme", document_id="scan")
        readers.send(gone, *(document("other", f"lease {n}") for n in range(5)))
        small = {"letter", *(f"lease {n}" for n in range(5))}
        eventually(lambda: set(readers.finished) == small, "the small ones end")
        assert readers.in_work == {"scan"}
        assert readers.worker.workers[1].pulse.busy
        readers.let_go.set()
        eventually(readers.is_idle, "nothing is left")
    assert readers.finished[6:] == ["scan", "scan deleted"]
    assert not readers.worker.workers[1].pulse.busy


def test_large_documents_take_turns(readers: Readers) -> None:
    readers.send(*(document("acme", f"scan {n}", LARGE) for n in range(3)))
    with readers.at_work():
        eventually(lambda: len(readers.in_work) == 1, "one of them is begun")
        readers.send(document("other", "lease"))
        eventually(lambda: readers.finished == ["lease"], "the small one ends")
        readers.let_go.set()
        eventually(readers.is_idle, "nothing is left")
    assert sorted(readers.finished[1:]) == ["scan 0", "scan 1", "scan 2"]
    assert readers.at_once == 1


def test_work_that_takes_long_moves_to_the_large_documents(readers: Readers) -> None:
    tried: list[tuple[str, bool]] = []

    def read(event: DocumentIngested, uow: UnitOfWork) -> None:
        tried.append((event.document_id, uow.large))
        if event.document_id == "bomb" and not uow.large:
            raise TakesLong
        with uow:
            readers.finished.append(event.document_id)

    for worker in readers.worker.workers:
        worker.handlers = {DocumentIngested: read}
    readers.send(document("acme", "bomb"), document("acme", "letter"))
    readers.worker.run_until_idle()
    assert sorted(tried) == [("bomb", False), ("bomb", True), ("letter", False)]
    assert sorted(readers.finished) == ["bomb", "letter"]
    assert not readers.worker.inbox.dead_letters()


def test_what_is_in_work_is_finished_before_the_end(readers: Readers) -> None:
    readers.send(document("acme", "scan", LARGE))
    with readers.at_work() as stop:
        eventually(lambda: readers.in_work == {"scan"}, "it is begun")
        stop()
    assert readers.finished == ["scan"]
    assert readers.is_idle()


def test_a_large_document_that_can_not_be_read_ends_as_any_other(readers: Readers) -> None:
    readers.fails = True
    readers.let_go.set()
    readers.send(document("acme", "scan", LARGE), document("other", "lease"))
    with readers.at_work():
        eventually(lambda: bool(readers.worker.inbox.dead_letters()), "it is given up")
    (letter,) = readers.worker.inbox.dead_letters()
    assert letter.key == "acme/scan"
    assert letter.error.splitlines()[0] == "it is torn"  # and behind it, where it came from
    assert readers.finished == ["lease"]
