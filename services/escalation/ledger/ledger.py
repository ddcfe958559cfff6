"""Reserve the worst case, call, settle, each in its own transaction.

A process may crash at any point. After a reservation the worst case counts until the call is
settled. After its time-out it counts for good.
"""

from __future__ import annotations

import logging
import threading
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
from services.escalation.providers.base import Pace, RateLimited
from shared import metrics
from shared.policy.prices import Usage
from shared.runtime.rounds import PeriodicJob
from shared.storage import Store
from shared.storage.locks import lock

log = logging.getLogger(__name__)

CALLS_MOST = 4  # paid calls for one escalation at most: a question, its repair and two failures
RECOVERED_AT_ONCE = 100
MINUTE = timedelta(minutes=1)
NO_PACE = Pace()


def utc_now() -> datetime:
    """Return the current time."""
    return datetime.now(UTC)


class Ledger:
    """The ledger in a database, shared by threads and processes."""

    def __init__(self, database: Store, clock: Callable[[], datetime] = utc_now) -> None:
        self.database = database
        self.clock = clock

    def reserve(self, call: Call, caps: Caps, pace: Pace = NO_PACE) -> None:
        """Reserve the worst case of a call.

        Raises:
            RateLimited: the rate limit is reached.
            ProviderStopped: the provider is stopped.
            BudgetSpent: the call might exceed the budget.
            TooManyCalls: the escalation has used all its calls.
            AskedNow: another escalation asks the same question now.
        """
        now = self.clock()
        with self.database.write() as session:
            for stop in store.stops(session):
                if stop.provider == call.provider:
                    raise ProviderStopped(f"{call.provider} is stopped: {stop.reason}")
            if pace:
                self._keep_pace(session, call, pace, now)
            if short := store.take(session, call.tenant, call.day, call.worst, caps):
                raise BudgetSpent(
                    f"a call to {call.provider} may cost US$ {call.worst / 1e6:.6f}, which exceeds "
                    f"the budget for {short}"
                )
            for other in store.open_calls(session, call.tenant, call.content):
                if other.escalation_id == call.escalation_id:
                    self._assume(session, other.call_id)  # of a crashed process
                elif other.until >= now:
                    raise AskedNow("the same question is being asked for another result")
            if store.calls_of(session, call.tenant, call.escalation_id) >= CALLS_MOST:
                raise TooManyCalls(f"it was asked {CALLS_MOST} times without a usable answer")
            store.add(session, call, now)

    def _keep_pace(self, session: Any, call: Call, pace: Pace, now: datetime) -> None:
        """Raise RateLimited if a call exceeds the rate limit.

        A single call above the token limit is made once no other call counts.
        """
        lock(session, f"pace of {call.provider}")
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
            raise RateLimited(
                f"the rate limit of {call.provider} in the policy is reached",
                wait=max(wait.total_seconds(), 0.0),
            )

    def settle(self, call_id: str, usage: Usage, micro_usd: int, reply: dict[str, Any]) -> None:
        """Replace the worst case by the bill and store the answer, once.

        A provider that bills more than the reservation is stopped.
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
        counted = row.micro_usd if row.state == "assumed" else 0
        metrics.escalation_spend_usd_total.labels(row.provider).inc(
            max(0, micro_usd - counted) / 1e6
        )
        if new:
            log.error(
                "a provider is stopped, because it billed more than was reserved",
                extra={
                    "provider": row.provider,
                    "tenant": row.tenant,
                    "call": call_id,
                    "billed_micro_usd": micro_usd,
                    "reserved_micro_usd": row.reserved_micro_usd,
                },
            )

    def release(self, call_id: str) -> None:
        """Free the reservation of a call that was not billed."""
        with self.database.write() as session:
            row = store.locked(session, call_id, sums=True)
            if row is not None and row.state == "reserved":
                store.correct(session, row.tenant, row.day, -row.micro_usd)
                store.change(session, row, "released", 0, (0, 0))

    def assume(self, call_id: str, reply: dict[str, Any] | None = None) -> None:
        """Count the worst case of a call that may be billed."""
        with self.database.write() as session:
            row = self._assume(session, call_id)
            if row is not None and reply is not None:
                store.remember(session, row, reply)

    def recover(self) -> int:
        """Count reservations of crashed processes. Returns their number."""
        with self.database.read() as session:
            overdue = store.overdue(session, self.clock(), RECOVERED_AT_ONCE)
        for call_id in overdue:
            self.assume(call_id)
        if overdue:
            log.warning("calls of crashed processes count in full", extra={"calls": len(overdue)})
        return len(overdue)

    def recall(self, tenant: str, content: str, escalation_id: str) -> tuple[str, Any] | None:
        """Return a call with the same question and its answer, if one is usable."""
        with self.database.read() as session:
            row = store.recall(session, tenant, content, escalation_id)
            return (row.call_id, row.reply) if row else None

    def stops(self) -> list[Stop]:
        """Return the stopped providers."""
        with self.database.read() as session:
            return store.stops(session)

    def resume(self, provider: str) -> Stop | None:
        """Resume a provider. Returns its stop, if it was stopped."""
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
        """Stop a provider. All tenants see the reason, so it does not describe the call."""
        reason = (
            "it billed more for a call than was reserved. Check the log of escalation and the "
            f"provider's bill, then run `smallprint costs --resume {row.provider}`"
        )
        return store.stop(session, row.provider, self.clock(), row.call_id, reason)


class Recovery(PeriodicJob):
    """Counts calls of crashed processes as spent, after their time-out."""

    name = "recovery"

    def __init__(self, ledger: Ledger, interval: float) -> None:
        super().__init__(interval)
        self.ledger = ledger

    def work(self, stop: threading.Event) -> None:
        """One round."""
        while not stop.is_set() and self.ledger.recover():
            self.pulse.beat()
