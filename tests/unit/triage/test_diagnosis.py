"""Which familiar slip turns one amount into another."""

from __future__ import annotations

from decimal import Decimal

import pytest

from services.triage.checks.diagnosis import CAUSES, Diagnosis, cause_of, diagnose, likeliest_cause
from services.triage.relations.identities import REGISTRY
from services.triage.relations.relations import Cell, Equation, StatementView, statement_views
from services.triage.statements.model import Column, Filing, Row, Statement
from tests.unit.triage.filings import bent, read, record

CELL = Cell(0, 6, 0)


def wide(columns: int) -> Filing:
    """A balance sheet of so many columns, and none of them balances."""
    ends = tuple(Column(end=f"{1900 + c}1231", quarters=0) for c in range(columns))
    amounts = [Decimal(1000 * (c + 1)) for c in range(columns)]
    rows = (
        Row("Total assets", tuple(amounts)),
        Row("Total liabilities and equity", tuple(amount + 123 for amount in amounts)),
    )
    return Filing("wide", None, None, None, (Statement("balance_sheet", ends, rows),), ())


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
def test_a_slip_is_recognised_by_its_mark(reported: float, expected: float, cause: str) -> None:
    sheet = statement_views(read(record()))[0]
    amounts = [Decimal(str(value)) * 1_000_000 for value in (reported, expected)]
    assert likeliest_cause(sheet, CELL, amounts[0], amounts[1]) == cause


def test_a_total_in_two_relations_is_blamed_rather_than_a_part() -> None:
    pages = statement_views(read(bent("balance_sheet", "Total current assets", 1, 4509)))
    equations = [e for check in REGISTRY.values() for e in check(pages)]
    (found,) = diagnose(pages, equations)
    assert pages[0].rows[found.cell.row].label == "Total current assets"
    assert len(found.mends) == 2
    assert found.harms == 0


def test_nothing_broken_is_nothing_to_explain() -> None:
    pages = statement_views(read(record()))
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


def test_breaks_that_share_no_cell_are_each_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Cell] = []

    def cause(_: StatementView, cell: Cell, *amounts: Decimal) -> str:
        asked.append(cell)
        return likeliest_cause(_, cell, *amounts)

    monkeypatch.setattr("services.triage.checks.diagnosis.likeliest_cause", cause)
    (page,) = statement_views(wide(100))
    relations = REGISTRY["balance_equation"]([page])
    found = diagnose([page], relations)
    assert sorted(d.cell.column for d in found) == list(range(100))
    assert len(asked) == 200, "total assets, and liabilities and equity, of each column"


def _two_columns(
    parts: tuple[int, int], others: tuple[int, int], totals: tuple[int, int]
) -> StatementView:
    lines = (("A", parts), ("B", others), ("Total assets", totals))
    rows = [{"label": label, "values": list(values)} for label, values in lines]
    columns = [{"end": "20231231"}, {"end": "20221231"}]
    statement = {"statement": "balance_sheet", "columns": columns, "rows": rows}
    return statement_views(read({"id": "f", "statements": [statement]}))[0]


@pytest.mark.parametrize(
    ("parts", "others", "totals", "words"),
    [
        ((900, 700), (300, 100), (1000, 1000), "are swapped"),
        ((900, 700), (300, 100), (1000, 800), "one digit differs"),
        ((8500, 8050), (300, 100), (8350, 8600), "(digits 2 and 3)"),
        ((8500, 8050), (300, 100), (8350, 8150), "(digits 2 and 3)"),
    ],
)
def test_columns_are_exchanged_only_where_that_breaks_nothing(
    parts: tuple[int, int], others: tuple[int, int], totals: tuple[int, int], words: str
) -> None:
    sheet = _two_columns(parts, others, totals)
    residual = Decimal(totals[0] - parts[0] - others[0])
    terms = ((Cell(0, 2, 0), 1), (Cell(0, 0, 0), -1), (Cell(0, 1, 0), -1))
    equation = Equation("balance_sheet_sums", terms, residual, Decimal(0), 1)
    cell, reported, expected = Cell(0, 0, 0), Decimal(parts[0]), parts[0] + residual
    cause = likeliest_cause(sheet, cell, reported, expected)
    assert cause == "swapped"
    likely = cause_of(sheet, Diagnosis(cell, reported, expected, cause, (equation,), 0))
    assert words in (likely.words if likely else CAUSES["unexplained"])
