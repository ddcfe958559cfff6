"""How much of what a policy would ask its budget allows."""

from __future__ import annotations

from typing import Any

import pytest

from services.escalation import batching as of_doors
from services.escalation import reserving
from services.extraction import questions as of_clauses
from services.triage import questions as of_findings
from shared.cli.budgets import told


def test_what_is_reckoned_with_is_what_services_send() -> None:
    """Of a usual passage, and of a document at once at the most."""
    assert 2 * of_clauses.AROUND < reserving.WINDOW < 2.5 * of_clauses.AROUND + 1
    assert of_clauses.SENT % reserving.WINDOW == 0, "the most is not all that goes together"
    assert of_clauses.TOGETHER == of_doors.TOGETHER
    assert reserving.LONGEST == {"contract": of_clauses.SENT, "report": of_findings.LONGEST}


def line(
    day: float, month: float, clauses: tuple[int, float], findings: tuple[int, float] = (0, 0.0)
) -> dict[str, Any]:
    """What would be asked, as (questions, US$), where each sets aside 0.04 to 0.06 US$."""

    def side(asked: tuple[int, float]) -> dict[str, Any]:
        aside = {"least": 0.04, "usual": 0.05, "most": 0.06, "characters": 10_000}
        return {"escalated": asked[0], "cost_usd": asked[1], "reserved_usd": aside}

    budget = {"budget_usd": {"day": day, "month": month}, "budget_missing": []}
    return {"tried": {**side(clauses), **budget}, "reports": {"tried": side(findings)}}


def test_what_is_left_of_a_day_has_to_cover_the_worst_case_of_the_next() -> None:
    """At one cent each 0.60 are left for 54 beside the 0.06 of the 55th."""
    (said,) = told(line(0.6, 10, (155, 1.55)))
    assert said == (
        "tried: the budget is US$ 0.60 a day and 10.00 a month: of these 155 questions about 55 a "
        "day could be asked; the rest would wait for people."
    )
    (said,) = told(line(0.6, 1, (100, 1.0), (55, 0.55)))
    assert "of these 155 questions about 55 a day could be asked, and 95 a month" in said


@pytest.mark.parametrize("day", [2.0, 1.61])
def test_nothing_is_said_where_all_could_be_asked_on_one_day(day: float) -> None:
    """The budget is no limit then, nor where nothing is asked or an answer is free."""
    assert list(told(line(day, 10, (155, 1.55)))) == []
    assert list(told(line(0.01, 10, (0, 0.0)))) == []
    assert list(told(line(1, 10, (155, 0.0)))) == []


def test_a_question_may_be_dearer_than_a_day() -> None:
    """Then none is asked, or only those with fewer words."""
    (said,) = told(line(0.03, 10, (155, 1.55)))
    assert "sets aside up to US$ 0.05 until its bill is there, and none less than" in said
    assert said.endswith("with US$ 0.03 a day nothing is asked, and people have all 155 questions.")
    shorter, share = told(line(0.045, 10, (155, 1.55)))
    assert shorter.endswith("only shorter ones are sent; people have what the others ask.")
    assert "about 1 a day" in share
    together, _ = told(line(0.055, 10, (155, 1.55)))
    assert "what goes together in one prompt sets aside up to US$ 0.06 until" in together
    assert "and 0.05 in the usual case" in together
