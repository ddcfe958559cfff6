"""What an analyst dismissed with a reason is folded away next time, and only that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from services.triage.causes import MOST
from services.triage.dismissals import (
    FILER_CHARACTERS,
    Dismissal,
    Dismissals,
    figure_of,
    filer_of,
    relation_of,
)
from services.triage.domain import Dismissed, Finding, NamedCell
from services.triage.judgement import sifted, triage_filing
from services.triage.risk import Judge
from tests.unit.triage.filings import bent, find_row, read
from tests.unit.triage.test_doubts import judge

FINDINGS = "/v1/documents/{}/findings"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def finding(reported: int | None = 110, expected: int | None = 100, **more: Any) -> Finding:
    """Total assets that are not the sum of two lines."""
    labels = more.pop("labels", ("Total assets", "Cash", "Goodwill"))
    cells = tuple(NamedCell("balance_sheet", n, 0, label) for n, label in enumerate(labels))
    amounts = [None if v is None else Decimal(v) for v in (reported, expected)]
    given: dict[str, Any] = {
        "check": "balance_sheet_sums",
        "severity": "high",
        "confidence": 0.9,
        "statement": "balance_sheet",
        "column": 0,
        "row": 0,
        "rows": (0, 1, 2),
        "label": labels[0],
        "message": "m",
        "cells": cells,
        **more,
    }
    return Finding(reported=amounts[0], expected=amounts[1], **given)


def dismissal(of: Finding) -> Dismissal:
    """An analyst's word on it."""
    return Dismissal(
        *("default", "doc_1", "fd_1", "acme corp", relation_of(of), of.reported, of.expected),
        *("mezzanine equity", "ada", NOON, figure_of(of)),
    )


@pytest.mark.parametrize(
    ("again", "covered"),
    [
        (finding(), True),
        (finding(1_250, 1_000, confidence=0.4, column=1), True),
        (finding(labels=("Total assets (1)", "Goodwill", "Cash")), True),
        (finding(90, 100), False),
        (finding(200, 100), False),
        (finding(101, 100), False),
        (finding(labels=("Total assets", "Cash", "Inventories")), False),
        (finding(check="missing_line"), False),
        (finding(None, None), False),
    ],
    ids=["same", "another year", "other words", "other side", "larger", "smaller", "other lines",
         "other check", "no amounts"],
)  # fmt: skip
def test_only_a_break_of_the_same_kind_is_covered(again: Finding, covered: bool) -> None:
    """The same relation, the same direction, a similar share of the amount."""
    known = Dismissals.of([dismissal(finding())])
    assert (known.word_on(again) is not None) is covered


@pytest.mark.parametrize(
    ("known", "again", "covered"),
    [
        (finding(200, 100), finding(180, 100), True),
        (finding(200, 100), finding(100_000, 100), False),
        (finding(200, 100), finding(1_000, 100), False),
        (finding(100_000, 100), finding(90_000, 90), True),
        (finding(200, 100), finding(100, -100), False),
        (finding(100, -100), finding(80, -90), True),
        (finding(200, 100), finding(100, 0), False),
    ],
    ids=["half", "a thousand times", "ten times", "again", "sign", "sign again", "nothing"],
)
def test_a_large_break_covers_no_wrong_unit_and_no_turned_sign(
    known: Finding, again: Finding, covered: bool
) -> None:
    """By their share of the amount they are similar to a half: the kind has to be the same too."""
    assert dismissal(known).covers(again) is covered


def balance(end: str, *columns: tuple[int, int, int, int]) -> dict[str, Any]:
    """Total assets, liabilities, equity, and the total of these two, a column a year."""
    labels = ("Total assets", "Total liabilities", "Total stockholders' equity",
              "Total liabilities and stockholders' equity")  # fmt: skip
    ends = [f"{int(end[:4]) - ago}{end[4:]}" for ago in range(len(columns))]
    lines = zip(labels, zip(*columns, strict=True), strict=True)
    rows = [{"label": label, "values": list(values), "unit": "USD"} for label, values in lines]
    sheet = {"statement": "balance_sheet", "columns": [{"end": e} for e in ends], "rows": rows}
    return {"id": end, "company": "Acme", "form": "10-K", "statements": [sheet]}


OLD, SOUND = (1_210, 700, 501, 1_201), (1_100, 650, 450, 1_100)
NEW = (1_320, 770, 540, 1_310)


@pytest.mark.parametrize("judged", [None, judge(shown=0.05)], ids=["rules", "forest"])
def test_the_figure_that_was_dismissed_is_folded_away_beside_a_new_break(
    judged: Judge | None,
) -> None:
    """As the comparative of the next report, in which no column confirms the sum of liabilities
    and equity any more; the break of the new year has other numbers, and is told.
    """
    (said, *_) = triage_filing(read(balance("20231231", OLD, SOUND)), judged).findings
    after = triage_filing(read(balance("20241231", NEW, OLD)), judged, of_company(said))
    folded = [one for one in after.findings if one.dismissed]
    assert [one.column for one in folded] == [1]
    assert (folded[0].reported, folded[0].expected) == (Decimal(1_210), Decimal(1_201))
    left = [one for one in after.findings if not one.dismissed]
    assert [one.column for one in left if one.check == said.check] == [0]
    assert all(one.column != 1 for one in left)
    assert after.risk == max(one.confidence for one in left)


@pytest.mark.parametrize(
    "other",
    [
        balance("20251231", NEW, OLD),
        balance("20241231", NEW, (1_210, 700, 502, 1_202)),
        balance("20241231", NEW, (1_211, 700, 501, 1_201)),
    ],
    ids=["another year", "another part", "another total"],
)
def test_another_figure_beside_a_new_break_is_told(other: dict[str, Any]) -> None:
    """Only the same two amounts of the same day are what the analyst looked at."""
    (said, *_) = triage_filing(read(balance("20231231", OLD, SOUND))).findings
    after = triage_filing(read(other), None, of_company(said))
    assert {one.column for one in after.findings if not one.dismissed} == {0, 1}


@pytest.mark.parametrize(
    "again",
    [
        finding(end="20231231", labels=("Total assets", "Cash", "Goodwill"), row=4, column=1),
        finding(end="20231231", labels=("Total assets (1)", "Inventories")),
    ],
    ids=["another column", "other lines"],
)
def test_a_figure_is_known_by_its_line_its_day_and_its_amounts(again: Finding) -> None:
    """Not by its place, nor by what else takes part."""
    known = finding(end="20231231")
    assert figure_of(again) == figure_of(known) is not None
    assert Dismissals.of([dismissal(known)]).word_on(again)
    for other in (
        replace(again, end="20221231"),
        replace(again, check="magnitude"),
        replace(again, statement="income"),
    ):
        assert figure_of(other) != figure_of(known)
    for less in (
        replace(again, end=None),
        replace(again, label=None),
        replace(again, reported=None),
        replace(again, expected=None),
    ):
        assert figure_of(less) is None


def test_a_break_of_unknown_size_is_looked_at_again() -> None:
    """Neither amount tells whether it is the same kind of break."""
    assert not dismissal(finding(None, 100)).covers(finding(None, 100))


def test_a_filer_is_told_by_its_letters() -> None:
    """However it is written, in whatever script; nobody is not a filer."""
    assert filer_of("Müller AG") != filer_of("Möller AG")
    assert filer_of("トヨタ自動車") != filer_of("ソニー") != ""
    assert filer_of("ACME Corp.") == filer_of("Acme  corp") == "acme corp"
    assert filer_of(None) == filer_of(" - ") == ""
    long = "trust " * 1_000
    assert len(filer_of(long)) == FILER_CHARACTERS
    assert filer_of(filer_of(long)) == filer_of(long) != filer_of(long + "two")


def of_company(*dismissed: Finding) -> Callable[[Finding], Dismissed | None]:
    """What triage is told of a filer of whom these were dismissed."""
    return Dismissals.of(map(dismissal, dismissed)).word_on


@pytest.mark.parametrize("judged", [None, judge(shown=0.05)], ids=["rules", "forest"])
def test_what_is_folded_away_counts_no_more(judged: Judge | None) -> None:
    """It stays, marked; risk and flag are those of all other doubts, and it takes nobody's place in
    the handful.
    """
    filing = wrong()
    part, row = find_row(filing, "income", "Operating income")
    part["rows"][row]["values"][1] += 7_000_000
    before = triage_filing(read(filing), judged)
    first, *_ = before.findings
    after = triage_filing(read(filing), judged, of_company(first))
    (folded,) = [one for one in after.findings if one.dismissed]
    assert replace(folded, dismissed=None) == first
    left = [one for one in after.findings if not one.dismissed]
    assert left
    assert after.risk == max(one.confidence for one in left)
    assert triage_filing(read(filing), judged, of_company()) == before
    assert Finding.of_json(folded.to_json()) == first


def test_a_folded_finding_swallows_no_other_error_of_its_cell() -> None:
    """Another amount is another error; the same difference is the same cause, seen twice."""
    one = finding()
    same_cell = finding(110, 105, confidence=0.7, check="magnitude")
    same_gap = finding(60, 50, confidence=0.6, row=4, check="same_amount")
    no_amount = finding(110, None, confidence=0.5, check="exceeds_total")
    surer = finding(60, 50, confidence=0.95, row=4, check="same_amount")
    folded, left = sifted((), [one, same_cell, same_gap, no_amount], of_company(one))
    assert [f.check for f in folded] == ["balance_sheet_sums"]
    assert left == [same_cell]
    assert sifted((), [one, surer], of_company(one))[1] == [surer]


def test_a_full_list_of_dismissed_ones_hides_nothing() -> None:
    """Risk is that of the likeliest doubt that nobody dismissed, however far down it stood."""
    others = [
        finding(110 + n, 100, row=n, label=f"Line {n}", labels=(f"Line {n}", "Cash"))
        for n in range(2 * MOST)
    ]
    last = finding(50, 10, row=99, check="magnitude", confidence=0.3)
    folded, left = sifted((), [*others, last], of_company(*others))
    assert (len(folded), left) == (2 * MOST, [last])


def wrong(millions: float = 4509, **more: Any) -> dict[str, Any]:
    """A filing with one wrong total."""
    return {**bent("balance_sheet", "Total current assets", 1, millions), **more}
