"""Signals: figures, ratios, comparison with peers, and messages."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.triage.checks.classifier import BreakClassifier
from services.triage.checks.verdict import triage_filing
from services.triage.reading.document import MOST_COLUMNS, MOST_ROWS, limit_size
from services.triage.signals.figures import FilingFigures
from services.triage.signals.peers import PERCENTILES, Distribution, Peers, write
from services.triage.signals.ratios import BY_NAME, RATIOS, WEIGHTS, PeriodFigures, beneish
from services.triage.signals.signals import Signal, signals_of
from shared.events import DocumentDeleted, FindingsFound
from tests.support import ROOT, artefacts
from tests.unit.triage.builders import Triage
from tests.unit.triage.filings import bent, change, find_row, read, record, statement_of, without

LABELS = {
    "income|net sales": "revenue",
    "income|cost of goods sold": "cost",
    "income|gross profit": "gross_profit",
    "income|selling general and administrative expenses": "overheads",
    "income|operating income": "operating_income",
    "income|net income": "net_income",
    "cash_flow|depreciation and amortization": "depreciation",
    "cash_flow|net cash provided by operating activities": "operating_cash",
    "balance_sheet|total assets": "assets",
    "balance_sheet|total current assets": "current_assets",
    "balance_sheet|total current liabilities": "current_liabilities",
    "balance_sheet|total liabilities": "liabilities",
    "balance_sheet|accounts receivable net": "receivables",
    "balance_sheet|inventories": "inventories",
    "balance_sheet|property plant and equipment net": "property",
    "balance_sheet|long term debt": "long_term_debt",
}
EVEN = Distribution(100, (-0.2, -0.1, -0.05, 0.05, 0.1, 0.15, 0.25, 0.3, 0.4))
"""Half of 100 companies below 10%, 19 of 20 from -10% to 30%."""


def peers(strong: float = 3.0, **spreads: Distribution) -> Peers:
    return Peers(LABELS, {key.replace("_of_", "|"): s for key, s in spreads.items()}, strong)


def by_name(found: tuple[Signal, ...]) -> dict[str, Signal]:
    return {signal.signal: signal for signal in found}


@pytest.mark.parametrize(
    ("ratio", "value"),
    [
        ("accruals", (1189 - 1499) / 14382),
        ("sales_growth", 11853 / 11207 - 1),
        ("asset_growth", 14382 / 13824 - 1),
        ("cost_share", 7431 / 11853),
        ("operating_margin", 1749 / 11853),
        ("net_margin", 1189 / 11853),
        ("receivable_days", 2719 / 11853 * 365),
        ("inventory_days", 988 / 7431 * 365),
        ("current_ratio", 4941 / 3081),
        ("debt_ratio", 7499 / 14382),
    ],
)
def test_a_ratio_is_what_its_formula_says(ratio: str, value: float) -> None:
    signal = by_name(signals_of(read(record()), peers()))[ratio]
    assert signal.value == pytest.approx(value, abs=1e-6)
    assert (signal.end, signal.quarters) == ("20231231", 4)
    assert signal.formula == BY_NAME[ratio].formula
    filing = read(record())
    for one in signal.inputs:
        statement = next(s for s in filing.statements if s.statement == one.cell.statement)
        assert statement.rows[one.cell.row].label == one.cell.label
        assert statement.rows[one.cell.row].values[one.cell.column] == one.value


def test_the_m_score_is_its_eight_variables() -> None:
    filing = read(record())
    books = FilingFigures.of(filing, peers().figure)
    found = beneish(PeriodFigures(books, books.periods[0], []))
    by_hand = {
        "DSRI": (2719 / 11853) / (2466 / 11207),
        "GMI": (1 - 7122 / 11207) / (1 - 7431 / 11853),
        "AQI": (1 - (4941 + 7325) / 14382) / (1 - (4590 + 7118) / 13824),
        "SGI": 11853 / 11207,
        "DEPI": (541 / (541 + 7118)) / (563 / (563 + 7325)),
        "SGAI": (2673 / 11853) / (2524 / 11207),
        "TATA": (1189 - 1499) / 14382,
        "LVGI": ((3081 + 4418) / 14382) / ((2958 + 4547) / 13824),
    }
    assert found == pytest.approx(by_hand)
    signal = by_name(signals_of(filing, peers()))["beneish_m"]
    score = -4.84 + sum(WEIGHTS[name] * value for name, value in by_hand.items())
    assert signal.value == pytest.approx(score, abs=1e-6)
    assert (signal.level, len(signal.inputs)) == ("usual", 22)
    assert "Not above -1.78" in signal.message


def test_an_m_score_that_its_authors_take_for_likely_is_unusual() -> None:
    filing = read(bent("balance_sheet", "Accounts receivable, net", 1, 600))
    signal = by_name(signals_of(filing, peers()))["beneish_m"]
    assert signal.value > -1.78
    assert (signal.level, signal.peers) == ("unusual", None)


def test_without_a_figure_there_is_no_ratio() -> None:
    filing = without("balance_sheet", "Long-term debt")
    change(filing, "income", "Net sales", 0, 0, 0)
    found = by_name(signals_of(read(filing), peers()))
    assert {"beneish_m", "net_margin", "sales_growth"}.isdisjoint(found)
    assert "current_ratio" in found


def test_cost_is_taken_without_sign_and_by_gross_profit() -> None:
    filing = record()
    change(filing, "income", "Cost of goods sold", -7431, -7122, -6689)
    minus = by_name(signals_of(read(filing), peers()))["cost_share"].value
    no_line = read(without("income", "Cost of goods sold"))
    left = by_name(signals_of(no_line, peers()))["cost_share"].value
    assert minus == left == pytest.approx(7431 / 11853, abs=1e-6)


def test_a_quarter_is_held_against_quarters() -> None:
    filing = record()
    for name in ("income", "cash_flow"):
        part = statement_of(filing, name)
        part["columns"] = [{"end": f"{y}1231", "quarters": 1} for y in (2023, 2022, 2021)]
    found = by_name(signals_of(read(filing), peers(sales_growth_of_part_of_level=EVEN)))
    assert found["receivable_days"].value == pytest.approx(2719 / 11853 * 365 / 4, abs=1e-6)
    assert found["sales_growth"].peers is not None
    assert {"beneish_m", "asset_growth"}.isdisjoint(found), "they mean something for years alone"


def test_an_unknown_length_is_not_made_up() -> None:
    filing = record()
    for name in ("income", "cash_flow"):
        part = statement_of(filing, name)
        part["columns"] = [{"end": f"{year}1231"} for year in (2023, 2022, 2021)]
    assert by_name(signals_of(read(filing), peers()))["receivable_days"].quarters == 4
    for name in ("income", "cash_flow"):
        part = statement_of(filing, name)
        part["columns"] = part["columns"][:2]
        for line in part["rows"]:
            line["values"] = line["values"][:2]
    assert signals_of(read(filing), peers()) == ()


@pytest.mark.parametrize(
    ("sales", "level"), [(11_853, "usual"), (14_900, "unusual"), (20_000, "strong")]
)
def test_how_far_from_its_peers_says_how_unusual(sales: float, level: str) -> None:
    usual = peers(sales_growth_of_year_of_level=EVEN)
    filing = read(bent("income", "Net sales", 0, sales))
    signal = by_name(signals_of(filing, usual))["sales_growth"]
    growth = sales / 11207 - 1
    assert signal.level == level
    assert signal.distance == pytest.approx(abs(growth - 0.1) / 0.2, abs=1e-3)
    assert "19 of 20 among 100 companies are between -10.0% and 30.0%" in signal.message


def test_what_moved_within_a_year_is_unusual_though_its_level_is_not() -> None:
    still = Distribution(100, (-0.03, -0.02, -0.01, 0.0, 0.0, 0.0, 0.01, 0.02, 0.03))
    usual = peers(net_margin_of_year_of_level=EVEN, net_margin_of_year_of_change=still)
    filing = read(bent("income", "Net income", 0, 2400))
    signal = by_name(signals_of(filing, usual))["net_margin"]
    assert signal.level == "strong"
    assert signal.peers is not None
    assert signal.change is not None
    assert signal.peers.distance < 1 < signal.change.distance
    assert "changes by -2.0% to 2.0% a year in 19 of 20 among 100" in signal.message
    assert [end for end, _ in signal.history] == ["20221231", "20211231"]


def test_too_few_companies_say_nothing() -> None:
    few = Distribution(5, EVEN.percentiles)
    filing = read(bent("income", "Net sales", 0, 90_000))
    signals = signals_of(filing, peers(sales_growth_of_year_of_level=few))
    assert by_name(signals)["sales_growth"].level == "usual"


def test_an_artefact_is_read_as_it_was_written(tmp_path: Path) -> None:
    usual = peers(sales_growth_of_year_of_level=EVEN)
    made = Peers(usual.labels, usual.spreads, 3.0, "1.0.0")
    more = {"filings": 1, "companies": 1, "provenance": "tests", "licence": "none"}
    folder = tmp_path / "triage-peers" / "1.0.0"
    write(folder, made, **more)
    assert Peers.load(tmp_path) == made
    assert len(EVEN.percentiles) == len(PERCENTILES)


def test_what_ships_knows_the_lines_of_a_usual_filing() -> None:
    found = by_name(signals_of(read(record()), Peers.load(artefacts())))
    assert set(found) == {ratio.name for ratio in RATIOS}
    assert all(signal.level != "strong" and signal.source for signal in found.values())


def test_the_card_describes_the_shipped_artefact() -> None:
    card = (ROOT / "models" / "triage_peers" / "CARD.md").read_text("utf-8")
    assert f"| strong | a distance of {Peers.load(artefacts()).strong:.1f} or more;" in card
    assert card.startswith(f"# triage-peers {Peers.load(artefacts()).version}\n")
    assert f"{len(Peers.load(artefacts()).labels)} line labels" in card


# The service


def strange() -> dict[str, Any]:
    return {**bent("income", "Net sales", 1, 12), "id": "strange"}


def test_signals_are_answered_and_the_strong_ones_announced(triage: Triage) -> None:
    triage.handle(triage.read("doc_1", record(), strange()))
    items = triage.answer("doc_1", "signals", limit=500)["items"]
    assert {item["filing"] for item in items} == {"f1", "strange"}
    strong = [item for item in items if item["level"] == "strong"]
    assert "sales_growth" in {item["signal"] for item in strong}
    assert all(item["filing"] == "strange" and item["id"].startswith("sg_") for item in strong)
    (event,) = triage.announced(FindingsFound)
    assert len(strong) > 1
    assert json.loads(triage.service.blobs.get("default", event.signals)) == strong[:1]
    assert event.model.startswith("triage-breaks ")
    classifier = BreakClassifier.load(artefacts())
    alone = [triage_filing(read(filing), classifier) for filing in (record(), strange())]
    assert event.risk == max(verdict.risk for verdict in alone)
    assert event.flagged == any(verdict.flagged for verdict in alone)


def test_a_signal_names_the_finding_that_doubts_its_figure(triage: Triage) -> None:
    triage.handle(triage.read("doc_1", bent("income", "Net sales", 0, 18_153)))
    (finding,) = triage.findings()["items"]
    assert finding["label"] == "Net sales"
    items = triage.answer("doc_1", "signals", limit=500)["items"]
    explained = {item["signal"]: item["explained_by"] for item in items}
    assert explained["sales_growth"] == finding["id"]
    assert explained["current_ratio"] is None


def test_signals_go_on_at_the_cursor(triage: Triage) -> None:
    triage.handle(triage.read("doc_1", record(), strange()))
    whole = triage.answer("doc_1", "signals", limit=500)
    first = triage.answer("doc_1", "signals", limit=4)
    rest = triage.answer("doc_1", "signals", limit=500, cursor=first["next"])
    assert [*first["items"], *rest["items"]] == whole["items"]
    assert (whole["next"], rest["next"]) == (None, None)
    refused = triage.client.get("/v1/documents/doc_1/signals", params={"cursor": "x"})
    assert refused.status_code == 422


def test_a_filing_without_known_lines_has_no_signals(triage: Triage) -> None:
    bare = record()
    for statement in bare["statements"]:
        for number, row in enumerate(statement["rows"]):
            row["label"] = f"Line {number}"
    triage.handle(triage.read("doc_1", bare))
    assert triage.answer("doc_1", "signals") == {"items": [], "next": None}
    (event,) = triage.announced(FindingsFound)
    assert event.signals is None


def test_signals_that_were_not_looked_for_are_not_made_up(tmp_path: Path) -> None:
    triage = Triage(tmp_path, artefacts=tmp_path / "none")
    triage.handle(triage.read("doc_1", record()))
    for part in ("signals", "narrative-flags"):
        answer = triage.client.get(f"/v1/documents/doc_1/{part}")
        assert answer.status_code == 409
        assert "Reprocess it" in answer.json()["detail"]
    (report,) = triage.client.get("/v1/reports").json()["items"]
    assert (report["narrative_flags"], report["model"]["name"]) == (None, "rules")
    triage.close()


def test_reports_are_listed_by_risk(triage: Triage) -> None:
    for number, column in ((1, 0), (2, 1)):
        wrong = {**record(), "id": f"w{number}"}
        part, index = find_row(wrong, "balance_sheet", "Total assets")
        part["rows"][index]["values"][column] += 7_000_000 * number
        triage.handle(triage.read(f"doc_{number}", wrong))
    triage.handle(triage.read("doc_3", record()))
    whole = triage.client.get("/v1/reports").json()["items"]
    risks = [item["risk"] for item in whole]
    assert risks == sorted(risks, reverse=True)
    assert whole[-1]["document_id"] == "doc_3"
    assert [item["findings"] > 0 for item in whole] == [True, True, False]
    assert {item["name"] for item in whole} == {"a.jsonl"}

    up = triage.client.get("/v1/reports", params={"order": "risk"}).json()["items"]
    assert up == whole[::-1]
    flagged = triage.client.get("/v1/reports", params={"flagged": True}).json()["items"]
    assert flagged == [item for item in whole if item["flagged"]]
    likely = triage.client.get("/v1/reports", params={"min_risk": risks[1]}).json()["items"]
    assert likely == whole[:2]

    pages: list[dict[str, Any]] = []
    more: dict[str, str] | None = {}
    while more is not None:
        page = triage.client.get("/v1/reports", params={"limit": "1", **more}).json()
        pages += page["items"]
        more = {"cursor": page["next"]} if page["next"] else None
    assert pages == whole
    assert triage.client_of("other").get("/v1/reports").json()["items"] == []
    triage.handle(DocumentDeleted(document_id="doc_1"))
    left = triage.client.get("/v1/reports").json()["items"]
    assert "doc_1" not in {item["document_id"] for item in left}


@pytest.mark.parametrize("cursor", ["x", "0.5", "nan~doc_1", "0.5~a\x00b", "9.5e999~d", "~~"])
def test_a_cursor_that_no_list_gave_is_refused(triage: Triage, cursor: str) -> None:
    assert triage.client.get("/v1/reports", params={"cursor": cursor}).status_code == 422


def wide(columns: int) -> dict[str, Any]:
    """A filing whose income statement has many years."""
    years = [f"{2023 - n:04d}1231" for n in range(columns)]
    lines = {"Net sales": 1000, "Cost of goods sold": 600, "Gross profit": 400}
    income = {
        "statement": "income",
        "columns": [{"end": year, "quarters": 4} for year in years],
        "rows": [
            {"label": name, "values": [value * 1_000_000 + n for n in range(columns)]}
            for name, value in lines.items()
        ],
    }
    return {"id": "wide", "company": "Wide Corp", "statements": [income]}


def test_of_many_columns_the_first_are_checked(triage: Triage) -> None:
    triage.handle(triage.read("doc_1", wide(2 * MOST_COLUMNS)))
    body = triage.findings("doc_1")
    assert body["warnings"] == ["wide: income: only the first 100 of 200 columns are checked"]
    (shown,) = triage.answer("doc_1", "statements")["items"]
    assert len(shown["statements"][0]["columns"]) == 2 * MOST_COLUMNS


def test_of_many_rows_the_first_are_checked() -> None:
    filing = read(wide(2))
    income = filing.statements[0]
    long = replace(income, rows=income.rows * MOST_ROWS)
    found = limit_size(replace(filing, statements=(long,)))
    assert found.statements[0].rows == long.rows[:MOST_ROWS]
    assert found.warnings == ("income: only the first 500 of 1,500 rows are checked",)
    assert limit_size(filing) is filing
