"""Runs a request once and repeats its answer; removes expired keys."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from services.ingest.domain import now_utc
from services.ingest.idempotency.store import (
    CLAIM_LIFETIME,
    Answer,
    Claim,
    KeyClaim,
    claim,
    fingerprint,
    hash_key,
    remove_expired,
)
from services.ingest.store import lock_blobs
from shared.errors import SuiteError
from shared.storage import Store
from shared.web.auth import Actor

log = logging.getLogger(__name__)

RENEW_EVERY = CLAIM_LIFETIME / 3
"""How often the claim of a running request is renewed."""


class IdempotentRequests:
    """Requests of all tenants that take effect once.

    Args:
        hours: for which an answer is stored, from the first request of its key.
    """

    def __init__(self, store: Store, hours: float) -> None:
        self.store = store
        self.lifetime = timedelta(hours=hours)

    def run(
        self,
        actor: Actor,
        key: str | None,
        operation: str,
        identity: Callable[[str], object],
        work: Callable[[Claim], Answer],
    ) -> Answer:
        """Return the stored answer of a key, or do the work and store its answer.

        Refusals are not stored: nothing was done, and the request may be repeated.

        Args:
            key: of the client; None for a request without one.
            operation: method and path.
            identity: returns what identifies the request, as JSON, given the key.
            work: does the work. It may store its answer in its own transaction.

        Raises:
            KeyReused, ResultDeleted, RequestInProgress; and errors of the work.
        """
        if key is None:
            return work(Claim())
        fingerprint_of_request = fingerprint(key, operation, identity(key))
        with self.store.write() as session:
            claimed = claim(
                session,
                actor.tenant,
                hash_key(key),
                fingerprint_of_request,
                now_utc(),
                self.lifetime,
            )
        if isinstance(claimed, Answer):
            return claimed
        try:
            with self._renewed(claimed):
                answer = work(claimed)
            if answer.good and answer.last and not claimed.stored:
                self._store_answer(claimed, answer)
        finally:
            if not claimed.stored:
                self._release(claimed)
        return answer

    def sweep(self) -> int:
        with self.store.write() as session:
            return remove_expired(session, now_utc())

    @contextmanager
    def _renewed(self, claimed: KeyClaim) -> Iterator[None]:
        ended = threading.Event()

        def renew() -> None:
            while not ended.wait(RENEW_EVERY.total_seconds()):
                try:
                    with self.store.write() as session:
                        claimed.renew(session, now_utc())
                except SuiteError as error:  # at worst another request takes over
                    log.warning("a claim can't be renewed now", extra={"reason": error.message})

        thread = threading.Thread(target=renew, name="idempotency-claim", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()

    def _store_answer(self, claimed: KeyClaim, answer: Answer) -> None:
        with self.store.write() as session:
            lock_blobs(session, claimed.tenant)  # its documents are not deleted meanwhile
            claimed.store(session, answer)

    def _release(self, claimed: KeyClaim) -> None:
        try:
            with self.store.write() as session:
                claimed.release(session)
        except SuiteError as error:  # then the claim expires
            log.warning(
                "a claim can't be released and will expire", extra={"reason": error.message}
            )
