"""Learn which clauses a reviewer will change, from decisions simulated by labels.

    python -m models.review_priority --data FOLDER [--out models/artefacts]

FOLDER has the corpora of contracts. Each contract is scored by models without its fold, which has
all contracts of its family. Probabilities are written to `predictions.jsonl.gz` (offsets and
numbers, no text) for `models.review_priority.scores`. The forest ships, trained on all contracts
with the same recipe.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from models.corpus import read_labels
from models.files import command, folder_of, read_config, say, write_lines
from models.forest import fit_forest, graph, predict
from models.review_priority.simulation import Queue, queues
from services.review.priority import NAME, write
from shared.features.clause_list import COLUMNS, Floats

FOLDER = Path(__file__).resolve().parent
FEW = ("confidence", "category")
"""Columns of the forest with few features."""

Head = Callable[[Floats], Floats]
"""Maps rows [N, COLUMNS] to probabilities [N]."""
Learner = Callable[[Floats, NDArray[np.bool_]], Head]


def learners(config: Mapping[str, Any]) -> dict[str, Learner]:
    """Return the compared models by name; `learned` ships."""
    few = [COLUMNS.index(name) for name in FEW]

    def forest(rows: Floats, changed: NDArray[np.bool_]) -> Head:
        fits = fit_forest(rows, changed, config["forest"])
        return lambda some: predict(fits, some)

    def few_columns(rows: Floats, changed: NDArray[np.bool_]) -> Head:
        head = forest(rows[:, few], changed)
        return lambda some: head(some[:, few])

    def linear(rows: Floats, changed: NDArray[np.bool_]) -> Head:
        categories = int(rows[:, COLUMNS.index("category")].max()) + 1
        ridge = LogisticRegression(C=config["linear"]["strength"], max_iter=2000)
        model = make_pipeline(StandardScaler(), ridge).fit(spread(rows, categories), changed)
        return lambda some: model.predict_proba(spread(some, categories))[:, 1].astype(np.float32)

    return {"learned": forest, "linear": linear, "told_less": few_columns}


def spread(rows: Floats, categories: int) -> Floats:
    """Return the columns of a linear model: log odds, with a slope per category."""
    sure = np.clip(rows[:, COLUMNS.index("confidence")].astype(np.float64), 1e-4, 1 - 1e-4)
    odds = np.log(sure / (1 - sure))
    category = rows[:, COLUMNS.index("category")].astype(int)
    one_hot = (category[:, None] == np.arange(categories)).astype(np.float64)
    return np.column_stack([rows, odds, one_hot, one_hot * odds[:, None]]).astype(np.float32)


def out_of_fold(some: Sequence[Queue], learner: Learner) -> list[Floats]:
    """Return the probabilities of each contract's clauses, by a model without its fold."""
    result: list[Floats] = [np.zeros(0, np.float32)] * len(some)
    for fold in sorted({queue.fold for queue in some}):
        head = learner(*lesson([queue for queue in some if queue.fold != fold]))
        for i, queue in enumerate(some):
            if queue.fold == fold:
                result[i] = head(queue.rows)
        say(f"fold {fold} is judged")
    return result


def lesson(some: Sequence[Queue]) -> tuple[Floats, NDArray[np.bool_]]:
    """Return rows [N, COLUMNS] and whether each is changed [N]."""
    rows = np.concatenate([queue.rows for queue in some])
    return rows, np.concatenate([queue.changed for queue in some])


def keep(
    path: Path, some: Sequence[Queue], result: Mapping[str, Sequence[Floats]], version: str
) -> None:
    """Write the predictions of each contract, without text."""
    category = COLUMNS.index("category")
    lines = (
        {
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
                for name, chances in result.items()
            },
        }
        for i, queue in enumerate(some)
    )
    write_lines(path, lines)
    say(f"{path} is written")


def shipped(
    some: Sequence[Queue], config: Mapping[str, Any], specialist: Path
) -> tuple[bytes, dict[str, Any]]:
    """Train on all contracts; return the forest as it is served, and its manifest."""
    fits = fit_forest(*lesson(some), config["forest"])
    about = read_config(specialist)
    return graph(fits, len(COLUMNS)).SerializeToString(), {
        "adapter": specialist.name,
        "adapter_version": about["version"],
        "categories": tuple(read_labels(specialist, about["data"])),
        "licence": config["data"]["licence"],
    }


def main() -> None:
    """Read the command line, train, and write predictions and the artefact."""
    parser = command(__doc__, "--data")
    parser.add_argument("--out", type=Path, help="folder of the artefacts")
    parser.add_argument("--config", type=Path, default=FOLDER / "config.toml")
    arguments = parser.parse_args()
    config = read_config(arguments.config)
    specialist = folder_of(config["data"]["adapter"])
    some = list(queues(arguments.data, specialist))
    say(f"{sum(len(queue.clauses) for queue in some)} clauses of {len(some)} contracts")
    result: dict[str, list[Floats]] = {}
    for name, learner in learners(config).items():
        say(f"learning: {name}")
        result[name] = out_of_fold(some, learner)
    keep(arguments.config.parent / "predictions.jsonl.gz", some, result, config["version"])
    if arguments.out:
        forest, manifest = shipped(some, config, specialist)
        write(arguments.out / NAME / config["version"], forest, config["version"], **manifest)
        say("the artefact is written")


if __name__ == "__main__":
    main()
