"""Caps hold, and sums agree with the ledger, in any order of events."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.escalation.ledger import (
    AskedNow,
    BudgetSpent,
    Call,
    Caps,
    Ledger,
    ProviderStopped,
    TooManyCalls,
)
from services.escalation.ledger.store import ledger
from services.escalation.store import MIGRATIONS
from shared.policy.prices import Usage
from shared.storage import Store
from tests.contract.ledger.calls import Clock, call, states

CAPS = Caps(day=300, month=500)
numbers = st.integers(0, 3)


class Money(RuleBasedStateMachine):
    """A ledger that is used, abandoned and recovered; beside it what a bookkeeper would write."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.database = Store(
            f"sqlite:///{Path(self.folder.name) / 'e.db'}", "escalation", MIGRATIONS
        )
        self.database.migrate()
        self.clock = Clock()
        self.book = Ledger(self.database, self.clock)
        self.calls: list[Call] = []
        self.excess: dict[str, int] = {}

    def teardown(self) -> None:
        self.database.close()
        self.folder.cleanup()

    @rule(number=numbers, worst=st.integers(0, 150), tenant=st.sampled_from(["a", "b"]))
    def reserve(self, number: int, worst: int, tenant: str) -> None:
        one = call(number, worst, self.clock, tenant=tenant, provider=f"p{number % 2}")
        before = states(self.database)
        try:
            self.book.reserve(one, CAPS)
        except (BudgetSpent, ProviderStopped, TooManyCalls, AskedNow):
            assert states(self.database) == before  # a refusal changes nothing
        else:
            self.calls.append(one)

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), share=st.floats(0, 1))
    def settle(self, data: st.DataObject, share: float) -> None:
        one = data.draw(st.sampled_from(self.calls))
        self.book.settle(one.id, Usage(1, 1), int(one.worst * share), {})

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), more=st.integers(1, 400))
    def overbill(self, data: st.DataObject, more: int) -> None:
        one = data.draw(st.sampled_from(self.calls))
        was = states(self.database)[one.id][0]
        self.book.settle(one.id, Usage(1, 1), one.worst + more, {})
        if was in ("reserved", "assumed"):
            self.excess[one.id] = more
            assert one.provider in [stop.provider for stop in self.book.stops()]

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), billed=st.booleans())
    def fail(self, data: st.DataObject, billed: bool) -> None:
        one = data.draw(st.sampled_from(self.calls))
        (self.book.assume if billed else self.book.release)(one.id)

    @rule(provider=st.sampled_from(["p0", "p1"]))
    def resume(self, provider: str) -> None:
        self.book.resume(provider)

    @rule(seconds=st.sampled_from([10, 100, 50_000]))
    def time_passes(self, seconds: int) -> None:
        self.clock.now += timedelta(seconds=seconds)

    @rule()
    def recover(self) -> None:
        self.book.recover()
        with self.database.read() as session:
            rows = session.execute(ledger.select().where(ledger.c.state == "reserved")).all()
        assert all(row.until >= self.clock.now for row in rows)

    @invariant()
    def caps_hold(self) -> None:
        found = states(self.database)  # the sums agree with the ledger
        by_period: dict[tuple[str, str], int] = {}
        for one in self.calls:
            for period in (one.day, one.day[:7]):
                counted = found[one.id][1] - self.excess.get(one.id, 0)
                key = (one.tenant, period)
                by_period[key] = by_period.get(key, 0) + counted
        for (_, period), total in by_period.items():
            assert total <= (CAPS.day if len(period) > 7 else CAPS.month)


TestMoney = Money.TestCase
TestMoney.settings = settings(
    max_examples=20,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
