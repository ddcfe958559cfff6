"""Errors put into sound filings: each kind does what it says, to one place, the same every time."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from models.triage.filings import FOLDS, fold_of
from models.triage.injections import (
    AS_DEVELOPMENT,
    KINDS,
    OTHERS,
    all_sums,
    inject,
    injected,
    sums,
)
from tests.unit.triage.filings import record

CONCEPTS = {
    ("balance_sheet", "Cash and cash equivalents"): "CashAndCashEquivalentsAtCarryingValue",
    ("cash_flow", "Net income"): "NetIncomeLoss",
}


def filing() -> dict[str, Any]:
    """The sound filing with the training columns that the generator needs."""
    found = record() | {"cik": 1}
    for statement in found["statements"]:
        statement["presented_in"] = 1_000_000
        for row in statement["rows"]:
            row["concept"] = CONCEPTS.get((statement["statement"], row["label"]), "X")
    return found


def spoiled(kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The first seed for which the filing has a place for the error."""
    return next(found for i in range(99) if (found := inject(filing(), kind, str(i))))


def each(kind: str) -> Iterator[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
    """For many seeds the statement before and after, and the truth; no other statement changed."""
    made = 0
    for i in range(60):
        found = inject(filing(), kind, str(i))
        if not found:
            continue
        wrong, truth = found
        pairs = list(zip(filing()["statements"], wrong["statements"], strict=True))
        ((sound, part),) = [pair for pair in pairs if pair[0]["statement"] == truth["statement"]]
        assert all(before == after for before, after in pairs if before is not sound)
        yield sound, part, truth
        made += 1
    assert made >= 10


def amounts(statement: dict[str, Any], row: int) -> list[int | None]:
    """The amounts of a line."""
    found: list[int | None] = statement["rows"][row]["values"]
    return found


def lines_changed(sound: dict[str, Any], part: dict[str, Any]) -> list[int]:
    """The lines in which two statements of the same shape differ."""
    rows = zip(sound["rows"], part["rows"], strict=True)
    return [number for number, (before, after) in enumerate(rows) if before != after]


def changed(one: dict[str, Any], other: dict[str, Any]) -> list[tuple[str, int, int]]:
    """The cells in which two filings of the same shape differ."""
    return [
        (a["statement"], row, column)
        for a, b in zip(one["statements"], other["statements"], strict=True)
        for row, (x, y) in enumerate(zip(a["rows"], b["rows"], strict=True))
        for column, (v, w) in enumerate(zip(x["values"], y["values"], strict=True))
        if v != w
    ]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_spoils_a_copy_and_says_where(kind: str) -> None:
    """The filing itself stays as it is, and the truth names what was done."""
    sound = filing()
    before = copy.deepcopy(sound)
    found = next(f for i in range(99) if (f := inject(sound, kind, str(i))))
    assert sound == before
    wrong, truth = found
    assert wrong != sound
    assert truth["type"] == kind
    assert truth["statement"] in {s["statement"] for s in sound["statements"]}


@pytest.mark.parametrize(
    "kind",
    ["row_scale", "sign_flip", "digit_change", "digit_transposition", "total_altered",
     "cross_statement", "stale_comparative", "rounding"],
)  # fmt: skip
def test_an_error_of_one_amount_changes_that_amount_alone(kind: str) -> None:
    """Statement, row and column of the truth are those of the only difference."""
    wrong, truth = spoiled(kind)
    assert changed(filing(), wrong) == [(truth["statement"], truth["row"], truth["column"])]


def test_digits_change_places_with_their_neighbours() -> None:
    """An exchange of two digits is off by a multiple of nine, in the unit of the page."""
    _, truth = spoiled("digit_transposition")
    assert (truth["after"] - truth["before"]) % 9_000_000 == 0
    assert sorted(str(truth["after"])) == sorted(str(truth["before"]))


def test_two_columns_of_one_line_change_places() -> None:
    """The amounts of the two columns that are named, and nothing else."""
    for sound, part, truth in each("column_swap"):
        assert lines_changed(sound, part) == [truth["row"]]
        first, second = truth["columns"]
        expected = list(amounts(sound, truth["row"]))
        assert expected[first] != expected[second]
        expected[first], expected[second] = expected[second], expected[first]
        assert amounts(part, truth["row"]) == expected == truth["after"]


def test_amounts_of_two_lines_change_places_in_one_column() -> None:
    """Those of a line and the next line of money, in the column that is named."""
    for sound, part, truth in each("rows_exchanged"):
        first, second = truth["rows"]
        assert lines_changed(sound, part) == [first, second]
        assert all(row.get("heading") for row in sound["rows"][first + 1 : second])
        for here, there in ((first, second), (second, first)):
            expected = list(amounts(sound, here))
            expected[truth["column"]] = amounts(sound, there)[truth["column"]]
            assert amounts(part, here) == expected


def test_a_line_stands_there_twice() -> None:
    """One line more, the same as the one above it; without it nothing is changed."""
    for sound, part, truth in each("duplicate_row"):
        rows = list(part["rows"])
        assert rows.pop(truth["row"]) == rows[truth["row"] - 1]
        assert rows == sound["rows"]


def test_the_amounts_of_a_line_slip_into_the_next_column() -> None:
    """The first is empty, the last is lost, and no other line is changed."""
    for sound, part, truth in each("missing_column"):
        assert lines_changed(sound, part) == [truth["row"]]
        before = amounts(sound, truth["row"])
        assert amounts(part, truth["row"]) == [None, *before[:-1]]


def test_a_line_has_the_other_sign_in_every_column() -> None:
    """All its amounts, and no other line."""
    for sound, part, truth in each("sign_convention"):
        assert lines_changed(sound, part) == [truth["row"]]
        expected = [value and -value for value in amounts(sound, truth["row"])]
        assert amounts(part, truth["row"]) == expected


@pytest.mark.parametrize("kind", ["column_scale", "statement_scale"])
def test_all_money_of_a_column_or_a_statement_is_a_thousand_times_as_much_or_little(
    kind: str,
) -> None:
    """Every amount of money there by one factor; amounts per share and other columns as before."""
    factors = set()
    for sound, part, truth in each(kind):
        width = range(len(sound["columns"]))
        scaled = [truth["column"]] if kind == "column_scale" else width
        by = set()
        for row, line in enumerate(sound["rows"]):
            for column in width:
                before, after = amounts(sound, row)[column], amounts(part, row)[column]
                if before and column in scaled and "per share" not in line["label"]:
                    assert after
                    by.add(after / before)
                else:
                    assert before == after
        assert len(by) == 1
        factors |= by
    assert factors == {1000, 0.001}


def test_a_dropped_line_is_gone_and_was_part_of_a_sum() -> None:
    """One row fewer, and the sum that it took part in no longer holds anywhere."""
    wrong, truth = spoiled("line_dropped")
    part = next(s for s in wrong["statements"] if s["statement"] == truth["statement"])
    whole = next(s for s in filing()["statements"] if s["statement"] == truth["statement"])
    assert len(part["rows"]) == len(whole["rows"]) - 1
    assert truth["label"] not in [row["label"] for row in part["rows"]]
    assert len(sums(part)) < len(sums(whole))


def test_the_same_seed_makes_the_same_errors() -> None:
    """A training can be repeated to the byte."""
    known = all_sums(filing())
    first = list(injected(filing(), 6, AS_DEVELOPMENT, "a", known))
    assert first == list(injected(filing(), 6, AS_DEVELOPMENT, "a"))
    assert first != list(injected(filing(), 6, AS_DEVELOPMENT, "b"))
    assert len(first) == 6


def test_the_kinds_are_those_of_the_development_filings_and_others() -> None:
    """No kind is forgotten in either table, and none is in both."""
    assert set(KINDS) == {*AS_DEVELOPMENT, *OTHERS}
    assert not set(AS_DEVELOPMENT) & set(OTHERS)


def test_amounts_per_share_are_no_money() -> None:
    """Errors go where money stands: earnings per share are left alone."""
    rows = {
        truth["label"]
        for i in range(40)
        if (found := inject(filing(), "sign_flip", str(i)))
        for truth in found[1:]
    }
    assert len(rows) > 10
    assert "Basic earnings per share" not in rows


def test_a_company_is_in_one_fold() -> None:
    """The fold follows from the company alone, and all are used."""
    assert {fold_of(cik) for cik in range(100)} == set(range(FOLDS))
    assert fold_of(7) == fold_of(7)
