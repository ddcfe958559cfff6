"""Which side of a correction was wrong, and whether a page shows it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from models.triage_breaks.corrected import (
    Revised,
    contradicted,
    names,
    pairs,
    revised,
    wrong_on_the_page,
)
from models.triage_breaks.corrections import CONTRADICTED, of_corrections
from services.triage.domain import Finding
from services.triage.relations.relations import Cell

Record = dict[str, Any]


def filing(name: str, *lines: tuple[str, float], cik: int = 1, end: str = "20091231") -> Record:
    """A balance sheet of one day: concepts and what the page shows."""
    rows = [{"label": concept, "concept": concept, "values": [v]} for concept, v in lines]
    sheet = {"statement": "balance_sheet", "columns": [{"end": end, "quarters": 0}], "rows": rows}
    return {"id": name, "cik": cik, "company": "A", "form": "10-Q", "period": end,
            "statements": [sheet]}  # fmt: skip


def revision(kind: str, concept: str, first: float, later: float, unit: str = "USD") -> Record:
    """A fact of filings a and b."""
    return {"kind": kind, "company": "A", "cik": 1, "concept": concept, "end": "20091231",
            "quarters": 0, "unit": unit, "value_first": first, "value_later": later,
            "first": {"accession": "a"}, "later": {"accession": "b"}}  # fmt: skip


def decided(tmp_path: Path, rows: Sequence[Record], *filings: Record) -> list[tuple[str, str]]:
    """Side and where it is seen, of each row."""
    (tmp_path / "revisions.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    known = {one["id"]: one for one in filings}
    return [(one.wrong, one.seen) for one in revised(tmp_path, known)]


STOCK = "TreasuryStockValue"


def test_a_sign_of_the_tag_alone_is_no_error_of_the_page(tmp_path: Path) -> None:
    rows = [revision("sign_flip", STOCK, -50, 50)]
    assert decided(tmp_path, rows, filing("a", (STOCK, -50)), filing("b", (STOCK, -50))) == [
        ("first", "tag")
    ]


def test_a_sign_that_the_other_page_shows_otherwise_is_wrong_on_the_page(tmp_path: Path) -> None:
    rows = [revision("sign_flip", STOCK, 50, -50)]
    pages = filing("a", (STOCK, -50)), filing("b", (STOCK, 50))
    assert decided(tmp_path, rows, *pages) == [("later", "page")]
    wrong = wrong_on_the_page(tmp_path, {one["id"]: one for one in pages})
    assert [one.cells for one in wrong["b"]] == [(Cell(0, 0, 0),)]
    assert list(wrong) == ["b"]


@pytest.mark.parametrize(("shown", "side"), [(-7, "later"), (7, "first")])
def test_of_other_concepts_the_pages_decide(tmp_path: Path, shown: int, side: str) -> None:
    rows = [revision("sign_flip", "AccumulatedOtherComprehensiveIncome", -7, 7)]
    pages = [filing(n, ("AccumulatedOtherComprehensiveIncome", shown)) for n in "ab"]
    assert decided(tmp_path, rows, *pages) == [(side, "tag")]


def test_another_amount_is_a_restatement_and_another_kind_is_left_out(tmp_path: Path) -> None:
    rows = [revision("sign_flip", "EPS", 0.08, -0.12), revision("changed", "EPS", 1, 2)]
    assert decided(tmp_path, rows, filing("a", ("EPS", 0.08))) == [("neither", "restated")]


def test_a_third_filing_tells_which_is_a_thousand_times_off(tmp_path: Path) -> None:
    rows = [revision("scale_1000x", "Assets", 9_000, 9), revision("scale_1000x", "Cash", 4_000, 4)]
    pages = (
        filing("a", ("Assets", 9_000), ("Cash", 4_000)),
        filing("b", ("Assets", 9), ("Cash", 4)),
        filing("c", ("Assets", 9_000)),
    )
    assert decided(tmp_path, rows, *pages) == [("later", "page"), ("later", "page")]
    assert decided(tmp_path, rows[1:], *pages) == [("unknown", "tag")]


def test_an_impossible_number_of_shares_is_wrong_and_mostly_on_no_page(tmp_path: Path) -> None:
    rows = [revision("scale_1000x", "Shares", 1_669, 1_669_000_000, "shares")]
    assert decided(tmp_path, rows, filing("a"), filing("b")) == [("first", "nowhere")]


def test_errors_that_a_reader_found_are_of_the_page(tmp_path: Path) -> None:
    (tmp_path / CONTRADICTED).write_text("b = [[0, 1, 2], [0, 1, 3]]\n")
    found = contradicted(tmp_path)
    assert [(fact.seen, fact.cells) for fact in found["b"]] == [
        ("page", (Cell(0, 1, 2),)),
        ("page", (Cell(0, 1, 3),)),
    ]


def finding(check: str, row: int | None, column: int | None, **more: Any) -> Finding:
    """One about the balance sheet."""
    return Finding(check, "high", 0.9, "balance_sheet", column, row, (), None, None, None, "",
                   **more)  # fmt: skip


def test_a_finding_names_the_error_by_its_place() -> None:
    one = filing("a", ("Assets", 9), ("Cash", 4))
    fact = Revised({}, "first", "", "page", (Cell(0, 1, 0),))
    assert names(one, finding("balance_sheet_sums", 1, 0), [fact])
    assert not names(one, finding("balance_sheet_sums", 0, 0), [fact])
    assert not names(one, finding("balance_sheet_sums", 1, 1), [fact])
    assert not names(one, finding("implied_shares", None, None), [fact])
    assert names(one, finding("implied_shares", None, None), [fact] * 8)


def test_findings_at_the_place_of_a_corrected_error_are_counted(tmp_path: Path) -> None:
    del tmp_path

    def judged(flagged: bool, *named: str) -> Record:
        return {"risk": 0.9, "flagged": flagged, "checks": [*named], "named_by": [*named]}

    known = {
        "pairs": pairs([Revised(revision("sign_flip", STOCK, -5, 5), "first", "why", "page")]),
        "filings": [
            {"company": "A", "filing": name, "form": "10-Q", "facts": 1, "alone": alone,
             "earlier_filings": 0, "with_earlier": None, "surest_doubt": ["sign", 0.2],
             "differs": False}
            for name, alone in (("a", judged(True, "implied_shares")), ("c", judged(True, "gap")),
                                ("d", judged(True)))
        ],
    }  # fmt: skip
    predicted = [
        {"id": name, "type": None, "set": part, "risk": 0.95}
        for name, part in (*((name, "corrected") for name in "acd"), ("e", "own"))
    ]
    counts = of_corrections(known, predicted, 0.9)
    assert [one["learned"] for one in counts["filings"]] == [[], ["gap"], []]
    assert counts["companies"]["A"] == {
        "page": 1, "filings": 3, "learned": 1, "shipped": 2, "beside": 2
    }  # fmt: skip
    assert counts["apart"] == 3
    assert of_corrections({}, predicted, 0.9) == {}
