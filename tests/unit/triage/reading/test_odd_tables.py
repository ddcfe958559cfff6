"""Tables that are odd: merged, wide, empty, torn, of percentages, without a period."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest
from reportlab.pdfgen.canvas import Canvas

from services.triage.reading.reader import find_statements
from services.triage.reading.report import read_report
from services.triage.statements.model import Column
from shared.documents import read
from shared.errors import UnreadableDocument
from tests.unit.triage.reading import samples
from tests.unit.triage.reading.test_reader import MILLION, only, values


def page(*rows: str, above: str = "STATEMENTS OF OPERATIONS (In millions)") -> bytes:
    """A page with one table; cells are set apart by bars."""
    body = "".join(
        "<tr>" + "".join(f"<td>{cell.strip()}</td>" for cell in row.split("|")) + "</tr>"
        for row in rows
    )
    return f"<html><body><p>{above}</p><table>{body}</table></body></html>".encode()


LINES = [f"{label} | {first} | {second} | 4%" for label, first, second in samples.INCOME[1:9]]


@pytest.mark.parametrize("head", ["Change", "Inc/ (Dec)", "Inc./Dec."])
def test_a_column_of_changes_is_left_out(head: str) -> None:
    statement = only(page(f"Year ended June 30, | 2023 | 2022 | {head}", *LINES), "a.html")
    assert statement.columns == (Column("20230630", 4), Column("20220630", 4))
    assert values(statement, "Products") == [1200 * MILLION, 1000 * MILLION]


def test_columns_without_dates_have_no_period() -> None:
    data = page("In millions | This | That | Change", *LINES)
    reading = read(data, name="a.html")
    report = read_report(reading, data, "a.html")
    assert report.statements[0].columns == (Column(), Column())
    assert "income column 2: the page does not state its period" in report.filing.warnings


def test_durations_and_years_in_two_rows_of_a_head() -> None:
    head = (
        "<tr><td></td><td colspan=2>Three months ended</td><td colspan=2>Six months ended</td></tr>"
        "<tr><td></td><td colspan=2>June 30,</td><td colspan=2>June 30,</td></tr>"
    )
    rows = [f"{label} | 1 | 2 | 3 | 4" for label, first, _ in samples.INCOME[1:9] if first]
    data = page(" | 2023 | 2022 | 2023 | 2022", *rows)
    data = data.replace(b"<table>", b"<table>" + head.encode())

    assert only(data, "a.html").columns == (
        Column("20230630", 1),
        Column("20220630", 1),
        Column("20230630", 2),
        Column("20220630", 2),
    )


@pytest.mark.parametrize(
    ("heads", "columns"),
    [
        (("Consolidated", "GE", "GE Capital"), 2),
        (("Acme and subsidiaries", "Equipment Operations", "Financial Services"), 2),
        (("As reported", "Adjustments", "As restated"), 6),
        (("Acme", "Acme", "Acme"), 6),
        (("Three months ended", "Six months ended", "Nine months ended"), 6),
    ],
)
def test_of_several_entities_side_by_side_the_first_is_read(
    heads: tuple[str, ...], columns: int
) -> None:
    head = "".join(f"<td colspan=2>{name}</td>" for name in heads)
    rows = [f"{label} | {a} | {b} | 1 | 2 | 3 | 4" for label, a, b in samples.INCOME[1:9] if a]
    data = page("June 30, (In millions) | 2023 | 2022 | 2023 | 2022 | 2023 | 2022", *rows)
    data = data.replace(b"<table>", f"<table><tr><td></td>{head}</tr>".encode())
    statement = only(data, "a.html")
    assert len(statement.columns) == columns
    assert len(statement.asides) == 6 - columns
    assert values(statement, "Net income")[:2] == [440 * MILLION, 360 * MILLION]


def test_forty_columns_are_forty_columns() -> None:
    years = " | ".join(str(year) for year in range(2023, 1983, -1))
    rows = [
        f"{label} | " + " | ".join(f"{n},000" for n in range(1, 41))
        for label, first, _ in samples.INCOME[1:9]
        if first
    ]

    statement = only(page(f"Year ended June 30, | {years}", *rows), "a.html")

    assert len(statement.columns) == 40
    assert statement.columns[-1] == Column("19840630", 4)
    assert values(statement, "Net income")[-1] == 40_000 * MILLION


@pytest.mark.parametrize("rows", [[], ["a"], ["1 | 2 | 3"], ["a | 1"], ["2023 | 2022"], [" | | "]])
def test_small_tables_are_nothing(rows: list[str]) -> None:
    data = page("words so that there is a text", *rows)
    assert find_statements(read(data, name="a.html")).statements == ()


def test_a_document_without_statements_says_so() -> None:
    data = b"A prospectus of 1,000 words."
    with pytest.raises(UnreadableDocument, match="No financial statements found"):
        read_report(read(data, name="a.txt"), data, "a.txt")


def test_damaged_tags_cost_no_statement() -> None:
    data = samples.html().replace(
        b"<html>",
        b'<html xmlns="http://www.w3.org/1999/xhtml"'
        b' xmlns:ix="http://www.xbrl.org/2013/inlineXBRL"><br>',
    )
    report = read_report(read(data, name="a.html"), data, "a.html")
    assert report.statements
    assert any("inline XBRL" in warning for warning in report.filing.warnings)


def balance_pdf(heads: Sequence[tuple[float, int, str]], rights: tuple[int, int]) -> bytes:
    """A page of a balance sheet under text, each with its left edge and its line from the top."""
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=(612, 792))
    canvas.setFont("Helvetica", 9)
    for left, line, text in heads:
        canvas.drawString(left, 740 - 12 * line, text)
    for line, (label, *figures) in enumerate(samples.BALANCE, 3):
        canvas.drawString(40, 740 - 12 * line, label)
        for right, figure in zip(rights, figures, strict=True):
            canvas.drawRightString(right, 740 - 12 * line, figure.removeprefix("$ "))
            if figure.startswith("$"):
                canvas.drawString(right - 46, 740 - 12 * line, "$")
    canvas.save()
    return out.getvalue()


@pytest.mark.parametrize("left", [None, 40, 200, 340])
@pytest.mark.parametrize(
    ("title", "day"),
    [
        ("CONSOLIDATED BALANCE SHEETS (in thousands) 2023 2022", "1231"),
        ("CONSOLIDATED BALANCE SHEETS - June 30, 2023 and 2022", "0630"),
    ],
)
def test_years_of_the_title_are_the_columns(title: str, day: str, left: int | None) -> None:
    lines = [f"{label:<44}{first:>12}{second:>12}" for label, first, second in samples.BALANCE]
    if left is None:
        statement = only("\n".join(["EXAMPLE CORP", title, "", *lines]).encode(), "a.txt")
    else:
        statement = only(
            balance_pdf([(40, 0, "EXAMPLE CORP"), (left, 1, title)], (450, 550)), "a.pdf"
        )
    assert statement.title == title
    assert statement.columns == (Column(f"2023{day}", 0), Column(f"2022{day}", 0))


def test_three_years_of_a_title() -> None:
    title = "STATEMENTS OF CASH FLOWS for the years ended December 31, 2023, 2022 and 2021"
    lines = [f"{label:<40}{a:>12}{b:>12}{b:>12}" for label, a, b in samples.CASH]
    statement = only("\n".join([title, "", *lines]).encode(), "a.txt")
    assert [column.end for column in statement.columns] == ["20231231", "20221231", "20211231"]
    assert {column.quarters for column in statement.columns} == {4}


def test_two_years_of_one_head_are_those_of_two_columns() -> None:
    heads = ["Three months ended  Nine months ended", "Sept. 30, 2023 2022  Sept. 30, 2023 2022"]
    rows = [(label, a, b, a, b) for label, a, b in samples.INCOME if a]
    lines = [f"{label:<40}" + "".join(f"{one:>10}" for one in four) for label, *four in rows]
    above = ["STATEMENTS OF OPERATIONS", *(" " * 42 + head for head in heads)]

    statement = only("\n".join([*above, *lines]).encode(), "a.txt")

    assert statement.columns == (
        Column("20230930", 1),
        Column("20220930", 1),
        Column("20230930", 3),
        Column("20220930", 3),
    )


def test_years_of_a_sentence_or_of_another_number_are_no_columns() -> None:
    head = "STATEMENTS OF OPERATIONS of 2021, 2022 and 2023, first shown in 2020 and again in 2024"
    data = page("In millions | This | That | Change", *LINES, above=head)
    assert only(data, "a.html").columns == (Column(), Column())


@pytest.mark.parametrize("at", range(36, 56, 2))
def test_a_duration_over_two_columns_of_plain_text_holds_for_both(at: int) -> None:
    lines = [f"{label:<44}{first:>12}{second:>12}" for label, first, second in samples.INCOME]
    head = [" " * at + "Years ended December 31,", f"{'':<44}{'2023':>12}{'2022':>12}"]
    statement = only("\n".join(["STATEMENTS OF OPERATIONS", *head, *lines]).encode(), "a.txt")
    assert statement.columns == (Column("20231231", 4), Column("20221231", 4))


def test_the_place_of_a_figure_ends_before_the_next_currency_sign_on_a_page() -> None:
    title = "CONSOLIDATED BALANCE SHEETS  December 31,"
    heads = [(40, 0, title), (430, 1, "2023"), (480, 1, "2022")]
    assert_places(balance_pdf(heads, (450, 500)), "a.pdf")


def test_the_place_of_a_figure_ends_before_the_next_currency_sign_in_plain_text() -> None:
    lines = [
        f"{label:<44}{first[:1]:<4}{first[2:]:>4} {second[:1]:<3}{second[2:]:>6}"
        if first.startswith("$")
        else f"{label:<44}{first:>8}{second:>10}"
        for label, first, second in samples.BALANCE
    ]
    head = ["CONSOLIDATED BALANCE SHEETS  December 31,", f"{'':<44}{'2023':>8}{'2022':>10}"]
    assert_places("\n".join([*head, *lines]).encode(), "a.txt")


def assert_places(data: bytes, name: str) -> None:
    reading = read(data, name=name)
    (statement,) = find_statements(reading).statements
    assert [column.end for column in statement.columns] == ["20231231", "20221231"]
    for row, (label, *figures) in zip(statement.rows, samples.BALANCE, strict=True):
        assert row.row.label == label
        for figure, place in zip(figures, row.positions, strict=True):
            assert place is not None
            shown = reading.text[place.start : place.end]
            assert not shown.endswith("$"), shown
            assert shown.strip("$ ") == figure.strip("$ ")
            right = place.box.x1 if place.box else 0
            assert not place.box or min(abs(right - edge) for edge in (450, 500)) < 1


SHORT = [
    ("Total assets", "1,210", "1,100"),
    ("Total liabilities", "700", "650"),
    ("Total stockholders' equity", "501", "450"),
    ("Total liabilities and stockholders' equity", "1,201", "1,100"),
]


def _short(rows: Sequence[tuple[str, str, str]], title: str) -> bytes:
    lines = [f"Acme Corp\n{title}", f"{'':50}{'2023':>9}{'2022':>15}"]
    lines += [f"{label:<50}{one:>9}{two:>15}" for label, one, two in rows]
    return "\n".join(lines).encode()


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (
            _short([*SHORT, ("Goodwill", "1", "2")], "Balance Sheet (in millions)"),
            "it has 5 lines, and 8 are needed, or 4 if all are usual",
        ),
        (
            _short([*SHORT[:2], *((f"Line {n}", "1", "2") for n in "abcdef")], "Balance Sheet"),
            "it has 2 of the 5 usual kinds of lines, and 3 are needed",
        ),
        (
            _short([*SHORT, ("Deposits", "1", "2")], "Selected balance sheet data"),
            "it has 5 lines, and 8 are needed, or 4 if all are usual",
        ),
    ],
)
def test_a_table_that_is_too_short_is_named_with_the_needed_number(
    page: bytes, reason: str
) -> None:
    found = find_statements(read(page, name="a.txt"))
    assert not found.statements
    assert [one.reason for one in found.unread] == [reason]


def test_text_where_an_amount_belongs_is_named() -> None:
    lines = [line.rsplit("|", 1)[0] for line in LINES]
    lines[1] = "Services | 300 | #REF!"
    lines[3] = "Cost of revenue | #DIV/0! | #N/A"
    lines[4] = "Other expense, net | not yet known | (50)"
    lines[5] = "Income before income taxes | 550 | *"
    data = page("In millions | 2023 | 2022", *lines)
    warnings = read_report(read(data, name="a.html"), data, "a.html").filing.warnings
    assert [one for one in warnings if "is not an amount" in one] == [
        "income row 2 column 2, 'Services': '#REF!' is not an amount, left out",
        "income row 4 column 1, 'Cost of revenue': '#DIV/0!' is not an amount, left out",
        "income row 4 column 2, 'Cost of revenue': '#N/A' is not an amount, left out",
        "income row 5 column 1, 'Other expense, net': 'not yet known' is not an amount, left out",
    ]
