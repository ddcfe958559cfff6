"""Reliability of probabilities: calibration error, Brier score, maps, and the drawing of a card.

Maps are those of `models.evaluation.calibration`, each fitted on other folds than it is measured
on. The Brier score is given as well, since a constant map has no calibration error (Guo et al.,
2017; Brier, 1950).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.evaluation.calibration import MAPS, error_of, fit_map, reliability
from models.files import name_of, read_json

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Row = Sequence[float]
"""Count, mean belief, share right."""
Figures = Mapping[str, Any]

FILE = "reliability.svg"
"""The drawing in a card."""
PRESENCE_FILE = "presence.svg"
"""The drawing of the probabilities of presence."""
EDGE = 1e-6
"""Probabilities are clipped to this distance from 0 and 1 before a logarithm."""
SIDE, LEFT, TOP, BELOW = 180, 44, 34, 44
"""Sizes of a drawing in pixels: the square and its margins."""
LARGEST = 9.0
"""Radius of the largest bin, in pixels."""


def tenths(belief: Floats, right: Floats) -> list[list[float]]:
    """Return (count, mean belief, share right) of every tenth that is not empty."""
    return [[n, round(b, 4), round(r, 4)] for n, b, r in reliability(belief, right)]


def errors_of(belief: Floats, right: Floats) -> dict[str, Any]:
    """Return the count, calibration error, Brier score and tenths of beliefs."""
    return {
        "judged": len(belief),
        "error": round(error_of(belief, right), 4),
        "brier": round(float(((belief - right) ** 2).mean()), 4),
        "tenths": tenths(belief, right),
    }


def cross_fitted(
    name: str, chance: Floats, right: Floats, label: Integers, fold: Integers
) -> Floats:
    """Return the probability that each is right [N], by a map of the other folds.

    Args:
        name: one of `MAPS`.
        chance: probabilities [N].
        right: 1 for right, 0 for wrong [N].
        label: the category of each [N], from 0.
        fold: of each [N]; at least two folds.
    """
    result = np.empty(len(chance))
    for entry in np.unique(fold):
        here = fold == entry
        training = chance[~here], right[~here], label[~here]
        result[here] = mapped(name, *training, chance[here], label[here])
    return result


def mapped(
    name: str, chance: Floats, right: Floats, label: Integers, new: Floats, of: Integers
) -> Floats:
    """Return the probability that each new result is right [M], by a map of others [N]."""
    labels = int(max(label.max(), of.max())) + 1
    by = fit_map(name, chance.clip(EDGE, 1 - EDGE), right, label, labels)
    return by(new.clip(EDGE, 1 - EDGE), of)


def compared(
    chance: Floats, right: Floats, label: Integers, fold: Integers, names: Sequence[str] = MAPS
) -> dict[str, dict[str, float]]:
    """Return the errors of every map, each measured on folds that it was not fitted on."""
    return {
        name: brief(errors_of(cross_fitted(name, chance, right, label, fold), right))
        for name in names
    }


def brief(errors: Figures) -> dict[str, float]:
    """Return calibration error and Brier score."""
    return {key: errors[key] for key in ("error", "brier")}


def drawn(panels: Mapping[str, Sequence[Row]]) -> str:
    """Draw reliability diagrams side by side, as SVG.

    A point is a bin: mean belief to the right, share right upwards; its area is the count.
    """
    width, height = (LEFT + SIDE + 16) * len(panels), TOP + SIDE + BELOW
    parts = []
    for number, (name, rows) in enumerate(panels.items()):
        parts += _panel(name, rows, (LEFT + SIDE + 16) * number + LEFT)
    return picture("Reliability: stated probability and share right", width, height, parts)


def picture(title: str, width: int, height: int, parts: Iterable[str]) -> str:
    """Return an SVG of a size in pixels, in the style of the cards."""
    begin = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" font-family="sans-serif" font-size="11" fill="#222">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    return "\n".join([*begin, *parts, "</svg>", ""])


def _panel(name: str, rows: Sequence[Row], left: int) -> list[str]:
    bottom, middle = TOP + SIDE, left + SIDE / 2
    most = max((row[0] for row in rows), default=1)
    parts = [
        f'<text x="{middle:g}" y="20" text-anchor="middle" font-weight="bold">{escape(name)}'
        "</text>",
        f'<rect x="{left}" y="{TOP}" width="{SIDE}" height="{SIDE}" fill="none" stroke="#888"/>',
        f'<path d="M{left} {bottom}L{left + SIDE} {TOP}" stroke="#888" stroke-dasharray="4 3"/>',
        f'<text x="{middle:g}" y="{bottom + 34}" text-anchor="middle">stated</text>',
        f'<text transform="translate({left - 30} {TOP + SIDE / 2:g}) rotate(-90)" '
        'text-anchor="middle">right</text>',
    ]
    for tick in (0, 0.5, 1):
        x, y = left + SIDE * tick, bottom - SIDE * tick + 4
        parts += [
            f'<text x="{x:g}" y="{bottom + 16}" text-anchor="middle">{tick:g}</text>',
            f'<text x="{left - 6}" y="{y:g}" text-anchor="end">{tick:g}</text>',
        ]
    places = [(left + SIDE * stated, bottom - SIDE * right) for _, stated, right in rows]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    parts.append(f'<polyline points="{line}" fill="none" stroke="#2563a8"/>')
    for (x, y), (count, stated, right) in zip(places, rows, strict=True):
        radius = max(2.0, LARGEST * float(np.sqrt(count / most)))
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="#2563a8" '
            f'fill-opacity="0.55"><title>{int(count):,}: stated {stated:.3f}, right {right:.3f}'
            "</title></circle>"
        )
    return parts


def of_clauses(scores: Figures) -> dict[str, Sequence[Row]]:
    """Return the panel of a clause specialist, from its `guarantee.json`."""
    return {"shown clauses": scores["reliability"]}


def of_calibration(part: str) -> Callable[[Figures], dict[str, Sequence[Row]]]:
    """Return a function that reads the panels of a part of `calibration`."""
    return lambda scores: {
        name: entry["tenths"] for name, entry in scores["calibration"][part].items()
    }


def of_flags(scores: Figures) -> dict[str, Sequence[Row]]:
    """Return the panels of `narrative-flags`, one a family."""
    return {
        name.replace("_", " "): [(b["sentences"], b["said"], b["right"]) for b in entry["bins"]]
        for name, entry in scores["families"].items()
    }


def of_lines(scores: Figures) -> dict[str, Sequence[Row]]:
    """Return the panels of `line-concepts`: both models together and the linear one."""
    both = {"both together": scores["adapter"]} if scores["adapter"] else {}
    return {
        name: [(n, belief, right) for belief, right, n in entry["reliability"]]
        for name, entry in {**both, "linear model": scores}.items()
    }


def of_changes(scores: Figures) -> dict[str, Sequence[Row]]:
    """Return the panel of `review-priority`: the probability that a clause is changed."""
    return {"clauses changed": scores["reliability"]["tenths"]}


PANELS: Mapping[str, tuple[str, Callable[[Figures], dict[str, Sequence[Row]]]]] = {
    "contract-clauses": ("guarantee", of_clauses),
    "nda-review": ("guarantee", of_clauses),
    "unfair-terms": ("guarantee", of_clauses),
    "document-kind": ("scores", of_calibration("sides")),
    "triage-breaks": ("scores", of_calibration("chances")),
    "narrative-flags": ("scores", of_flags),
    "line-concepts": ("scores", of_lines),
    "review-priority": ("scores", of_changes),
}
"""The file with the bins of each specialist's drawing, and the function that reads them."""


def drawings_of(folder: Path) -> dict[str, str]:
    """Return the drawings beside the card of a specialist by their file names."""
    drawings = {}
    if panels := PANELS.get(name_of(folder)):
        drawings[FILE] = drawn(panels[1](read_json(folder / f"{panels[0]}.json")))
    presence = folder / "presence-calibration.json"
    if presence.exists():
        drawings[PRESENCE_FILE] = drawn({"category is there": read_json(presence)["tenths"]})
    return drawings


def write_drawings(folder: Path) -> None:
    """Write the drawings beside the card of a specialist."""
    for name, text in drawings_of(folder).items():
        (folder / name).write_text(text, encoding="utf-8")
