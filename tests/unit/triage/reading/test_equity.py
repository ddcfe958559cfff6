"""Statements of equity: their columns are components, and nothing that is checked rests on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal

import pytest

from services.triage.checks.verdict import triage_filing
from services.triage.reading.document import ReadFiling, read_document
from services.triage.reading.equity import is_balance
from services.triage.reading.reader import DocumentStatements, ReadStatement, find_statements
from services.triage.reading.statement_kind import is_title
from services.triage.routing.risk_control import exclusion_reason
from services.triage.statements.model import Column
from shared.documents import read
from tests.unit.triage.reading import equity_samples as samples
from tests.unit.triage.reading.equity_samples import COMPONENTS, YEAR_2022, YEAR_2023
from tests.unit.triage.reading.samples import BALANCE

MILLION = 10**6
DATED = "Balance sheet (in millions),2023-12-31,2022-12-31\n" + "".join(
    ",".join(f'"{cell}"' for cell in row) + "\n" for row in BALANCE
)
FORMATS: dict[str, Callable[..., bytes]] = {
    "a.html": samples.html,
    "a.pdf": samples.pdf,
    "a.xlsx": samples.workbook,
    "a.csv": samples.csv,
    "a.txt": samples.plain,
}


def found_in(data: bytes, name: str) -> DocumentStatements:
    return find_statements(read(data, name=name))


def only(data: bytes, name: str) -> ReadStatement:
    (statement,) = found_in(data, name).equity
    return statement


def reported(data: bytes, name: str) -> ReadFiling:
    reading = read(data, name=name)
    (one,) = read_document(data, reading.media_type, name, reading=lambda: reading)
    assert isinstance(one, ReadFiling)
    return one


def values(statement: ReadStatement, label: str) -> list[Decimal | None]:
    return [list(one.row.values) for one in statement.rows if one.row.label == label][-1]


def periods(statement: ReadStatement) -> list[Column | None]:
    return [row.period for row in statement.rows]


def page(*rows: str, head: str, above: str = f"{samples.TITLE} (In millions)") -> bytes:
    """A page with one table of equity; cells are set apart by bars."""
    body = "".join(
        "<tr>" + "".join(f"<td>{cell.strip()}</td>" for cell in row.split("|")) + "</tr>"
        for row in (head, *rows)
    )
    return f"<html><body><p>{above}</p><table>{body}</table></body></html>".encode()


@pytest.mark.parametrize("name", FORMATS)
def test_it_is_read_from_every_format(name: str) -> None:
    data = FORMATS[name]()
    reading = read(data, name=name)

    (statement,) = find_statements(reading).equity

    assert tuple(one.name for one in statement.components) == COMPONENTS
    assert [one.shares for one in statement.components] == [True, *[False] * 5]
    assert statement.scale == MILLION
    assert statement.title.startswith(samples.TITLE)
    assert [row.row.label for row in statement.rows] == [label for label, *_ in samples.MOVEMENTS]
    last = statement.rows[-1]
    assert last.row.values == tuple(n * MILLION for n in (100, 10, 105, -22, 357, 450))
    place = last.positions[-1]
    assert place is not None
    assert reading.text[place.start : place.end].removeprefix("$ ") == "450"
    assert values(statement, "Other comprehensive loss") == [0, 0, 0, -8 * MILLION, 0, -8 * MILLION]
    first, second = (Column(f"{year}1231", 4, f"{year}0101") for year in (2022, 2023))
    moments = [Column(f"{year}1231", 0) for year in (2021, 2022, 2023)]
    between = [moments[0], *[first] * 3, moments[1], *[second] * 4, moments[2]]
    assert periods(statement) == between


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_checked_is_the_same_with_and_without_it(name: str) -> None:
    without, found = reported(FORMATS[name](()), name), reported(FORMATS[name](), name)
    odd = [(label, *figures[:-1], "77") for label, *figures in samples.MOVEMENTS]
    wrong = reported(FORMATS[name](odd), name)

    kinds = [one["statement"] for one in found.form["statements"]]
    assert kinds == ["balance_sheet", "equity"]
    for one in (found, wrong):
        assert bare(one) == bare(without)
        verdict = triage_filing(one.filing)
        assert verdict == triage_filing(without.filing)
        reasons = {exclusion_reason(verdict, each.filing, False) for each in (one, without)}
        assert len(reasons) == 1


def bare(one: ReadFiling) -> list[tuple[object, ...]]:
    return [
        (s.statement, s.columns, [(r.label, r.values, r.unit, r.heading) for r in s.rows])
        for s in one.filing.statements
    ]


def test_two_over_one_another_with_the_same_heads_are_one() -> None:
    for data, name in (
        (samples.pdf(YEAR_2023, again=YEAR_2022), "a.pdf"),
        (samples.html(YEAR_2023) + samples.equity_table(YEAR_2022).encode(), "a.html"),
    ):
        statement = only(data, name)
        assert len(statement.rows) == len(YEAR_2022) + len(YEAR_2023)
        assert statement.rows[-1].period == Column("20221231", 0)
        assert statement.rows[len(YEAR_2023)].row.values[-1] == 370 * MILLION


def test_two_with_other_components_are_two() -> None:
    head = " | Common stock | Retained earnings | Noncontrolling interests | Total equity"
    other = page(
        "Balance, December 31, 2020 | 1 | 2 | 3 | 6",
        "Net income | 0 | 4 | 1 | 5",
        "Balance, December 31, 2021 | 1 | 6 | 4 | 11",
        head=head,
    )

    first, second = found_in(samples.html() + other, "a.html").equity

    assert [one.name for one in second.components] == [one.strip() for one in head.split("|")[1:]]
    assert len(first.components) == len(COMPONENTS)


@pytest.mark.parametrize("name", ["a.pdf", "a.txt"])
def test_a_title_may_run_over_two_lines(name: str) -> None:
    title = ("CONSOLIDATED STATEMENTS OF CHANGES IN", "STOCKHOLDERS' EQUITY (DEFICIT)")
    data = (samples.pdf if name == "a.pdf" else samples.plain)(title=title)
    assert only(data, name).title == " ".join(title)


@pytest.mark.parametrize(
    "title",
    [
        "Consolidated Statements of Shareholders' Deficit",
        "STATEMENTS OF PARTNERS' CAPITAL",
        "Consolidated Statement of Changes in Equity",
        "Statements of Stockholders’ Equity and Comprehensive Income",
    ],
)
def test_its_titles_are_known(title: str) -> None:
    assert only(samples.html(title=title), "a.html").title == title


def test_the_section_of_the_balance_sheet_is_none() -> None:
    rows = [*BALANCE[:7], ("Stockholders' equity:", "", ""), *BALANCE[7:]]
    body = "".join(f"<tr><td>{a}</td><td>{b}</td><td>{c}</td></tr>" for a, b, c in rows)
    dates = "<tr><td></td><td>December 31, 2023</td><td>December 31, 2022</td></tr>"
    data = f"<html><body><p>BALANCE SHEETS</p><table>{dates}{body}</table></body></html>".encode()
    found = found_in(data, "a.html")
    assert [one.kind for one in found.statements] == ["balance_sheet"]
    assert (found.equity, found.unread_equity) == ((), ())
    assert len(found.statements[0].rows) == len(rows)


def test_one_that_cannot_be_read_is_named_and_changes_nothing() -> None:
    one = reported(samples.html(heads=False), "a.html")
    without = reported(samples.html(()), "a.html")
    (note,) = one.notes
    assert samples.TITLE in note
    assert "not read" in note
    assert note in one.form["warnings"]
    assert one.filing == replace(without.filing, warnings=one.filing.warnings)
    assert one.filing.warnings == without.filing.warnings


def test_a_component_that_stands_there_twice_is_not_guessed() -> None:
    twice = [" | ".join([label, *figures, *figures]) for label, *figures in YEAR_2023]
    found = found_in(page(*twice, head=" | ".join(["", *COMPONENTS, *COMPONENTS])), "a.html")
    assert found.equity == ()
    assert [one.kind for one in found.unread_equity] == ["equity"]


def test_components_as_lines_under_years_are_read_as_such() -> None:
    data = page(
        "Common stock and paid-in capital: | | ",
        "Balance, beginning of year | 91 | 80",
        "Stock issued | 14 | 11",
        "Balance, end of year | 105 | 91",
        "Retained earnings: | | ",
        "Balance, beginning of year | 318 | 300",
        "Net income | 55 | 40",
        "Balance, end of year | 357 | 318",
        head="Year ended December 31, | 2023 | 2022",
    )

    statement = only(data, "a.html")

    assert statement.components == ()
    assert statement.columns == (Column("20231231", 4), Column("20221231", 4))
    assert values(statement, "Net income") == [55 * MILLION, 40 * MILLION]


HEAD = " | Common stock Shares | Common stock Amount | Retained earnings | Total equity"


@pytest.mark.parametrize(
    ("unit", "shown", "shares"),
    [
        ("(In millions, except per share amounts)", "100", 100_000_000),
        ("(In millions, except share data)", "100,123,456", 100_123_456),
        ("(Dollars in millions; shares in thousands)", "100,123", 100_123_000),
        ("(In millions)", "100,123,456", 100_123_456),
    ],
)
def test_shares_are_counted_in_their_own_unit(unit: str, shown: str, shares: int) -> None:
    data = page(
        f"Balance at January 1, 2023 | {shown} | 10 | 302 | 312",
        "Net income | — | — | 55 | 55",
        f"Balance at December 31, 2023 | {shown} | 10 | 357 | 367",
        head=HEAD,
        above=f"{samples.TITLE} {unit}",
    )

    statement = only(data, "a.html")

    first = list(statement.rows[0].row.values)
    assert first == [shares, 10 * MILLION, 302 * MILLION, 312 * MILLION]
    assert periods(statement) == [
        Column("20230101", 0),
        Column("20231231", 4, "20230101"),
        Column("20231231", 0),
    ]


def test_an_amount_per_share_is_written_out_and_others_with_a_fraction_are_not() -> None:
    data = page(
        "Balance, December 31, 2022 | 10 | 10.0 | 302.5 | 312.5",
        "Dividends of $0.50 per share | — | — | (5.5) | (5.5)",
        "Dividends declared per share | | | 0.55 | ",
        "Balance, December 31, 2023 | 10 | 10.0 | 297.0 | 307.0",
        head=HEAD,
    )

    statement = only(data, "a.html")

    assert values(statement, "Dividends of $0.50 per share")[-1] == Decimal("-5.5") * MILLION
    assert values(statement, "Dividends declared per share")[2] == Decimal("0.55")


def test_a_balance_without_its_day_is_open() -> None:
    rows = (
        "Balance at beginning of period | 10 | 10 | 302 | 312",
        "Net income | — | — | 55 | 55",
        "Balance at end of period | 10 | 10 | 357 | 367",
    )
    heading = "Three months ended March 31, 2023 | | | | "

    unsaid = periods(only(page(*rows, head=HEAD), "a.html"))
    known = periods(only(page(heading, *rows, head=HEAD), "a.html"))

    assert unsaid == [None, None, None]
    assert known == [None, Column("20230331"), Column("20230331", 0)]


def test_marks_of_footnotes_in_cells_of_their_own_are_no_amounts() -> None:
    data = page(
        "Balance, December 31, 2022 | 10 | (1) | 10 | 302 | 312",
        "Net income | — | (1) | — | 55 | 55",
        "Balance, December 31, 2023 | 10 | (1) | 10 | 357 | 367",
        head=" | Common stock Shares | | Common stock Amount | Retained earnings | Total equity",
    )

    statement = only(data, "a.html")

    names = [name.strip() for name in HEAD.split("|")[1:]]
    assert [one.name for one in statement.components] == names
    assert values(statement, "Net income") == [0, 0, 55 * MILLION, 55 * MILLION]


@pytest.mark.parametrize(
    ("label", "balance"),
    [
        ("Balances as of February 1, 2023", True),
        ("Ending balance", True),
        ("December 31, 2022", True),
        ("Total equity, beginning of period", True),
        ("Net income for the year ended December 31, 2022", False),
        ("Cumulative effect of a change in accounting", False),
        ("Issuance of shares", False),
    ],
)
def test_balances_are_distinguished_from_movements(label: str, balance: bool) -> None:
    assert is_balance(label) == balance


def test_a_label_that_ends_with_the_year_in_the_next_line_is_one() -> None:
    rows: Sequence[Sequence[str]] = [
        row
        if not row[0].startswith("Balance")
        else ("2023" if "2023" in row[0] else "2022", *row[1:])
        for row in YEAR_2023
    ]
    above = ("Balance at December 31,", "", "", "", "", "", "")
    broken = [line for row in rows for line in ((above, row) if row[0].isdigit() else (row,))]

    statement = only(samples.pdf(broken), "a.pdf")

    assert statement.rows[0].row.label == "Balance at December 31, 2022"
    assert statement.rows[-1].period == Column("20231231", 0)


def test_a_csv_of_data_with_one_under_it_keeps_its_own_lines() -> None:
    lines = [[samples.TITLE + " (In millions)"], ["", *COMPONENTS], *YEAR_2023]
    width = len(COMPONENTS) + 1
    equity = "".join(
        ",".join(f'"{cell}"' for cell in [*line, *[""] * (width - len(line))]) + "\n"
        for line in lines
    )

    one = reported((DATED + equity).encode(), "a.csv")

    (sheet,) = one.filing.statements
    assert len(sheet.rows) == len(BALANCE)
    assert one.filing.warnings == reported(DATED.encode(), "a.csv").filing.warnings
    shown = one.form["statements"][1]
    assert (shown["statement"], len(shown["rows"])) == ("equity", len(YEAR_2023))
    assert shown["columns"][0] == {"component": "Common stock Shares", "unit": "shares"}
    assert shown["rows"][1]["period"] == {"end": "20231231", "quarters": 4, "start": "20230101"}


def test_in_data_it_is_shown_and_left_out_of_what_is_checked() -> None:
    sheet = (
        '{"statement": "balance_sheet", "columns": [{"end": "20231231"}], "rows": ['
        '{"label": "Total assets", "values": [5]}, '
        '{"label": "Total liabilities and equity", "values": [5]}]}'
    )
    equity = (
        '{"statement": "equity", "columns": [{"end": "20241231"}], "rows": ['
        '{"label": "Total assets", "values": [9]}, {"label": "Total equity", "values": [1]}]}'
    )

    one = reported(f'{{"id": "a", "statements": [{sheet}, {equity}]}}'.encode(), "a.json")
    alone = reported(f'{{"id": "a", "statements": [{sheet}]}}'.encode(), "a.json")

    assert one.filing == alone.filing
    assert [shown["statement"] for shown in one.form["statements"]] == ["balance_sheet", "equity"]


@pytest.mark.parametrize(
    "text",
    ["statement of " * 100_000, "stockholders" + " " * 1_000_000, "changes in equity " * 50_000],
)
def test_long_text_that_sounds_like_a_title_takes_no_time(text: str) -> None:
    assert not is_title("equity", text)
    one = reported(f"{DATED}{text}\n".encode(), "a.csv")
    assert len(one.filing.statements[0].rows) >= len(BALANCE)


@pytest.mark.parametrize(
    "heading",
    ["Changes in equity method investments:", "Changes in equity", "Statement of equity:"],
)
def test_a_heading_within_a_csv_of_data_ends_nothing(heading: str) -> None:
    title, *rows = DATED.splitlines()
    whole = [title, *rows[:3], f"{heading},,", *rows[3:], ""]
    one = reported("\n".join(whole).encode(), "a.csv")
    (sheet,) = one.filing.statements
    assert [row.label for row in sheet.rows if not row.heading] == [row[0] for row in BALANCE]


def test_a_unit_over_the_shares_is_not_that_of_the_amounts() -> None:
    page = samples.html().replace(b"<td>Shares</td>", b"<td>Shares (in thousands)</td>")
    statement = only(page, "a.html")
    balance = values(statement, "Balance, December 31, 2023")
    assert balance == [100_000, *(MILLION * value for value in (10, 105, -22, 357, 450))]


@pytest.mark.parametrize("price", ["$1", "50 cents", "1/4"])
def test_dividends_with_their_price_in_the_label_are_money(price: str) -> None:
    dividends = (f"Dividends ({price} per share)", "—", "—", "—", "—", "(12.5)", "(12.5)")
    page = samples.html([*YEAR_2023[:4], dividends, YEAR_2023[5]])
    assert values(only(page, "a.html"), dividends[0])[-1] == Decimal(-12_500_000)


def test_statements_over_one_another_in_one_sheet_are_each_cut_at_their_title() -> None:
    flow = [
        ["CONSOLIDATED STATEMENTS OF CASH FLOWS (In millions)"],
        ["", "2023", "2022"],
        ["Operating activities"],
        ["Net income", "65", "40"],
        ["Depreciation and amortization", "20", "18"],
        ["Net cash provided by operating activities", "85", "58"],
        ["Investing activities"],
        ["Purchases of property and equipment", "(30)", "(25)"],
        ["Net cash used in investing activities", "(30)", "(25)"],
        ["Financing activities"],
        ["Dividends paid", "(16)", "(22)"],
        ["Net cash used in financing activities", "(16)", "(22)"],
        ["Net increase in cash", "39", "11"],
        ["Cash at beginning of year", "30", "19"],
        ["Cash at end of year", "69", "30"],
    ]
    equity = [[samples.TITLE + " (In millions)"], ["", *COMPONENTS], *YEAR_2023]

    found = found_in(samples.workbook_of([*equity, [], *flow]), "a.xlsx")

    (cash_flow,) = found.statements
    assert cash_flow.kind == "cash_flow"
    assert [row.row.label for row in cash_flow.rows] == [row[0] for row in flow[2:]]
    (shown,) = found.equity
    assert len(shown.rows) == len(YEAR_2023)
