"""Figures of decision 60 are those that the program prints: some rows of its tables, made again."""

from __future__ import annotations

import pytest

from infra.drift_show import cells
from infra.findings_show import HABITS, Habit, changes, doubted, filings_of, stream
from models.triage.guarantee import calibration_of
from tests.support import ROOT

TEXT = (ROOT / "infra/decisions/0060-findings-watched.md").read_text("utf-8")
RISK, SHARE, STREAMS, HABIT_STREAMS = 0.1, 0.05, 30, 1000
"""As the decision says it was called."""


def row(*first: str) -> list[str]:
    """The other cells of the one row of a table that begins with some, without their commas."""
    start = f"| {' | '.join(first)} | "
    (line,) = (line for line in TEXT.splitlines() if line.startswith(start))
    return [
        cell.strip().replace(",", "") for cell in line.removeprefix(start).strip(" |").split("|")
    ]


def test_the_row_of_accepted_findings_half_of_which_are_wrong_is_made_again() -> None:
    """All its streams: these end soon after the change, and take seconds."""
    known, filings = calibration_of(), filings_of()
    change = changes(known, filings, RISK)["50% of the accepted wrong (drawn)"]
    runs = [stream(known, filings, change, RISK, SHARE, seed) for seed in range(STREAMS)]
    made = [cell.replace(",", "") for cell in cells(runs)]
    said = row("50% of the accepted wrong, drawn")
    assert len(made) == len(said) == 5
    assert [cell[: len(other)] for cell, other in zip(made, said, strict=True)] == said


@pytest.mark.parametrize("habit", HABITS[:2], ids=str)
def test_the_rows_of_companies_with_habits_are_made_again(habit: Habit) -> None:
    """How often a promise that is kept is doubted, by each check and by one of each company."""
    said = row(f"{habit.risk:.0%}", f"{habit.bad:.0%}", str(habit.filings))
    assert [f"{doubted(habit, HABIT_STREAMS, once):.1%}" for once in (False, True)] == said
