"""Corrections: what does a short update on corrected contracts gain and lose?

The start knows half of the contracts. Each update learns more contracts and as many old ones again.
Every fifth family of the corrected contracts is held out. With gates, a category takes the scores
of the update only if its AUPR on these is higher than that of the start.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.lora.train import state_of
from models.techniques.bench import UPDATE_RATE, Arm, Bench, Lesson, Record
from services.extraction.evaluation.metric import Counts, Curve

TITLE = "Corrections"
START = 0.5  # share of the contracts that the start knows
SHARES = (0.1, 0.25, 0.5)  # of the contracts, corrected later
UPDATE = 300  # steps
HELD = 5  # one family of this many is held out


def arms(bench: Bench) -> list[Arm]:
    """Update with more and more contracts, with and without gates."""
    before, whole = bench.steps(share=START), bench.steps()
    starts = bench.by_labels(before, START)
    made = [bench.arm("start: half of the contracts", before, starts)]
    for share in (0.0, *SHARES):
        corrected, held = split(bench.records(START, START + share))
        runs = [
            bench.train(
                f"corrected-{round(100 * share)}",
                seed,
                UPDATE,
                partial(lesson, bench, start, corrected, seed),
                UPDATE_RATE,
            )
            for seed, start in zip(bench.seeds, starts, strict=True)
        ]
        title = f"{share:.0%} corrected" if share else "only old contracts again"
        made.append(bench.arm(title, before + UPDATE, runs))
        if held:
            pairs = zip(starts, runs, strict=True)
            gated = [with_gates(bench, start, run, held, share) for start, run in pairs]
            made.append(Arm(f"{title}, with gates", before + UPDATE, gated))
    return [*made, bench.arm("trained on all from the beginning", whole, bench.by_labels(whole))]


def split(records: list[Record]) -> tuple[list[Record], list[Record]]:
    """Return the contracts to learn, and those of the families that are held out."""
    held = set(sorted({record["family"] for record in records})[::HELD])
    learned = [record for record in records if record["family"] not in held]
    return learned, [record for record in records if record["family"] in held]


def lesson(bench: Bench, start: Path, corrected: list[Record], seed: int) -> Lesson:
    """Return the lesson of an update: corrected contracts, and as many old ones."""
    old = bench.records(0, START)
    count = min(len(corrected) or len(old), len(old))
    chosen = np.random.default_rng(seed).choice(len(old), count, replace=False)
    records = [*corrected, *(old[i] for i in chosen)]
    return Lesson(bench.contracts(records), start=state_of(start))


def with_gates(bench: Bench, start: Path, run: Path, held: list[Record], share: float) -> Counts:
    """Return the counts of the left-out fold, of each category from the start or the update."""
    file = f"counts-held-{round(100 * share)}"
    old, new = (bench.counts([one], file, held) for one in (start, run))
    better = is_better(old, new, bench.answers(held))
    return np.where(better[:, None, None], bench.counts([run]), bench.counts([start]))


def is_better(old: Counts, new: Counts, answers: Counts) -> NDArray[np.bool_]:
    """Return for each label whether new counts have a higher AUPR than old ones.

    Args:
        old, new: [contracts, labels, thresholds, 2].
        answers: [contracts, labels]; a label without any is not better.
    """
    sums = zip(old.sum(0), new.sum(0), answers.sum(0), strict=True)
    return np.array([n > 0 and Curve.of(b, n).aupr > Curve.of(a, n).aupr for a, b, n in sums])
