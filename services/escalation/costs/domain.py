"""The work of specialists and its costs in US$, as plain data.

Tokens are counted by the specialists' tokeniser; a frontier model counts a few percent differently.
Its cost is computed for the text once and the results once, by its price list. Instructions and
reasoning would cost extra, so the figure is a lower bound.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from services.escalation.domain import Spend
from services.escalation.policy.policy import TenantPolicy
from shared.artefacts.loader import Training
from shared.errors import InvalidRequest
from shared.policy.prices import Price, known_prices

REFERENCE = "claude-opus-5"  # the default model of the comparison: US$ 25 for a million tokens out
MILLION = 1_000_000


@dataclass(frozen=True)
class Reading:
    """The work of one specialist on one document."""

    tenant: str
    document_id: str
    attempt: int
    adapter: str
    version: str
    kind: str
    day: str  # in UTC, YYYY-MM-DD
    seconds: float
    tokens: int
    quoted: int  # tokens of its results


@dataclass(frozen=True)
class Work:
    """The total work of specialists."""

    key: str
    documents: int = 0
    seconds: float = 0.0
    tokens: int = 0
    quoted: int = 0
    text: float | None = None
    """Tokens of the documents, each counted once for all its specialists; None: `tokens`."""


@dataclass(frozen=True)
class Rates:
    """Prices.

    Args:
        hour: US$ for an hour of the machine.
        training_hour: US$ for an hour of the training machine.
        model: the frontier model of the comparison.
    """

    hour: Decimal
    training_hour: Decimal
    model: str
    price: Price

    @classmethod
    def of(
        cls, hour: Decimal, training_hour: Decimal, policy: TenantPolicy, model: str | None
    ) -> Rates:
        """Return the prices for a model, or for the first model of the tenant, or the default.

        Raises InvalidRequest for an unknown price.
        """
        known = {one.model: one.price for one in policy.providers if one.stand_in}
        known |= {name: price for of in known_prices().values() for name, price in of.items()}
        known |= {one.model: one.price for one in policy.providers if not one.stand_in}
        if model is None:
            asked = (one.model for one in policy.providers if not one.stand_in)
            model = next(asked, REFERENCE)
        if model not in known:
            raise InvalidRequest(
                f"The price of {model!r} is unknown. Known: {', '.join(sorted(known))}."
            )
        return cls(hour, training_hour, model, known[model])

    def machine(self, work: Work) -> float:
        """Return the cost of the machine."""
        return work.seconds * float(self.hour) / 3600

    def frontier(self, work: Work) -> float:
        """Return a lower bound of the cost at the frontier model."""
        text = work.tokens if work.text is None else work.text
        return (text * float(self.price.input) + work.quoted * float(self.price.output)) / MILLION

    def million(self, work: Work) -> float | None:
        """Return the measured cost of a million tokens on this machine; None without work."""
        return self.machine(work) / work.tokens * MILLION if work.tokens else None


@dataclass(frozen=True)
class Group:
    """Spending and work under one key."""

    key: str
    spend: Spend | None = None
    work: Work = field(default_factory=lambda: Work(""))


def joined(spent: Sequence[Spend], worked: Sequence[Work], *, newest: bool) -> list[Group]:
    """Join spending and work by key; `newest` sorts descending."""
    spending, work = {s.key: s for s in spent}, {w.key: w for w in worked}
    keys = sorted(spending.keys() | work.keys(), reverse=newest)
    return [Group(key, spending.get(key), work.get(key, Work(key))) for key in keys]


@dataclass(frozen=True)
class Payback:
    """The payback of the training of a specialist."""

    adapter: str
    version: str
    documents: int  # documents read by it
    hours: float | None  # measured hours of its trainings; None: unknown
    machine: str | None
    hour_usd: float
    usd: float | None
    paid_per_document_usd: float  # mean payment to frontier models for a document
    saved_per_document_usd: float  # mean saving for a document
    after_documents: int | None  # documents until the training is paid back; None: unknown or never


def payback(
    worked: Sequence[tuple[str, str, Work]],
    trained: Callable[[str, str], Training | None],
    rates: Rates,
    paid: Mapping[tuple[str, str], Decimal],
) -> list[Payback]:
    """Compute the payback of each specialist.

    Args:
        worked: adapter, version and work of each.
        trained: finds the training of a version of an adapter, if known.
        paid: US$ paid to frontier models, see `Readings.paid`.
    """
    lines, hour = [], float(rates.training_hour)
    for adapter, version, work in worked:
        training = trained(adapter, version)
        hours = training.seconds / 3600 if training else None
        usd = hours * hour if hours is not None else None
        each = float(paid.get((adapter, version), 0)) / work.documents
        saved = (rates.frontier(work) - rates.machine(work)) / work.documents - each
        after = math.ceil(usd / saved) if usd is not None and saved > 0 else None
        machine = training.machine or None if training else None
        spent = (hours, machine, hour, usd, each, saved, after)
        lines.append(Payback(adapter, version, work.documents, *spent))
    return lines
