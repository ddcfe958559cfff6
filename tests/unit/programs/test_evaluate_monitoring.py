"""Streams of documents: small ones, whose outcome is plain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from services.triage.routing import risk_control as findings
from shared.policy.risk_control import Calibration
from tests.evaluate.monitoring import (
    Alarms,
    Filings,
    Habit,
    StreamContract,
    StreamFiling,
    alarm_share,
    clause_alarms,
    finding_alarms,
)

RISK = 0.1


@pytest.fixture(scope="module")
def known() -> Calibration:
    """Eight hundred contracts of different companies with one to five confident clauses; one in
    fifty is wrong.
    """
    draw = np.random.default_rng(5)
    document = np.repeat(np.arange(800), draw.integers(1, 6, 800))
    count = len(document)
    return Calibration(
        ("Governing Law", "Audit Rights"),
        800,
        np.array([[0.0, 1.0], [0.0, 1.0]]),
        document,
        (draw.random(count) < 0.3).astype(np.int64),
        draw.uniform(0.9, 0.99, count),
        (draw.random(count) < 0.02).astype(float),
        np.zeros(0, np.int64),
        np.zeros(0),
        document,
    )


@pytest.fixture(scope="module")
def contracts(known: Calibration) -> list[StreamContract]:
    assert known.document is not None
    found = []
    for number in range(800):
        beliefs = [
            (known.labels[known.label[i]], float(known.belief[i]), bool(known.wrong[i]))
            for i in np.flatnonzero(known.document == number)
        ]
        clauses = tuple((name, belief, belief, wrong) for name, belief, wrong in beliefs)
        found.append(StreamContract(number, clauses))
    return found


def test_contracts_are_doubted_if_they_go_wrong_or_look_different(
    known: Calibration, contracts: list[StreamContract]
) -> None:
    assert clause_alarms(known, contracts, RISK, 3) == Alarms()
    wrong = [
        replace(one, clauses=tuple((*clause[:3], True) for clause in one.clauses))
        for one in contracts
    ]
    assert clause_alarms(known, wrong, RISK, 3) == Alarms(checks=True)
    long = [replace(one, clauses=(("Audit Rights", 0.95, 0.95, False),) * 40) for one in contracts]
    assert clause_alarms(known, long, RISK, 3) == Alarms(inputs=True)


@pytest.mark.parametrize(
    ("right", "sure", "alarms"),
    [
        (True, 0.995, Alarms()),
        (False, 0.995, Alarms(checks=True)),
        (True, 0.999, Alarms(inputs=True)),
    ],
)
def test_filings_are_doubted_if_they_go_wrong_or_look_different(
    right: bool, sure: float, alarms: Alarms
) -> None:
    """A thousand companies with one sound and four broken filings each. Errors are found with
    confidence, and one sound filing in a hundred has such a finding too.
    """
    draw = np.random.default_rng(5)
    company = np.repeat(np.arange(1000), 5)
    broken = np.tile([False, True, True, True, True], 1000)
    found = broken | (draw.random(5000) < 0.01)
    confidence = np.where(found, 0.995, draw.uniform(0.0, 0.3, 5000))
    known = findings.Calibration(company, broken, broken, confidence)
    filings: Filings = {
        number: [
            [
                StreamFiling(bool(broken[row]), sure if broken[row] else confidence[row], right)
                for row in range(5 * number, 5 * number + 5)
            ]
        ]
        for number in range(1000)
    }
    assert finding_alarms(known, filings, RISK, 3) == alarms


def test_habits_of_companies_raise_alarms_unless_one_check_of_each_counts() -> None:
    habit = Habit(RISK, 0.05, 10)
    each, one = (alarm_share(habit, 200, once) for once in (False, True))
    assert each > 0.2
    assert one <= 0.05
