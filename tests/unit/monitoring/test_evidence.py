"""A test that is looked at after every document: seldom wrong on a kept promise, and quick else."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest

from shared.monitoring.sequential_test import (
    FALSE_ALARMS,
    STEPS,
    Check,
    Evidence,
    SequentialTest,
    ladder,
    replay,
    unstaked_share,
)

RISK = 0.05
LAW = "Governing Law"


def watch(**more: object) -> SequentialTest:
    """A promise that at most 5% are wrong of what is believed to 90%, in two categories."""
    return SequentialTest(risk=RISK, belief=0.9, categories=2, **more)  # type: ignore[arg-type]


def check(wrong: bool, belief: float = 0.92, category: str = LAW) -> Check:
    return Check(category, belief, wrong)


@pytest.mark.parametrize(("documents", "most"), [(10, ()), (8, (1.0,))])
def test_capital_is_one_on_average_where_the_promise_is_just_kept(
    documents: int, most: tuple[float, ...]
) -> None:
    """Over all outcomes, each by its chance: no stake is made of nothing, whatever is bet."""
    total = 0.0
    for outcome in itertools.product((0, 1), repeat=documents):
        evidence = Evidence()
        for wrong in outcome:
            evidence = evidence.after(1, wrong, RISK, *most)
        chance = math.prod(RISK if wrong else 1 - RISK for wrong in outcome)
        total += chance * math.exp(evidence.log_capital)
    assert total == pytest.approx(1.0)


def test_a_kept_promise_is_seldom_doubted_however_long_it_is_watched() -> None:
    draw = np.random.default_rng(3)
    alarms = 0
    for _ in range(200):
        evidence, highest = Evidence(), 0.0
        for bad in draw.random(1000) < 0.04:
            evidence = evidence.after(5, int(5 * bad), RISK)
            highest = max(highest, evidence.log_capital)
        alarms += highest >= -math.log(FALSE_ALARMS)
    assert alarms <= 0.05 * 200


def test_trouble_after_a_long_calm_is_noticed_soon() -> None:
    evidence = Evidence()
    for _ in range(1000):
        evidence = evidence.after(1, 0, RISK)
    assert evidence.log_capital < 0
    for number in range(1, 100):
        evidence = evidence.after(1, number % 2, RISK)
        if evidence.log_capital >= -math.log(FALSE_ALARMS / 2):
            break
    assert number < 35


def test_a_large_document_counts_as_the_promise_counts_it() -> None:
    assert Evidence().after(50, 50, RISK).capital == Evidence().after(5, 5, RISK).capital
    assert Evidence().after(0, 0, RISK) == Evidence()


def test_what_is_not_staked_yet_falls_to_nothing() -> None:
    shares = [unstaked_share(n) for n in range(0, 10_000, 100)]
    assert shares[0] == 1.0
    assert all(0 < later < earlier for earlier, later in itertools.pairwise(shares))


def test_it_tightens_to_the_first_threshold_that_checks_do_not_speak_against() -> None:
    low, high = watch(), watch()
    for _ in range(40):
        low = low.after([check(True, 0.92), check(False, 0.97)])
        high = high.after([check(True, 0.999)])
    assert ladder(0.9)[1] == pytest.approx(0.95)
    assert low.step(0) == 1
    assert low.step(1) == 1
    assert high.step(0) == STEPS
    assert watch().step(0) == 0
    assert high.step(STEPS) == STEPS


def test_a_category_is_doubted_beyond_what_the_promise_leaves_room_for() -> None:
    known = watch(tolerated={LAW: 0.6})
    strict = watch()
    for number in range(60):
        checks = [check(number % 2 == 0)]
        known, strict = known.after(checks), strict.after(checks)
    assert known.suspended_categories() == []
    assert strict.suspended_categories() == [LAW]


def test_what_is_kept_is_read_again_and_a_replay_comes_to_the_same() -> None:
    documents = [[check(number % 3 == 0)] for number in range(12)]
    last = replay(watch(), documents)
    again = watch().with_json(json.loads(json.dumps(last.to_json())))
    assert again == last
    assert last.steps[0].wrong == 4


@pytest.mark.parametrize(
    ("risk", "category", "together"), [(0.05, 6, 4), (0.1, 14, 8), (0.2, 91, 51), (0.3, 334, 183)]
)
def test_how_soon_a_category_that_is_always_wrong_is_noticed(
    risk: float, category: int, together: int
) -> None:
    """Documents with one check each, until the alarm for one of 41 categories, and for all together
    where nothing else is checked.
    """
    always = SequentialTest(risk=risk, belief=0.9, categories=41)
    first: dict[str, int] = {}
    for number in range(1, category + 1):
        always = always.after([check(True)])
        if always.step(0):
            first.setdefault("together", number)
        if always.suspended_categories():
            first.setdefault("category", number)
    assert first == {"together": together, "category": category}


@pytest.mark.parametrize(("risk", "checks"), [(0.05, 2), (0.1, 2), (0.2, 3)])
def test_how_soon_checks_of_filings_that_are_always_wrong_are_noticed(
    risk: float, checks: int
) -> None:
    one = SequentialTest(risk=risk, belief=0.9, categories=0, most=1.0)
    assert one.alarm_at == pytest.approx(20)
    for number in range(1, checks + 1):
        assert one.step(0) == 0
        one = one.after([check(True)])
        assert one.steps[0].checks == number
    assert one.step(0) > 0
    assert one.by_category == {}
