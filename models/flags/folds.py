"""How far the baseline's area depends on how sentences are put into folds.

    python -m models.flags.folds --data FOLDER

TF-IDF and a logistic regression as in `models.flags.learning`, on the sentences that are scored:
folds of companies, of documents, and of single sentences, each drawn several times. Writes
`folds.json` beside the config: for each family the mean, least and largest area. No model is kept.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.flags.corpus import FOLDS, SENTENCES, Sentence, learned, read, scored, truth
from models.flags.learning import by_tfidf_in
from models.flags.scores import area

FILE = "folds.json"
DRAWS = 20
"""Times that groups are drawn into folds."""
Numbers = NDArray[np.int64]


def drawn(groups: Sequence[Hashable], number: int) -> Numbers:
    """Put groups into folds of about as many groups each [N]; the same number draws the same."""
    names = sorted(set(groups), key=str)
    order = np.random.default_rng(number).permutation(len(names))
    fold = {names[i]: place % FOLDS for place, i in enumerate(order)}
    return np.array([fold[group] for group in groups])


def areas(some: Sequence[Sentence], groups: Sequence[Hashable], strength: float) -> list[float]:
    """The mean, least and largest area of the baseline over all draws."""
    positive = truth(list(some)) == 1
    found = [
        area(positive, by_tfidf_in(drawn(groups, number), some, strength))
        for number in range(DRAWS)
    ]
    return [round(float(v), 4) for v in (np.mean(found), min(found), max(found))]


def documents(data: Path) -> Mapping[str, str]:
    """The document of every sentence, by the sentence's id."""
    lines = (data / SENTENCES).read_text(encoding="utf-8").splitlines()
    return {record["id"]: record["source"] for record in map(json.loads, lines)}


def figures(data: Path, strength: float) -> dict[str, Any]:
    """The areas of each family, by what a fold is made of."""
    every, document = read(data), documents(data)
    found = {}
    for name in learned(every):
        some = scored(every, name)
        ways: Mapping[str, Sequence[Hashable]] = {
            "companies": [one.company for one in some],
            "documents": [document[one.id] for one in some],
            "sentences": [one.id for one in some],
        }
        found[name] = {way: areas(some, groups, strength) for way, groups in ways.items()}
    return found


def main() -> None:
    """Read the command line, and write the figures."""
    parser = argparse.ArgumentParser(description="Judge the baseline by folds of several kinds.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--specialist", type=Path, default=Path("models/narrative-flags"))
    arguments = parser.parse_args()
    config = tomllib.loads((arguments.specialist / "config.toml").read_text(encoding="utf-8"))
    found = figures(arguments.data, config["learning"]["strength_tfidf"])
    text = json.dumps(found, indent=1) + "\n"
    (arguments.specialist / FILE).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
