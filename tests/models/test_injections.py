"""Each kind of injected error changes one place of a sound filing, in a reproducible way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from models.triage_breaks.filings import FOLDS, fold_of
from models.triage_breaks.injections import (
    AS_DEVELOPMENT,
    KINDS,
    OTHERS,
    all_sums,
    inject,
    injected,
    sums,
)
from tests.models.builders import Record, tagged


def each(kind: str) -> Iterator[tuple[Record, Record, Record]]:
    """The statement before and after, and the truth, for many seeds. No other statement changes."""
    made, filing = 0, tagged()
    for i in range(60):
        if found := inject(filing, kind, str(i)):
            wrong, truth = found
            pairs = list(zip(tagged()["statements"], wrong["statements"], strict=True))
            ((sound, part),) = [p for p in pairs if p[0]["statement"] == truth["statement"]]
            assert all(before == after for before, after in pairs if before is not sound)
            assert truth["type"] == kind
            yield sound, part, truth
            made += 1
    assert made >= 10
    assert filing == tagged(), "the filing itself is not changed"


def amounts(statement: Record, row: int) -> list[int | None]:
    found: list[int | None] = statement["rows"][row]["values"]
    return found


def lines_changed(sound: Record, part: Record) -> list[int]:
    rows = zip(sound["rows"], part["rows"], strict=True)
    return [number for number, (before, after) in enumerate(rows) if before != after]


@pytest.mark.parametrize(
    "kind",
    ["row_scale", "sign_flip", "digit_change", "digit_transposition", "total_altered",
     "cross_statement", "stale_comparative", "rounding"],
)  # fmt: skip
def test_an_error_of_one_amount_changes_that_amount_alone(kind: str) -> None:
    for sound, part, truth in each(kind):
        assert lines_changed(sound, part) == [truth["row"]]
        expected = list(amounts(sound, truth["row"]))
        assert expected[truth["column"]] == truth["before"] != truth["after"]
        expected[truth["column"]] = truth["after"]
        assert amounts(part, truth["row"]) == expected


def test_digits_change_places_with_their_neighbours() -> None:
    for _, _, truth in each("digit_transposition"):
        assert (truth["after"] - truth["before"]) % 9_000_000 == 0
        assert sorted(str(truth["after"])) == sorted(str(truth["before"]))


def test_two_columns_of_one_line_change_places() -> None:
    for sound, part, truth in each("column_swap"):
        assert lines_changed(sound, part) == [truth["row"]]
        first, second = truth["columns"]
        expected = list(amounts(sound, truth["row"]))
        assert expected[first] != expected[second]
        expected[first], expected[second] = expected[second], expected[first]
        assert amounts(part, truth["row"]) == expected == truth["after"]


def test_amounts_of_two_lines_change_places_in_one_column() -> None:
    for sound, part, truth in each("rows_exchanged"):
        first, second = truth["rows"]
        assert lines_changed(sound, part) == [first, second]
        assert all(row.get("heading") for row in sound["rows"][first + 1 : second])
        for here, there in ((first, second), (second, first)):
            expected = list(amounts(sound, here))
            expected[truth["column"]] = amounts(sound, there)[truth["column"]]
            assert amounts(part, here) == expected


def test_a_line_is_repeated() -> None:
    for sound, part, truth in each("duplicate_row"):
        rows = list(part["rows"])
        assert rows.pop(truth["row"]) == rows[truth["row"] - 1]
        assert rows == sound["rows"]


def test_the_amounts_of_a_line_slip_into_the_next_column() -> None:
    for sound, part, truth in each("missing_column"):
        assert lines_changed(sound, part) == [truth["row"]]
        before = amounts(sound, truth["row"])
        assert amounts(part, truth["row"]) == [None, *before[:-1]]


def test_a_line_has_the_other_sign_in_every_column() -> None:
    for sound, part, truth in each("sign_convention"):
        assert lines_changed(sound, part) == [truth["row"]]
        expected = [value and -value for value in amounts(sound, truth["row"])]
        assert amounts(part, truth["row"]) == expected


@pytest.mark.parametrize("kind", ["column_scale", "statement_scale"])
def test_all_money_of_a_column_or_a_statement_is_a_thousand_times_as_much_or_little(
    kind: str,
) -> None:
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


def test_a_dropped_line_was_part_of_a_sum() -> None:
    for sound, part, truth in each("line_dropped"):
        assert len(part["rows"]) == len(sound["rows"]) - 1
        assert truth["label"] not in [row["label"] for row in part["rows"]]
        assert any(truth["row"] in parts for _, (_, *parts) in sums(sound))


def test_the_same_seed_makes_the_same_errors() -> None:
    first = list(injected(tagged(), 6, AS_DEVELOPMENT, "a", all_sums(tagged())))
    assert first == list(injected(tagged(), 6, AS_DEVELOPMENT, "a"))
    assert first != list(injected(tagged(), 6, AS_DEVELOPMENT, "b"))
    assert len(first) == 6


def test_the_kinds_are_those_of_the_development_filings_and_others() -> None:
    assert set(KINDS) == {*AS_DEVELOPMENT, *OTHERS}
    assert not set(AS_DEVELOPMENT) & set(OTHERS)


def test_amounts_per_share_are_no_money() -> None:
    labels = {truth["label"] for _, _, truth in each("sign_flip")}
    assert len(labels) > 10
    assert "Basic earnings per share" not in labels


def test_a_company_is_in_one_fold() -> None:
    assert {fold_of(cik) for cik in range(100)} == set(range(FOLDS))
    assert fold_of(7) == fold_of(7)
