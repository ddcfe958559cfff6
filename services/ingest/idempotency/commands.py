"""Work once, answer as often as one is asked; and the sweep of keys that are too old."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from services.ingest.domain import now_utc
from services.ingest.idempotency.domain import Answer, digest_of, fingerprint
from services.ingest.idempotency.store import CLAIMED, Claim, KeyClaim, claim, remove_expired
from services.ingest.store import lock_blobs
from shared.errors import SuiteError
from shared.runtime.rounds import Rounds
from shared.storage import Store
from shared.web.auth import Actor

log = logging.getLogger(__name__)

RENEWED = CLAIMED / 3
"""How often the claim of a request that is worked on is renewed."""


class Once:
    """Requests of all tenants that take effect once.

    Args:
        hours: for how long an answer is kept, from the first request of its key.
    """

    def __init__(self, store: Store, hours: float) -> None:
        self.store = store
        self.lasts = timedelta(hours=hours)

    def run(
        self,
        actor: Actor,
        key: str | None,
        operation: str,
        said: Callable[[str], object],
        work: Callable[[Claim], Answer],
    ) -> Answer:
        """What the first request of a key was answered; without a key, or at the first, the work.

        A refusal is no answer to keep: nothing was done, and the same request may be made again.

        Args:
            key: what the client says; None: every request is a new one.
            operation: method and path.
            said: given the key, all that tells the request from others, as JSON.
            work: does what is asked. It may keep its answer in its own transaction; else it is kept
                afterwards.

        Raises:
            KeyReused, KeySpent, StillAtWork; and what the work raises.
        """
        if key is None:
            return work(Claim())
        mark = fingerprint(key, operation, said(key))
        with self.store.write() as session:
            begun = claim(session, actor.tenant, digest_of(key), mark, now_utc(), self.lasts)
        if isinstance(begun, Answer):
            return begun
        try:
            with self._renewed(begun):
                answer = work(begun)
            if answer.good and answer.last and not begun.kept:
                self._keep(begun, answer)
        finally:
            if not begun.kept:
                self._release(begun)
        return answer

    def sweep(self) -> int:
        """Remove some keys whose time is over. Returns how many."""
        with self.store.write() as session:
            return remove_expired(session, now_utc())

    @contextmanager
    def _renewed(self, begun: KeyClaim) -> Iterator[None]:
        """Renew a claim now and then for the time of the block."""
        ended = threading.Event()

        def renew() -> None:
            while not ended.wait(RENEWED.total_seconds()):
                try:
                    with self.store.write() as session:
                        begun.renew(session, now_utc())
                except SuiteError as error:  # at worst it is taken over, and its work undone
                    log.warning("a claim is not renewed now", extra={"reason": error.message})

        thread = threading.Thread(target=renew, name="idempotency-claim", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()

    def _keep(self, begun: KeyClaim, answer: Answer) -> None:
        with self.store.write() as session:
            lock_blobs(session, begun.tenant)  # nothing that it tells of is deleted meanwhile
            begun.keep(session, answer)

    def _release(self, begun: KeyClaim) -> None:
        try:
            with self.store.write() as session:
                begun.release(session)
        except SuiteError as error:  # then the claim ends with its time
            log.warning("a claim stays until it ends", extra={"reason": error.message})


class Sweeper(Rounds):
    """The loop that removes keys whose time is over. Several processes may have one each."""

    name = "idempotency"

    def __init__(self, once: Once, interval: float = 60.0) -> None:
        super().__init__(interval)
        self.once = once

    def work(self, stop: threading.Event) -> None:
        """Remove all that is over its time."""
        while self.once.sweep() and not stop.is_set():
            self.pulse.beat()
