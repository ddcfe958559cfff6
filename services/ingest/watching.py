"""Waiting for documents: until one has ended, or for every change, of one or of all of a tenant.

All of it looks at the same rows, which the one state machine writes. A stream of server-sent events
goes on where it broke off: each event has the number of its change as `id`, which a browser sends
back as `Last-Event-ID`. It lasts a minute at most, so that a revoked key is dead by then; whoever
listens comes again by himself, and misses nothing.

Each waiting request holds a thread, so their number is bounded: for a process, and for a key.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from services.ingest.commands import found
from services.ingest.domain import Document
from services.ingest.store import Changes, Documents
from services.ingest.views import views
from shared.errors import TooManyRequests
from shared.storage import Store
from shared.web.auth import Actor

POLL = 0.2
"""Seconds between two looks."""
LONGEST_WAIT = 20.0
LONGEST_STREAM = 60.0
HEARTBEAT = 10.0
"""Seconds of silence after which a stream says that it is still there."""
RETRY = 3000
"""Milliseconds until a browser comes again."""


class Watch:
    """Whoever waits for documents, in this process.

    Args:
        waiting: requests that may wait at the same time; 0: everybody is answered at once.
        streams: streams of one key at the same time.
    """

    def __init__(self, store: Store, *, waiting: int, streams: int) -> None:
        self.store = store
        self.streams = streams
        self._places = threading.Semaphore(waiting)
        self._of_key: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._closing = threading.Event()

    def close(self) -> None:
        """End every stream, and answer everybody who waits, at the next look."""
        self._closing.set()

    def end(self, actor: Actor, document_id: str, seconds: float) -> Document:
        """Look until a document has ended or the time is up. In a crowd, answer at once."""
        document = self._find(actor, document_id)
        if not seconds or not self._places.acquire(blocking=False):
            return document
        try:
            until = time.monotonic() + seconds
            while not _over(document) and time.monotonic() < until and not self._closing.is_set():
                self._closing.wait(POLL)
                document = self._find(actor, document_id)
        finally:
            self._places.release()
        return document

    def document(self, actor: Actor, document_id: str, seen: int | None) -> Iterator[str]:
        """Where one document stands, and every change until it has ended or is deleted.

        Raises NotFound; TooManyRequests if the key has as many streams already as it may.
        """
        self._find(actor, document_id)
        return _begun(self._stream(actor, min(seen or 0, self._last(actor)), document_id))

    def tenant(self, actor: Actor, seen: int | None) -> Iterator[str]:
        """Every change of a document of the tenant after change `seen`; None: from now on.

        Raises TooManyRequests if the key has as many streams already as it may.
        """
        last = self._last(actor)
        return _begun(self._stream(actor, last if seen is None else min(seen, last)))

    def _stream(self, actor: Actor, seen: int, document_id: str | None = None) -> Iterator[str]:
        """The events, as text. In a crowd only what is known now, and the listener comes again."""
        with self._counted(actor), self._place() as stays:
            yield f"retry: {RETRY}\nid: {seen}\n\n"
            until = time.monotonic() + (LONGEST_STREAM if stays else 0)
            heard = time.monotonic()
            while True:
                changes = self._changes(actor, seen, document_id)
                for number, text in changes:
                    yield text
                    seen, heard = number, time.monotonic()
                if document_id is not None and self._is_over(actor, document_id, seen):
                    return
                if time.monotonic() >= until or self._closing.is_set():
                    return
                if time.monotonic() - heard >= HEARTBEAT:
                    yield ": still here\n\n"
                    heard = time.monotonic()
                if not changes:
                    self._closing.wait(POLL)

    def _changes(self, actor: Actor, seen: int, document_id: str | None) -> list[tuple[int, str]]:
        """Number and text of the next events."""
        self._number(actor)
        with self.store.read() as session:
            changes = Changes(session, actor.tenant).after(seen, document_id)
        there = [document for _, _, document in changes if document is not None]
        shown = {view.id: view for view in views(self.store, actor.tenant, there)}
        return [
            (number, _event(number, "state", shown[one].model_dump_json()))
            if document
            else (number, _event(number, "deleted", json.dumps({"id": one})))
            for number, one, document in changes
        ]

    def _is_over(self, actor: Actor, document_id: str, seen: int) -> bool:
        """Whether a document has ended or is deleted, and the listener knows that."""
        with self.store.read() as session:
            return Changes(session, actor.tenant).over(document_id, seen)

    def _last(self, actor: Actor) -> int:
        """The last number; a listener's higher one is from before a backup was restored."""
        self._number(actor)
        with self.store.read() as session:
            return Changes(session, actor.tenant).last()

    def _number(self, actor: Actor) -> None:
        """Have everything numbered that changed before now."""
        with self.store.read() as session:
            waiting = Changes(session, actor.tenant).waiting()
        while waiting:
            with self.store.write() as session:
                waiting = bool(Changes(session, actor.tenant).number())

    @contextmanager
    def _counted(self, actor: Actor) -> Iterator[None]:
        with self._lock:
            if self._of_key[actor.key_id] >= self.streams:
                raise TooManyRequests(
                    f"this key listens {self.streams} times already: close a stream first (setting"
                    " SMALLPRINT_INGEST_STREAMS)",
                    retry_after=int(LONGEST_STREAM),
                )
            self._of_key[actor.key_id] += 1
        try:
            yield
        finally:
            with self._lock:
                self._of_key[actor.key_id] -= 1
                if not self._of_key[actor.key_id]:
                    del self._of_key[actor.key_id]

    @contextmanager
    def _place(self) -> Iterator[bool]:
        """One of the places to wait in, if there is one."""
        got = self._places.acquire(blocking=False)
        try:
            yield got
        finally:
            if got:
                self._places.release()

    def _find(self, actor: Actor, document_id: str) -> Document:
        with self.store.read() as session:
            return found(Documents(session, actor.tenant).get(document_id), document_id)


def _begun(stream: Iterator[str]) -> Iterator[str]:
    """The same stream, begun: what it holds is given back even if nobody ever reads it."""
    return itertools.chain([next(stream)], stream)


def _over(document: Document) -> bool:
    return document.progress.state == "ended"


def _event(number: int, kind: str, data: str) -> str:
    return f"event: {kind}\nid: {number}\ndata: {data}\n\n"
