"""The rate limit of a provider, over all workers and tenants."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from services.escalation.calls import TooLate
from services.escalation.domain import Outcome
from services.escalation.gateway import Asker, Gateway, NotYet
from services.escalation.ledger import Caps, Ledger
from services.escalation.policy.policy import read_policies
from services.escalation.providers import Pace, RateLimited
from services.escalation.store import MIGRATIONS
from shared.errors import SettingsError
from shared.policy.prices import Usage
from shared.storage import Store
from tests.contract.ledger.calls import Clock, call
from tests.fakes.provider import Labels, StandIn
from tests.unit.escalation.builders import question

CAPS = Caps(10**12, 10**12)
LAW = "This Agreement is governed by the laws of Delaware."
POLICY = """
[providers.stand-in]
protocol = "own"
model = "one"
url = "{first}"
price = {{ input = "3", output = "15", as_of = 2026-01-31 }}
{pace}

[providers.stand-in-2]
protocol = "own"
model = "two"
url = "{second}"
price = {{ input = "3", output = "15", as_of = 2026-01-31 }}

[tenants.default]
providers = [{asked}]
external_kinds = ["contract"]
day_usd = "1000"
month_usd = "1000"

[tenants.rivals]
providers = [{asked}]
external_kinds = ["contract"]
day_usd = "1000"
month_usd = "1000"
"""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path / 'e.db'}", "escalation", MIGRATIONS)
    store.migrate()
    yield store
    store.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_requests_of_all_workers_and_tenants_count_together(database: Store, clock: Clock) -> None:
    one, two = Ledger(database, clock), Ledger(database, clock)
    pace = Pace(requests=2)
    one.reserve(call(1, clock=clock), CAPS, pace)
    clock.move(seconds=40)
    two.reserve(call(2, clock=clock, tenant="rivals"), CAPS, pace)
    clock.move(seconds=10)
    for book in (one, two):
        with pytest.raises(RateLimited) as held:
            book.reserve(call(3, clock=clock), CAPS, pace)
        assert held.value.wait == 10.0
    one.reserve(call(4, clock=clock, provider="other"), CAPS, pace)
    clock.move(seconds=11)
    two.reserve(call(3, clock=clock), CAPS, pace)
    with pytest.raises(RateLimited) as held:
        one.reserve(call(6, clock=clock), CAPS, pace)
    assert held.value.wait == 39.0


def test_a_released_call_counts_as_a_request(database: Store, clock: Clock) -> None:
    book, pace = Ledger(database, clock), Pace(requests=1, tokens=1_000)
    refused = call(1, clock=clock, tokens=900)
    book.reserve(refused, CAPS, pace)
    book.release(refused.id)
    with pytest.raises(RateLimited):
        book.reserve(call(2, clock=clock, tokens=900), CAPS, pace)
    book.reserve(call(2, clock=clock, tokens=900), CAPS, Pace(tokens=1_000))  # it took no tokens


def test_tokens_count_with_their_worst_case_until_the_bill(database: Store, clock: Clock) -> None:
    book, pace = Ledger(database, clock), Pace(tokens=1_000)
    first = call(1, clock=clock, tokens=800)
    book.reserve(first, CAPS, pace)
    clock.move(seconds=5)
    with pytest.raises(RateLimited) as held:
        book.reserve(call(2, clock=clock, tokens=300), CAPS, pace)
    assert held.value.wait == 55.0
    book.settle(first.id, Usage(150, 50), 1, {"text": "{}"})
    book.reserve(call(2, clock=clock, tokens=300), CAPS, pace)
    with pytest.raises(RateLimited):
        book.reserve(call(3, clock=clock, tokens=5_000), CAPS, pace)
    clock.move(seconds=61)
    book.reserve(call(3, clock=clock, tokens=5_000), CAPS, pace)
    with pytest.raises(RateLimited):
        book.reserve(call(4, clock=clock, tokens=1), CAPS, pace)


def test_concurrent_calls_keep_the_limit(database: Store, clock: Clock) -> None:
    book, pace = Ledger(database, clock), Pace(requests=5)

    def ask(number: int) -> bool:
        try:
            book.reserve(call(number, clock=clock), CAPS, pace)
        except RateLimited:
            return False
        return True

    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(ask, range(20))) == 5


class Asking:
    """Doors of two workers, and the stand-ins before them."""

    def __init__(self, folder: Path, database: Store, clock: Clock, pace: str, asked: str) -> None:
        labels = Labels([("Governing Law", LAW)])
        self.first, self.second = StandIn(labels), StandIn(labels)
        self.clock = clock
        policy = folder / "policy.toml"
        urls = {"first": self.first.url, "second": self.second.url}
        policy.write_text(POLICY.format(**urls, pace=pace, asked=asked))
        self.gateways = [
            Gateway(read_policies(policy), Ledger(database, clock), timedelta(minutes=10), clock)
            for _ in range(2)
        ]

    def ask(self, number: int, tenant: str = "default", since: datetime | None = None) -> Outcome:
        """Ask about a new text."""
        text = f"{number}. Law. {LAW}"
        asker = Asker(tenant, f"doc_{number}", f"es_{number}", since or self.clock())
        return self.gateways[number % 2].ask_all([(asker, question(text))], text)[0]


@pytest.mark.parametrize("pace", ["requests_minute = 3", "tokens_minute = 10_000"])
def test_the_next_provider_is_asked_at_the_limit(
    tmp_path: Path, database: Store, clock: Clock, pace: str
) -> None:
    asking = Asking(tmp_path, database, clock, pace, '"stand-in", "stand-in-2"')
    with asking.first, asking.second:
        for number in range(200):
            proposal = asking.ask(number, "default" if number % 3 else "rivals").proposal
            assert proposal
            if len(asking.second.requests) == 2:
                break
        first = len(asking.first.requests)
        assert first + 2 == number + 1
        assert first == 3 or pace.startswith("tokens")
        clock.move(seconds=61)
        assert asking.ask(300).proposal
        assert len(asking.first.requests) == first + 1


def test_without_another_provider_the_question_waits(
    tmp_path: Path, database: Store, clock: Clock
) -> None:
    asking = Asking(tmp_path, database, clock, "requests_minute = 1", '"stand-in"')
    with asking.first, asking.second:
        assert asking.ask(1).proposal
        with pytest.raises(NotYet, match="the rate limit of"):
            asking.ask(2)
        clock.move(seconds=61)
        assert asking.ask(2).proposal
        assert len(asking.first.requests) == 2


def test_waiting_for_the_limit_does_not_use_patience(
    tmp_path: Path, database: Store, clock: Clock
) -> None:
    asking = Asking(tmp_path, database, clock, "requests_minute = 1", '"stand-in"')
    with asking.first, asking.second:
        asked = clock()
        clock.move(minutes=11)
        assert asking.ask(1).proposal
        clock.move(seconds=20)
        with pytest.raises(NotYet, match="the rate limit of") as held:
            asking.ask(2, since=asked)
        assert held.value.wait == 40
        clock.move(minutes=4)
        assert asking.ask(2, since=asked).reason == TooLate.message
        assert len(asking.first.requests) == 1


def test_rate_limits_do_not_change_the_version(tmp_path: Path) -> None:
    def version(pace: str) -> object:
        policy = tmp_path / "policy.toml"
        urls = {"first": "http://127.0.0.1:9", "second": "http://127.0.0.1:9"}
        policy.write_text(POLICY.format(**urls, pace=pace, asked='"stand-in"'))
        return read_policies(policy).version("default")

    assert version("") == version("requests_minute = 5\ntokens_minute = 9_000")
    with pytest.raises(SettingsError, match="requests_minute"):
        version("requests_minute = 0")
