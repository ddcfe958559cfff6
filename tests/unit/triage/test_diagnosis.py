"""Which familiar slip turns one amount into another."""

from __future__ import annotations

from decimal import Decimal

import pytest

from services.triage.diagnosis import diagnose, likeliest_cause
from services.triage.identities import REGISTRY
from services.triage.relations import Cell, sheets
from tests.unit.triage.filings import bent, read, record

CELL = Cell(0, 6, 0)


@pytest.mark.parametrize(
    ("reported", "expected", "cause"),
    [
        (-759, 759, "sign"),
        (2, 2814, "scale"),
        (42_159_000, 42_159, "scale"),
        (4509, 4590, "transposed"),
        (4517, 4597, "digit"),
        (4509, 45090, "unexplained"),
        (0, 12, "unexplained"),
        (4500, 4613, "unexplained"),
        (99, 2116, "swapped"),
    ],
)
def test_a_slip_is_told_by_its_mark(reported: float, expected: float, cause: str) -> None:
    """Sign, scale, exchanged digits, one digit and the other column's amount are told apart."""
    sheet = sheets(read(record()))[0]
    amounts = [Decimal(str(value)) * 1_000_000 for value in (reported, expected)]
    assert likeliest_cause(sheet, CELL, amounts[0], amounts[1]) == cause


def test_a_total_in_two_relations_is_blamed_rather_than_a_part() -> None:
    """The cell that mends two relations is likelier than one that mends one and harms another."""
    pages = sheets(read(bent("balance_sheet", "Total current assets", 1, 4509)))
    equations = [e for check in REGISTRY.values() for e in check(pages)]
    (found,) = diagnose(pages, equations)
    assert pages[0].rows[found.cell.row].label == "Total current assets"
    assert len(found.mends) == 2
    assert found.harms == 0


def test_nothing_broken_is_nothing_to_explain() -> None:
    """A sound filing has relations in every statement, and all of them hold."""
    pages = sheets(read(record()))
    equations = [e for check in REGISTRY.values() for e in check(pages)]
    assert {e.check for e in equations} >= {
        "balance_equation",
        "balance_sheet_sums",
        "income_sums",
        "cash_flow_sums",
        "cash_flow_change",
        "cash_roll_forward",
        "cash_between_periods",
        "cash_agrees",
        "net_income_agrees",
    }
    assert all(e.holds for e in equations)
    assert not diagnose(pages, equations)
