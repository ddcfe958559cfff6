"""Predict the kind of every document in three ways, and make the model that ships.

    python -m models.document_kind --data FOLDER [--work var/kinds] [--out models/artefacts]

The ways are the file type, keywords, and a linear model on hashed words. Everything is chosen by
cross-validation on folds 0 to 3. The fit on these predicts the other folds and ships. Writes
`predictions.json.gz` for `models.document_kind.scores`. Run `models.document_kind.read_originals`
and `models.document_kind.other_documents` before.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack

from models.document_kind import rules
from models.document_kind.corpus import (
    DEVELOPMENT,
    KINDS,
    READS,
    Document,
    beginning,
    documents,
    drawn,
    foreign,
    stretch,
)
from models.document_kind.learning import (
    BITS,
    PLACES,
    Row,
    chances,
    fit,
    met,
    row_of,
    shares,
    stacked,
)
from models.document_kind.scores import FOLDER, recall, thresholds
from models.files import command, name_of, read_config
from shared.features import linear
from shared.features.linear import place_of, share_of, words_of

Floats = NDArray[np.float32]
FORMS: Mapping[str, Callable[[str], str]] = {
    "whole": lambda text: text[:READS],
    "beginning": beginning,
    "stretch": lambda text: stretch(text, 0),
}
"""Parts of a document that are classified: all of it, its first page or so, and a random part."""
STRENGTHS = (10.0, 100.0)
"""Inverse regularisations that cross-validation chooses from."""
LANGUAGES = 15
"""Texts of each other language."""

Fitted = tuple[Floats, Floats]
ByForm = dict[str, Floats]


@cache
def _row(document: Document, form: str) -> Row:
    return row_of(FORMS[form](document.text))


def rows(some: Sequence[Document], form: str) -> csr_matrix:
    """Return the vectors of documents; each is computed once."""
    return stacked([_row(document, form) for document in some])


def learn(some: Sequence[Document], strength: float) -> Fitted:
    """Fit on all forms of some documents."""
    kinds = np.array([KINDS.index(document.kind) for document in some])
    weights, times = shares(some), len(FORMS)
    every = vstack([rows(some, form) for form in FORMS]).tocsr()
    return fit(every, np.tile(kinds, times), np.tile(weights, times), strength)


def out_of_fold(some: Sequence[Document], strength: float) -> ByForm:
    """Return predictions of documents by form, fitted without the document's fold."""
    predictions = {form: np.zeros((len(some), len(KINDS)), np.float32) for form in FORMS}
    for fold in DEVELOPMENT:
        apart = [document for document in some if document.fold == fold]
        fitted = learn([document for document in some if document.fold != fold], strength)
        for form, result in predictions.items():
            here = [document.fold == fold for document in some]
            result[here] = chances(rows(apart, form), *fitted)
    return predictions


def predicted(every: Sequence[Document]) -> tuple[ByForm, dict[str, Any], Fitted]:
    """Predict the development folds by cross-validation, and the others by a fit on all of these.

    Returns:
        The predictions of each document by form [documents, kinds], the scores of each strength,
        and the fit on the development folds.
    """
    seen = np.array([document.fold in DEVELOPMENT for document in every])
    some = [document for document in every if document.fold in DEVELOPMENT]
    new = [document for document in every if document.fold not in DEVELOPMENT]
    kinds = np.array([KINDS.index(document.kind) for document in some])
    result, tried = {}, {}
    for strength in STRENGTHS:
        result[strength] = out_of_fold(some, strength)
        values = [recall(result[strength][form].argmax(1) == kinds, kinds) for form in FORMS]
        tried[f"{strength:g}"] = float(np.mean(values))
        print(f"linear at {strength:g}: {tried[f'{strength:g}']:.4f}", flush=True)
    best = max(STRENGTHS, key=lambda strength: tried[f"{strength:g}"])
    fitted = learn(some, best)
    predictions = {}
    for form in FORMS:
        predictions[form] = np.zeros((len(every), len(KINDS)), np.float32)
        predictions[form][seen] = result[best][form]
        predictions[form][~seen] = chances(rows(new, form), *fitted)
    return predictions, {"chosen": best, "tried": tried}, fitted


def plain(every: Sequence[Document]) -> dict[str, ByForm]:
    """Return the predictions by file type and by keywords."""
    by_type = np.array([_by_type(document) for document in every], np.float32)
    keywords = {}
    for form, part in FORMS.items():
        shares = [rules.judge(part(document.text)) for document in every]
        keywords[form] = np.array([[share[k] for k in KINDS] for share in shares], np.float32)
    return {"type": dict.fromkeys(FORMS, by_type), "rules": keywords}


def _by_type(document: Document) -> list[float]:
    """Predict by the simplest rule: text is a contract, a table is a report."""
    of_tables = document.source in ("filings as CSV", "filings as XLSX")
    table = of_tables or document.name.endswith(".csv")
    return [0.0, 1.0, 0.0] if table else [1.0, 0.0, 0.0]


def records(
    every: Sequence[Document], models: Mapping[str, ByForm], telling: Mapping[str, Sequence[str]]
) -> list[dict[str, Any]]:
    """Return one record a document: its source and the predictions of each form."""
    return [
        {
            "kind": document.kind,
            "source": document.source,
            "name": document.name,
            "group": document.group,
            "fold": document.fold,
            "telling": {
                form: _typical_share(part(document.text), telling) for form, part in FORMS.items()
            },
            **{
                name: {
                    form: [round(float(p), 5) for p in probabilities[i]]
                    for form, probabilities in forms.items()
                }
                for name, forms in models.items()
            },
        }
        for i, document in enumerate(every)
    ]


def _typical_share(text: str, telling: Mapping[str, Sequence[str]]) -> float:
    """Return the largest share of words that are typical of one kind."""
    words = _words(text)
    return round(max((share_of(words, some) for some in telling.values()), default=0.0), 5)


def _words(text: str) -> list[str]:
    return [word for word in words_of(text[:READS]) if word[0].isalpha()]


def known_shares(
    bits: NDArray[np.uint8], every: Sequence[Document], foreign_texts: Path
) -> dict[str, Any]:
    """Return the share of known words, in documents and in other languages."""
    met_words = np.unpackbits(bits).astype(bool)
    result: dict[str, list[float]] = {}

    def add(name: str, text: str) -> None:
        words = _words(text)
        hits = sum(bool(met_words[place_of(word, BITS)]) for word in words)
        result.setdefault(name, []).append(hits / max(len(words), 1))

    for document in every:
        side = "development" if document.fold in DEVELOPMENT else f"fold {document.fold}"
        add(f"{side}: {document.kind}", document.text)
    for document in drawn(list(foreign(foreign_texts)), LANGUAGES):
        add(f"handbook in {document.source}", document.text)
    return {
        name: {
            "documents": len(values),
            "least": min(values),
            "hundredth": float(np.quantile(values, 0.01)),
            "median": float(np.median(values)),
            "most": max(values),
        }
        for name, values in sorted(result.items())
    }


def main() -> None:
    """Read the command line, predict, and write."""
    parser = command(__doc__, "--data")

    parser.add_argument("--work", type=Path, default=Path("var/kinds"))
    parser.add_argument("--out", type=Path, help="folder of artefacts that the model is put into")
    arguments = parser.parse_args()
    others = arguments.work / "others.jsonl"
    every = documents(arguments.data, arguments.work, others)
    config = read_config(FOLDER)
    predictions, tried, fitted = predicted(every)
    documents_out = records(every, {**plain(every), "linear": predictions}, config["telling"])
    bits = met([document.text[:READS] for document in every if document.fold in DEVELOPMENT])
    sure = thresholds(documents_out, config["sure"]["wrong"])
    model = {
        "name": name_of(FOLDER),
        "version": config["version"],
        "places": PLACES,
        "reads": READS,
        "labels": KINDS,
        "licence": config["data"]["licence"],
        "thresholds": {**sure, **config["sure"]["least"]},
        "telling": config["telling"],
    }
    folder = (arguments.out or arguments.work) / name_of(FOLDER) / config["version"]
    linear.write(folder, model, *fitted, bits)
    value = {"tried": tried, "met": known_shares(bits, every, others), "documents": documents_out}
    write(FOLDER / "predictions.json.gz", value)


def write(path: Path, value: object) -> None:
    """Write gzipped JSON without a time stamp."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    main()
