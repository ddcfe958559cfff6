"""The risk guarantee, calculated by hand and tested on simulated companies."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from services.extraction.routing.recall_target import least_shown, recall_threshold
from shared.policy.risk_control import (
    LOWEST,
    Calibration,
    control_risk,
    groups_message,
    read_calibration,
    thresholds_of,
)

LABELS = ("Governing Law", "Uncapped Liability")


def calibration(
    family: list[int], label: list[int], belief: list[float], wrong: list[int], families: int = 0
) -> Calibration:
    return Calibration(
        LABELS,
        families or max(family) + 1,
        np.array([[0.0, 1.0], [0.0, 1.0]]),
        np.array(family),
        np.array(label),
        np.array(belief),
        np.array(wrong, float),
        np.array(family),
        np.array(belief),
    )


SMALL = calibration([0, 0, 1, 1, 2], [0, 1, 0, 0, 1], [0.9, 0.5, 0.8, 0.7, 0.9], [0, 1, 0, 1, 1])


def test_clauses_are_counted_by_threshold_and_family() -> None:
    accepted, wrong = SMALL.counts(np.array([0.95, 0.9, 0.75, 0.5]))
    assert accepted.tolist() == [[0, 0, 0], [1, 0, 1], [1, 1, 1], [2, 2, 1]]
    assert wrong.tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 1], [1, 1, 1]]


def test_categories_never_accepted_do_not_count() -> None:
    accepted, wrong = SMALL.counts(np.array([0.9, 0.5]), ["Uncapped Liability"])
    assert accepted.tolist() == [[1, 0, 0], [1, 2, 0]]
    assert wrong.tolist() == [[0, 0, 0], [0, 1, 0]]


def test_belief_and_confidence_are_inverse() -> None:
    lines = np.array([[1.0, 1.0], [-2.0, 0.5]])
    known = Calibration(**{**SMALL.__dict__, "lines": lines})
    assert known.belief_of("Governing Law", 0.5) == pytest.approx(1 / (1 + math.exp(-1)))
    for name in LABELS:
        assert known.confidence_of(name, known.belief_of(name, 0.7)) == pytest.approx(0.7)
    assert known.belief_of("Poetry", 0.99) == 0.0


def test_a_set_is_read_as_it_was_written() -> None:
    again = read_calibration(SMALL.to_bytes())
    assert (again.labels, again.families) == (SMALL.labels, SMALL.families)
    for name in ("family", "label", "wrong", "answer_family"):
        assert getattr(again, name).tolist() == getattr(SMALL, name).tolist()
    assert np.allclose(again.belief, SMALL.belief)
    assert SMALL.to_bytes() == SMALL.to_bytes()


def test_a_set_of_many_documents_is_read_as_it_was_written() -> None:
    """Indices of companies and documents may need more than two bytes."""
    last = 70_000
    many = replace(
        calibration([0, last], [0, 299], [0.9, 0.8], [0, 1]),
        labels=tuple(f"label {number}" for number in range(300)),
        document=np.array([1, last]),
    )
    again = read_calibration(many.to_bytes())
    assert again.document is not None
    for kept in (again.family, again.answer_family):
        assert kept.tolist() == [0, last]
    assert (again.document.tolist(), again.label.tolist()) == ([1, last], [0, 299])


def test_thresholds_hang_on_the_risk_alone() -> None:
    for risk in (0.01, 0.05, 0.2, 0.9):
        thresholds = thresholds_of(risk)
        assert thresholds[0] >= 1 - risk
        assert (np.diff(thresholds) <= 0).all()
        assert thresholds[-1] == LOWEST


def drawn(families: int, wrong_share: float, seed: int) -> Calibration:
    """Draw companies of five to fifteen clauses.

    A clause of belief b is wrong with probability (1 - b) times the factor of its company, which
    is 1 on average; `wrong_share` scales all.
    """
    draw = np.random.default_rng(seed)
    sizes = draw.integers(5, 16, families)
    family = np.repeat(np.arange(families), sizes)
    belief = 1 - 0.5 * draw.random(len(family)) ** 3
    luck = draw.choice([0.5, 1.5], families)[family]
    wrong = (draw.random(len(family)) < (1 - belief) * luck * wrong_share).astype(int)
    label = draw.integers(0, 2, len(family))
    return calibration(family.tolist(), label.tolist(), belief.tolist(), wrong.tolist(), families)


def true_risk(threshold: float, wrong_share: float) -> float:
    """The share of wrong clauses above a threshold of belief, in closed form."""
    return wrong_share * (1 - threshold) / 4


def test_the_guarantee_holds_at_its_level() -> None:
    """In 300 draws of 120 companies, at most 10% may exceed the risk at a confidence of 90%."""
    risk, level, draws = 0.1, 0.9, 300
    made = [control_risk(drawn(120, 1.0, seed), risk, level) for seed in range(draws)]
    kept = [one.belief for one in made if one.belief is not None]
    exceeded = sum(true_risk(threshold, 1.0) > risk for threshold in kept)
    assert len(kept) > 0.9 * draws
    assert exceeded <= 0.05 * draws
    assert np.mean([true_risk(threshold, 1.0) for threshold in kept]) > 0.5 * risk


def test_without_sure_clauses_a_guarantee_is_rare() -> None:
    made = [control_risk(drawn(120, 8.0, seed), 0.05, 0.95) for seed in range(100)]
    broken = sum(one.belief is not None and true_risk(one.belief, 8.0) > 0.05 for one in made)
    assert broken <= 5


def test_with_too_few_companies_the_needed_number_is_stated() -> None:
    few = calibration([i for i in range(10) for _ in range(4)], [0] * 40, [0.99] * 40, [0] * 40)
    made = control_risk(few, 0.05, 0.95)
    assert made.belief is None
    assert not made.accepts(0.999)
    assert "10 companies are too few" in made.no_guarantee_reason
    further = int(made.no_guarantee_reason.split("about ")[1].split()[0])
    many = 10 + further
    more = calibration(
        [i for i in range(many) for _ in range(4)],
        [0] * 4 * many,
        [0.99] * 4 * many,
        [0] * 4 * many,
    )
    assert control_risk(more, 0.05, 0.95).belief is not None


@pytest.mark.parametrize("groups", [2, 7])
def test_few_documents_without_a_mistake_need_more(groups: int) -> None:

    def right(number: int) -> Calibration:
        one = calibration(list(range(number)), [0] * number, [0.99] * number, [0] * number)
        return replace(one, groups="documents")

    why = control_risk(right(groups), 0.05, 0.95).no_guarantee_reason
    assert why.startswith(f"{groups} documents are too few")
    further = int(why.split("about ")[1].split()[0])
    assert further > 10 * groups - groups
    assert control_risk(right(groups + further), 0.05, 0.95).belief is not None


@pytest.mark.parametrize(
    ("least", "most", "message"),
    [
        (130, 130, "about 30 more are needed"),
        (361, 1_234, "about 270 to 1,200 more are needed"),
        (90, 900, "up to about 800 more are needed"),
        (361, 9_000, "at least about 270 more are needed"),
        (361, None, "at least about 270 more are needed"),
        (90, None, "it is unknown how many more are needed"),
    ],
)
def test_the_number_needed_is_rounded_to_two_digits(
    least: int, most: int | None, message: str
) -> None:
    known = replace(SMALL, families=100, groups="documents")
    assert groups_message(least, most, known) == message


def test_the_meaning_of_groups_is_stored_with_the_set() -> None:
    assert read_calibration(SMALL.to_bytes()).groups == "companies"
    documents = replace(SMALL, groups="documents")
    assert read_calibration(documents.to_bytes()).groups == "documents"


def test_more_of_the_same_does_not_help_a_specialist_that_is_wrong_too_often() -> None:
    bad = calibration(
        [i for i in range(50) for _ in range(2)], [0] * 100, [0.99] * 100, [1, 0] * 50
    )
    assert "Too many" in control_risk(bad, 0.05, 0.95).no_guarantee_reason
    unsure = calibration([0, 1], [0, 0], [0.5, 0.6], [0, 0])
    assert "was certain enough for a risk" in control_risk(unsure, 0.05, 0.95).no_guarantee_reason


def test_least_shown_keeps_the_share_of_missed_clauses() -> None:
    values = [round(0.05 * i, 2) for i in range(1, 20)]
    known = calibration(list(range(19)), [0] * 19, values, [0] * 19)
    assert least_shown(known, 0.10, [0.5, 0.05, 0.01]) == 0.05  # one is missed: (1 + 1) / 20
    assert least_shown(known, 0.05, [0.5, 0.05, 0.01]) == 0.01  # none is: 1 / 20
    assert least_shown(known, 0.04, [0.5, 0.05, 0.01]) is None


def answers(confidence: np.ndarray, family: np.ndarray, families: int) -> Calibration:
    one = calibration([0], [0], [0.9], [0], families)
    return replace(one, answer_family=family, answer_confidence=confidence)


def test_the_recall_threshold_keeps_the_stated_share() -> None:
    each = np.array([0.0, 0.05, *[0.9] * 8])
    known = answers(np.tile(each, 500), np.repeat(np.arange(500), 10), 500)
    made = recall_threshold(known, 0.15, 0.95)
    assert (made.above, made.missed, made.answers) == (0.04, 500, 5000)
    wide = recall_threshold(known, 0.25, 0.95)
    assert (wide.above, wide.missed) == (0.89, 1000)
    narrow = recall_threshold(known, 0.05, 0.95)
    assert narrow.above is None
    assert "10.0% of the true clauses of 500 companies are missed" in narrow.no_guarantee_reason


def test_few_companies_show_nothing_and_a_set_without_answers_says_so() -> None:
    few = answers(np.full(10, 0.9), np.arange(10), 10)
    assert "10 companies are too few" in recall_threshold(few, 0.1, 0.95).no_guarantee_reason
    none = answers(np.zeros(0), np.zeros(0, np.int64), 10)
    assert "do not cover missed clauses" in recall_threshold(none, 0.1, 0.95).no_guarantee_reason


def test_the_limit_of_missed_clauses_holds_at_its_level() -> None:
    chance = np.random.default_rng(3)
    broken = 0
    for _ in range(200):
        size = chance.integers(5, 55, 150)
        family = np.repeat(np.arange(150), size)
        worse = np.repeat(chance.random(150) < 0.3, size)
        confidence = chance.random(len(family)) ** np.where(worse, 2.0, 0.5)
        made = recall_threshold(answers(confidence, family, 150), 0.3, 0.9)
        assert made.above is not None
        missed = 0.3 * made.above**0.5 + 0.7 * made.above**2.0  # of a company, in expectation
        broken += missed > 0.3
    assert broken <= 20 + 3 * 4.3


def test_a_rare_large_company_is_allowed_for_when_none_was_seen() -> None:
    """Six in a thousand companies have sixty clauses, none of them found: 7% are missed."""
    chance = np.random.default_rng(0)
    broken = 0
    for _ in range(200):
        large = chance.random(300) < 0.006
        size = np.where(large, 60, 5)
        family = np.repeat(np.arange(300), size)
        confidence = np.where(np.repeat(large, size), 0.0, 0.999)
        broken += recall_threshold(answers(confidence, family, 300), 0.05, 0.95).above is not None
    assert broken <= 10 + 3 * 3.1
