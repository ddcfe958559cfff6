"""What is found against false alarms: the curve, its intervals, and the drawing beside the card."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import comb
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).resolve().parent.parent / "triage-breaks"
FILE = "curve.svg"
SHOWN = f"![Found against false alarms]({FILE})"
"""The drawing in the card."""
SHARES = (0.01, 0.02, 0.05, 0.10)
"""Shares of false alarms at which it is said how many errors are found."""
DRAWS = 500
"""Draws of companies for an interval."""
GRID = tuple(i / 200 for i in range(21))
"""Shares of false alarms at which the curve is drawn: to a tenth, in steps of half of 1%."""
GOAL = (0.02, 0.85)
"""At most so many false alarms, and at least so many found."""

Prediction = Mapping[str, Any]
Score = Callable[[Prediction], float]
Floats = NDArray[np.float64]


def limit(sound: Floats, share: float) -> float:
    """The risk above which at most this share of sound filings lies."""
    return float(np.sort(sound)[::-1][int(share * len(sound))])


@dataclass(frozen=True)
class Companies:
    """Risks of the sound filings of each company, and of those with an error."""

    of_each: Sequence[tuple[Floats, Floats]]

    @classmethod
    def of(cls, some: Iterable[Prediction], score: Score, kinds: Iterable[str]) -> Self:
        """Group what a score says of the sound filings and of errors of these kinds."""
        counted = frozenset(kinds)
        found: dict[int, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
        for p in some:
            if p["type"] is None or p["type"] in counted:
                found[p["company"]][p["type"] is not None].append(score(p))
        return cls([(np.array(a, float), np.array(b, float)) for a, b in found.values()])

    def found(self, shares: Sequence[float], chosen: Iterable[int] | None = None) -> Floats:
        """The share of errors found at each share of false alarms [N].

        Args:
            shares: of false alarms [N]; of fewer than one filing none may be flagged.
            chosen: the companies that count, as often as they are named; all without it.
        """
        which = range(len(self.of_each)) if chosen is None else chosen
        sound, wrong = (np.concatenate([self.of_each[i][k] for i in which]) for k in (0, 1))
        ordered = np.sort(sound)[::-1]
        limits = [ordered[int(share * len(sound))] for share in shares]
        return np.array([(wrong > at).sum() / max(len(wrong), 1) for at in limits])

    def interval(self, shares: Sequence[float]) -> Floats:
        """The 95% interval of what is found at each share [N, 2], drawing companies; each draw has
        its own thresholds.
        """
        draw, many = np.random.default_rng(1), len(self.of_each)
        drawn = [self.found(shares, draw.integers(many, size=many).tolist()) for _ in range(DRAWS)]
        return np.quantile(drawn, [0.025, 0.975], axis=0).T


def figures(companies: Companies) -> dict[str, Any]:
    """The curve: of each share of false alarms what is found, and its interval."""
    bounds, found = companies.interval(GRID), companies.found(GRID)
    return {
        "sound": sum(len(sound) for sound, _ in companies.of_each),
        "wrong": sum(len(wrong) for _, wrong in companies.of_each),
        "companies": len(companies.of_each),
        "points": [
            [share, round(value, 4), round(low, 4), round(high, 4)]
            for share, value, (low, high) in zip(GRID, found.tolist(), bounds.tolist(), strict=True)
        ],
    }


def at(curve: Mapping[str, Any], share: float) -> tuple[float, float, float]:
    """What a curve finds at a share of false alarms that it was counted at, and its interval."""
    (point,) = (p for p in curve["points"] if abs(p[0] - share) < 1e-9)
    return point[1], point[2], point[3]


def chance_of_more(alarms: int, sound: int, most: int, of: int) -> float:
    """The chance of more than `most` false alarms among `of` sound filings, if each raises one as
    often as `alarms` of `sound` did, and none because another does (binomial).
    """
    rate = alarms / sound
    return 1 - sum(comb(of, k) * rate**k * (1 - rate) ** (of - k) for k in range(most + 1))


def row(name: str, curve: Mapping[str, Any]) -> str:
    """A line of a table: what is found at each of `SHARES`, with its interval."""
    cells = [at(curve, share) for share in SHARES]
    return f"| {name} | " + " | ".join(f"{v:.1%} [{a:.1%}, {b:.1%}]" for v, a, b in cells) + " |"


# The drawing

WIDE, HIGH, LEFT, TOP, BELOW, BETWEEN = 300, 220, 48, 34, 44, 20
"""Of a drawing, in pixels: a panel, what is beside, above and below it, and between two."""
COLOURS = ("#2563a8", "#b45309", "#6b7280")
DASHES = ("", "6 3", "2 3")
Line = tuple[str, Mapping[str, Any]]
"""A name and a curve."""


def drawn(panels: Mapping[str, Sequence[Line]]) -> str:
    """Draw curves beside one another, as SVG on white, so that dark pages show them as well.

    To the right false alarms, to a tenth; upwards what is found. The band of the first line of a
    panel is its interval; the cross is the goal.
    """
    width = (LEFT + WIDE + BETWEEN) * len(panels)
    height = TOP + HIGH + BELOW
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" font-family="sans-serif" font-size="11" fill="#222">',
        "<title>Found against false alarms</title>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for number, (name, lines) in enumerate(panels.items()):
        parts += _panel(name, lines, (LEFT + WIDE + BETWEEN) * number + LEFT)
    return "\n".join([*parts, "</svg>", ""])


def _panel(name: str, lines: Sequence[Line], left: int) -> list[str]:
    bottom, middle = TOP + HIGH, left + WIDE / 2

    def place(share: float, found: float) -> str:
        return f"{left + WIDE * share / GRID[-1]:.1f},{bottom - HIGH * found:.1f}"

    parts = [
        f'<text x="{middle:g}" y="20" text-anchor="middle" font-weight="bold">{escape(name)}'
        "</text>",
        f'<rect x="{left}" y="{TOP}" width="{WIDE}" height="{HIGH}" fill="none" stroke="#888"/>',
        f'<text x="{middle:g}" y="{bottom + 34}" text-anchor="middle">false alarms</text>',
        f'<text transform="translate({left - 36} {TOP + HIGH / 2:g}) rotate(-90)" '
        'text-anchor="middle">found</text>',
        *_ticks(left, bottom),
    ]
    for number, (_, curve) in enumerate(lines):
        points = curve["points"]
        if number == 0:
            edge = [place(s, high) for s, _, _, high in points]
            edge += [place(s, low) for s, _, low, _ in reversed(points)]
            parts.append(
                f'<polygon points="{" ".join(edge)}" fill="{COLOURS[0]}" fill-opacity="0.18"/>'
            )
        way = " ".join(place(share, found) for share, found, _, _ in points)
        parts.append(
            f'<polyline points="{way}" fill="none" stroke="{COLOURS[number]}" stroke-width="1.6" '
            f'stroke-dasharray="{DASHES[number] or "none"}"/>'
        )
    x, y = (float(value) for value in place(*GOAL).split(","))
    parts.append(
        f'<path d="M{x - 5:g} {y:g}H{x + 5:g}M{x:g} {y - 5:g}V{y + 5:g}" stroke="#b91c1c" '
        'stroke-width="1.6"><title>the goal</title></path>'
    )
    return parts + _legend([label for label, _ in lines], left, bottom)


def _ticks(left: int, bottom: int) -> list[str]:
    parts = []
    for share in (0.0, *SHARES):
        x = left + WIDE * share / GRID[-1]
        parts.append(f'<path d="M{x:g} {TOP}V{bottom}" stroke="#ddd"/>')
        parts.append(f'<text x="{x:g}" y="{bottom + 16}" text-anchor="middle">{share:.0%}</text>')
    for found in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = bottom - HIGH * found
        parts.append(f'<path d="M{left} {y:g}H{left + WIDE}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4:g}" text-anchor="end">{found:.0%}</text>')
    return parts


def _legend(labels: Sequence[str], left: int, bottom: int) -> list[str]:
    parts = []
    for number, label in enumerate(labels):
        x, y = left + WIDE - 150, bottom - 16 * (len(labels) - number) + 4
        parts.append(
            f'<path d="M{x} {y - 4}H{x + 22}" stroke="{COLOURS[number]}" stroke-width="1.6" '
            f'stroke-dasharray="{DASHES[number] or "none"}"/>'
            f'<text x="{x + 28}" y="{y}">{escape(label)}</text>'
        )
    return parts


def panels_of(scores: Mapping[str, Any], baselines: Mapping[str, Any]) -> dict[str, Sequence[Line]]:
    """What is drawn, of the figures that were kept."""
    plain = baselines["a plain forest"]
    return {
        title: [
            ("learned", scores["curves"][part]["learned"]),
            ("our rules alone", scores["curves"][part]["our rules alone"]),
            ("a plain forest", plain[part]["curve"]),
        ]
        for title, part in (
            ("Filings of companies not seen", "own"),
            ("Development filings", "development"),
        )
    }


def read_baselines(folder: Path) -> dict[str, Any]:
    """What simple ways find, as `models.triage.baselines` has kept it."""
    found: dict[str, Any] = json.loads((folder / "baselines.json").read_text(encoding="utf-8"))
    return found


def drawing_of(folder: Path) -> str:
    """The drawing, from the figures that were kept in a folder."""
    scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    return drawn(panels_of(scores, read_baselines(folder)))


def write_drawing(folder: Path) -> None:
    """Write the drawing beside the card."""
    (folder / FILE).write_text(drawing_of(folder), encoding="utf-8")
