"""Whether to ask a frontier model: what an answer is expected to make surer, against its price.

The policy file says who may be asked about what, and what a prevented mistake is worth:

    [tenants.default]
    providers = ["claude"]
    leaves = ["contract"]
    day_usd = "5"
    month_usd = "50"
    mistake_usd = "0.25"              # what a prevented mistake is worth; 0: nothing is asked

Whoever has results decides here which questions are worth their price; whether one is asked then is
up to escalation, which has the budget (`services/escalation/policy.py` reads the whole file).
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
from shared.policy import RiskRules, read_policy
from shared.prices import Price, StatedPrice, Usd, price_of

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

CHARACTERS_PER_TOKEN = 4
"""A rule of thumb for English, before anything is paid."""
FRAME = 1_000
"""Characters of the instructions that come with a question."""
WRITTEN = 40
"""Tokens of an answer beside its quotes."""


@dataclass(frozen=True)
class Witness:
    """How a model that is asked errs: how often it confirms what is right (`finds`), and how often
    what is wrong (`alarms`).
    """

    finds: float
    alarms: float

    def after(self, belief: Floats, said: Flags) -> Floats:
        """How likely results are right once the model has confirmed them, or has not (Bayes)."""
        right = np.where(said, self.finds, 1 - self.finds)
        wrong = np.where(said, self.alarms, 1 - self.alarms)
        return belief * right / (belief * right + (1 - belief) * wrong)

    def gain(self, belief: Floats, shown: Flags) -> Floats:
        """By how much a decision is less often wrong once the model was asked. Before, results that
        are shown are kept where they are likelier right than wrong, and the others are not.

        Args:
            belief: how likely each is right, inside (0, 1) [N].
            shown: whether it is one that people are shown [N].
        """
        before = np.where(shown, _doubt(belief), belief)
        yes = belief * self.finds + (1 - belief) * self.alarms
        told = np.ones(len(belief), bool)
        after = yes * _doubt(self.after(belief, told)) + (1 - yes) * _doubt(
            self.after(belief, ~told)
        )
        result: Floats = np.maximum(before - after, 0.0)
        return result


ASSUMED = Witness(0.603, 0.164)
"""Of clauses, until more is known: recall of the best published frontier model on CUAD's test
contracts, and how often it lists something wrong in one category of one contract
(`infra/evaluate_cascade.py` has both from its published answers). Of findings nothing is published,
and no better is assumed."""
ASSUMED_OF_TEXT = Witness(0.9, 0.1)
"""Of what kind a document is and whether a page is sound, which any reader can tell: assumed, and
measured by nobody."""


def _doubt(belief: Floats) -> Floats:
    return np.minimum(belief, 1 - belief)


@dataclass(frozen=True)
class Tokens:
    """About as many as a question and its answer take."""

    input: int
    output: int

    @classmethod
    def about(cls, sent: int, quoted: int) -> Tokens:
        """From characters: of the window and what is asked of it, and of the words to be quoted."""
        read = FRAME + sent
        return cls(read // CHARACTERS_PER_TOKEN, quoted // CHARACTERS_PER_TOKEN + WRITTEN)


def others_than(kind: Kind, unsure: bool) -> tuple[Kind, ...]:
    """Return of which other kinds a document may be (`may_be` of questions about it): none, where
    its kind is sure.
    """
    kinds: tuple[Kind, ...] = get_args(Kind)
    return tuple(one for one in kinds if one != kind) if unsure else ()


@dataclass(frozen=True)
class AskRules:
    """Whom a tenant may ask, and what a prevented mistake is worth to it."""

    prices: Mapping[Kind, Price] = field(default_factory=dict)
    """Of the first provider that may see words of documents of a kind; those of other kinds are
    not asked about."""
    mistake_usd: Decimal = Decimal(0)
    leaves: frozenset[Kind] = frozenset()
    """Kinds of which words may leave the house; those of others go to a provider inside alone."""
    hides_amounts: bool = False
    """Whether amounts may not leave: nothing can be said of a finding without them."""
    day_usd: Decimal = Decimal(0)
    """The budget; escalation alone keeps it."""
    month_usd: Decimal = Decimal(0)

    def price_of_any(self, kinds: Sequence[Kind]) -> Price | None:
        """Of who may be asked about a document of whichever of these kinds; None if nobody may."""
        strictest = [kind for kind in kinds if kind not in self.leaves] or list(kinds)
        return self.prices.get(strictest[0])

    def worth(self, gain: float, weight: float, price: Price, tokens: Tokens) -> float:
        """US$ that are expected to be gained by a question; it is asked if there are any.

        Args:
            gain: mistakes that the answer is expected to prevent.
            weight: of its category beside others.
        """
        return gain * weight * float(self.mistake_usd) - price.of(tokens) / 1e6


SILENT = AskRules()
"""Nobody is asked."""


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
    leaves: tuple[Kind, ...] = ()
    day_usd: Usd = Decimal(0)
    month_usd: Usd = Decimal(0)
    mistake_usd: Usd = RiskRules().mistake_usd
    mask: tuple[str, ...] = ()


class _File(_Part):
    providers: dict[str, _Provider] = Field(default_factory=dict)
    tenants: dict[str, _Tenant] = Field(default_factory=dict)


@dataclass(frozen=True)
class Askers:
    """The rules of each tenant."""

    tenants: Mapping[str, AskRules] = field(default_factory=dict)

    def of(self, tenant: str) -> AskRules:
        """The rules of a tenant."""
        return self.tenants.get(tenant, SILENT)


def read_askers(path: Path | None) -> Askers:
    """Who asks whom, by a policy file. Raises SettingsError: it can't be read."""
    if path is None:
        return Askers()
    return _askers(read_policy(path, _File))


def askers_in(rules: Mapping[str, Any]) -> Askers:
    """The same by what a file has said, which was read and found right before."""
    return _askers(_File.model_validate(rules))


def _askers(file: _File) -> Askers:
    return Askers({name: _rules(tenant, file.providers) for name, tenant in file.tenants.items()})


def _rules(tenant: _Tenant, providers: Mapping[str, _Provider]) -> AskRules:
    if not (tenant.day_usd and tenant.month_usd and tenant.mistake_usd):
        return SILENT
    named = [providers[name] for name in tenant.providers if name in providers]
    kinds: Sequence[Any] = ("contract", "report", "other")
    prices = {kind: _first(named, kind, tenant.leaves) for kind in kinds}
    return AskRules(
        {kind: price for kind, price in prices.items() if price},
        tenant.mistake_usd,
        frozenset(tenant.leaves),
        "amounts" in tenant.mask,
        tenant.day_usd,
        tenant.month_usd,
    )


def _first(named: Sequence[_Provider], kind: Kind, leaves: Sequence[Kind]) -> Price | None:
    for one in named:
        if one.inside or kind in leaves:
            return price_of(one.protocol, one.model, one.url, one.price)
    return None
