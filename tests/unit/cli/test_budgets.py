"""How much of what a policy would ask its budget allows."""

from __future__ import annotations

from typing import Any

import pytest

from services.cli.output.budgets import budget_warnings
from services.escalation import estimates
from services.escalation.prompts import questions as of_doors
from services.extraction import questions as of_clauses
from services.triage.routing import questions as of_findings


def test_what_is_reckoned_with_is_what_services_send() -> None:
    assert 2 * of_clauses.CONTEXT < estimates.WINDOW < 2.5 * of_clauses.CONTEXT + 1
    assert of_clauses.BATCH_CHARACTERS % estimates.WINDOW == 0, (
        "the most is not all that goes together"
    )
    assert of_clauses.BATCH_QUESTIONS == of_doors.TOGETHER
    assert estimates.LONGEST == {
        "contract": of_clauses.BATCH_CHARACTERS,
        "report": of_findings.LONGEST,
    }


def line(
    day: float, month: float, clauses: tuple[int, float], findings: tuple[int, float] = (0, 0.0)
) -> dict[str, Any]:
    """Numbers of questions and US$; each prompt reserves 0.04 to 0.06 US$."""

    def side(asked: tuple[int, float]) -> dict[str, Any]:
        aside = {"least": 0.04, "usual": 0.05, "most": 0.06, "characters": 10_000}
        return {"escalated": asked[0], "cost_usd": asked[1], "reserved_usd": aside}

    budget = {"budget_usd": {"day": day, "month": month}, "budget_missing": []}
    return {"tried": {**side(clauses), **budget}, "reports": {"tried": side(findings)}}


def test_what_is_left_of_a_day_has_to_cover_the_worst_case_of_the_next() -> None:
    (warning,) = budget_warnings(line(0.6, 10, (155, 1.55)))
    assert warning == (
        "tried: the budget is US$ 0.60 a day and 10.00 a month: of these 155 questions about 55 a "
        "day could be asked; people would get the others."
    )
    (warning,) = budget_warnings(line(0.6, 1, (100, 1.0), (55, 0.55)))
    assert "of these 155 questions about 55 a day could be asked, and 95 a month" in warning


@pytest.mark.parametrize("day", [2.0, 1.61])
def test_no_warning_where_all_could_be_asked_on_one_day(day: float) -> None:
    assert list(budget_warnings(line(day, 10, (155, 1.55)))) == []
    assert list(budget_warnings(line(0.01, 10, (0, 0.0)))) == []
    assert list(budget_warnings(line(1, 10, (155, 0.0)))) == []
