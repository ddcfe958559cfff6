r"""Learn the ranking of candidates from contracts that the adapters have not seen.

    python -m models.clauses.ranking models/clauses/contract-clauses --data FOLDER \
        --scores FOLDER --ranked FOLDER --kept FOLDER --out FOLDER

* `--scores` has the token scores of every contract in folders by fold, predicted by the adapter
  that was trained without that fold (models.evaluation.predict).
* `--ranked` gets the predictions of each fold, by forests of the other folds
  (models.clauses.reranking scores them again).
* `--out` gets the forests of all folds, as they are served
  (services/extraction/pipeline/ranking.py). Without it only the probabilities of presence are
  learned, and `presence.json` stays.
* `--kept` is where an interrupted run resumes: gigabytes, to be deleted afterwards.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from models.clauses.checkpoints import Array, CheckpointFolder, side_by_side, without_storing
from models.clauses.presence import Chances, Evidence, figures, out_of_fold, write_chances
from models.clauses.presence import learn as learn_presence
from models.corpus import read_labels, read_records
from models.evaluation.judging import answers_of
from models.evaluation.predict import MARK, Candidate, read_scores, write_predictions
from models.files import command, read_config, say, write_json
from models.forest import Booster, Floats, fit, graph, predict
from services.extraction.evaluation.metric import matching
from services.extraction.pipeline.candidates import Candidates
from services.extraction.pipeline.decoding import Decoding
from services.extraction.pipeline.presence import presence_columns, presence_rows
from services.extraction.pipeline.ranking import (
    MIN_SCORE,
    PLACE_COLUMNS,
    RIVAL_COLUMNS,
    Competition,
    Ranking,
    RankingFeatures,
    column_names,
    compete,
    describe_candidates,
)

Flags = NDArray[np.bool_]
Forests = list[Booster]
Keep = Callable[[str, Callable[[], Booster]], Booster]
"""Returns the fit of a name; makes it if it is missing."""
Lesson = tuple[Floats, Floats, Floats]
"""One contract: rows [K, columns], additional columns [K, more], and targets [K]."""


@dataclass(frozen=True)
class Example:
    """One contract: its candidates, the answers that each matches, and its labels."""

    id: str
    fold: int
    seen: RankingFeatures
    matched: list[frozenset[int]]  # [N]
    present: Flags  # [labels]

    @property
    def right(self) -> Flags:
        """Return whether each candidate matches an answer [N]."""
        return np.array([bool(answers) for answers in self.matched], bool)

    @property
    def highest(self) -> Floats:
        """Return the probability of the most likely token of each candidate [N]."""
        return self.seen.rows[:, self.seen.columns.index("highest")]


@dataclass(frozen=True)
class Learned:
    """The three forests; each is several fits whose probabilities are averaged."""

    first: Forests
    of_winners: Forests
    of_losers: Forests

    @property
    def ranking(self) -> Ranking:
        """Return the ranking as it is served, with LightGBM's trees."""
        return Ranking(
            lambda rows: predict(self.first, rows),
            lambda rows: predict(self.of_winners, rows),
            lambda rows: predict(self.of_losers, rows),
        )


# --- the data -----------------------------------------------------------------------------------


def read_examples(
    records: Iterable[dict[str, Any]],
    scores: Path,
    labels: Sequence[str],
    settings: Decoding,
    checkpoints: CheckpointFolder,
    processes: int = 1,
) -> list[Example]:
    """Return every contract that has token scores."""
    there = [record for record in records if token_scores(scores, record).exists()]
    read = [partial(example_of, record, scores, labels, settings, checkpoints) for record in there]
    side_by_side(read, processes)
    say(f"{len(there)} contracts have features")
    return [read_again() for read_again in read]


def token_scores(scores: Path, record: Mapping[str, Any]) -> Path:
    """Return the file of a contract's token scores, which may be missing."""
    return scores / str(record["fold"]) / f"{record['id']}.npz"


def example_of(
    record: Mapping[str, Any],
    scores: Path,
    labels: Sequence[str],
    settings: Decoding,
    checkpoints: CheckpointFolder,
) -> Example:
    """Return one contract with its features."""
    answers = answers_of(dict(record))

    def make() -> dict[str, Array]:
        say(f"computing features of {record['id']}")
        seen = describe_candidates(
            record["text"], read_scores(token_scores(scores, record)), labels, settings
        )
        texts = [record["text"][a:b] for a, b in seen.spans.tolist()]
        names = [labels[label] for label in seen.found.label.tolist()]
        return seen_arrays(seen) | matched_arrays(matching(names, texts, answers))

    arrays = checkpoints.arrays(record["id"], make)
    result = Candidates(**{name: arrays[name] for name in CANDIDATES})
    columns, tokens = tuple(arrays["columns"].tolist()), int(arrays["tokens"])
    seen = RankingFeatures(record["text"], result, arrays["spans"], columns, arrays["rows"], tokens)
    present = np.array([name in answers for name in labels], bool)
    matched = matched_of(arrays["matches"], arrays["answers"])
    return Example(record["id"], record["fold"], seen, matched, present)


CANDIDATES = ("label", "first", "end", "from_sentence", "to_sentence", "sources")


def seen_arrays(seen: RankingFeatures) -> dict[str, Array]:
    """Return the features of a contract as arrays, without its text."""
    return {
        **{name: getattr(seen.found, name) for name in CANDIDATES},
        "spans": seen.spans,
        "columns": np.array(seen.columns),
        "rows": seen.rows,
        "tokens": np.array(seen.tokens),
    }


def matched_arrays(matched: Sequence[frozenset[int]]) -> dict[str, Array]:
    """Return the number of answers that each candidate matches [N], and all their indices."""
    indices = [index for answers in matched for index in sorted(answers)]
    return {
        "matches": np.array([len(answers) for answers in matched], np.int64),
        "answers": np.array(indices, np.int64),
    }


def matched_of(matches: Array, answers: Array) -> list[frozenset[int]]:
    """Undo `matched_arrays`."""
    ends = np.cumsum(matches)
    parts = zip((ends - matches).tolist(), ends.tolist(), strict=True)
    return [frozenset(answers[begin:end].tolist()) for begin, end in parts]


# --- learning -----------------------------------------------------------------------------------


class FirstForests:
    """Forests of the first stage by training folds; each fit is made once."""

    def __init__(
        self,
        examples: Sequence[Example],
        settings: Mapping[str, Any],
        store: Keep = without_storing,
    ) -> None:
        self._examples, self._settings, self.keep = examples, settings, store
        self._lessons: dict[frozenset[int], Forests] = {}

    def of(self, folds: frozenset[int], fits: int) -> Forests:
        """Return this number of fits that were trained on these folds."""
        forests = self._lessons.setdefault(folds, [])
        lesson: list[tuple[Floats, Flags, Floats]] = []

        def make(seed: int) -> Booster:
            say(f"training on folds {sorted(folds)}: right or wrong?")
            if not lesson:
                lesson.append(self._lesson(folds))
            return fit(*lesson[0], self._settings["trees"], self._settings, seed)

        for number in range(len(forests), fits):
            seed = self._settings["seed"] + number
            forests.append(self.keep(f"first-{named(folds)}-{seed}", partial(make, seed)))
        return forests[:fits]

    def _lesson(self, folds: frozenset[int]) -> tuple[Floats, Flags, Floats]:
        """Return rows, targets and weights; with a sample of the hopeless candidates."""
        share = self._settings["share_of_hopeless"]
        draw = np.random.default_rng(self._settings["seed"])
        rows, target, weights = [], [], []
        for example in self._examples:
            if example.fold not in folds:
                continue
            right = example.right
            hopeful = right | (example.highest > self._settings["hopeless"])
            selected = hopeful | (draw.random(len(right)) < share)
            rows.append(example.seen.rows[selected])
            target.append(right[selected])
            weights.append(np.where(hopeful, 1, 1 / share)[selected])
        return np.concatenate(rows), np.concatenate(target), np.concatenate(weights)


def learn(
    examples: Sequence[Example],
    folds: Iterable[int],
    settings: Mapping[str, Any],
    first: FirstForests,
) -> Learned:
    """Train the forests on some folds.

    The forests of winners and losers learn from contests that first forests of the other folds
    decide.
    """
    training = frozenset(folds)

    @cache
    def lessons() -> tuple[list[Lesson], list[Lesson]]:
        contests = [
            entry
            for fold in sorted(training)
            for entry in contests_of(fold, training, examples, first)
        ]
        say(f"training on folds {sorted(training)}: which candidates add an answer?")
        goals = [new_answers(example, result) for example, result in contests]
        pairs = list(zip(contests, goals, strict=True))
        return (
            [(e.seen.rows[r.winners], r.places, new) for (e, r), (new, _) in pairs],
            [(e.seen.rows[r.losers], r.rivals, new) for (e, r), (_, new) in pairs],
        )

    def forest_of(which: int, name: str) -> Forests:
        def make(seed: int) -> Booster:
            return one_of(lessons()[which], settings[f"trees_of_{name}"], settings, seed)

        return [
            first.keep(f"{name}-{named(training)}-{seed}", partial(make, seed))
            for seed in range(settings["seed"], settings["seed"] + settings["seeds"])
        ]

    of_winners, of_losers = forest_of(0, "winners"), forest_of(1, "losers")
    return Learned(first.of(training, settings["seeds"]), of_winners, of_losers)


def contests_of(
    fold: int, training: frozenset[int], examples: Sequence[Example], first: FirstForests
) -> list[tuple[Example, Competition]]:
    """Return the contests of a fold, decided by first forests of the other folds."""
    judge = first.of(training - {fold}, 1)
    return [(e, compete(e.seen, predict(judge, e.seen.rows))) for e in examples if e.fold == fold]


def named(folds: Iterable[int]) -> str:
    """Return folds as part of a name."""
    return "".join(map(str, sorted(folds)))


def one_of(
    lessons: Iterable[Lesson], trees: int, settings: Mapping[str, Any], seed: int
) -> Booster:
    """Make one fit of several lessons; rows with the target NaN are left out."""
    rows, target = [], []
    for seen, more, goals in lessons:
        selected = ~np.isnan(goals)
        rows.append(np.concatenate([seen[selected], more[selected]], axis=1))
        target.append(goals[selected])
    lesson = np.concatenate(rows), np.concatenate(target)
    return fit(*lesson, np.ones(len(lesson[0])), trees, settings, seed)


def new_answers(example: Example, result: Competition) -> tuple[Floats, Floats]:
    """Return the targets of winners [W] and losers [L]: whether each matches a new answer.

    An answer is new if no earlier candidate matches it. Winners come before losers, more certain
    ones first. Wrong winners, and losers that match only known answers, are NaN.
    """
    matched: dict[int, set[int]] = {}

    def adds(index: int) -> bool:
        seen = matched.setdefault(int(example.seen.found.label[index]), set())
        new = bool(example.matched[index] - seen)
        seen |= example.matched[index]
        return new

    def goals(indices: Iterable[int], wrong: float, repeated: float) -> Floats:
        values = [
            1.0 if adds(index) else repeated if example.matched[index] else wrong
            for index in indices
        ]
        return np.array(values, np.float32)

    winners = goals(result.winners.tolist(), np.nan, 0.0)  # before the losers
    return winners, goals(result.losers.tolist(), 0.0, np.nan)


# --- the raw predictions ------------------------------------------------------------------------


def predictions(
    examples: Iterable[Example], ranked: Mapping[str, Floats]
) -> Iterator[tuple[str, list[Candidate]]]:
    """Yield the id and the candidates of every contract, with the scores of its ranking."""
    for example in examples:
        seen = example.seen
        result = seen.found.label.tolist(), seen.spans.tolist(), ranked[example.id].tolist()
        yield (
            example.id,
            [Candidate(c, a, b, s) for c, (a, b), s in zip(*result, strict=True) if s > MIN_SCORE],
        )


def evidence_of(example: Example, scores: Floats) -> Evidence:
    """Return the features of every label in a contract, from its ranking."""
    labels = len(example.present)
    return Evidence(example.fold, presence_rows(example.seen, scores, labels), example.present)


def save(
    folder: Path, learned: Learned, presence: Forests, columns: Sequence[str], labels: int
) -> None:
    """Write the forests as they are served, and the names of the ranking's columns."""
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
    (folder / "columns.json").write_text(json.dumps(column_names(columns)) + "\n", encoding="utf-8")


def rank(
    examples: Sequence[Example],
    settings: Mapping[str, Any],
    first: FirstForests,
    checkpoints: CheckpointFolder,
    processes: int,
) -> dict[str, Floats]:
    """Return the scores of every contract by id, by forests of the other folds."""
    folds = frozenset(example.fold for example in examples)
    others = [folds - {fold} for fold in sorted(folds)]
    judges = sorted({some - {fold} for some in others for fold in some}, key=sorted)
    fits = [partial(first.of, some, settings["seeds"]) for some in others]
    side_by_side([*fits, *(partial(first.of, some, 1) for some in judges)], processes)

    def ranked(fold: int) -> dict[str, Floats]:
        def make() -> dict[str, Floats]:
            ranking = learn(examples, folds - {fold}, settings, first).ranking
            say(f"ranking fold {fold}")
            return {e.id: ranking.scores(e.seen) for e in examples if e.fold == fold}

        return checkpoints.arrays(f"ranked-{fold}", make)

    side_by_side([partial(ranked, fold) for fold in sorted(folds)], processes)
    return {name: scores for fold in sorted(folds) for name, scores in ranked(fold).items()}


def arguments_of() -> argparse.Namespace:
    """Read the command line."""
    parser = command(__doc__, "specialist", "--data")
    parser.add_argument("--scores", type=Path, required=True, help="folder of token scores")
    parser.add_argument("--ranked", type=Path, required=True, help="folder of the predictions")
    parser.add_argument("--kept", type=Path, required=True, help="where a stopped run resumes")
    parser.add_argument("--out", type=Path, help="folder of the forests; without it no forests")
    parser.add_argument("--processes", type=int, default=1, help="side by side; each takes memory")
    return parser.parse_args()


def main() -> None:
    """Read the command line, train, and write predictions, presence and forests."""
    arguments = arguments_of()
    folder, processes = arguments.specialist, arguments.processes
    config = read_config(folder)
    labels = read_labels(folder, config["data"])
    records = list(read_records(arguments.data, config["data"]))
    settings, decoding = dict(config["ranking"]), Decoding.of(config["decoding"])
    if processes > 1:
        settings["threads"] = 1  # which changes no tree
    adapters = adapters_of(arguments.scores)
    looks = CheckpointFolder(arguments.kept, [adapters, labels, config["decoding"]])
    examples = read_examples(records, arguments.scores, labels, decoding, looks, processes)
    grown = {name: value for name, value in settings.items() if name != "threads"}
    ids = [example.id for example in examples]
    checkpoints = CheckpointFolder(
        arguments.kept, [adapters, labels, config["decoding"], ids, grown]
    )
    first = FirstForests(examples, settings, checkpoints.fit)
    ranked = rank(examples, settings, first, checkpoints, processes)
    write_ranked(arguments.ranked, examples, ranked)
    evidence = [evidence_of(example, ranked[example.id]) for example in examples]
    trees = settings | config["presence"]
    say("learning presence")
    chances = chances_of(examples, evidence, trees, {r["id"]: r["family"] for r in records})
    write_chances(folder, chances, labels)
    if arguments.out:
        write_figures(folder, chances, labels)
        learned = learn(examples, {e.fold for e in examples}, settings, first)
        columns = examples[0].seen.columns
        save(arguments.out, learned, learn_presence(evidence, trees), columns, len(labels))


def adapters_of(scores: Path) -> dict[str, str]:
    """Return the digest of the adapter that made the token scores of each fold."""
    return {path.parent.name: path.read_text("utf-8") for path in sorted(scores.glob(f"*/{MARK}"))}


def write_ranked(folder: Path, examples: Sequence[Example], ranked: Mapping[str, Floats]) -> None:
    """Write the predictions of each fold."""
    folder.mkdir(parents=True, exist_ok=True)
    for fold in sorted({example.fold for example in examples}):
        some = predictions([e for e in examples if e.fold == fold], ranked)
        write_predictions(folder / f"predictions-fold{fold}.jsonl.gz", some)


def chances_of(
    examples: Sequence[Example],
    evidence: Sequence[Evidence],
    trees: Mapping[str, Any],
    families: Mapping[str, str],
) -> Chances:
    """Return the probability of each label in each contract, by trees of the other folds."""
    return Chances(
        tuple(example.id for example in examples),
        tuple(families[example.id] for example in examples),
        np.array([example.fold for example in examples]),
        out_of_fold(evidence, trees),
        np.stack([entry.present for entry in evidence]),
    )


def write_figures(folder: Path, chances: Chances, labels: Sequence[str]) -> None:
    """Write the figures of presence, and the threshold `familiar` that ships."""
    result = figures(chances.chances, chances.present, labels)
    write_json(folder / "presence.json", result)


if __name__ == "__main__":
    main()
