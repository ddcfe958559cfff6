"""A calibration from people's decisions: counted by hand where that is possible."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from shared.monitoring.refit import (
    DecidedResult,
    estimate_outcome,
    expected_calibration,
    pool,
    refit_calibration,
)
from shared.policy.intervals import Floats, interval
from shared.policy.risk_control import (
    Calibration,
    RiskGuarantee,
    control_risk,
    log_odds,
    read_calibration,
)

LABELS = ("Governing Law", "Audit Rights")


def decisions(documents: int = 400, seed: int = 2) -> list[DecidedResult]:
    """Decide a check of weight ten and two reviewed clauses a document; audit rights are wrong."""
    draw = np.random.default_rng(seed)
    found = []
    for number in range(documents):
        name = f"doc_{number}"
        found.append(DecidedResult(name, LABELS[0], float(draw.uniform(0.9, 0.99)), False, 10.0))
        found.append(DecidedResult(name, LABELS[0], 0.5, bool(draw.random() < 0.5), 1.0))
        found.append(DecidedResult(name, LABELS[1], 0.9, True, 1.0))
    return found


def test_lines_follow_what_was_decided() -> None:
    known = refit_calibration(LABELS, None, decisions())
    assert known.belief_of("Governing Law", 0.95) > 0.95
    assert known.belief_of("Governing Law", 0.5) == pytest.approx(0.5, abs=0.1)
    assert known.belief_of("Audit Rights", 0.9) < 0.1
    assert known.families == 400


def test_a_category_without_decisions_keeps_its_line() -> None:
    before = refit_calibration(LABELS, None, decisions())
    after = refit_calibration(LABELS, before, [DecidedResult("doc_1", LABELS[0], 0.9, False, 1.0)])
    assert after.lines[1] == pytest.approx(before.lines[1])


def test_a_check_represents_unchecked_results() -> None:
    """Of 1,200 decisions 400 have a weight of ten. All of these are accepted, and all are right."""
    known = refit_calibration(LABELS, None, decisions())
    made = control_risk(known, 0.1, 0.95)
    assert made.belief is not None
    found = estimate_outcome(known, known.belief, made)
    assert found.shown == 400 * 12
    assert found.accepted >= 4000
    assert found.rate == pytest.approx(found.wrong / found.accepted)
    assert found.interval[0] <= found.rate <= found.interval[1] < 0.1
    nothing = estimate_outcome(known, known.belief, RiskGuarantee(0.1, 0.95, None, 400))
    assert (nothing.accepted, nothing.rate) == (0, 0)


@pytest.mark.parametrize("weight", [1.0, 4.0, 20.0])
def test_five_checks_without_a_mistake_are_no_proof(weight: float) -> None:
    """The interval is 0 to 52.2% by Clopper and Pearson, as on the page Insights, at any weight."""
    found = [DecidedResult(f"doc_{i}", LABELS[0], 0.97, False, weight) for i in range(5)]
    known = refit_calibration(LABELS, None, found)
    made = estimate_outcome(known, known.belief, RiskGuarantee(0.1, 0.95, 0.3, 5))
    assert (made.checked, made.mistakes, made.accepted) == (5, 0, 5 * weight)
    assert made.interval == pytest.approx((0.0, 0.5218), abs=5e-5)
    assert made.interval == interval(0, 5)


def test_decisions_of_unequal_weight_tell_less_than_as_many_equal_ones() -> None:
    """Four checks of weight ten and forty of weight one prove as much as 14."""
    found = [
        DecidedResult(f"doc_{i}", LABELS[0], 0.97, False, 10.0 if i < 4 else 1.0) for i in range(44)
    ]
    known = refit_calibration(LABELS, None, found)
    made = estimate_outcome(known, known.belief, RiskGuarantee(0.1, 0.95, 0.3, 44))
    assert (made.checked, made.accepted) == (44, 80)
    assert made.interval == interval(0, 14)  # 80 ** 2 / (4 * 100 + 40) is 14.5


def test_clauses_of_one_document_that_are_wrong_together_widen_the_interval() -> None:
    found = [
        DecidedResult(f"doc_{i}", LABELS[0], 0.97, i == 0, 1.0)
        for i in range(10)
        for _ in range(10)
    ]
    known = refit_calibration(LABELS, None, found)
    made = estimate_outcome(known, known.belief, RiskGuarantee(0.1, 0.95, 0.0, 10))
    assert (made.checked, made.mistakes, made.rate) == pytest.approx((100, 10, 0.1))
    exact = interval(10, 100)
    assert made.interval[0] < exact[0] < exact[1] < made.interval[1]


def test_few_decisions_promise_nothing_unless_others_are_counted_too() -> None:
    few = refit_calibration(LABELS, None, decisions(20))
    assert "too few" in control_risk(few, 0.05, 0.95).no_guarantee_reason
    both = read_calibration(pool(few, refit_calibration(LABELS, None, decisions())).to_bytes())
    assert both.families == 420
    assert (few.groups, both.groups) == ("documents", "documents")
    shipped = replace(refit_calibration(LABELS, None, decisions()), groups="companies")
    assert pool(few, shipped).groups == "companies and documents"
    assert control_risk(both, 0.1, 0.95).belief is not None
    assert both.document is not None
    assert len(np.unique(both.document)) == 420


def test_what_is_pooled_is_judged_by_the_line_that_decides_here() -> None:
    shipped = refit_calibration(LABELS, None, decisions())
    lucky = [DecidedResult(f"mine_{i}", LABELS[0], 0.3 + i / 100, False, 1.0) for i in range(40)]
    new = refit_calibration(LABELS, shipped, lucky)
    assert new.lines[0] != pytest.approx(shipped.lines[0], abs=0.1)
    both = pool(new, shipped)
    confidence = 1.0 / (1.0 + np.exp(-_log_odds_by(shipped)))
    expected = [
        new.belief_of(LABELS[one], float(sure))
        for one, sure in zip(shipped.label, confidence, strict=True)
    ]
    assert both.belief[: len(expected)] == pytest.approx(expected)


def _log_odds_by(known: Calibration) -> Floats:
    start, slope = known.lines[known.label].T
    return np.asarray((log_odds(known.belief) - start) / slope)


def test_what_is_of_no_label_or_without_doubt_is_left_out() -> None:
    odd = [
        DecidedResult("d", "Poetry", 0.5, False, 1.0),
        DecidedResult("d", LABELS[0], 1.0, False, 1.0),
    ]
    assert len(refit_calibration(LABELS, None, [*odd, *decisions(5)]).label) == 15


def reason_after(documents: int, wrong: int, alone: bool = False) -> str:
    """Why nothing can be promised at 5%, with a check a document, so many of them wrong; 2% were
    where the specialist comes from.
    """
    old = [DecidedResult(f"old_{i}", LABELS[0], 0.97, i % 50 == 0, 1.0) for i in range(400)]
    before = refit_calibration(LABELS, None, old)
    found = [DecidedResult(f"doc_{i}", LABELS[0], 0.97, i < wrong, 1.0) for i in range(documents)]
    new = refit_calibration(LABELS, before, found)
    return control_risk(
        new, 0.05, 0.95, (), None if alone else expected_calibration(new, before)
    ).no_guarantee_reason


def test_how_many_more_would_do_is_a_range_that_one_mistake_hardly_moves() -> None:
    assert "about " in reason_after(40, 0, alone=True)
    assert "Too many" in reason_after(40, 1, alone=True)
    few, some = reason_after(40, 0), reason_after(40, 1)
    for why in (few, some):
        assert "more are needed" in why
    ends = [re.findall(r"about ([\d,]+) to ([\d,]+) more", one)[0] for one in (few, some)]
    (low, high), (low_after, high_after) = [[int(x.replace(",", "")) for x in e] for e in ends]
    assert low < low_after < 1.5 * low
    assert high < high_after < 2.2 * high


def test_without_a_set_that_came_beliefs_say_what_was_expected() -> None:
    known = refit_calibration(LABELS, None, decisions(40))
    expected = expected_calibration(known, None)
    assert expected.wrong == pytest.approx(1.0 - known.belief)
    assert expected.counts(np.array([0.3]))[0] == pytest.approx(known.counts(np.array([0.3]))[0])
