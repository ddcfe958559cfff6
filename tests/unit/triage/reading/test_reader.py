"""The same statement is read from every format, with the position of each cell."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal

import pytest

from services.triage.reading.reader import ReadStatement, find_statements
from services.triage.statements.model import Column, Filing, read_filings
from shared.documents import ParsedDocument, read
from shared.documents.model.formats import JSON
from tests.unit.triage.reading import samples

MAKERS: dict[str, Callable[[], bytes]] = {
    "a.html": samples.html,
    "a.xlsx": samples.workbook,
    "a.txt": samples.plain,
    "a.pdf": samples.pdf,
}
MILLION = 10**6


def of(data: bytes, name: str) -> tuple[ParsedDocument, tuple[ReadStatement, ...]]:
    reading = read(data, name=name)
    return reading, find_statements(reading).statements


def only(data: bytes, name: str) -> ReadStatement:
    (statement,) = of(data, name)[1]
    return statement


def values(statement: ReadStatement, label: str, nth: int = 0) -> list[int | float | None]:
    rows = [row.row for row in statement.rows if row.row.label == label and not row.row.heading]
    return [None if value is None else float(value) for value in rows[nth].values]


@pytest.mark.parametrize("name", MAKERS)
def test_every_format_gives_the_same_statement_with_the_place_of_each_cell(name: str) -> None:
    reading, (statement,) = of(MAKERS[name](), name)

    assert statement.kind == "income"
    assert statement.columns == (Column("20230630", 4), Column("20220630", 4))
    assert statement.scale == MILLION
    assert values(statement, "Products") == [1200 * MILLION, 1000 * MILLION]
    assert values(statement, "Cost of revenue") == [900 * MILLION, -800 * MILLION]
    assert values(statement, "Other expense, net") == [-50 * MILLION, 0]
    assert values(statement, "Net income") == [440 * MILLION, 360 * MILLION]
    assert values(statement, "Basic", 0) == [2.20, 1.80]
    assert values(statement, "Basic", 1) == [200 * MILLION, 200 * MILLION]
    assert [row.row.label for row in statement.rows if row.row.heading] == [
        "Revenue:",
        "Earnings per share:",
        "Weighted average shares outstanding:",
    ]
    assert statement.rows[-1].path == ("Weighted average shares outstanding",)
    places = next(row.positions for row in statement.rows if row.row.label == "Total revenue")
    shown = [reading.text[place.start : place.end] for place in places if place]
    assert [digits.replace(",", "") for digits in shown] == ["1500", "1250"]


def test_a_place_is_named_as_its_format_names_it() -> None:
    sheet = only(samples.workbook(), "a.xlsx").rows
    page = only(samples.pdf(), "a.pdf").rows
    total = next(row for row in sheet if row.row.label == "Total revenue").positions[1]
    box = next(row for row in page if row.row.label == "Total revenue").positions[1]
    assert total
    assert total.cell == "'S1'!C6"
    assert box
    assert box.box
    assert box.box.x1 == pytest.approx(550, abs=1.5)


def test_a_footnote_mark_is_no_part_of_the_label() -> None:
    rows = only(samples.html(), "a.html").rows
    (row,) = [row for row in rows if row.row.label == "Provision for income taxes"]
    assert row.marks == ("(1)",)


def test_a_label_that_a_page_breaks_is_one_line() -> None:
    statement = only(samples.pdf(broken_label=True), "a.pdf")
    label = "Income from all that the company does in the world before income taxes"
    assert values(statement, label) == [550 * MILLION, 450 * MILLION]


@pytest.mark.parametrize("make", [samples.pdf, samples.plain])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Treasury stock, 697 shares at June 30, 2023 and", "June 30, 2022"),
        ("Common stock, $0.01 par value, 900 authorized;", "462 and 475 shares issued"),
        ("Receivables, net of allowances of $2 and $3, at", "June 30, 2023 and 2022"),
    ],
)
def test_a_label_that_is_broken_before_a_number_or_a_day_is_one_line(
    make: Callable[[samples.Table], bytes], first: str, second: str
) -> None:
    broken = ((first, "", ""), (second, "17", "16"))
    name = "a.pdf" if make is samples.pdf else "a.txt"
    (statement,) = of(make((*samples.INCOME[:4], *broken, *samples.INCOME[4:])), name)[1]
    assert values(statement, f"{first} {second}") == [17 * MILLION, 16 * MILLION]


def test_a_heading_is_no_beginning_of_the_line_below() -> None:
    rows = (*samples.INCOME[:4], ("Paid at", "", ""), *samples.INCOME[4:])
    statement = only(samples.pdf(rows), "a.pdf")
    assert "Paid at" in [row.row.label for row in statement.rows if row.row.heading]
    assert values(statement, "Cost of revenue") == [900 * MILLION, -800 * MILLION]


def test_indents_are_the_path_of_a_line() -> None:
    page = b"""BALANCE SHEETS
                                   June 30, 2023    June 30, 2022
Assets:
  Current assets:
    Cash                                      40               30
    Accounts receivable                       60               70
    Total current assets                     100              100
  Property                                   500              400
  Total assets                               600              500
Liabilities:
  Accounts payable                           150              120
  Total liabilities                          150              120
Retained earnings                            450              380
"""

    rows = {row.row.label: row for row in only(page, "a.txt").rows}

    assert rows["Cash"].path == ("Assets", "Current assets")
    assert rows["Property"].path == ("Assets",)
    assert rows["Accounts payable"].path == ("Liabilities",)
    assert rows["Retained earnings"].path == ()
    assert [rows[label].indent for label in ("Assets:", "Property", "Cash")] == [0, 1, 2]


def test_a_line_that_is_set_back_is_under_no_heading_any_more() -> None:
    page = b"""STATEMENTS OF INCOME (In millions)
                                   Year ended June 30,
                                           2023             2022
Revenues                                  1,200            1,000
Costs and expenses:
  Cost of sales                             700              600
  Selling expenses                          100              100
Provision for income taxes                   40               30
Net income                                  360              270
Earnings per share:
  Continuing operations                    1.70             1.30
Net income                                 1.80             1.35
Dividends                                   .20              .15
The notes are a part of this statement.
"""

    rows = only(page, "a.txt").rows

    assert [row.path for row in rows if row.row.label == "Provision for income taxes"] == [()]
    paths = [row.path for row in rows if row.row.label == "Net income"]
    assert paths == [(), ("Earnings per share",)]
    assert rows[-1].row.label == "Dividends"


def test_a_statement_has_its_title() -> None:
    assert only(samples.html(), "a.html").title == "CONSOLIDATED STATEMENTS OF OPERATIONS"
    assert only(samples.pdf(), "a.pdf").title == "CONSOLIDATED STATEMENTS OF OPERATIONS"


def test_three_statements_of_one_text_are_separated() -> None:
    income = samples.plain()
    balance = samples.plain(samples.BALANCE, "CONSOLIDATED BALANCE SHEETS\n(In millions)")
    cash = samples.plain(samples.CASH, "CONSOLIDATED STATEMENTS OF CASH FLOWS\n(In millions)")
    _, statements = of(b"\n\n\n".join((balance, income, cash)), "a.txt")
    assert [s.kind for s in statements] == ["balance_sheet", "income", "cash_flow"]
    assert values(statements[0], "Total assets") == [600 * MILLION, 500 * MILLION]
    assert statements[0].columns == (Column("20230630", 0), Column("20220630", 0))
    assert values(statements[2], "Dividends paid") == [-330 * MILLION, -290 * MILLION]


def test_a_figure_right_behind_a_long_label_is_read() -> None:
    rows = (
        ("Cash and cash equivalents", "120", "110"),
        ("Accounts receivable", "80", "90"),
        ("Total current assets", "200", "200"),
        ("Property and equipment, net", "400", "300"),
        ("Total assets", "600", "500"),
        ("Accounts payable", "50", "60"),
        ("Notes that fall due in 2023", "100", "60"),
        ("Total liabilities", "150", "120"),
        ("Retained earnings", "450", "380"),
        ("Total shareholders' equity", "450", "380"),
    )
    lines = [f"{label:<42}{one:>8}{two:>12}" for label, one, two in rows]
    label = "Total liabilities and shareholders' equity"
    lines.append(f"{label} $ 1,600{'$ 500':>12}")
    head = f"{'':<42}{'2023':>8}{'2022':>12}"
    text = "\n".join(["CONSOLIDATED BALANCE SHEETS", "(In millions)", head, *lines])

    (_, (statement,)) = of(text.encode(), "a.txt")

    assert values(statement, label) == [1600 * MILLION, 500 * MILLION]
    due = "Notes that fall due in 2023"
    assert values(statement, due) == [100 * MILLION, 60 * MILLION]


def test_a_balance_sheet_of_two_tables_is_one() -> None:
    rows = list(samples.BALANCE)
    assets = samples.html(
        [*rows[:5], ("Goodwill", "", ""), ("Leases", "", "")],
        "CONSOLIDATED BALANCE SHEETS\n(In millions)",
    )
    rest = samples.html(rows[5:], "CONSOLIDATED BALANCE SHEETS (continued)\n(In millions)")
    both = assets.replace(b"</body></html>", b"") + rest.replace(b"<html><body>", b"")

    statement = only(both, "a.html")

    assert statement.kind == "balance_sheet"
    assert values(statement, "Total assets") == [600 * MILLION, 500 * MILLION]
    assert values(statement, "Retained earnings") == [450 * MILLION, 380 * MILLION]


def test_what_is_no_statement_is_not_read_as_one() -> None:
    letter = b"Dear holder,\n\nour revenue in 2023 was $ 1,500 million, more than ever.\n"
    table = samples.html([(f"Plant {n}", str(n * 7), str(n * 5)) for n in range(1, 12)], "Plants")
    assert of(letter, "a.txt")[1] == of(table, "a.html")[1] == ()


def test_what_was_read_can_be_given_to_triage() -> None:
    statement = only(samples.html(), "a.html")
    whole = Filing("x", None, None, None, (statement.statement,)).to_json()
    whole["statements"] = [statement.to_json()]

    (again,) = read_filings(json.dumps(whole).encode(), JSON)

    assert isinstance(again, Filing)
    assert again.statements[0].columns == statement.columns
    rows = [row.values for row in again.statements[0].rows]
    assert rows == [row.row.values for row in statement.rows]
    assert again.statements[0].rows[1].values[0] == Decimal(1200 * MILLION)


@pytest.mark.parametrize("title", ["", "Example Corp\n(In thousands)\n"])
@pytest.mark.parametrize("dates", [",20230630,20220630", ",2023,2022"])
def test_csv_files_of_one_statement_each_can_be_joined(title: str, dates: str) -> None:
    files = [
        [",".join(cell.replace(",", "").replace("$ ", "") for cell in row) for row in rows]
        for rows in (samples.BALANCE, samples.INCOME, samples.CASH)
    ]
    lines = [line for file in files for line in (f"{title}{dates}", *file)]
    _, statements = of("\n".join(lines).encode(), "a.csv")
    assert [(s.kind, len(s.columns)) for s in statements] == [
        ("balance_sheet", 2),
        ("income", 2),
        ("cash_flow", 2),
    ]
    unit = 1000 if title else 1
    assert values(statements[2], "Cash at end of year") == [40 * unit, 30 * unit]
