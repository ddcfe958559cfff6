"""Score a specialist on contracts it has not seen, and fit its calibration and thresholds.

    python -m models.evaluation.evaluate models/clauses/contract-clauses --data FOLDER

Scores the committed predictions in `predictions-fold*.jsonl.gz`, each by a model that has not seen
the fold, and writes `scores.json`. `models.lora.export` takes calibration and thresholds from it,
`models.evaluation.card` the figures of the card.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.corpus import read_labels, read_records
from models.evaluation.curves import at_place, intervals, summary
from models.evaluation.judging import ScoredContract, judge
from models.evaluation.other_counts import other_counts
from models.evaluation.outcomes import outcomes
from models.evaluation.predict import Candidate, read_predictions
from models.files import command, read_config, write_json
from services.extraction.evaluation.metric import THRESHOLDS, Counts, Curve, matches
from services.extraction.pipeline.search import calibrated_all

Floats = NDArray[np.float64]

MISSED = 0.02  # an answer without a matching candidate above this score is missed
KNOTS = 40  # of the calibration, maximum
STRICT = 1e-3  # share of the plain score added, for a strictly rising map


# --- calibration --------------------------------------------------------------------------------


def fit_calibration(scores: Floats, right: NDArray[np.bool_]) -> dict[str, list[float]]:
    """Fit a strictly rising map from score to the share that is right, as knots.

    Isotonic regression (pool adjacent violators) on the pooled candidates. Each pool becomes a knot
    at its mean. A small part of the score keeps the slope above zero.
    """
    order = np.argsort(scores, kind="stable")
    chunks = np.array_split(order, max(1, min(len(order) // 50, 400)))
    pools = [[float(scores[c].mean()), float(right[c].mean()), float(len(c))] for c in chunks]
    stair: list[list[float]] = []
    for pool in pools:
        stair.append(pool)
        while len(stair) > 1 and stair[-2][1] >= stair[-1][1]:
            (x, y, n), (u, v, m) = stair.pop(), stair.pop()
            stair.append([(x * n + u * m) / (n + m), (y * n + v * m) / (n + m), n + m])
    if len(stair) > KNOTS:
        stair = [stair[i] for i in np.linspace(0, len(stair) - 1, KNOTS).round().astype(int)]
    knots = [(x, (1 - STRICT) * y + STRICT * x) for x, y, _ in stair if 0.0 < x < 1.0]
    return {
        "scores": [round(x, 7) for x, _ in knots],
        "confidences": [round(min(y, 1 - 1e-4), 7) for _, y in knots],
    }


def calibration_error(confidence: Floats, right: NDArray[np.bool_]) -> float:
    """Return the expected calibration error from 0.05 on; the many below would dominate."""
    shown = confidence >= 0.05
    return expected_error(confidence[shown], right[shown]) if shown.any() else 0.0


def expected_error(confidence: NDArray[Any], right: NDArray[np.bool_]) -> float:
    """Return the expected calibration error over ten bins of equal width (Guo et al., 2017)."""
    bin_of = np.minimum((confidence * 10).astype(int), 9)
    gaps = [
        abs(float(confidence[bin_of == b].mean()) - float(right[bin_of == b].mean()))
        * float((bin_of == b).mean())
        for b in np.unique(bin_of)
    ]
    return float(sum(gaps))


def pooled(contracts: Sequence[ScoredContract]) -> tuple[Floats, NDArray[np.bool_]]:
    """Return scores and correctness of the candidates of some contracts, without repeated ones."""
    scores, rights = [], []
    for contract in contracts:
        counted = ~contract.repeated
        scores.append(np.array([c.score for c in contract.candidates])[counted])
        rights.append(contract.right[counted])
    return np.concatenate(scores), np.concatenate(rights)


def honest_calibration_error(contracts: Sequence[ScoredContract]) -> tuple[float, float]:
    """Return the calibration error before and after a map that was fitted on other families."""
    families = sorted({contract.family for contract in contracts})
    part = {family: i % 5 for i, family in enumerate(families)}
    confidences, rights = [], []
    for fold in range(5):
        inside = [contract for contract in contracts if part[contract.family] == fold]
        outside = [contract for contract in contracts if part[contract.family] != fold]
        if not inside or not outside:
            continue
        calibration = fit_calibration(*pooled(outside))
        scores, right = pooled(inside)
        confidences.append(calibrated_all(scores, calibration))
        rights.append(right)
    before = calibration_error(*pooled(contracts))
    return before, calibration_error(np.concatenate(confidences), np.concatenate(rights))


# --- scores -------------------------------------------------------------------------------------


def score(contracts: Sequence[ScoredContract], labels: Sequence[str]) -> dict[str, Any]:
    """Score contracts, pooled and by label, with intervals; fit calibration and threshold."""
    calibration = fit_calibration(*pooled(contracts))
    matched = [contract.matched for contract in contracts]
    calibrated_outcomes = outcomes(contracts, matched, labels, calibration)
    counts, answers = calibrated_outcomes.counts(), calibrated_outcomes.answers
    families = [contract.family for contract in contracts]
    curve = Curve.of(counts.sum((0, 1)), int(answers.sum()))
    shown = int(curve.f1.argmax())  # index of the threshold above which clauses are shown
    plain = outcomes(contracts, matched, labels, {}).counts().sum((0, 1))
    before, after = honest_calibration_error(contracts)
    return {
        "contracts": len(contracts),
        "families": len(set(families)),
        "answers": int(answers.sum()),
        "candidates": sum(len(contract.candidates) for contract in contracts),
        "pooled": summary(curve),
        "shown": at_place(curve, shown),
        "intervals": intervals(counts.sum(1), answers.sum(1), families),
        "pooled_without_calibration": summary(Curve.of(plain, int(answers.sum()))),
        "curve": [
            [round(float(v), 4) for v in row]
            for row in zip(THRESHOLDS, curve.precision, curve.recall, strict=True)
        ],
        "labels": {
            name: label_scores(counts[:, i], answers[:, i], families, shown)
            for i, name in enumerate(labels)
        },
        "calibration": calibration,
        "calibration_error": {"before": before, "after": after},
        "thresholds": {"best_f1": curve.best_threshold},
    }


def label_scores(
    counts: Counts, answers: Counts, families: Sequence[str], shown: int
) -> dict[str, Any]:
    """Return the figures of one label: its curve, the interval of its area, and its shown clauses.

    Counts are [contracts, thresholds, 2], answers [contracts]; `shown` is the index of a threshold.
    """
    curve = Curve.of(counts.sum(0), int(answers.sum()))
    values: dict[str, Any] = {"answers": int(answers.sum()), "contracts": int((answers > 0).sum())}
    if answers.sum():
        values |= summary(curve)
        values["aupr_interval"] = intervals(counts, answers, families)["aupr"]
        values["shown"] = at_place(curve, shown)
    return values


def failures(
    records: Sequence[dict[str, Any]], contracts: Sequence[ScoredContract], labels: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """Return the most certain wrong candidates and the longest missed answers, a few words of each.

    One example a category, so that the list shows different failures.
    """
    wrong, missed = [], []
    for record, contract in zip(records, contracts, strict=True):
        source = {"contract": record["title"], "id": record["id"]}
        for c, right in zip(contract.candidates, contract.right, strict=True):
            if not right:
                words = few_words(contract.text[c.start : c.end])
                example = {"category": labels[c.label], "score": round(c.score, 3), "words": words}
                wrong.append(example | source)
        for name, answers in contract.answers.items():
            texts = [
                contract.text[c.start : c.end]
                for c in contract.candidates
                if labels[c.label] == name and c.score > MISSED
            ]
            for answer in answers:
                if not any(matches(name, text, answer) for text in texts):
                    example = {"category": name, "length": len(answer)}
                    missed.append(example | {"words": few_words(answer)} | source)
    return {
        "surest_wrong": first_of_each(sorted(wrong, key=lambda e: -e["score"])),
        "longest_missed": first_of_each(sorted(missed, key=lambda e: -e["length"])),
    }


def few_words(text: str) -> str:
    """Return the first few words of a passage."""
    return " ".join(text.split()[:6])


def first_of_each(examples: list[dict[str, Any]], most: int = 6) -> list[dict[str, Any]]:
    """Return the first example of each category, a few in all."""
    by_category: dict[str, dict[str, Any]] = {}
    for example in examples:
        by_category.setdefault(example["category"], example)
    return list(by_category.values())[:most]


def predicted_folds(folder: Path) -> list[int]:
    """Return the folds that have committed predictions in a specialist's folder."""
    names = [path.name for path in folder.glob("predictions-fold*.jsonl.gz")]
    return sorted(int(name.removeprefix("predictions-fold").split(".")[0]) for name in names)


def folds_predicted(folder: Path) -> tuple[list[int], dict[str, list[Candidate]]]:
    """Return the folds with committed predictions, and the predictions of each contract."""
    folds = predicted_folds(folder)
    predictions: dict[str, list[Candidate]] = {}
    for fold in folds:
        predictions |= read_predictions(folder / f"predictions-fold{fold}.jsonl.gz")
    return folds, predictions


def judged(
    folder: Path, data: Path
) -> tuple[list[dict[str, Any]], list[ScoredContract], list[str]]:
    """Return the contracts with committed predictions, as records and scored, and the labels."""
    settings = read_config(folder)["data"]
    labels = read_labels(folder, settings)
    folds, predictions = folds_predicted(folder)
    records = list(read_records(data, settings, folds))
    return records, [judge(r, predictions[r["id"]], labels) for r in records], labels


def main() -> None:
    """Read the command line and score."""
    arguments = command(__doc__, "specialist", "--data").parse_args()
    folder = arguments.specialist
    records, contracts, labels = judged(folder, arguments.data)
    scores = score(contracts, labels) | {"folds": predicted_folds(folder)}
    scores["other_counts"] = other_counts(records, contracts, labels, scores["calibration"])
    scores["failures"] = failures(records, contracts, labels)
    write_json(folder / "scores.json", scores)
    for key, value in scores["pooled"].items():
        low, high = scores["intervals"][key]
        print(f"{key}: {value:.4f} [{low:.3f}, {high:.3f}]")


if __name__ == "__main__":
    main()
