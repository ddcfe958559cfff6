"""Batches are kept alike by every database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from infra.stand_in import Labels, StandIn
from services.escalation.batches import Batches
from services.escalation.batches.store import remotes
from services.escalation.hearing import Account, content_of
from services.escalation.ledger import AskedNow, Caps, Ledger
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
