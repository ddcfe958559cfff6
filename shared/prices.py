"""What models of others cost: by the list that came along, or as the policy's file states it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_CEILING, Decimal
from functools import cache
from pathlib import Path
from typing import Annotated, Protocol

from pydantic import BaseModel, ConfigDict, Field

PRICES = Path(__file__).with_name("prices.toml")
Usd = Annotated[Decimal, Field(ge=0, le=1_000_000, decimal_places=6)]


class Tokens(Protocol):
    """Tokens in and out."""

    @property
    def input(self) -> int:
        """Read."""

    @property
    def output(self) -> int:
        """Written."""


@dataclass(frozen=True)
class Price:
    """US$ for a million tokens, which is millionths of a dollar for one."""

    input: Decimal
    output: Decimal
    as_of: str
    """The day of the list that it stands in, YYYY-MM-DD."""

    def of(self, usage: Tokens) -> int:
        """Millionths of a dollar, rounded up."""
        exact = usage.input * self.input + usage.output * self.output
        return int(exact.to_integral_value(ROUND_CEILING))

    def times(self, share: Decimal) -> Price:
        """A share of it."""
        return Price(self.input * share, self.output * share, self.as_of)


class StatedPrice(BaseModel):
    """A price as files state it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: Usd
    output: Usd
    as_of: date

    def price(self) -> Price:
        """It."""
        return Price(self.input, self.output, self.as_of.isoformat())


@cache
def known_prices() -> dict[str, dict[str, Price]]:
    """The prices that came along, by protocol and model."""
    listed = tomllib.loads(PRICES.read_text("utf-8"))
    return {
        protocol: {
            model: StatedPrice.model_validate(price).price() for model, price in models.items()
        }
        for protocol, models in listed.items()
    }


def price_of(protocol: str, model: str, url: str, stated: StatedPrice | None) -> Price | None:
    """The price of a model: the stated one goes first, and at an address of one's own only that
    counts. None where it is not known.
    """
    if stated:
        return stated.price()
    return None if url else known_prices().get(protocol, {}).get(model)
