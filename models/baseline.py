"""A simple baseline: TF-IDF of each sentence and one logistic regression a label.

    python -m models.baseline models/contract-clauses --data FOLDER

Trained once for each fold that has raw predictions of the specialist, or for each there is, without
it, and scored on it with the same sentences, metric and calibration as the specialist; writes
`baseline.json`. It says what a bag of words already knows.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import SGDClassifier

from models.corpus import FOLDS, read_labels, read_records
from models.evaluate import Judged, judge, predicted_folds, score
from models.predict import Candidate
from services.extraction.decoding import Span, sentences

NEGATIVES = 0.15  # share of the sentences without any label that is trained on
SEED = 5


def labelled(record: dict[str, Any], labels: list[str]) -> tuple[list[Span], NDArray[np.bool_]]:
    """Return a contract's sentences, and which labels cover at least half of each."""
    spans = sentences(record["text"])
    truth = np.zeros((len(spans), len(labels)), bool)
    for note in record["annotations"]:
        if note["category"] not in labels:
            continue
        column = labels.index(note["category"])
        for i, (start, end) in enumerate(spans):
            shared = min(end, note["end"]) - max(start, note["start"])
            truth[i, column] |= 2 * shared >= end - start
    return spans, truth


def train(
    records: list[dict[str, Any]], labels: list[str]
) -> tuple[TfidfVectorizer, list[SGDClassifier | None]]:
    """Fit the vocabulary and one classifier a label; a label that never occurs has none."""
    draw = np.random.default_rng(SEED)
    texts: list[str] = []
    rows = []
    for record in records:
        spans, truth = labelled(record, labels)
        kept = truth.any(1) | (draw.uniform(size=len(spans)) < NEGATIVES)
        texts += [record["text"][slice(*spans[i])] for i in np.flatnonzero(kept)]
        rows.append(truth[kept])
    truth = np.concatenate(rows)
    vectoriser = TfidfVectorizer(ngram_range=(1, 2), min_df=3, max_features=100_000)
    features = vectoriser.fit_transform(texts)
    classifiers: list[SGDClassifier | None] = []
    for column in truth.T:
        model = SGDClassifier(loss="log_loss", alpha=1e-6, max_iter=8, tol=None, random_state=SEED)
        classifiers.append(model.fit(features, column) if column.any() else None)
    return vectoriser, classifiers


def predict(
    record: dict[str, Any],
    vectoriser: TfidfVectorizer,
    classifiers: list[SGDClassifier | None],
) -> list[Candidate]:
    """Propose every sentence that a classifier gives at least one percent."""
    spans = sentences(record["text"])
    features = vectoriser.transform([record["text"][start:end] for start, end in spans])
    found = []
    for label, model in enumerate(classifiers):
        if model is None:
            continue
        chances = model.predict_proba(features)[:, 1]
        found += [
            Candidate(label, *spans[i], float(min(chances[i], 1 - 1e-6)))
            for i in np.flatnonzero(chances >= 0.01)
        ]
    return found


def main() -> None:
    """Read the command line, train and score the baseline, on the folds that have predictions."""
    parser = argparse.ArgumentParser(description="Score a bag of words, fold by fold.")
    parser.add_argument("specialist", type=Path, help="folder with labels.json")
    parser.add_argument("--data", type=Path, required=True)
    arguments = parser.parse_args()
    config = tomllib.loads((arguments.specialist / "config.toml").read_text(encoding="utf-8"))
    labels = read_labels(arguments.specialist, config["data"])
    records = list(read_records(arguments.data, config["data"]))
    judged: list[Judged] = []
    folds = predicted_folds(arguments.specialist) or list(FOLDS)
    for number, fold in enumerate(folds, 1):
        model = train([record for record in records if record["fold"] != fold], labels)
        judged += [
            judge(record, predict(record, *model), labels)
            for record in records
            if record["fold"] == fold
        ]
        print(f"{number} of {len(folds)} folds done", file=sys.stderr, flush=True)
    scores = score(judged, labels)
    result = {key: scores[key] for key in ("pooled", "intervals", "contracts")}
    (arguments.specialist / "baseline.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result["pooled"], indent=1))


if __name__ == "__main__":
    main()
