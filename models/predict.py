"""Predict the contracts that an adapter has not seen: token scores, as they are served.

    python -m models.predict models/contract-clauses --data FOLDER --fold 0 \\
        --artefacts FOLDER --scores var/scores/0

Writes one file of token scores a contract (offsets and probabilities, no text) to `--scores`; one
that is there already is kept, so the same command goes on after a stop. A specialist without a
ranking gets its raw predictions from them, `predictions-fold0.jsonl.gz`; one with a ranking gets
them from `models.ranking`, once every fold is there; `--plain FILE` writes what they would be
without it.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from models.corpus import read_records
from services.extraction.decoding import Decoding, decode
from shared.inference import Specialist, Specialists, TokenScores
from shared.inference.engines import Arithmetic

VIEWS = ("offsets", "probabilities", "openings", "closings")
"""What is kept of token scores."""
MARK = "adapter.txt"
"""Beside them, the digest of the adapter that made them."""


@dataclass(frozen=True)
class Candidate:
    """One raw prediction: what was proposed, with its uncalibrated score."""

    label: int
    start: int
    end: int
    score: float


def keep_scores(path: Path, scores: TokenScores) -> None:
    """Write token scores so that a stop leaves a whole file or none."""
    partial = path.with_suffix(".partial")
    with partial.open("wb") as out:
        views = {name: getattr(scores, name) for name in VIEWS}
        np.savez(out, **{name: value for name, value in views.items() if value is not None})
    partial.replace(path)


def kept_scores(path: Path) -> TokenScores:
    """Read token scores."""
    with np.load(path) as kept:
        return TokenScores(**{name: kept[name] for name in VIEWS if name in kept})


def predict(records: Sequence[dict[str, Any]], specialist: Specialist, folder: Path) -> None:
    """Run the served path over every contract that has no token scores in the folder yet.

    Scores of another adapter are thrown away first.
    """
    mark, maker = folder / MARK, specialist.manifest.adapter_sha256
    if not mark.exists() or mark.read_text(encoding="utf-8") != maker:
        for path in folder.glob("*.npz"):
            path.unlink()
        folder.mkdir(parents=True, exist_ok=True)
        mark.write_text(maker, encoding="utf-8")
    for number, record in enumerate(records, 1):
        path = folder / f"{record['id']}.npz"
        if not path.exists():
            keep_scores(path, specialist.token_probabilities(record["text"]))
        print(f"{number} of {len(records)} contracts predicted", file=sys.stderr, flush=True)


def decoded(
    records: Iterable[dict[str, Any]], folder: Path, labels: Sequence[str], settings: Decoding
) -> Iterator[tuple[str, list[Candidate]]]:
    """Yield the id and the candidates of every contract by plain decoding."""
    for record in records:
        scores = kept_scores(folder / f"{record['id']}.npz")
        found = decode(record["text"], scores, labels, settings)
        yield record["id"], [Candidate(c.label, c.start, c.end, c.score) for c in found]


def write_predictions(path: Path, found: Iterable[tuple[str, Sequence[Candidate]]]) -> None:
    """Write candidates by contract: one JSON line each, gzipped without a time stamp, no text."""
    partial = path.with_suffix(".partial")
    with partial.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as out:
        for contract, candidates in found:
            spans = [[c.label, c.start, c.end, float(f"{c.score:.4g}")] for c in candidates]
            line = {"id": contract, "spans": spans}
            out.write((json.dumps(line, separators=(",", ":")) + "\n").encode())
    partial.replace(path)


def read_predictions(path: Path) -> dict[str, list[Candidate]]:
    """Read the raw predictions of every contract."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    return {record["id"]: [Candidate(*span) for span in record["spans"]] for record in records}


def main() -> None:
    """Read the command line and predict."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("specialist", type=Path, help="folder with config.toml and labels.json")
    parser.add_argument("--data", type=Path, required=True, help="folder of the training data")
    parser.add_argument("--fold", type=int, required=True, help="that the adapter has not seen")
    parser.add_argument("--artefacts", type=Path, required=True, help="base and adapter")
    parser.add_argument("--scores", type=Path, required=True, help="folder of token scores")
    parser.add_argument("--plain", type=Path, help="file of predictions without the ranking")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--arithmetic", choices=get_args(Arithmetic), default="int8")
    arguments = parser.parse_args()
    folder = arguments.specialist
    config = tomllib.loads((folder / "config.toml").read_text(encoding="utf-8"))
    specialists = Specialists(arguments.artefacts, arguments.threads, arguments.arithmetic)
    specialist = specialists.get(folder.name)
    records = list(read_records(arguments.data, config["data"], [arguments.fold]))
    predict(records, specialist, arguments.scores)
    raw = folder / f"predictions-fold{arguments.fold}.jsonl.gz"
    target = arguments.plain if "ranking" in config else arguments.plain or raw
    if target:
        settings = Decoding.of(config["decoding"])
        found = decoded(records, arguments.scores, specialist.labels, settings)
        write_predictions(target, found)


if __name__ == "__main__":
    main()
