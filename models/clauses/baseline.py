"""Baseline of the clause specialists: TF-IDF of each sentence, one logistic regression a label.

    python -m models.clauses.baseline models/clauses/contract-clauses --data FOLDER

Trains without each fold that has predictions of the specialist (all folds if none has) and scores
it with the same sentences, metric and calibration. Writes `baseline.json`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import SGDClassifier

from models.corpus import FOLDS, read_labels, read_records
from models.evaluation.evaluate import predicted_folds, score
from models.evaluation.judging import ScoredContract, judge
from models.evaluation.predict import Candidate
from models.files import command, read_config, say, write_json
from services.extraction.pipeline.decoding import Span, sentences

NEGATIVES = 0.15  # share of the sentences without any label that is trained on
SEED = 5


def labelled(record: dict[str, Any], labels: list[str]) -> tuple[list[Span], NDArray[np.bool_]]:
    """Return a contract's sentences, and the labels that cover at least half of each."""
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
    """Fit the vocabulary and one classifier a label; None for a label that never occurs."""
    draw = np.random.default_rng(SEED)
    texts: list[str] = []
    rows = []
    for record in records:
        spans, truth = labelled(record, labels)
        selected = truth.any(1) | (draw.uniform(size=len(spans)) < NEGATIVES)
        texts += [record["text"][slice(*spans[i])] for i in np.flatnonzero(selected)]
        rows.append(truth[selected])
    truth = np.concatenate(rows)
    vectoriser = TfidfVectorizer(ngram_range=(1, 2), min_df=3, max_features=100_000)
    features = vectoriser.fit_transform(texts)
    classifiers: list[SGDClassifier | None] = []
    for column in truth.T:
        model = SGDClassifier(loss="log_loss", alpha=1e-6, max_iter=8, tol=None, random_state=SEED)
        classifiers.append(model.fit(features, column) if column.any() else None)
    return vectoriser, classifiers


def predict(
    record: dict[str, Any], vectoriser: TfidfVectorizer, classifiers: list[SGDClassifier | None]
) -> list[Candidate]:
    """Propose every sentence with a probability of at least one percent."""
    spans = sentences(record["text"])
    features = vectoriser.transform([record["text"][start:end] for start, end in spans])
    result = []
    for label, model in enumerate(classifiers):
        if model is None:
            continue
        chances = model.predict_proba(features)[:, 1]
        result += [
            Candidate(label, *spans[i], float(min(chances[i], 1 - 1e-6)))
            for i in np.flatnonzero(chances >= 0.01)
        ]
    return result


def main() -> None:
    """Read the command line, train and score the baseline, on the folds that have predictions."""
    parser = command(__doc__, "specialist", "--data")
    arguments = parser.parse_args()
    config = read_config(arguments.specialist)
    labels = read_labels(arguments.specialist, config["data"])
    records = list(read_records(arguments.data, config["data"]))
    judged: list[ScoredContract] = []
    folds = predicted_folds(arguments.specialist) or list(FOLDS)
    for number, fold in enumerate(folds, 1):
        model = train([record for record in records if record["fold"] != fold], labels)
        unseen = [record for record in records if record["fold"] == fold]
        judged += [judge(record, predict(record, *model), labels) for record in unseen]
        say(f"{number} of {len(folds)} folds done")
    scores = score(judged, labels)
    result = {key: scores[key] for key in ("pooled", "intervals", "contracts")}
    print(write_json(arguments.specialist / "baseline.json", result), end="")


if __name__ == "__main__":
    main()
