"""Hand in a batch, look at it, and settle what came of it.

Its row and the reservations of its calls are there before anything leaves the house, and each step
is written down when it is done. A process may die at any point:

* while calls are reserved: nothing was handed in, so all are released, and none is reserved for a
  batch that was given up meanwhile;
* while it is handed in: the batch is looked for in the provider's list, by its mark, or by the ids
  of its answers where the protocol has no place for a mark. It is not handed in again before it is
  known that it is not there;
* while it is fetched: it is fetched again; settling twice is as good as once;
* before its words at the provider are deleted: that is tried again, as it is where it failed.

Nothing waits for ever: a batch that is not done in its time is stopped at the provider, and what it
has answered by then is fetched. What of it has no bill an hour later counts with its worst case; so
it is as well where nobody may be asked any more how it is.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from services.escalation.batches import store
from services.escalation.batches.domain import OPEN, OVER, Batch
from services.escalation.hearing import Account, call_of
from services.escalation.ledger import AskedNow, BudgetSpent, Ledger, TooManyCalls
from services.escalation.ledger.store import calls_of_batch, stay_behind
from services.escalation.providers import NotThere, Prompt, Provider, ProviderError, Refused
from services.escalation.providers.batches import HOURS, Line, Remote

log = logging.getLogger(__name__)

GRACE = timedelta(hours=2)
"""For which a batch may last longer than its provider says."""
STOPPING = timedelta(hours=1)
"""The last part of it, in which a batch that was stopped may come to its end."""
LONGEST = HOURS + 3 * GRACE
"""In which what is handed in has come to its end, whatever became of it, and somebody has seen it.
"""
APPEARS = timedelta(minutes=30)
"""In which a batch that was made is handed in, and one that was handed in and arrived is in its
provider's list."""
FIRST_LINES = 10
"""Of a batch that may be ours: one of them has an id of ours, if it is."""
AGAIN = timedelta(hours=1)
"""After which it is tried again to delete what is over and still at its provider."""
DELETES = timedelta(days=2)
"""For which that is tried, from the time at which a batch is over at the latest."""
CLOCKS = timedelta(minutes=10)
"""By which the provider's clock may differ."""
REQUESTS_MOST = 1_000
BYTES_MOST = 64 << 20
"""Of the prompts of one batch: providers take more."""


class _GivenUp(Exception):
    """Another process took whoever prepares the batch for dead."""


@dataclass
class HandedIn:
    """What became of questions that were to be handed in."""

    batch: Batch | None = None
    """None if nothing was."""
    spent: str = ""
    """Why the budget has no room for more; empty if it has."""
    taken: int = 0
    """How many of the first ones were looked at: the others are for another batch."""
    dropped: dict[int, str] = field(default_factory=dict)
    """Questions, by their place, that may not be asked any more, and why."""


class Batches:
    """Batches of one ledger. Processes may share it.

    Args:
        settled: is told when the calls of a batch are settled, or counted in full, before it
            counts as over.
    """

    def __init__(
        self,
        ledger: Ledger,
        clock: Callable[[], datetime],
        settled: Callable[[Batch], None] = lambda _batch: None,
    ) -> None:
        self.ledger = ledger
        self.clock = clock
        self.settled = settled

    def hand_in(
        self,
        provider: Provider,
        asked: Sequence[tuple[Account, Prompt]],
        counts: datetime | None = None,
        wanted: Callable[[Batch, int], bool] = lambda _batch, _place: True,
    ) -> HandedIn:
        """Reserve and hand in as many questions as there is money for, `REQUESTS_MOST` at the most.

        Args:
            provider: at the price of its batches.
            counts: the moment whose day and month they count for; by default now.
            wanted: whether somebody wants to know a question still, by its place, and from this
                batch; asked when all are reserved, so that nothing leaves that was deleted while
                they were, or that went with another one.

        Raises:
            ProviderStopped: nobody is to ask it.
            ProviderError: it did not take the batch. If that may be billed all the same, the batch
                stays open, and is looked for.
        """
        now = self.clock()
        batch = Batch(
            tenant=asked[0][0].tenant,
            provider=provider.name,
            model=provider.model,
            made=now,
            until=now + HOURS + GRACE,
        )
        with self.ledger.database.write() as session:
            store.add(session, batch)
        came = HandedIn()
        try:
            prompts = self._reserved(batch, provider, asked, counts or now, came, wanted)
        except Exception:
            self._refuse(batch, "it was not handed in")
            raise
        if not prompts:
            self._refuse(batch, came.spent or "there was nothing to hand in")
            return came
        sent = {"requests": len(prompts), "made": self.clock()}
        if not self._leaves(batch, **sent):  # it took so long that it was taken for a dead one's
            self._refuse(batch, "it was given up before it was handed in")
            return came
        batch = replace(batch, state="handing in", **sent)  # type: ignore[arg-type]
        try:
            remote = provider.hand_in(prompts, batch.id)
        except ProviderError as error:
            if not error.may_be_billed:
                self._refuse(batch, error.message)
            raise
        came.batch = self._change(batch, state="handed in", remote=remote.id)
        return came

    def open(self, provider: str | None = None) -> list[Batch]:
        """The batches of a provider that are not over, or of all."""
        with self.ledger.database.read() as session:
            return store.open_ones(session, provider)

    def get(self, batch_id: str) -> Batch:
        """A batch that there is."""
        with self.ledger.database.read() as session:
            return store.get(session, batch_id)

    def take(self, batch: Batch, every: timedelta) -> bool:
        """Whether it is this process's turn to look at a batch, that has had a look so long ago."""
        now = self.clock()
        with self.ledger.database.write() as session:
            return store.take(session, batch, now, now - every)

    def look(self, provider: Provider | None, batch: Batch, *, alone: bool = False) -> Batch:
        """Find out how a batch is, and settle what came of it. Returns it as it is then.

        Args:
            provider: None if it may not be asked any more.
            alone: whether no other process can be at work with it.

        Raises ProviderError: the provider does not say, and there is time to ask again.
        """
        if batch.state == "preparing":
            if not alone and self.clock() <= batch.made + APPEARS:
                return batch
            if not self._leaves(batch):  # whoever prepares it is slow, and goes on
                return self.get(batch.id)
            return self._refuse(batch, "whoever prepared it died before it was handed in")
        try:
            if provider is None:
                raise Refused(
                    f"{batch.provider} is gone from the policy, or takes no batches there"
                )
            found = self._found(provider, batch) if batch.remote is None else batch
            if found.remote is None:
                return found
            return self._looked(provider, found, provider.look(found.remote or ""))
        except ProviderError as error:
            if self.clock() <= batch.until:
                raise
            return self._lose(batch, error.message)

    def free_stranded(self) -> int:
        """End reservations for batches that are over, which their processes left behind: nothing of
        one that never left is billed, all else counts in full. Returns how many there were.
        """
        with self.ledger.database.read() as session:
            calls = store.stranded(session, REQUESTS_MOST)
        for call_id, left in calls:
            (self.ledger.assume if left else self.ledger.release)(call_id)
        if calls:
            log.warning("calls of batches that are over were reserved", extra={"calls": len(calls)})
        return len(calls)

    def left(self, after: timedelta = AGAIN) -> list[Batch]:
        """The batches that are over and of which a provider may still have words: what nobody has
        tried to delete for so long.
        """
        now = self.clock()
        with self.ledger.database.read() as session:
            return store.left(session, now - after, now - DELETES)

    def delete(self, provider: Provider, batch: Batch) -> None:
        """Try once more to delete what is left of a batch, unless another process does."""
        now = self.clock()
        with self.ledger.database.write() as session:
            mine = store.take_left(session, batch, now)
        if mine:
            self._forget(provider, batch)

    def _reserved(
        self,
        batch: Batch,
        provider: Provider,
        asked: Sequence[tuple[Account, Prompt]],
        counts: datetime,
        came: HandedIn,
        wanted: Callable[[Batch, int], bool],
    ) -> dict[str, Prompt]:
        prompts: dict[str, Prompt] = {}
        places: dict[str, int] = {}
        size = 0

        def still_prepared(session: Any) -> None:
            if not store.is_preparing(session, batch):
                raise _GivenUp

        for place, (account, prompt) in enumerate(asked):
            size += provider.worst_case(prompt).input
            if len(prompts) >= REQUESTS_MOST or size > BYTES_MOST:
                break
            came.taken = place + 1
            made = replace(
                call_of(account, provider, prompt, counts), until=batch.until, batch=batch.id
            )
            try:
                self.ledger.reserve(made, account.caps, allow=still_prepared)
            except _GivenUp:
                break
            except BudgetSpent as error:
                came.spent = error.message
                break
            except TooManyCalls as error:
                came.dropped[place] = error.message
            except AskedNow:
                continue
            else:
                prompts[made.id], places[made.id] = prompt, place
        for call_id, place in places.items():
            if not wanted(batch, place):
                self.ledger.release(call_id)
                with self.ledger.database.write() as session:
                    stay_behind(session, batch.tenant, call_id)
                del prompts[call_id]
                came.dropped[place] = "nobody wants to know any more"
        return prompts

    def _found(self, provider: Provider, batch: Batch) -> Batch:
        """Look for a batch of which nobody knows whether it arrived."""
        listed = provider.listed(batch.made - CLOCKS)
        with self.ledger.database.read() as session:
            known = store.remotes(session, provider.name)
            mine = set(calls_of_batch(session, batch.tenant, batch.id))
        undecided = False
        for remote in (one for one in listed if one.id not in known):
            if provider.marks_batches:
                ours = remote.mark == batch.id
            elif remote.requests not in (0, batch.requests):
                ours = False
            elif remote.state == "working":
                ours, undecided = False, True
            else:
                first = list(itertools.islice(provider.lines(remote), FIRST_LINES))
                ours = any(line.id in mine for line in first)
                undecided = undecided or not first
            if ours:
                return self._change(batch, state="handed in", remote=remote.id)
        now = self.clock()
        if undecided or now <= batch.made + APPEARS:
            return batch if now <= batch.until else self._lose(batch, "nobody knows what became")
        return self._refuse(batch, "it never arrived: the provider's list does not have it")

    def _looked(self, provider: Provider, batch: Batch, remote: Remote) -> Batch:
        if remote.state == "failed":
            refused = self._refuse(batch, f"{provider.name} refused it as a whole")
            return self._forget(provider, refused, remote)
        if remote.state == "working":
            left = batch.until - self.clock()
            if left <= STOPPING and not remote.stopping:
                self._cancel(provider, remote)
            if left >= timedelta(0):
                return batch
            lost = self._lose(batch, f"{provider.name} was not done in its time")
            return self._forget(provider, lost, remote)
        self._settle_all(provider, batch, remote)
        self.settled(batch)
        ended = self._end(batch, state="ended")
        return self._forget(provider, ended, remote)  # not before nobody needs it any more

    def _settle_all(self, provider: Provider, batch: Batch, remote: Remote) -> None:
        """Settle each call by its first line; what has none may be billed."""
        with self.ledger.database.read() as session:
            mine = calls_of_batch(session, batch.tenant, batch.id)
        seen: set[str] = set()
        foreign = 0
        for line in provider.lines(remote):
            foreign += line.id not in mine
            if line.id in mine and line.id not in seen:
                seen.add(line.id)
                self._settle(provider, line)
        for call_id, state in mine.items():
            if call_id not in seen and state == "reserved":
                self.ledger.assume(call_id)
        if foreign:
            log.warning(
                "a batch has answers to what was not asked",
                extra={"provider": provider.name, "batch": batch.id, "answers": foreign},
            )

    def _settle(self, provider: Provider, line: Line) -> None:
        if line.end == "not billed":
            self.ledger.release(line.id)
        elif line.reply is None:
            self.ledger.assume(line.id)
        elif line.reply.usage is None:
            self.ledger.assume(line.id, asdict(line.reply))
        else:
            usage = line.reply.usage
            self.ledger.settle(line.id, usage, provider.price.of(usage), asdict(line.reply))

    def _refuse(self, batch: Batch, reason: str) -> Batch:
        """Nothing of it is billed."""
        for call_id in self._calls(batch):
            self.ledger.release(call_id)
        return self._end(batch, state="refused", reason=reason)

    def _lose(self, batch: Batch, reason: str) -> Batch:
        """What of it has no bill counts in full."""
        for call_id in self._calls(batch):
            self.ledger.assume(call_id)
        self.settled(batch)
        log.warning("a batch is given up", extra={"batch": batch.id, "reason": reason})
        return self._end(batch, state="lost", reason=reason)

    def _calls(self, batch: Batch) -> list[str]:
        with self.ledger.database.read() as session:
            return list(calls_of_batch(session, batch.tenant, batch.id))

    def _leaves(self, batch: Batch, **values: object) -> bool:
        """Take a batch that is prepared, to hand it in or to give it up: one process alone has it
        then. Returns whether we do. One that dies with it leaves a batch that never arrived.
        """
        with self.ledger.database.write() as session:
            return store.change(session, batch, ("preparing",), state="handing in", **values)

    def _end(self, batch: Batch, **values: object) -> Batch:
        """A batch is over; what its provider has of it is deleted from then on."""
        return self._change(batch, looked=self.clock(), **values)

    def _change(self, batch: Batch, **values: object) -> Batch:
        """Write down a step, unless another process was there first. Returns it as it is then."""
        with self.ledger.database.write() as session:
            if store.change(session, batch, OPEN, **values):
                return replace(batch, **values)  # type: ignore[arg-type]
            return store.get(session, batch.id)

    def _cancel(self, provider: Provider, remote: Remote) -> None:
        try:
            provider.cancel(remote.id)
        except ProviderError as error:
            log.warning("a batch was not stopped", extra={"reason": error.message})

    def _forget(self, provider: Provider, batch: Batch, remote: Remote | None = None) -> Batch:
        """Its words are here, or of no use; those at the provider are deleted. What can't be
        deleted now is tried again. Returns the batch as it is then.
        """
        if reason := self._stays(provider, batch, remote):
            told = {"batch": batch.id, "provider": provider.name, "reason": reason}
            log.warning("a batch was not deleted at its provider", extra=told)
            return batch
        with self.ledger.database.write() as session:
            store.change(session, batch, OVER, looked=None)
        return replace(batch, looked=None)

    def _stays(self, provider: Provider, batch: Batch, remote: Remote | None) -> str:
        """Delete what there is of a batch. Returns why there may be more; empty if nothing is."""
        try:
            found = remote or provider.look(batch.remote or "")
            provider.forget(found)
        except NotThere as error:  # so it is too where its address or key is another by now
            if not provider.deletes_batches:
                return error.message
            told = {"batch": batch.id, "provider": provider.name, "reason": error.message}
            log.warning("a batch was not there to be deleted", extra=told)
            return ""
        except ProviderError as error:
            return error.message
        return "it is not done: its answers come later" if found.state == "working" else ""
