"""Each cause is reported once, next to other causes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from services.triage.checks.classifier import BreakClassifier
from services.triage.checks.root_causes import unique_causes
from services.triage.checks.suspects import COLUMNS, KINDS
from services.triage.checks.verdict import split_dismissed, triage_filing
from services.triage.domain import Dismissed, Finding, Verdict
from services.triage.relations.learned_sums import LearnedPatterns
from services.triage.relations.relations import statement_views
from tests.unit.triage.filings import bent, read, record, row, statement_of

SURE = {"proportion": 0.7, "scale": 0.95, "cell": 0.6}


def classifier(of_kind: Mapping[str, float]) -> BreakClassifier:

    def forest(rows: Any) -> Any:
        kind = rows[:, COLUMNS.index("kind")]
        small = (rows[:, COLUMNS.index("factor")] < 0) & (kind == KINDS.index("proportion"))
        sure = np.zeros(len(rows))
        for name, chance in of_kind.items():
            sure = np.where(kind == KINDS.index(name), chance, sure)
        return (sure - 0.1 * small).astype(np.float32)

    return BreakClassifier(LearnedPatterns(), forest, 0.5, 0.2)


def lines(*values: tuple[float | None, ...]) -> dict[str, Any]:
    """An income statement of lines without a sum, in millions."""
    columns = [{"end": f"{2023 - i}1231", "quarters": 4} for i in range(len(values[0]))]
    rows = [row(f"Charge {i}", *amounts) for i, amounts in enumerate(values)]
    return {"statement": "income", "columns": columns, "rows": rows}


def verdict_of(*values: tuple[float | None, ...]) -> Verdict:
    return triage_filing(read({"id": "f", "statements": [lines(*values)]}), classifier(SURE))


def places(verdict: Verdict) -> list[tuple[int | None, int | None]]:
    return [(finding.row, finding.column) for finding in verdict.findings]


def test_an_amount_that_is_too_large_makes_its_neighbour_none_that_is_too_small() -> None:
    found = verdict_of((1_320_000, 1_320), (700, 710))
    assert places(found) == [(0, 0)]
    assert found.risk == pytest.approx(0.5, abs=0.001)
    assert not found.flagged  # headlines: no relation breaks


def test_an_amount_that_is_odd_beside_the_others_as_well_stays() -> None:
    found = verdict_of((1_320_000, 1_320, 1_310, 1_300, 25), (700, 710, 705, 690, 700))
    assert places(found) == [(0, 0), (0, 4)]


def test_a_column_in_another_unit_is_one_finding_that_names_its_lines() -> None:
    found = verdict_of(
        *(
            (amount, amount * 1000 + i, amount + i)
            for i, amount in enumerate((901, 802, 703, 604, 505))
        )
    )
    (finding,) = found.findings
    assert finding.column == 1
    assert finding.message.endswith("The column may be in another unit.")
    assert "Also too large in this column: " in finding.message
    assert finding.message.count("'Charge ") == 4
    assert " and others. " in finding.message
    assert len(finding.cells) == 1


def test_two_lines_that_grew_are_two_findings() -> None:
    found = verdict_of((3_000, 100, 101), (10_000, 200, 201))
    assert places(found) == [(0, 0), (1, 0)] or places(found) == [(1, 0), (0, 0)]
    assert not any("Also too" in finding.message for finding in found.findings)


@pytest.mark.parametrize("name", ["income", "cash_flow"])
@pytest.mark.parametrize("factor", [1000, 0.001])
def test_a_statement_in_another_unit_is_one_finding(name: str, factor: float) -> None:
    filing = record()
    part = statement_of(filing, name)
    for line in part["rows"]:
        line["values"] = [None if v is None else int(v * factor) for v in line["values"]]
    for one in (None, classifier(SURE)):
        (finding,) = triage_filing(read(filing), one).findings
        assert finding.check == "statement_scale"


def disagreement(reported: int, expected: int, *of: str) -> Finding:
    found = triage_filing(read(bent("cash_flow", "Net income", 2, 828))).findings
    (first,) = [one for one in found if one.check == "net_income_agrees"]
    cells = tuple(cell for cell in first.cells if cell.statement in of)
    changed = replace(first, cells=cells, confidence=0.3)
    return replace(changed, reported=Decimal(reported), expected=Decimal(expected))


def scaled() -> Finding:
    """A finding about the unit of the income statement."""
    filing = record()
    for line in filing["statements"][1]["rows"]:
        line["values"] = [v * 1000 for v in line["values"]]
    return triage_filing(read(filing), None).findings[0]


def test_a_disagreement_by_another_factor_is_no_matter_of_the_unit() -> None:
    pages = statement_views(read(record()))
    both = ("cash_flow", "income")
    follows = disagreement(12_000, 12_000_000, *both)
    assert unique_causes(pages, [scaled(), follows]) == [scaled()]
    for expected, of in ((13_000_000, both), (12_000_000, both[:1])):
        other = disagreement(12_000, expected, *of)
        assert unique_causes(pages, [scaled(), other]) == [scaled(), other]


def test_what_follows_from_what_was_dismissed_is_dismissed_with_it() -> None:
    filing = read({"id": "f", "statements": [lines((1_320_000, 1_320), (700, 710))]})
    word = Dismissed("a gain", "anna", datetime(2026, 1, 1, tzinfo=UTC), "doc_1", "fd_1")
    verdict = triage_filing(filing, classifier(SURE), lambda one: word if one.column == 0 else None)
    assert [one.dismissed for one in verdict.findings] == [word]
    pages = statement_views(filing)
    large = verdict_of((1_320_000, 1_320), (700, 710)).findings[0]
    other = replace(large, row=1, column=1)
    _, left = split_dismissed(pages, [large, other], lambda one: word if one is large else None)
    assert left == [other]
