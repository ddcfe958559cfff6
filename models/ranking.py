"""Learn which candidates to believe, from predictions on contracts not seen in training.

    python -m models.ranking models/contract-clauses --data FOLDER --scores FOLDER \\
        --ranked FOLDER --out FOLDER

`--scores` holds the token scores of every contract in folders by fold, each predicted by the
adapter that was trained without that fold (models.predict). Written to `--ranked` are the
predictions of each fold, by forests that were learned on the other folds alone (models.listing
judges them once more), and to `--out` the forests that were learned on all of them, as they are
served (services/extraction/ranking.py says how).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from models.corpus import read_labels, read_records
from models.evaluate import answers_of
from models.forest import Booster, Floats, fit, graph, predict
from models.metric import matching
from models.predict import Candidate, kept_scores, write_predictions
from models.presence import Evidence, figures, out_of_fold
from models.presence import learn as learn_presence
from services.extraction.decoding import Decoding
from services.extraction.presence import presence_columns, presence_rows
from services.extraction.ranking import (
    LEAST,
    PLACE_COLUMNS,
    RIVAL_COLUMNS,
    Contest,
    Ranking,
    Seen,
    contest,
    look,
    told,
)

Flags = NDArray[np.bool_]
Forests = list[Booster]


@dataclass(frozen=True)
class Example:
    """One contract: its candidates, which answers each matches, and which labels it has."""

    id: str
    fold: int
    seen: Seen
    matched: list[frozenset[int]]  # [N]
    present: Flags  # [labels]

    @property
    def right(self) -> Flags:
        """Whether each candidate matches an answer [N]."""
        return np.array([bool(answers) for answers in self.matched], bool)

    @property
    def highest(self) -> Floats:
        """The most likely token of each candidate [N]."""
        return self.seen.rows[:, self.seen.columns.index("highest")]


@dataclass(frozen=True)
class Learned:
    """The three forests, each several fits whose probabilities are averaged."""

    first: Forests
    of_winners: Forests
    of_losers: Forests

    @property
    def ranking(self) -> Ranking:
        """The ranking as it is served, with the trees of LightGBM itself."""
        return Ranking(
            lambda rows: predict(self.first, rows),
            lambda rows: predict(self.of_winners, rows),
            lambda rows: predict(self.of_losers, rows),
        )


# --- the data -----------------------------------------------------------------------------------


def read_examples(
    records: Iterable[dict[str, Any]], scores: Path, labels: Sequence[str], settings: Decoding
) -> list[Example]:
    """Return every contract that has token scores."""
    examples: list[Example] = []
    for record in records:
        path = scores / str(record["fold"]) / f"{record['id']}.npz"
        if not path.exists():
            continue
        seen = look(record["text"], kept_scores(path), labels, settings)
        texts = [record["text"][a:b] for a, b in seen.spans.tolist()]
        names = [labels[label] for label in seen.found.label.tolist()]
        answers = answers_of(record)
        matched = matching(names, texts, answers)
        present = np.array([name in answers for name in labels], bool)
        examples.append(Example(record["id"], record["fold"], seen, matched, present))
        say(f"{len(examples)} contracts, {len(texts)} candidates in the last")
    return examples


# --- learning -----------------------------------------------------------------------------------


class FirstForests:
    """How likely a candidate matches an answer, learned on some folds: each fit made once."""

    def __init__(self, examples: Sequence[Example], settings: Mapping[str, Any]) -> None:
        self._examples, self._settings = examples, settings
        self._lessons: dict[frozenset[int], Forests] = {}

    def of(self, folds: frozenset[int], fits: int) -> Forests:
        """Return so many fits that learned from these folds."""
        known = self._lessons.setdefault(folds, [])
        if len(known) < fits:
            say(f"learning from folds {sorted(folds)}: right or wrong?")
            lesson = self._lesson(folds)
            for seed in range(len(known), fits):
                known.append(
                    fit(
                        *lesson,
                        self._settings["trees"],
                        self._settings,
                        self._settings["seed"] + seed,
                    )
                )
        return known[:fits]

    def _lesson(self, folds: frozenset[int]) -> tuple[Floats, Flags, Floats]:
        """Return rows, targets and weights; of the hopeless candidates a share is enough."""
        share = self._settings["share_of_hopeless"]
        draw = np.random.default_rng(self._settings["seed"])
        rows, target, weights = [], [], []
        for example in self._examples:
            if example.fold not in folds:
                continue
            right = example.right
            hopeful = right | (example.highest > self._settings["hopeless"])
            kept = hopeful | (draw.random(len(right)) < share)
            rows.append(example.seen.rows[kept])
            target.append(right[kept])
            weights.append(np.where(hopeful, 1, 1 / share)[kept])
        return np.concatenate(rows), np.concatenate(target), np.concatenate(weights)


def learn(
    examples: Sequence[Example],
    folds: Iterable[int],
    settings: Mapping[str, Any],
    first: FirstForests,
) -> Learned:
    """Learn the forests from some folds.

    Those of winners and losers learn from contests that are judged by first forests which had
    learned from the other folds.
    """
    known = frozenset(folds)
    contests: list[tuple[Example, Contest]] = []
    for fold in sorted(known):
        judge = first.of(known - {fold}, 1)
        contests += [
            (e, contest(e.seen, predict(judge, e.seen.rows))) for e in examples if e.fold == fold
        ]
    say(f"learning from folds {sorted(known)}: what adds something?")
    goals = [new_answers(example, result) for example, result in contests]
    of_winners = forest(
        [
            (e.seen.rows[r.winners], r.places, g)
            for (e, r), (g, _) in zip(contests, goals, strict=True)
        ],
        settings["trees_of_winners"],
        settings,
    )
    of_losers = forest(
        [
            (e.seen.rows[r.losers], r.rivals, g)
            for (e, r), (_, g) in zip(contests, goals, strict=True)
        ],
        settings["trees_of_losers"],
        settings,
    )
    return Learned(first.of(known, settings["seeds"]), of_winners, of_losers)


def forest(
    lessons: Iterable[tuple[Floats, Floats, Floats]], trees: int, settings: Mapping[str, Any]
) -> Forests:
    """Learn from rows, more columns of them, and goals, of which those that are NaN are left out.

    Args:
        lessons: [K, columns], [K, more columns] and [K] of each contract.
        trees: of each fit.
        settings: say how they grow, and how many fits.
    """
    rows, target = [], []
    for seen, more, goals in lessons:
        kept = ~np.isnan(goals)
        rows.append(np.concatenate([seen[kept], more[kept]], axis=1))
        target.append(goals[kept])
    lesson = np.concatenate(rows), np.concatenate(target)
    weights = np.ones(len(lesson[0]))
    seeds = range(settings["seed"], settings["seed"] + settings["seeds"])
    return [fit(*lesson, weights, trees, settings, seed) for seed in seeds]


def new_answers(example: Example, result: Contest) -> tuple[Floats, Floats]:
    """Return whether right winners are new [W], and whether losers are new or else wrong [L].

    New is what matches an answer that nothing before it matches: winners come before losers, and
    the surer before the less sure. NaN are winners that are wrong, and losers that match only
    answers that are known.
    """
    known: dict[int, set[int]] = {}

    def adds(place: int) -> bool:
        seen = known.setdefault(int(example.seen.found.label[place]), set())
        new = bool(example.matched[place] - seen)
        seen |= example.matched[place]
        return new

    def goals(places: Iterable[int], wrong: float, repeated: float) -> Floats:
        values = [
            1.0 if adds(place) else repeated if example.matched[place] else wrong
            for place in places
        ]
        return np.array(values, np.float32)

    return (
        goals(result.winners.tolist(), np.nan, 0.0),
        goals(result.losers.tolist(), 0.0, np.nan),
    )


# --- the raw predictions ------------------------------------------------------------------------


def predictions(
    examples: Iterable[Example], ranked: Mapping[str, Floats]
) -> Iterator[tuple[str, list[Candidate]]]:
    """Yield the id and the candidates of every contract, with the scores of its ranking."""
    for example in examples:
        seen = example.seen
        found = seen.found.label.tolist(), seen.spans.tolist(), ranked[example.id].tolist()
        yield (
            example.id,
            [Candidate(c, a, b, s) for c, (a, b), s in zip(*found, strict=True) if s > LEAST],
        )


def evidence_of(example: Example, scores: Floats) -> Evidence:
    """Return what its ranking says of every label in a contract."""
    labels = len(example.present)
    return Evidence(example.fold, presence_rows(example.seen, scores, labels), example.present)


def save(
    folder: Path, learned: Learned, presence: Forests, columns: Sequence[str], labels: int
) -> None:
    """Write the forests as they are served, alone, and the names of the ranking's columns."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.onnx"):
        old.unlink()
    for name, forest, width in (
        ("first", learned.first, len(columns)),
        ("winners", learned.of_winners, len(columns) + len(PLACE_COLUMNS)),
        ("losers", learned.of_losers, len(columns) + len(RIVAL_COLUMNS)),
        ("presence", presence, len(presence_columns(labels))),
    ):
        onnx.save(graph(forest, width), folder / f"{name}.onnx")
    (folder / "columns.json").write_text(json.dumps(told(columns)) + "\n", encoding="utf-8")


def main() -> None:
    """Read the command line, learn, and write predictions, figures of presence and forests."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("specialist", type=Path, help="folder with config.toml and labels.json")
    parser.add_argument("--data", type=Path, required=True, help="folder of the training data")
    parser.add_argument("--scores", type=Path, required=True, help="folder of token scores")
    parser.add_argument("--ranked", type=Path, required=True, help="folder of the predictions")
    parser.add_argument("--out", type=Path, required=True, help="folder of the forests")
    arguments = parser.parse_args()
    folder = arguments.specialist
    config = tomllib.loads((folder / "config.toml").read_text(encoding="utf-8"))
    labels = read_labels(folder, config["data"])
    records = read_records(arguments.data, config["data"])
    settings, decoding = config["ranking"], Decoding.of(config["decoding"])
    arguments.ranked.mkdir(parents=True, exist_ok=True)
    examples = read_examples(records, arguments.scores, labels, decoding)
    ranked: dict[str, Floats] = {}
    folds = {example.fold for example in examples}
    first = FirstForests(examples, settings)
    for fold in sorted(folds):
        ranking = learn(examples, folds - {fold}, settings, first).ranking
        unseen = [e for e in examples if e.fold == fold]
        ranked |= {e.id: ranking.scores(e.seen) for e in unseen}
        path = arguments.ranked / f"predictions-fold{fold}.jsonl.gz"
        write_predictions(path, predictions(unseen, ranked))
    say("learning presence")
    evidence = [evidence_of(example, ranked[example.id]) for example in examples]
    chances = out_of_fold(evidence, settings | config["presence"])
    result = figures(chances, np.stack([e.present for e in evidence]), labels)
    (folder / "presence.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    presence = learn_presence(evidence, settings | config["presence"])
    learned = learn(examples, folds, settings, first)
    save(arguments.out, learned, presence, examples[0].seen.columns, len(labels))


def say(message: str) -> None:
    """Tell the person at the terminal how it goes."""
    print(time.strftime("%H:%M:%S"), message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
