"""The predictions counted in other ways than the metric, on contracts made up for the purpose."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models.evaluation.judging import ScoredContract, counts_of, judge
from models.evaluation.other_counts import other_counts
from models.evaluation.outcomes import outcomes
from models.evaluation.predict import Candidate

TEXT = "Acme Inc. and Bolt Ltd. agree. The law of Ohio governs. The law of Utah does not. Acme Inc."
LABELS = ["Parties", "Governing Law"]
Passage = tuple[str, str, float]
"""Category, text and score."""


def span(text: str) -> tuple[int, int]:
    start = TEXT.index(text)
    return start, start + len(text)


def contract(
    answers: list[tuple[str, str]], passages: list[Passage], family: str = "f"
) -> tuple[dict[str, Any], ScoredContract]:
    """Return a contract as a record and judged."""
    notes = []
    for category, text in answers:
        start, end = span(text)
        notes.append({"category": category, "start": start, "end": end})
    record = {"text": TEXT, "family": family, "annotations": notes}
    found = [Candidate(LABELS.index(name), *span(text), score) for name, text, score in passages]
    return record, judge(record, found, LABELS)


def figures(*pairs: tuple[dict[str, Any], ScoredContract]) -> dict[str, Any]:
    records, contracts = zip(*pairs, strict=True)
    return other_counts(records, contracts, LABELS, {})


def test_outcomes_count_as_the_metric_does() -> None:
    draw = np.random.default_rng(5)
    words = TEXT.split(" ")
    pairs = []
    for number in range(20):
        some = [" ".join(words[i : i + 2]) for i in draw.integers(len(words) - 1, size=12)]
        passages = [
            (LABELS[i % 2], text, float(draw.uniform(0.001, 0.999))) for i, text in enumerate(some)
        ]
        answers = [(LABELS[i % 2], text) for i, text in enumerate(some[: number % 5])]
        pairs.append(contract(answers, passages))
    contracts = [judged for _, judged in pairs]
    result = outcomes(contracts, [c.matched for c in contracts], LABELS, {})
    expected = [counts_of(c, LABELS, {}) for c in contracts]
    assert (result.counts() == np.stack([counts for counts, _ in expected])).all()
    assert (result.answers == np.stack([answers for _, answers in expected])).all()


@pytest.mark.parametrize(
    ("passage", "recall"),
    [
        ("The law of Ohio governs.", 1.0),  # matches
        ("governs. The law of Utah does not.", 1.0),  # too long for the metric, but overlaps
        ("agree.", 0.0),  # elsewhere
        (" The law of Utah", 0.0),  # follows the answer
    ],
)
def test_any_overlap_with_an_answer_counts(passage: str, recall: float) -> None:
    pair = contract(
        [("Governing Law", "The law of Ohio governs.")], [("Governing Law", passage, 0.5)]
    )
    assert figures(pair)["any overlap"]["highest_recall"] == recall


def test_an_overlap_with_another_category_is_wrong() -> None:
    pair = contract(
        [("Governing Law", "The law of Ohio governs."), ("Parties", "Acme Inc.")],
        [("Parties", "The law of Ohio governs.", 0.5)],
    )
    assert figures(pair)["any overlap"]["highest_recall"] == 0.0


def test_exact_thresholds_separate_confidences_between_those_of_the_metric() -> None:
    pair = contract(
        [("Governing Law", "The law of Ohio governs.")],
        [
            ("Governing Law", "The law of Ohio governs.", 0.504),
            ("Governing Law", "Bolt Ltd. agree.", 0.502),
        ],
    )
    result = figures(pair)
    assert result["every threshold"]["precision_at_recall_0.8"] == 1.0
    assert result["any overlap"]["precision_at_recall_0.8"] == 0.5


def test_parties_are_left_out_and_weigh_as_much_as_any_category_in_the_mean() -> None:
    pair = contract(
        [
            ("Parties", "Acme Inc. and"),
            ("Parties", "Bolt Ltd."),
            ("Parties", "Acme Inc."),
            ("Governing Law", "The law of Ohio governs."),
        ],
        [
            ("Parties", "Acme Inc. and", 0.9),
            ("Parties", "Bolt Ltd.", 0.9),
            ("Parties", "Acme Inc.", 0.9),
            ("Governing Law", "The law of Utah does not.", 0.9),
        ],
    )
    result = figures(pair, pair)
    assert result["share of Parties"] == 0.75
    assert result["without Parties"]["highest_recall"] == 0.0
    assert result["mean of categories"]["aupr"] == pytest.approx(0.5)
    low, high = result["mean of categories"]["interval"]["aupr"]
    assert low <= 0.5 <= high
