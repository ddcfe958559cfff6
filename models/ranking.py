"""Learn which candidates to believe, from predictions on contracts not seen in training.

    python -m models.ranking models/contract-clauses --data FOLDER --scores FOLDER --out FOLDER

`--scores` holds the token scores of every contract, each predicted by the adapter that was trained
without the contract's fold (models.predict). Written are the raw predictions of each fold, by
forests that were learned on the other folds alone, and to `--out` the forests that were learned on
all of them, as they are served. What each file is, is said in services/extraction/ranking.py.
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

from models.evaluate import answers_of
from models.forest import Booster, Floats, fit, graph, predict
from models.metric import matching
from models.predict import Candidate, kept_scores, read_contracts, write_predictions
from services.extraction.candidates import Candidates
from services.extraction.decoding import Decoding
from services.extraction.ranking import LEAST, RIVAL_COLUMNS, Contest, Ranking, contest, look

FOLDS = 5
Flags = NDArray[np.bool_]
Forests = list[Booster]


@dataclass(frozen=True)
class Example:
    """One contract: its candidates, what is known of each, and which answers each matches."""

    id: str
    fold: int
    found: Candidates
    spans: NDArray[np.int64]  # [N, 2], code points
    rows: Floats  # [N, columns]
    highest: Floats  # [N], the most likely token of each
    matched: list[frozenset[int]]  # [N]

    @property
    def right(self) -> Flags:
        """Whether each candidate matches an answer [N]."""
        return np.array([bool(answers) for answers in self.matched], bool)


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
    data: Path, scores: Path, labels: Sequence[str], settings: Decoding
) -> tuple[tuple[str, ...], list[Example]]:
    """Return the names of the columns, and every contract that has token scores."""
    examples: list[Example] = []
    columns: tuple[str, ...] = ()
    for record in read_contracts(data, range(FOLDS)):
        path = scores / f"{record['id']}.npz"
        if not path.exists():
            continue
        seen = look(record["text"], kept_scores(path), labels, settings)
        columns = seen.columns
        texts = [record["text"][a:b] for a, b in seen.spans.tolist()]
        names = [labels[label] for label in seen.found.label.tolist()]
        matched = matching(names, texts, answers_of(record))
        highest = seen.rows[:, columns.index("highest")]
        name, fold = record["id"], record["fold"]
        examples.append(Example(name, fold, seen.found, seen.spans, seen.rows, highest, matched))
        say(f"{len(examples)} contracts, {len(texts)} candidates in the last")
    return columns, examples


# --- learning -----------------------------------------------------------------------------------


def learn(examples: Sequence[Example], settings: Mapping[str, Any]) -> Learned:
    """Learn both forests.

    The second learns from contests that are judged by first forests which had not seen the
    contract: as many as there are `groups` of folds.
    """
    contests: dict[str, Contest] = {}
    for group in range(settings["groups"]):
        seen = [e for e in examples if e.fold % settings["groups"] != group]
        unseen = [e for e in examples if e.fold % settings["groups"] == group]
        forest = first_forest(seen, settings, seeds=1) if unseen else []
        contests |= {e.id: contest(e.found, predict(forest, e.rows)) for e in unseen}
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
        rows.append(example.rows[kept])
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
        of_losers = example.rows[result.losers[kept]]
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
        seen = known.setdefault(int(example.found.label[place]), set())
        if result.winners[place]:
            seen |= answers
        else:
            goals[place] = 1.0 if answers - seen else np.nan if answers else 0.0
    return np.array([goals[place] for place in result.losers.tolist()])


# --- the raw predictions ------------------------------------------------------------------------


def predictions(
    examples: Iterable[Example], ranking: Ranking
) -> Iterator[tuple[str, list[Candidate]]]:
    """Yield the id and the candidates of every contract, ranked."""
    for example in examples:
        scores = ranking.scores(example.found, example.rows)
        spans = zip(example.found.label.tolist(), example.spans.tolist(), scores, strict=True)
        yield example.id, [Candidate(c, a, b, float(s)) for c, (a, b), s in spans if s > LEAST]


def main() -> None:
    """Read the command line, learn, and write predictions and forests."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("specialist", type=Path, help="folder with config.toml and labels.json")
    parser.add_argument("--data", type=Path, required=True, help="folder of the training data")
    parser.add_argument("--scores", type=Path, required=True, help="folder of token scores")
    parser.add_argument("--out", type=Path, required=True, help="folder of the forests")
    arguments = parser.parse_args()
    config = tomllib.loads((arguments.specialist / "config.toml").read_text(encoding="utf-8"))
    labels = json.loads((arguments.specialist / "labels.json").read_text(encoding="utf-8"))
    data = arguments.data / config["data"]["training"]
    settings, decoding = config["ranking"], Decoding.of(config["decoding"])
    columns, examples = read_examples(data, arguments.scores, labels, decoding)
    for fold in sorted({example.fold for example in examples}):
        say(f"learning without fold {fold}")
        learned = learn([e for e in examples if e.fold != fold], settings)
        ranking = learned.ranking(decoding.beaten)
        path = arguments.specialist / f"predictions-fold{fold}.jsonl.gz"
        unseen = [e for e in examples if e.fold == fold]
        write_predictions(path, predictions(unseen, ranking))
    say("learning on all folds")
    learned = learn(examples, settings)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, forest, width in (
        ("first", learned.first, len(columns)),
        ("second", learned.second, len(columns) + len(RIVAL_COLUMNS)),
    ):
        onnx.save(graph(forest, width), arguments.out / f"{name}.onnx")
    (arguments.out / "columns.json").write_text(json.dumps(columns) + "\n", encoding="utf-8")


def say(message: str) -> None:
    """Tell the person at the terminal how it goes."""
    print(time.strftime("%H:%M:%S"), message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
