"""Align the tags of inline XBRL with the cells of a statement: exact values, periods, elements.

Tables are read without the tags. Both lists are then aligned in order, so each can check the other.
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
from services.triage.statements.model import Column
from shared.documents.xbrl.xbrl import Fact

_MOST = 50_000_000  # pairs of figures and tags that are compared, at most
_FEWEST = 0.5  # share of a statement's figures that need a tag for the tags to be used


@dataclass(frozen=True)
class TaggedStatement:
    """A statement with its tags, and the cells where page and tag differ."""

    statement: ReadStatement
    tagged: int
    differing: tuple[tuple[int, int], ...] = ()


def with_tags(statement: ReadStatement, facts: Sequence[Fact]) -> TaggedStatement:
    """Add elements, units and periods of the tags to a statement.

    Values keep the signs of the page. Cells whose amounts differ by more than the sign are listed:
    either was misread, or page and tags disagree.
    """
    positions = {
        (row, column): position
        for row, line in enumerate(statement.rows)
        for column, position in enumerate(line.positions)
        if position is not None and line.row.values[column]
    }
    # A statement of two tables has one table after the other in the text, as the tags have.
    cells = sorted(positions, key=lambda cell: positions[cell].start)
    numeric = [fact for fact in facts if fact.number]
    if len(cells) * len(numeric) > _MOST:
        return TaggedStatement(statement, 0)
    pairs = {
        cells[here]: numeric[there]
        for here, there in _aligned(
            [_amount(_value(statement, cell)) for cell in cells],
            [_amount(fact.number) for fact in numeric],
        )
    }
    if len(pairs) < _FEWEST * max(1, len(cells)):
        return TaggedStatement(statement, 0)
    differing = tuple(
        cell
        for cell, fact in pairs.items()
        if abs(_value(statement, cell)) != abs(fact.number or 0)
    )
    rows = tuple(_row(*numbered, pairs) for numbered in enumerate(statement.rows))
    columns = tuple(_column(*numbered, pairs) for numbered in enumerate(statement.columns))
    return TaggedStatement(replace(statement, rows=rows, columns=columns), len(pairs), differing)


def _value(statement: ReadStatement, cell: tuple[int, int]) -> Decimal:
    return statement.rows[cell[0]].row.values[cell[1]] or Decimal(0)


def _amount(value: Decimal | None) -> str:
    """An amount without its sign."""
    return f"{abs(value or Decimal(0)).normalize():f}"


def _aligned(shown: Sequence[str], tags: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Pairs of figure and tag: those that agree, and equally long runs between them."""
    matcher = SequenceMatcher(None, shown, tags, autojunk=False)
    for _, first, last, start, end in matcher.get_opcodes():
        if last - first == end - start:
            yield from zip(range(first, last), range(start, end), strict=True)


def _row(number: int, row: ReadRow, pairs: dict[tuple[int, int], Fact]) -> ReadRow:
    facts = {column: fact for (line, column), fact in pairs.items() if line == number}
    if not facts:
        return row
    positions = tuple(
        replace(position, element=facts[column].element)
        if position and column in facts
        else position
        for column, position in enumerate(row.positions)
    )
    unit = Counter(fact.unit for fact in facts.values()).most_common(1)[0][0]
    return replace(row, row=replace(row.row, unit=unit, positions=positions))


def _column(number: int, column: Column, pairs: dict[tuple[int, int], Fact]) -> Column:
    """The period that most tags of a column have."""
    periods = Counter(
        (fact.context.start, fact.context.end)
        for (_, index), fact in pairs.items()
        if index == number and fact.context.end
    )
    for (start, end), count in periods.most_common(1):
        if count > periods.total() / 2 and end:
            first, last = start.replace("-", "") if start else None, end.replace("-", "")
            column = replace(column, end=last, start=first)
            if column.quarters is None:
                column = replace(column, quarters=quarters_between(first, last))
            return column
    return column
