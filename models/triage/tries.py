"""Put several ways to judge the same filings beside each other, with intervals.

    python -m models.triage.tries first.jsonl.gz second.jsonl.gz …

Each file holds predictions as `models.triage` writes them, of the same errors in the same filings.
What is found is resampled by company, in pairs: both on the same drawn companies, each with its own
threshold on them. Filings that their company corrected later are left out of all.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.triage.curve import DRAWS, SHARES, Prediction, limit
from models.triage.injections import AS_DEVELOPMENT
from models.triage.scores import of, read_predictions, risk

FOLDER = Path(__file__).resolve().parent.parent / "triage-breaks"
AT = 0.02
Floats = NDArray[np.float64]
Companies = Mapping[int, tuple[Floats, Floats]]
"""Risks of sound filings and of those with an error, by company."""


def by_company(some: Sequence[Prediction], left_out: set[str]) -> Companies:
    """Group the risks of whole filings, without those whose id is left out."""
    found: dict[int, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for p in of("own", some):
        if p["id"] not in left_out and (p["type"] is None or p["type"] in AS_DEVELOPMENT):
            found[p["company"]][p["type"] is not None].append(risk(p))
    return {key: (np.array(a), np.array(b)) for key, (a, b) in sorted(found.items())}


def found_in(companies: Companies, chosen: Sequence[int], share: float) -> float:
    """The share found at a share of false alarms, among some companies."""
    sound = np.concatenate([companies[c][0] for c in chosen])
    wrong = np.concatenate([companies[c][1] for c in chosen])
    return float((wrong > limit(sound, share)).mean())


def difference(first: Companies, second: Companies) -> tuple[float, float, float]:
    """By how much more the second finds at 2%, and its 95% interval.

    Raises ValueError if they are not of the same companies.
    """
    names = list(first)
    if names != list(second):
        raise ValueError("the predictions are of different companies")
    draw = np.random.default_rng(1)
    gains = []
    for _ in range(DRAWS):
        chosen = [names[i] for i in draw.integers(len(names), size=len(names))]
        gains.append(found_in(second, chosen, AT) - found_in(first, chosen, AT))
    low, high = np.quantile(gains, [0.025, 0.975])
    whole = found_in(second, names, AT) - found_in(first, names, AT)
    return whole, float(low), float(high)


def table(tries: Mapping[str, Sequence[Prediction]]) -> str:
    """The table, a line a file."""
    left_out = {p["id"] for some in tries.values() for p in of("corrected", some)}
    grouped = {name: by_company(some, left_out) for name, some in tries.items()}
    first = next(iter(grouped.values()))
    head = " | ".join(f"{share:.0%}" for share in SHARES)
    lines = [
        f"| predictions | {head} | more at {AT:.0%} | headlines: false alarms | found |",
        "| --- |" + " --- |" * (len(SHARES) + 3),
    ]
    for name, companies in grouped.items():
        rates = " | ".join(f"{found_in(companies, list(companies), s):.1%}" for s in SHARES)
        gain, low, high = difference(first, companies)
        short = of("headlines", tries[name])
        sound = np.concatenate([a for a, _ in companies.values()])
        at = limit(sound, AT)
        counts = " | ".join(
            f"{sum(risk(p) > at for p in some)}/{len(some)}" if some else "-"
            for some in (
                [p for p in short if p["type"] is None],
                [p for p in short if p["type"] is not None],
            )
        )
        lines.append(f"| {name} | {rates} | {gain:+.1%} [{low:+.1%}, {high:+.1%}] | {counts} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Read the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "files", type=Path, nargs="+", help="predictions, the first to compare with"
    )
    arguments = parser.parse_args()
    print(table({path.name: read_predictions(path) for path in arguments.files}), end="")


if __name__ == "__main__":
    main()
