"""The job that hands in what waited too long, looks at what is handed in, and ends what is over.

Several processes may run it: one looks at a batch at a time, and a question that is in a batch
can't be handed in with another.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import chain

from services.escalation import handlers
from services.escalation.asking import Door, NotWanted, Waiting
from services.escalation.backlog.store import Backlog, Kept
from services.escalation.batches import Batch, Batches, HandedIn
from services.escalation.batches.batches import GRACE
from services.escalation.batches.store import get
from services.escalation.hearing import content
from services.escalation.ledger import ProviderStopped
from services.escalation.ledger.store import batch_of, batches_of, documents_of_batch, forget
from services.escalation.providers import Provider, ProviderError
from services.escalation.providers.batches import HOURS
from services.escalation.providers.provider import BATCH_SECONDS
from shared.errors import Unavailable
from shared.events import EscalationRequested
from shared.runtime.pulse import Pulse
from shared.runtime.rounds import Rounds
from shared.storage import AlreadyHandled, BlobStore, MissingBlob, Store, UnitOfWork
from shared.storage.deletion import is_deleted

log = logging.getLogger(__name__)

ROWS_MOST = 1_000
"""Requests without a batch that one round looks at, and those of one batch that it ends."""
NOBODY = "nobody may be asked about it any more"
NO_ANSWER = "it waited for a batch, and none brought an answer to it"


@dataclass(frozen=True)
class Left:
    """What of a request waits for a batch, with whom all of it may be asked."""

    kept: Kept
    questions: Sequence[Waiting]
    further: bool
    """Whether a batch has left already with other questions of it."""

    @property
    def provider(self) -> Provider:
        return self.questions[0].provider


class BatchRounds(Rounds):
    """See above.

    Args:
        every: seconds between two rounds.
    """

    name = "batches"

    def __init__(self, store: Store, blobs: BlobStore, door: Door, every: float) -> None:
        super().__init__(every)
        self.pulse = Pulse(2 * every + 3 * BATCH_SECONDS)  # what is handed in may take long
        self.store = store
        self.blobs = blobs
        self.door = door
        self.batches = Batches(door.ledger, door.clock, self._forget_deleted)

    def work(self, stop: threading.Event) -> None:
        """One round."""
        providers = self.door.policies.batch_providers()
        for batch in self.batches.open():
            self.pulse.beat()
            if not stop.is_set() and self.batches.take(batch, timedelta(seconds=self.interval)):
                self._look(providers.get(batch.provider), batch)
        self._delete_left(providers, stop)
        self.batches.free_stranded()
        self._end_all(stop)
        with self.store.read() as session:
            waiting = Backlog(session).without(ROWS_MOST)
        new: dict[tuple[str, str], list[Left]] = defaultdict(list)
        for kept in waiting:
            self.pulse.beat()
            if stop.is_set():
                return
            if left := self._to_ask(kept):
                new[kept.event.tenant, left.provider.name].append(left)
        for rows in new.values():
            self._hand_in(rows[0].provider.at_batch_price(), rows)

    def _look(self, provider: Provider | None, batch: Batch) -> None:
        self._alone(partial(self.batches.look, provider and provider.at_batch_price()), batch)

    def _alone(self, work: Callable[[Batch], object], batch: Batch) -> None:
        """Work on one batch, so that its errors hold up no other one."""
        about = {"batch": batch.id, "provider": batch.provider, "until": batch.until.isoformat()}
        try:
            work(batch)
        except ProviderError as error:
            log.warning("a batch is looked at later", extra={"reason": error.message, **about})
        except Unavailable:
            raise
        except Exception:  # it would hold up all else, in every round
            log.exception("nobody can make sense of a batch; it is looked at later", extra=about)

    def _delete_left(self, providers: Mapping[str, Provider], stop: threading.Event) -> None:
        """Delete what is over and still at a provider that may be asked."""
        for batch in self.batches.left():
            self.pulse.beat()
            if not stop.is_set() and (provider := providers.get(batch.provider)):
                self._alone(partial(self.batches.delete, provider), batch)

    def _end_all(self, stop: threading.Event) -> None:
        """End the requests whose batch is over: also where it can't be brought to its end, but not
        while another process is at that. What never left waits on without a batch, and so does a
        request of which only some questions had room in it.
        """
        with self.store.read() as session:
            gone_with = Backlog(session).batches()
        for batch in map(self.batches.get, gone_with):
            if batch.is_open and self.door.clock() <= batch.until + GRACE:
                continue
            with self.store.read() as session:
                rows = Backlog(session).with_batch(batch.id, ROWS_MOST)
            for kept in rows:
                self.pulse.beat()
                if stop.is_set():
                    return
                if self._may_go_again(kept, batch):
                    self._take_back(kept, batch)
                elif not batch.never_left and self._has_time(kept):
                    if self._to_ask(kept, NO_ANSWER):
                        self._take_back(kept, batch)
                else:
                    self._end(kept, batch.reason if batch.never_left else NO_ANSWER)

    def _may_go_again(self, kept: Kept, batch: Batch) -> bool:
        """Whether nothing of a request's batch left, and there is time for another: for one that
        nobody came to hand in as much as a batch has, for one that was handed in and did not
        arrive as much as a call has.
        """
        patience = self.door.patience if batch.requests else HOURS
        return batch.never_left and self.door.clock() <= kept.kept + patience

    def _has_time(self, kept: Kept) -> bool:
        """Whether there is time for one more batch: see the end of what is put off."""
        return self.door.clock() <= kept.kept + HOURS

    def _take_back(self, kept: Kept, batch: Batch) -> None:
        with self.store.write() as session:
            Backlog(session).came_back(kept.event, batch.id)

    def _to_ask(self, kept: Kept, none: str = NOBODY) -> Left | None:
        """The questions of a request that no answer is remembered for, that no batch has left with
        since it waits, and that one provider may be asked; a request that has none any more is
        ended.

        Args:
            none: why, where nothing is left to be asked.
        """
        try:
            asked = handlers.left_to_ask(kept.event, self.store, self.blobs, self.door)
        except (NotWanted, MissingBlob):
            asked = []
        except Unavailable:
            raise
        except Exception:  # it would hold up those behind it, in every round
            log.exception("what a request asks that waits for a batch can't be told; it is ended")
            asked = []
        left = self._have_left(kept, asked)
        new = [one for one, gone in zip(asked, left, strict=True) if not gone]
        if not new:
            self._end(kept, NO_ANSWER if asked else none)
            return None
        mine = [one for one in new if one.provider.name == new[0].provider.name]
        return Left(kept, mine, further=len(new) < len(asked))

    def _have_left(self, kept: Kept, asked: Sequence[Waiting]) -> list[bool]:
        """Whether each question went with a batch since its request waits, and that is over."""
        tenant = kept.event.tenant
        with self.store.read() as session:
            names = [
                batches_of(session, tenant, content(one.provider, one.prompt)) for one in asked
            ]
            known = {name: get(session, name) for name in {*chain.from_iterable(names)}}
        over = {
            name
            for name, batch in known.items()
            if not (batch.is_open or batch.never_left) and batch.made >= kept.kept
        }
        return [not over.isdisjoint(one) for one in names]

    def _hand_in(self, provider: Provider, rows: Sequence[Left]) -> None:
        asked = [(one.account, one.prompt) for left in rows for one in left.questions]
        events = [left.kept.event for left in rows for _ in left.questions]
        came, why = HandedIn(), ""
        try:
            came = self.batches.hand_in(
                provider, asked, wanted=lambda batch, place: self._goes(events[place], batch)
            )
        except ProviderStopped as error:
            why = error.message
        except ProviderError as error:
            log.warning("questions are handed in later", extra={"reason": error.message})
            came.spent = error.message
        place = 0
        for left in rows:
            places = range(place, place + len(left.questions))
            place = places.stop
            dropped = [came.dropped.get(one, "") for one in places]
            if self._is_elsewhere(left.kept) or self._went(left, provider):
                continue
            late = left.kept.kept + self.door.patience < self.door.clock()
            if reason := why or (all(dropped) and dropped[0]) or (late and came.spent):
                self._end(left.kept, NO_ANSWER if left.further else reason)

    def _goes(self, event: EscalationRequested, batch: Batch) -> bool:
        """Note that a request goes with a batch, before that leaves the house; returns whether it
        may. Whoever dies then finds by the batch what became of it, however it ended.
        """
        if handlers.is_void(event, self.blobs):
            return False
        with self.store.write() as session:
            return Backlog(session).went(event, batch.id)

    def _is_elsewhere(self, kept: Kept) -> bool:
        """Whether a request is in a batch, or was ended by another process meanwhile."""
        with self.store.read() as session:
            there, found = Backlog(session).where(kept.event)
        if not there or found is None:
            return not there
        batch = self.batches.get(found)
        if batch.never_left:  # its provider refused it just now
            self._take_back(kept, batch)
        return not batch.never_left

    def _went(self, left: Left, provider: Provider) -> bool:
        """Whether what a request asks is in a batch already, for another one: it waits for that."""
        event = left.kept.event
        with self.store.read() as session:
            found = [
                batch_of(session, event.tenant, content(provider, one.prompt))
                for one in left.questions
            ]
        first = next(filter(None, found), None)
        if first is None:
            return False
        with self.store.write() as session:
            return Backlog(session).went(event, first)

    def _end(self, kept: Kept, why: str) -> None:
        """Let what is known of a request be its answer; of what is not, a person is asked."""
        event = kept.event
        try:
            uow = UnitOfWork(self.store, event)
            handlers.answer_request(event, uow, self.blobs, self.door, why)
        except AlreadyHandled:
            pass
        except Unavailable:
            raise
        except Exception:
            log.exception("a request that waited for a batch can't be ended by its answers")
            handlers.end_without(event, UnitOfWork(self.store, event), self.blobs, why)
        with self.store.write() as session:
            Backlog(session).done(event)

    def _forget_deleted(self, batch: Batch) -> None:
        """What was answered about a document that was deleted in the meantime."""
        with self.store.write() as session:
            for document in documents_of_batch(session, batch.tenant, batch.id):
                if is_deleted(self.blobs, batch.tenant, document):
                    forget(session, batch.tenant, document)
