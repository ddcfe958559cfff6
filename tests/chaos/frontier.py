"""A stand-in for a frontier provider, with a spending cap.

It runs in the driver, so the plan never kills it. The ledger is compared with its own list of
bills.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.fakes.provider import ENTRY, Bill, Fault, Labels, StandIn

PRICE_IN, PRICE_OUT = 3, 15
"""US$ for a million tokens in the policy, which is millionths of a US$ for one token."""
SECONDS = 5.0
"""Time limit of one call."""
CAP_EACH = 4_000
"""Millionths of a US$ for each document. All questions would cost more, so the cap is reached."""
CAP_LEAST = 25_000
"""The least cap of a run, in millionths of a US$: two or three questions at their worst."""
FAULTS: dict[Fault, float] = {
    "busy": 0.03,
    "fail": 0.03,
    "hang": 0.02,
    "drop": 0.05,
    "no_bill": 0.03,
    "break_json": 0.05,
    "invent": 0.05,
}
KNOWN = (
    ("Governing Law", "shall be governed by the laws of the State of"),
    ("Anti-Assignment", "Neither party may assign this Agreement"),
    ("Insurance", "shall maintain commercial general liability insurance"),
    ("Audit Rights", "on ten days' notice"),
)
MOST_TOKENS = 400
"""Token limit of one answer."""
POLICY = """{entry}seconds = {seconds:g}
most_tokens = {most_tokens}

[tenants.default]
providers = ["stand-in"]
external_kinds = ["contract", "report"]
day_usd = "{cap}"
month_usd = "{cap}"
mistake_usd = "100"
"""


@dataclass(frozen=True)
class Bills:
    """The bills of the provider."""

    calls: int
    tokens_in: int
    tokens_out: int

    @classmethod
    def of(cls, bills: list[Bill]) -> Bills:
        """The sums of bills."""
        return cls(len(bills), sum(b.input for b in bills), sum(b.output for b in bills))

    @property
    def micro_usd(self) -> int:
        """The price in millionths of a US$."""
        return self.tokens_in * PRICE_IN + self.tokens_out * PRICE_OUT


def cap(documents: int) -> int:
    """The cap of a run, in millionths of a US$."""
    return max(CAP_LEAST, documents * CAP_EACH)


def stand_in(seed: int) -> StandIn:
    """The provider, with random faults from a seed."""
    return StandIn(
        Labels(KNOWN),
        errors=0.1,
        faults=FAULTS,
        seed=seed,
        hang_seconds=SECONDS * 1.5,
        think_seconds=0.3,
    )


def write_policy(path: Path, url: str, documents: int) -> None:
    """Write a policy with the provider and the caps of day and month."""
    path.write_text(
        POLICY.format(
            entry=ENTRY.format(url=url),
            seconds=SECONDS,
            most_tokens=MOST_TOKENS,
            cap=cap(documents) / 1e6,
        ),
        "utf-8",
    )
