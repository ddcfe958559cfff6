"""Make figures and the card of chances on contracts that were not learned from.

    python -m models.priority.scores

Reads the predictions in `models/review-priority` alone, and no other data.
"""

from __future__ import annotations

import gzip
import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.priority.card import ON_STATES, TITLES, card
from models.reliability import judged, write_drawing

FOLDER = Path(__file__).resolve().parent.parent / "review-priority"
SHARES = (0.1, 0.2, 0.5)
"""Of the queue, or of the hours, within which mistakes are counted."""
DRAWS = 1000
"""Draws of families for an interval."""

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Items:
    """The clauses of all contracts as one queue."""

    family: NDArray[np.str_]  # [N]
    changed: Flags  # [N], whether the reviewer rejects or corrects it
    inexact: Flags  # [N], or would do so to mend its bounds
    seconds: Floats  # [N], that it takes to review
    confidence: Floats  # [N]
    chances: Mapping[str, Floats]  # by head, each [N]

    def orders(self) -> dict[str, Floats]:
        """Urgency by each order that is compared [N]; the highest is first."""
        return {"confidence": 1 - self.confidence, **self.chances}


def predictions(folder: Path) -> list[dict[str, Any]]:
    """Read the predictions that were written beside the config."""
    with gzip.open(folder / "predictions.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def items_of(every: Sequence[Mapping[str, Any]], time: Mapping[str, float]) -> Items:
    """Put all contracts into one queue.

    Args:
        every: the predictions.
        time: `seconds` that every item takes, and `words_a_minute` that are read.
    """

    def of(name: str) -> NDArray[Any]:
        return np.concatenate([np.array(line[name]) for line in every])

    changed = of("decision") != "accept"
    family = np.repeat([line["family"] for line in every], [len(line["spans"]) for line in every])
    seconds = time["seconds"] + of("words") / time["words_a_minute"] * 60
    chances = {name: of(name) for name in TITLES if name in every[0] and name != "confidence"}
    inexact = ~of("exact").astype(bool)
    return Items(family, changed, changed | inexact, seconds, of("confidence"), chances)


def ordered(urgency: Floats, draw: np.random.Generator) -> Places:
    """The places of items, the most urgent first, equals in a random order."""
    return np.lexsort((draw.random(len(urgency)), -urgency))


def caught(order: Places, changed: Flags) -> list[float]:
    """The share of all changes that lies in the first part of a queue, for each of SHARES."""
    found = changed[order]
    ends = [round(share * len(order)) for share in SHARES]
    return [float(found[:end].sum() / max(found.sum(), 1)) for end in ends]


def caught_by_time(order: Places, changed: Flags, seconds: Floats) -> list[float]:
    """The same for the first part of the hours that the queue takes."""
    spent = np.cumsum(seconds[order])
    ends = [int(np.searchsorted(spent, share * spent[-1], side="right")) for share in SHARES]
    found = changed[order]
    return [float(found[:end].sum() / max(found.sum(), 1)) for end in ends]


def differences(items: Items, better: Floats, than: Floats, changed: Flags) -> dict[str, Any]:
    """How much more one order catches than another, with 95% intervals by drawing families."""
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
    return {
        f"{share:.0%}": [round(float(a), 4), round(float(b), 4)]
        for share, a, b in zip(SHARES, low, high, strict=True)
    }


def table(orders: Mapping[str, Floats], count: Callable[[Places], list[float]]) -> dict[str, Any]:
    """What each order catches, by its name and share."""
    draw = np.random.default_rng(7)
    return {
        name: {
            f"{share:.0%}": round(value, 4)
            for share, value in zip(SHARES, count(ordered(urgency, draw)), strict=True)
        }
        for name, urgency in orders.items()
    }


def figures(every: Sequence[Mapping[str, Any]], time: Mapping[str, float]) -> dict[str, Any]:
    """Everything that the card says."""
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
        "beside_learned": {
            name: differences(items, orders[name], orders["learned"], items.changed)
            for name in items.chances
            if name in ON_STATES
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
        "reliability": judged(orders["learned"], items.changed.astype(float)),
    }


def main() -> None:
    """Write figures and card."""
    config = tomllib.loads((FOLDER / "config.toml").read_text(encoding="utf-8"))
    found = figures(predictions(FOLDER), config["time"])
    (FOLDER / "scores.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    write_drawing(FOLDER)
    (FOLDER / "CARD.md").write_text(card(found, config), encoding="utf-8")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
