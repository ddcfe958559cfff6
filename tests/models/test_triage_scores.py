"""How the figures of the triage specialist are made of its predictions."""

from __future__ import annotations

from typing import Any

import pytest

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
