"""Instances without linkbases: laid out by the concepts that are common."""

from __future__ import annotations

from dataclasses import replace

import pytest

from infra.us_gaap import table
from services.triage.reading.concepts import read_alone, usual_table
from services.triage.reading.report import read_report
from services.triage.statements import Column
from shared import documents
from shared.documents.xbrl import Fact
from shared.errors import UnreadableDocument
from tests.unit.triage.reading.test_instances import BEFORE, YEAR, fact

LINES = (
    ("NetCashProvidedByUsedInFinancingActivities", -330, -290),
    ("PaymentsOfDividends", 330, 290),
    ("NetCashProvidedByUsedInOperatingActivities", 540, 450),
    ("NetIncomeLoss", 440, 360),
    ("DepreciationDepletionAndAmortization", 100, 90),
    ("PaymentsToAcquirePropertyPlantAndEquipment", 200, 150),
    ("NetCashProvidedByUsedInInvestingActivities", -200, -150),
    ("FavouriteColour", 7, 8),
)


def facts(prefix: str = "us-gaap") -> list[Fact]:
    """Cash flows of two years in no order at all."""
    stated = [(n, c, v) for n, *vs in LINES for c, v in zip((YEAR, BEFORE), vs, strict=True)]
    return [
        replace(fact(name, value, context, order), name=f"{prefix}:{name}")
        for order, (name, context, value) in enumerate(stated, 1)
    ]


def test_facts_stand_in_the_usual_order_with_the_sign_that_pages_show() -> None:
    """What is paid is negative; a company's own concept has no place."""
    (statement,) = [s for s in read_alone(facts()) if s.kind == "cash_flow"]

    shown = {row.row.label: row.row.values[0] for row in statement.rows}

    assert list(shown) == [
        "Net income loss",
        "Depreciation depletion and amortization",
        "Net cash provided by used in operating activities",
        "Payments to acquire property plant and equipment",
        "Net cash provided by used in investing activities",
        "Payments of dividends",
        "Net cash provided by used in financing activities",
    ]
    assert shown["Payments of dividends"] == -330
    assert shown["Payments to acquire property plant and equipment"] == -200
    assert statement.columns == (
        Column("20230630", 4, "20220701"),
        Column("20220630", 4, "20210701"),
    )


def test_another_taxonomy_is_not_taken_for_us_gaap() -> None:
    """The same names of another prefix say nothing; the prefix may be written in other ways."""
    assert read_alone(facts("ifrs-full")) == []
    assert read_alone(facts("usgaap"))


def test_the_table_that_ships_has_each_concept_once_and_totals_after_their_parts() -> None:
    """As balance sheets are set."""
    usual = usual_table()
    for entries in usual.values():
        assert len({(name, moment) for name, moment, _ in entries}) == len(entries)
    names = [name for name, *_ in usual["balance_sheet"]]
    order = ["AssetsCurrent", "Assets", "LiabilitiesCurrent", "LiabilitiesAndStockholdersEquity"]
    assert [name for name in names if name in order] == order


def test_the_table_is_made_of_what_companies_state() -> None:
    """In the order of most, with the sign of most; what few companies state is left out."""

    def record(cik: int, *rows: tuple[str, bool]) -> dict[str, object]:
        lines = [{"label": n, "concept": n, "values": [1], "negated": int(s)} for n, s in rows]
        return {"cik": cik, "statement": "income", "period": "20091231", "rows": lines}

    records = [record(n, ("Revenues", False), ("Costs", True), ("Net", False)) for n in range(6)]
    records += [record(9, ("Costs", False), ("Revenues", False), ("Odd", False))]

    assert table(records)["income"] == [("Revenues", "", 1), ("Costs", "", -1), ("Net", "", 1)]


def instance() -> bytes:
    """The facts as an instance, in the order of `LINES`."""
    contexts = "".join(
        f'<context id="c{place}"><entity><identifier scheme="x">1</identifier></entity><period>'
        f"<startDate>{c.start}</startDate><endDate>{c.end}</endDate></period></context>"
        for place, c in enumerate((YEAR, BEFORE))
    )
    lines = "".join(
        f'<us-gaap:{name} contextRef="c{place}" unitRef="u" id="{name}-{place}">{value}'
        f"</us-gaap:{name}>"
        for name, *values in LINES
        for place, value in enumerate(values)
    )
    return (
        '<xbrl xmlns="http://www.xbrl.org/2003/instance" xmlns:us-gaap="http://us-gaap/2022">'
        f'{contexts}<unit id="u"><measure>iso4217:USD</measure></unit>{lines}</xbrl>'
    ).encode()


def test_an_uploaded_instance_has_statements_and_each_value_its_fact() -> None:
    """Element and place in the list of facts; what is in no statement is counted."""
    data = instance()
    reading = documents.read(data, name="a.xml")

    report = read_report(reading, data, "a.xml")

    rows = {row.row.label: row for row in report.statements[0].rows}
    place = rows["Payments of dividends"].places[0]
    assert place is not None
    assert place.element == "PaymentsOfDividends-0"
    assert reading.text[place.start : place.end] == "330"
    assert any("2 of its numbers stand in none of them" in said for said in report.warnings)
    assert not report.filing.whole


def test_an_instance_with_too_few_concepts_says_what_would_help() -> None:
    """Its presentation beside it, or the page."""
    data = instance().replace(b"us-gaap", b"own")
    reading = documents.read(data, name="a.xml")
    with pytest.raises(UnreadableDocument, match=r"_pre\.xml"):
        read_report(reading, data, "a.xml")
