"""Simple ways to look for errors, and that the card has what they found."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tests.support import library

library("sklearn")

from models.files import read_json
from models.triage_breaks import baselines
from models.triage_breaks.baselines import (
    COLUMNS,
    FILE,
    FilingResult,
    amounts,
    breaks,
    chances,
    features,
    rates,
    result,
    result_of,
)
from models.triage_breaks.filings import FOLDER, fold_of
from models.triage_breaks.identities import IDENTITIES
from models.triage_breaks.scores import of, predictions
from tests.models.builders import tagged
from tests.unit.triage.filings import bent, record

pytestmark = pytest.mark.training


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "TREES", 20)


def test_a_sum_that_holds_in_one_column_and_fails_in_another_breaks() -> None:
    sound = np.array([[100, 200], [30, 50], [130, 250]], float)
    assert not list(breaks(sound))
    wrong = sound.copy()
    wrong[2, 1] = 259
    (one,) = breaks(wrong)
    assert (one.plain, one.rows, one.support, one.broken, one.by) == (True, 2, 1, 1, 9)
    nowhere = wrong.copy()
    nowhere[2] = 1, 2
    assert not list(breaks(nowhere))


def test_a_sum_may_take_off() -> None:
    table = np.array([[100, 90], [30, 20], [7, 7], [77, 88]], float)
    (one,) = breaks(table)
    assert (one.plain, one.rows, one.by) == (False, 3, 88 - 77)
    assert not list(breaks(np.array([[100, 90], [30, 20], [7, 7], [77, 77]], float)))


def test_rows_of_one_sum_are_not_used_again() -> None:
    column = [10, 20, 30, 5, 35]
    table = np.array([column, [2 * v for v in column]], float).T
    table[4, 1] = 71
    (one,) = breaks(table)
    assert (one.rows, one.by) == (2, 1)


def test_amounts_are_those_of_money() -> None:
    statement = {
        "columns": [{}, {}],
        "rows": [
            {"label": "Assets", "values": [None, None], "heading": 1},
            {"label": "Cash", "values": [5000, None], "unit": "USD"},
            {"label": "Shares", "values": [5000, 6000], "unit": "shares"},
        ],
    }
    assert amounts(statement).tolist() == [[5000, 0]]


def test_no_name_and_no_label_makes_a_difference_to_the_plain_forest() -> None:
    one = tagged()
    other = json.loads(json.dumps(one))
    other["company"], other["cik"] = "Another Corp", 2
    for number, row in enumerate(r for s in other["statements"] for r in s["rows"]):
        row["label"] = f"line {number}"
    found = [result_of(some, None).features for some in (one, other)]
    assert found[0] == found[1]
    assert len(found[0]) == len(COLUMNS)
    wrong = {**bent("income", "Operating income", 1, 1568), "cik": 1}
    assert result_of(wrong, "digit_change").features != found[0]


def test_digits_are_looked_at_without_the_zeros_of_the_unit() -> None:
    wrong = np.array([[100e6, 200e6], [30e6, 50e6], [130e6, 259e6]])
    nine = COLUMNS.index("divisible_by_9")
    assert features(tagged(), list(breaks(wrong)))[nine]
    wrong[2, 1] = 258e6
    assert not features(tagged(), list(breaks(wrong)))[nine]
    assert not any(features(tagged(), [])[: nine + 1])


@pytest.mark.parametrize(
    ("name", "statement", "label"),
    [
        ("assets are liabilities and equity", "balance_sheet", "Total assets"),
        ("cash on two statements", "balance_sheet", "Cash and cash equivalents"),
        ("net income on two statements", "income", "Net income"),
        ("magnitudes", "balance_sheet", "Inventories"),
    ],
)
def test_an_identity_breaks_where_an_amount_is_another(
    name: str, statement: str, label: str
) -> None:
    assert not any(identity(record()["statements"]) for identity in IDENTITIES.values())
    assert IDENTITIES[name](bent(statement, label, 0, 1_000_000)["statements"])


def test_cash_rolls_forward() -> None:
    rows = [("Net change in cash", 1000), ("Cash, beginning of year", 5000),
            ("Cash, end of year", 6000)]  # fmt: skip
    flow: dict[str, Any] = {"statement": "cash_flow", "columns": [{"end": "20231231"}],
            "rows": [{"label": label, "values": [value]} for label, value in rows]}  # fmt: skip
    rolls = IDENTITIES["cash rolls forward"]
    assert not rolls([flow])
    flow["rows"][2]["values"] = [6001]
    assert rolls([flow])


def made(company: int, wrong: bool, value: float) -> FilingResult:
    """A filing of a company. Its first feature shows whether it is wrong."""
    features = [value, *[0.0] * (len(COLUMNS) - 1)]
    broken = dict.fromkeys(IDENTITIES, wrong and company % 2 == 0)
    return FilingResult(company, "sign_flip" if wrong else None, broken, wrong, features)


def test_a_company_is_scored_by_a_forest_without_its_fold() -> None:
    every = [made(company, wrong, float(wrong)) for company in range(60) for wrong in (False, True)]
    scores = chances(every, every)
    assert min(scores[1::2]) > max(scores[::2])
    turned = [
        made(one.company, one.type is not None, float(one.type is None))
        if fold_of(one.company) == 0
        else one
        for one in every
    ]
    again = chances(turned, turned)
    here = [i for i, one in enumerate(turned) if fold_of(one.company) == 0]
    assert all(bool(again[i] > 0.5) is (turned[i].type is None) for i in here)


def test_rates_are_counted_with_their_intervals() -> None:
    some = [made(company, wrong, 0) for company in range(40) for wrong in (False, True)]
    found = rates(some, lambda one: any(one.broken.values()))
    assert found["untouched"] == [0, 40, 0.0, 0.0]
    hits, count, low, high = found["with an error"]
    assert (hits, count) == (20, 40)
    assert low < 0.5 < high


def test_all_methods_are_measured_on_both_sets() -> None:
    some = [made(company, wrong, float(wrong)) for company in range(30) for wrong in (False, True)]
    found = result(some, some[:20])
    assert set(found["identities alone"]) == {"own", "development"}
    assert found["a search for sums"]["development"]["with an error"][:2] == [10, 10]
    plain = found["a plain forest"]["own"]["curve"]
    assert (plain["sound"], plain["wrong"]) == (30, 30)


def test_the_committed_figures_are_of_the_filings_that_were_predicted() -> None:
    found = read_json(FOLDER / FILE)
    scores = read_json(FOLDER / "scores.json")
    development = of("development", predictions(FOLDER))
    wrong = sum(p["type"] is not None for p in development)
    counts = {"own": (scores["filings"], scores["injected"]),
              "development": (len(development) - wrong, wrong)}  # fmt: skip
    for part, (sound, errors) in counts.items():
        for name in ("identities alone", "a search for sums"):
            one = found[name][part]
            assert (one["untouched"][1], one["with an error"][1]) == (sound, errors)
        curve = found["a plain forest"][part]["curve"]
        assert (curve["sound"], curve["wrong"]) == (sound, errors)
