"""Lines that are made to take long take no longer than others."""

from __future__ import annotations

import time

import pytest

from services.triage.reading.columns import Line, find_layout
from services.triage.reading.figures import _MARKS
from services.triage.reading.rows import _runs_on, _split_marks, _Whole
from services.triage.reading.table import LONGEST, Table, TableCell
from services.triage.reading.text_tables import tables_of_lines
from services.triage.statements.model import _NOTES
from services.triage.statements.positions import Position
from shared.documents import read


def seconds(began: float) -> float:
    return time.process_time() - began


@pytest.mark.parametrize("marks", ["*" * 40, "*†‡§" * 10, "[a]" * 40, " " * 900 + "*" * 90])
def test_marks_that_end_in_no_mark_are_given_up_at_once(marks: str) -> None:
    began = time.process_time()
    assert _split_marks(f"Total {marks}x") == (f"Total {marks}x", ())
    assert not _NOTES.search(f"Total {marks}x")
    assert not _MARKS.search(f"1,200{marks}x")
    assert seconds(began) < 1


@pytest.mark.parametrize("marks", ["*", "**", "*†", "[1]", "[a][b]"])
def test_marks_at_the_end_are_taken_off(marks: str) -> None:
    assert _split_marks(f"Total assets {marks}") == ("Total assets", (marks,))


def test_a_line_is_read_up_to_its_longest() -> None:
    lines = [f"Cash {number}  " + "1  " * 4_000 for number in range(5)]
    (table,) = tables_of_lines(read("\n".join(lines).encode(), name="a.txt"))
    ends = [max(cell.position.end for cell in row) - row[0].position.start for row in table.rows]
    assert all(LONGEST - 4 < end <= LONGEST for end in ends)
    assert [row[0].text for row in table.rows] == [f"Cash {number}" for number in range(5)]


def test_a_table_has_its_first_columns() -> None:
    cells = [
        TableCell(row, float(column), column + 1.0, str(column) if column else "Cash", Position(1))
        for row in range(3)
        for column in range(400)
    ]
    found = find_layout(Table(tuple(cells)))
    assert found
    assert len(found.bands) == 150


def test_a_label_does_not_run_on_for_ever() -> None:
    cells = (TableCell(0, 0.0, 9.0, "and more", Position(page=1)),)
    line = Line(cells, ())
    short, long = (_Whole("x" * size, (), None) for size in (LONGEST, LONGEST + 1))
    assert _runs_on(short, "and more", line, cells)
    assert not _runs_on(long, "and more", line, cells)
