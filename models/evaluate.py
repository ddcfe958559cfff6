"""Score a specialist on contracts it has not seen, and learn its calibration and thresholds there.

    python -m models.evaluate models/contract-clauses --data FOLDER

Scores the raw predictions in `predictions-fold*.jsonl.gz`, each made by a model that had not seen
the fold, against the data, and writes `scores.json`, from which `models.export` takes calibration
and thresholds, and `models.card` makes the card. Anyone can run it on the committed predictions.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.corpus import read_labels, read_records
from models.metric import THRESHOLDS, Counts, Curve, count_contract, matches, matching
from models.predict import Candidate, read_predictions
from services.extraction.pipeline import calibrated

Floats = NDArray[np.float64]

FRONTIER_RECALL = 0.603  # where the best published frontier model stands (precision 0.711)
RESAMPLES = 1000
SEED = 7
MISSED = 0.02  # an answer is missed when no candidate above this score matches it
KNOTS = 40  # of the calibration, at most
STRICT = 1e-3  # share of the plain score mixed in, so that the calibration rises strictly


@dataclass(frozen=True)
class Judged:
    """One contract with its answers and candidates, and which candidates match which answer."""

    family: str
    text: str
    answers: dict[str, list[str]]
    candidates: list[Candidate]
    matched: list[frozenset[int]]  # places of the answers in their category

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether each candidate matches an answer."""
        return np.array([bool(answers) for answers in self.matched], bool)

    @property
    def repeated(self) -> NDArray[np.bool_]:
        """Whether each matches only answers that surer ones match: neither for nor against."""
        known: dict[int, set[int]] = {}
        flags = np.zeros(len(self.candidates), bool)
        for i in sorted(range(len(flags)), key=lambda i: -self.candidates[i].score):
            seen = known.setdefault(self.candidates[i].label, set())
            flags[i] = bool(self.matched[i]) and self.matched[i] <= seen
            seen |= self.matched[i]
        return flags


# --- judging ------------------------------------------------------------------------------------


def judge(record: dict[str, Any], candidates: list[Candidate], labels: Sequence[str]) -> Judged:
    """Put one contract's candidates beside its answers."""
    text = record["text"]
    answers = {name: texts for name, texts in answers_of(record).items() if name in labels}
    names = [labels[c.label] for c in candidates]
    matched = matching(names, [text[c.start : c.end] for c in candidates], answers)
    return Judged(record["family"], text, answers, candidates, matched)


def answers_of(record: dict[str, Any]) -> dict[str, list[str]]:
    """Return the texts of a contract's annotations by category."""
    answers: dict[str, list[str]] = {}
    for note in record["annotations"]:
        text = record["text"][note["start"] : note["end"]]
        answers.setdefault(note["category"], []).append(text)
    return answers


def counts_of(
    contract: Judged, labels: Sequence[str], calibration: dict[str, Any]
) -> tuple[Counts, Counts]:
    """Count one contract under a calibration: [labels, thresholds, 2] and answers [labels]."""
    predictions: dict[str, list[tuple[str, float]]] = {}
    for c in contract.candidates:
        confidence = calibrated(c.score, calibration)
        predictions.setdefault(labels[c.label], []).append(
            (contract.text[c.start : c.end], confidence)
        )
    return count_contract(labels, predictions, contract.answers)


# --- calibration --------------------------------------------------------------------------------


def fit_calibration(scores: Floats, right: NDArray[np.bool_]) -> dict[str, list[float]]:
    """Fit a strictly rising map from score to the share that is right, as knots.

    Isotonic regression (pool adjacent violators) on the pooled candidates; each pool of its
    stair becomes a knot at its mean, and a trace of the score keeps the slope above zero.
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


def calibration_error(confidence: Floats, right: NDArray[np.bool_], bins: int = 10) -> float:
    """Return the expected calibration error over bins of equal width (Guo et al., 2017).

    Only candidates of at least 0.05 count: the many that nobody is shown would hide the rest.
    """
    shown = confidence >= 0.05
    if not shown.any():
        return 0.0
    confidence, right = confidence[shown], right[shown]
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [
        abs(confidence[place == b].mean() - right[place == b].mean()) * (place == b).mean()
        for b in np.unique(place)
    ]
    return float(sum(gaps))


def pooled(contracts: Sequence[Judged]) -> tuple[Floats, NDArray[np.bool_]]:
    """Return scores and rightness of the candidates of some contracts, but for repeated ones."""
    counted = [~contract.repeated for contract in contracts]
    scores = [np.array([c.score for c in contract.candidates]) for contract in contracts]
    return (
        np.concatenate([values[kept] for values, kept in zip(scores, counted, strict=True)]),
        np.concatenate([c.right[kept] for c, kept in zip(contracts, counted, strict=True)]),
    )


def honest_calibration_error(contracts: Sequence[Judged]) -> tuple[float, float]:
    """Return the calibration error before, and after a map fitted on other families' contracts."""
    families = sorted({contract.family for contract in contracts})
    part = {family: i % 5 for i, family in enumerate(families)}
    confidences, rights = [], []
    for held in range(5):
        inside = [contract for contract in contracts if part[contract.family] == held]
        others = [contract for contract in contracts if part[contract.family] != held]
        if not inside or not others:
            continue
        calibration = fit_calibration(*pooled(others))
        scores, right = pooled(inside)
        confidences.append(np.array([calibrated(score, calibration) for score in scores]))
        rights.append(right)
    before = calibration_error(*pooled(contracts))
    return before, calibration_error(np.concatenate(confidences), np.concatenate(rights))


# --- scores -------------------------------------------------------------------------------------


def summary(curve: Curve) -> dict[str, float]:
    """Return the figures that are read off a curve."""
    return {
        "aupr": curve.aupr,
        "precision_at_recall_0.8": curve.precision_at(0.8),
        "best_f1": curve.best_f1,
        f"precision_at_recall_{FRONTIER_RECALL}": curve.precision_at(FRONTIER_RECALL),
        "highest_recall": float(curve.recall[-1]),
    }


def intervals(counts: Counts, answers: Counts, families: Sequence[str]) -> dict[str, list[float]]:
    """Return 95% intervals by resampling families of contracts.

    Args:
        counts: [contracts, thresholds, 2].
        answers: [contracts].
        families: of the contracts; contracts of one family stay together.
    """
    names = sorted(set(families))
    member = np.array([[family == name for family in families] for name in names])
    by_family = np.tensordot(member.astype(np.int64), counts, axes=1)
    answers_by_family = member.astype(np.int64) @ answers
    draw = np.random.default_rng(SEED)
    rows = []
    for _ in range(RESAMPLES):
        chosen = draw.integers(len(names), size=len(names))
        curve = Curve.of(by_family[chosen].sum(0), int(answers_by_family[chosen].sum()))
        rows.append(list(summary(curve).values()))
    low, high = np.percentile(rows, [2.5, 97.5], axis=0)
    keys = summary(Curve.of(counts.sum(0), int(answers.sum())))
    return {key: [float(a), float(b)] for key, a, b in zip(keys, low, high, strict=True)}


def score(contracts: Sequence[Judged], labels: Sequence[str]) -> dict[str, Any]:
    """Score judged contracts: pooled, by label, with intervals; fit calibration and threshold."""
    calibration = fit_calibration(*pooled(contracts))
    counted = [counts_of(contract, labels, calibration) for contract in contracts]
    counts = np.stack([found for found, _ in counted])  # [contracts, labels, thresholds, 2]
    answers = np.stack([number for _, number in counted])  # [contracts, labels]
    families = [contract.family for contract in contracts]
    curve = Curve.of(counts.sum((0, 1)), int(answers.sum()))
    shown = int(curve.f1.argmax())  # the place of the threshold above which clauses are shown
    plain = np.stack([counts_of(contract, labels, {})[0].sum(0) for contract in contracts])
    before, after = honest_calibration_error(contracts)
    return {
        "contracts": len(contracts),
        "families": len(set(families)),
        "answers": int(answers.sum()),
        "candidates": sum(len(contract.candidates) for contract in contracts),
        "pooled": summary(curve),
        "shown": at_place(curve, shown),
        "intervals": intervals(counts.sum(1), answers.sum(1), families),
        "pooled_without_calibration": summary(Curve.of(plain.sum(0), int(answers.sum()))),
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


def at_place(curve: Curve, place: int) -> dict[str, float]:
    """Return precision and recall at the threshold in that place."""
    return {"precision": float(curve.precision[place]), "recall": float(curve.recall[place])}


def label_scores(
    counts: Counts, answers: Counts, families: Sequence[str], shown: int
) -> dict[str, Any]:
    """Score one label: its own curve, the interval of its area, and what of it is shown.

    Args:
        counts: [contracts, thresholds, 2].
        answers: [contracts].
        families: of the contracts.
        shown: place of the threshold above which clauses of any label are shown.
    """
    curve = Curve.of(counts.sum(0), int(answers.sum()))
    values: dict[str, Any] = {"answers": int(answers.sum()), "contracts": int((answers > 0).sum())}
    if answers.sum():
        values |= summary(curve)
        values["aupr_interval"] = intervals(counts, answers, families)["aupr"]
        values["shown"] = at_place(curve, shown)
    return values


def failures(
    records: Sequence[dict[str, Any]], contracts: Sequence[Judged], labels: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """Return the surest wrong candidates and the longest missed answers, a few words of each.

    One example a category, so that the list shows different faults.
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
    """Return the folds that have raw predictions in the folder of a specialist."""
    names = [path.name for path in folder.glob("predictions-fold*.jsonl.gz")]
    return sorted(int(name.removeprefix("predictions-fold").split(".")[0]) for name in names)


def main() -> None:
    """Read the command line and score."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("specialist", type=Path, help="folder with labels.json and predictions")
    parser.add_argument("--data", type=Path, required=True, help="folder of the training data")
    arguments = parser.parse_args()
    folder = arguments.specialist
    config = tomllib.loads((folder / "config.toml").read_text(encoding="utf-8"))
    labels = read_labels(folder, config["data"])
    folds = predicted_folds(folder)
    predictions: dict[str, list[Candidate]] = {}
    for fold in folds:
        predictions |= read_predictions(folder / f"predictions-fold{fold}.jsonl.gz")
    records = list(read_records(arguments.data, config["data"], folds))
    contracts = [judge(record, predictions[record["id"]], labels) for record in records]
    scores = score(contracts, labels) | {"folds": folds}
    scores["failures"] = failures(records, contracts, labels)
    target = folder / "scores.json"
    target.write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")
    for key, value in scores["pooled"].items():
        low, high = scores["intervals"][key]
        print(f"{key}: {value:.4f} [{low:.3f}, {high:.3f}]")


if __name__ == "__main__":
    main()
