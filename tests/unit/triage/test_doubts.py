"""What a filing raises doubts about, and what a learned judge makes of them."""

from __future__ import annotations

import copy
import gzip
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.cli.judging import Reports
from services.triage.bootstrap import build
from services.triage.doubts import COLUMNS, KINDS, Doubt
from services.triage.experience import Experience, bare, learn
from services.triage.history import Earlier, with_history
from services.triage.judgement import triage_filing
from services.triage.raising import raised
from services.triage.relations import sheets
from services.triage.risk import (
    EXPERIENCE_FILE,
    FOREST_FILE,
    MANIFEST_FILE,
    NAME,
    Judge,
    RiskError,
    write,
)
from shared.artefacts import NoModel
from shared.runtime.main import main
from shared.version import VERSION
from tests.support import ROOT
from tests.unit.triage.filings import balance_sheet, bent, find_row, millions, read, record, row
from tests.unit.triage.house import House

CONCEPTS = {
    "Net sales": "Revenues",
    "Cost of goods sold": "CostOfRevenue",
    "Gross profit": "GrossProfit",
    "Depreciation and amortization": "Depreciation",
    "Net income": "NetIncomeLoss",
}


def taught(*filings: dict[str, Any]) -> Experience:
    """What filings teach, each of a company of its own."""
    seen = []
    for company, filing in enumerate(filings):
        pages = sheets(read(filing))
        concepts = [[CONCEPTS.get(r.label, r.label) for r in page.rows] for page in pages]
        seen.append((company, pages, concepts))
    return learn(seen)


def doubts(filing: dict[str, Any], experience: Experience | None = None) -> list[Doubt]:
    """Every doubt about a filing."""
    return raised(sheets(read(filing)), experience or Experience())


def of_kind(kind: str, filing: dict[str, Any], experience: Experience | None = None) -> list[Doubt]:
    """The doubts of one kind."""
    return [doubt for doubt in doubts(filing, experience) if doubt.kind == kind]


def judge(flagged: float = 0.4, shown: float = 0.2, gap: float = 0.1) -> Judge:
    """A judge whose forest believes what is found by rule as far, and gaps as said."""

    def forest(rows: Any) -> Any:
        is_gap = rows[:, COLUMNS.index("kind")] == KINDS.index("gap")
        by_rule = np.clip(rows[:, COLUMNS.index("by_rule")], 0.1, 1)
        return np.where(is_gap, gap, by_rule).astype(np.float32)

    return Judge(Experience(), forest, flagged, shown)


def with_costs(cash_flow: int = 563) -> dict[str, Any]:
    """The sound filing with depreciation on the income statement, a cost of sales of its own."""
    filing = copy.deepcopy(record())
    part, index = find_row(filing, "income", "Operating income")
    part["rows"].insert(index, row("Depreciation and amortization", 563, 541, 522))
    flow, line = find_row(filing, "cash_flow", "Depreciation and amortization")
    flow["rows"][line] = row("Depreciation and amortization", cash_flow, 541, 522)
    return filing


# What is learned of other companies


def test_labels_are_compared_without_asides_and_figures() -> None:
    """The same line is named alike by companies that add notes and amounts."""
    assert bare("Accounts receivable, net (Note 4)") == "accounts receivable net"
    assert bare("Goodwill - 2,116") == "goodwill"


def test_a_label_is_known_by_what_is_left_of_it() -> None:
    """Without what follows its first clause, and without the words of one company."""
    filings = [copy.deepcopy(record()) for _ in range(6)]
    experience = taught(*filings)
    assert experience.name("balance_sheet", "Total Jones stockholders' equity") == (
        "Total stockholders' equity"
    )
    assert experience.name("balance_sheet", "Inventories, at the lower of cost") == "Inventories"
    assert experience.name("balance_sheet", "Bullion") == ""


def test_a_label_has_a_name_once_two_companies_use_it() -> None:
    """What one company alone says is known to nobody else."""
    assert taught(record()).name("income", "Net sales") == ""
    assert taught(record(), record()).name("income", "NET SALES") == "Revenues"
    assert taught(record(), record()).name("cash_flow", "Net sales") == ""


def test_totals_and_parts_are_counted_with_their_signs() -> None:
    """Gross profit is a sum in both companies: sales added, costs subtracted."""
    experience = taught(record(), record())
    assert experience.totals["income|GrossProfit"] == [2, 2, 0]
    parts = experience.parts["income|GrossProfit"]
    assert parts["Revenues"] == [2, 0, 0]
    assert parts["CostOfRevenue"] == [0, 2, 0]


def test_signs_and_sizes_of_lines_are_counted() -> None:
    """A line that both companies show below zero is below zero in all of its share."""
    experience = taught(record(), record())
    assert experience.lines["cash_flow|Dividends paid"][:2] == [2, 1]
    assert experience.lines["income|Revenues"][1] == 0


def test_a_pair_of_lines_is_known_once_it_agrees_in_two_companies() -> None:
    """Depreciation agrees between two statements; that it differs in a column counts against it."""
    key = "cash_flow|Depreciation|income|Depreciation"
    assert key not in taught(record(), with_costs()).pairs
    assert taught(with_costs(), with_costs()).pairs[key] == [6, 0]
    assert taught(with_costs(), with_costs(653)).pairs[key] == [5, 1]


def test_experience_survives_being_written() -> None:
    """What is read again is what was learned, to three places."""
    experience = taught(with_costs(), with_costs())
    again = Experience(**json.loads(json.dumps(experience.to_json())))
    assert again.names == experience.names
    assert again.pairs == experience.pairs
    assert again.totals == experience.totals


# What is doubted


def test_a_cell_in_broken_sums_is_one_doubt() -> None:
    """The same cell that the rules find, with the rule's own confidence among its numbers."""
    (doubt,) = of_kind("cell", bent("income", "Operating income", 1, 1568))
    assert (doubt.row, doubt.column) == (4, 1)
    assert doubt.expected == millions(1561)
    assert doubt.numbers["mends"] == 2
    assert doubt.numbers["by_rule"] == 0.97


def test_a_total_without_a_line_has_a_gap_in_every_statement() -> None:
    """Also on the income statement, where no rule looks for missing lines."""
    filing = copy.deepcopy(record())
    part, index = find_row(filing, "income", "Interest expense")
    del part["rows"][index]
    (gap,) = [g for g in of_kind("gap", filing) if g.statement == 1]
    assert index in (gap.row, *gap.rows)
    assert gap.numbers["columns_alike"]
    assert not [g for g in of_kind("gap", record()) if g.statement == 1]


@pytest.mark.parametrize(("more", "doubted"), [(0, False), (700, True)])
def test_a_total_that_shows_a_sum_again_has_no_gap(more: int, doubted: bool) -> None:
    """A part that begins again with a total from above lacks nothing; another amount does."""
    filing = copy.deepcopy(record())
    part, _ = find_row(filing, "balance_sheet", "Total assets")
    part["rows"] += [
        row("Assets of segments", 911, 822),
        row("Total current assets", 4941 + more, 4590 + more),
    ]
    last = len(part["rows"]) - 1
    assert (last in {g.rows[-1] for g in of_kind("gap", filing) if g.statement == 0}) == doubted


def test_a_line_beside_the_one_above_in_a_sum_is_told() -> None:
    """Both are parts of operating income, so neither is the sum of the other."""
    filing = copy.deepcopy(record())
    part, index = find_row(filing, "income", "Selling, general and administrative expenses")
    values = [v // 1_000_000 for v in part["rows"][index]["values"]]
    part["rows"][index : index + 1] = [
        row("Research and development", *(100 for _ in values)),
        row("Total selling and administrative expenses", *(v - 100 for v in values)),
    ]
    (gap,) = [g for g in of_kind("gap", filing) if (g.statement, g.rows[-1]) == (1, index + 1)]
    assert (gap.statement, gap.numbers["beside"]) == (1, True)


def test_a_difference_of_one_unit_is_doubted_where_nothing_else_is_rounded() -> None:
    """A total that two sums miss by one; in a filing that rounds often nothing is said."""
    filing = copy.deepcopy(record())
    part, index = find_row(filing, "income", "Operating income")
    pad(filing)
    assert not of_kind("unit", filing)
    part["rows"][index]["values"][1] += 1_000_000
    (doubt,) = of_kind("unit", filing)
    assert (doubt.statement, doubt.row, doubt.column) == (1, index, 1)
    assert doubt.numbers["mends"] == 2
    assert triage_filing(read(filing), judge()).findings == ()
    findings = triage_filing(read(filing), judge(shown=0.05)).findings
    (finding,) = [f for f in findings if (f.statement, f.row, f.column) == ("income", index, 1)]
    assert "may explain it, but little else here is rounded" in finding.message
    for line, column in ((index, 0), (index, 2), (0, 0)):
        part["rows"][line]["values"][column] += 1_000_000
    assert not of_kind("unit", filing)


def test_what_other_columns_prove_of_a_line_is_told() -> None:
    """A line that is empty elsewhere was never seen with a sign; one that always was is proved."""
    filing = copy.deepcopy(record())
    part, index = find_row(filing, "cash_flow", "Dividends paid")
    part["rows"].insert(index, row("Acquisition", None, 50, None))
    for label in ("Net cash used in financing activities",
                  "Net increase (decrease) in cash and cash equivalents"):  # fmt: skip
        _, line = find_row(filing, "cash_flow", label)
        part["rows"][line]["values"][1] -= 50_000_000
    (unproved,) = [d for d in of_kind("cell", filing) if d.row == index]
    assert (unproved.numbers["unproved"], unproved.numbers["turned_unproved"]) == (1, True)
    (proved,) = of_kind("cell", bent("income", "Operating income", 1, 1568))
    assert (proved.numbers["unproved"], proved.numbers["proved"]) == (0, 2)


def test_a_line_that_a_sum_does_not_take_may_be_what_it_lacks() -> None:
    """What one column lacks stands below the total, and only in this column."""
    filing = copy.deepcopy(record())
    part, index = find_row(filing, "balance_sheet", "Total current liabilities")
    part["rows"][index]["values"][0] += 161_000_000
    part["rows"].insert(index + 1, row("Contingent consideration", 161, 0))
    found = [d for d in of_kind("cell", filing) if d.column == 0 and index in d.rows]
    assert 2 in {d.numbers["is_elsewhere"] for d in found}


def test_a_statement_of_another_size_than_the_others_is_doubted() -> None:
    """All of an income statement is a thousandth; the others have nothing to compare it with."""
    filing = copy.deepcopy(record())
    for line in filing["statements"][1]["rows"]:
        line["values"] = [v and v // 1000 for v in line["values"]]
    filing["statements"] = filing["statements"][:2]
    found = of_kind("scale", filing)
    assert [
        (d.statement, round(d.numbers["factor"])) for d in found if d.numbers["factor"] < 0
    ] == [(1, -3)]
    assert not of_kind("scale", record())


def test_opposite_gaps_that_an_exchange_closes_name_the_line() -> None:
    """Where no column adds up, two amounts that changed places are found all the same."""
    filing = copy.deepcopy(record())
    part, index = find_row(filing, "balance_sheet", "Accounts receivable, net")
    part["rows"][index] = row("Accounts receivable, net", 12, 9)
    total, place = find_row(filing, "balance_sheet", "Total current assets")
    total["rows"][place] = row("Total current assets", 2231, 2136)
    (gap,) = [g for g in of_kind("gap", filing) if g.rows[-1] == place]
    assert (gap.row, gap.column) == (index, 0)
    assert (gap.reported, gap.expected) == (millions(12), millions(9))
    assert gap.numbers["swapped_pattern"]


def test_an_amount_finer_than_its_statement_is_doubted() -> None:
    """A statement in millions has one amount with thousands."""
    (doubt,) = of_kind("finer", bent("income", "Interest expense", 0, 214.14))
    assert (doubt.row, doubt.column) == (5, 0)
    assert not of_kind("finer", record())


def test_a_line_that_stands_there_twice_is_doubted() -> None:
    """The second one is named."""
    filing = copy.deepcopy(record())
    part, index = find_row(filing, "balance_sheet", "Inventories")
    part["rows"].insert(index, part["rows"][index])
    (doubt,) = of_kind("twice", filing)
    assert doubt.row == index + 1
    assert doubt.numbers["same_label"]


def test_an_amount_out_of_proportion_to_its_line_is_doubted() -> None:
    """A thousandth of what the other columns show."""
    (doubt,) = of_kind("proportion", bent("cash_flow", "Capital expenditures", 1, -0.689))
    assert (doubt.row, doubt.column) == (4, 1)
    assert doubt.numbers["factor_is_thousand"] < 0.1


def test_a_sign_that_nobody_else_has_is_doubted() -> None:
    """Dividends above zero in every column, which no other column could tell."""
    experience = taught(record(), record())
    filing = copy.deepcopy(record())
    part, index = find_row(filing, "cash_flow", "Dividends paid")
    part["rows"][index] = row("Dividends paid", 495, 461, 430)
    flow = [d for d in of_kind("sign", filing, experience) if d.statement == 2]
    assert {d.column for d in flow if d.row == index} == {0, 1, 2}
    assert index not in {d.row for d in of_kind("sign", record(), experience) if d.statement == 2}


def test_lines_that_agree_in_others_are_compared_here() -> None:
    """Depreciation differs from itself on the other statement, in one column of three."""
    experience = taught(with_costs(), with_costs())
    found = of_kind("cell", with_costs(653), experience)
    assert any(d.numbers["check_same_amount"] for d in found)
    assert not any(d.numbers["check_same_amount"] for d in of_kind("cell", with_costs(653)))


def test_a_doubt_has_a_number_for_every_column() -> None:
    """The forest is told the same columns of every kind, and none by a name that is not one."""
    for filing in (
        bent("income", "Operating income", 1, 1568),
        bent("balance_sheet", "Goodwill", 0, 2),
    ):
        for doubt in doubts(filing):
            assert len(doubt.vector()) == len(COLUMNS)
            assert set(doubt.numbers) <= set(COLUMNS)


# What is made of it


def test_the_risk_is_that_of_the_likeliest_doubt() -> None:
    """Findings come by what the judge says of them, and the filing is flagged by the surest."""
    filing = read(bent("income", "Operating income", 1, 1568))
    verdict = triage_filing(filing, judge())
    assert verdict.risk == pytest.approx(0.97)
    assert verdict.flagged
    assert verdict.findings[0].confidence == verdict.risk
    assert not triage_filing(filing, judge(flagged=0.98)).flagged
    assert not triage_filing(filing, judge(flagged=0.98, shown=0.98)).findings


def test_a_sound_filing_has_no_risk() -> None:
    """Where nothing is doubted, the judge has nothing to say."""
    verdict = triage_filing(read(record()), judge())
    assert (verdict.flagged, verdict.findings) == (False, ())


def test_a_cause_is_reported_once_and_at_most_five() -> None:
    """A cell that is out of proportion and breaks sums is one finding."""
    filing = read(bent("balance_sheet", "Goodwill", 0, 2116000))
    found = triage_filing(filing, judge(shown=0.05)).findings
    assert len(found) <= 5
    places = [(f.statement, f.row, f.column) for f in found]
    assert len(places) == len(set(places))


@pytest.mark.parametrize(("gap", "told"), [(0.5, 1), (0.99, 2)])
def test_a_gap_beside_a_line_that_is_wrong_is_the_same_cause(gap: float, told: int) -> None:
    """What lies above the next total is off because of it; a surer gap is told first, beside it."""
    filing = read(bent("balance_sheet", "Total current assets", 1, 4509))
    found = triage_filing(filing, judge(gap=gap)).findings
    assert [f.check for f in found].count("balance_sheet_sums") == 1
    assert len([f for f in found if 4 in (f.row, *f.rows)]) == told


def unbalanced(*more: int) -> dict[str, Any]:
    """A balance sheet with so many millions more of assets in its columns; its subtotals hold."""
    sheet = balance_sheet()
    for line in (1, 4, 7):
        for column, amount in enumerate(more):
            sheet["rows"][line]["values"][column] += amount * 1_000_000
    return sheet


def beside_others(sheet: dict[str, Any]) -> dict[str, Any]:
    """A filing with the balance sheet, and twelve broken totals on the income statement."""
    lines = []
    for i in range(12):
        parts = [(1000 + 97 * i + 13 * c, 2000 + 53 * i + 29 * c) for c in range(3)]
        total = [first + second for first, second in parts]
        total[i % 3] += 30 + i
        lines += [
            row(f"Revenue of segment {i}", *(first for first, _ in parts)),
            row(f"Other revenue of segment {i}", *(second for _, second in parts)),
            row(f"Total revenue of segment {i}", *total),
        ]
    columns = [{"end": f"{year}1231", "quarters": 4} for year in (2023, 2022, 2021)]
    income = {"statement": "income", "columns": columns, "rows": lines}
    return {"id": "f", "statements": [sheet, income]}


def sure_of_others() -> Judge:
    """A judge who believes sums that break, amounts out of proportion less, the balance hardly."""

    def forest(rows: Any) -> Any:
        kind = rows[:, COLUMNS.index("kind")]
        balance = rows[:, COLUMNS.index("check_balance_equation")] == 1
        sums = np.where(balance, 0.05, 0.9)
        others = np.where(kind == KINDS.index("proportion"), 0.7, 0.0)
        return np.where(kind == KINDS.index("cell"), sums, others).astype(np.float32)

    return Judge(Experience(), forest, 0.8, 0.2)


@pytest.mark.parametrize("more", [(5,), (5, 7)])
def test_a_sheet_that_does_not_balance_is_told_beside_many_other_breaks(
    more: tuple[int, ...],
) -> None:
    """Twelve likelier findings leave it its place, and the likeliest is still the first."""
    filing = read(beside_others(unbalanced(*more)))
    verdict = triage_filing(filing, sure_of_others())
    assert len(verdict.findings) == 5
    told = [f for f in verdict.findings if f.check == "balance_equation"]
    assert [f.column for f in told] == list(range(len(more)))
    assert [f.confidence for f in told] == [pytest.approx(0.05)] * len(more)
    assert verdict.findings[0].confidence == verdict.risk == pytest.approx(0.9)
    assert verdict.findings[: 5 - len(told)] == tuple(
        f for f in verdict.findings if f.statement == "income"
    )
    balanced = triage_filing(read(beside_others(unbalanced())), sure_of_others())
    assert [f.statement for f in balanced.findings] == ["income"] * 5


def test_it_keeps_its_place_where_an_earlier_filing_raises_a_doubt() -> None:
    """One more finding takes the place of the least likely other one."""
    now, then = beside_others(unbalanced(5)), beside_others(balance_sheet())
    then["statements"][0]["rows"][6]["values"][1] = 2_161_000_000
    alone = triage_filing(read(now), sure_of_others())
    said = with_history(read(now), alone, [Earlier.of(read(then))], 0.8)
    checks = [finding.check for finding in said.findings]
    assert len(checks) == 5
    assert (checks[0], checks[-1]) == ("earlier_filing", "balance_equation")
    assert said.findings[1:4] == alone.findings[:3]


def test_what_is_always_told_is_told_once_a_cause() -> None:
    """Total assets that break the balance and are out of proportion: one finding, by the surer."""
    sheet = balance_sheet()
    sheet["rows"][7]["values"][0] *= 1000
    verdict = triage_filing(read(beside_others(sheet)), sure_of_others())
    told = [f for f in verdict.findings if f.statement == "balance_sheet"]
    assert [(f.row, f.column) for f in told] == [(7, 0)]
    assert told[0].confidence == pytest.approx(0.7)


def test_a_gap_is_no_finding_where_lines_are_known_to_be_left_out() -> None:
    """An extract that is not whole lacks lines lawfully."""
    filing = copy.deepcopy(record())
    part, index = find_row(filing, "balance_sheet", "Goodwill")
    del part["rows"][index]
    whole = read(filing)
    assert triage_filing(whole, judge(gap=0.5)).findings
    part_of_it = type(whole)(**{**{k: getattr(whole, k) for k in whole.__slots__}, "whole": False})
    assert not triage_filing(part_of_it, judge(gap=0.5)).findings


def test_what_no_rule_believes_counts_a_little_less() -> None:
    """A gap that the forest is as sure of as of a broken sum comes after it."""
    filing = copy.deepcopy(record())
    part, index = find_row(filing, "income", "Interest expense")
    del part["rows"][index]
    pad(filing)
    full, less = judge(gap=0.8), replace(judge(gap=0.8), unbelieved=0.5)
    assert triage_filing(read(filing), full).risk == pytest.approx(0.8)
    assert triage_filing(read(filing), less).risk == pytest.approx(0.4)
    broken = bent("income", "Operating income", 1, 1568)
    pad(broken)
    assert triage_filing(read(broken), less).risk == pytest.approx(0.97)


def pad(filing: dict[str, Any]) -> None:
    """Lines upon lines, so that a filing shows more than its headlines."""
    part, index = find_row(filing, "cash_flow", "Change in receivables")
    for number in range(8):
        part["rows"][index:index] = [
            row(f"Increase in item {number}", 10 + number, 20 + number, 30 + number),
            row(f"Decrease in item {number}", -10 - number, -20 - number, -30 - number),
        ]


def test_headlines_are_judged_in_odds_of_their_own() -> None:
    """Where a filing shows headlines alone its doubts count more: one threshold does for all."""
    filing = copy.deepcopy(record())
    part, index = find_row(filing, "income", "Interest expense")
    del part["rows"][index]
    more = replace(judge(gap=0.5), unbelieved=0.5, headlines=4.0)
    assert triage_filing(read(filing), more).risk == pytest.approx(0.8)


def test_a_line_that_others_never_sum_has_no_gap() -> None:
    """Receivables that are said to be net are known as a plain line: nothing is missing above."""
    experience = taught(record(), record())
    filing = copy.deepcopy(record())
    named = [filing["statements"][g.statement]["rows"][g.rows[-1]]["label"]
             for g in of_kind("gap", filing, experience)]  # fmt: skip
    assert "Accounts receivable, net" not in named


def test_lines_above_their_total_are_doubted_among_headlines() -> None:
    """What is left out can't make a total less than two of its lines."""
    filing = copy.deepcopy(record())
    part, index = find_row(filing, "balance_sheet", "Total current liabilities")
    part["rows"][index] = row("Total current liabilities", 2900, 2958)
    found = of_kind("excess", filing)
    assert (found[0].row, found[0].column) == (index, 0)
    assert found[0].numbers["share"] == pytest.approx(181 / 2900)
    assert not of_kind("excess", record())
    pad(filing)
    assert not of_kind("excess", filing)


def test_how_many_of_two_equal_lines_a_sum_takes_is_told() -> None:
    """The sum of a section holds with one of them alone."""
    filing = copy.deepcopy(record())
    part, index = find_row(filing, "balance_sheet", "Inventories")
    part["rows"].insert(index, part["rows"][index])
    (doubt,) = of_kind("twice", filing)
    assert doubt.numbers["counted"] == 1


# The artefact


def _written(folder: Path) -> Path:
    (shipped,) = (ROOT / "models" / "artefacts" / NAME).iterdir()
    forest = (shipped / FOREST_FILE).read_bytes()
    place = folder / NAME / "0.0.1"
    write(
        place,
        forest,
        taught(record(), record()),
        "0.0.1",
        flagged=0.7,
        shown=0.2,
        unbelieved=0.9,
        headlines=4.0,
        licence="ours",
    )
    return place


def test_an_artefact_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Thresholds, version and experience come back; of several versions the newest is taken."""
    _written(tmp_path)
    found = Judge.load(tmp_path)
    assert (found.flagged, found.shown, found.version) == (0.7, 0.2, "0.0.1")
    assert found.experience.name("income", "Net sales") == "Revenues"
    assert len(found.chances(doubts(bent("income", "Operating income", 1, 1568)))) >= 1
    (tmp_path / NAME / "0.0.1").rename(tmp_path / NAME / "0.0.10")
    _written(tmp_path)
    assert (
        json.loads((tmp_path / NAME / "0.0.10" / MANIFEST_FILE).read_text())["version"] == "0.0.1"
    )


@pytest.mark.parametrize("name", [EXPERIENCE_FILE, FOREST_FILE])
def test_a_damaged_artefact_is_refused(name: str, tmp_path: Path) -> None:
    """A file that is not the one in the manifest is named, with what to do."""
    place = _written(tmp_path) / name
    place.write_bytes(gzip.compress(b"{}"))
    with pytest.raises(RiskError, match="restore it from the release"):
        Judge.load(tmp_path)


def test_without_an_artefact_rules_decide(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A missing model is a warning, not an end."""
    assert Judge.found(tmp_path) is None
    assert "rules alone" in caplog.text


def _damaged(folder: Path) -> Path:
    place = _written(folder) / FOREST_FILE
    place.write_bytes(place.read_bytes()[:-1])
    return place


def test_a_damaged_artefact_is_never_taken_for_none(tmp_path: Path) -> None:
    """Neither the service nor the command line goes on with other verdicts than it should give."""
    place = _damaged(tmp_path)
    with pytest.raises(RiskError, match=re.escape(str(place))):
        Judge.found(tmp_path)
    with pytest.raises(RiskError, match=re.escape(str(place))):
        House(tmp_path / "data", artefacts=tmp_path)
    place.with_name(MANIFEST_FILE).unlink()
    with pytest.raises(NoModel, match="there is no model"):
        Judge.found(tmp_path)


def test_the_service_says_why_it_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A damaged artefact ends the start with the file and what to do."""
    place = _damaged(tmp_path)
    monkeypatch.setenv("SMALLPRINT_ARTEFACTS", str(tmp_path))
    monkeypatch.setenv("SMALLPRINT_DATA", str(tmp_path / "data"))
    assert main(build, ["all"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("triage_model: ")
    assert f"{place} is missing or damaged; restore it from the release" in said


# The shipped judge


@pytest.fixture(scope="module")
def shipped() -> Judge:
    """What comes with the suite."""
    return Judge.load(ROOT / "models" / "artefacts")


def test_the_shipped_judge_is_quiet_about_a_sound_filing(shipped: Judge) -> None:
    """A company that nobody has seen, and everything adds up."""
    assert not triage_filing(read(record()), shipped).flagged


@pytest.mark.parametrize(
    ("statement", "label", "column", "amount"),
    [
        ("balance_sheet", "Total current assets", 1, 4509),
        ("balance_sheet", "Goodwill", 0, -2116),
        ("income", "Operating income", 1, 1568),
        ("cash_flow", "Net income", 1, 1302),
        ("cash_flow", "Dividends paid", 0, -0.495),
    ],
)
def test_the_shipped_judge_finds_slips_where_they_are(
    statement: str, label: str, column: int, amount: float, shipped: Judge
) -> None:
    """The filing is flagged, and the first finding names the place."""
    verdict = triage_filing(read(bent(statement, label, column, amount)), shipped)
    _, index = find_row(record(), statement, label)
    assert verdict.flagged
    first = verdict.findings[0]
    assert (first.statement, first.column) == (statement, column)
    assert index in (first.row, *first.rows)


def test_a_sheet_that_does_not_balance_is_told_though_nothing_else_breaks(shipped: Judge) -> None:
    """Every subtotal holds, but assets are five millions more: a finding, flagged or not."""
    filing = read({"id": "f", "statements": [unbalanced(5)]})
    verdict = triage_filing(filing, shipped)
    told = [f for f in verdict.findings if f.check == "balance_equation"]
    assert [f.column for f in told] == [0]
    assert told[0].confidence <= verdict.risk


def test_the_shipped_judge_misses_a_line_that_no_rule_misses(shipped: Judge) -> None:
    """A dropped line of the income statement raises the risk, where rules see nothing."""
    filing = copy.deepcopy(record())
    part, index = find_row(filing, "income", "Cost of goods sold")
    del part["rows"][index]
    sound = record()
    pad(filing)
    pad(sound)
    risk = triage_filing(read(filing), shipped).risk
    assert risk > 10 * triage_filing(read(sound), shipped).risk
    assert triage_filing(read(filing)).risk == 0


def test_the_command_line_and_the_service_ask_the_shipped_judge(
    shipped: Judge, tmp_path: Path
) -> None:
    """The risk that they say is the judge's, not that of the rules."""
    filing = bent("income", "Operating income", 1, 1568)
    expected = triage_filing(read(filing), shipped).risk
    assert expected != triage_filing(read(filing)).risk
    with Reports() as reports:
        (line,) = reports.result("a.json", json.dumps(filing).encode())["filings"]
    model = {"name": NAME, "version": shipped.version}
    assert (line["risk"], line["model"]) == (expected, model)
    house = House(tmp_path)
    house.say(house.read("doc_1", filing))
    answer = house.client.get("/v1/documents/doc_1/findings").json()
    assert (answer["risk"], answer["model"]) == (expected, model)


def test_results_say_that_rules_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is installed that was learned, command line and service name the rules."""
    monkeypatch.setenv("SMALLPRINT_ARTEFACTS", str(tmp_path))
    filing = bent("income", "Operating income", 1, 1568)
    model = {"name": "rules", "version": VERSION}
    with Reports() as reports:
        (line,) = reports.result("a.json", json.dumps(filing).encode())["filings"]
    assert line["model"] == model
    house = House(tmp_path / "data")
    house.say(house.read("doc_1", filing))
    assert house.client.get("/v1/documents/doc_1/findings").json()["model"] == model
