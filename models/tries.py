"""Put several ways to predict the same contracts beside each other, with intervals.

    python -m models.tries models/contract-clauses --data FOLDER first.jsonl.gz second.jsonl.gz …

Each file holds raw predictions as `models.predict` and `models.ranking` write them; those of one
fold may be compared with those of all, for only contracts that every file has are scored. The
difference to the first file is resampled in pairs: both are scored on the same drawn families.
`--alike 0.5` leaves out contracts half of which a contract of another fold repeats.
"""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.alike import likeness
from models.corpus import read_labels, read_records
from models.evaluate import RESAMPLES, SEED, counts_of, intervals, judge, summary
from models.metric import Counts, Curve
from models.predict import Candidate, read_predictions


def counted(
    records: Sequence[dict[str, Any]],
    predictions: dict[str, list[Candidate]],
    labels: Sequence[str],
) -> tuple[Counts, Counts]:
    """Count every contract: [contracts, thresholds, 2], and its answers [contracts]."""
    pairs = [counts_of(judge(r, predictions[r["id"]], labels), labels, {}) for r in records]
    return np.stack([found.sum(0) for found, _ in pairs]), np.array([n.sum() for _, n in pairs])


def difference(
    first: Counts, second: Counts, answers: Counts, families: Sequence[str]
) -> tuple[float, float, float]:
    """Return by how much the area of the second is larger, and its 95% interval.

    Args:
        first: [contracts, thresholds, 2].
        second: of the same contracts.
        answers: [contracts].
        families: of the contracts; those of one family are drawn together.
    """
    names = sorted(set(families))
    members = [np.flatnonzero([family == name for family in families]) for name in names]
    draw = np.random.default_rng(SEED)

    def gain(chosen: Any) -> float:
        number = int(answers[chosen].sum())
        areas = [Curve.of(counts[chosen].sum(0), number).aupr for counts in (first, second)]
        return areas[1] - areas[0]

    drawn = [
        gain(np.concatenate([members[i] for i in draw.integers(len(names), size=len(names))]))
        for _ in range(RESAMPLES)
    ]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return gain(np.arange(len(answers))), float(low), float(high)


def table(
    records: Sequence[dict[str, Any]],
    tries: Mapping[str, dict[str, list[Candidate]]],
    labels: Sequence[str],
) -> Iterator[str]:
    """Yield the lines of a report in Markdown: how many contracts, and a row for each try.

    Args:
        records: contracts that are scored.
        tries: predictions by the name of the try; of each contract at least.
        labels: that the predictions number.
    """
    families = [record["family"] for record in records]
    results = {name: counted(records, predictions, labels) for name, predictions in tries.items()}
    first, answers = next(iter(results.values()))
    number = int(answers.sum())
    yield f"{len(records)} contracts, {number} answers\n"
    figures = list(summary(Curve.of(first.sum(0), number)))
    header = ["", *figures, "AUPR against the first"]
    yield "| " + " | ".join(header) + " |"
    yield "| " + " | ".join(["---"] * len(header)) + " |"
    for name, (counts, _) in results.items():
        values = summary(Curve.of(counts.sum(0), number))
        bounds = intervals(counts, answers, families)
        cells = [f"{values[k]:.3f} [{bounds[k][0]:.3f}, {bounds[k][1]:.3f}]" for k in figures]
        gain, low, high = difference(first, counts, answers, families)
        cells.append(f"{gain:+.3f} [{low:+.3f}, {high:+.3f}]")
        yield "| " + " | ".join([name, *cells]) + " |"


def main() -> None:
    """Read the command line, score and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("specialist", type=Path, help="folder with config.toml and labels.json")
    parser.add_argument("--data", type=Path, required=True, help="folder of the corpora")
    parser.add_argument(
        "--alike", type=float, default=1.0, help="leave out what shares more with another fold"
    )
    parser.add_argument("files", type=Path, nargs="+", help="raw predictions")
    arguments = parser.parse_args()
    config = tomllib.loads((arguments.specialist / "config.toml").read_text(encoding="utf-8"))
    labels = read_labels(arguments.specialist, config["data"])
    tries = {
        path.name.removesuffix(".jsonl.gz"): read_predictions(path) for path in arguments.files
    }
    common = set.intersection(*map(set, tries.values()))
    everything = list(read_records(arguments.data, config["data"]))
    shares = likeness(everything) if arguments.alike < 1 else dict.fromkeys(common, 0.0)
    records = [r for r in everything if r["id"] in common and shares[r["id"]] <= arguments.alike]
    print("\n".join(table(records, tries, labels)))


if __name__ == "__main__":
    main()
