"""Compare the arms of an experiment: a table, a picture, and the page that shows both."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.evaluation.curves import RESAMPLES, SEED
from models.evaluation.reliability import picture
from models.techniques.bench import Arm, Bench
from services.extraction.evaluation.metric import Counts, Curve, resamples

PAGE = Path(__file__).resolve().parents[1] / "TECHNIQUES.md"
FIGURES = ("AUPR", "AUPR of rare categories")
NAMES, SIDE, GAP, TOP, LINE = 300, 240, 48, 44, 22
"""Sizes of a picture in pixels: names of the arms, a panel, the space between, above, and a row."""


@dataclass(frozen=True)
class Row:
    """The figures of an arm, the mean over its seeds: all answers, and the mean of rare categories.

    `values` and `gains` (against the first arm) have (value, low, high) for each of FIGURES.
    """

    name: str
    steps: float
    values: NDArray[np.float64]  # [2, 3]
    gains: NDArray[np.float64]  # [2, 3]


def areas(counts: Counts, answers: Counts, weights: Counts, rare: Sequence[int]) -> list[float]:
    """Return both figures of one run; contracts count `weights` [contracts] times.

    Args:
        counts: [contracts, labels, thresholds, 2].
        answers: [contracts, labels].
        rare: the numbers of the rare labels; those without an answer are left out.
    """
    summed, number = np.tensordot(weights, counts, 1), weights @ answers
    pooled = Curve.of(summed.sum(0), int(number.sum())).aupr
    single = [Curve.of(summed[i], int(number[i])).aupr for i in rare if number[i]]
    return [pooled, float(np.mean(single)) if single else float("nan")]


def rows(bench: Bench, arms: Sequence[Arm]) -> list[Row]:
    """Score the arms; 95% intervals are of the same drawn families and seeds for all arms."""
    families = [record["family"] for record in bench.tests]
    answers = bench.answers(bench.tests)
    rare = [bench.labels.index(label) for label in bench.rare()]
    whole = np.ones((1, len(families)), np.int64)
    weights = np.concatenate([whole, resamples(families, SEED, RESAMPLES)])
    seeds = len(arms[0].counts)
    chosen = np.random.default_rng(SEED).integers(seeds, size=(len(weights), seeds))
    chosen[0] = np.arange(seeds)
    drawn = [
        np.array(
            [
                np.mean([areas(arm.counts[seed], answers, w, rare) for seed in some], axis=0)
                for w, some in zip(weights, chosen, strict=True)
            ]
        )
        for arm in arms
    ]
    return [
        Row(arm.name, arm.steps, bounds(values), bounds(values - drawn[0]))
        for arm, values in zip(arms, drawn, strict=True)
    ]


def bounds(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (value, low, high) of each column [figures, 3]; the first row is not a draw."""
    low, high = np.nanpercentile(values[1:], [2.5, 97.5], axis=0)
    return np.column_stack([values[0], low, high])


def table(made: Sequence[Row]) -> str:
    """Return a table in Markdown."""
    heads = [head for figure in FIGURES for head in (figure, "against the first")]
    lines = [f"|  | steps | {' | '.join(heads)} |", "|" + " --- |" * 6]
    for row in made:
        cells = [row.name, f"{row.steps:,.0f}"]
        for value, gain in zip(row.values, row.gains, strict=True):
            cells.append("{:.3f} [{:.3f}, {:.3f}]".format(*value))
            cells.append("{:+.3f} [{:+.3f}, {:+.3f}]".format(*gain) if row is not made[0] else "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def drawn(title: str, made: Sequence[Row]) -> str:
    """Draw a row for each arm and a panel for each figure: the value and its interval, as SVG."""
    width, bottom = NAMES + len(FIGURES) * (SIDE + GAP), TOP + LINE * len(made)
    middles = [TOP + LINE * i + LINE / 2 for i in range(len(made))]
    parts = [
        f'<text x="{NAMES - 8}" y="{y + 4:g}" text-anchor="end">{escape(row.name)}</text>'
        for row, y in zip(made, middles, strict=True)
    ]
    for number, figure in enumerate(FIGURES):
        left = NAMES + number * (SIDE + GAP)
        values = np.array([row.values[number] for row in made])
        if np.isnan(values).any():
            continue
        low, high = np.floor(values.min() * 20) / 20, np.ceil(values.max() * 20) / 20 + 1e-9
        scaled = left + SIDE * (values - low) / (high - low)
        parts += [
            f'<text x="{left + SIDE / 2:g}" y="20" text-anchor="middle" font-weight="bold">'
            f"{figure}</text>",
            f'<rect x="{left}" y="{TOP}" width="{SIDE}" height="{bottom - TOP}" fill="none" '
            'stroke="#888"/>',
            f'<text x="{left}" y="{bottom + 16}" text-anchor="middle">{low:.2f}</text>',
            f'<text x="{left + SIDE}" y="{bottom + 16}" text-anchor="middle">{high:.2f}</text>',
        ]
        line = " ".join(f"{x[0]:.1f},{y:g}" for x, y in zip(scaled, middles, strict=True))
        parts.append(f'<polyline points="{line}" fill="none" stroke="#2563a8" opacity="0.4"/>')
        for (value, first, last), y in zip(scaled, middles, strict=True):
            parts += [
                f'<path d="M{first:.1f} {y:g}H{last:.1f}" stroke="#2563a8"/>',
                f'<circle cx="{value:.1f}" cy="{y:g}" r="4" fill="#2563a8"/>',
            ]
    return picture(title, width, bottom + 28, parts)


def write(name: str, title: str, made: Sequence[Row], page: Path = PAGE) -> None:
    """Write the picture, and put it and the table between the marks of an experiment on the page.

    Raises SystemExit if the page lacks the marks (see `divided`).
    """
    parts = divided(page, name)
    target = page.parent / "techniques" / f"{name}.svg"
    target.write_text(drawn(title, made), encoding="utf-8")
    shown = f"\n{table(made)}\n\n![AUPR of every arm](techniques/{name}.svg)\n"
    page.write_text("".join([*parts[:2], shown, *parts[3:]]), encoding="utf-8")


def divided(page: Path, name: str) -> list[str]:
    """Return a page as five parts: two and four are the marks of an experiment.

    Raises SystemExit if the page lacks the marks.
    """
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    parts = re.split(f"({begin}|{end})", page.read_text(encoding="utf-8"))
    if parts[1::2] != [begin, end]:
        raise SystemExit(f"{page} needs the lines {begin} and {end}, once and in this order")
    return parts
