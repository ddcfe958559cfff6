"""How the figures of the triage specialist are made of its predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.triage_breaks.curve import Companies, limit
from models.triage_breaks.injections import AS_DEVELOPMENT
from models.triage_breaks.scores import calibration, figures, found_at, risk
from models.triage_breaks.tries import difference, grouped, table


def prediction(number: int, wrong: str | None, value: float) -> dict[str, Any]:
    return {
        "id": f"0000000001-10-{number:06}",
        "company": number % 7,
        "type": wrong,
        "arith_checkable": True if wrong else None,
        "risk": value,
        "by_rule": value / 2,
        "by_identities": value / 3,
        "by_sums": 10 * value,
        "by_kind": {"cell": value, "gap": value / 2},
        "kinds": ["cell"],
        "right": [bool(wrong)],
        "without nothing": value,
        "set": "own",
        "raised": bool(wrong),
        "shown": True,
    }


def some() -> list[dict[str, Any]]:
    """A hundred sound filings with risks up to 0.99, and a hundred with errors."""
    sound = [prediction(i, None, i / 100) for i in range(100)]
    return sound + [prediction(i, "sign_flip", i / 100 + 0.005) for i in range(100)]


def every() -> list[dict[str, Any]]:
    """The same for whole filings, headlines, what was published, and the development filings."""
    parts = ("own", "headlines", "finverbench", "development")
    return [p | {"set": part} for part in parts for p in some()]


def test_reasons_of_missed_published_errors_are_counted(tmp_path: Path) -> None:
    predicted = every()
    published = [p for p in predicted if p["set"] == "finverbench" and p["type"]]
    published[0]["shown"] = False
    published[1]["raised"] = False
    found = figures(tmp_path, predicted, 0.02)["finverbench"]
    assert (found["not_shown"], found["not_raised"]) == (1, 1)
    missed = found["not_shown"] + found["not_raised"] + found["not_believed"]
    assert found["found"] + missed == found["injected"] == 100
    assert found["shown"] == 99


def test_two_ways_are_compared_on_the_same_companies() -> None:
    first = grouped(some(), set())
    assert difference(first, first) == (0, 0, 0)
    better = grouped([p | {"risk": 0.999} if p["type"] else p for p in some()], set())
    gain, low, high = difference(first, better)
    assert gain == pytest.approx(0.97)
    assert 0 < low <= gain <= high
    fewer = grouped(some(), {"0000000001-10-000099"})
    assert sum(len(a) + len(b) for a, b in fewer.of_each) == 198
    with pytest.raises(ValueError, match="different companies"):
        difference(first, grouped([p for p in some() if p["company"]], set()))


def test_the_table_has_a_line_for_each_file() -> None:
    text = table({"a": every(), "b": every()})
    assert text.count("\n| a |") == text.count("\n| b |") == 1
    assert "+0.0% [+0.0%, +0.0%] | 2/100 | 3/100 |" in text


def test_the_limit_lets_through_no_more_than_its_share() -> None:
    risks = np.array([p["risk"] for p in some() if p["type"] is None])
    assert int((risks > limit(risks, 0.02)).sum()) == 2
    assert int((np.ones(50) > limit(np.ones(50), 0.1)).sum()) == 0


def test_found_is_counted_above_the_limit() -> None:
    """Risks of 0.975 and more lie above the third highest of the sound ones, 0.97."""
    found = found_at(some(), risk)
    assert found["2%"] == pytest.approx(0.03)
    assert found["10%"] == pytest.approx(0.11)


def test_the_interval_contains_the_estimate() -> None:
    companies = Companies.of(some(), risk, AS_DEVELOPMENT)
    ((low, high),) = companies.interval([0.1]).tolist()
    assert 0 <= low <= 0.11 <= high <= 1
    assert low < high
    assert [[low, high]] == companies.interval([0.1]).tolist()


def rights(found: dict[str, Any]) -> float:
    return float(sum(n * share for n, _, share in found["chances"]["as shipped"]["tenths"]))


def test_a_chance_is_right_if_the_surest_doubt_names_the_error() -> None:
    predicted = some()
    found = calibration(predicted)
    assert (found["untouched"], found["injected"]) == (100, 100)
    assert rights(found) == pytest.approx(100, abs=0.01)
    predicted[150]["right"] = [False, True]
    predicted[151]["right"] = []
    less = calibration(predicted)
    assert less["injected"] == 99
    assert rights(less) == pytest.approx(98, abs=0.01)
