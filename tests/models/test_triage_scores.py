"""How the figures of the triage specialist are made of its predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from models.triage_breaks import reading
from models.triage_breaks.curve import difference
from models.triage_breaks.tries import gains, grouped, table


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
    assert difference(first, first, 0.02) == (0, 0, 0)
    better = grouped([p | {"risk": 0.999} if p["type"] else p for p in some()], set())
    gain, low, high = difference(first, better, 0.02)
    assert gain == pytest.approx(0.97)
    assert 0 < low <= gain <= high
    fewer = grouped(some(), {"0000000001-10-000099"})
    assert sum(len(a) + len(b) for a, b in fewer.of_each) == 198
    with pytest.raises(ValueError, match="different companies"):
        difference(first, grouped([p for p in some() if p["company"]], set()), 0.02)


def test_the_table_has_a_line_for_each_file() -> None:
    text = table({"a": every(), "b": every()})
    assert text.count("\n| a |") == text.count("\n| b |") == 1
    assert "+0.0% [+0.0%, +0.0%] | 2/100 | 3/100 |" in text


def test_the_gains_are_paired_with_and_without_the_wrong_filings() -> None:
    later = [p | {"risk": 0.999} if p["type"] else p for p in every()]
    rows = gains(every(), later, set(), {"0000000001-10-000099"}).splitlines()[2:]
    assert [row.split(" | ")[:2] for row in rows] == [
        [f"| {types}", filings]
        for types in ("nine types", "all types")
        for filings in ("all", "without 1 wrong")
    ]
    assert all(" 100.0%, +9" in row for row in rows)


def test_wrong_filings_are_left_out_with_their_copies(tmp_path: Path) -> None:
    name = "0000000001-10-{:06}".format
    (tmp_path / reading.FILE).write_text(f"slip = ['{name(99)}']\nconversion = ['{name(98)}']\n")
    result = reading.figures(tmp_path, some(), lambda p: float(p["risk"]))
    assert result["verdicts"] == {"slip": 1, "conversion": 1}
    at_1_percent = [row["nine types"]["found"][0][0] for row in result["found"].values()]
    assert at_1_percent == pytest.approx([0.02, 1 / 99, 1 / 98])
    assert result["found"]["all"]["all types"]["more"] == [[0, 0, 0]] * 2
