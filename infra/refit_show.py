"""How many companies `smallprint calibrate triage-breaks` needs, and whether its promises hold.

    python -m infra.refit_show [--runs 20] [--companies 300 1000 3000] [--share 1.0]

Each run draws findings from the calibration set that ships, one filing a company, half of them
broken, and has all of them decided: those that could be accepted where they are drawn as checks,
the others always. Then it is refitted and tested as the command does. The true risk of a rule is
that over the whole set.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.triage.guarantee import COMPANIES, FILING, FINDING, Calibration, calibration
from services.triage.risk import Judge
from services.triage.settings import Settings
from services.triage.watch.calibrating import TOGETHER, as_shared
from shared.guarantee import Calibration as Shared
from shared.guarantee import promise
from shared.settings import load
from shared.watch.refitting import Decided, refitted

RISKS = (0.1, 0.2)
LEVEL, BROKEN = 0.95, 0.5
SURE = 0.84
"""From which confidence on a finding is accepted at a risk of 10% by what ships."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table, a line for each number of companies."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--companies", type=int, nargs="+", default=[300, 600, 1000, 1500, 3000])
    parser.add_argument("--share", type=float, default=1.0, help="of the sure ones that is checked")
    asked = parser.parse_args(arguments)
    data = Judge.load(load(Settings).artefacts_folder).guarantee
    assert data is not None, "a judge that ships has its calibration set"
    print("| companies | " + " | ".join(f"{risk:.0%} shown | broken" for risk in RISKS) + " |")
    print("| --- |" + " --- |" * 2 * len(RISKS))
    for companies in asked.companies:
        shown, broke = counted(data, companies, asked.runs, asked.share)
        cells = [f"{a} of {asked.runs} | {b}" for a, b in zip(shown, broke, strict=True)]
        print(f"| {companies:,} | " + " | ".join(cells) + " |", flush=True)


def counted(data: bytes, companies: int, runs: int, share: float) -> tuple[list[int], list[int]]:
    """In how many runs each of RISKS is shown, and in how many the rule then breaks it."""
    known, before = calibration(data), as_shared(data, BROKEN)
    weight, wrong = weights(known, BROKEN), ~(known.broken & known.right)
    draw = np.random.default_rng(5)
    shown, broke = [0] * len(RISKS), [0] * len(RISKS)
    for _ in range(runs):
        new = made_of(decided(known, companies, share, BROKEN, draw), before)
        for place, risk in enumerate(RISKS):
            belief = promise(new, risk, LEVEL).belief
            if belief is not None:
                taken = _beliefs(new.lines[0], known.risk) >= belief
                shown[place] += 1
                broke[place] += float((weight * taken * wrong).sum()) > risk * float(
                    (weight * taken).sum()
                )
    return shown, broke


def weights(known: Calibration, broken: float) -> NDArray[np.float64]:
    """How likely each filing of the set comes in where a share is broken [N]; together 1."""
    part = float(known.broken.mean())
    weight = np.where(known.broken, broken / part, (1 - broken) / (1 - part))
    result: NDArray[np.float64] = weight / weight.sum()
    return result


def decided(
    known: Calibration, companies: int, share: float, broken: float, draw: np.random.Generator
) -> list[Decided]:
    """What people decided about a filing each of so many companies, in the order they came in; of
    findings that could be accepted about a share.
    """
    drawn = draw.choice(len(known.risk), companies, p=weights(known, broken))
    wrong = ~(known.broken & known.right)[drawn]
    sure = np.clip(known.risk[drawn].astype(float), 1e-5, 1 - 1e-5)
    kept = (sure < SURE) | (draw.random(companies) < share)
    return [
        Decided(str(n), FINDING, float(s), bool(w), 1 / share if s >= SURE else 1.0)
        for n, (s, w) in enumerate(zip(sure[kept], wrong[kept], strict=True))
    ]


def made_of(found: Sequence[Decided], before: Shared) -> Shared:
    """The set that a calibration makes of decisions."""
    most = TOGETHER * max(one.weight for one in found)
    return refitted((FINDING,), before, found, COMPANIES, (FINDING, FILING), most)


def _beliefs(line: NDArray[np.float64], risk: NDArray[Any]) -> NDArray[np.float64]:
    sure = np.clip(risk.astype(float), 1e-5, 1 - 1e-5)
    logits: NDArray[np.float64] = line[0] + line[1] * np.log(sure / (1 - sure))
    return 1 / (1 + np.exp(-logits))


if __name__ == "__main__":
    main()
