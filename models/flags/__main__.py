"""Predicts every labelled sentence out of fold, and makes the artefact that ships.

    python -m models.flags --data FOLDER [--work var/flags] [--out models/artefacts]

The keyword alone, TF-IDF, the words of the specialist and, where `models.flags.states` kept them,
a head on the states of the frozen encoder, alone and beside the words. The shipped model is fitted
on all sentences with the recipe that was cross-validated, and calibrated on the out-of-fold scores.
Writes `predictions.json.gz` beside the config (scores by id, no text), of which
`models.flags.scores` makes figures.
"""

from __future__ import annotations

import argparse
import gzip
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.flags import learning
from models.flags.corpus import Sentence, gated, has_keyword, learned, read, scored, truth
from models.flags.states import FILE
from services.triage.narrative import model

PREDICTIONS = "predictions.json.gz"
Scores = dict[str, NDArray[np.float64]]


def predicted(
    some: list[Sentence],
    every: list[Sentence],
    settings: Mapping[str, Any],
    states: Mapping[str, NDArray[np.float32]] | None,
) -> Scores:
    """Score the sentences of one family out of fold, in each way."""
    cued = settings["cued"][some[0].family]
    words = learning.by_words(some, every, settings["strength"], cued)
    found = {"tfidf": learning.by_tfidf(some, settings["strength_tfidf"]), "words": words}
    if states is not None:
        found["states"] = learning.by_states(some, states, settings["strength_states"])
        found["both"] = learning.together(words, found["states"])
    return found


def shipped(
    every: list[Sentence], oof: Mapping[str, Scores], config: Mapping[str, Any]
) -> model.Narrative:
    """Fit on all sentences, with chances from the out-of-fold scores."""
    rarity = learning.rarity_in(every)
    weights, biases, families = [], [], {}
    for name, scores in oof.items():
        some = scored(every, name)
        settings = config["learning"]
        cued = settings["cued"][name]
        weight, bias = learning.fit(some, rarity, settings["strength"], cued)
        weights.append(weight)
        biases.append(bias)
        scale, shift = learning.platt(scores["words"], truth(some))
        families[name] = model.Reads(
            round(scale, 4),
            round(shift, 4),
            config["shown"][name],
            config["strong"].get(name),
            cued,
        )
    return model.Narrative(
        np.stack(weights, 1), np.array(biases, np.float32), rarity, families, config["version"]
    )


def records(every: list[Sentence], oof: Mapping[str, Scores]) -> list[dict[str, Any]]:
    """One record a sentence that is scored."""
    return [
        {
            "id": one.id,
            "family": name,
            "company": one.company,
            "fold": one.fold,
            "positive": one.label == "positive",
            "keyword": has_keyword(one),
            "gated": gated(one),
            **{way: round(float(said[i]), 5) for way, said in scores.items()},
        }
        for name, scores in oof.items()
        for i, one in enumerate(scored(every, name))
    ]


def counts(every: list[Sentence]) -> dict[str, dict[str, int]]:
    """How many sentences of each family there are, and companies with a positive one."""
    found: dict[str, dict[str, int]] = {}
    for name in sorted({one.family for one in every}):
        some = [one for one in every if one.family == name]
        having = [one for one in some if one.label == "positive"]
        found[name] = {
            "positive": len(having),
            "negative": sum(one.label == "negative" for one in some),
            "ambiguous": sum(one.label == "ambiguous" for one in some),
            "companies": len({one.company for one in having}),
        }
    return found


def main() -> None:
    """Read the command line, predict, and write."""
    parser = argparse.ArgumentParser(description="Learn what sentences assert of the filer.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--specialist", type=Path, default=Path("models/narrative-flags"))
    parser.add_argument("--work", type=Path, default=Path("var/flags"))
    parser.add_argument("--out", type=Path, help="folder of artefacts that the model is put into")
    arguments = parser.parse_args()
    config = tomllib.loads((arguments.specialist / "config.toml").read_text(encoding="utf-8"))
    kept = arguments.work / FILE
    states = dict(np.load(kept)) if kept.exists() else None
    every = read(arguments.data)
    oof = {
        name: predicted(scored(every, name), every, config["learning"], states)
        for name in learned(every)
    }
    narrative = shipped(every, oof, config)
    folder = (arguments.out or arguments.work) / model.NAME / config["version"]
    companies = len({one.company for one in every})
    licence = config["data"]["licence"]
    model.write(folder, narrative, sentences=len(every), companies=companies, licence=licence)
    value = {"counts": counts(every), "sentences": records(every, oof)}
    text = json.dumps(value, separators=(",", ":"))
    (arguments.specialist / PREDICTIONS).write_bytes(gzip.compress(text.encode(), mtime=0))
    print(folder)


if __name__ == "__main__":
    main()
