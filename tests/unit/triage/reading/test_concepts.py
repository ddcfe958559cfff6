"""Instances without linkbases: laid out by the concepts that are common."""

from __future__ import annotations

from dataclasses import replace

import pytest

from infra.docs.us_gaap import table
from services.triage.reading.concept_order import read_unordered, usual_table
from services.triage.reading.report import read_report
from services.triage.statements.model import Column
from shared import documents
from shared.documents.xbrl.xbrl import Fact
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
    stated = [(n, c, v) for n, *vs in LINES for c, v in zip((YEAR, BEFORE), vs, strict=True)]
    return [
        replace(fact(name, value, context, order), name=f"{prefix}:{name}")
        for order, (name, context, value) in enumerate(stated, 1)
    ]


def test_facts_stand_in_the_usual_order_with_the_sign_that_pages_show() -> None:
    (statement,) = [s for s in read_unordered(facts()) if s.kind == "cash_flow"]

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
    years = Column("20230630", 4, "20220701"), Column("20220630", 4, "20210701")
    assert statement.columns == years


def test_another_taxonomy_is_not_read_as_us_gaap() -> None:
    assert read_unordered(facts("ifrs-full")) == []
    assert read_unordered(facts("usgaap"))


def test_the_table_that_ships_has_each_concept_once_and_totals_after_their_parts() -> None:
    usual = usual_table()
    for entries in usual.values():
        assert len({(name, moment) for name, moment, _ in entries}) == len(entries)
    names = [name for name, *_ in usual["balance_sheet"]]
    order = ["AssetsCurrent", "Assets", "LiabilitiesCurrent", "LiabilitiesAndStockholdersEquity"]
    assert [name for name in names if name in order] == order


def test_the_table_is_made_of_what_companies_state() -> None:
    def record(cik: int, *rows: tuple[str, bool]) -> dict[str, object]:
        lines = [{"label": n, "concept": n, "values": [1], "negated": int(s)} for n, s in rows]
        return {"cik": cik, "statement": "income", "period": "20091231", "rows": lines}

    records = [record(n, ("Revenues", False), ("Costs", True), ("Net", False)) for n in range(6)]
    records += [record(9, ("Costs", False), ("Revenues", False), ("Odd", False))]
    assert table(records)["income"] == [("Revenues", "", 1), ("Costs", "", -1), ("Net", "", 1)]


def instance() -> bytes:
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
    data = instance()
    reading = documents.read(data, name="a.xml")

    report = read_report(reading, data, "a.xml")

    rows = {row.row.label: row for row in report.statements[0].rows}
    place = rows["Payments of dividends"].positions[0]
    assert place is not None
    assert place.element == "PaymentsOfDividends-0"
    assert reading.text[place.start : place.end] == "330"
    assert any("2 numbers are left out" in warning for warning in report.filing.warnings)
    assert not report.filing.complete


def test_an_instance_with_too_few_concepts_says_what_would_help() -> None:
    data = instance().replace(b"us-gaap", b"own")
    reading = documents.read(data, name="a.xml")
    with pytest.raises(UnreadableDocument, match=r"_pre\.xml"):
        read_report(reading, data, "a.xml")
