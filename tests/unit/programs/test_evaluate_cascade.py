"""The cascade on paper: verdicts by Bayes, questions by their worth, errors counted once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models.clauses.risk_control import Rows
from models.evaluation.judging import ScoredContract
from models.evaluation.predict import Candidate
from shared.policy.prices import known_prices
from tests.evaluate import cascade as evaluate_cascade
from tests.evaluate.cascade import POINTS, Field, Point, alone, cascade, chosen, table
from tests.evaluate.prompt_costs import Bills

POINT = Point.of(0.6, 0.75, answers=1_000, pairs=2_000)
PRICE = known_prices()["anthropic"]["claude-opus-5"]


def field(count: int = 400, seed: int = 3) -> Field:
    """Clauses whose beliefs are what they say, half of them shown; every right one is an answer."""
    chance = np.random.default_rng(seed)
    belief = chance.uniform(0.02, 0.98, count)
    right = chance.random(count) < belief
    shown = belief > 0.5
    rows = Rows(
        labels=("a", "b"),
        families=count // 4,
        family=np.arange(count) // 4,
        fold=np.arange(count) % 5,
        label=np.arange(count) % 2,
        score=belief,
        confidence=belief,
        right=right.astype(float),
        answer_family=np.flatnonzero(right) // 4,
        answer_confidence=belief[right],
        contract=np.arange(count) // 4,
    )
    pairs = np.stack([np.flatnonzero(right), np.arange(right.sum())], axis=1)
    usd = np.full(count, 0.01)
    return Field(rows, shown, belief, right, pairs, int(right.sum()) + 5, usd)


def test_a_point_errs_as_often_as_it_was_published() -> None:
    assert POINT.alarm == pytest.approx(0.1)
    assert all(0 < recall < 1 and 0 < precision < 1 for recall, precision in POINTS.values())


def test_a_verdict_moves_belief_as_far_as_it_is_worth() -> None:
    half = np.array([0.5])
    assert POINT.witness.posterior(half, np.array([True])) == pytest.approx(6 / 7)
    assert POINT.witness.posterior(half, np.array([False])) == pytest.approx(4 / 13)
    gain = POINT.witness.gain(np.array([0.5, 0.97, 0.02]), np.array([True, True, False]))
    assert gain[0] > 0
    assert gain[1:] == pytest.approx(0)


@pytest.mark.parametrize("budget", [0.0, 0.05, 0.5])
def test_a_budget_is_never_passed_and_buys_the_best(budget: float) -> None:
    one = field()
    asked = chosen(one, POINT, budget)
    assert one.usd[asked].sum() <= budget + 1e-9
    gain = POINT.witness.gain(one.belief, one.shown)
    if asked.any():
        assert gain[asked].min() >= gain[~asked].max()


def test_only_what_the_product_would_ask_is_asked() -> None:
    text = "".join(f"{number:04} " for number in range(9_000))
    spans = [(0, 1_000), (0, 9_000), (1, 15_000), (1, 20_000), (0, 30_000)]
    candidates = [Candidate(label, at, at + 100, 0.5) for label, at in spans]
    judged = ScoredContract("f", text, {}, candidates, [frozenset()] * len(spans))
    counted = np.array([True, False, True, True, True])
    bills = Bills([judged], ["Parties", "Insurance"], counted, PRICE)
    shown = np.array([True, False, False, True])
    belief = np.array([0.5, 0.3, 0.4, 0.99])
    worth = bills.worth(shown, belief)
    assert worth.tolist() == [True, False, True, False]
    ((first, second),) = bills.doubts(worth)
    assert (first.category, first.start) == ("Parties", 1_000)
    assert (second.category, second.start) == ("Insurance", 20_000)
    both, one = bills.of(worth), bills.of(np.array([True, False, False, False]))
    assert both.calls == one.calls == 1
    assert one.usd < both.usd < 2 * one.usd


def test_asking_more_leaves_fewer_errors() -> None:
    one = field(4_000)
    errors = [
        sum(cascade(one, POINT, chosen(one, POINT, budget))[name] for name in ("wrong", "missed"))
        for budget in (0.0, 5.0, None)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > errors[2]


def test_errors_are_wrong_clauses_and_answers_without_one() -> None:
    one = field()
    everything = np.ones(len(one.belief), bool)
    assert one.errors(everything) == (int((~one.right).sum()), 5)
    assert one.errors(~everything) == (0, one.answers)


def test_the_frontier_alone_reads_everything() -> None:
    contracts = [ScoredContract("f", "x " * 15_000, {"Parties": ["x x"] * 10}, [], [])]
    told = alone(contracts, ["Parties"], POINT, PRICE)
    assert told["asked"] == 2
    assert told["missed"] == pytest.approx(4)
    assert told["wrong"] == pytest.approx(2)
    assert told["usd"] > 30_000 / 4 * 5 / 1e6


def test_it_is_printed_as_a_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    way: dict[str, Any] = {
        "way": "frontier alone (stand-in)",
        "asked": 2,
        "calls": 2,
        "usd": 1.0,
        "machine_usd": 0.0,
        "seconds": 10.0,
        "wrong": 2.0,
        "missed": 4.0,
        "errors": 6.0,
        "accepted": {},
    }
    monkeypatch.setattr(evaluate_cascade, "evaluate", lambda _folder, _asked: [way])
    assert evaluate_cascade.main(["/nowhere"]) == 0
    assert "| frontier alone (stand-in) | 2 | 2 | 1.00 |" in capsys.readouterr().out
    assert table([]).count("\n") == 1
