"""Predict every labelled sentence out of fold, and make the artefact that ships.

    python -m models.narrative_flags --data FOLDER [--work var/flags] [--out models/artefacts]

Compares the keyword alone, TF-IDF, and the specialist's words. The shipped model is fitted on all
sentences with the same recipe, and calibrated on the out-of-fold scores. Writes
`predictions.json.gz` (scores by id, no text) for `models.narrative_flags.scores`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.files import command, read_config, write_lines
from models.narrative_flags import learning
from models.narrative_flags.corpus import (
    FOLDER,
    Sentence,
    gated,
    has_keyword,
    learned,
    read,
    scored,
    truth,
)
from services.triage.narrative import model

PREDICTIONS = "predictions.json.gz"
Scores = dict[str, NDArray[np.float64]]


def predicted(some: list[Sentence], every: list[Sentence], settings: Mapping[str, Any]) -> Scores:
    """Score the sentences of one family out of fold, by each model."""
    cued = settings["cued"][some[0].family]
    words = learning.by_words(some, every, settings["strength"], cued)
    return {"tfidf": learning.by_tfidf(some, settings["strength_tfidf"]), "words": words}


def shipped(
    every: list[Sentence], oof: Mapping[str, Scores], config: Mapping[str, Any]
) -> model.FlagModel:
    """Fit on all sentences; the probabilities come from the out-of-fold scores."""
    settings, families = config["learning"], {}
    for name, scores in oof.items():
        scale, shift = learning.platt(scores["words"], truth(scored(every, name)))
        families[name] = model.FamilyThresholds(
            round(scale, 4),
            round(shift, 4),
            config["shown"][name],
            config["strong"].get(name),
            settings["cued"][name],
        )
    cued = {name: settings["cued"][name] for name in oof}
    numbers = learning.fit_families(every, settings["strength"], cued)
    return model.FlagModel(**numbers, families=families, version=config["version"])


def records(every: list[Sentence], oof: Mapping[str, Scores]) -> list[dict[str, Any]]:
    """Return one record for each scored sentence."""
    return [
        {
            "id": sentence.id,
            "family": name,
            "company": sentence.company,
            "fold": sentence.fold,
            "positive": sentence.label == "positive",
            "keyword": has_keyword(sentence),
            "gated": gated(sentence),
            **{way: round(float(values[i]), 5) for way, values in scores.items()},
        }
        for name, scores in oof.items()
        for i, sentence in enumerate(scored(every, name))
    ]


def counts(every: list[Sentence]) -> dict[str, dict[str, int]]:
    """Count the sentences of each family by label, and the companies with a positive one."""
    result: dict[str, dict[str, int]] = {}
    for name in sorted({sentence.family for sentence in every}):
        some = [sentence for sentence in every if sentence.family == name]
        labels = Counter(sentence.label for sentence in some)
        result[name] = {label: labels[label] for label in ("positive", "negative", "ambiguous")}
        result[name]["companies"] = len({s.company for s in some if s.label == "positive"})
    return result


def main() -> None:
    """Read the command line, predict, and write."""
    parser = command(__doc__, "--data")

    parser.add_argument("--work", type=Path, default=Path("var/flags"))
    parser.add_argument("--out", type=Path, help="folder of artefacts that the model is put into")
    arguments = parser.parse_args()
    config = read_config(FOLDER)
    every = read(arguments.data)
    oof = {
        name: predicted(scored(every, name), every, config["learning"]) for name in learned(every)
    }
    narrative = shipped(every, oof, config)
    folder = (arguments.out or arguments.work) / model.NAME / config["version"]
    companies = len({sentence.company for sentence in every})
    licence = config["data"]["licence"]
    model.write(folder, narrative, sentences=len(every), companies=companies, licence=licence)
    value = {"counts": counts(every), "sentences": records(every, oof)}
    write_lines(FOLDER / PREDICTIONS, [value])
    print(folder)


if __name__ == "__main__":
    main()
