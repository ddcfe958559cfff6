"""Reserve the worst case, call, settle: each a transaction of its own, with the call in between.

A process may die at any point. Before the reservation nothing is owed; after it, the worst case
counts, until the call is settled or its time is over, and then for good.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from services.escalation.ledger import store
from services.escalation.ledger.domain import (
    AskedNow,
    BudgetSpent,
    Call,
    Caps,
    ProviderStopped,
    Stop,
    TooManyCalls,
)
from services.escalation.providers.base import AtPace, Pace, Usage
from shared import metrics
from shared.storage import Store

log = logging.getLogger(__name__)

CALLS_MOST = 4
"""Calls for one escalation that may cost something: a question, its repair, and two that failed."""
RECOVERED_AT_ONCE = 100
MINUTE = timedelta(minutes=1)
NO_PACE = Pace()


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


class Ledger:
    """The ledger in one database. Threads and processes may share it."""

    def __init__(self, database: Store, clock: Callable[[], datetime] = utc_now) -> None:
        self.database = database
        self.clock = clock

    def reserve(
        self,
        call: Call,
        caps: Caps,
        pace: Pace = NO_PACE,
        allow: Callable[[Any], None] = lambda _session: None,
    ) -> None:
        """Set the worst case aside.

        Args:
            pace: of the provider, for a call that is made now.
            allow: gets the session of the reservation, and raises what else speaks against it.

        Raises:
            AtPace: it was asked as much in the last minute as it may be.
            ProviderStopped: nobody is to ask it.
            BudgetSpent: it might exceed the cap of the day or the month.
            TooManyCalls: the escalation has had all of its calls.
            AskedNow: another escalation asks the same just now; its answer will serve both.
        """
        now = self.clock()
        with self.database.write() as session:
            allow(session)
            for stop in store.stops(session):
                if stop.provider == call.provider:
                    raise ProviderStopped(f"{call.provider} is stopped: {stop.reason}")
            if pace:
                self._keep_pace(session, call, pace, now)
            if short := store.take(session, call.tenant, call.day, call.worst, caps):
                raise BudgetSpent(
                    f"a call to {call.provider} may cost US$ {call.worst / 1e6:.6f}, which the "
                    f"budget for {short} does not have any more"
                )
            for other in store.open_calls(session, call.tenant, call.content):
                if other.escalation_id == call.escalation_id and other.batch is None:
                    self._assume(session, other.call_id)  # of a process that died
                elif other.until >= now:
                    raise AskedNow("the same is being asked just now, for another result")
            if store.calls_of(session, call.tenant, call.escalation_id) >= CALLS_MOST:
                raise TooManyCalls(f"it was asked {CALLS_MOST} times without a usable answer")
            store.add(session, call, now)

    def _keep_pace(self, session: Any, call: Call, pace: Pace, now: datetime) -> None:
        """Raise AtPace if a call would be too many within a minute. One that alone has more tokens
        than a minute may have goes when nothing else does.
        """
        store.keep_pace(session, call.provider)
        asked = store.asked_since(session, call.provider, now - MINUTE)
        times = [moment for moment, _ in asked]
        due: list[datetime] = []
        if pace.requests is not None and len(asked) >= pace.requests:
            due.append(times[len(asked) - pace.requests] + MINUTE)
        if pace.tokens is not None:
            over = sum(tokens for _, tokens in asked) + call.tokens - pace.tokens
            for moment, tokens in asked:
                if over <= 0:
                    break
                over -= tokens
                due.append(moment + MINUTE)
        if due:
            wait = max(due) - now
            raise AtPace(
                f"{call.provider} was asked as much in the last minute as the policy allows",
                wait=max(wait.total_seconds(), 0.0),
            )

    def settle(self, call_id: str, usage: Usage, micro_usd: int, reply: dict[str, Any]) -> None:
        """Replace the worst case by the bill, and keep the answer. A provider that bills more is
        stopped. Twice is as good as once.
        """
        with self.database.write() as session:
            row = store.locked(session, call_id, sums=True)
            if row is None or row.state in ("settled", "released"):
                return
            store.correct(session, row.tenant, row.day, micro_usd - row.micro_usd)
            store.change(session, row, "settled", micro_usd, (usage.input, usage.output))
            store.remember(session, row, reply)
            excess = micro_usd - row.reserved_micro_usd
            new = excess > 0 and self._stop(session, row)
        told = row.micro_usd if row.state == "assumed" else 0
        metrics.escalation_spend_usd_total.labels(row.provider).inc(max(0, micro_usd - told) / 1e6)
        if new:
            log.error(
                "a provider billed more than was reserved, and is stopped",
                extra={
                    "provider": row.provider,
                    "tenant": row.tenant,
                    "call": call_id,
                    "billed_micro_usd": micro_usd,
                    "reserved_micro_usd": row.reserved_micro_usd,
                },
            )

    def release(self, call_id: str) -> None:
        """The call was not billed: what was set aside is free again."""
        with self.database.write() as session:
            row = store.locked(session, call_id, sums=True)
            if row is not None and row.state == "reserved":
                store.correct(session, row.tenant, row.day, -row.micro_usd)
                store.change(session, row, "released", 0, (0, 0))

    def assume(self, call_id: str, reply: dict[str, Any] | None = None) -> None:
        """The call may be billed, nobody knows with how much: the worst case counts."""
        with self.database.write() as session:
            row = self._assume(session, call_id)
            if row is not None and reply is not None:
                store.remember(session, row, reply)

    def recover(self) -> int:
        """Count reservations whose time is over, for their processes died. Returns how many."""
        with self.database.read() as session:
            overdue = store.overdue(session, self.clock(), RECOVERED_AT_ONCE)
        for call_id in overdue:
            self.assume(call_id)
        if overdue:
            log.warning("calls without an end count in full", extra={"calls": len(overdue)})
        return len(overdue)

    def recall(self, tenant: str, content: str, escalation_id: str) -> tuple[str, Any] | None:
        """The call that had the same content, and its answer; None if there is none to be used."""
        with self.database.read() as session:
            row = store.recall(session, tenant, content, escalation_id)
            return (row.call_id, row.reply) if row else None

    def stops(self) -> list[Stop]:
        """The providers that are stopped."""
        with self.database.read() as session:
            return store.stops(session)

    def resume(self, provider: str) -> Stop | None:
        """Let a provider go on; returns how it was stopped, None if it was not."""
        with self.database.write() as session:
            known = {stop.provider: stop for stop in store.stops(session)}
            return known.get(provider) if store.resume(session, provider) else None

    def _assume(self, session: Any, call_id: str) -> Any:
        row = store.locked(session, call_id)
        if row is None or row.state != "reserved":
            return None
        store.change(session, row, "assumed", row.micro_usd, (0, 0))
        metrics.escalation_spend_usd_total.labels(row.provider).inc(row.micro_usd / 1e6)
        return row

    def _stop(self, session: Any, row: Any) -> bool:
        """The reason is shown to every tenant, so it says nothing of the call, which is one's."""
        reason = (
            "it billed more for a call than was reserved. An operator looks at the log of "
            "escalation and at the provider's own bill; then "
            f"`smallprint costs --resume {row.provider}` lets it go on"
        )
        return store.stop(session, row.provider, self.clock(), row.call_id, reason)
