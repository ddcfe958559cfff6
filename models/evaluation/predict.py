r"""Predict contracts that an adapter has not seen: token scores, as they are served.

    python -m models.evaluation.predict models/clauses/contract-clauses --data FOLDER --fold 0 \
        --artefacts FOLDER --scores var/scores/0

Writes one file of token scores a contract (offsets and probabilities, no text) to `--scores`.
Existing files are skipped, so the same command resumes after a stop. Without a ranking in the
config it also writes `predictions-fold0.jsonl.gz`; with one, `models.clauses.ranking` does so once
every fold is predicted. `--plain FILE` writes the predictions without the ranking.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np

from models.corpus import read_records
from models.files import command, read_config, read_lines, say, write_lines
from services.extraction.pipeline.decoding import Candidate as Candidate
from services.extraction.pipeline.decoding import Decoding, decode
from services.extraction.pipeline.search import ClauseSpan, clauses_of
from services.extraction.values import value_json
from shared.inference import Specialist, Specialists, TokenScores
from shared.inference.engines import Arithmetic

VIEWS = ("offsets", "probabilities", "openings", "closings")
"""Stored arrays of token scores."""
MARK = "adapter.txt"
"""File with the digest of the adapter of the token scores."""


def write_scores(path: Path, scores: TokenScores) -> None:
    """Write token scores, as a whole file or not at all."""
    partial = path.with_suffix(".partial")
    with partial.open("wb") as out:
        views = {name: getattr(scores, name) for name in VIEWS}
        np.savez(out, **{name: value for name, value in views.items() if value is not None})
    partial.replace(path)


def read_scores(path: Path) -> TokenScores:
    """Read token scores."""
    with np.load(path) as arrays:
        return TokenScores(**{name: arrays[name] for name in VIEWS if name in arrays})


def predict(records: Sequence[dict[str, Any]], specialist: Specialist, folder: Path) -> None:
    """Predict every contract that has no token scores in the folder yet.

    Scores of another adapter are deleted first.
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
            write_scores(path, specialist.token_probabilities(record["text"]))
        say(f"{number} of {len(records)} contracts predicted")


def decoded(
    records: Iterable[dict[str, Any]], folder: Path, labels: Sequence[str], settings: Decoding
) -> Iterator[tuple[str, list[Candidate]]]:
    """Yield the id and the candidates of every contract by plain decoding."""
    for record in records:
        scores = read_scores(folder / f"{record['id']}.npz")
        yield record["id"], decode(record["text"], scores, labels, settings)


def write_predictions(path: Path, result: Iterable[tuple[str, Sequence[Candidate]]]) -> None:
    """Write candidates by contract, without text."""

    def spans_of(candidates: Sequence[Candidate]) -> list[list[float]]:
        return [[c.label, c.start, c.end, float(f"{c.score:.4g}")] for c in candidates]

    write_lines(path, ({"id": name, "spans": spans_of(found)} for name, found in result))


def read_predictions(path: Path) -> dict[str, list[Candidate]]:
    """Read the raw predictions of every contract."""
    return {r["id"]: [Candidate(*span) for span in r["spans"]] for r in read_lines(path)}


def shown(
    text: str, candidates: Sequence[Candidate], labels: Sequence[str], scores: Mapping[str, Any]
) -> list[tuple[ClauseSpan, dict[str, Any] | None]]:
    """Return the clauses that the served path shows for raw predictions, each with its value.

    Those are above the threshold of the best F1 in `scores` (`scores.json`).
    """
    least = scores["thresholds"]["best_f1"]
    clauses = clauses_of(text, candidates, labels, scores["calibration"])
    return [(c, value_json(c.category, c.text, c.start)) for c in clauses if c.confidence > least]


def main() -> None:
    """Read the command line and predict."""
    parser = command(__doc__, "specialist", "--data")
    parser.add_argument("--fold", type=int, required=True, help="that the adapter has not seen")
    parser.add_argument("--artefacts", type=Path, required=True, help="base and adapter")
    parser.add_argument("--scores", type=Path, required=True, help="folder of token scores")
    parser.add_argument("--plain", type=Path, help="file of predictions without the ranking")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--arithmetic", choices=get_args(Arithmetic), default="int8")
    arguments = parser.parse_args()
    folder = arguments.specialist
    config = read_config(folder)
    specialists = Specialists(arguments.artefacts, arguments.threads, arguments.arithmetic)
    specialist = specialists.get(folder.name)
    records = list(read_records(arguments.data, config["data"], [arguments.fold]))
    predict(records, specialist, arguments.scores)
    raw = folder / f"predictions-fold{arguments.fold}.jsonl.gz"
    if target := arguments.plain or ("ranking" not in config and raw):
        settings = Decoding.of(config["decoding"])
        write_predictions(target, decoded(records, arguments.scores, specialist.labels, settings))


if __name__ == "__main__":
    main()
