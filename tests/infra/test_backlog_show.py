"""A backlog of which the front is decided: hidden checks doubt no promise that is kept."""

from __future__ import annotations

import numpy as np
import pytest

from infra.backlog_show import Backlog, Kind, clauses, decided, doubted, findings

RISK = 0.1
FRONT = Backlog(10, 0.3)
Streams = list[list[bool]]


@pytest.fixture(scope="module")
def found() -> Kind:
    """Findings as they are: of those that could be accepted the least sure are wrong most often."""
    return findings(RISK)


@pytest.fixture(scope="module")
def own(found: Kind) -> Streams:
    """What is decided where checks wait by their own confidence."""
    return [decided(found, FRONT, False, seed) for seed in range(60)]


@pytest.fixture(scope="module")
def hidden(found: Kind) -> Streams:
    """What is decided where they look like others."""
    return [decided(found, FRONT, True, seed) for seed in range(60)]


def test_a_kept_promise_is_seldom_doubted_by_the_front_of_the_queue(
    found: Kind, own: Streams, hidden: Streams
) -> None:
    """Where checks wait by their own confidence it is in many streams, where 5% are allowed."""
    assert found.wrong_of_sure < RISK
    assert doubted(found, RISK, own) > 0.15
    assert doubted(found, RISK, hidden) <= 0.05


def test_of_what_is_decided_as_much_is_wrong_as_of_all(
    found: Kind, own: Streams, hidden: Streams
) -> None:
    """And more, where checks wait by their own confidence."""
    assert np.mean(np.concatenate(own)) > 1.5 * found.wrong_of_sure
    assert np.mean(np.concatenate(hidden)) == pytest.approx(found.wrong_of_sure, abs=0.01)
    assert sum(map(len, hidden)) >= sum(map(len, own))


def test_what_could_be_accepted_of_clauses_keeps_the_promise_too() -> None:
    """Their set is another, and so is the test."""
    every = clauses(RISK)
    assert every.wrong_of_sure < RISK
    said = [decided(every, FRONT, True, seed) for seed in range(10)]
    assert doubted(every, RISK, said) <= 0.05
