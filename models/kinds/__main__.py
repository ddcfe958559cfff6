"""Predicts what every document is in four ways, and makes the model that ships.

    python -m models.kinds --data FOLDER [--work var/kinds] [--out models/artefacts]

The type alone (what was done before), keywords, a linear model on hashed words, and a linear head
on the states of the frozen INT4 base, where `models.kinds.states` kept them. Everything is chosen
on folds 0 to 3, by cross-validation; the other folds are predicted by what was fitted on these,
and the shipped model is that very one. Writes `predictions.json.gz` beside the config, of which
`models.kinds.scores` makes figures. Run `models.kinds.reading` and `models.kinds.others` before.
"""

from __future__ import annotations

import argparse
import gzip
import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import vstack

from models.kinds import rules
from models.kinds.corpus import DEVELOPMENT, KINDS, SOME, Document, documents, drawn, foreign
from models.kinds.learning import (
    BITS,
    PLACES,
    chances,
    fit,
    mean_recall,
    met,
    row_of,
    shares,
    stacked,
)
from models.kinds.scores import thresholds
from models.kinds.states import key, vectors
from models.kinds.stretches import READS, beginning, stretch
from shared import linear
from shared.linear import place_of, share_of, words_of

Floats = NDArray[np.float32]
FORMS: Mapping[str, Callable[[str], str]] = {
    "whole": lambda text: text[:READS],
    "beginning": beginning,
    "stretch": lambda text: stretch(text, 0),
}
"""What of a document is judged: as it is, its first page or so, and a part from anywhere."""
STRENGTHS = (10.0, 100.0)
"""Ways to hold back the learned ways, from which cross-validation chooses."""
LANGUAGES = 15
"""Texts of each other language that are looked at."""


class Words:
    """Documents by their hashed words."""

    name = "linear"

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str], Any] = {}

    def rows(self, some: Sequence[Document], form: str) -> Any:
        """Return the vectors of documents; each is made once."""
        for one in some:
            if (one.source, one.name, form) not in self._known:
                self._known[one.source, one.name, form] = row_of(FORMS[form](one.text))
        return stacked([self._known[one.source, one.name, form] for one in some])

    def together(self, some: Sequence[Document]) -> Any:
        """Return the vectors of all forms of documents, one form after the other."""
        return vstack([self.rows(some, form) for form in FORMS]).tocsr()


class States:
    """Documents by the states of the frozen encoder."""

    name = "head"

    def __init__(self, states: Mapping[str, Floats]) -> None:
        self.states = dict(states)

    def rows(self, some: Sequence[Document], form: str) -> Any:
        """Return the vectors of documents."""
        return vectors(some, self.states, form)

    def together(self, some: Sequence[Document]) -> Any:
        """Return the vectors of all forms of documents, one form after the other."""
        return np.concatenate([self.rows(some, form) for form in FORMS])


Way = Words | States
Fitted = tuple[Floats, Floats]
ByForm = dict[str, Floats]


def learn(way: Way, some: Sequence[Document], strength: float) -> Fitted:
    """Fit on some documents, in every form of theirs."""
    kinds = np.array([KINDS.index(one.kind) for one in some])
    weights, times = shares(some), len(FORMS)
    return fit(way.together(some), np.tile(kinds, times), np.tile(weights, times), strength)


def out_of_fold(way: Way, some: Sequence[Document], strength: float) -> ByForm:
    """Return for each form what is said of documents, fitted without the document's fold."""
    said = {form: np.zeros((len(some), len(KINDS)), np.float32) for form in FORMS}
    for fold in DEVELOPMENT:
        apart = [one for one in some if one.fold == fold]
        fitted = learn(way, [one for one in some if one.fold != fold], strength)
        for form, found in said.items():
            found[[one.fold == fold for one in some]] = chances(way.rows(apart, form), *fitted)
    return said


def predicted(way: Way, every: Sequence[Document]) -> tuple[ByForm, dict[str, Any], Fitted]:
    """Predict the development folds by cross-validation, and the others by what all of it taught.

    Returns:
        What is said of each document by form [documents, kinds], what was tried, and what was
        fitted on the development folds.
    """
    seen = np.array([one.fold in DEVELOPMENT for one in every])
    some = [one for one in every if one.fold in DEVELOPMENT]
    new = [one for one in every if one.fold not in DEVELOPMENT]
    kinds = np.array([KINDS.index(one.kind) for one in some])
    found, tried = {}, {}
    for strength in STRENGTHS:
        found[strength] = out_of_fold(way, some, strength)
        values = [mean_recall(found[strength][form], kinds) for form in FORMS]
        tried[f"{strength:g}"] = float(np.mean(values))
        print(f"{way.name} at {strength:g}: {tried[f'{strength:g}']:.4f}", flush=True)
    best = max(STRENGTHS, key=lambda strength: tried[f"{strength:g}"])
    fitted = learn(way, some, best)
    said = {}
    for form in FORMS:
        said[form] = np.zeros((len(every), len(KINDS)), np.float32)
        said[form][seen] = found[best][form]
        said[form][~seen] = chances(way.rows(new, form), *fitted)
    return said, {"chosen": best, "tried": tried}, fitted


def plain(every: Sequence[Document]) -> dict[str, ByForm]:
    """Return what the type alone says, and what the keywords say."""
    by_type = np.array([_by_type(one) for one in every], np.float32)
    said = {form: [rules.judge(part(one.text)) for one in every] for form, part in FORMS.items()}
    keywords = {
        form: np.array([[one[kind] for kind in KINDS] for one in found], np.float32)
        for form, found in said.items()
    }
    return {"type": dict.fromkeys(FORMS, by_type), "rules": keywords}


def _by_type(one: Document) -> list[float]:
    """What was done before: text is a contract, a table a report."""
    table = one.source in ("filings as CSV", "filings as XLSX") or one.name.endswith(".csv")
    return [0.0, 1.0, 0.0] if table else [1.0, 0.0, 0.0]


def records(
    every: Sequence[Document], ways: Mapping[str, ByForm], telling: Mapping[str, Sequence[str]]
) -> list[dict[str, Any]]:
    """Return one record a document: where it is from, and what each way says of each form."""
    told = {form: [_told(part(one.text), telling) for one in every] for form, part in FORMS.items()}
    return [
        {
            "kind": one.kind,
            "source": one.source,
            "name": one.name,
            "group": one.group,
            "fold": one.fold,
            "telling": {form: told[form][i] for form in FORMS},
            **{
                name: {form: [round(float(p), 5) for p in said[i]] for form, said in forms.items()}
                for name, forms in ways.items()
            },
        }
        for i, one in enumerate(every)
    ]


def _told(text: str, telling: Mapping[str, Sequence[str]]) -> float:
    """The largest share of words that are telling of a kind, of so much as is judged."""
    words = [word for word in words_of(text[:READS]) if word[0].isalpha()]
    return round(max((share_of(words, some) for some in telling.values()), default=0.0), 5)


def known(bits: NDArray[np.uint8], every: Sequence[Document], others: Path) -> dict[str, Any]:
    """Return which share of the words was met: in documents, and in other languages."""
    met_words = np.unpackbits(bits).astype(bool)
    found: dict[str, list[float]] = {}

    def add(name: str, text: str) -> None:
        words = [word for word in words_of(text[:READS]) if word[0].isalpha()]
        hits = sum(bool(met_words[place_of(word, BITS)]) for word in words)
        found.setdefault(name, []).append(hits / max(len(words), 1))

    for one in every:
        side = "development" if one.fold in DEVELOPMENT else f"fold {one.fold}"
        add(f"{side}: {one.kind}", one.text)
    for one in drawn(list(foreign(others)), LANGUAGES):
        add(f"handbook in {one.source}", one.text)
    return {
        name: {
            "documents": len(values),
            "least": min(values),
            "hundredth": float(np.quantile(values, 0.01)),
            "median": float(np.median(values)),
            "most": max(values),
        }
        for name, values in sorted(found.items())
    }


def main() -> None:
    """Read the command line, predict, and write."""
    parser = argparse.ArgumentParser(description="Predict what documents are, in four ways.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--specialist", type=Path, default=Path("models/document-kind"))
    parser.add_argument("--work", type=Path, default=Path("var/kinds"))
    parser.add_argument("--out", type=Path, help="folder of artefacts that the model is put into")
    parser.add_argument("--only-head", action="store_true", help="predict by the head alone")
    arguments = parser.parse_args()
    others = arguments.work / "others.jsonl"
    every = documents(arguments.data, arguments.work, others)
    if arguments.only_head:
        head(every, arguments)
        return
    config = tomllib.loads((arguments.specialist / "config.toml").read_text(encoding="utf-8"))
    words = Words()
    said, tried, fitted = predicted(words, every)
    kept = records(every, {**plain(every), "linear": said}, config["telling"])
    bits = met([one.text[:READS] for one in every if one.fold in DEVELOPMENT])
    sure = thresholds(kept, config["sure"]["wrong"])
    model = {
        "name": arguments.specialist.name,
        "version": config["version"],
        "places": PLACES,
        "reads": READS,
        "labels": KINDS,
        "licence": config["data"]["licence"],
        "thresholds": {**sure, **config["sure"]["least"]},
        "telling": config["telling"],
    }
    folder = (arguments.out or arguments.work) / arguments.specialist.name / config["version"]
    linear.write(folder, model, *fitted, bits)
    value = {"tried": tried, "met": known(bits, every, others), "documents": kept}
    write(arguments.specialist / "predictions.json.gz", value)


def head(every: Sequence[Document], arguments: Any) -> None:
    """Predict by the head, and by the linear model that learned from the same few documents."""
    states = dict(np.load(arguments.work / "states.npz"))
    few = [one for one in drawn(every, SOME) if key(one) in states]
    ways: dict[str, ByForm] = {}
    tried = {}
    for way in (States(states), Words()):
        ways[way.name], tried[way.name], _ = predicted(way, few)
    value = {"tried": tried, "documents": records(few, ways, {})}
    write(arguments.specialist / "predictions-head.json.gz", value)


def write(path: Path, value: object) -> None:
    """Write JSON, gzipped the same each time."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    main()
