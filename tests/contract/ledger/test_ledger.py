"""Every call is reserved first, no cap is exceeded, and a call with an unknown bill counts."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from services.escalation.ledger import (
    AskedNow,
    BudgetSpent,
    Caps,
    Ledger,
    ProviderStopped,
    TooManyCalls,
)
from services.escalation.ledger.store import forget, mark_verified, sums
from shared.policy.prices import Usage
from shared.storage import Store
from tests.contract.ledger.calls import Clock, call, states

CAPS = Caps(day=250, month=400)
TOKENS = Usage(10, 2)
REPLY: dict[str, Any] = {"text": "{}"}


def spent(database: Store, tenant: str = "default", day: str = "2026-01-31") -> tuple[int, int]:
    with database.read() as session:
        return sums(session, tenant, day)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def book(database: Store, clock: Clock) -> Ledger:
    return Ledger(database, clock)


def test_the_worst_case_counts_until_the_bill_is_there(book: Ledger, database: Store) -> None:
    one, two, three = call(1), call(2), call(3)
    book.reserve(one, CAPS)
    book.reserve(two, CAPS)
    with pytest.raises(BudgetSpent, match="2026-01-31"):
        book.reserve(three, CAPS)
    assert spent(database) == (200, 200)
    book.settle(one.id, TOKENS, 30, REPLY)
    book.settle(one.id, TOKENS, 30, REPLY)  # a repeated message
    assert spent(database) == (130, 130)
    book.reserve(three, CAPS)
    book.release(two.id)
    book.release(two.id)
    assert spent(database) == (130, 130)
    assert sorted(states(database).values()) == [
        ("released", 0),
        ("reserved", 100),
        ("settled", 30),
    ]


def test_caps_are_of_a_day_a_month_and_a_tenant(
    book: Ledger, database: Store, clock: Clock
) -> None:
    clock.move(days=-1)
    book.reserve(call(1, 250, clock), CAPS)
    with pytest.raises(BudgetSpent, match=r"2026-01-30$"):
        book.reserve(call(2, 1, clock), CAPS)
    book.reserve(call(2, 250, clock, tenant="rivals"), CAPS)
    clock.move(days=1)
    book.reserve(call(3, 150, clock), CAPS)
    with pytest.raises(BudgetSpent, match=r"2026-01$"):
        book.reserve(call(4, 1, clock), CAPS)
    clock.move(days=1)
    book.reserve(call(5, 250, clock), CAPS)
    assert spent(database, day="2026-01-31") == (150, 400)
    assert spent(database, day="2026-02-01") == (250, 250)
    assert spent(database, "rivals", "2026-01-30") == (250, 250)
    states(database)


def test_a_bill_counts_for_the_day_of_its_reservation(
    book: Ledger, database: Store, clock: Clock
) -> None:
    one = call(1)
    book.reserve(one, CAPS)
    clock.move(hours=13)
    book.settle(one.id, TOKENS, 40, REPLY)
    assert spent(database) == (40, 40)
    assert spent(database, day="2026-02-01") == (0, 0)


def test_what_may_be_billed_counts_in_full_until_a_bill_comes(
    book: Ledger, database: Store, clock: Clock
) -> None:
    lost, died, alive = call(1), call(2, 50), call(3, 70, until=Clock().now.replace(hour=20))
    for one in (lost, died, alive):
        book.reserve(one, CAPS)
    book.assume(lost.id)
    assert book.recover() == 0
    clock.move(seconds=91)
    assert book.recover() == 1
    assert book.recover() == 0
    assert states(database) == {
        lost.id: ("assumed", 100),
        died.id: ("assumed", 50),
        alive.id: ("reserved", 70),
    }
    book.release(lost.id)  # too late: its cost is unknown by now
    assert spent(database) == (220, 220)
    book.settle(died.id, TOKENS, 20, REPLY)
    assert spent(database) == (190, 190)


def test_who_bills_more_than_was_reserved_is_stopped(
    book: Ledger, database: Store, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = call(1), call(2)
    book.reserve(one, CAPS)
    book.reserve(two, CAPS)
    book.settle(one.id, Usage(10, 9_000), 500, REPLY)
    (logged,) = [vars(line) for line in caplog.records if "billed more" in line.message]
    assert (logged["call"], logged["tenant"]) == (one.id, one.tenant)
    assert (logged["billed_micro_usd"], logged["reserved_micro_usd"]) == (500, 100)
    (stop,) = book.stops()
    assert stop.provider == "acme"
    assert spent(database) == (600, 600)
    with pytest.raises(ProviderStopped, match="acme is stopped: it billed more") as error:
        book.reserve(call(3, 1, tenant="rivals"), CAPS)
    assert "--resume acme" in error.value.message
    for own in (one.id, one.tenant, "500", "100"):  # concerns only its tenant
        assert own not in error.value.message + stop.reason
    book.reserve(call(4, 100, tenant="rivals", provider="other"), CAPS)
    book.settle(two.id, Usage(10, 9_000), 700, REPLY)  # in hand when the first came
    assert book.stops() == [stop]
    assert book.resume("acme")
    assert not book.resume("acme")
    book.reserve(call(3, 1, tenant="rivals"), CAPS)
    states(database)


def test_the_same_is_asked_once_at_a_time_and_remembered(
    book: Ledger, database: Store, clock: Clock
) -> None:
    one = call(1)
    same = call(2, content=one.content)
    book.reserve(one, CAPS)
    with pytest.raises(AskedNow):
        book.reserve(same, CAPS)
    book.reserve(call(3, content=one.content, tenant="rivals"), CAPS)
    assert spent(database) == (100, 100)
    book.settle(one.id, TOKENS, 10, REPLY)
    assert book.recall("default", one.content, "es_2") is None
    assert book.recall("default", one.content, "es_1") == (one.id, REPLY)
    with database.write() as session:
        mark_verified(session, "default", one.id)
    assert book.recall("default", one.content, "es_2") == (one.id, REPLY)
    assert book.recall("rivals", one.content, "es_3") is None
    with database.write() as session:
        forget(session, "default", "doc_1")
    assert book.recall("default", one.content, "es_1") is None
    assert spent(database) == (10, 10)  # the money stays


def test_a_reservation_of_the_same_escalation_is_one_of_a_dead_process(
    book: Ledger, database: Store, clock: Clock
) -> None:
    first = call(1)
    book.reserve(first, CAPS)
    again = call(1)
    book.reserve(again, CAPS)
    assert states(database) == {first.id: ("assumed", 100), again.id: ("reserved", 100)}
    book.settle(again.id, TOKENS, 10, REPLY)
    other = call(2)
    book.reserve(other, CAPS)
    clock.move(seconds=100)  # its time is over too, but it is not recovered yet
    book.reserve(call(3, 10, clock, content=other.content), CAPS)


def test_an_escalation_has_so_many_calls(book: Ledger, database: Store) -> None:
    for _ in range(6):
        free = call(1, 10)
        book.reserve(free, CAPS)
        book.release(free.id)
    for _ in range(4):
        one = call(1, 10)
        book.reserve(one, CAPS)
        book.assume(one.id)
    with pytest.raises(TooManyCalls):
        book.reserve(call(1, 10), CAPS)
    assert spent(database) == (40, 40)


def test_fifty_workers_exceed_no_cap(database: Store) -> None:
    caps = Caps(day=2_000, month=1_900)
    over: list[tuple[int, int]] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            seen = spent(database)
            if seen[0] > caps.day or seen[1] > caps.month:
                over.append(seen)

    def work(number: int) -> int:
        chance, made = random.Random(number), 0
        book = Ledger(database, Clock())
        for turn in range(6):
            one = call(number * 100 + turn, chance.randrange(1, 120))
            try:
                book.reserve(one, caps)
            except BudgetSpent:
                continue
            made += 1
            end = chance.randrange(4)
            if end == 0:
                book.release(one.id)
            elif end == 1:
                book.assume(one.id)
            elif end == 2:
                book.settle(one.id, TOKENS, chance.randrange(one.worst + 1), REPLY)
        return made

    watcher = threading.Thread(target=watch)
    watcher.start()
    with ThreadPoolExecutor(50) as pool:
        made = sum(pool.map(work, range(50)))
    done.set()
    watcher.join()
    assert over == []
    assert 1_700 < spent(database)[1] <= caps.month
    assert len(states(database)) == made


def test_the_same_content_is_reserved_once_by_fifty(database: Store) -> None:
    start = threading.Barrier(20)

    def work(number: int) -> bool:
        start.wait()
        try:
            Ledger(database, Clock()).reserve(call(number, 1, content="c" * 64), CAPS)
        except AskedNow:
            return False
        return True

    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(work, range(20))) == 1
    assert spent(database) == (1, 1)
