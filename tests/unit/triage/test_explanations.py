"""The explanation of a finding: its ledger, its repair, its cause and its evidence."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from services.triage.checks.classifier import BreakClassifier
from services.triage.checks.verdict import triage_filing
from services.triage.domain import Finding
from services.triage.explanations import Explanation, Ledger, Repair
from services.triage.history import PriorAmount, with_history
from services.triage.relations.message_format import money
from services.triage.statements.model import read_filings
from tests.support import ROOT, artefacts
from tests.unit.triage.filings import bent, find_row, millions, only, read, record, without

EXAMPLES = ROOT / "docs/tutorials/examples"


def examples() -> list[Finding]:
    """The findings of both reports of the tutorial, by the shipped classifier."""
    classifier = BreakClassifier.load(artefacts())
    files = (("balance-sheet.csv", "text/csv"), ("annual-report.json", "application/json"))
    return [
        finding
        for name, media_type in files
        for filing in read_filings((EXAMPLES / name).read_bytes(), media_type, name)
        for finding in triage_filing(filing, classifier).findings  # type: ignore[arg-type]
    ]


def mended(ledger: Ledger, repairs: tuple[Repair, ...]) -> Decimal:
    """The difference of a ledger with the repaired amounts."""
    places = {(one.statement, one.row, one.column): one for one in repairs if one.label}
    added = sum((one.expected for one in repairs if one.label is None), Decimal(0))
    total, *rows = (
        places[place].expected if (place := (cell.statement, cell.row, cell.column)) in places
        else row.value
        for row in (ledger.total, *ledger.rows)
        for cell in (row.cell,)
    )  # fmt: skip
    signs = (1 if row.sign == "+" else -1 for row in ledger.rows)
    return total - added - sum(s * v for s, v in zip(signs, rows, strict=True))


def test_the_reports_of_the_tutorial_have_their_ledgers() -> None:
    sheet, income = (finding.to_json() for finding in examples())
    ledger = income["ledger"]
    rows = [(row["label"], row["sign"], row["value"]) for row in ledger["rows"]]
    assert rows == [("Net sales", "+", 21_940_000), ("Cost of sales", "-", 14_210_000)]
    assert ledger["total"]["label"] == "Gross profit"
    assert ledger["total"]["period"] == {"end": "20241231", "quarters": 4}
    amounts = (ledger["sum"], ledger["stated"], ledger["difference"])
    assert amounts == (7_730_000, 7_370_000, -360_000)
    (repair,) = income["adds_up_if"]
    amounts = (repair["label"], repair["reported"], repair["expected"])
    assert amounts == ("Gross profit", 7_370_000, 7_730_000)
    assert income["likely_cause"]["code"] == "transposed"
    codes = [reason["code"] for reason in sheet["supports"]]
    assert codes == ["other_relation", "other_columns", "rounding"]
    assert sheet["ledger"]["total"]["place"]["cell"] == "B7"


BROKEN = {
    "transposed": bent("balance_sheet", "Total current assets", 1, 4509),
    "sign": bent("balance_sheet", "Goodwill", 0, -2116),
    "scale": bent("balance_sheet", "Accounts payable", 1, 1.795),
    "dropped_line": without("balance_sheet", "Goodwill"),
}


@pytest.mark.parametrize("cause", BROKEN)
def test_the_repair_mends_the_ledger_and_the_message_names_the_same_amounts(cause: str) -> None:
    finding = only(BROKEN[cause])
    explanation = finding.explanation
    assert explanation.ledger
    assert explanation.ledger.difference
    assert not mended(explanation.ledger, explanation.adds_up_if)
    assert explanation.likely_cause
    assert explanation.likely_cause.code == cause
    assert f"a difference of {money(explanation.ledger.difference)}." in finding.message
    assert f"Likeliest cause: {explanation.likely_cause.words}." in finding.message
    assert all(one.words in finding.message for one in (*explanation.supports, *explanation.doubts))


def test_exchanged_columns_are_mended_by_both_amounts() -> None:
    filing = record()
    part, index = find_row(filing, "balance_sheet", "Accounts receivable, net")
    part["rows"][index]["values"].reverse()
    explanation = only(filing).explanation
    amounts = [(one.column, one.reported, one.expected) for one in explanation.adds_up_if]
    assert amounts == [(0, millions(2466), millions(2719)), (1, millions(2719), millions(2466))]
    assert explanation.likely_cause
    assert explanation.likely_cause.code == "swapped"
    assert explanation.supports[0].code == "opposite_difference"


def test_a_stored_finding_keeps_its_explanation() -> None:
    finding = only(BROKEN["transposed"])
    stored = json.dumps({**finding.to_json(), "end": finding.end})
    assert Finding.of_json(json.loads(stored, parse_float=Decimal)).explanation == (
        finding.explanation
    )


def test_a_finding_that_was_stored_earlier_has_none() -> None:
    stored = {**only(BROKEN["sign"]).to_json(), "end": None}
    for name in ("ledger", "adds_up_if", "likely_cause", "supports", "doubts"):
        del stored[name]
    finding = Finding.of_json(stored)
    assert finding.explanation == Explanation()
    assert finding.to_json()["ledger"] is None


def test_an_earlier_filing_that_has_the_expected_amount_supports_a_finding() -> None:
    filing = read(BROKEN["transposed"])
    prior = PriorAmount.of(read(record()), "doc_0")
    prior = PriorAmount(prior.filing, "20221231", prior.shown, prior.document)
    (finding,) = with_history(filing, triage_filing(filing), [prior], 0.5).findings
    (earlier,) = [one for one in finding.explanation.supports if one.code == "earlier_filing"]
    assert earlier.words in finding.message
