"""Format amounts, statements and counts for messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from services.triage.statements.model import Column, format_day

_TITLES = {"income": "income statement", "cash_flow": "cash flow statement"}


def money(value: Decimal) -> str:
    """An amount with thousands separators; whole amounts without decimals."""
    rounded = value.to_integral_value()
    return f"{rounded if rounded == value else value:,f}"


def title(statement: str) -> str:
    """A kind of statement in words."""
    return _TITLES.get(statement, statement.replace("_", " "))


def format_column_end(columns: Sequence[Column], column: int) -> str:
    """The end of a column's period in brackets, or its index.

    If another column ends on the same day, its number of quarters follows.
    """
    end, quarters = columns[column].end, columns[column].quarters
    if not end:
        return f" (column {column})"
    twice = sum(other.end == end for other in columns) > 1
    length = f", {counted(quarters, 'quarter', 'quarters')}" if twice and quarters else ""
    return f" ({format_day(end)}{length})"


def counted(count: int, singular: str, plural: str) -> str:
    """A count with its noun."""
    return f"{count:,} {singular if count == 1 else plural}"


def in_words(names: Iterable[str]) -> str:
    """A list in a sentence; empty without names."""
    *first, last = [*names] or [""]
    return f"{', '.join(first)} and {last}" if first else last
