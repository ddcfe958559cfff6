"""Prices of frontier models: from `prices.toml`, or from the policy file."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_CEILING, Decimal
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

PRICES = Path(__file__).with_name("prices.toml")
Usd = Annotated[Decimal, Field(ge=0, le=1_000_000, decimal_places=6)]


@dataclass(frozen=True)
class Usage:
    """Tokens of a question and its answer."""

    input: int
    output: int  # including reasoning


@dataclass(frozen=True)
class Price:
    """US$ for a million tokens."""

    input: Decimal
    output: Decimal
    as_of: str
    """The date of the price list, YYYY-MM-DD."""

    def of(self, usage: Usage) -> int:
        """Return the price in millionths of a US$, rounded up."""
        exact = usage.input * self.input + usage.output * self.output
        return int(exact.to_integral_value(ROUND_CEILING))


class StatedPrice(BaseModel):
    """A price in a file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: Usd
    output: Usd
    as_of: date

    def price(self) -> Price:
        return Price(self.input, self.output, self.as_of.isoformat())


@cache
def known_prices() -> dict[str, dict[str, Price]]:
    """Return the prices of `prices.toml`, by protocol and model."""
    listed = tomllib.loads(PRICES.read_text("utf-8"))
    return {
        protocol: {
            model: StatedPrice.model_validate(price).price() for model, price in models.items()
        }
        for protocol, models in listed.items()
    }


def price_of(protocol: str, model: str, url: str, stated: StatedPrice | None) -> Price | None:
    """Return the stated price of a model, or the listed one. None: unknown.

    The list does not apply to a provider with its own URL.
    """
    if stated:
        return stated.price()
    return None if url else known_prices().get(protocol, {}).get(model)
