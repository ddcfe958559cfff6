"""What checks of documents say that another version of the specialist reads again (decision 41).

    python -m infra.reread_show [--streams 100]

A version was promised to be wrong in at most 10% of what it accepts, a twentieth is checked, and
people have decided all of it. Another version reads the documents again, of which the same is
promised, and kept: 7% of what it accepts is wrong. Some of its passages begin or end elsewhere than
before; these are other results, drawn as checks by themselves, and may be wrong more often than the
rest. How often the promise is ever doubted, where 2.5% are allowed, if what counts is

* open: what is decided from then on, which are checks of passages that moved;
* over: also what was decided before about passages that stayed;
* chosen: as over, and people have only those documents read again in which a check was wrong.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

from shared.watch.evidence import Check, Watch

RISK, BELIEF, CATEGORIES = 0.1, 0.9, 41
SHARE = 0.05
CLAUSES = 12
"""That a document has accepted on average (Poisson)."""
WRONG = 0.07
"""Of all that is accepted."""
ROWS = ((0.1, 0.2, 800), (0.1, 0.2, 3000), (0.1, 0.3, 800), (0.05, 0.3, 3000), (0.1, 0.07, 3000))
"""Share of passages that moved, share of these that is wrong, and documents."""
WAYS = ("open", "over", "chosen")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--streams", type=int, default=100)
    asked = parser.parse_args(arguments)
    print("| moved | wrong of these | documents | " + " | ".join(WAYS) + " |")
    print("| --- " * (3 + len(WAYS)) + "|")
    for moved, wrong, documents in ROWS:
        found = [
            sum(doubted(seed, moved, wrong, documents, way) for seed in range(asked.streams))
            for way in WAYS
        ]
        cells = " | ".join(f"{one / asked.streams:.0%}" for one in found)
        print(f"| {moved:.0%} | {wrong:.0%} | {documents:,} | {cells} |", flush=True)


def doubted(seed: int, moved: float, wrong: float, documents: int, way: str) -> bool:
    """Whether the promise for all together is ever doubted in one stream.

    Args:
        seed: of the stream.
        moved: the share of passages that begin or end elsewhere.
        wrong: the share of these that is wrong; that of the others makes `WRONG` of both.
        documents: that were read before.
        way: which checks count, of `WAYS`.
    """
    draw = np.random.default_rng(seed)
    rest = (WRONG - moved * wrong) / (1.0 - moved)
    watch = Watch(RISK, BELIEF, CATEGORIES)
    for _ in range(documents):
        count = draw.poisson(CLAUSES)
        other = draw.random(count) < moved
        bad = draw.random(count) < np.where(other, wrong, rest)
        checked = draw.random(count) < SHARE
        if way == "chosen" and not (bad & checked & ~other).any():
            continue
        places = np.flatnonzero(checked & other if way == "open" else checked)
        if len(places):
            names = draw.integers(0, CATEGORIES, len(places))
            watch = watch.after(
                [
                    Check(f"category {name}", 1.0, bool(bad[place]))
                    for name, place in zip(names, places, strict=True)
                ]
            )
        if watch.step(0):
            return True
    return False


if __name__ == "__main__":
    main()
