"""Sentences about the budget of a tried policy."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any


def budget_warnings(line: Mapping[str, Any]) -> Iterator[str]:
    """Warnings about the budget, for a person who is to sign the tried policy.

    Args:
        line: the JSON of `smallprint policy try`.
    """
    if missing := line["tried"]["budget_missing"]:
        yield (f"tried: no {' and no '.join(missing)} above 0, so no model is asked.")
    budget = line["tried"]["budget_usd"]
    cap, per = min((budget["day"], "a day"), (budget["month"], "a month"))
    questions, price, largest = 0, 0.0, 0.0
    for kind, block in (("contracts", line), ("reports", line["reports"])):
        side = block["tried"]
        escalated, reserved = side["escalated"], side["reserved_usd"]
        if not escalated or reserved is None:
            continue
        if reserved["most"] > cap:
            yield _too_much(kind, escalated, reserved, cap, per)
        if reserved["least"] <= cap:
            questions, price = questions + escalated, price + side["cost_usd"]
            largest = max(largest, min(reserved["most"], cap))
    if price:
        yield from _share(questions, price / questions, largest, budget)


def _too_much(
    kind: str, escalated: int, reserved: Mapping[str, float], cap: float, per: str
) -> str:
    """A warning if one prompt may reserve more than the budget."""
    least, usual, most = (usd(reserved[name]) for name in ("least", "usual", "most"))
    prompt = f"a prompt with {reserved['characters']:,} characters of a document"
    with_ = f"with US$ {usd(cap)} {per}"
    if reserved["least"] > cap:
        return (
            f"tried, {kind}: {prompt} reserves up to US$ {usual} until its bill arrives, and at "
            f"least US$ {least}: {with_} no model is asked, and people get all "
            f"{escalated:,} questions."
        )
    if reserved["usual"] > cap:
        return (
            f"tried, {kind}: {prompt}, the usual case, reserves up to US$ {usual} until its bill "
            f"arrives: {with_} only shorter ones are sent; people get the other questions."
        )
    return (
        f"tried, {kind}: several questions in one prompt reserve up to US$ {most} until its bill "
        f"arrives, and {usual} in the usual case: {with_} the largest ones are not sent; people "
        "get their questions."
    )


def _share(
    questions: int, mean: float, largest: float, budget: Mapping[str, float]
) -> Iterator[str]:
    """How many of the questions the budget pays on one day, unless it pays all.

    Args:
        questions: number of questions.
        mean: mean of their expected prices, US$.
        largest: US$ that the last question reserves.
        budget: US$ by day and month.
    """
    day, month = (1 + math.floor((budget[per] - largest) / mean + 1e-9) for per in ("day", "month"))
    day = min(day, month)
    if day >= questions:
        return
    monthly = f", and {month:,} a month" if month < questions else ""
    yield (
        f"tried: the budget is US$ {usd(budget['day'])} a day and {usd(budget['month'])} a month: "
        f"of these {questions:,} questions about {day:,} a day could be asked{monthly}; people "
        "would get the others."
    )


def usd(value: float) -> str:
    """US$ with at least two significant digits."""
    return f"{value:,.2f}" if value >= 0.1 or not value else f"{value:.2g}"
