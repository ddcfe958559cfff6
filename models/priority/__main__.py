"""Learn what a reviewer will change, from decisions that labels make about out-of-fold predictions.

    python -m models.priority --data FOLDER [--states var/priority] [--out models/artefacts]

FOLDER holds the corpora of contracts. Every contract is judged by heads that were learned without
its fold, in which all contracts of its company's family lie; those chances are written beside the
config (`predictions.jsonl.gz`: offsets and chances, no text), of which `models.priority.scores`
makes figures and card. With `--states` (`models.priority.states`) heads on the base's states are
tried too. What ships is the forest, learned on all contracts with the same recipe.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from models.corpus import read_labels
from models.forest import Booster, fit, graph, predict
from models.priority import heads, states
from models.priority.simulation import Queue, queues
from services.review.priority import NAME, write
from shared.listed import COLUMNS, Floats

FOLDER = Path(__file__).resolve().parent.parent / NAME
FEW = ("confidence", "category")
"""The columns that a forest which is told little is told."""

Head = Callable[[Floats], Floats]
"""Takes rows [N, COLUMNS]; returns chances [N]."""
Learner = Callable[[Floats, NDArray[np.bool_]], Head]


def forests(rows: Floats, changed: NDArray[np.bool_], config: Mapping[str, Any]) -> list[Booster]:
    """Learn a forest, several fits to be averaged."""
    settings, weights = config["forest"], np.ones(len(rows))
    first = settings["seed"]
    return [
        fit(rows, changed, weights, settings["trees"], settings, seed)
        for seed in range(first, first + settings["seeds"])
    ]


def learners(config: Mapping[str, Any]) -> dict[str, Learner]:
    """The heads that are tried, by name; `learned` is the one that ships."""
    few = [COLUMNS.index(name) for name in FEW]

    def forest(rows: Floats, changed: NDArray[np.bool_]) -> Head:
        fits = forests(rows, changed, config)
        return lambda some: predict(fits, some)

    def told_less(rows: Floats, changed: NDArray[np.bool_]) -> Head:
        head = forest(rows[:, few], changed)
        return lambda some: head(some[:, few])

    def linear(rows: Floats, changed: NDArray[np.bool_]) -> Head:
        categories = int(rows[:, COLUMNS.index("category")].max()) + 1
        ridge = LogisticRegression(C=config["linear"]["strength"], max_iter=2000)
        model = make_pipeline(StandardScaler(), ridge).fit(spread(rows, categories), changed)
        return lambda some: model.predict_proba(spread(some, categories))[:, 1].astype(np.float32)

    return {"learned": forest, "linear": linear, "told_less": told_less}


def spread(rows: Floats, categories: int) -> Floats:
    """The columns for a linear head: log odds of the confidence, and a line of it per category."""
    sure = np.clip(rows[:, COLUMNS.index("confidence")].astype(np.float64), 1e-4, 1 - 1e-4)
    odds = np.log(sure / (1 - sure))
    place = rows[:, COLUMNS.index("category")].astype(int)
    one_hot = (place[:, None] == np.arange(categories)).astype(np.float64)
    return np.column_stack([rows, odds, one_hot, one_hot * odds[:, None]]).astype(np.float32)


def out_of_fold(some: Sequence[Queue], learner: Learner) -> list[Floats]:
    """The chances of each contract's clauses, by a head that was learned without its fold."""
    found: list[Floats] = [np.zeros(0, np.float32)] * len(some)
    for fold in sorted({queue.fold for queue in some}):
        head = learner(*lesson([queue for queue in some if queue.fold != fold]))
        for i, queue in enumerate(some):
            if queue.fold == fold:
                found[i] = head(queue.rows)
        say(f"fold {fold} is judged")
    return found


def by_states(
    some: Sequence[Queue], folder: Path, config: Mapping[str, Any]
) -> dict[str, list[Floats]]:
    """The chances of each contract's clauses by heads on the base's states, by name.

    Args:
        some: the contracts.
        folder: of the states.
        config: of the heads that are tried.
    """
    categories = int(max(queue.rows[:, COLUMNS.index("category")].max() for queue in some)) + 1
    kept = states.read_all(folder, some)
    every = heads.told(some, kept, lambda rows: spread(rows, categories))
    ends = np.cumsum([len(queue.clauses) for queue in some])[:-1]
    found = {}
    tried = heads.heads(config, lambda rows, changed: forests(rows, changed, config))
    for name, make in tried.items():
        say(f"learning: {name}")
        found[name] = np.split(heads.out_of_fold(every, make), ends)
    return found


def lesson(some: Sequence[Queue]) -> tuple[Floats, NDArray[np.bool_]]:
    """Rows [N, COLUMNS] and whether each is changed [N]."""
    rows = np.concatenate([queue.rows for queue in some])
    return rows, np.concatenate([queue.changed for queue in some])


def keep(
    path: Path, some: Sequence[Queue], found: Mapping[str, Sequence[Floats]], version: str
) -> None:
    """Write what was predicted of each contract: no text."""
    category = COLUMNS.index("category")
    with gzip.GzipFile(path, "wb", mtime=0) as file:
        for i, queue in enumerate(some):
            line = {
                "id": queue.id,
                "family": queue.family,
                "fold": queue.fold,
                "version": version,
                "spans": [
                    [int(row[category]), clause.start, clause.end]
                    for row, clause in zip(queue.rows, queue.clauses, strict=True)
                ],
                "confidence": [round(clause.confidence, 6) for clause in queue.clauses],
                "words": queue.words.tolist(),
                "decision": queue.decisions,
                "exact": queue.exact.tolist(),
                **{
                    name: [round(float(chance), 4) for chance in chances[i]]
                    for name, chances in found.items()
                },
            }
            file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
    say(f"{path} is written")


def shipped(
    some: Sequence[Queue], config: Mapping[str, Any], specialist: Path
) -> tuple[bytes, dict[str, Any]]:
    """Learn on all contracts; return the forest as it is served, and what its manifest says."""
    fits = forests(*lesson(some), config)
    about = tomllib.loads((specialist / "config.toml").read_text(encoding="utf-8"))
    return graph(fits, len(COLUMNS)).SerializeToString(), {
        "adapter": specialist.name,
        "adapter_version": about["version"],
        "categories": tuple(read_labels(specialist, about["data"])),
        "licence": config["data"]["licence"],
    }


def main() -> None:
    """Read the command line, learn, and write predictions and the artefact."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder of the corpora")
    parser.add_argument("--out", type=Path, help="folder of the artefacts")
    parser.add_argument("--states", type=Path, help="folder of the base's states, to try heads")
    parser.add_argument("--config", type=Path, default=FOLDER / "config.toml")
    arguments = parser.parse_args()
    config = tomllib.loads(arguments.config.read_text(encoding="utf-8"))
    specialist = arguments.config.parent.parent / config["data"]["adapter"]
    some = list(queues(arguments.data, specialist))
    say(f"{sum(len(queue.clauses) for queue in some)} clauses of {len(some)} contracts are decided")
    found: dict[str, list[Floats]] = {}
    for name, learner in learners(config).items():
        say(f"learning: {name}")
        found[name] = out_of_fold(some, learner)
    if arguments.states:
        found |= by_states(some, arguments.states, config)
    keep(arguments.config.parent / "predictions.jsonl.gz", some, found, config["version"])
    if arguments.out:
        forest, manifest = shipped(some, config, specialist)
        write(arguments.out / NAME / config["version"], forest, config["version"], **manifest)
        say("the artefact is written")


def say(message: str) -> None:
    """Tell the person at the terminal how it goes."""
    print(time.strftime("%H:%M:%S"), message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
