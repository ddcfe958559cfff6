"""Decisions that a reviewer would make who goes by the labels.

What is shown of a contract by a model that had not seen it is accepted where it matches an answer
by the legal metric, corrected where it lies over an answer of its category without matching it, and
rejected otherwise. What only repeats an answer that a surer clause gave is right, and accepted.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from models.corpus import read_labels, read_records
from models.evaluate import predicted_folds
from models.metric import matching
from models.predict import Candidate, read_predictions
from models.shown import shown
from services.review.domain import Clause
from shared.listed import Floats, rows_of

Decision = Literal["accept", "correct", "reject"]
EDGES = " \t\r\n.,;:"
"""Marks at the ends of a passage that a reviewer who mends its bounds does not mind."""


@dataclass(frozen=True)
class Queue:
    """What is shown of one contract, and what a reviewer does with it."""

    id: str
    family: str
    fold: int
    clauses: list[Clause]  # [N]
    rows: Floats  # [N, COLUMNS]
    decisions: list[Decision]  # [N]
    exact: NDArray[np.bool_]  # [N], whether the words are those of an answer, but for EDGES
    words: NDArray[np.int64]  # [N], to be read

    @property
    def changed(self) -> NDArray[np.bool_]:
        """Whether the reviewer changes it [N]."""
        return np.array([decision != "accept" for decision in self.decisions], bool)


def decided(
    clauses: Sequence[Clause], answers: Mapping[str, Sequence[tuple[int, int]]], text: str
) -> tuple[list[Decision], NDArray[np.bool_]]:
    """Decide about clauses, and say which have exactly the words of an answer.

    Args:
        clauses: of one contract [N].
        answers: spans by category.
        text: of the contract.
    """
    texts = {name: [text[a:b] for a, b in spans] for name, spans in answers.items()}
    bare = {name: {said.strip(EDGES) for said in some} for name, some in texts.items()}
    matched = matching([c.category for c in clauses], [c.text for c in clauses], texts)
    decisions: list[Decision] = []
    for clause, hits in zip(clauses, matched, strict=True):
        over = any(a < clause.end and clause.start < b for a, b in answers.get(clause.category, ()))
        decisions.append("accept" if hits else "correct" if over else "reject")
    exact = [c.text.strip(EDGES) in bare.get(c.category, ()) for c in clauses]
    return decisions, np.array(exact, bool)


def queue_of(
    record: Mapping[str, Any],
    candidates: Sequence[Candidate],
    labels: Sequence[str],
    scores: Mapping[str, Any],
    adapter: str,
) -> Queue:
    """What is shown of one contract, described as review describes it, and decided."""
    text = record["text"]
    clauses = [
        Clause(
            id=f"{record['id']}-{number}",
            category=clause.category,
            text=clause.text,
            start=clause.start,
            end=clause.end,
            confidence=clause.confidence,
            adapter=adapter,
            value=value,
        )
        for number, (clause, value) in enumerate(shown(text, candidates, labels, scores))
    ]
    answers: dict[str, list[tuple[int, int]]] = {}
    for note in record["annotations"]:
        answers.setdefault(note["category"], []).append((note["start"], note["end"]))
    decisions, exact = decided(clauses, answers, text)
    rows = rows_of(text, clauses, {name: i for i, name in enumerate(labels)})
    words = np.array([len(clause.text.split()) for clause in clauses], np.int64)
    head = record["id"], record["family"], record["fold"]
    return Queue(*head, clauses, rows, decisions, exact, words)


def queues(data: Path, specialist: Path) -> Iterator[Queue]:
    """Yield the queue of every contract that has predictions by a model that had not seen it.

    Args:
        data: folder of the corpora.
        specialist: folder of the adapter, with predictions and `scores.json`.
    """
    config = tomllib.loads((specialist / "config.toml").read_text(encoding="utf-8"))
    scores = json.loads((specialist / "scores.json").read_text(encoding="utf-8"))
    labels = read_labels(specialist, config["data"])
    folds = predicted_folds(specialist)
    predictions: dict[str, list[Candidate]] = {}
    for fold in folds:
        predictions |= read_predictions(specialist / f"predictions-fold{fold}.jsonl.gz")
    records: Iterable[dict[str, Any]] = read_records(data, config["data"], folds)
    for record in records:
        found = queue_of(record, predictions[record["id"]], labels, scores, specialist.name)
        if found.clauses:
            yield found
