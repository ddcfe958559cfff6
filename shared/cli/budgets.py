"""How much of what a tried policy would ask its budget allows, in sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any


def told(line: Mapping[str, Any]) -> Iterator[str]:
    """What a person should know of the budget before the tried policy is signed.

    Args:
        line: what `smallprint policy try` prints as JSON.
    """
    if missing := line["tried"]["budget_missing"]:
        yield (
            f"tried: no {' and no '.join(missing)} above 0 is stated, and left out it is 0: so "
            "nothing is asked."
        )
    budget = line["tried"]["budget_usd"]
    cap, per = min((budget["day"], "a day"), (budget["month"], "a month"))
    questions, price, largest = 0, 0.0, 0.0
    for kind, block in (("contracts", line), ("reports", line["reports"])):
        side = block["tried"]
        asked, aside = side["escalated"], side["reserved_usd"]
        if not asked or aside is None:
            continue
        if aside["most"] > cap:
            yield _too_much(kind, asked, aside, cap, per)
        if aside["least"] <= cap:
            questions, price = questions + asked, price + side["cost_usd"]
            largest = max(largest, min(aside["most"], cap))
    if price:
        yield from _share(questions, price / questions, largest, budget)


def _too_much(kind: str, asked: int, aside: Mapping[str, float], cap: float, per: str) -> str:
    """One prompt may set aside more than the budget has."""
    least, usual, most = (usd(aside[name]) for name in ("least", "usual", "most"))
    prompt = f"a prompt with {aside['characters']:,} characters of a document"
    with_ = f"with US$ {usd(cap)} {per}"
    if aside["least"] > cap:
        return (
            f"tried, {kind}: {prompt} sets aside up to US$ {usual} until its bill is there, and "
            f"none less than US$ {least}: {with_} nothing is asked, and people have all {asked:,} "
            "questions."
        )
    if aside["usual"] > cap:
        return (
            f"tried, {kind}: {prompt}, the usual case, sets aside up to US$ {usual} until its bill "
            f"is there: {with_} only shorter ones are sent; people have what the others ask."
        )
    return (
        f"tried, {kind}: what goes together in one prompt sets aside up to US$ {most} until its "
        f"bill is there, and {usual} in the usual case: {with_} the largest ones are not sent; "
        "people have what they ask."
    )


def _share(
    questions: int, mean: float, largest: float, budget: Mapping[str, float]
) -> Iterator[str]:
    """How many of the questions could be asked, where that is not all of them on one day.

    Args:
        questions: that would be asked.
        mean: of their expected prices, US$.
        largest: US$ that the last one sets aside, which must be left.
        budget: US$ by day and month.
    """
    day, month = (1 + math.floor((budget[per] - largest) / mean + 1e-9) for per in ("day", "month"))
    day = min(day, month)
    if day >= questions:
        return
    monthly = f", and {month:,} a month" if month < questions else ""
    yield (
        f"tried: the budget is US$ {usd(budget['day'])} a day and {usd(budget['month'])} a month: "
        f"of these {questions:,} questions about {day:,} a day could be asked{monthly}; the rest "
        "would wait for people."
    )


def usd(value: float) -> str:
    """Two figures that say something where it is little."""
    return f"{value:,.2f}" if value >= 0.1 or not value else f"{value:.2g}"
