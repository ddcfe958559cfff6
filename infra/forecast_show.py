"""How steady `smallprint calibrate triage-breaks` is in saying how many further companies would do.

    python -m infra.forecast_show [--runs 60]

Each run draws findings as `infra.refit_show` does, a filing a company, and looks again and again
while nothing can be promised yet. Two forecasts are compared, each of the companies in all: that of
what was decided alone, as it was made before, and that of both ends of the range that is said now.
"Half" and "one in ten": by so much two looks one after another differ at least. "To and fro": looks
after which a number stood where "more would hardly show it" had stood, or the reverse. "Within":
looks whose range has the number of companies at which the promise could be made in the end, give or
take what comes between two looks, and has no upper end where it is said that it may be many more.
"Wide": its upper end by its lower one, in the middle of the looks that have both.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from infra.refit_show import BROKEN, LEVEL, decided, made_of
from services.triage.guarantee import Calibration, calibration
from services.triage.risk import Judge
from services.triage.settings import Settings
from services.triage.watch.calibrating import as_shared
from shared.guarantee import MANY, thresholds_of
from shared.guarantee import Calibration as Shared
from shared.risk import BEFORE, gains, groups_forecast, groups_needed, kept_until
from shared.settings import load
from shared.watch.refitting import expected_of

SEED = 5
ROWS = (
    (0.1, 1.0, 0.5, 50, 2000),
    (0.1, 0.2, 0.5, 200, 6000),
    (0.05, 1.0, 0.5, 100, 6000),
    (0.1, 1.0, 0.4, 50, 3000),
    (0.1, 1.0, 0.65, 50, 3000),
    (0.2, 0.2, 0.5, 50, 1500),
)
"""Risk, share of the sure ones that is checked, share that is broken (0.5 is stated), companies
between two looks, and at most."""


@dataclass(frozen=True)
class Look:
    """What is forecast at a look: companies in all, None where more would hardly show it."""

    companies: int
    """So far."""
    alone: int | None
    least: int | None
    most: int | None


@dataclass
class Steadiness:
    """Ratios of forecasts at two looks one after another, the larger by the smaller."""

    jumps: list[float] = field(default_factory=list)
    turns: int = 0
    pairs: int = 0

    def add(self, before: int | None, after: int | None) -> None:
        """Count two looks."""
        self.pairs += 1
        if before is not None and after is not None:
            self.jumps.append(max(before / after, after / before))
        else:
            self.turns += before != after

    def shown(self) -> str:
        """Three cells of the table."""
        half, tenth = np.quantile(self.jumps, (0.5, 0.9)) if self.jumps else (math.nan, math.nan)
        return f"{half:.2f} | {tenth:.2f} | {self.turns / max(1, self.pairs):.1%}"


@dataclass
class Shown:
    """One row."""

    alone: Steadiness = field(default_factory=Steadiness)
    least: Steadiness = field(default_factory=Steadiness)
    most: Steadiness = field(default_factory=Steadiness)
    looks: int = 0
    within: int = 0
    wide: list[float] = field(default_factory=list)
    """Upper ends by lower ones."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=60)
    asked = parser.parse_args(arguments)
    data = Judge.load(load(Settings).artefacts_folder).guarantee
    assert data is not None, "a judge that ships has its calibration set"
    parts = (f"{one}: half | one in ten | to and fro" for one in ("alone", "least", "most"))
    print(f"| at most wrong | checked | broken | {' | '.join(parts)} | within | wide |")
    print("| --- " * 14 + "|")
    for risk, share, broken, step, end in ROWS:
        row = measured(data, (risk, share, broken), step, end, asked.runs)
        sides = " | ".join(one.shown() for one in (row.alone, row.least, row.most))
        told = f"| {risk:.0%} | {share:.0%} | {broken:.0%} | {sides}"
        wide = np.median(row.wide) if row.wide else math.nan
        print(f"{told} | {row.within / max(1, row.looks):.0%} | {wide:.1f} |", flush=True)


def measured(
    data: bytes, setting: tuple[float, float, float], step: int, end: int, runs: int
) -> Shown:
    """Look again and again in each of some runs.

    Args:
        data: the calibration set that ships.
        setting: the risk, the share of sure findings that is checked, and the share of filings that
            is broken.
        step: companies between two looks.
        end: companies at most.
        runs: how many.
    """
    known, before = calibration(data), as_shared(data, BROKEN)
    row = Shown()
    for run in range(runs):
        looks, shown_at = _looks(known, before, setting, step, end, run)
        for one, other in pairwise(looks):
            row.alone.add(one.alone, other.alone)
            row.least.add(one.least, other.least)
            row.most.add(one.most, other.most)
        if shown_at is None:
            continue
        between = looks[0].companies if looks else 0
        row.looks += len(looks)
        for one in looks:
            low = math.inf if one.least is None else one.least
            high = math.inf if one.most is None else one.most
            row.within += low - between <= shown_at <= high + between
            if one.least and one.most:
                row.wide.append(one.most / one.least)
    return row


def _looks(
    known: Calibration,
    before: Shared,
    setting: tuple[float, float, float],
    step: int,
    end: int,
    run: int,
) -> tuple[list[Look], int | None]:
    """What is forecast while nothing can be promised, and of how many companies it then was; None
    if it never could be.
    """
    risk, share, broken = setting
    every = decided(known, end, share, broken, np.random.default_rng(SEED + run))
    part = step * len(every) // end
    looks = list[Look]()
    for count in range(part, len(every) + 1, part):
        new = made_of(every[:count], before)
        look = forecast(new, before, risk)
        if look is None:
            return looks, new.families
        looks.append(look)
    return looks, None


def forecast(new: Shared, before: Shared, risk: float) -> Look | None:
    """What is forecast from a set; None where it promises something."""
    thresholds = thresholds_of(risk)
    accepted, wrong = new.counts(thresholds)
    gained = gains(accepted, wrong, risk, new.most)
    if kept_until(gained, risk, LEVEL, new.most):
        return None
    if not accepted[0].any():
        return Look(new.families, None, None, None)
    came, wrong_there = expected_of(new, before).counts(thresholds[:1])
    expected = float(wrong_there.sum() / came.sum())
    alone = groups_needed(gained[:1], risk, LEVEL, new.most)
    least, most = groups_forecast(accepted[0], wrong[0], risk, LEVEL, expected, new.most)
    mistakes = 1.0 if wrong[0].any() else math.inf
    return Look(
        new.families,
        _below(alone, mistakes * MANY * new.families),
        _below(least, mistakes * MANY * (new.families + BEFORE)),
        _below(most, MANY * max(least or 0, new.families)),
    )


def _below(needed: int | None, most: float) -> int | None:
    """A forecast as it is told: none where it is more than that."""
    return None if needed is None or needed > most else needed


if __name__ == "__main__":
    main()
