r"""Learn to score the most certain candidates again, each compared with the others of its contract.

    python -m models.clauses.reranking models/clauses/contract-clauses --data FOLDER \
        --ranked FOLDER --out FOLDER

`--ranked` has the predictions of models.clauses.ranking. A word model and a forest of the other
folds make the specialist's raw predictions. `--out` gets those of all folds, as they are served
(services/extraction/pipeline/reranking.py). The forest learns from outputs of word models that were
trained on other folds.

The word model is one logistic regression a label on the candidates that are scored again. It sees
their words and the log odds of the ranking. The weight of the ranking is dropped afterwards, so the
words learn what the ranking does not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from models.corpus import read_labels, read_records
from models.evaluation.evaluate import folds_predicted
from models.evaluation.judging import judge
from models.evaluation.predict import Candidate, write_predictions
from models.files import command, read_config, say
from models.forest import Booster, Floats, fit_forest, graph, predict
from services.extraction.pipeline.candidates import Integers
from services.extraction.pipeline.ranking import MIN_SCORE
from services.extraction.pipeline.reranking import (
    BUCKETS,
    LIST_COLUMNS,
    WORDS_FILE,
    WordModel,
    hash_buckets,
    list_rows,
    rerank_positions,
    write_word_model,
)

SURE = 1e-4
"""Scores of the ranking are clipped to this distance from 0 and 1."""


@dataclass(frozen=True)
class WordExamples:
    """Candidates of one contract as the word model sees them."""

    label: Integers  # [L]
    scores: Floats  # [L], of the ranking
    places: list[Integers]  # the indices of each candidate's words
    right: NDArray[np.bool_]  # [L]
    repeated: NDArray[np.bool_]  # [L], repeats a more certain answer: left out


def learn_words(
    lists: Iterable[WordExamples], labels: int, settings: Mapping[str, Any]
) -> WordModel:
    """Learn a word model.

    Args:
        settings: `least`, the candidates that a label needs; `share`, the weight of words relative
            to the ranking; `strength`, the inverse of the regularisation.
    """
    some = list(lists)
    label = np.concatenate([example.label for example in some])
    right = np.concatenate([example.right for example in some])
    lesson = ~np.concatenate([example.repeated for example in some])
    scores = np.clip(np.concatenate([example.scores for example in some]), SURE, 1 - SURE)
    odds = np.log(scores / (1 - scores))
    words = _matrix([places for example in some for places in example.places])
    weights = np.zeros((labels, BUCKETS), np.float16)
    for number in range(labels):
        mine = np.flatnonzero(lesson & (label == number))
        if len(mine) < settings["least"] or right[mine].all() or not right[mine].any():
            continue
        ranking = sparse.csr_matrix(odds[mine, None])
        columns = sparse.hstack([words[mine] * settings["share"], ranking]).tocsr()
        model = LogisticRegression(C=settings["strength"], solver="liblinear")
        learned = model.fit(columns, right[mine]).coef_[0, :-1]
        weights[number] = (learned * settings["share"]).astype(np.float16)
    return WordModel(weights)


def _matrix(rows: Sequence[Integers]) -> Any:
    """Return texts as unit vectors [N, BUCKETS]."""
    lengths = np.array([len(row) for row in rows])
    values = np.repeat(1 / np.sqrt(np.maximum(lengths, 1)), lengths).astype(np.float32)
    columns = np.concatenate(rows) if len(rows) else np.zeros(0, np.int64)
    ends = np.concatenate([[0], np.cumsum(lengths)])
    return sparse.csr_matrix((values, columns, ends), shape=(len(rows), BUCKETS))


@dataclass(frozen=True)
class RankedList:
    """The candidates of one contract, and those that are scored again."""

    id: str
    fold: int
    candidates: list[Candidate]  # [N]
    scores: Floats  # [N], of the ranking
    places: Integers  # [L]
    rows: Floats  # [L, LIST_COLUMNS]; the last, the word score, is 0
    words: WordExamples  # the source of that column

    def features(self, word_model: WordModel) -> Floats:
        """Return the features of the list [L, LIST_COLUMNS]."""
        rows = self.rows.copy()
        rows[:, -1] = word_model.log_odds(self.words.label.tolist(), self.words.places)
        return rows


def ranked_list(
    record: dict[str, Any], candidates: list[Candidate], labels: Sequence[str]
) -> RankedList:
    """Describe the list of one contract, and match its candidates with the answers."""
    scores = np.array([c.score for c in candidates], np.float32)
    places = rerank_positions(scores)
    some = [candidates[index] for index in places.tolist()]
    label, spans = [c.label for c in some], [(c.start, c.end) for c in some]
    silent = WordModel(np.zeros((len(labels), BUCKETS), np.float16))
    sure = scores[places].tolist()
    rows = list_rows(record["text"], labels, label, spans, sure, silent)
    judged = judge(record, candidates, labels)
    flags = judged.right[places], judged.repeated[places]
    buckets = [hash_buckets(record["text"][start:end]) for start, end in spans]
    words = WordExamples(np.array(label, np.int64), scores[places], buckets, *flags)
    return RankedList(record["id"], record["fold"], candidates, scores, places, rows, words)


class Words:
    """Word models by the folds that they were not trained on; each is trained once."""

    def __init__(
        self, lists: Sequence[RankedList], labels: int, settings: Mapping[str, Any]
    ) -> None:
        self._lists, self._labels, self._settings = lists, labels, settings
        self._learned: dict[frozenset[int], WordModel] = {}

    def without(self, *folds: int) -> WordModel:
        """Return the word model of the lists of all folds but some."""
        left_out = frozenset(folds)
        if left_out not in self._learned:
            some = (entry.words for entry in self._lists if entry.fold not in left_out)
            self._learned[left_out] = learn_words(some, self._labels, self._settings)
        return self._learned[left_out]


def learn(
    lists: Iterable[RankedList], words: Words, without: Sequence[int], settings: Mapping[str, Any]
) -> list[Booster]:
    """Learn whether candidates in a list are right; repeated answers are left out.

    Args:
        words: models that have not seen a list score its words.
        without: folds left out of training.
    """
    kept = []
    for some in lists:
        lesson = ~some.words.repeated
        rows = some.features(words.without(some.fold, *without))
        kept.append((rows[lesson], some.words.right[lesson]))
    rows, right = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    return fit_forest(rows, right, settings)


def last(
    lists: Iterable[RankedList], word_model: WordModel, forest: Sequence[Booster]
) -> Iterator[tuple[str, list[Candidate]]]:
    """Yield the id and the candidates of every contract, with their final scores."""
    for some in lists:
        scores = some.scores
        if len(some.places):
            scores = scores.copy()
            scores[some.places] = predict(forest, some.features(word_model))
        pairs = zip(some.candidates, scores.tolist(), strict=True)
        yield some.id, [replace(c, score=score) for c, score in pairs if score > MIN_SCORE]


def main() -> None:
    """Read the command line, learn, and write predictions and the forest."""
    parser = command(__doc__, "specialist", "--data")
    parser.add_argument("--ranked", type=Path, required=True, help="folder of ranked predictions")
    parser.add_argument("--out", type=Path, required=True, help="folder of the forests")
    arguments = parser.parse_args()
    folder = arguments.specialist
    config = read_config(folder)
    labels, settings = read_labels(folder, config["data"]), config["reranking"]
    folds, ranked = folds_predicted(arguments.ranked)
    records = read_records(arguments.data, config["data"], folds)
    lists = [ranked_list(record, ranked[record["id"]], labels) for record in records]
    say(f"{sum(len(some.places) for some in lists)} candidates in {len(lists)} lists")
    words = Words(lists, len(labels), config["word_model"])
    for fold in folds:
        say(f"training on all folds but {fold}")
        forest = learn([some for some in lists if some.fold != fold], words, [fold], settings)
        unseen = [some for some in lists if some.fold == fold]
        scored = last(unseen, words.without(fold), forest)
        write_predictions(folder / f"predictions-fold{fold}.jsonl.gz", scored)
    say("training on all folds")
    arguments.out.mkdir(parents=True, exist_ok=True)
    forest = learn(lists, words, [], settings)
    onnx.save(graph(forest, len(LIST_COLUMNS)), arguments.out / "list.onnx")
    (arguments.out / WORDS_FILE).write_bytes(write_word_model(words.without()))


if __name__ == "__main__":
    main()
