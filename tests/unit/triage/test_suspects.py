"""Suspects of a filing, and the verdict of a classifier about them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.triage_breaks.pattern_learning import learn
from services.cli.documents.reports import Reports
from services.triage.checks.classifier import FOREST_FILE, NAME, BreakClassifier, write
from services.triage.checks.suspect_generation import find_suspects
from services.triage.checks.suspects import COLUMNS, KINDS, Suspect
from services.triage.checks.verdict import triage_filing
from services.triage.relations.learned_sums import LearnedPatterns, label_words
from services.triage.relations.relations import statement_views
from shared.version import VERSION
from tests.support import artefacts
from tests.unit.triage.builders import Triage
from tests.unit.triage.filings import (
    balance_sheet,
    bent,
    change,
    find_row,
    millions,
    read,
    record,
    row,
    statement_of,
    without,
)

CONCEPTS = {
    "Net sales": "Revenues",
    "Cost of goods sold": "CostOfRevenue",
    "Gross profit": "GrossProfit",
    "Depreciation and amortization": "Depreciation",
    "Net income": "NetIncomeLoss",
}


def taught(*filings: dict[str, Any]) -> LearnedPatterns:
    seen = []
    for company, filing in enumerate(filings):
        pages = statement_views(read(filing))
        concepts = [[CONCEPTS.get(r.label, r.label) for r in page.rows] for page in pages]
        seen.append((company, pages, concepts))
    return learn(seen)


def suspects(filing: dict[str, Any], patterns: LearnedPatterns | None = None) -> list[Suspect]:
    return find_suspects(statement_views(read(filing)), patterns or LearnedPatterns())


def of_kind(
    kind: str, filing: dict[str, Any], patterns: LearnedPatterns | None = None
) -> list[Suspect]:
    return [suspect for suspect in suspects(filing, patterns) if suspect.kind == kind]


def classifier(flagged: float = 0.4, shown: float = 0.2, gap: float = 0.1) -> BreakClassifier:

    def forest(rows: Any) -> Any:
        is_gap = rows[:, COLUMNS.index("kind")] == KINDS.index("gap")
        by_rule = np.clip(rows[:, COLUMNS.index("by_rule")], 0.1, 1)
        return np.where(is_gap, gap, by_rule).astype(np.float32)

    return BreakClassifier(LearnedPatterns(), forest, flagged, shown)


def with_costs(cash_flow: int = 563) -> dict[str, Any]:
    """The sound filing with depreciation on the income statement."""
    filing = record()
    part, index = find_row(filing, "income", "Operating income")
    part["rows"].insert(index, row("Depreciation and amortization", 563, 541, 522))
    change(filing, "cash_flow", "Depreciation and amortization", cash_flow, 541, 522)
    return filing


# Patterns of other companies


def test_labels_are_compared_without_asides_and_figures() -> None:
    assert label_words("Accounts receivable, net (Note 4)") == "accounts receivable net"
    assert label_words("Goodwill - 2,116") == "goodwill"


def test_a_label_is_recognised_from_its_known_words() -> None:
    filings = [record() for _ in range(6)]
    patterns = taught(*filings)
    name = patterns.name("balance_sheet", "Total Jones stockholders' equity")
    assert name == "Total stockholders' equity"
    assert patterns.name("balance_sheet", "Inventories, at the lower of cost") == "Inventories"
    assert patterns.name("balance_sheet", "Bullion") == ""


def test_a_label_has_a_name_once_two_companies_use_it() -> None:
    assert taught(record()).name("income", "Net sales") == ""
    assert taught(record(), record()).name("income", "NET SALES") == "Revenues"
    assert taught(record(), record()).name("cash_flow", "Net sales") == ""


def test_a_pair_of_lines_is_known_once_it_agrees_in_two_companies() -> None:
    key = "cash_flow|Depreciation|income|Depreciation"
    assert key not in taught(record(), with_costs()).pairs
    assert taught(with_costs(), with_costs()).pairs[key] == [6, 0]
    assert taught(with_costs(), with_costs(653)).pairs[key] == [5, 1]


# Suspects


def test_a_cell_in_broken_sums_is_one_suspect() -> None:
    (suspect,) = of_kind("cell", bent("income", "Operating income", 1, 1568))
    assert (suspect.row, suspect.column) == (4, 1)
    assert suspect.expected == millions(1561)
    assert suspect.numbers["mends"] == 2
    assert suspect.numbers["by_rule"] == 0.97


def test_a_total_without_a_line_has_a_gap_in_every_statement() -> None:
    filing = without("income", "Interest expense")
    _, index = find_row(record(), "income", "Interest expense")
    (gap,) = [g for g in of_kind("gap", filing) if g.statement == 1]
    assert index in (gap.row, *gap.rows)
    assert gap.numbers["columns_alike"]
    assert not [g for g in of_kind("gap", record()) if g.statement == 1]


def test_a_total_that_other_totals_make_may_lack_a_line() -> None:
    filing = record()
    index = change(filing, "balance_sheet", "Retained earnings", 5664, 5100)
    part = statement_of(filing, "balance_sheet")
    part["rows"].insert(index, row("Additional paid-in capital", 1000, 1000))
    assert index + 2 not in {g.rows[-1] for g in of_kind("gap", filing) if g.statement == 0}
    del part["rows"][index + 1]
    (gap,) = [g for g in of_kind("gap", filing) if (g.statement, g.rows[-1]) == (0, index + 1)]
    assert {index - 1, index} < set(gap.rows)
    assert gap.numbers["holds"]
    _, total_assets = find_row(filing, "balance_sheet", "Total assets")
    del part["rows"][:total_assets]  # it is a line then, and no sum
    assert not [g for g in of_kind("gap", filing) if g.statement == 0]


def test_lines_without_an_amount_are_counted() -> None:
    filing = bent("income", "Operating income", 1, 1568)
    part, index = find_row(filing, "income", "Operating income")
    part["rows"][index + 1 : index + 1] = [
        row("Restructuring", None, None, None),
        row("Impairment", 0, None, None),
        row("Litigation", None, 0, 0),
        {"label": "Other", "values": [None, None, None], "heading": 1},
    ]
    (cell,) = of_kind("cell", filing)
    assert (cell.column, cell.numbers["without_amount"]) == (1, 2)
    del part["rows"][index - 1]
    gaps = [g for g in of_kind("gap", filing) if g.statement == 1]
    assert {g.numbers["without_amount"] for g in gaps} == {1}


@pytest.mark.parametrize(("more", "suspected"), [(0, False), (700, True)])
def test_a_total_that_shows_a_sum_again_has_no_gap(more: int, suspected: bool) -> None:
    filing = record()
    part = statement_of(filing, "balance_sheet")
    part["rows"] += [
        row("Assets of segments", 911, 822),
        row("Total current assets", 4941 + more, 4590 + more),
    ]
    last = len(part["rows"]) - 1
    assert (last in {g.rows[-1] for g in of_kind("gap", filing) if g.statement == 0}) == suspected


def test_a_sum_that_takes_a_line_and_the_one_above_as_equals_is_counted() -> None:
    filing = record()
    part, index = find_row(filing, "income", "Selling, general and administrative expenses")
    values = [v // 1_000_000 for v in part["rows"][index]["values"]]
    part["rows"][index : index + 1] = [
        row("Research and development", *(100 for _ in values)),
        row("Total selling and administrative expenses", *(v - 100 for v in values)),
    ]
    (gap,) = [g for g in of_kind("gap", filing) if (g.statement, g.rows[-1]) == (1, index + 1)]
    assert (gap.statement, gap.numbers["beside"]) == (1, True)


def test_a_difference_of_one_unit_is_suspect_where_nothing_else_is_rounded() -> None:
    filing = record()
    part, index = find_row(filing, "income", "Operating income")
    pad(filing)
    assert not of_kind("unit", filing)
    part["rows"][index]["values"][1] += 1_000_000
    (suspect,) = of_kind("unit", filing)
    assert (suspect.statement, suspect.row, suspect.column) == (1, index, 1)
    assert suspect.numbers["mends"] == 2
    assert triage_filing(read(filing), classifier()).findings == ()
    findings = triage_filing(read(filing), classifier(shown=0.05)).findings
    (finding,) = [f for f in findings if (f.statement, f.row, f.column) == ("income", index, 1)]
    assert "may explain it, but little else here is rounded" in finding.message
    for line, column in ((index, 0), (index, 2), (0, 0)):
        part["rows"][line]["values"][column] += 1_000_000
    assert not of_kind("unit", filing)


def test_other_columns_prove_that_a_line_takes_part() -> None:
    filing = record()
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
    filing = record()
    part, index = find_row(filing, "balance_sheet", "Total current liabilities")
    part["rows"][index]["values"][0] += 161_000_000
    part["rows"].insert(index + 1, row("Contingent consideration", 161, 0))
    found = [d for d in of_kind("cell", filing) if d.column == 0 and index in d.rows]
    assert 2 in {d.numbers["is_elsewhere"] for d in found}


def test_a_statement_of_another_size_is_suspect() -> None:
    filing = record()
    for line in filing["statements"][1]["rows"]:
        line["values"] = [v and v // 1000 for v in line["values"]]
    filing["statements"] = filing["statements"][:2]
    (small,) = [d for d in of_kind("scale", filing) if d.numbers["factor"] < 0]
    assert (small.statement, round(small.numbers["factor"])) == (1, -3)
    assert not of_kind("scale", record())


def test_opposite_gaps_that_an_exchange_closes_name_the_line() -> None:
    filing = record()
    index = change(filing, "balance_sheet", "Accounts receivable, net", 12, 9)
    place = change(filing, "balance_sheet", "Total current assets", 2231, 2136)
    (gap,) = [g for g in of_kind("gap", filing) if g.rows[-1] == place]
    assert (gap.row, gap.column) == (index, 0)
    assert (gap.reported, gap.expected) == (millions(12), millions(9))
    assert gap.numbers["swapped_pattern"]


def test_an_amount_finer_than_its_statement_is_suspect() -> None:
    (suspect,) = of_kind("finer", bent("income", "Interest expense", 0, 214.14))
    assert (suspect.row, suspect.column) == (5, 0)
    assert not of_kind("finer", record())


def test_a_repeated_line_is_suspect() -> None:
    filing = record()
    part, index = find_row(filing, "balance_sheet", "Inventories")
    part["rows"].insert(index, part["rows"][index])
    (suspect,) = of_kind("twice", filing)
    assert suspect.row == index + 1
    assert suspect.numbers["same_label"]
    assert suspect.numbers["counted"] == 1


def test_an_amount_out_of_proportion_to_its_line_is_suspect() -> None:
    (suspect,) = of_kind("proportion", bent("cash_flow", "Capital expenditures", 1, -0.689))
    assert (suspect.row, suspect.column) == (4, 1)
    assert suspect.numbers["factor_is_thousand"] < 0.1


def test_a_sign_of_no_other_company_is_suspect() -> None:
    patterns = taught(record(), record())
    filing = record()
    index = change(filing, "cash_flow", "Dividends paid", 495, 461, 430)
    flow = [d for d in of_kind("sign", filing, patterns) if d.statement == 2]
    assert {d.column for d in flow if d.row == index} == {0, 1, 2}
    assert index not in {d.row for d in of_kind("sign", record(), patterns) if d.statement == 2}


def test_lines_that_agree_in_others_are_compared_here() -> None:
    patterns = taught(with_costs(), with_costs())
    found = of_kind("cell", with_costs(653), patterns)
    assert any(d.numbers["check_same_amount"] for d in found)
    assert not any(d.numbers["check_same_amount"] for d in of_kind("cell", with_costs(653)))


def test_a_suspect_has_a_number_for_every_column() -> None:
    for place in (("income", "Operating income", 1, 1568), ("balance_sheet", "Goodwill", 0, 2)):
        for suspect in suspects(bent(*place)):
            assert len(suspect.vector()) == len(COLUMNS)
            assert set(suspect.numbers) <= set(COLUMNS)


# Findings from suspects


def test_the_risk_is_that_of_the_likeliest_suspect() -> None:
    filing = read(bent("income", "Operating income", 1, 1568))
    verdict = triage_filing(filing, classifier())
    assert verdict.risk == pytest.approx(0.97)
    assert verdict.flagged
    assert verdict.findings[0].confidence == verdict.risk
    assert not triage_filing(filing, classifier(flagged=0.98)).flagged
    assert not triage_filing(filing, classifier(flagged=0.98, shown=0.98)).findings


def test_a_cause_is_reported_once_and_at_most_five() -> None:
    filing = read(bent("balance_sheet", "Goodwill", 0, 2116000))
    found = triage_filing(filing, classifier(shown=0.05)).findings
    assert len(found) <= 5
    places = [(f.statement, f.row, f.column) for f in found]
    assert len(places) == len(set(places))


@pytest.mark.parametrize(("gap", "count"), [(0.5, 1), (0.99, 2)])
def test_a_gap_beside_a_line_that_is_wrong_is_the_same_cause(gap: float, count: int) -> None:
    filing = read(bent("balance_sheet", "Total current assets", 1, 4509))
    found = triage_filing(filing, classifier(gap=gap)).findings
    assert [f.check for f in found].count("balance_sheet_sums") == 1
    assert len([f for f in found if 4 in (f.row, *f.rows)]) == count


def unbalanced(*more: int) -> dict[str, Any]:
    sheet = balance_sheet()
    for line in (1, 4, 7):
        for column, amount in enumerate(more):
            sheet["rows"][line]["values"][column] += amount * 1_000_000
    return sheet


def beside_others(sheet: dict[str, Any]) -> dict[str, Any]:
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


def sure_of_others() -> BreakClassifier:
    """A judge who believes sums that break, amounts out of proportion less, the balance hardly."""

    def forest(rows: Any) -> Any:
        kind = rows[:, COLUMNS.index("kind")]
        balance = rows[:, COLUMNS.index("check_balance_equation")] == 1
        sums = np.where(balance, 0.05, 0.9)
        others = np.where(kind == KINDS.index("proportion"), 0.7, 0.0)
        return np.where(kind == KINDS.index("cell"), sums, others).astype(np.float32)

    return BreakClassifier(LearnedPatterns(), forest, 0.8, 0.2)


@pytest.mark.parametrize("more", [(5,), (5, 7)])
def test_an_unbalanced_sheet_is_shown_beside_many_breaks(more: tuple[int, ...]) -> None:
    filing = read(beside_others(unbalanced(*more)))
    verdict = triage_filing(filing, sure_of_others())
    assert len(verdict.findings) == 5
    imbalances = [f for f in verdict.findings if f.check == "balance_equation"]
    assert [f.column for f in imbalances] == list(range(len(more)))
    assert [f.confidence for f in imbalances] == [pytest.approx(0.8)] * len(more)
    assert verdict.findings[0].confidence == verdict.risk == pytest.approx(0.9)
    others = tuple(f for f in verdict.findings if f.statement == "income")
    assert verdict.findings[: 5 - len(imbalances)] == others
    balanced = triage_filing(read(beside_others(unbalanced())), sure_of_others())
    assert [f.statement for f in balanced.findings] == ["income"] * 5


def test_findings_that_are_always_shown_are_shown_once_a_cause() -> None:
    sheet = balance_sheet()
    sheet["rows"][7]["values"][0] *= 1000
    verdict = triage_filing(read(beside_others(sheet)), sure_of_others())
    of_sheet = [f for f in verdict.findings if f.statement == "balance_sheet"]
    assert [(f.row, f.column) for f in of_sheet] == [(7, 0)]
    assert of_sheet[0].confidence == pytest.approx(0.8)


def test_a_gap_is_no_finding_where_lines_are_known_to_be_left_out() -> None:
    filing = without("balance_sheet", "Goodwill")
    whole = read(filing)
    assert triage_filing(whole, classifier(gap=0.5)).findings
    part_of_it = replace(whole, complete=False)
    assert not triage_filing(part_of_it, classifier(gap=0.5)).findings
    assert not triage_filing(part_of_it).findings


def test_what_no_rule_believes_counts_a_little_less() -> None:
    filing = without("income", "Interest expense")
    pad(filing)
    full, less = classifier(gap=0.8), replace(classifier(gap=0.8), unbelieved=0.5)
    assert triage_filing(read(filing), full).risk == pytest.approx(0.8)
    assert triage_filing(read(filing), less).risk == pytest.approx(0.4)
    broken = bent("income", "Operating income", 1, 1568)
    pad(broken)
    assert triage_filing(read(broken), less).risk == pytest.approx(0.97)


def pad(filing: dict[str, Any]) -> None:
    part, index = find_row(filing, "cash_flow", "Change in receivables")
    for number in range(8):
        part["rows"][index:index] = [
            row(f"Increase in item {number}", 10 + number, 20 + number, 30 + number),
            row(f"Decrease in item {number}", -10 - number, -20 - number, -30 - number),
        ]


def test_headlines_have_odds_of_their_own() -> None:
    filing = without("income", "Interest expense")
    more = replace(classifier(gap=0.5), unbelieved=0.5, headlines=4.0)
    assert triage_filing(read(filing), more).risk == pytest.approx(0.8)


def test_a_line_that_others_never_sum_has_no_gap() -> None:
    patterns = taught(record(), record())
    filing = record()
    named = [filing["statements"][g.statement]["rows"][g.rows[-1]]["label"]
             for g in of_kind("gap", filing, patterns)]  # fmt: skip
    assert "Accounts receivable, net" not in named


def test_lines_above_their_total_are_suspect_among_headlines() -> None:
    filing = record()
    index = change(filing, "balance_sheet", "Total current liabilities", 2900, 2958)
    found = of_kind("excess", filing)
    assert (found[0].row, found[0].column) == (index, 0)
    assert found[0].numbers["share"] == pytest.approx(181 / 2900)
    assert not of_kind("excess", record())
    pad(filing)
    assert not of_kind("excess", filing)


# The artefact


def test_an_artefact_is_read_as_it_was_written(tmp_path: Path) -> None:
    (shipped,) = (artefacts() / NAME).iterdir()
    forest, patterns = (shipped / FOREST_FILE).read_bytes(), taught(record(), record())
    more = {"unbelieved": 0.9, "headlines": 4.0, "licence": "ours"}
    write(tmp_path / NAME / "0.0.1", forest, patterns, "0.0.1", flagged=0.7, shown=0.2, **more)
    found = BreakClassifier.load(tmp_path)
    assert (found.flagged, found.shown, found.version) == (0.7, 0.2, "0.0.1")
    assert found.patterns.name("income", "Net sales") == "Revenues"
    assert len(found.probabilities(suspects(bent("income", "Operating income", 1, 1568)))) >= 1


# The shipped judge


def test_the_shipped_classifier_does_not_flag_a_sound_filing(shipped: BreakClassifier) -> None:
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
def test_the_shipped_classifier_finds_slips_where_they_are(
    statement: str, label: str, column: int, amount: float, shipped: BreakClassifier
) -> None:
    verdict = triage_filing(read(bent(statement, label, column, amount)), shipped)
    _, index = find_row(record(), statement, label)
    assert verdict.flagged
    first = verdict.findings[0]
    assert (first.statement, first.column) == (statement, column)
    assert index in (first.row, *first.rows)


def test_an_unbalanced_sheet_alone_is_shown(shipped: BreakClassifier) -> None:
    filing = read({"id": "f", "statements": [unbalanced(5)]})
    verdict = triage_filing(filing, shipped)
    imbalances = [f for f in verdict.findings if f.check == "balance_equation"]
    assert [f.column for f in imbalances] == [0]
    assert verdict.flagged
    assert imbalances[0].confidence == verdict.risk == shipped.flagged


def test_the_shipped_classifier_finds_a_missing_line(shipped: BreakClassifier) -> None:
    filing = without("income", "Cost of goods sold")
    sound = record()
    pad(filing)
    pad(sound)
    risk = triage_filing(read(filing), shipped).risk
    assert risk > 10 * triage_filing(read(sound), shipped).risk
    assert triage_filing(read(filing)).risk == 0


def test_the_command_line_and_the_service_ask_the_shipped_classifier(
    shipped: BreakClassifier, tmp_path: Path
) -> None:
    filing = bent("income", "Operating income", 1, 1568)
    expected = triage_filing(read(filing), shipped).risk
    assert expected != triage_filing(read(filing)).risk
    with Reports() as reports:
        (line,) = reports.result("a.json", json.dumps(filing).encode())["filings"]
    model = {"name": NAME, "version": shipped.version}
    assert (line["risk"], line["model"]) == (expected, model)
    triage = Triage(tmp_path)
    triage.handle(triage.read("doc_1", filing))
    answer = triage.findings("doc_1")
    assert (answer["risk"], answer["model"]) == (expected, model)


def test_results_name_rules_as_their_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMALLPRINT_ARTEFACTS", str(tmp_path))
    filing = bent("income", "Operating income", 1, 1568)
    model = {"name": "rules", "version": VERSION}
    with Reports() as reports:
        (line,) = reports.result("a.json", json.dumps(filing).encode())["filings"]
    assert line["model"] == model
    triage = Triage(tmp_path / "data")
    triage.handle(triage.read("doc_1", filing))
    assert triage.findings("doc_1")["model"] == model
