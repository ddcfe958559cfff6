"""Lines that are made to take long take no longer than others."""

from __future__ import annotations

import time

import pytest

from services.triage.places import Place
from services.triage.reading.columns import Line
from services.triage.reading.figures import _MARKS
from services.triage.reading.rows import _LONGEST, _cleared, _runs_on, _Whole
from services.triage.reading.table import TableCell
from services.triage.statements import _NOTES


def seconds(began: float) -> float:
    """Of this process alone: the machine may be busy."""
    return time.process_time() - began


@pytest.mark.parametrize("marks", ["*" * 40, "*†‡§" * 10, "[a]" * 40, " " * 900 + "*" * 90])
def test_marks_that_end_in_no_mark_are_given_up_at_once(marks: str) -> None:
    """Each of forty stars could be a mark by itself or with others: that made 2^40 ways to try."""
    began = time.process_time()
    assert _cleared(f"Total {marks}x") == (f"Total {marks}x", ())
    assert not _NOTES.search(f"Total {marks}x")
    assert not _MARKS.search(f"1,200{marks}x")
    assert seconds(began) < 1


@pytest.mark.parametrize("marks", ["*", "**", "*†", "[1]", "[a][b]"])
def test_marks_at_the_end_are_taken_off(marks: str) -> None:
    """As they are by whoever reads."""
    assert _cleared(f"Total assets {marks}") == ("Total assets", (marks,))


def test_a_label_does_not_run_on_for_ever() -> None:
    """Any number of lines that begin with a small letter are no one label."""
    cells = (TableCell(0, 0.0, 9.0, "and more", Place(page=1)),)
    line = Line(cells, ())
    short, long = (_Whole("x" * size, (), None) for size in (_LONGEST, _LONGEST + 1))
    assert _runs_on(short, "and more", line, cells)
    assert not _runs_on(long, "and more", line, cells)
