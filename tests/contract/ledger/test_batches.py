"""Batches are kept alike by every database."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy.orm import Session

from infra.stand_in import Labels, StandIn
from services.escalation.batches import Batch, Batches
from services.escalation.batches.batches import AGAIN, APPEARS, DELETES
from services.escalation.batches.store import add, remotes, take_left
from services.escalation.hearing import Account, content_of
from services.escalation.ledger import AskedNow, Call, Caps, Ledger
from services.escalation.masking import mask
from services.escalation.prompting import first_prompt
from services.escalation.providers import Prompt, Provider
from shared.events import BlobRef
from shared.events.questions import Question
from shared.prices import Price
from shared.storage import Store
from tests.contract.ledger.calls import Clock, call, states

LAW = "This Agreement is governed by the laws of Delaware."
EVERY = timedelta(minutes=1)


def asked(number: int) -> tuple[Account, Prompt]:
    """A question about one clause."""
    question = Question(
        kind="contract",
        text=BlobRef(sha256="0" * 64, size=len(LAW)),
        start=0,
        end=len(LAW),
        category="Governing Law",
        definition=f"Which? ({number})",
    )
    account = Account("default", f"doc_{number}", f"es_{number}", "contract", Caps(10**7, 10**7))
    return account, first_prompt(question, mask(LAW, frozenset()))


@pytest.mark.parametrize("protocol", ["anthropic", "openai"])
def test_a_batch_is_handed_in_looked_at_and_settled(database: Store, protocol: Any) -> None:
    """Its calls can't be asked beside it, one process looks at a time, and its money is free."""
    clock = Clock(datetime.now(UTC))
    book = Ledger(database, clock)
    batches = Batches(book, clock)
    with StandIn(Labels([("Governing Law", LAW)])) as stand_in:
        provider = Provider(
            name="stand-in",
            protocol=protocol,
            model="stand-in",
            origin=stand_in.url,
            price=Price(Decimal(3), Decimal(15), "2026-01-31"),
            key=str,
        ).at_batch_price()
        came = batches.hand_in(provider, [asked(1), asked(2)])
        assert came.batch
        (open_,) = batches.open("stand-in")
        assert open_ == came.batch
        assert [state for state, _ in states(database).values()] == ["reserved", "reserved"]
        with database.read() as session:
            assert remotes(session, "stand-in") == {came.batch.remote}
        account, prompt = asked(1)
        content = content_of(provider.name, provider.model, prompt.system, prompt.turns)
        for escalation in (1, 3):
            with pytest.raises(AskedNow):
                book.reserve(call(escalation, clock=clock, content=content), account.caps)
        assert [batches.take(open_, EVERY), batches.take(open_, EVERY)] == [True, False]
        assert batches.look(provider, open_).state == "ended"
        assert not batches.take(open_, EVERY)
        assert batches.open("stand-in") == []
        assert [state for state, _ in states(database).values()] == ["settled", "settled"]
        assert len(stand_in.bills) == 2


class Died(BaseException):
    """The process was killed."""


def one_provider() -> Provider:
    """Nobody is there."""
    price = Price(Decimal(3), Decimal(15), "2026-01-31")
    return Provider("stand-in", "openai", "stand-in", "http://127.0.0.1:9", price, str)


def held(book: Ledger, clock: Clock, place: int, then: Callable[[], None] = lambda: None) -> Any:
    """Reserves, and is held before the reservation of that number for so long that another process
    gives its batch up.
    """
    reserve, done = book.reserve, [0]

    def slow(*args: Any, **more: Any) -> None:
        done[0] += 1
        if done[0] == place:
            clock.now += APPEARS + EVERY
            other = Batches(book, clock)
            assert [other.look(None, batch).state for batch in other.open()] == ["refused"]
        if done[0] > place:
            then()
        reserve(*args, **more)

    return slow


def die() -> None:
    """Be killed."""
    raise Died


def test_nothing_is_reserved_for_a_batch_that_was_given_up(database: Store) -> None:
    """Its process was held for half an hour, goes on, and may be killed at any moment: nothing
    would ever free what it reserved.
    """
    clock = Clock(datetime.now(UTC))
    book = Ledger(database, clock)
    whole = book.reserve
    book.reserve = held(book, clock, 3, die)  # type: ignore[method-assign]
    with suppress(Died):
        Batches(book, clock).hand_in(one_provider(), [asked(number) for number in range(6)])
    book.reserve = whole  # type: ignore[method-assign]
    assert [state for state, _ in states(database).values()] == ["released"] * 2
    assert sum_of(database) == 0


def sum_of(database: Store) -> int:
    """What counts, of all days."""
    return sum(money for _, money in states(database).values())


def test_who_gives_a_batch_up_frees_what_is_reserved_at_that_moment(database: Store) -> None:
    """It waits for the reservation that is being made, and finds it."""
    clock = Clock(datetime.now(UTC))
    book = Ledger(database, clock)
    other = Batches(Ledger(database, clock), clock)
    allowed: list[bool] = []
    reserve = book.reserve
    with ThreadPoolExecutor(1) as pool:
        looks: list[Future[Any]] = []

        def slow(made: Call, caps: Caps, **more: Any) -> None:
            allow = more["allow"]

            def meanwhile(session: Session) -> None:
                allow(session)
                clock.now += APPEARS + EVERY
                looks.append(pool.submit(lambda: other.look(None, open_)))
                allowed.append(wait(looks, timeout=0.5).done == set())

            (open_,) = other.open()
            reserve(made, caps, allow=meanwhile)
            wait(looks)

        book.reserve = slow  # type: ignore[assignment, method-assign]
        came = Batches(book, clock).hand_in(one_provider(), [asked(1)])
        assert looks[0].result().state == "refused"
    assert (allowed, came.batch) == ([True], None)
    assert [state for state, _ in states(database).values()] == ["released"]


def test_what_is_reserved_for_a_batch_that_is_over_is_freed_or_counted(database: Store) -> None:
    """By a round, of whatever process left it there: free of a batch that never left, in full of
    any other; that of an open batch stays.
    """
    clock = Clock(datetime.now(UTC))
    book = Ledger(database, clock)
    rounds = Batches(book, clock)
    over: list[tuple[Any, str | None, str]] = [
        ("refused", None, "released"),
        ("refused", "batch_1", "assumed"),
        ("ended", "batch_2", "assumed"),
        ("lost", None, "assumed"),
        ("preparing", None, "reserved"),
        ("handed in", "batch_3", "reserved"),
    ]
    expected = {}
    for number, (state, remote, end) in enumerate(over):
        batch = Batch("default", "acme", "m-1", clock(), clock(), state, remote)
        with database.write() as session:
            add(session, batch)
        one = call(number, batch=batch.id)
        book.reserve(one, Caps(10**7, 10**7))
        expected[one.id] = end, 0 if end == "released" else 100
    alone = call(9)
    book.reserve(alone, Caps(10**7, 10**7))
    assert rounds.free_stranded() == 4
    assert states(database) == {**expected, alone.id: ("reserved", 100)}
    assert rounds.free_stranded() == 0


def test_what_may_still_be_at_a_provider_is_tried_one_at_a_time(database: Store) -> None:
    """Of what is over, after a while, until its time is long over."""
    clock = Clock(datetime.now(UTC))
    rounds = Batches(Ledger(database, clock), clock)
    now = clock()
    there = Batch("default", "acme", "m-1", now, now, "ended", "batch_1", looked=now)
    others = [
        replace(there, id="ba_open", state="handed in"),
        replace(there, id="ba_never", state="refused", remote=None),
        replace(there, id="ba_done", looked=None),
    ]
    with database.write() as session:
        for batch in (there, *others):
            add(session, batch)
    assert rounds.left() == []
    clock.now += AGAIN
    assert rounds.left() == [there]
    with database.write() as session:
        assert take_left(session, there, clock())
        assert not take_left(session, there, clock())
    assert rounds.left() == []
    assert [one.id for one in rounds.left(timedelta(0))] == [there.id]
    clock.now = now + DELETES + EVERY
    assert rounds.left() == []
