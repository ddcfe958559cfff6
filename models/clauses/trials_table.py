r"""Compare several predictions of the same contracts, with intervals.

    python -m models.clauses.trials_table models/clauses/contract-clauses \
        --data FOLDER first.jsonl.gz second.jsonl.gz …

Each file has raw predictions of `models.evaluation.predict` or `models.clauses.ranking`. Only
contracts that every file has are scored. Differences to the first file are resampled in pairs, on
the same drawn families.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.corpus import read_labels, read_records
from models.evaluation.curves import RESAMPLES, SEED, intervals, summary
from models.evaluation.judging import counts_of, judge
from models.evaluation.predict import Candidate, read_predictions
from models.files import command, read_config
from services.extraction.evaluation.metric import Counts, Curve


def counted(
    records: Sequence[dict[str, Any]],
    predictions: dict[str, list[Candidate]],
    labels: Sequence[str],
) -> tuple[Counts, Counts]:
    """Count every contract: [contracts, thresholds, 2], and its answers [contracts]."""
    pairs = [counts_of(judge(r, predictions[r["id"]], labels), labels, {}) for r in records]
    return np.stack([result.sum(0) for result, _ in pairs]), np.array([n.sum() for _, n in pairs])


def difference(
    first: Counts, second: Counts, answers: Counts, families: Sequence[str]
) -> tuple[float, float, float]:
    """Return the gain in area of the second over the first, and its 95% interval.

    Counts are [contracts, thresholds, 2], answers [contracts].
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
    """Yield a report in Markdown: the number of contracts, and a row for each try."""
    families = [record["family"] for record in records]
    results = {name: counted(records, predictions, labels) for name, predictions in tries.items()}
    first, answers = next(iter(results.values()))
    number = int(answers.sum())
    yield f"{len(records)} contracts, {number} answers\n"
    figures = list(summary(Curve.of(first.sum(0), number)))
    yield f"|  | {' | '.join(figures)} | AUPR against the first |"
    yield "|" + " --- |" * (len(figures) + 2)
    for name, (counts, _) in results.items():
        values = summary(Curve.of(counts.sum(0), number))
        bounds = intervals(counts, answers, families)
        cells = [f"{values[k]:.3f} [{bounds[k][0]:.3f}, {bounds[k][1]:.3f}]" for k in figures]
        gain, low, high = difference(first, counts, answers, families)
        cells.append(f"{gain:+.3f} [{low:+.3f}, {high:+.3f}]")
        yield "| " + " | ".join([name, *cells]) + " |"


def main() -> None:
    """Read the command line, score and print a table in Markdown."""
    parser = command(__doc__, "specialist", "--data")
    parser.add_argument("files", type=Path, nargs="+", help="raw predictions")
    arguments = parser.parse_args()
    config = read_config(arguments.specialist)
    labels = read_labels(arguments.specialist, config["data"])
    tries = {
        path.name.removesuffix(".jsonl.gz"): read_predictions(path) for path in arguments.files
    }
    common = set.intersection(*map(set, tries.values()))
    records = [r for r in read_records(arguments.data, config["data"]) if r["id"] in common]
    print("\n".join(table(records, tries, labels)))


if __name__ == "__main__":
    main()
