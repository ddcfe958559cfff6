"""Corrections: what does a short update on corrected contracts gain and lose?

The start knows a quarter of the contracts. Each update learns more contracts, and at most as many
old ones again. Every fifth family of the corrected contracts is held out. With gates, a category
takes the scores of the update only if its AUPR on these is higher than that of the start.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.lora.train import state_of
from models.techniques.bench import START, UPDATE, Arm, Bench, Lesson, Record
from services.extraction.evaluation.metric import Counts, Curve

TITLE = "Corrections"
SHARES = (0.1, 0.25, 0.5)  # of the contracts, corrected later
HELD = 5  # one family of this many is held out


def arms(bench: Bench) -> list[Arm]:
    """Update with more and more contracts, with and without gates."""
    whole = bench.steps()
    before, starts = bench.starts()
    again = bench.arm("the same quarter again", before + UPDATE, bench.repeated())
    made = [bench.arm("start: a quarter of the contracts", before, starts), again]
    for share in SHARES:
        corrected, held = split(bench.records(START, START + share))
        runs = bench.updated(f"corrected-{round(100 * share)}", partial(lesson, bench, corrected))
        title = f"{share:.0%} corrected"
        made.append(bench.arm(title, before + UPDATE, runs))
        pairs = zip(starts, runs, strict=True)
        gated = [with_gates(bench, start, run, held, share) for start, run in pairs]
        reading = 2 * bench.cost_of_reading(bench.contracts(held))
        made.append(Arm(f"{title}, with gates", before + UPDATE + reading, gated))
    return [*made, bench.arm("trained on all from the beginning", whole, bench.by_labels(whole))]


def split(records: list[Record]) -> tuple[list[Record], list[Record]]:
    """Return the contracts to learn, and those of the families that are held out."""
    held = set(sorted({record["family"] for record in records})[::HELD])
    learned = [record for record in records if record["family"] not in held]
    return learned, [record for record in records if record["family"] in held]


def lesson(bench: Bench, corrected: list[Record], start: Path, seed: int) -> Lesson:
    """Return the lesson of an update: corrected contracts, and at most as many old ones."""
    old = bench.records(0, START)
    count = min(len(corrected), len(old))
    chosen = np.random.default_rng(seed).choice(len(old), count, replace=False)
    records = [*corrected, *(old[i] for i in chosen)]
    return Lesson(bench.contracts(records), start=state_of(start))


def with_gates(bench: Bench, start: Path, run: Path, held: list[Record], share: float) -> Counts:
    """Return the counts of the left-out fold, of each category from the start or the update."""
    file = f"counts-held-{round(100 * share)}"
    old, new = (bench.counts(one, file, held) for one in (start, run))
    better = is_better(old, new, bench.answers(held))
    return np.where(better[:, None, None], bench.counts(run), bench.counts(start))


def is_better(old: Counts, new: Counts, answers: Counts) -> NDArray[np.bool_]:
    """Return for each label whether new counts have a higher AUPR than old ones.

    Args:
        old, new: [contracts, labels, thresholds, 2].
        answers: [contracts, labels]; a label without any is not better.
    """
    sums = zip(old.sum(0), new.sum(0), answers.sum(0), strict=True)
    return np.array([n > 0 and Curve.of(b, n).aupr > Curve.of(a, n).aupr for a, b, n in sums])
