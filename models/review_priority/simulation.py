"""Simulated decisions of a reviewer who follows the labels.

A shown clause of an unseen contract is accepted if it matches an answer by the legal metric. It is
corrected if it overlaps an answer of its category without matching it, and rejected otherwise. A
repetition of an answer that a more certain clause has is accepted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from models.corpus import read_labels, read_records
from models.evaluation.evaluate import folds_predicted
from models.evaluation.judging import matching
from models.evaluation.predict import Candidate, shown
from models.files import read_config, read_json
from services.review.results import ClauseItem
from shared.features.clause_list import Floats, rows_of

Decision = Literal["accept", "correct", "reject"]
EDGES = " \t\r\n.,;:"
"""Marks at the ends of a passage that do not count as a wrong boundary."""


@dataclass(frozen=True)
class Queue:
    """The shown clauses of one contract, and the decisions."""

    id: str
    family: str
    fold: int
    clauses: list[ClauseItem]  # [N]
    rows: Floats  # [N, COLUMNS]
    decisions: list[Decision]  # [N]
    exact: NDArray[np.bool_]  # [N], exactly the words of an answer, except EDGES
    words: NDArray[np.int64]  # [N], to be read

    @property
    def changed(self) -> NDArray[np.bool_]:
        return np.array([decision != "accept" for decision in self.decisions], bool)


def decided(
    clauses: Sequence[ClauseItem], answers: Mapping[str, Sequence[tuple[int, int]]], text: str
) -> tuple[list[Decision], NDArray[np.bool_]]:
    """Return the decision about each clause [N], and whether it has the words of an answer."""
    texts = {name: [text[a:b] for a, b in spans] for name, spans in answers.items()}
    bare = {name: {answer.strip(EDGES) for answer in some} for name, some in texts.items()}
    matched = matching([c.category for c in clauses], [c.text for c in clauses], texts)
    decisions: list[Decision] = []
    for clause, hits in zip(clauses, matched, strict=True):
        spans = answers.get(clause.category, ())
        over = any(a < clause.end and clause.start < b for a, b in spans)
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
    """Return the shown clauses of one contract with review's features, and the decisions."""
    text = record["text"]
    clauses = [
        ClauseItem(
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
    """Yield the queue of every contract with predictions by a model that has not seen it."""
    config = read_config(specialist)
    scores = read_json(specialist / "scores.json")
    labels = read_labels(specialist, config["data"])
    folds, predictions = folds_predicted(specialist)
    records: Iterable[dict[str, Any]] = read_records(data, config["data"], folds)
    for record in records:
        result = queue_of(record, predictions[record["id"]], labels, scores, specialist.name)
        if result.clauses:
            yield result
