"""Periods, units and figures: the words that a page has for them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from services.triage.reading.figures import join_cells, parse_figure
from services.triage.reading.periods import dates_in, mention, quarters_between, quarters_in
from services.triage.reading.scales import factor, scale_in, scale_of_money
from services.triage.reading.table import TableCell
from services.triage.statements.positions import Position
from tests.unit.triage.reading import samples
from tests.unit.triage.reading.test_reader import only, values


def cell(text: str, left: float = 0, right: float = 1) -> TableCell:
    return TableCell(1, left, right, text, Position(1, 0, len(text)))


@pytest.mark.parametrize(
    ("text", "value", "marks"),
    [
        ("1,234", "1234", ""),
        ("$ (1,234.5)", "-1234.5", ""),
        ("\u2212 12", "-12", ""),
        ("—", "0", ""),
        ("$—", "0", ""),
        ("1,234 (a)", "1234", "(a)"),
        ("77*", "77", "*"),
    ],
)
def test_a_figure_is_what_the_page_shows(text: str, value: str, marks: str) -> None:
    figure = parse_figure(cell(text))
    assert figure
    assert figure.value == Decimal(value)
    assert figure.marks == marks


@pytest.mark.parametrize("text", ["Total", "Note 5", "", "$", "June 30, 2023", "1.2.3"])
def test_words_are_no_figures(text: str) -> None:
    assert parse_figure(cell(text)) is None


def test_a_share_is_no_amount() -> None:
    figure = parse_figure(cell("12.5%"))
    assert figure
    assert figure.percent


def test_a_figure_that_is_torn_apart_is_mended() -> None:
    row = [cell("Loss"), cell("$", 4, 5), cell("(12", 5, 6), cell(")", 6, 7), cell("7", 9, 10)]
    whole = join_cells(row)
    assert [c.text for c in whole] == ["Loss", "$(12)", "7"]
    assert parse_figure(whole[1]).value == -12  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "quarters"),
    [
        ("Three Months Ended June 30,", 1),
        ("26 weeks ended", 2),
        ("Thirty-Nine Weeks Ended", 3),
        ("For the fiscal year ended", 4),
        ("53 Weeks Ended", 4),
        ("First quarter", 1),
        ("First Half", 2),
        ("As of June 30", None),
    ],
)
def test_a_duration_is_counted_in_quarters(text: str, quarters: int | None) -> None:
    assert quarters_in(text) == quarters


def test_dates_are_found_in_their_order() -> None:
    text = "at 31 December 2023, June 3, 2022 and 20210105"
    assert dates_in(text) == ("20231231", "20220603", "20210105")


def test_a_day_and_its_year_may_stand_apart() -> None:
    found = mention("July 1, 2023")
    apart = mention("July 1, of the year 2023")
    assert found.dates == ("20230701",)
    assert (apart.day, apart.year, apart.dates) == ("0701", "2023", ())


@pytest.mark.parametrize(
    ("text", "scale"),
    [
        ("(In millions, except per share amounts)", 10**6),
        ("(Dollars in thousands)", 1000),
        ("(MILLIONS)", 10**6),
        ("In Billions of US Dollars", 10**9),
        ("($000)", 1000),
        ("amounts in dollars", None),
        ("we paid 3 million for 2 thousand chairs", None),
    ],
)
def test_the_unit_of_a_page(text: str, scale: int | None) -> None:
    assert scale_in(text) == scale


@pytest.mark.parametrize(
    ("text", "scale"),
    [
        ("(Shares in thousands; dollars in millions)", 10**6),
        ("(Dollars and shares in millions)", 10**6),
        ("(In thousands of dollars)", 1000),
        ("(Shares in thousands)", 1000),
    ],
)
def test_the_unit_of_amounts_beside_that_of_shares(text: str, scale: int) -> None:
    assert scale_of_money(text) == scale


@pytest.mark.parametrize(
    ("label", "figures", "amounts"),
    [
        ("Effect of options", ("15", "14"), [15_000, 14_000]),
        ("Dividends per share", ("0.15", "0.14"), [0.15, 0.14]),
    ],
)
def test_a_line_between_two_numbers_of_shares_has_their_unit(
    label: str, figures: tuple[str, str], amounts: list[float]
) -> None:
    shares = [("Basic average shares", "1,000", "990"), (label, *figures),
              ("Diluted average shares", "1,015", "1,004")]  # fmt: skip
    head = f"{samples.HEAD}; shares in thousands"
    statement = only(samples.html([*samples.INCOME[:9], *shares], head), "a.html")
    assert values(statement, "Basic average shares") == [1_000_000, 990_000]
    assert values(statement, label) == amounts


@pytest.mark.parametrize(
    ("label", "heading", "values", "notes", "times"),
    [
        ("Revenue", "", ["1200"], "", 10**6),
        ("Basic", "Earnings per share:", ["2.20"], "", 1),
        ("Basic", "Weighted average shares outstanding:", ["200.5"], "", 10**6),
        ("Basic", "", ["-0.12"], "", 1),
        ("Loss from discontinued operations", "Basic earnings per share:", ["0", "-0.005"], "", 1),
        ("Basic", "Earnings per share:", ["0.00000221", "0.000002"], "", 10**6),  # by a program
        ("Basic (in thousands)", "Average shares outstanding:", ["1513018"], "", 1000),
        ("Average shares", "", ["200123456"], "in millions, except share data", 1),
        ("Average shares", "", ["200123"], "dollars in millions, shares in thousands", 1000),
        ("Diluted", "", ["200123"], "in millions, except share data in thousands", 1000),
        ("Diluted", "Earnings per share:", ["2.10"], "in millions; shares in thousands", 1),
        ("Common stock, $0.01 par value per share", "", ["7"], "", 10**6),
        ("Effect of tax, per cent", "", ["0.5"], "", 10**6),
    ],
)
def test_a_line_is_written_out_or_not(
    label: str, heading: str, values: list[str], notes: str, times: int
) -> None:
    path = [heading] if heading else []
    found = factor(label, path, [Decimal(v) for v in values], Decimal(10) ** 6, notes)
    assert found == times


@pytest.mark.parametrize(
    ("start", "end", "quarters"),
    [
        ("20230101", "20230630", 2),
        ("20230401", "20230630", 1),
        ("20220102", "20221231", 4),  # 52 weeks
        ("20220103", "20230107", 4),  # 53 weeks
        ("20230101", "20230214", None),  # a month and a half
        ("20230630", "20230630", None),  # a day
        ("20230230", "20230630", None),  # no date
        (None, "20230630", 0),
    ],
)
def test_days_are_quarters_apart(start: str | None, end: str, quarters: int | None) -> None:
    assert quarters_between(start, end) == quarters
