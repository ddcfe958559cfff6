"""The training of narrative flags, on sentences of our own."""

from __future__ import annotations

from typing import Any
from zlib import crc32

import numpy as np
import pytest

pytest.importorskip("sklearn")

from models.narrative_flags import learning
from models.narrative_flags.corpus import (
    FOLDS,
    Sentence,
    gated,
    has_keyword,
    learned,
    scored,
    truth,
)
from models.narrative_flags.filings import Judges
from models.narrative_flags.folds import areas, drawn
from models.narrative_flags.scores import area, family_scores, unseen_chances

pytestmark = pytest.mark.training

SAYS = "We identified a material weakness in our controls over {}."
MIGHT = "If we fail, we may have a material weakness in our controls over {}."
THINGS = ("revenue", "leases", "inventory", "taxes", "payroll", "access", "estimates", "reserves")


def sentences(companies: int = 16) -> list[Sentence]:
    """Two of each company: a statement and a possibility."""
    found = []
    for number in range(companies):
        thing = f"{THINGS[number % 8]} and {THINGS[(number * 3 + 1) % 8]}"
        for label, text in (("positive", SAYS), ("negative", MIGHT)):
            name = f"{label}{number}"
            found.append(
                Sentence(name, text.format(thing), "material_weakness", label, f"c{number}")  # type: ignore[arg-type]
            )
    return found


def test_statements_are_distinguished_from_possibilities() -> None:
    some = sentences()
    scores = learning.by_words(some, some, 10.0, 0.3)
    assert area(truth(some) == 1, scores) > 0.95
    assert (learning.by_words(some, some, 10.0, 0.3) == scores).all()
    assert area(truth(some) == 1, learning.by_tfidf(some, 10.0)) > 0.9


def test_few_positives_are_not_learned() -> None:
    assert learned(sentences(16)) == []
    assert learned(sentences(30)) == ["material_weakness"]
    one = [Sentence(f"s{n}", SAYS, "going_concern", "positive", "c") for n in range(40)]
    assert learned(one) == []


def test_a_chance_rises_with_its_score() -> None:
    scale, shift = learning.platt(np.array([-2.0, -1.0, 1.0, 2.0]), np.array([0, 1, 0, 1]))
    assert scale > 0
    assert shift == pytest.approx(0.0, abs=1e-3)


def test_a_chance_does_not_know_its_own_fold() -> None:
    draw = np.random.default_rng(1)
    positive = draw.random(60) < 0.5
    scores, folds = positive + draw.normal(size=60), np.arange(60) % 3
    before = unseen_chances(scores, positive, folds)
    after = unseen_chances(scores, positive ^ (folds == 1), folds)
    assert (before[folds == 1] == after[folds == 1]).all()
    assert (before[folds != 1] != after[folds != 1]).all()
    with pytest.raises(ValueError, match="one fold"):
        unseen_chances(scores, positive, folds * 0)


def test_the_area_counts_ties_as_half() -> None:
    positive = np.array([True, True, False, False])
    assert area(positive, np.array([2.0, 1.0, 1.0, 0.0])) == pytest.approx(0.875)
    assert np.isnan(area(np.array([True]), np.array([1.0])))


def test_denied_sentences_are_not_flagged() -> None:
    text = "In this assessment there were no material weaknesses in our controls at all."
    denied = Sentence("d", text, "material_weakness", "negative", "c")
    assert has_keyword(denied)
    assert not gated(denied)
    some = scored([*sentences(), denied], "material_weakness")
    rows = [
        {"company": one.company, "fold": one.fold, "positive": one.label == "positive",
         "keyword": True, "gated": gated(one), "words": score, "tfidf": score}
        for one, score in zip(some, learning.by_words(some, some, 10.0, 0.3), strict=True)
    ]  # fmt: skip
    found = family_scores(rows, 0.5)
    assert found["precision"]["keyword"][0] == pytest.approx(16 / 33, abs=1e-4)
    assert found["precision"]["words"][0] > 0.9
    assert found["over_tfidf"] == [0.0, 0.0, 0.0]


def test_a_filing_is_scored_by_a_model_without_its_company(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Judges, "_without", lambda _, folds: folds)
    own, numbered = "Small Company", "4711"
    every = [
        Sentence("a", SAYS.format("leases"), "material_weakness", "positive", own),
        Sentence("b", SAYS.format("taxes"), "material_weakness", "positive", numbered),
    ]
    judges: Any = Judges(every, None, 1.0)  # type: ignore[arg-type]
    text = f"Item 9A. {SAYS.format('leases')} {SAYS.format('taxes')}"
    assert judges.of({"cik": None}, text) == frozenset({every[0].fold})
    assert judges.of({"cik": None}, "Item 9A.") == frozenset()
    assert judges.of({"cik": 4711}, text) == frozenset({crc32(b"4711") % FOLDS})


def test_a_group_is_in_one_fold() -> None:
    groups = [f"c{number % 13}" for number in range(60)]
    first = drawn(groups, 1)
    for name in set(groups):
        assert len({int(f) for f, g in zip(first, groups, strict=True) if g == name}) == 1
    assert set(first.tolist()) == set(range(FOLDS))
    assert (drawn(groups, 1) == first).all()
    assert (drawn(groups, 2) != first).any()


def test_folds_that_share_repeated_sentences_are_optimistic(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("models.narrative_flags.folds.DRAWS", 4)
    draw = np.random.default_rng(5)
    some = [
        Sentence(f"s{c}{n}", f"word{c} thing{c} matter{c}", "material_weakness", label, f"c{c}")
        for c, label in enumerate(draw.choice(["positive", "negative"], 40).tolist())
        for n in range(4)
    ]
    mean, least, largest = areas(some, [one.id for one in some], 10.0)
    assert mean > 0.95
    assert least <= mean <= largest
    assert areas(some, [one.company for one in some], 10.0)[0] < 0.7
