"""Learn which candidates to believe, from predictions on contracts not seen in training.

    python -m models.ranking models/contract-clauses --data FOLDER --scores FOLDER --out FOLDER

`--scores` holds the token scores of every contract in folders by fold, each predicted by the
adapter that was trained without that fold (models.predict). Written are the raw predictions of
each fold, by forests that were learned on the other folds alone, and to `--out` the forests that
were learned on all of them, as they are served (services/extraction/ranking.py says how).
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
    RIVAL_COLUMNS,
    Contest,
    Ranking,
    Seen,
    contest,
    look,
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
    """The two forests, each several fits whose probabilities are averaged."""

    first: Forests
    second: Forests

    def ranking(self, loser: float) -> Ranking:
        """Return the ranking as it is served, with the trees of LightGBM itself."""
        return Ranking(
            lambda rows: predict(self.first, rows),
            lambda rows: predict(self.second, rows),
            loser,
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


def learn(examples: Sequence[Example], settings: Mapping[str, Any]) -> Learned:
    """Learn both forests.

    The second learns from contests that are judged by first forests which had not seen the
    contract: as many as there are `groups` of folds.
    """
    contests: dict[str, Contest] = {}
    folds = sorted({e.fold for e in examples})
    for group in range(settings["groups"]):
        judged = folds[group :: settings["groups"]]
        seen = [e for e in examples if e.fold not in judged]
        unseen = [e for e in examples if e.fold in judged]
        forest = first_forest(seen, settings, seeds=1)
        contests |= {e.id: contest(e.seen.found, predict(forest, e.seen.rows)) for e in unseen}
    second = second_forest(examples, contests, settings)
    return Learned(first_forest(examples, settings, settings["seeds"]), second)


def first_forest(examples: Sequence[Example], settings: Mapping[str, Any], seeds: int) -> Forests:
    """Learn how likely a candidate matches an answer; of the hopeless ones a share is enough."""
    draw = np.random.default_rng(settings["seed"])
    rows, target, weights = [], [], []
    for example in examples:
        right = example.right
        hopeful = right | (example.highest > settings["hopeless"])
        kept = hopeful | (draw.random(len(right)) < settings["share_of_hopeless"])
        rows.append(example.seen.rows[kept])
        target.append(right[kept])
        weights.append(np.where(hopeful, 1, 1 / settings["share_of_hopeless"])[kept])
    lesson = np.concatenate(rows), np.concatenate(target), np.concatenate(weights)
    return [fit(*lesson, settings["trees"], settings, settings["seed"] + i) for i in range(seeds)]


def second_forest(
    examples: Sequence[Example],
    contests: Mapping[str, Contest],
    settings: Mapping[str, Any],
) -> Forests:
    """Learn how likely a loser matches an answer that no better candidate matches."""
    rows, target = [], []
    for example in examples:
        result = contests[example.id]
        goals = new_answers(example, result)
        kept = ~np.isnan(goals)
        of_losers = example.seen.rows[result.losers[kept]]
        rows.append(np.concatenate([of_losers, result.rows[kept]], axis=1))
        target.append(goals[kept])
    lesson = np.concatenate(rows), np.concatenate(target)
    weights, trees = np.ones(len(lesson[0])), settings["trees_of_losers"]
    seeds = range(settings["seed"], settings["seed"] + settings["seeds"])
    return [fit(*lesson, weights, trees, settings, seed) for seed in seeds]


def new_answers(example: Example, result: Contest) -> NDArray[np.float64]:
    """Return for each loser 1 if it matches a new answer, 0 if none, NaN if only known ones [L]."""
    known: dict[int, set[int]] = {}
    goals = {}
    for place in result.order.tolist():
        answers = example.matched[place]
        seen = known.setdefault(int(example.seen.found.label[place]), set())
        if result.winners[place]:
            seen |= answers
        else:
            goals[place] = 1.0 if answers - seen else np.nan if answers else 0.0
    return np.array([goals[place] for place in result.losers.tolist()])


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
    """Write the forests as they are served, and the names of the ranking's columns."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, forest, width in (
        ("first", learned.first, len(columns)),
        ("second", learned.second, len(columns) + len(RIVAL_COLUMNS)),
        ("presence", presence, len(presence_columns(labels))),
    ):
        onnx.save(graph(forest, width), folder / f"{name}.onnx")
    (folder / "columns.json").write_text(json.dumps(columns) + "\n", encoding="utf-8")


def main() -> None:
    """Read the command line, learn, and write predictions, figures of presence and forests."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("specialist", type=Path, help="folder with config.toml and labels.json")
    parser.add_argument("--data", type=Path, required=True, help="folder of the training data")
    parser.add_argument("--scores", type=Path, required=True, help="folder of token scores")
    parser.add_argument("--out", type=Path, required=True, help="folder of the forests")
    arguments = parser.parse_args()
    folder = arguments.specialist
    config = tomllib.loads((folder / "config.toml").read_text(encoding="utf-8"))
    labels = read_labels(folder, config["data"])
    records = read_records(arguments.data, config["data"])
    settings, decoding = config["ranking"], Decoding.of(config["decoding"])
    examples = read_examples(records, arguments.scores, labels, decoding)
    ranked: dict[str, Floats] = {}
    for fold in sorted({example.fold for example in examples}):
        say(f"learning without fold {fold}")
        ranking = learn([e for e in examples if e.fold != fold], settings).ranking(decoding.beaten)
        unseen = [e for e in examples if e.fold == fold]
        ranked |= {e.id: ranking.scores(e.seen.found, e.seen.rows) for e in unseen}
        path = folder / f"predictions-fold{fold}.jsonl.gz"
        write_predictions(path, predictions(unseen, ranked))
    say("learning presence")
    evidence = [evidence_of(example, ranked[example.id]) for example in examples]
    chances = out_of_fold(evidence, settings | config["presence"])
    result = figures(chances, np.stack([e.present for e in evidence]), labels)
    (folder / "presence.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    presence = learn_presence(evidence, settings | config["presence"])
    say("learning the ranking on all folds")
    learned = learn(examples, settings)
    save(arguments.out, learned, presence, examples[0].seen.columns, len(labels))


def say(message: str) -> None:
    """Tell the person at the terminal how it goes."""
    print(time.strftime("%H:%M:%S"), message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
