"""Write figures and card of the predictions on unseen contracts.

    python -m models.review_priority.scores

Only reads the predictions in `models/review_priority`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.evaluation.card import write_cards
from models.evaluation.reliability import errors_of
from models.files import read_config, read_lines, write_json

FOLDER = Path(__file__).resolve().parent
SHARES = (0.1, 0.2, 0.5)
"""Shares of the queue, or of its hours, within which mistakes are counted."""
HEADS = ("learned", "linear", "told_less")
"""The model that ships, and the compared ones."""
DRAWS = 1000

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Items:
    """The clauses of all contracts as one queue."""

    family: NDArray[np.str_]  # [N]
    changed: Flags  # [N], rejected or corrected
    inexact: Flags  # [N], changed or with a wrong boundary
    seconds: Floats  # [N], of the review
    confidence: Floats  # [N]
    chances: Mapping[str, Floats]  # by head, each [N]

    def orders(self) -> dict[str, Floats]:
        """Return the urgency by each compared order [N]; the highest comes first."""
        return {"confidence": 1 - self.confidence, **self.chances}


def items_of(every: Sequence[Mapping[str, Any]], time: Mapping[str, float]) -> Items:
    """Put all contracts into one queue; `time` has `seconds` an item and `words_a_minute`."""

    def of(name: str) -> NDArray[Any]:
        return np.concatenate([np.array(line[name]) for line in every])

    changed = of("decision") != "accept"
    family = np.repeat([line["family"] for line in every], [len(line["spans"]) for line in every])
    seconds = time["seconds"] + of("words") / time["words_a_minute"] * 60
    chances = {name: of(name) for name in HEADS if name in every[0]}
    inexact = ~of("exact").astype(bool)
    return Items(family, changed, changed | inexact, seconds, of("confidence"), chances)


def ordered(urgency: Floats, draw: np.random.Generator) -> Places:
    """Return the indices of items, the most urgent first, equal ones in random order."""
    return np.lexsort((draw.random(len(urgency)), -urgency))


def caught(order: Places, changed: Flags) -> list[float]:
    """Return the share of all changes in the first part of a queue, for each of SHARES."""
    return _shares(changed[order], [round(share * len(order)) for share in SHARES])


def caught_by_time(order: Places, changed: Flags, seconds: Floats) -> list[float]:
    """Like `caught`, for the first part of the queue's hours."""
    spent = np.cumsum(seconds[order])
    return _shares(changed[order], np.searchsorted(spent, spent[-1] * np.array(SHARES), "right"))


def _shares(changed: Flags, ends: Iterable[int]) -> list[float]:
    return [float(changed[:end].sum() / max(changed.sum(), 1)) for end in ends]


def differences(items: Items, better: Floats, than: Floats, changed: Flags) -> dict[str, Any]:
    """Return the gain of one order over another, as 95% intervals by drawing families."""
    draw = np.random.default_rng(7)
    names, member = np.unique(items.family, return_inverse=True)
    places = [np.flatnonzero(member == i) for i in range(len(names))]
    gains = []
    for _ in range(DRAWS):
        chosen = draw.integers(len(names), size=len(names))
        some = np.concatenate([places[i] for i in chosen])
        both = [caught(ordered(order[some], draw), changed[some]) for order in (better, than)]
        gains.append(np.subtract(both[0], both[1]))
    low, high = np.percentile(gains, [2.5, 97.5], axis=0)
    bounds = zip(SHARES, low.tolist(), high.tolist(), strict=True)
    return {f"{share:.0%}": [round(a, 4), round(b, 4)] for share, a, b in bounds}


def table(orders: Mapping[str, Floats], count: Callable[[Places], list[float]]) -> dict[str, Any]:
    """Return the share of changes found, by order and share."""
    draw = np.random.default_rng(7)
    return {
        name: {
            f"{share:.0%}": round(value, 4)
            for share, value in zip(SHARES, count(ordered(urgency, draw)), strict=True)
        }
        for name, urgency in orders.items()
    }


def figures(every: Sequence[Mapping[str, Any]], time: Mapping[str, float]) -> dict[str, Any]:
    """Return all figures of the card."""
    items = items_of(every, time)
    orders = items.orders()
    two = {name: orders[name] for name in ("confidence", "learned")}
    each_second = {f"{name}, by time": urgency / items.seconds for name, urgency in two.items()}
    best = {"best": items.changed.astype(float)}
    decisions = [decision for line in every for decision in line["decision"]]
    return {
        "contracts": len(every),
        "families": len(np.unique(items.family)),
        "clauses": len(items.changed),
        "decisions": {name: decisions.count(name) for name in ("accept", "correct", "reject")},
        "caught": table(orders | each_second | best, lambda order: caught(order, items.changed)),
        "gains": {
            name: differences(items, orders[name], orders["confidence"], items.changed)
            for name in items.chances
        },
        "draws": DRAWS,
        "hours": round(float(items.seconds.sum()) / 3600, 1),
        "caught_by_time": table(
            two | each_second, lambda order: caught_by_time(order, items.changed, items.seconds)
        ),
        "mended": {
            "changed": int(items.inexact.sum()),
            "caught": table(two, lambda order: caught(order, items.inexact)),
        },
        "reliability": errors_of(orders["learned"], items.changed.astype(float)),
    }


def main() -> None:
    """Write figures and card."""
    config = read_config(FOLDER)
    result = figures(list(read_lines(FOLDER / "predictions.jsonl.gz")), config["time"])
    print(write_json(FOLDER / "scores.json", result), end="")
    write_cards(FOLDER)


if __name__ == "__main__":
    main()
