"""Earlier dismissals hide the same findings, and no others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from services.triage.checks.classifier import BreakClassifier
from services.triage.checks.root_causes import MOST
from services.triage.checks.verdict import split_dismissed, triage_filing
from services.triage.dismissals import (
    FILER_CHARACTERS,
    Dismissal,
    Dismissals,
    figure_key,
    filer_key,
    relation_key,
)
from services.triage.domain import Dismissed, Finding
from services.triage.statements.named_cells import NamedCell
from tests.unit.triage.filings import find_row, read, wrong
from tests.unit.triage.test_suspects import classifier

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def finding(reported: int | None = 110, expected: int | None = 100, **more: Any) -> Finding:
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
    return Dismissal(
        *("default", "doc_1", "fd_1", "acme corp", relation_key(of), of.reported, of.expected),
        *("mezzanine equity", "ada", NOON, figure_key(of)),
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
    known = Dismissals.of([dismissal(finding())])
    assert (known.find(again) is not None) is covered


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
    assert dismissal(known).covers(again) is covered


def balance(end: str, *columns: tuple[int, int, int, int]) -> dict[str, Any]:
    labels = ("Total assets", "Total liabilities", "Total stockholders' equity",
              "Total liabilities and stockholders' equity")  # fmt: skip
    ends = [f"{int(end[:4]) - ago}{end[4:]}" for ago in range(len(columns))]
    lines = zip(labels, zip(*columns, strict=True), strict=True)
    rows = [{"label": label, "values": list(values), "unit": "USD"} for label, values in lines]
    sheet = {"statement": "balance_sheet", "columns": [{"end": e} for e in ends], "rows": rows}
    return {"id": end, "company": "Acme", "form": "10-K", "statements": [sheet]}


OLD, SOUND = (1_210, 700, 501, 1_201), (1_100, 650, 450, 1_100)
NEW = (1_320, 770, 540, 1_310)


@pytest.mark.parametrize("judged", [None, classifier(shown=0.05)], ids=["rules", "forest"])
def test_a_dismissed_figure_is_hidden_beside_a_new_break(judged: BreakClassifier | None) -> None:
    (first, *_) = triage_filing(read(balance("20231231", OLD, SOUND)), judged).findings
    after = triage_filing(read(balance("20241231", NEW, OLD)), judged, of_company(first))
    folded = [one for one in after.findings if one.dismissed]
    assert [one.column for one in folded] == [1]
    assert (folded[0].reported, folded[0].expected) == (Decimal(1_210), Decimal(1_201))
    left = [one for one in after.findings if not one.dismissed]
    assert [one.column for one in left if one.check == first.check] == [0]
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
def test_another_figure_beside_a_new_break_is_shown(other: dict[str, Any]) -> None:
    (first, *_) = triage_filing(read(balance("20231231", OLD, SOUND))).findings
    after = triage_filing(read(other), None, of_company(first))
    assert {one.column for one in after.findings if not one.dismissed} == {0, 1}


@pytest.mark.parametrize(
    "again",
    [
        finding(end="20231231", labels=("Total assets", "Cash", "Goodwill"), row=4, column=1),
        finding(end="20231231", labels=("Total assets (1)", "Inventories")),
    ],
    ids=["another column", "other lines"],
)
def test_a_figure_is_recognised_by_line_day_and_amounts(again: Finding) -> None:
    known = finding(end="20231231")
    assert figure_key(again) == figure_key(known) is not None
    assert Dismissals.of([dismissal(known)]).find(again)
    for other in (
        replace(again, end="20221231"),
        replace(again, check="magnitude"),
        replace(again, statement="income"),
    ):
        assert figure_key(other) != figure_key(known)
    for less in (
        replace(again, end=None),
        replace(again, label=None),
        replace(again, reported=None),
        replace(again, expected=None),
    ):
        assert figure_key(less) is None


def test_a_break_of_unknown_size_is_looked_at_again() -> None:
    assert not dismissal(finding(None, 100)).covers(finding(None, 100))


def test_a_filer_is_recognised_by_its_letters() -> None:
    assert filer_key("Müller AG") != filer_key("Möller AG")
    assert filer_key("トヨタ自動車") != filer_key("ソニー") != ""
    assert filer_key("ACME Corp.") == filer_key("Acme  corp") == "acme corp"
    assert filer_key(None) == filer_key(" - ") == ""
    long = "trust " * 1_000
    assert len(filer_key(long)) == FILER_CHARACTERS
    assert filer_key(filer_key(long)) == filer_key(long) != filer_key(long + "two")


def of_company(*dismissed: Finding) -> Callable[[Finding], Dismissed | None]:
    return Dismissals.of(map(dismissal, dismissed)).find


@pytest.mark.parametrize("judged", [None, classifier(shown=0.05)], ids=["rules", "forest"])
def test_a_dismissed_finding_does_not_count(judged: BreakClassifier | None) -> None:
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
    assert Finding.of_json({**folded.to_json(), "end": folded.end}) == first


def test_a_dismissed_finding_hides_no_other_error_of_its_cell() -> None:
    one = finding()
    same_cell = finding(110, 105, confidence=0.7, check="magnitude")
    same_gap = finding(60, 50, confidence=0.6, row=4, check="same_amount")
    no_amount = finding(110, None, confidence=0.5, check="exceeds_total")
    surer = finding(60, 50, confidence=0.95, row=4, check="same_amount")
    folded, left = split_dismissed((), [one, same_cell, same_gap, no_amount], of_company(one))
    assert [f.check for f in folded] == ["balance_sheet_sums"]
    assert left == [same_cell]
    assert split_dismissed((), [one, surer], of_company(one))[1] == [surer]


def test_a_full_list_of_dismissed_ones_hides_nothing() -> None:
    others = [
        finding(110 + n, 100, row=n, label=f"Line {n}", labels=(f"Line {n}", "Cash"))
        for n in range(2 * MOST)
    ]
    last = finding(50, 10, row=99, check="magnitude", confidence=0.3)
    folded, left = split_dismissed((), [*others, last], of_company(*others))
    assert (len(folded), left) == (2 * MOST, [last])
