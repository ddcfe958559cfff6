"""What an analyst dismissed with a reason is folded away next time, and only that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from services.triage.dismissals import Dismissal, filer_of, folded, relation_of
from services.triage.domain import Finding, NamedCell, Verdict
from services.triage.judgement import MOST
from shared.events import DocumentDeleted, FindingsFound, ReviewDecided
from tests.unit.triage.filings import bent
from tests.unit.triage.house import House

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
        *("mezzanine equity", "ada", NOON),
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
    assert dismissal(finding()).covers(again) is covered


def test_what_is_folded_away_counts_no_more() -> None:
    """It stays, marked; risk and flag are those of what is left."""
    other = finding(50, 10, check="magnitude", confidence=0.3)
    verdict = Verdict("f1", True, 0.9, (finding(), other))
    left = folded(verdict, [dismissal(finding())], 0.5)
    assert [one.dismissed is not None for one in left.findings] == [True, False]
    assert (left.risk, left.flagged) == (0.3, False)
    assert folded(verdict, [], 0.5) is verdict
    alone = folded(replace(verdict, findings=(finding(),)), [dismissal(finding())], 0.5)
    assert (alone.risk, alone.flagged) == (0.0, False)
    marked = left.findings[0]
    assert Finding.of_json(marked.to_json()) == marked


def test_a_break_of_unknown_size_is_looked_at_again() -> None:
    """Neither amount tells whether it is the same kind of break."""
    assert not dismissal(finding(None, 100)).covers(finding(None, 100))


def test_where_the_list_is_full_others_may_be_as_likely() -> None:
    """What was left out of it is not known here, so that all shown are dismissed clears nothing."""
    verdict = Verdict("f1", True, 0.9, (finding(),) * MOST)
    left = folded(verdict, [dismissal(finding())], 0.5)
    assert all(one.dismissed for one in left.findings)
    assert (left.risk, left.flagged) == (0.9, True)


def test_a_filer_is_told_by_its_letters() -> None:
    """However it is written, in whatever script; nobody is not a filer."""
    assert filer_of("Müller AG") != filer_of("Möller AG")
    assert filer_of("トヨタ自動車") != filer_of("ソニー") != ""
    assert filer_of("ACME Corp.") == filer_of("Acme  corp") == "acme corp"
    assert filer_of(None) == filer_of(" - ") == ""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Triage with everything real."""
    house = House(tmp_path)
    yield house
    house.service.close()


def wrong(millions: float = 4509, **more: Any) -> dict[str, Any]:
    """A filing with one wrong total."""
    return {**bent("balance_sheet", "Total current assets", 1, millions), **more}


def decided(item: dict[str, Any], verdict: Any, note: str | None) -> ReviewDecided:
    """What review says of a decision about a finding of the first document."""
    return ReviewDecided(
        document_id="doc_1",
        actor="ada",
        item_id="it_1",
        stage="triage",
        result_id=item["id"],
        decision_id="de_1",
        verdict=verdict,
        note=note,
    )


def found(house: House, document: str) -> dict[str, Any]:
    """What triage answers."""
    body: dict[str, Any] = house.client.get(FINDINGS.format(document)).json()
    return body


def test_a_dismissal_is_remembered_until_it_is_undone(house: House) -> None:
    """With the reason, for the next report of that filer, and visibly."""
    house.say(house.read("doc_1", wrong()))
    (item,) = found(house, "doc_1")["items"]
    assert item["dismissed"] is None
    house.say(decided(item, "reject", "a lawful presentation"))
    house.say(house.read("doc_2", wrong(id="next")))
    body = found(house, "doc_2")
    (again,) = body["items"]
    assert (again["dismissed"]["reason"], again["dismissed"]["by"]) == (
        "a lawful presentation",
        "ada",
    )
    assert (body["flagged"], body["risk"]) == (False, 0.0)
    (*_, event) = house.heard(FindingsFound)
    assert (event.flagged, event.count) == (False, 1)

    house.say(house.read("doc_3", wrong(id="other", company="Another Corp")))
    assert found(house, "doc_3")["flagged"]
    house.say(house.read("doc_4", wrong(1200, id="far")))
    assert all(one["dismissed"] is None for one in found(house, "doc_4")["items"])

    house.say(decided(item, "undo", None))
    house.say(house.read("doc_5", wrong(id="fifth")))
    assert found(house, "doc_5")["flagged"]


@pytest.mark.parametrize(("verdict", "note"), [("reject", None), ("reject", " "), ("accept", "so")])
def test_without_a_reason_nothing_is_dismissed(
    house: House, verdict: str, note: str | None
) -> None:
    """Nor by accepting, nor where the report names no company."""
    house.say(house.read("doc_1", wrong()))
    house.say(decided(found(house, "doc_1")["items"][0], verdict, note))
    house.say(house.read("doc_2", wrong(id="next")))
    assert found(house, "doc_2")["flagged"]


def test_a_report_without_a_company_dismisses_nothing(house: House) -> None:
    """Nobody's relation is everybody's."""
    house.say(house.read("doc_1", wrong(company=None)))
    house.say(decided(found(house, "doc_1")["items"][0], "reject", "so"))
    house.say(house.read("doc_2", wrong(company=None, id="next")))
    assert found(house, "doc_2")["flagged"]


def test_a_dismissal_goes_with_its_document(house: House) -> None:
    """Its reason is somebody's words about what is deleted."""
    house.say(house.read("doc_1", wrong()))
    house.say(decided(found(house, "doc_1")["items"][0], "reject", "so"))
    house.say(DocumentDeleted(document_id="doc_1"))
    house.say(house.read("doc_2", wrong(id="next")))
    assert found(house, "doc_2")["flagged"]
