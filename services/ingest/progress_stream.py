"""Long polling and server-sent events of document changes.

Each event has the number of its change as `id`, which a browser returns as `Last-Event-ID`. A
stream lasts at most a minute, so that a revoked key stops working; the client reconnects without
losing events. Each waiting request holds a thread, so a process and a key have limits.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from services.ingest.domain import Document
from services.ingest.store import Changes, Documents
from services.ingest.views import views
from shared.errors import TooManyRequests
from shared.storage import Store
from shared.web.auth import Actor

POLL = 0.2
"""Seconds between two queries."""
LONGEST_WAIT = 20.0
LONGEST_STREAM = 60.0
HEARTBEAT = 10.0
"""Seconds of silence after which a stream sends a comment."""
RETRY = 3000
"""Milliseconds until a browser reconnects."""


class ProgressStream:
    """Requests that wait for documents, in this process.

    Args:
        waiting: requests that may wait at the same time; 0: all are answered at once.
        streams: open streams per key.
    """

    def __init__(self, store: Store, *, waiting: int, streams: int) -> None:
        self.store = store
        self.streams = streams
        self._slots = threading.Semaphore(waiting)
        self._streams: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._closing = threading.Event()

    def close(self) -> None:
        """End every stream and waiting request at the next poll."""
        self._closing.set()

    def wait_for_end(self, actor: Actor, document_id: str, seconds: float) -> Document:
        """Wait until a document has ended or the time is up; without a free slot, return at
        once.
        """
        document = self._get(actor, document_id)
        if not seconds:
            return document
        with self._slot() as stays:
            deadline = time.monotonic() + (seconds if stays else 0)
            while (
                document.progress.state != "ended"
                and time.monotonic() < deadline
                and not self._closing.is_set()
            ):
                self._closing.wait(POLL)
                document = self._get(actor, document_id)
        return document

    def stream_document(self, actor: Actor, document_id: str, seen: int | None) -> Iterator[str]:
        """Stream the changes of one document until it has ended or is deleted.

        Raises NotFound; TooManyRequests if the key has too many streams.
        """
        self._get(actor, document_id)
        return _started(self._stream(actor, min(seen or 0, self._last(actor)), document_id))

    def stream_tenant(self, actor: Actor, seen: int | None) -> Iterator[str]:
        """Stream the changes of a tenant's documents after change `seen`; None: from now on.

        Raises TooManyRequests if the key has too many streams.
        """
        last = self._last(actor)
        return _started(self._stream(actor, last if seen is None else min(seen, last)))

    def _stream(self, actor: Actor, seen: int, document_id: str | None = None) -> Iterator[str]:
        """Yield events as text. Without a free slot it ends at once, and the client reconnects."""
        with self._counted(actor), self._slot() as stays:
            yield f"retry: {RETRY}\nid: {seen}\n\n"
            deadline = time.monotonic() + (LONGEST_STREAM if stays else 0)
            last_sent = time.monotonic()
            while True:
                changes = self._changes(actor, seen, document_id)
                for number, text in changes:
                    yield text
                    seen, last_sent = number, time.monotonic()
                if document_id is not None and self._has_ended(actor, document_id, seen):
                    return
                if time.monotonic() >= deadline or self._closing.is_set():
                    return
                if time.monotonic() - last_sent >= HEARTBEAT:
                    yield ": still here\n\n"
                    last_sent = time.monotonic()
                if not changes:
                    self._closing.wait(POLL)

    def _changes(self, actor: Actor, seen: int, document_id: str | None) -> list[tuple[int, str]]:
        self._number(actor)
        with self.store.read() as session:
            changes = Changes(session, actor.tenant).after(seen, document_id)
        documents = [document for _, _, document in changes if document is not None]
        shown = {view.id: view for view in views(self.store, actor.tenant, documents)}
        return [
            (number, _event(number, "state", shown[one].model_dump_json()))
            if document
            else (number, _event(number, "deleted", json.dumps({"id": one})))
            for number, one, document in changes
        ]

    def _has_ended(self, actor: Actor, document_id: str, seen: int) -> bool:
        with self.store.read() as session:
            return Changes(session, actor.tenant).over(document_id, seen)

    def _last(self, actor: Actor) -> int:
        """Return the last number; a client's higher one is from before a restored backup."""
        self._number(actor)
        with self.store.read() as session:
            return Changes(session, actor.tenant).last()

    def _number(self, actor: Actor) -> None:
        with self.store.read() as session:
            waiting = Changes(session, actor.tenant).waiting()
        while waiting:
            with self.store.write() as session:
                waiting = bool(Changes(session, actor.tenant).number())

    @contextmanager
    def _counted(self, actor: Actor) -> Iterator[None]:
        with self._lock:
            if self._streams[actor.key_id] >= self.streams:
                raise TooManyRequests(
                    f"This key already has {self.streams} open streams (setting "
                    "SMALLPRINT_INGEST_STREAMS). Close one first.",
                    retry_after=int(LONGEST_STREAM),
                )
            self._streams[actor.key_id] += 1
        try:
            yield
        finally:
            with self._lock:
                self._streams[actor.key_id] -= 1
                if not self._streams[actor.key_id]:
                    del self._streams[actor.key_id]

    @contextmanager
    def _slot(self) -> Iterator[bool]:
        """Take one of the waiting slots, if there is one."""
        acquired = self._slots.acquire(blocking=False)
        try:
            yield acquired
        finally:
            if acquired:
                self._slots.release()

    def _get(self, actor: Actor, document_id: str) -> Document:
        with self.store.read() as session:
            return Documents(session, actor.tenant).require(document_id)


def _started(stream: Iterator[str]) -> Iterator[str]:
    """Start the stream, so that its slots are released even if nobody reads it."""
    return itertools.chain([next(stream)], stream)


def _event(number: int, kind: str, data: str) -> str:
    return f"event: {kind}\nid: {number}\ndata: {data}\n\n"
