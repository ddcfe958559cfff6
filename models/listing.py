"""Learn to judge the surest candidates once more, each beside all the others of its contract.

    python -m models.listing models/contract-clauses --data FOLDER --ranked FOLDER --out FOLDER

`--ranked` holds the raw predictions that models.ranking wrote, of each fold by forests that had not
learned from it. Written are the raw predictions of the specialist, with last scores by forests that
learned from the lists of the other folds alone, and to `--out` the forest `list` that learned from
all of them, as it is served (services/extraction/listing.py).
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
from numpy.typing import NDArray

from models.corpus import read_labels, read_records
from models.evaluate import judge, predicted_folds
from models.forest import Booster, Floats, fit, graph, predict
from models.predict import Candidate, read_predictions, write_predictions
from services.extraction.candidates import Integers
from services.extraction.listing import LIST_COLUMNS, list_rows, listed, relisted
from services.extraction.ranking import LEAST


@dataclass(frozen=True)
class Listing:
    """The candidates of one contract, and those of them that are judged again."""

    id: str
    fold: int
    candidates: list[Candidate]  # [N]
    scores: Floats  # [N], of the ranking
    places: Integers  # [L]
    rows: Floats  # [L, LIST_COLUMNS]
    right: NDArray[np.bool_]  # [L]
    repeated: NDArray[np.bool_]  # [L], right, and known from surer ones


def listing(record: dict[str, Any], candidates: list[Candidate], labels: Sequence[str]) -> Listing:
    """Describe the list of one contract, and judge what stands in it by the answers."""
    scores = np.array([c.score for c in candidates], np.float32)
    places = listed(scores)
    some = [candidates[place] for place in places.tolist()]
    rows = list_rows(
        record["text"],
        labels,
        [c.label for c in some],
        [(c.start, c.end) for c in some],
        [c.score for c in some],
    )
    judged = judge(record, candidates, labels)
    flags = judged.right[places], judged.repeated[places]
    return Listing(record["id"], record["fold"], candidates, scores, places, rows, *flags)


def learn(lists: Iterable[Listing], settings: Mapping[str, Any]) -> list[Booster]:
    """Learn whether what stands in a list is right; what only repeats is no lesson."""
    kept = [(some.rows[~some.repeated], some.right[~some.repeated]) for some in lists]
    rows = np.concatenate([rows for rows, _ in kept])
    right = np.concatenate([right for _, right in kept])
    seeds = range(settings["seed"], settings["seed"] + settings["seeds"])
    weights = np.ones(len(rows))
    return [fit(rows, right, weights, settings["trees"], settings, seed) for seed in seeds]


def last(
    lists: Iterable[Listing], forest: Sequence[Booster]
) -> Iterator[tuple[str, list[Candidate]]]:
    """Yield the id and the candidates of every contract, with their last scores."""
    for some in lists:
        scores = some.scores
        if len(some.places):
            scores = relisted(scores, some.places, predict(forest, some.rows))
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
    for fold in folds:
        say(f"learning from all folds but {fold}")
        forest = learn([some for some in lists if some.fold != fold], settings)
        unseen = [some for some in lists if some.fold == fold]
        write_predictions(folder / f"predictions-fold{fold}.jsonl.gz", last(unseen, forest))
    say("learning from all folds")
    arguments.out.mkdir(parents=True, exist_ok=True)
    onnx.save(graph(learn(lists, settings), len(LIST_COLUMNS)), arguments.out / "list.onnx")


def say(message: str) -> None:
    """Tell the person at the terminal how it goes."""
    print(time.strftime("%H:%M:%S"), message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
