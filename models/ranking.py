"""Learn which candidates to believe, from predictions on contracts not seen in training.

    python -m models.ranking models/contract-clauses --data FOLDER --scores FOLDER \\
        --ranked FOLDER --kept FOLDER --out FOLDER

`--scores` holds the token scores of every contract in folders by fold, each predicted by the
adapter that was trained without that fold (models.predict). Written to `--ranked` are the
predictions of each fold, by forests that were learned on the other folds alone (models.listing
judges them once more), and to `--out` the forests that were learned on all of them, as they are
served (services/extraction/ranking.py says how). Chances that a category is there at all go beside
the config (models.presence); without `--out` they are all that is learned, and `presence.json`,
which goes with the forests that ship, stays as it is. `--kept` is where a run that was cut off goes
on: gigabytes, which nobody needs afterwards.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from models.corpus import read_labels, read_records
from models.evaluate import answers_of
from models.forest import Booster, Floats, fit, graph, predict
from models.kept import Array, Kept, made, side_by_side
from models.metric import matching
from models.predict import MARK, Candidate, kept_scores, write_predictions
from models.presence import Chances, Evidence, figures, keep, out_of_fold
from models.presence import learn as learn_presence
from services.extraction.candidates import Candidates
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
Keep = Callable[[str, Callable[[], Booster]], Booster]
"""Gives the fit of a name, and makes it if it is not there."""
Lesson = tuple[Floats, Floats, Floats]
"""Of one contract: rows [K, columns], more columns of them, and goals [K]."""


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
    records: Iterable[dict[str, Any]],
    scores: Path,
    labels: Sequence[str],
    settings: Decoding,
    kept: Kept,
    processes: int = 1,
) -> list[Example]:
    """Return every contract that has token scores.

    Args:
        records: the contracts.
        scores: folder of the token scores, by fold.
        labels: of the specialist.
        settings: how candidates are proposed.
        kept: of contracts as they are seen.
        processes: that look at contracts side by side.
    """
    there = [record for record in records if token_scores(scores, record).exists()]
    looks = [partial(example_of, one, scores, labels, settings, kept) for one in there]
    side_by_side(looks, processes)
    say(f"{len(there)} contracts are seen")
    return [look_again() for look_again in looks]


def token_scores(scores: Path, record: Mapping[str, Any]) -> Path:
    """Return the file of a contract's token scores, which may be missing."""
    return scores / str(record["fold"]) / f"{record['id']}.npz"


def example_of(
    record: Mapping[str, Any], scores: Path, labels: Sequence[str], settings: Decoding, kept: Kept
) -> Example:
    """Return one contract as it is seen."""
    answers = answers_of(dict(record))

    def make() -> dict[str, Array]:
        say(f"looking at {record['id']}")
        seen = look(record["text"], kept_scores(token_scores(scores, record)), labels, settings)
        texts = [record["text"][a:b] for a, b in seen.spans.tolist()]
        names = [labels[label] for label in seen.found.label.tolist()]
        return seen_arrays(seen) | matched_arrays(matching(names, texts, answers))

    arrays = kept.arrays(record["id"], make)
    found = Candidates(**{name: arrays[name] for name in CANDIDATES})
    columns, tokens = tuple(arrays["columns"].tolist()), int(arrays["tokens"])
    seen = Seen(record["text"], found, arrays["spans"], columns, arrays["rows"], tokens)
    present = np.array([name in answers for name in labels], bool)
    matched = matched_of(arrays["matches"], arrays["answers"])
    return Example(record["id"], record["fold"], seen, matched, present)


CANDIDATES = ("label", "first", "end", "from_sentence", "to_sentence", "sources")
"""The arrays of candidates."""


def seen_arrays(seen: Seen) -> dict[str, Array]:
    """Return what is seen of a contract, but for its text, as arrays."""
    return {
        **{name: getattr(seen.found, name) for name in CANDIDATES},
        "spans": seen.spans,
        "columns": np.array(seen.columns),
        "rows": seen.rows,
        "tokens": np.array(seen.tokens),
    }


def matched_arrays(matched: Sequence[frozenset[int]]) -> dict[str, Array]:
    """Return how many answers each candidate matches [N], and which, one after the other."""
    places = [place for answers in matched for place in sorted(answers)]
    return {
        "matches": np.array([len(answers) for answers in matched], np.int64),
        "answers": np.array(places, np.int64),
    }


def matched_of(matches: Array, answers: Array) -> list[frozenset[int]]:
    """Undo `matched_arrays`."""
    ends = np.cumsum(matches)
    parts = zip((ends - matches).tolist(), ends.tolist(), strict=True)
    return [frozenset(answers[begin:end].tolist()) for begin, end in parts]


# --- learning -----------------------------------------------------------------------------------


class FirstForests:
    """How likely a candidate matches an answer, learned on some folds: each fit made once."""

    def __init__(
        self, examples: Sequence[Example], settings: Mapping[str, Any], keep: Keep = made
    ) -> None:
        """Learn from contracts.

        Args:
            examples: the contracts.
            settings: of the trees.
            keep: gives the fit of a name, made if it is not there.
        """
        self._examples, self._settings, self.keep = examples, settings, keep
        self._lessons: dict[frozenset[int], Forests] = {}

    def of(self, folds: frozenset[int], fits: int) -> Forests:
        """Return so many fits that learned from these folds."""
        known = self._lessons.setdefault(folds, [])
        lesson: list[tuple[Floats, Flags, Floats]] = []

        def make(seed: int) -> Booster:
            say(f"learning from folds {sorted(folds)}: right or wrong?")
            if not lesson:
                lesson.append(self._lesson(folds))
            return fit(*lesson[0], self._settings["trees"], self._settings, seed)

        for number in range(len(known), fits):
            seed = self._settings["seed"] + number
            known.append(self.keep(f"first-{named(folds)}-{seed}", partial(make, seed)))
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

    @cache
    def lessons() -> tuple[list[Lesson], list[Lesson]]:
        contests = [
            one for fold in sorted(known) for one in contests_of(fold, known, examples, first)
        ]
        say(f"learning from folds {sorted(known)}: what adds something?")
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
            first.keep(f"{name}-{named(known)}-{seed}", partial(make, seed))
            for seed in range(settings["seed"], settings["seed"] + settings["seeds"])
        ]

    of_winners, of_losers = forest_of(0, "winners"), forest_of(1, "losers")
    return Learned(first.of(known, settings["seeds"]), of_winners, of_losers)


def contests_of(
    fold: int, known: frozenset[int], examples: Sequence[Example], first: FirstForests
) -> list[tuple[Example, Contest]]:
    """Return the contests of a fold, judged by first forests of the other known ones."""
    judge = first.of(known - {fold}, 1)
    return [(e, contest(e.seen, predict(judge, e.seen.rows))) for e in examples if e.fold == fold]


def named(folds: Iterable[int]) -> str:
    """Return folds as a part of a name."""
    return "".join(map(str, sorted(folds)))


def one_of(
    lessons: Iterable[Lesson], trees: int, settings: Mapping[str, Any], seed: int
) -> Booster:
    """Make one fit of rows, more columns of them, and goals, of which those that are NaN are left
    out.

    Args:
        lessons: [K, columns], [K, more columns] and [K] of each contract.
        trees: of the fit.
        settings: say how they grow.
        seed: of the fit.
    """
    rows, target = [], []
    for seen, more, goals in lessons:
        kept = ~np.isnan(goals)
        rows.append(np.concatenate([seen[kept], more[kept]], axis=1))
        target.append(goals[kept])
    lesson = np.concatenate(rows), np.concatenate(target)
    return fit(*lesson, np.ones(len(lesson[0])), trees, settings, seed)


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


def rank(
    examples: Sequence[Example],
    settings: Mapping[str, Any],
    first: FirstForests,
    kept: Kept,
    processes: int,
) -> dict[str, Floats]:
    """Return the scores of every contract by id, by forests that had not learned from its fold."""
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

        return kept.arrays(f"ranked-{fold}", make)

    side_by_side([partial(ranked, fold) for fold in sorted(folds)], processes)
    return {name: scores for fold in sorted(folds) for name, scores in ranked(fold).items()}


def arguments_of(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Read the command line."""
    parser.add_argument("specialist", type=Path, help="folder with config.toml and labels.json")
    parser.add_argument("--data", type=Path, required=True, help="folder of the training data")
    parser.add_argument("--scores", type=Path, required=True, help="folder of token scores")
    parser.add_argument("--ranked", type=Path, required=True, help="folder of the predictions")
    parser.add_argument("--kept", type=Path, required=True, help="where a stopped run goes on")
    parser.add_argument("--out", type=Path, help="folder of the forests; without it no forests")
    parser.add_argument("--processes", type=int, default=1, help="side by side; each takes memory")
    return parser.parse_args()


def main() -> None:
    """Read the command line, learn, and write predictions, chances of presence and forests."""
    arguments = arguments_of(
        argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    )
    folder, processes = arguments.specialist, arguments.processes
    config = tomllib.loads((folder / "config.toml").read_text(encoding="utf-8"))
    labels = read_labels(folder, config["data"])
    records = list(read_records(arguments.data, config["data"]))
    settings, decoding = dict(config["ranking"]), Decoding.of(config["decoding"])
    if processes > 1:
        settings["threads"] = 1  # which changes no tree
    adapters = adapters_of(arguments.scores)
    looks = Kept(arguments.kept, [adapters, labels, config["decoding"]])
    examples = read_examples(records, arguments.scores, labels, decoding, looks, processes)
    grown = {name: value for name, value in settings.items() if name != "threads"}
    ids = [example.id for example in examples]
    kept = Kept(arguments.kept, [adapters, labels, config["decoding"], ids, grown])
    first = FirstForests(examples, settings, kept.fit)
    ranked = rank(examples, settings, first, kept, processes)
    write_ranked(arguments.ranked, examples, ranked)
    evidence = [evidence_of(example, ranked[example.id]) for example in examples]
    trees = settings | config["presence"]
    say("learning presence")
    chances = chances_of(examples, evidence, trees, {r["id"]: r["family"] for r in records})
    keep(folder, chances, labels)
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
    """Return how likely each contract has each label, by trees that had not learned from its fold.

    Args:
        examples: the contracts.
        evidence: of each.
        trees: how they grow.
        families: by the ids of contracts.
    """
    return Chances(
        tuple(example.id for example in examples),
        tuple(families[example.id] for example in examples),
        np.array([example.fold for example in examples]),
        out_of_fold(evidence, trees),
        np.stack([one.present for one in evidence]),
    )


def write_figures(folder: Path, chances: Chances, labels: Sequence[str]) -> None:
    """Write how well presence is told, and the threshold of `familiar` that ships."""
    result = figures(chances.chances, chances.present, labels)
    (folder / "presence.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def say(message: str) -> None:
    """Tell the person at the terminal how it goes."""
    print(time.strftime("%H:%M:%S"), message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
