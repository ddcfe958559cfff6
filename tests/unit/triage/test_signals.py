"""What is unusual though it adds up: which figures, which ratios, held against whom, said how."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from services.triage.judgement import triage_filing
from services.triage.reading.document import MOST_COLUMNS
from services.triage.risk import Judge
from services.triage.settings import Settings
from services.triage.signals.figures import Books
from services.triage.signals.peers import (
    PERCENTILES,
    Peers,
    PeersError,
    Spread,
    write,
)
from services.triage.signals.ratios import BY_NAME, RATIOS, WEIGHTS, Asked, beneish
from services.triage.signals.signals import Signal, signals_of
from shared.artefacts import NoModel
from shared.events import DocumentDeleted, FindingsFound
from shared.settings import load
from tests.support import ROOT
from tests.unit.triage.filings import find_row, read, record
from tests.unit.triage.house import House

SIGNALS = "/v1/documents/{}/signals"
REPORTS = "/v1/reports"
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
EVEN = Spread(100, (-0.2, -0.1, -0.05, 0.05, 0.1, 0.15, 0.25, 0.3, 0.4))
"""Half of 100 companies below 10%, 19 of 20 from -10% to 30%."""


def peers(strong: float = 3.0, **spreads: Spread) -> Peers:
    """What is usual; of other ratios nothing is known."""
    return Peers(LABELS, {key.replace("_of_", "|"): s for key, s in spreads.items()}, strong)


def by_name(found: tuple[Signal, ...]) -> dict[str, Signal]:
    """Signals by their ratio."""
    return {signal.signal: signal for signal in found}


def changed(statement: str, label: str, column: int, millions: float) -> dict[str, Any]:
    """The sound filing with another amount, in millions."""
    filing = copy.deepcopy(record())
    part, index = find_row(filing, statement, label)
    part["rows"][index]["values"][column] = int(millions * 1_000_000)
    return filing


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
    """Of the latest period, from the cells that are named as its inputs."""
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
    """Worked by hand from the figures of two years."""
    filing = read(record())
    books = Books.of(filing, peers().figure)
    found = beneish(Asked(books, books.periods[0], []))
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
    """And no more than that: nothing is known of peers here."""
    filing = read(changed("balance_sheet", "Accounts receivable, net", 1, 600))
    signal = by_name(signals_of(filing, peers()))["beneish_m"]
    assert signal.value > -1.78
    assert (signal.level, signal.peers) == ("unusual", None)


def test_without_a_figure_there_is_no_ratio() -> None:
    """Nothing is made up for a line that is not there, and nothing is divided by nothing."""
    filing = record()
    part, index = find_row(filing, "balance_sheet", "Long-term debt")
    del part["rows"][index]
    part, index = find_row(filing, "income", "Net sales")
    part["rows"][index]["values"] = [0, 0, 0]
    found = by_name(signals_of(read(filing), peers()))
    assert {"beneish_m", "net_margin", "sales_growth"}.isdisjoint(found)
    assert "current_ratio" in found


def test_cost_is_taken_without_sign_and_by_gross_profit() -> None:
    """Companies print costs with a minus, or only what is left of sales."""
    filing = record()
    part, index = find_row(filing, "income", "Cost of goods sold")
    part["rows"][index]["values"] = [-v for v in part["rows"][index]["values"]]
    minus = by_name(signals_of(read(filing), peers()))["cost_share"].value
    del part["rows"][index]
    left = by_name(signals_of(read(filing), peers()))["cost_share"].value
    assert minus == left == pytest.approx(7431 / 11853, abs=1e-6)


def test_a_quarter_is_held_against_quarters() -> None:
    """Days count by the length of the period, and growth is against the same quarter a year ago."""
    filing = record()
    for name in ("income", "cash_flow"):
        part = next(s for s in filing["statements"] if s["statement"] == name)
        part["columns"] = [{"end": f"{y}1231", "quarters": 1} for y in (2023, 2022, 2021)]
    found = by_name(signals_of(read(filing), peers(sales_growth_of_part_of_level=EVEN)))
    assert found["receivable_days"].value == pytest.approx(2719 / 11853 * 365 / 4, abs=1e-6)
    assert found["sales_growth"].peers is not None
    assert {"beneish_m", "asset_growth"}.isdisjoint(found), "they mean something for years alone"


def test_a_length_that_nobody_says_is_not_made_up() -> None:
    """Three years beside each other are years; two columns may be quarters, and give nothing."""
    filing = record()
    for name in ("income", "cash_flow"):
        part = next(s for s in filing["statements"] if s["statement"] == name)
        part["columns"] = [{"end": f"{year}1231"} for year in (2023, 2022, 2021)]
    assert by_name(signals_of(read(filing), peers()))["receivable_days"].quarters == 4
    for name in ("income", "cash_flow"):
        part = next(s for s in filing["statements"] if s["statement"] == name)
        part["columns"] = part["columns"][:2]
        for line in part["rows"]:
            line["values"] = line["values"][:2]
    assert signals_of(read(filing), peers()) == ()


@pytest.mark.parametrize(
    ("sales", "level"), [(11_853, "usual"), (14_900, "unusual"), (20_000, "strong")]
)
def test_how_far_from_its_peers_says_how_unusual(sales: float, level: str) -> None:
    """Beyond 19 of 20 companies is unusual; strong is what the artefact says."""
    usual = peers(sales_growth_of_year_of_level=EVEN)
    filing = read(changed("income", "Net sales", 0, sales))
    signal = by_name(signals_of(filing, usual))["sales_growth"]
    growth = sales / 11207 - 1
    assert signal.level == level
    assert signal.distance == pytest.approx(abs(growth - 0.1) / 0.2, abs=1e-3)
    assert "19 in 20 of 100 companies lie between -10.0% and 30.0%" in signal.message


def test_what_moved_within_a_year_is_unusual_though_its_level_is_not() -> None:
    """A company's own columns are held against how far such a ratio moves in others."""
    still = Spread(100, (-0.03, -0.02, -0.01, 0.0, 0.0, 0.0, 0.01, 0.02, 0.03))
    usual = peers(net_margin_of_year_of_level=EVEN, net_margin_of_year_of_change=still)
    filing = read(changed("income", "Net income", 0, 2400))
    signal = by_name(signals_of(filing, usual))["net_margin"]
    assert signal.level == "strong"
    assert signal.peers is not None
    assert signal.change is not None
    assert signal.peers.distance < 1 < signal.change.distance
    assert "moves by -2.0% to 2.0% in 19 in 20 of 100" in signal.message
    assert [end for end, _ in signal.history] == ["20221231", "20211231"]


def test_too_few_companies_say_nothing() -> None:
    """With a handful of peers nothing is called unusual."""
    few = Spread(5, EVEN.percentiles)
    signals = signals_of(
        read(changed("income", "Net sales", 0, 90_000)), peers(sales_growth_of_year_of_level=few)
    )
    assert by_name(signals)["sales_growth"].level == "usual"


def test_training_columns_make_no_difference() -> None:
    """What a line is, is told by its label alone."""
    filing = record()
    named = copy.deepcopy(filing)
    for statement in named["statements"]:
        for row in statement["rows"]:
            row["concept"] = "Revenues"
    one, two = (signals_of(read(f), peers()) for f in (filing, named))
    assert one == two


def test_an_artefact_is_read_as_it_was_written(tmp_path: Path) -> None:
    """And a damaged one, one of another format and an empty folder are told so."""
    usual = peers(sales_growth_of_year_of_level=EVEN)
    made = Peers(usual.labels, usual.spreads, 3.0, "1.0.0")
    more = {"filings": 1, "companies": 1, "provenance": "tests", "licence": "none"}
    folder = tmp_path / "triage-peers" / "1.0.0"
    write(folder, made, **more)
    assert Peers.load(tmp_path) == made
    assert len(EVEN.percentiles) == len(PERCENTILES)
    (folder / "peers.json.gz").write_bytes(b"torn")
    with pytest.raises(PeersError, match="damaged"):
        Peers.found(tmp_path)
    write(folder, made, **more)
    manifest = folder / "peers.json"
    manifest.write_text(manifest.read_text().replace('"format": 1', '"format": 9'))
    with pytest.raises(PeersError, match="format 9"):
        Peers.found(tmp_path)
    manifest.unlink()
    with pytest.raises(NoModel):
        Peers.found(tmp_path)


def test_without_an_artefact_there_are_no_signals(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says so; nothing else changes."""
    assert Peers.found(tmp_path) is None
    assert "gives no signals" in caplog.text


def shipped() -> Peers:
    """What comes with the suite."""
    return Peers.load(load(Settings).artefacts_folder)


def test_what_ships_knows_the_lines_of_a_usual_filing() -> None:
    """Every ratio is given, none of them strong, and each has its source."""
    found = by_name(signals_of(read(record()), shipped()))
    assert set(found) == {ratio.name for ratio in RATIOS}
    assert all(signal.level != "strong" and signal.source for signal in found.values())


def test_the_card_tells_of_what_ships() -> None:
    """Artefact and card are of one making."""
    card = (ROOT / "models" / "triage-signals" / "CARD.md").read_text("utf-8")
    assert f"*strong* from {shipped().strong:.1f} on" in card
    assert f"triage-peers/{shipped().version}`" in card
    assert f"{len(shipped().labels)} labels" in card


# The service


@pytest.fixture
def house(tmp_path: Path) -> Any:
    """Triage with everything real."""
    house = House(tmp_path)
    yield house
    house.service.close()


def strange() -> dict[str, Any]:
    """A filing whose sales grew a thousandfold."""
    return {**changed("income", "Net sales", 1, 12), "id": "strange"}


def test_signals_are_answered_and_the_strong_ones_announced(house: House) -> None:
    """Of those that share a figure the strongest is; risk is that of the findings alone."""
    house.say(house.read("doc_1", record(), strange()))
    answer = house.client.get(SIGNALS.format("doc_1"), params={"limit": 500})
    assert answer.status_code == 200, answer.text
    items = answer.json()["items"]
    assert {item["filing"] for item in items} == {"f1", "strange"}
    strong = [item for item in items if item["level"] == "strong"]
    assert "sales_growth" in {item["signal"] for item in strong}
    assert all(item["filing"] == "strange" and item["id"].startswith("sg_") for item in strong)
    (event,) = house.heard(FindingsFound)
    assert len(strong) > 1
    assert json.loads(house.service.blobs.get("default", event.signals)) == strong[:1]
    assert event.model.startswith("triage-breaks ")
    judge = Judge.load(load(Settings).artefacts_folder)
    alone = [triage_filing(read(filing), judge) for filing in (record(), strange())]
    assert event.risk == max(verdict.risk for verdict in alone)
    assert event.flagged == any(verdict.flagged for verdict in alone)


def test_signals_go_on_at_the_cursor(house: House) -> None:
    """Page by page the same list; a cursor of one's own making is refused."""
    house.say(house.read("doc_1", record(), strange()))
    path = SIGNALS.format("doc_1")
    whole = house.client.get(path, params={"limit": 500}).json()
    first = house.client.get(path, params={"limit": 4}).json()
    rest = house.client.get(path, params={"limit": 500, "cursor": first["next"]}).json()
    assert [*first["items"], *rest["items"]] == whole["items"]
    assert (whole["next"], rest["next"]) == (None, None)
    assert house.client.get(path, params={"cursor": "x"}).status_code == 422


def test_a_filing_without_known_lines_has_no_signals(house: House) -> None:
    """An empty list, and nothing for review."""
    bare = record()
    for statement in bare["statements"]:
        for number, row in enumerate(statement["rows"]):
            row["label"] = f"Line {number}"
    house.say(house.read("doc_1", bare))
    assert house.client.get(SIGNALS.format("doc_1")).json() == {"items": [], "next": None}
    (event,) = house.heard(FindingsFound)
    assert event.signals is None


def test_signals_of_a_report_that_was_judged_before_are_not_made_up(house: House) -> None:
    """Whoever asks is told to have it worked on anew."""
    house.say(house.read("doc_1", record()))
    house.service.store.migrate("0003")
    house.service.store.migrate()
    answer = house.client.get(SIGNALS.format("doc_1"))
    assert answer.status_code == 409
    assert "reprocess it" in answer.json()["detail"]


def test_reports_are_listed_by_risk(house: House) -> None:
    """The riskiest first, or the least risky; filtered, page by page, of one's own tenant."""
    for number, column in ((1, 0), (2, 1)):
        wrong = {**record(), "id": f"w{number}"}
        part, index = find_row(wrong, "balance_sheet", "Total assets")
        part["rows"][index]["values"][column] += 7_000_000 * number
        house.say(house.read(f"doc_{number}", wrong))
    house.say(house.read("doc_3", record()))
    whole = house.client.get(REPORTS).json()["items"]
    risks = [item["risk"] for item in whole]
    assert risks == sorted(risks, reverse=True)
    assert whole[-1]["document_id"] == "doc_3"
    assert [item["findings"] > 0 for item in whole] == [True, True, False]
    assert {item["name"] for item in whole} == {"a.jsonl"}

    up = house.client.get(REPORTS, params={"order": "risk"}).json()["items"]
    assert up == whole[::-1]
    flagged = house.client.get(REPORTS, params={"flagged": True}).json()["items"]
    assert flagged == [item for item in whole if item["flagged"]]
    likely = house.client.get(REPORTS, params={"least": risks[1]}).json()["items"]
    assert likely == whole[:2]

    pages: list[dict[str, Any]] = []
    more: dict[str, str] | None = {}
    while more is not None:
        page = house.client.get(REPORTS, params={"limit": "1", **more}).json()
        pages += page["items"]
        more = {"cursor": page["next"]} if page["next"] else None
    assert pages == whole
    assert house.client_of("other").get(REPORTS).json()["items"] == []
    house.say(DocumentDeleted(document_id="doc_1"))
    left = house.client.get(REPORTS).json()["items"]
    assert "doc_1" not in {item["document_id"] for item in left}


@pytest.mark.parametrize("cursor", ["x", "0.5", "nan~doc_1", "0.5~a\x00b", "9.5e999~d", "~~"])
def test_a_cursor_that_no_list_gave_is_refused(house: House, cursor: str) -> None:
    """And never reaches the database."""
    assert house.client.get(REPORTS, params={"cursor": cursor}).status_code == 422


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


def test_of_many_columns_the_first_are_checked(house: House) -> None:
    """A warning says so; what was read is shown whole."""
    house.say(house.read("doc_1", wide(2 * MOST_COLUMNS)))
    body = house.client.get("/v1/documents/doc_1/findings").json()
    assert body["warnings"] == ["wide: income: 200 columns, of which the first 100 are checked"]
    (shown,) = house.client.get("/v1/documents/doc_1/statements").json()["items"]
    assert len(shown["statements"][0]["columns"]) == 2 * MOST_COLUMNS


def test_a_period_finds_the_year_before_it_at_once() -> None:
    """The nearest one of the same length, however many there are."""
    books = Books.of(read(wide(50)), peers().figure)
    first, *_, last = books.periods
    before = books.year_before(first)
    assert before is not None
    assert before.end.year == first.end.year - 1
    assert books.year_before(last) is None
