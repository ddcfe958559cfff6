"""What was read, how long that took, and what that is in money. Plain data; money is in US$.

Tokens are those that a specialist counts, of its own tokeniser. A frontier model counts otherwise,
by some percent; what it would have cost is what the same tokens cost by its price list: the text
once, and the words of what was found once (clauses; findings, and sentences about a filer). Its
instructions, its thoughts and the form of its answer come on top, so that the figure is a lower
bound.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from services.escalation.domain import Spend
from services.escalation.policy import TenantPolicy
from shared.errors import InvalidRequest
from shared.prices import Price, known_prices

REFERENCE = "claude-opus-5"
"""The model whose price is taken where the tenant asks none: US$ 25 for a million tokens out."""
MILLION = 1_000_000


@dataclass(frozen=True)
class Quoted:
    """Figures of the article that this began from, as they were quoted; nobody here measured them.

    US$ for a million tokens that are written, and for a day of ten million tokens.
    """

    as_of: date = date(2026, 11, 26)
    frontier_million: float = 25.0
    small_million: tuple[float, float] = (0.02, 0.10)
    tokens_a_day: int = 10_000_000
    frontier_day: float = 250.0
    small_day: tuple[float, float] = (1.0, 10.0)


QUOTED = Quoted()


@dataclass(frozen=True)
class Reading:
    """One specialist has read one document."""

    tenant: str
    document_id: str
    attempt: int
    adapter: str
    version: str
    kind: str
    day: str
    """In UTC, YYYY-MM-DD."""
    seconds: float
    tokens: int
    quoted: int
    """Tokens of what it found, in words."""


@dataclass(frozen=True)
class Work:
    """What specialists read, added up."""

    key: str
    documents: int = 0
    seconds: float = 0.0
    tokens: int = 0
    quoted: int = 0
    text: float | None = None
    """Tokens of the documents, each counted once for all specialists that read it; None: each was
    read by one."""


@dataclass(frozen=True)
class Rates:
    """What is paid for what.

    Args:
        hour: of the machine that reads.
        training_hour: of the machine that trained.
        model: whose price `price` is.
    """

    hour: Decimal
    training_hour: Decimal
    model: str
    price: Price

    @classmethod
    def of(
        cls, hour: Decimal, training_hour: Decimal, policy: TenantPolicy, model: str | None
    ) -> Rates:
        """By the price of a model that the policy or the list has: the one that is named, else the
        first that the tenant asks and that is no stand-in, else the reference. A stand-in's price
        is that of no model that the list has.

        Raises InvalidRequest for a model whose price is not known.
        """
        known = {one.model: one.price for one in policy.providers if one.stand_in}
        known |= {name: price for of in known_prices().values() for name, price in of.items()}
        known |= {one.model: one.price for one in policy.providers if not one.stand_in}
        if model is None:
            asked = (one.model for one in policy.providers if not one.stand_in)
            model = next(asked, REFERENCE)
        if model not in known:
            raise InvalidRequest(
                f"the price of {model!r} is not known: there is {', '.join(sorted(known))}"
            )
        return cls(hour, training_hour, model, known[model])

    def machine(self, work: Work) -> float:
        """What the machine cost."""
        return work.seconds * float(self.hour) / 3600

    def frontier(self, work: Work) -> float:
        """What a frontier model would have cost for the same, at the least."""
        text = work.tokens if work.text is None else work.text
        return (text * float(self.price.input) + work.quoted * float(self.price.output)) / MILLION

    def million(self, work: Work) -> float | None:
        """What a million tokens cost to read on this machine, as it was measured; None before."""
        return self.machine(work) / work.tokens * MILLION if work.tokens else None


@dataclass(frozen=True)
class Group:
    """What was spent and what was worked under one key."""

    key: str
    spend: Spend | None = None
    work: Work = field(default_factory=lambda: Work(""))


def joined(spent: Sequence[Spend], worked: Sequence[Work], *, newest: bool) -> list[Group]:
    """Both by their keys; `newest` puts the last key first."""
    money, work = {one.key: one for one in spent}, {one.key: one for one in worked}
    keys = sorted(money.keys() | work.keys(), reverse=newest)
    return [Group(key, money.get(key), work.get(key, Work(key))) for key in keys]


@dataclass(frozen=True)
class Payback:
    """When the training of a specialist has paid for itself."""

    adapter: str
    version: str
    documents: int
    """That it has read here."""
    hours: float | None
    """Of its trainings, as they were measured; None where they were not."""
    usd: float | None
    paid_each: float
    """What frontier models were paid for a document, on the average."""
    saved_each: float
    """What a frontier model would have cost for a document, less the machine and what was paid."""
    after: int | None
    """Documents after which the training is paid; None if that can't be said, or never."""


def payback(
    worked: Sequence[tuple[str, str, Work]],
    hours: Mapping[tuple[str, str], float | None],
    rates: Rates,
    paid: Mapping[tuple[str, str], Decimal],
) -> list[Payback]:
    """For each specialist that has read something here.

    Args:
        worked: adapter, version and work of each.
        hours: of the training, by adapter and version.
        rates: of the machines and of the model that would have been asked.
        paid: to frontier models for the documents that each read, in US$; see `Readings.paid`.
    """
    lines = []
    for adapter, version, work in worked:
        trained = hours.get((adapter, version))
        usd = trained * float(rates.training_hour) if trained is not None else None
        each = float(paid.get((adapter, version), 0)) / work.documents
        saved = (rates.frontier(work) - rates.machine(work)) / work.documents - each
        after = math.ceil(usd / saved) if usd is not None and saved > 0 else None
        lines.append(Payback(adapter, version, work.documents, trained, usd, each, saved, after))
    return lines
