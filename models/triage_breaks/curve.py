"""The share of errors found at each share of false alarms, with intervals and drawing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from models.files import read_json

FILE = "curve.svg"
SHARES = (0.01, 0.02, 0.05, 0.10)
"""Shares of false alarms that have figures."""
DRAWS = 500
"""Draws of companies for an interval."""
GRID = tuple(i / 200 for i in range(21))
"""Shares of false alarms of the drawing: up to a tenth, in steps of 0.5%."""
GOAL = (0.02, 0.85)
"""False alarms at most, and errors found at least."""

Prediction = Mapping[str, Any]
Score = Callable[[Prediction], float]
Floats = NDArray[np.float64]


def limit(sound: Floats, share: float) -> float:
    """Return the risk that at most this share of sound filings exceeds."""
    return float(np.sort(sound)[::-1][int(share * len(sound))])


@dataclass(frozen=True)
class Companies:
    """Risks of each company's sound filings, and of those with an error."""

    names: tuple[int, ...]
    of_each: Sequence[tuple[Floats, Floats]]

    @classmethod
    def of(cls, some: Iterable[Prediction], score: Score, kinds: Iterable[str]) -> Self:
        """Group the scores of sound filings and of errors of these types by company."""
        counted = frozenset(kinds)
        result: dict[int, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
        for p in some:
            if p["type"] is None or p["type"] in counted:
                result[p["company"]][p["type"] is not None].append(score(p))
        risks = [(np.array(a, float), np.array(b, float)) for a, b in result.values()]
        return cls(tuple(result), risks)

    def found(self, shares: Sequence[float], chosen: Iterable[int] | None = None) -> Floats:
        """Return the share of errors found at each share of false alarms [N].

        `chosen` are the companies that count, possibly several times; default: all.
        """
        which = range(len(self.of_each)) if chosen is None else chosen
        sound, wrong = (np.concatenate([self.of_each[i][k] for i in which]) for k in (0, 1))
        ordered = np.sort(sound)[::-1]
        limits = [ordered[int(share * len(sound))] for share in shares]
        return np.array([(wrong > at).sum() / max(len(wrong), 1) for at in limits])

    def interval(self, shares: Sequence[float]) -> Floats:
        """Return the 95% interval at each share [N, 2]; each draw of companies has its limits."""
        draw, many = np.random.default_rng(1), len(self.of_each)
        drawn = [self.found(shares, draw.integers(many, size=many).tolist()) for _ in range(DRAWS)]
        return np.quantile(drawn, [0.025, 0.975], axis=0).T


def difference(first: Companies, second: Companies, share: float) -> tuple[float, float, float]:
    """Return the gain of the second at a share of false alarms, and its 95% interval.

    Both have the same draws of companies. Raises ValueError for other companies.
    """
    if first.names != second.names:
        raise ValueError("the predictions are of different companies")

    def gain(chosen: Iterable[int]) -> float:
        some = list(chosen)
        return float(second.found([share], some)[0] - first.found([share], some)[0])

    draw, many = np.random.default_rng(1), len(first.names)
    gains = [gain(draw.integers(many, size=many).tolist()) for _ in range(DRAWS)]
    low, high = np.quantile(gains, [0.025, 0.975])
    return gain(range(many)), float(low), float(high)


def figures(companies: Companies) -> dict[str, Any]:
    """Return the curve: the share found at each share of false alarms, with its interval."""
    bounds, result = companies.interval(GRID), companies.found(GRID)
    return {
        "sound": sum(len(sound) for sound, _ in companies.of_each),
        "wrong": sum(len(wrong) for _, wrong in companies.of_each),
        "companies": len(companies.of_each),
        "points": [
            [share, *(round(value, 4) for value in (found, *interval))]
            for share, found, interval in zip(GRID, result.tolist(), bounds.tolist(), strict=True)
        ],
    }


def at(curve: Mapping[str, Any], share: float) -> tuple[float, float, float]:
    """Return the point of a curve at a share of false alarms: value and interval."""
    (point,) = (p for p in curve["points"] if abs(p[0] - share) < 1e-9)
    return point[1], point[2], point[3]


# The drawing

WIDE, HIGH, LEFT, TOP, BELOW, BETWEEN = 300, 220, 48, 34, 44, 20
"""Sizes of the drawing in pixels: a panel, its margins, and the gap between two."""
COLOURS = ("#2563a8", "#b45309", "#6b7280")
DASHES = ("", "6 3", "2 3")
Line = tuple[str, Mapping[str, Any]]
"""A name and a curve."""


def drawn(panels: Mapping[str, Sequence[Line]]) -> str:
    """Draw curves side by side as SVG on white, which dark pages show as well.

    False alarms to the right, up to a tenth; errors found upwards. The band is the interval of the
    panel's first line, the cross is the goal.
    """
    width = (LEFT + WIDE + BETWEEN) * len(panels)
    height = TOP + HIGH + BELOW
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" font-family="sans-serif" font-size="11" fill="#222">',
        "<title>Errors found against false alarms</title>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for number, (name, lines) in enumerate(panels.items()):
        parts += _panel(name, lines, (LEFT + WIDE + BETWEEN) * number + LEFT)
    return "\n".join([*parts, "</svg>", ""])


def _panel(name: str, lines: Sequence[Line], left: int) -> list[str]:
    bottom, middle = TOP + HIGH, left + WIDE / 2

    def place(share: float, result: float) -> str:
        return f"{left + WIDE * share / GRID[-1]:.1f},{bottom - HIGH * result:.1f}"

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
        path = " ".join(place(share, result) for share, result, _, _ in points)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{COLOURS[number]}" stroke-width="1.6" '
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
    for result in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = bottom - HIGH * result
        parts.append(f'<path d="M{left} {y:g}H{left + WIDE}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4:g}" text-anchor="end">{result:.0%}</text>')
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
    """Return the curves of the drawing from the figures."""
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


def drawing_of(folder: Path) -> str:
    """Return the drawing of the figures in a folder."""
    return drawn(panels_of(*(read_json(folder / f"{n}.json") for n in ("scores", "baselines"))))
