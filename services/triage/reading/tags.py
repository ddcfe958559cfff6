"""The tags of inline XBRL, laid beside the cells of a statement: exact values, periods, elements.

A page of inline XBRL shows each figure and says what it is. The reader of tables doesn't look at
the tags; they are laid beside what it read, in the order of both, so that each can check the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from difflib import SequenceMatcher

from services.triage.reading.periods import quarters_between
from services.triage.reading.reader import ReadStatement
from services.triage.reading.rows import ReadRow
from services.triage.statements import Column
from shared.documents.xbrl import Fact

_MOST = 50_000_000
"""Pairs of a figure and a tag that are compared at the worst; a filing has a hundredth of it."""
_FEWEST = 0.5
"""Of the figures of a statement; with fewer that have a tag, tags are left alone."""


@dataclass(frozen=True)
class Tagged:
    """A statement with its tags, and the cells where page and tag differ."""

    statement: ReadStatement
    tagged: int
    differing: tuple[tuple[int, int], ...] = ()


def with_tags(statement: ReadStatement, facts: Sequence[Fact]) -> Tagged:
    """The statement with the elements and units of its tags, and its columns as the tags have them.

    The values stay those of the page, with its signs. Where a tag's amount differs by more than its
    sign, the cell is listed: either was misread, or the filer's page and tags disagree.
    """
    cells = [
        (row, column)
        for row, line in enumerate(statement.rows)
        for column, place in enumerate(line.places)
        if place is not None and line.row.values[column]
    ]
    numeric = [fact for fact in facts if fact.number]
    if len(cells) * len(numeric) > _MOST:
        return Tagged(statement, 0)
    pairs = {
        cells[here]: numeric[there]
        for here, there in _aligned(
            [_amount(_value(statement, cell)) for cell in cells],
            [_amount(fact.number) for fact in numeric],
        )
    }
    if len(pairs) < _FEWEST * max(1, len(cells)):
        return Tagged(statement, 0)
    differing = tuple(
        cell
        for cell, fact in pairs.items()
        if abs(_value(statement, cell)) != abs(fact.number or 0)
    )
    rows = tuple(_row(number, row, pairs) for number, row in enumerate(statement.rows))
    columns = tuple(
        _column(number, column, pairs) for number, column in enumerate(statement.columns)
    )
    return Tagged(replace(statement, rows=rows, columns=columns), len(pairs), differing)


def _value(statement: ReadStatement, cell: tuple[int, int]) -> Decimal:
    return statement.rows[cell[0]].row.values[cell[1]] or Decimal(0)


def _amount(value: Decimal | None) -> str:
    """An amount without its sign, for that is the page's own."""
    return f"{abs(value or Decimal(0)).normalize():f}"


def _aligned(shown: Sequence[str], tags: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Which figure has which tag: those that agree, and between them those that are as many."""
    matcher = SequenceMatcher(None, shown, tags, autojunk=False)
    for _, first, last, start, end in matcher.get_opcodes():
        if last - first == end - start:
            yield from zip(range(first, last), range(start, end), strict=True)


def _row(number: int, row: ReadRow, pairs: dict[tuple[int, int], Fact]) -> ReadRow:
    found = {column: fact for (line, column), fact in pairs.items() if line == number}
    if not found:
        return row
    places = tuple(
        replace(place, element=found[column].element) if place and column in found else place
        for column, place in enumerate(row.places)
    )
    unit = Counter(fact.unit for fact in found.values()).most_common(1)[0][0]
    return replace(row, row=replace(row.row, unit=unit, places=places))


def _column(number: int, column: Column, pairs: dict[tuple[int, int], Fact]) -> Column:
    """The period that most tags of a column have."""
    periods = Counter(
        (fact.context.start, fact.context.end)
        for (_, place), fact in pairs.items()
        if place == number and fact.context.end
    )
    for (start, end), count in periods.most_common(1):
        if count > periods.total() / 2 and end:
            first, last = start.replace("-", "") if start else None, end.replace("-", "")
            said = column.quarters
            quarters = quarters_between(first, last) if said is None else said
            return replace(column, end=last, quarters=quarters, start=first)
    return column
