"""Statements of XBRL: an instance by its presentation, and tags beside what a page shows."""

from __future__ import annotations

from decimal import Decimal

import pytest

from services.triage.reading.inline_xbrl import with_tags
from services.triage.reading.reader import find_statements
from services.triage.reading.xbrl_instance import kind_of_role, read_instance
from services.triage.statements.model import Column
from shared.documents import read
from shared.documents.xbrl.xbrl import Context, Fact, facts_of
from shared.errors import UnreadableDocument
from tests.unit.triage.reading import samples

YEAR = Context("x", "2022-07-01", "2023-06-30")
BEFORE = Context("x", "2021-07-01", "2022-06-30")
MILLION = 10**6

PRESENTATION = b"""<linkbase xmlns="http://www.xbrl.org/2003/linkbase"
 xmlns:xlink="http://www.w3.org/1999/xlink">
<presentationLink xlink:role="http://example.com/role/StatementsOfCashFlows">
<loc xlink:label="top" xlink:href="a.xsd#us-gaap_CashFlowsAbstract"/>
<loc xlink:label="paid" xlink:href="a.xsd#us-gaap_PaymentsOfDividends"/>
<loc xlink:label="net" xlink:href="a.xsd#us-gaap_ProfitLoss"/>
<loc xlink:label="first" xlink:href="a.xsd#us-gaap_Cash"/>
<loc xlink:label="last" xlink:href="a.xsd#us-gaap_Cash"/>
<loc xlink:label="gone" xlink:href="a.xsd#us-gaap_Goodwill"/>
<presentationArc xlink:from="top" xlink:to="paid" order="2"
 preferredLabel="http://www.xbrl.org/2009/role/negatedLabel"/>
<presentationArc xlink:from="top" xlink:to="net" order="1"/>
<presentationArc xlink:from="top" xlink:to="first" order="3"
 preferredLabel="http://www.xbrl.org/2003/role/periodStartLabel"/>
<presentationArc xlink:from="top" xlink:to="last" order="4"
 preferredLabel="http://www.xbrl.org/2003/role/periodEndLabel"/>
<presentationArc xlink:from="top" xlink:to="gone" order="5" use="prohibited"/>
</presentationLink></linkbase>"""

LABELS = b"""<linkbase xmlns="http://www.xbrl.org/2003/linkbase"
 xmlns:xlink="http://www.w3.org/1999/xlink"><labelLink>
<loc xlink:label="a" xlink:href="a.xsd#us-gaap_PaymentsOfDividends"/>
<labelArc xlink:from="a" xlink:to="b"/>
<label xlink:label="b" xlink:role="http://www.xbrl.org/2009/role/negatedLabel">Dividends</label>
</labelLink></linkbase>"""


def fact(name: str, number: int, context: Context = YEAR, order: int = 1) -> Fact:
    value = Decimal(number)
    text = str(number)
    return Fact(f"us-gaap:{name}", context, "USD", "0", text, value, text, f"id{order}", order)


FACTS = (
    fact("ProfitLoss", 440, order=1),
    fact("ProfitLoss", 360, BEFORE, order=2),
    fact("PaymentsOfDividends", 330, order=3),
    fact("PaymentsOfDividends", 290, BEFORE, order=4),
    fact("Cash", 40, Context("x", None, "2023-06-30"), order=5),
    fact("Cash", 30, Context("x", None, "2022-06-30"), order=6),
    fact("Cash", 20, Context("x", None, "2021-06-30"), order=7),
    fact("ProfitLoss", 5, Context("x", "2022-07-01", "2023-06-30", (("a", "b"),)), order=8),
)


def test_an_instance_is_laid_out_as_its_presentation_says() -> None:
    (statement,) = read_instance(FACTS, PRESENTATION, LABELS)

    assert statement.kind == "cash_flow"
    years = Column("20230630", 4, "20220701"), Column("20220630", 4, "20210701")
    assert statement.columns == years
    assert [(row.row.label, [*map(str, row.row.values)]) for row in statement.rows[1:]] == [
        ("Profit loss", ["440", "360"]),
        ("Dividends", ["-330", "-290"]),
        ("Cash", ["30", "20"]),
        ("Cash", ["40", "30"]),
    ]
    assert statement.rows[0].row.heading


def test_a_fact_is_placed_by_its_element() -> None:
    (statement,) = read_instance(FACTS, PRESENTATION)
    place = statement.rows[2].positions[1]
    assert place
    assert place.to_json() == {"page": 1, "cell": "B5", "element": "id4"}


def moment(name: str, number: int, *members: str, order: int = 1) -> Fact:
    split = tuple(("us-gaap:TypeAxis", f"x:{member}") for member in members)
    return fact(name, number, Context("x", None, "2023-06-30", split), order)


def in_order(*arcs: str) -> bytes:
    """The presentation of a balance sheet: `above below` for each arc, in order."""
    names = dict.fromkeys(name for arc in arcs for name in arc.split())
    places = "".join(f'<loc xlink:label="{n}" xlink:href="a.xsd#{n}"/>' for n in names)
    joined = "".join(
        f'<presentationArc xlink:from="{arc.split()[0]}" xlink:to="{arc.split()[1]}" order="{n}"/>'
        for n, arc in enumerate(arcs)
    )
    return (
        '<linkbase xmlns="http://www.xbrl.org/2003/linkbase" '
        'xmlns:xlink="http://www.w3.org/1999/xlink">'
        f'<presentationLink xlink:role="http://x.com/role/BalanceSheets">{places}{joined}'
        "</presentationLink></linkbase>"
    ).encode()


SPLIT = in_order(
    "us-gaap_Top us-gaap_TypeAxis",
    "us-gaap_TypeAxis us-gaap_TypeDomain",
    "us-gaap_TypeDomain x_VehiclesMember",
    "us-gaap_TypeDomain x_SolarMember",
    "us-gaap_Top us-gaap_Cash",
    "us-gaap_Top us-gaap_LeasedAssets",
    "us-gaap_Top us-gaap_Solar",
    "us-gaap_Top us-gaap_Assets",
)


def test_members_that_a_statement_lists_are_its_lines() -> None:
    facts = (
        moment("Cash", 10),
        moment("LeasedAssets", 5, "SolarMember", order=2),
        moment("LeasedAssets", 7, "VehiclesMember", order=3),
        moment("LeasedAssets", 3, "ElsewhereMember", order=4),
        moment("Solar", 2, "SolarMember", order=5),
        moment("Assets", 24, order=6),
    )

    (statement,) = read_instance(facts, SPLIT)

    assert [(row.row.label, int(row.row.values[0] or 0)) for row in statement.rows] == [
        ("Cash", 10),
        ("Leased assets: Vehicles", 7),
        ("Leased assets: Solar", 5),
        ("Solar", 2),
        ("Assets", 24),
    ]
    assert not statement.broken_down


def test_members_that_break_a_line_down_are_named() -> None:
    facts = (moment("Cash", 10), moment("Cash", 4, "SolarMember"), moment("Assets", 10))
    (statement,) = read_instance(facts, SPLIT)
    assert [row.row.label for row in statement.rows] == ["Cash", "Assets"]
    assert statement.broken_down == ("Cash",)


def test_a_damaged_presentation_is_refused() -> None:
    with pytest.raises(UnreadableDocument):
        read_instance(FACTS, PRESENTATION[:400])


@pytest.mark.parametrize(
    ("role", "kind"),
    [
        ("http://x.com/role/ConsolidatedBalanceSheets", "balance_sheet"),
        ("http://x.com/role/ConsolidatedBalanceSheetsParenthetical", None),
        ("http://x.com/role/StatementOfIncome", "income"),
        ("http://x.com/role/ConsolidatedStatementsofOperations", "income"),
        ("http://x.com/role/StatementsOfComprehensiveIncome", None),
        ("http://x.com/role/StatementsOfOperationsAndComprehensiveIncome", "income"),
        ("http://x.com/role/StatementConsolidatedStatementsOfCashFlows", "cash_flow"),
        ("http://x.com/role/StatementsOfStockholdersEquity", "equity"),
        ("http://x.com/role/IncomeTaxesDetails", None),
    ],
)
def test_a_role_names_its_statement(role: str, kind: str | None) -> None:
    assert kind_of_role(role) == kind


def tagged_page() -> bytes:
    """The cash flow statement of the samples with a tag around each figure."""
    page = samples.html(samples.CASH, "STATEMENTS OF CASH FLOWS\n(In millions)").decode()
    start = page.index("<tr><td>Net income")
    pieces, rest, count = [page[:start]], page[start:], 0
    for cell in rest.split("<td>"):
        digits = cell.partition("</td>")[0].lstrip("(")
        if digits.replace(",", "").isdigit():
            context = ("a", "b")[count % 2]
            count += 1
            sign = "(" if cell.startswith("(") else ""
            cell = (
                f'{sign}<ix:nonFraction name="x:y" contextRef="{context}" unitRef="u" scale="6" '
                f'id="f{count}">{digits}</ix:nonFraction></td>' + cell.partition("</td>")[2]
            )
        pieces.append(cell)
    body = pieces[0] + "<td>".join(pieces[1:])
    head = (
        '<html xmlns="http://www.w3.org/1999/xhtml" '
        'xmlns:ix="http://www.xbrl.org/2013/inlineXBRL" '
        'xmlns:xbrli="http://www.xbrl.org/2003/instance">'
    )
    contexts = "".join(
        f'<xbrli:context id="{key}"><xbrli:entity><xbrli:identifier>x</xbrli:identifier>'
        f"</xbrli:entity><xbrli:period><xbrli:startDate>{start}</xbrli:startDate>"
        f"<xbrli:endDate>{end}</xbrli:endDate></xbrli:period></xbrli:context>"
        for key, start, end in (
            ("a", "2022-07-01", "2023-06-30"),
            ("b", "2021-07-01", "2022-06-30"),
        )
    )
    unit = '<xbrli:unit id="u"><xbrli:measure>iso4217:USD</xbrli:measure></xbrli:unit>'
    hidden = f'<div style="display:none"><ix:header>{contexts}{unit}</ix:header></div>'
    return body.replace("<html><body>", f"{head}<body>{hidden}").encode()


def test_tags_give_elements_units_and_whole_periods() -> None:
    data = tagged_page()
    (statement,) = find_statements(read(data, name="a.html")).statements

    found = with_tags(statement, facts_of(data).facts)

    rows = {row.row.label: row for row in found.statement.rows}
    place = rows["Dividends paid"].positions[0]
    assert found.tagged == 20
    assert place
    assert place.element == "f11"
    assert rows["Dividends paid"].row.unit == "USD"
    assert rows["Dividends paid"].row.values[1] == -290 * MILLION
    assert found.statement.columns[0] == Column("20230630", 4, "20220701")
    assert found.differing == ()


def test_a_figure_that_its_tag_contradicts_is_listed() -> None:
    data = tagged_page().replace(b">540</ix", b">450</ix", 1)
    (statement,) = find_statements(read(data, name="a.html")).statements
    found = with_tags(statement, facts_of(tagged_page()).facts)
    (cell,) = found.differing
    row = found.statement.rows[cell[0]].row
    assert (row.label, cell[1]) == ("Net cash from operating activities", 0)
    assert row.values[0] == 450 * MILLION


def test_a_page_without_tags_keeps_what_was_read() -> None:
    (statement,) = find_statements(read(samples.html(), name="a.html")).statements
    found = with_tags(statement, FACTS)
    assert found.statement == statement
    assert found.tagged == 0
