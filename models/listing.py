"""Learn to judge the surest candidates once more, each beside all the others of its contract.

    python -m models.listing models/contract-clauses --data FOLDER --ranked FOLDER --out FOLDER

`--ranked` holds the raw predictions that models.ranking wrote, of each fold by forests that had not
learned from it. Written are the raw predictions of the specialist, with last scores by words and a
forest that learned from the lists of the other folds alone, and to `--out` the words and the forest
`list` that learned from all of them, as they are served (services/extraction/listing.py). What the
words say of a list that the forest learns from is said by words that learned from other lists.
"""

from __future__ import annotations

import argparse
import sys
import time
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from models.corpus import read_labels, read_records
from models.evaluate import judge, predicted_folds
from models.forest import Booster, Floats, fit, graph, predict
from models.predict import Candidate, read_predictions, write_predictions
from models.wording import Worded, learn_words, worded
from services.extraction.candidates import Integers
from services.extraction.listing import LIST_COLUMNS, list_rows, listed, relisted
from services.extraction.ranking import LEAST
from services.extraction.wording import PLACES, WORDS_FILE, Wording, write_wording


@dataclass(frozen=True)
class Listing:
    """The candidates of one contract, and those of them that are judged again."""

    id: str
    fold: int
    candidates: list[Candidate]  # [N]
    scores: Floats  # [N], of the ranking
    places: Integers  # [L]
    rows: Floats  # [L, LIST_COLUMNS], of which the last, the words', is still 0
    words: Worded  # what they are made of

    def told(self, wording: Wording) -> Floats:
        """Return what the forest is told of the list [L, LIST_COLUMNS]."""
        rows = self.rows.copy()
        rows[:, -1] = wording.said(self.words.label.tolist(), self.words.places)
        return rows


def listing(record: dict[str, Any], candidates: list[Candidate], labels: Sequence[str]) -> Listing:
    """Describe the list of one contract, and judge what stands in it by the answers."""
    scores = np.array([c.score for c in candidates], np.float32)
    places = listed(scores)
    some = [candidates[place] for place in places.tolist()]
    label, spans = [c.label for c in some], [(c.start, c.end) for c in some]
    silent = Wording(np.zeros((len(labels), PLACES), np.float16))
    sure = scores[places].tolist()
    rows = list_rows(record["text"], labels, label, spans, sure, silent)
    judged = judge(record, candidates, labels)
    flags = judged.right[places], judged.repeated[places]
    words = worded([record["text"][start:end] for start, end in spans], label, sure, *flags)
    return Listing(record["id"], record["fold"], candidates, scores, places, rows, words)


class Words:
    """Models of words by the folds that they have not learned from, each learned once."""

    def __init__(self, lists: Sequence[Listing], labels: int, settings: Mapping[str, Any]) -> None:
        self._lists, self._labels, self._settings = lists, labels, settings
        self._learned: dict[frozenset[int], Wording] = {}

    def without(self, *folds: int) -> Wording:
        """Return the model that learned from the lists of all folds but some."""
        left_out = frozenset(folds)
        if left_out not in self._learned:
            some = (one.words for one in self._lists if one.fold not in left_out)
            self._learned[left_out] = learn_words(some, self._labels, self._settings)
        return self._learned[left_out]


def learn(
    lists: Iterable[Listing], words: Words, without: Sequence[int], settings: Mapping[str, Any]
) -> list[Booster]:
    """Learn whether what stands in a list is right; what only repeats is no lesson.

    Args:
        lists: of the folds to learn from.
        words: that have not learned from a list say something of it.
        without: folds that nothing may learn from.
        settings: of the trees.
    """
    kept = []
    for some in lists:
        lesson = ~some.words.repeated
        rows = some.told(words.without(some.fold, *without))
        kept.append((rows[lesson], some.words.right[lesson]))
    rows = np.concatenate([rows for rows, _ in kept])
    right = np.concatenate([right for _, right in kept])
    seeds = range(settings["seed"], settings["seed"] + settings["seeds"])
    weights = np.ones(len(rows))
    return [fit(rows, right, weights, settings["trees"], settings, seed) for seed in seeds]


def last(
    lists: Iterable[Listing], wording: Wording, forest: Sequence[Booster]
) -> Iterator[tuple[str, list[Candidate]]]:
    """Yield the id and the candidates of every contract, with their last scores."""
    for some in lists:
        scores = some.scores
        if len(some.places):
            scores = relisted(scores, some.places, predict(forest, some.told(wording)))
        yield (
            some.id,
            [
                Candidate(c.label, c.start, c.end, float(score))
                for c, score in zip(some.candidates, scores, strict=True)
                if score > LEAST
            ],
        )


def main() -> None:
    """Read the command line, learn, and write predictions and the forest."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("specialist", type=Path, help="folder with config.toml and labels.json")
    parser.add_argument("--data", type=Path, required=True, help="folder of the training data")
    parser.add_argument("--ranked", type=Path, required=True, help="folder of ranked predictions")
    parser.add_argument("--out", type=Path, required=True, help="folder of the forests")
    arguments = parser.parse_args()
    folder = arguments.specialist
    config = tomllib.loads((folder / "config.toml").read_text(encoding="utf-8"))
    labels, settings = read_labels(folder, config["data"]), config["listing"]
    folds = predicted_folds(arguments.ranked)
    found: dict[str, list[Candidate]] = {}
    for fold in folds:
        found |= read_predictions(arguments.ranked / f"predictions-fold{fold}.jsonl.gz")
    records = read_records(arguments.data, config["data"], folds)
    lists = [listing(record, found[record["id"]], labels) for record in records]
    say(f"{sum(len(some.places) for some in lists)} candidates in {len(lists)} lists")
    words = Words(lists, len(labels), config["wording"])
    for fold in folds:
        say(f"learning from all folds but {fold}")
        forest = learn([some for some in lists if some.fold != fold], words, [fold], settings)
        unseen = [some for some in lists if some.fold == fold]
        scored = last(unseen, words.without(fold), forest)
        write_predictions(folder / f"predictions-fold{fold}.jsonl.gz", scored)
    say("learning from all folds")
    arguments.out.mkdir(parents=True, exist_ok=True)
    onnx.save(
        graph(learn(lists, words, [], settings), len(LIST_COLUMNS)), arguments.out / "list.onnx"
    )
    (arguments.out / WORDS_FILE).write_bytes(write_wording(words.without()))


def say(message: str) -> None:
    """Tell the person at the terminal how it goes."""
    print(time.strftime("%H:%M:%S"), message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
