"""The expected value of asking a frontier model, compared with its price.

The policy file says which provider may see which kind of document, and what a prevented mistake is
worth:

    [tenants.default]
    providers = ["claude"]
    external_kinds = ["contract"]
    day_usd = "5"
    month_usd = "50"
    mistake_usd = "0.25"              # what a prevented mistake is worth; 0: nothing is asked

Services decide here which questions are worth their price. Escalation keeps the budget and has the
last word (`services/escalation/policy/policy.py` reads the whole file).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from shared.events import Kind
from shared.policy.prices import Price, StatedPrice, Usage, Usd, price_of
from shared.policy.rules import RiskRules, read_policy

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

CHARACTERS_PER_TOKEN = 4
"""An estimate for English."""
FRAME_CHARACTERS = 1_000
"""Characters of the instructions around a question."""
ANSWER_TOKENS = 40
"""Tokens of an answer without its quotes."""


@dataclass(frozen=True)
class AnswerAccuracy:
    """How often a model confirms right results and wrong ones."""

    true_positive_rate: float
    false_positive_rate: float

    def posterior(self, belief: Floats, confirmed: Flags) -> Floats:
        """Return the probability that results are right, given the model's answers (Bayes)."""
        tpr, fpr = self.true_positive_rate, self.false_positive_rate
        right = np.where(confirmed, tpr, 1 - tpr)
        wrong = np.where(confirmed, fpr, 1 - fpr)
        return belief * right / (belief * right + (1 - belief) * wrong)

    def gain(self, belief: Floats, shown: Flags) -> Floats:
        """Return by how much an answer lowers the probability of a wrong decision.

        Without an answer, a shown result is accepted if it is more likely right than wrong. A
        result that is not shown is never accepted.

        Args:
            belief: probability that each result is right, in (0, 1) [N].
            shown: whether people see it [N].
        """
        before = np.where(shown, _error_chance(belief), belief)
        yes = belief * self.true_positive_rate + (1 - belief) * self.false_positive_rate
        confirmed = np.ones(len(belief), bool)
        after = yes * _error_chance(self.posterior(belief, confirmed)) + (1 - yes) * _error_chance(
            self.posterior(belief, ~confirmed)
        )
        result: Floats = np.maximum(before - after, 0.0)
        return result


ASSUMED_ACCURACY = AnswerAccuracy(0.603, 0.164)
"""Assumed for clauses and findings. They are the recall of the best published frontier model on
CUAD's test contracts, and its false alarms per category and contract. `tests/evaluate/cascade.py`
computes both from its published answers. Nothing is published for findings."""
ASSUMED_TEXT_ACCURACY = AnswerAccuracy(0.9, 0.1)
"""Assumed for the kind of a document and the quality of a page; not measured."""


def _error_chance(belief: Floats) -> Floats:
    return np.minimum(belief, 1 - belief)


def estimated_usage(sent: int, quoted: int) -> Usage:
    """Estimate tokens from characters of the text, the question and the quotes."""
    read = FRAME_CHARACTERS + sent
    return Usage(read // CHARACTERS_PER_TOKEN, quoted // CHARACTERS_PER_TOKEN + ANSWER_TOKENS)


def other_kinds(kind: Kind, unsure: bool) -> tuple[Kind, ...]:
    """Return the other possible kinds of a document; none unless its kind is unsure."""
    kinds: tuple[Kind, ...] = get_args(Kind)
    return tuple(other for other in kinds if other != kind) if unsure else ()


@dataclass(frozen=True)
class TenantEscalationRules:
    """Which providers a tenant may use, and the value of a prevented mistake."""

    prices: Mapping[Kind, Price] = field(default_factory=dict)
    """The price of the first permitted provider, by kind. Other kinds are not asked about."""
    mistake_usd: Decimal = Decimal(0)
    external_kinds: frozenset[Kind] = frozenset()
    """Kinds whose text may go to external providers. Others may go to internal ones only."""
    hides_amounts: bool = False
    """Whether amounts are masked, so that findings can't be asked about."""
    day_usd: Decimal = Decimal(0)
    """The budget, kept by escalation."""
    month_usd: Decimal = Decimal(0)

    def price_of_any(self, kinds: Sequence[Kind]) -> Price | None:
        """Return the price for a document of any of these kinds; None: no provider may see it."""
        strictest = [kind for kind in kinds if kind not in self.external_kinds] or list(kinds)
        return self.prices.get(strictest[0])

    def expected_value(self, gain: float, weight: float, price: Price, tokens: Usage) -> float:
        """Return the expected value of a question less its price, in US$.

        Args:
            gain: expected number of prevented mistakes.
            weight: of the category.
            price: of the provider.
            tokens: of the question and its answer.
        """
        return gain * weight * float(self.mistake_usd) - price.of(tokens) / 1e6


NO_ESCALATION = TenantEscalationRules()
"""No provider is asked."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Provider(_Part):
    protocol: str
    model: str
    url: str = ""
    inside: bool = False
    price: StatedPrice | None = None


class _Tenant(_Part):
    providers: tuple[str, ...] = ()
    external_kinds: tuple[Kind, ...] = ()
    day_usd: Usd = Decimal(0)
    month_usd: Usd = Decimal(0)
    mistake_usd: Usd = RiskRules().mistake_usd
    mask: tuple[str, ...] = ()


class _File(_Part):
    providers: dict[str, _Provider] = Field(default_factory=dict)
    tenants: dict[str, _Tenant] = Field(default_factory=dict)


@dataclass(frozen=True)
class EscalationRules:
    """The escalation rules of all tenants."""

    tenants: Mapping[str, TenantEscalationRules] = field(default_factory=dict)

    def of(self, tenant: str) -> TenantEscalationRules:
        """The rules of a tenant."""
        return self.tenants.get(tenant, NO_ESCALATION)


def read_escalation_rules(path: Path | None) -> EscalationRules:
    """Read the escalation rules of a policy file. Raises SettingsError."""
    if path is None:
        return EscalationRules()
    return _rules_of(read_policy(path, _File))


def parse_escalation_rules(rules: Mapping[str, Any]) -> EscalationRules:
    """Parse the escalation rules of a stored policy."""
    return _rules_of(_File.model_validate(rules))


def _rules_of(file: _File) -> EscalationRules:
    return EscalationRules(
        {name: _tenant_rules(tenant, file.providers) for name, tenant in file.tenants.items()}
    )


def _tenant_rules(tenant: _Tenant, providers: Mapping[str, _Provider]) -> TenantEscalationRules:
    if not (tenant.day_usd and tenant.month_usd and tenant.mistake_usd):
        return NO_ESCALATION
    permitted = [providers[name] for name in tenant.providers if name in providers]
    kinds: tuple[Kind, ...] = get_args(Kind)
    prices = {kind: _first_price(permitted, kind, tenant.external_kinds) for kind in kinds}
    return TenantEscalationRules(
        {kind: price for kind, price in prices.items() if price},
        tenant.mistake_usd,
        frozenset(tenant.external_kinds),
        "amounts" in tenant.mask,
        tenant.day_usd,
        tenant.month_usd,
    )


def _first_price(
    permitted: Sequence[_Provider], kind: Kind, external_kinds: Sequence[Kind]
) -> Price | None:
    for provider in permitted:
        if provider.inside or kind in external_kinds:
            return price_of(provider.protocol, provider.model, provider.url, provider.price)
    return None
