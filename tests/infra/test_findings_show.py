"""Streams of filings with a planted change: small ones, whose outcome is plain."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from infra.findings_show import Change, Filings, Habit, Seen, changes, doubted, stream
from services.triage.guarantee import Calibration

RISK = 0.1


@pytest.fixture(scope="module")
def known() -> Calibration:
    """A thousand companies with a sound filing and four broken ones each: errors are named
    surely, and one sound filing in a hundred has as sure a finding.
    """
    draw = np.random.default_rng(5)
    company = np.repeat(np.arange(1000), 5)
    broken = np.tile([False, True, True, True, True], 1000)
    alarm = ~broken & (draw.random(5000) < 0.01)
    sure = np.where(broken | alarm, 0.995, draw.uniform(0.0, 0.3, 5000))
    return Calibration(company, broken, broken, sure)


@pytest.fixture(scope="module")
def filings(known: Calibration) -> Filings:
    """The same as streams have them."""
    found: dict[int, list[list[Seen]]] = defaultdict(lambda: [[]])
    for row, company in enumerate(known.company.tolist()):
        kind = "altered" if known.broken[row] else None
        seen = Seen(kind, float(known.risk[row]), bool(known.right[row]))
        found[company][0].append(seen)
    return dict(found)


def test_a_quiet_stream_is_left_alone(known: Calibration, filings: Filings) -> None:
    """Every finding is checked, and hardly one is wrong."""
    quiet = stream(known, filings, None, RISK, 0.05, 3)
    assert (quiet.errors, quiet.inputs, quiet.step) == (None, None, 0)
    assert quiet.wrong_after < RISK


def test_accepted_ones_that_go_wrong_are_noticed_by_checks(
    known: Calibration, filings: Filings
) -> None:
    """All of them are wrong from the 201st filing on: a handful of checks is enough."""
    bad = stream(known, filings, Change(wrong=1.0), RISK, 0.5, 3)
    assert bad.errors is not None
    assert 0 < bad.errors < 30
    assert bad.step > 0
    assert bad.checks <= 6
    assert bad.inputs is None


def test_fewer_broken_filings_than_are_stated_are_noticed_by_themselves(
    known: Calibration, filings: Filings
) -> None:
    """Without a check, by how sure their surest doubts are."""
    few = stream(known, filings, Change(broken=0.05), RISK, 0.0, 3)
    assert few.errors is None
    assert few.inputs is not None
    assert 0 < few.inputs < 150


def test_what_is_planted_is_named(known: Calibration, filings: Filings) -> None:
    """Nothing first, then shares of broken filings, kinds of errors, and wrong ones drawn."""
    planted = changes(known, filings, RISK)
    assert planted["no change"] is None
    assert planted["20% broken"] == Change(broken=0.2)
    kinds = [one.kinds for one in planted.values() if one and one.kinds]
    assert kinds == [frozenset({"altered"})]


def test_habits_of_companies_doubt_a_kept_promise_unless_one_check_of_each_counts() -> None:
    """In a third of the streams, where one of twenty is allowed."""
    habit = Habit(0.1, 0.05, 10)
    each, one = (doubted(habit, 200, once) for once in (False, True))
    assert each > 0.2
    assert one <= 0.05
