"""Features of a list of clauses, compared with a loop over pairs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from services.extraction.pipeline.reranking import ListedCandidate as Found
from shared.features.clause_list import (
    ALIKE,
    BESIDE,
    COLUMNS,
    FAR,
    LIKE,
    NONE,
    SAME,
    rows_of,
    words_of,
)

CATEGORIES = {"Cap": 0, "Parties": 1, "Term": 2}
WORDS = ("Alpha", "Inc.", "pays", "no", "interest;", "pay", "ten", "to", "a", "Co,", "10", "_")


def made(seed: int, count: int) -> tuple[str, list[Found]]:
    draw = np.random.default_rng(seed)
    text = " ".join(draw.choice(WORDS, 60))
    clauses = []
    for _ in range(count):
        start = int(draw.integers(0, len(text) - 2))
        end = min(len(text), start + int(draw.integers(1, 40)))
        category = str(draw.choice(list(CATEGORIES)))
        sure = float(draw.choice([0.1, 0.2, 0.35, 0.5, 0.9]))  # often the same
        clauses.append(Found(category, text[start:end], start, end, sure))
    return text, clauses


def gap(one: Found, other: Found) -> int:
    return max(one.start, other.start) - min(one.end, other.end)


def near(clause: Found, others: list[Found]) -> float:
    return math.log1p(max(min([FAR, *(gap(clause, other) for other in others)]), 0))


def same(clause: Found, others: list[Found]) -> list[float]:
    return [
        len(others),
        sum(other.confidence > clause.confidence for other in others),
        max((other.confidence for other in others), default=0.0),
        sum(other.confidence for other in others),
        max((other.confidence for other in others if gap(clause, other) < 0), default=0.0),
        near(clause, others),
    ]


def like(clause: Found, others: list[Found]) -> list[float]:
    own = words_of(clause.text)
    best = [0.0] * 5
    less = contained = around = alike = 0.0
    for other in others:
        theirs = words_of(other.text)
        both = len(own & theirs)
        likeness = both / max(len(own | theirs), 1)
        if likeness >= ALIKE:
            alike = max(alike, other.confidence)
        if other.confidence <= clause.confidence:
            less = max(less, likeness)
            continue
        if likeness > best[0]:
            shares = [both / max(len(theirs), 1), both / max(len(own), 1)]
            best = [likeness, other.confidence, *shares, len(theirs)]
        if other.text in clause.text:
            contained = max(contained, other.confidence)
        if clause.text in other.text:
            around = max(around, other.confidence)
    often = 1 + sum(other.text == clause.text for other in others)
    return [*best, less, contained, around, alike, often]


def beside(clause: Found, others: list[Found], clauses: list[Found]) -> list[float]:
    over = [other for other in others if gap(clause, other) < 0]
    surest = max(over, key=lambda other: other.confidence, default=None)
    confidences = (other.confidence for other in others if other.text == clause.text)
    order = sorted(clauses, key=lambda c: (c.start, c.end))
    place = next(i for i, c in enumerate(order) if c is clause)
    before = order[place - 1] if place else None
    after = order[place + 1] if place + 1 < len(order) else None
    return [
        len(over),
        surest.confidence if surest else 0.0,
        CATEGORIES[surest.category] if surest else NONE,
        near(clause, others),
        max(confidences, default=0.0),
        *(c.confidence if c else NONE for c in (before, after)),
        *(CATEGORIES[c.category] if c else NONE for c in (before, after)),
    ]


@pytest.mark.parametrize(("seed", "count"), [(0, 1), (1, 2), (2, 12), (3, 40), (4, 80)])
def test_comparing_all_at_once_is_comparing_one_by_one(seed: int, count: int) -> None:
    text, clauses = made(seed, count)
    rows = rows_of(text, clauses, CATEGORIES)
    expected = []
    for clause in clauses:
        mine = [c for c in clauses if c.category == clause.category and c is not clause]
        others = [c for c in clauses if c.category != clause.category]
        expected.append(
            [*same(clause, mine), *like(clause, mine), *beside(clause, others, clauses)]
        )
    compared = [COLUMNS.index(name) for name in (*SAME, *LIKE, *BESIDE)]
    np.testing.assert_allclose(rows[:, compared], np.array(expected), rtol=1e-6)


def test_letters_are_counted_in_every_script() -> None:
    text = "Ω² is 4 m²"
    (row,) = rows_of(text, [Found("Cap", text, 0, len(text), 0.5)], CATEGORIES)
    features = dict(zip(COLUMNS, row.tolist(), strict=True))
    assert features["digits"] == pytest.approx(3 / 10)
    assert features["capitals"] == pytest.approx(1 / 10)
