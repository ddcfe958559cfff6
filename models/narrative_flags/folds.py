"""Measure how the baseline's area depends on the kind of folds.

    python -m models.narrative_flags.folds --data FOLDER

TF-IDF and logistic regression as in `models.narrative_flags.learning`, in folds of companies, of
documents and of single sentences, each drawn several times. Writes `folds.json`: mean, least and
largest area by family. No model is stored.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.files import command, read_config, read_lines, write_json
from models.narrative_flags.corpus import (
    FOLDER,
    FOLDS,
    SENTENCES,
    Sentence,
    learned,
    read,
    scored,
    truth,
)
from models.narrative_flags.learning import by_tfidf_in
from models.narrative_flags.scores import area

DRAWS = 20
Numbers = NDArray[np.int64]


def drawn(groups: Sequence[Hashable], number: int) -> Numbers:
    """Assign groups to folds of about equal size, at random with the seed `number`.

    Returns the fold of each element [N].
    """
    names = sorted(set(groups), key=str)
    order = np.random.default_rng(number).permutation(len(names))
    fold = {names[i]: rank % FOLDS for rank, i in enumerate(order)}
    return np.array([fold[group] for group in groups])


def areas(some: Sequence[Sentence], groups: Sequence[Hashable], strength: float) -> list[float]:
    """Return the mean, least and largest area of the baseline over all draws."""
    positive = truth(list(some)) == 1
    folds = [drawn(groups, number) for number in range(DRAWS)]
    result = [area(positive, by_tfidf_in(fold, some, strength)) for fold in folds]
    return [round(float(v), 4) for v in (np.mean(result), min(result), max(result))]


def documents(data: Path) -> Mapping[str, str]:
    """Return the document of every sentence by the sentence's id."""
    return {record["id"]: record["source"] for record in read_lines(data / SENTENCES)}


def figures(data: Path, strength: float) -> dict[str, Any]:
    """Return the areas of each family by kind of fold."""
    every, document = read(data), documents(data)
    result = {}
    for name in learned(every):
        some = scored(every, name)
        groupings: Mapping[str, Sequence[Hashable]] = {
            "companies": [sentence.company for sentence in some],
            "documents": [document[sentence.id] for sentence in some],
            "sentences": [sentence.id for sentence in some],
        }
        result[name] = {kind: areas(some, groups, strength) for kind, groups in groupings.items()}
    return result


def main() -> None:
    """Read the command line, and write the figures."""
    parser = command(__doc__, "--data")
    strength = read_config(FOLDER)["learning"]["strength_tfidf"]
    write_json(FOLDER / "folds.json", figures(parser.parse_args().data, strength))


if __name__ == "__main__":
    main()
