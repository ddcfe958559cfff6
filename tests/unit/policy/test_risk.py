"""The bounds, worked out by hand."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from shared.policy.intervals import (
    BETS,
    STAKES,
    binomial_below,
    count_certified,
    gains,
    group_cap,
    groups_forecast,
    groups_needed,
    interval,
    leading_passes,
    log_bets,
    log_capital,
    missed_bound,
)


def test_a_group_gains_its_risk_for_each_result_and_loses_one_for_each_wrong() -> None:
    """At a risk of 5% a group counts with five results at most: ten, one wrong, count half."""
    assert group_cap(0.05) == 5
    assert group_cap(0.2) == pytest.approx(40)
    found = gains(np.array([4.0, 10.0, 0.0]), np.array([1.0, 1.0, 0.0]), 0.05)
    assert found.tolist() == pytest.approx([0.05 * 4 - 1, (0.05 * 10 - 1) / 2, 0.0])


def test_no_group_can_take_all_of_the_capital() -> None:
    """Whatever it accepts and gets wrong."""
    for risk in (0.01, 0.05, 0.2, 0.5):
        accepted = np.arange(0.0, 500.0)
        worst = log_bets(gains(accepted, accepted, risk), risk)
        assert np.isfinite(worst).all()


def test_capital_is_that_of_all_bets_together() -> None:
    """Two groups, 3 results each, none wrong, at a risk of 20%: by hand for every bet."""
    gained = gains(np.array([3.0, 3.0]), np.zeros(2), 0.2)
    most = 0.8 * 40
    by_hand = sum(s * (1 + b / most * 0.6) ** 2 for b, s in zip(BETS, STAKES, strict=True))
    assert log_capital(log_bets(gained, 0.2).sum(-1)) == pytest.approx(math.log(by_hand))
    assert STAKES.sum() == pytest.approx(1.0)


def test_capital_grows_by_nothing_where_the_risk_is_just_not_kept() -> None:
    """In expectation over groups, one in five of which is wrong at a risk of a fifth."""
    chances = {0.0: 0.8, 1.0: 0.2}
    expected = sum(
        share * np.exp(log_bets(gains(np.ones(1), np.full(1, wrong), 0.2), 0.2)[:, 0])
        for wrong, share in chances.items()
    )
    assert expected == pytest.approx(np.ones(len(BETS)))


def test_rules_behind_the_first_that_fails_are_not_looked_at() -> None:
    """However good they would be."""
    enough = -math.log(0.05)
    capital = np.array([[9.0, 4.0, 2.9, 9.0], [0.0, 9.0, 9.0, 9.0], [enough, 5.0, 5.0, 5.0]])
    assert leading_passes(capital, 0.95).tolist() == [2, 0, 4]


def test_groups_without_a_mistake_are_enough_once_the_capital_is() -> None:
    """The needed number of groups certifies; half of it does not."""
    one = gains(np.array([[5.0]]), np.array([[0.0]]), 0.05)
    needed = groups_needed(one, 0.05, 0.95)
    assert needed is not None
    assert count_certified(np.repeat(one, needed, axis=1), 0.05, 0.95) == 1
    assert count_certified(np.repeat(one, needed // 2, axis=1), 0.05, 0.95) == 0
    assert groups_needed(-one, 0.05, 0.95) is None


def test_missed_answers_are_bounded_by_the_shares_of_groups_and_one_more() -> None:
    """Two groups: one misses half of its answers, one none, a third has none to miss."""
    bound = missed_bound(np.array([[1.0, 0.0, 0.0]]), np.array([2.0, 3.0, 0.0]))
    assert bound.tolist() == pytest.approx([(0.5 + 1) / 4])


def test_the_interval_of_a_share_is_that_of_clopper_and_pearson() -> None:
    """Known values: 0 of 10 up to 30.8%, 5 of 10 from 18.7% to 81.3%, 0 of 0 up to 100%."""
    assert interval(0, 10) == pytest.approx((0.0, 0.3085), abs=1e-4)
    assert interval(5, 10) == pytest.approx((0.1871, 0.8129), abs=1e-4)
    assert interval(10, 10) == pytest.approx((0.6915, 1.0), abs=1e-4)
    assert interval(0, 0) == (0.0, 1.0)


def test_the_chance_of_few_wrong_ones_is_that_of_the_binomial() -> None:
    """Fewer than two of three, one half each: 1/8 + 3/8."""
    assert binomial_below(2, 3, 0.5) == pytest.approx(0.5)
    assert binomial_below(0, 3, 0.5) == 0.0


def forecast(wrong: int, expected: float, groups: int = 200) -> tuple[int | None, int | None]:
    """Of groups with two results each, so many of which are wrong throughout."""
    accepted = np.full(groups, 2.0)
    bad = np.where(np.arange(groups) < wrong, 2.0, 0.0)
    return groups_forecast(accepted, bad, 0.1, 0.95, expected, 2.0)


def test_a_forecast_has_a_range_around_what_is_so_in_the_long_run() -> None:
    """At the expected share of errors, the range includes the needed number of groups.

    It narrows with more groups, but not to a point: the groups to come stay random.
    """
    few, many, most = (forecast(n // 20, 0.05, n) for n in (200, 10_000, 100_000))
    gained = gains(np.full(200, 2.0), np.repeat([2.0, 0.0], [10, 190]), 0.1, 2.0)
    needed = groups_needed(gained[None], 0.1, 0.95, 2.0)
    assert needed is not None
    widths = []
    for low, high in (few, many, most):
        assert low is not None
        assert high is not None
        assert 1.2 * low < needed < high / 1.2
        widths.append(high - low)
    assert widths[1] < 0.75 * widths[0]
    assert 0.9 * widths[1] < widths[2] < widths[1]


def test_one_more_mistake_changes_a_forecast_less_than_what_was_seen_alone_would() -> None:
    """Of fifty groups none to five wrong, where three in a hundred were expected."""

    def alone(wrong: int) -> int:
        gained = gains(np.full(50, 2.0), np.where(np.arange(50) < wrong, 2.0, 0.0), 0.1, 2.0)
        return groups_needed(gained[None], 0.1, 0.95, 2.0) or 0

    assert alone(3) / alone(2) > 2.5
    assert alone(4) / alone(3) > 4.5
    forecasts = [forecast(wrong, 0.03, 50) for wrong in range(6)]
    for before, after in pairwise(forecasts):
        for one, other in zip(before, after, strict=True):
            assert one is not None
            assert other is not None
            assert 1 < other / one < 1.9


def test_a_forecast_without_an_end_is_none() -> None:
    """If half of the accepted results are wrong, as expected, no number of groups is enough."""
    assert forecast(100, 0.5) == (None, None)
    low, high = forecast(18, 0.09)
    assert low is not None
    assert high is None
