"""Reliability: how far chances are from what came out, drawn beside the card, and by which map.

Maps are those of `models.calibrations`, each fitted on other folds than it is judged on. Beside
the expected calibration error stands the Brier score, for a map that says the same of everything
has no calibration error (Guo et al., 2017; Brier, 1950).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.calibrations import MAPS, error_of, fit_map, reliability

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Row = Sequence[float]
"""How many, mean belief, share right."""
Figures = Mapping[str, Any]

FILE = "reliability.svg"
"""The drawing, beside the card."""
PRESENCE_FILE = "presence.svg"
"""The drawing of the chances that a category is there at all."""
SHOWN = f"![Reliability]({FILE})"
"""The drawing in a card."""
EDGE = 1e-6
"""How near chances come to 0 and 1, for maps that take their logarithm."""
SIDE, LEFT, TOP, BELOW = 180, 44, 34, 44
"""Of a drawing, in pixels: its square, and what is beside, above and below it."""
LARGEST = 9.0
"""Radius of the bin with the most, in pixels."""


def tenths(belief: Floats, right: Floats) -> list[list[float]]:
    """Return (how many, mean belief, share right) of every tenth that has some."""
    return [[n, round(b, 4), round(r, 4)] for n, b, r in reliability(belief, right)]


def judged(belief: Floats, right: Floats) -> dict[str, Any]:
    """Return how many there are, their errors and their tenths."""
    return {
        "judged": len(belief),
        "error": round(error_of(belief, right), 4),
        "brier": round(float(((belief - right) ** 2).mean()), 4),
        "tenths": tenths(belief, right),
    }


def cross_fitted(
    name: str, chance: Floats, right: Floats, label: Integers, fold: Integers
) -> Floats:
    """Return how likely each is right [N], by a map that was fitted on the other folds.

    Args:
        name: one of `MAPS`.
        chance: as it is said [N].
        right: whether it came out [N].
        label: the category of each [N], from 0.
        fold: of each [N]; of at least two.
    """
    found = np.empty(len(chance))
    for one in np.unique(fold):
        here = fold == one
        told = chance[~here], right[~here], label[~here]
        found[here] = mapped(name, *told, chance[here], label[here])
    return found


def mapped(
    name: str, chance: Floats, right: Floats, label: Integers, new: Floats, of: Integers
) -> Floats:
    """Return how likely each of some new chances is right [M], by a map fitted on others [N]."""
    labels = int(max(label.max(), of.max())) + 1
    by = fit_map(name, chance.clip(EDGE, 1 - EDGE), right, label, labels)
    return by(new.clip(EDGE, 1 - EDGE), of)


def compared(
    chance: Floats,
    right: Floats,
    label: Integers,
    fold: Integers,
    names: Sequence[str] = MAPS,
) -> dict[str, dict[str, float]]:
    """Return the errors of every map, each judged on folds that it was not fitted on."""
    found = {}
    for name in names:
        figures = judged(cross_fitted(name, chance, right, label, fold), right)
        found[name] = {key: figures[key] for key in ("error", "brier")}
    return found


def maps_rows(maps: Mapping[str, Mapping[str, float]]) -> list[list[str]]:
    """One row a map: its calibration error, and its Brier score."""
    return [[name, f"{one['error']:.3f}", f"{one['brier']:.4f}"] for name, one in maps.items()]


def tenths_rows(rows: Sequence[Row]) -> list[list[str]]:
    """One row a tenth: how many, what was said, and what came out."""
    return [[f"{int(n):,}", f"{belief:.3f}", f"{right:.3f}"] for n, belief, right in rows]


def drawn(panels: Mapping[str, Sequence[Row]]) -> str:
    """Draw reliability diagrams beside one another, as SVG.

    A point is a bin: to the right what was said, upwards what came out, its area how many there
    are. On the dashed line chances are true.
    """
    width, height = (LEFT + SIDE + 16) * len(panels), TOP + SIDE + BELOW
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" font-family="sans-serif" font-size="11" fill="#222">',
        "<title>Reliability: what was said, and how often it was right</title>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for number, (name, rows) in enumerate(panels.items()):
        parts += _panel(name, rows, (LEFT + SIDE + 16) * number + LEFT)
    return "\n".join([*parts, "</svg>", ""])


def _panel(name: str, rows: Sequence[Row], left: int) -> list[str]:
    bottom, middle = TOP + SIDE, left + SIDE / 2
    most = max((row[0] for row in rows), default=1)
    parts = [
        f'<text x="{middle:g}" y="20" text-anchor="middle" font-weight="bold">{escape(name)}'
        "</text>",
        f'<rect x="{left}" y="{TOP}" width="{SIDE}" height="{SIDE}" fill="none" stroke="#888"/>',
        f'<path d="M{left} {bottom}L{left + SIDE} {TOP}" stroke="#888" stroke-dasharray="4 3"/>',
        f'<text x="{middle:g}" y="{bottom + 34}" text-anchor="middle">said</text>',
        f'<text transform="translate({left - 30} {TOP + SIDE / 2:g}) rotate(-90)" '
        'text-anchor="middle">right</text>',
    ]
    for tick in (0, 0.5, 1):
        x, y = left + SIDE * tick, bottom - SIDE * tick + 4
        parts += [
            f'<text x="{x:g}" y="{bottom + 16}" text-anchor="middle">{tick:g}</text>',
            f'<text x="{left - 6}" y="{y:g}" text-anchor="end">{tick:g}</text>',
        ]
    places = [(left + SIDE * said, bottom - SIDE * right) for _, said, right in rows]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    parts.append(f'<polyline points="{line}" fill="none" stroke="#2563a8"/>')
    for (x, y), (count, said, right) in zip(places, rows, strict=True):
        radius = max(2.0, LARGEST * float(np.sqrt(count / most)))
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="#2563a8" '
            f'fill-opacity="0.55"><title>{int(count):,}: said {said:.3f}, right {right:.3f}'
            "</title></circle>"
        )
    return parts


def of_clauses(scores: Figures) -> dict[str, Sequence[Row]]:
    """The panels of a specialist of clauses, from its `guarantee.json`."""
    return {"shown clauses": scores["reliability"]}


def of_presence(scores: Figures) -> dict[str, Sequence[Row]]:
    """The panel of how likely a contract has a category, from its `presence-calibration.json`."""
    return {"category is there": scores["tenths"]}


def of_kinds(scores: Figures) -> dict[str, Sequence[Row]]:
    """The panels of `document-kind`."""
    return {side: one["tenths"] for side, one in scores["calibration"]["sides"].items()}


def of_findings(scores: Figures) -> dict[str, Sequence[Row]]:
    """The panels of `triage-breaks`."""
    return {name: one["tenths"] for name, one in scores["calibration"]["chances"].items()}


def of_flags(scores: Figures) -> dict[str, Sequence[Row]]:
    """The panels of `narrative-flags`: one a family."""
    return {
        name.replace("_", " "): [(b["sentences"], b["said"], b["right"]) for b in one["bins"]]
        for name, one in scores["families"].items()
    }


def of_lines(scores: Figures) -> dict[str, Sequence[Row]]:
    """The panels of `line-concepts`: both together where both were judged, and the linear model."""
    both = {"both together": scores["adapter"]} if scores["adapter"] else {}
    return {
        name: [(n, said, right) for said, right, n in one["reliability"]]
        for name, one in {**both, "linear model": scores}.items()
    }


def of_changes(scores: Figures) -> dict[str, Sequence[Row]]:
    """The panel of `review-priority`: how likely a clause is changed, and how often it is."""
    return {"clauses changed": scores["reliability"]["tenths"]}


PANELS: Mapping[str, tuple[str, Callable[[Figures], dict[str, Sequence[Row]]]]] = {
    "contract-clauses": ("guarantee", of_clauses),
    "nda-review": ("guarantee", of_clauses),
    "unfair-terms": ("guarantee", of_clauses),
    "document-kind": ("scores", of_kinds),
    "triage-breaks": ("scores", of_findings),
    "narrative-flags": ("scores", of_flags),
    "line-concepts": ("scores", of_lines),
    "review-priority": ("scores", of_changes),
}
"""Of each specialist that is drawn: which of its files has the tenths, and how."""


def drawing_of(folder: Path, name: str | None = None) -> str:
    """Return the drawing of a specialist, from the figures that were kept in its folder.

    Args:
        folder: of the specialist.
        name: of the specialist, where its folder is called otherwise.
    """
    file, panels = PANELS[name or folder.name]
    return drawn(panels(json.loads((folder / f"{file}.json").read_text(encoding="utf-8"))))


def write_drawing(folder: Path, name: str | None = None) -> None:
    """Write the drawing beside the card."""
    (folder / FILE).write_text(drawing_of(folder, name), encoding="utf-8")
