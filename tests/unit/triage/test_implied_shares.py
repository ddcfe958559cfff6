"""Net income and earnings per share refute a wrong unit."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from services.triage.checks.classifier import BreakClassifier
from services.triage.checks.implied_shares import CONFIDENCE, unit_findings
from services.triage.checks.verdict import triage_filing
from services.triage.domain import Finding
from services.triage.relations.relations import StatementView, statement_views
from services.triage.routing.risk_control import RiskGuarantee, route_findings
from tests.support import ROOT
from tests.unit.triage.filings import Record, find_row, read, record, verdict


def in_unit(power: int, columns: tuple[int, ...] = (0, 1, 2)) -> Record:
    filing = record()
    for statement in filing["statements"]:
        for line in statement["rows"]:
            if "per share" not in line["label"]:
                line["values"] = [
                    value
                    if value is None or c not in columns
                    else int(value * Decimal(10) ** power)
                    for c, value in enumerate(line["values"])
                ]
    return filing


def found(filing: Record) -> list[Finding]:
    return list(unit_findings(statement_views(read(filing))))


def test_a_filing_in_the_wrong_unit_throughout_is_found_though_it_adds_up() -> None:
    (finding,) = verdict(in_unit(-6)).findings
    assert finding.check == "implied_shares"
    assert (finding.statement, finding.row, finding.column) == ("income", None, None)
    assert "'Net income' (2023-12-31) is 1,189 and 'Basic earnings per share'" in finding.message
    assert "515 shares: no company has so few. In every column" in finding.message
    assert "1,000,000 times too small: corrected, they imply 514,718,615 shares" in finding.message
    assert "Total assets are 14,382." in finding.message
    assert (finding.reported, finding.expected) == (Decimal(1_189), Decimal(1_189_000_000))
    assert {cell.label for cell in finding.cells} == {"Net income", "Basic earnings per share"}
    assert verdict(in_unit(-6)).risk == CONFIDENCE


def test_one_column_alone_is_named() -> None:
    (finding,) = found(in_unit(-6, columns=(1,)))
    assert finding.column == 1
    assert "In 1 of 3 columns" in finding.message


@pytest.mark.parametrize("power", [0, -3, 3])
def test_what_some_company_may_have_is_no_finding(power: int) -> None:
    assert found(in_unit(power)) == []


def test_too_large_amounts_are_found_too() -> None:
    (finding,) = found(in_unit(6))
    assert "no company has so many" in finding.message
    assert "10,000,000,000" not in finding.message
    assert "times too large" in finding.message


def test_a_company_of_few_shares_earns_much_on_each() -> None:
    few = in_unit(-6)
    part, row = find_row(few, "income", "Basic earnings per share")
    part["rows"][row]["values"] = [231.0, 201.0, 172.0]
    assert found(few) == []
    part["rows"][row] |= {"label": "Dividends declared per share", "values": [0.5, 0.5, 0.4]}
    assert found(few) == []
    del part["rows"][row]
    assert found(few) == []


@pytest.mark.parametrize(("loss", "each", "doubted"), [(-900, -0.01, 0), (-2400, -0.03, 1)])
def test_a_cent_is_what_rounding_makes_of_less(loss: int, each: float, doubted: int) -> None:
    shell = record()
    for label, value in (("Net income", loss), ("Basic earnings per share", each)):
        part, row = find_row(shell, "income", label)
        part["rows"][row]["values"] = [value] * 3
    assert len(found(shell)) == doubted


def test_one_usual_pair_is_enough_to_be_quiet() -> None:
    filing = in_unit(-6)
    part, _ = find_row(filing, "income", "Net income")
    label = "Discontinued operations per share"
    part["rows"].append({"label": label, "values": [0.001] * 3, "unit": "USD"})
    assert found(filing) == []


def test_it_flags_beside_what_was_learned_and_a_person_always_looks() -> None:
    classifier = BreakClassifier.load(Path(ROOT) / "models" / "artefacts")
    result = triage_filing(read(in_unit(-6)), classifier)
    assert result.flagged
    first = result.findings[0]
    lax = RiskGuarantee(0.2, 0.95, 0.5, threshold=0.01, companies=300)
    route = "review" if first.check == "implied_shares" else "accept"
    assert route_findings(result, lax)[0] == route
    assert "implied_shares" in {finding.check for finding in result.findings}


def test_many_lines_of_the_same_label_are_no_work() -> None:
    lines = 300
    filing = {
        "id": "many",
        "statements": [
            {
                "statement": "income",
                "columns": [{"end": "20201231", "quarters": 4}] * 8,
                "rows": [
                    {"label": label, "values": [value] * 8}
                    for label, value in (("Net income", 100), ("Earnings per share", 0.5))
                    for _ in range(lines)
                ],
            }
        ],
    }
    pages = statement_views(read(filing))
    looked = Counter[str]()

    def value(sheet: StatementView, row: int, column: int) -> Decimal | None:
        looked["cells"] += 1
        return sheet.rows[row].values[column]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(StatementView, "value", value)
        (finding,) = unit_findings(pages)
    assert "200 shares" in finding.message
    assert looked["cells"] == 8 * 2 * lines
