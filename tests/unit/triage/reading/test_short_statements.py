"""Statements of a few lines are read if they have a title, periods and usual lines alone."""

from __future__ import annotations

import io
from functools import cache

import pytest
from reportlab.pdfgen.canvas import Canvas

from services.triage.concepts.linear import LinearLabeller
from services.triage.reading.reader import ReadStatement, find_statements
from services.triage.statements.model import Column
from shared.documents import read
from tests.support import artefacts
from tests.unit.triage.reading.samples import INCOME

Lines = tuple[tuple[str, ...], ...]

SHEET: Lines = (
    ("Cash", "40", "30"),
    ("Total assets", "600", "500"),
    ("Long-term debt", "150", "120"),
    ("Total liabilities and equity", "600", "500"),
)
PROFIT: Lines = (
    ("Revenue", "1,500", "1,250"),
    ("Cost of revenue", "900", "800"),
    ("Income taxes", "110", "90"),
    ("Net income", "490", "360"),
)
FLOWS: Lines = (
    ("Net cash provided by operating activities", "540", "450"),
    ("Net cash used in financing activities", "(530)", "(440)"),
    ("Net increase in cash", "10", "10"),
    ("Cash at end of year", "40", "30"),
)
LONG: Lines = tuple((label, one, two) for label, one, two in INCOME if one)
TITLES = {
    "balance_sheet": "CONSOLIDATED BALANCE SHEETS (In millions, except share data)",
    "income": "Statements of Income (Unaudited)",
    "cash_flow": "Example Corp Condensed Statements of Cash Flows",
}
SHORT = {"balance_sheet": SHEET, "income": PROFIT, "cash_flow": FLOWS}
YEARS = ("", "2023", "2022")


@cache
def labeller() -> LinearLabeller:
    return LinearLabeller.load(artefacts())


def found(data: bytes, name: str, *, labelled: bool = True) -> dict[str, ReadStatement]:
    usual_lines = labeller().usual_lines if labelled else None
    return {s.kind: s for s in find_statements(read(data, name=name), usual_lines).statements}


def text(title: str, lines: Lines, years: tuple[str, ...] = YEARS) -> bytes:
    rows = [
        f"{line[0]:<50}" + "".join(f"{cell:>14}" for cell in line[1:]) for line in (years, *lines)
    ]
    return "\n".join(["Example Corp", title, "(in millions)", "", *rows, "", ""]).encode()


def html(title: str, lines: Lines) -> bytes:
    rows = "".join(
        f"<tr>{''.join(f'<td>{cell}</td>' for cell in line)}</tr>" for line in (YEARS, *lines)
    )
    return f"<p>{title}</p><p>(in millions)</p><table>{rows}</table>".encode()


def pdf(title: str, lines: Lines) -> bytes:
    out = io.BytesIO()
    page = Canvas(out, pagesize=(612, 792))
    page.setFont("Helvetica", 9)
    page.drawCentredString(306, 740, title)
    page.drawCentredString(306, 728, "(in millions)")
    for number, (label, *figures) in enumerate((YEARS, *lines)):
        page.drawString(40, 710 - 12 * number, label)
        for right, figure in zip((450, 550), figures, strict=True):
            page.drawRightString(right, 710 - 12 * number, figure)
    page.save()
    return out.getvalue()


@pytest.mark.parametrize("name", ["a.txt", "a.html", "a.pdf"])
@pytest.mark.parametrize("kind", SHORT)
def test_four_lines_under_a_title_are_a_statement(kind: str, name: str) -> None:
    make = {"a.txt": text, "a.html": html, "a.pdf": pdf}[name]
    statements = found(make(TITLES[kind], SHORT[kind]), name)
    assert set(statements) == {kind}
    assert [column.end for column in statements[kind].columns] == ["20231231", "20221231"]
    assert [row.row.label for row in statements[kind].rows] == [line[0] for line in SHORT[kind]]


@pytest.mark.parametrize("name", ["a.txt", "a.html"])
def test_each_kind_is_judged_apart(name: str) -> None:
    make = text if name == "a.txt" else html
    data = make("STATEMENTS OF OPERATIONS", LONG) + make(TITLES["balance_sheet"], SHEET)
    statements = found(data + make(TITLES["cash_flow"], FLOWS), name)
    assert {kind: len(s.rows) for kind, s in statements.items()} == {
        "income": len(LONG), "balance_sheet": 4, "cash_flow": 4,
    }  # fmt: skip


@pytest.mark.parametrize(
    "title",
    [
        "Balance Sheet Components",
        "Amounts Recognized in the Consolidated Balance Sheets",
        "Selected balance sheets",
        "Consolidated Balance Sheet Data",
        "The balance sheet of the joint venture was as follows",
        "Condensed Consolidating Balance Sheets",
        "Balance Sheet (Parent Company)",
        "Assets and liabilities",
    ],
)
def test_a_table_in_a_note_is_no_statement(title: str) -> None:
    assert not found(text(title, SHEET), "a.txt")


@pytest.mark.parametrize(
    "lines",
    [
        SHEET[:3],
        (*SHEET, ("North America", "7", "8")),
        tuple(line for line in SHEET if not line[0].startswith("Total")) * 2,
    ],
    ids=["three lines", "an unusual line", "no total"],
)
def test_other_lines_are_no_short_statement(lines: Lines) -> None:
    assert not found(text(TITLES["balance_sheet"], lines), "a.txt")


@pytest.mark.parametrize("years", [("", "2023", "2023"), ("", "This", "That")])
def test_columns_without_a_period_are_no_short_statement(years: tuple[str, ...]) -> None:
    assert not found(text(TITLES["balance_sheet"], SHEET, years), "a.txt")


def test_a_short_statement_far_from_the_others_is_in_a_note() -> None:
    income = html("STATEMENTS OF OPERATIONS", LONG)
    notes = html("Purchase commitments", (("Oil", "1", "2"), ("Gas", "3", "4"))) * 8
    sheet = html(TITLES["balance_sheet"], SHEET)
    assert set(found(income + sheet + notes, "a.html")) == {"income", "balance_sheet"}
    assert set(found(income + notes + sheet, "a.html")) == {"income"}


def test_without_the_model_few_lines_are_usual() -> None:
    assert not found(text(TITLES["balance_sheet"], SHEET), "a.txt", labelled=False)
    sheet = (*SHEET[1:2], ("Total liabilities", "150", "120"), ("Total equity", "450", "380"),
             *SHEET[3:])  # fmt: skip
    (statement,) = found(text(TITLES["balance_sheet"], sheet), "a.txt", labelled=False).values()
    assert statement.columns[0] == Column("20231231", 0)
