"""A statement that is printed twice: for the quarter, and for the year to date.

Both may be in one table, one below the other, or in two. They are read as one statement with the
columns of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from difflib import SequenceMatcher

from services.triage.reading.columns import Layout, Line
from services.triage.reading.periods import mention, quarters_in
from services.triage.reading.rows import ReadRow
from services.triage.reading.statement_kind import is_title, last_lines
from services.triage.reading.table import Table
from services.triage.statements.model import CHECKED, Column
from services.triage.statements.positions import Position

_FEWEST = 4  # lines with amounts between two heads
_HEAD = 6  # lines without amounts that a second head may have
_ALIKE = 0.7  # share of the lines that both statements have, at least
_MOST_ROWS = 500  # lines of a statement that are compared
_BRACKETS = str.maketrans("()", "  ")
_LONGEST_TITLE = 150  # characters of a title; longer lines are sentences


def split_at_heads(table: Table, layout: Layout) -> list[Table]:
    """Split a table where a second head stands below amounts.

    The head has the years of its columns, and above them a title or another duration.
    """
    rows = table.rows[len(layout.head) :]
    cuts: list[int] = []
    heads = [table.before]
    shown = "\n".join([layout.stub, *(band.title for band in layout.bands)])
    duration = quarters_in(shown) or quarters_in(last_lines(table.before, 8))
    amounts, head = 0, list[int]()
    for number, line in enumerate(layout.body):
        if any(not figure.percent and not figure.like_a_date for figure in line.figures):
            amounts, head = amounts + 1, []
            continue
        head = [*head, number][-_HEAD:]
        if amounts < _FEWEST or not _names_years(line, layout):
            continue
        texts = [" ".join(cell.text for cell in rows[row]) for row in head]
        begins = [
            at
            for at, text in enumerate(texts)
            if quarters_in(text) not in (None, duration) or _is_title(text)
        ]
        if begins:
            cuts.append(rows[head[begins[0]]][0].row)
            heads.append("\n".join([table.before, *texts[begins[0] :]]))
            duration = quarters_in("\n".join(texts)) or duration
            amounts = 0
    if not cuts:
        return [table]
    return [replace(part, before=text) for part, text in zip(table.cut(cuts), heads, strict=True)]


def _names_years(line: Line, layout: Layout) -> bool:
    """Whether each cell over the columns names a year, in two columns or the only one."""
    over = [c for c in line.cells if any(band.overlap(c) > 0 for band in layout.bands)]
    return len(over) >= min(2, len(layout.bands)) and all(mention(cell.text).year for cell in over)


def _is_title(text: str) -> bool:
    return len(text) < _LONGEST_TITLE and any(is_title(kind, text) for kind in CHECKED)


def are_two_durations(first: Sequence[Column], second: Sequence[Column]) -> bool:
    """Whether all columns end on the same days, with a known duration that the others lack."""
    ends, others = ({column.end for column in columns} for columns in (first, second))
    spans, other_spans = ({column.quarters for column in columns} for columns in (first, second))
    known = None not in ends and all(spans) and all(other_spans)
    return known and ends == others and not spans & other_spans


def join_rows(
    first: Sequence[ReadRow], second: Sequence[ReadRow], widths: tuple[int, int]
) -> list[ReadRow] | None:
    """The lines of two statements with the columns of both; None if too few have the same label.

    A line that only one of them has is empty in the columns of the other.

    Args:
        widths: the number of columns of each.
    """
    if max(len(first), len(second)) > _MOST_ROWS:
        return None
    labels, others = ([row.row.label.lower() for row in rows] for rows in (first, second))
    matcher = SequenceMatcher(None, labels, others, autojunk=False)
    same = sum(block.size for block in matcher.get_matching_blocks())
    if same < _ALIKE * max(len(first), len(second)):
        return None
    joined: list[ReadRow] = []
    done = 0  # rows of the second that are joined
    for _, a, b, c, d in matcher.get_opcodes():
        for number in range(a, b):
            again = next(
                (n for n in range(max(c, done), d) if _same_words(labels[number], others[n])), None
            )
            if again is not None:
                joined += [_joined(None, row, widths) for row in second[done:again]]
                done = again + 1
            joined.append(_joined(first[number], None if again is None else second[again], widths))
        joined += [_joined(None, row, widths) for row in second[done:d]]
        done = d
    return joined


def _same_words(label: str, other: str) -> bool:
    """Whether one label has all words of the other, which may be its abbreviation."""
    words, others = (set(text.translate(_BRACKETS).split()) for text in (label, other))
    return words <= others or others <= words


def _joined(first: ReadRow | None, second: ReadRow | None, widths: tuple[int, int]) -> ReadRow:
    rows = [row for row in (first, second) if row]
    values: list[Decimal | None] = []
    positions: list[Position | None] = []
    for row, width in zip((first, second), widths, strict=True):
        values += row.row.values if row else [None] * width
        positions += [row.row.position(column) if row else None for column in range(width)]
    return replace(
        rows[0],
        row=replace(
            rows[0].row,
            values=tuple(values),
            positions=tuple(positions),
            heading=all(row.row.heading for row in rows),
        ),
        marks=tuple(dict.fromkeys(mark for row in rows for mark in row.marks)),
        left_out=tuple(figure for row in rows for figure in row.left_out),
        foreign=(
            *(first.foreign if first else ()),
            *((widths[0] + column, text) for column, text in (second.foreign if second else ())),
        ),
    )
