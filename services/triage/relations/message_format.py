"""Format amounts, statements and counts for messages."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from services.triage.statements.model import format_day

_TITLES = {"income": "income statement", "cash_flow": "cash flow statement"}


def money(value: Decimal) -> str:
    """An amount with thousands separators; whole amounts without decimals."""
    rounded = value.to_integral_value()
    return f"{rounded if rounded == value else value:,f}"


def title(statement: str) -> str:
    """A kind of statement in words."""
    return _TITLES.get(statement, statement.replace("_", " "))


def format_column_end(end: str | None, column: int) -> str:
    """The end of a column's period (YYYYMMDD) in brackets, or its index."""
    return f" ({format_day(end) if end else f'column {column}'})"


def counted(count: int, singular: str, plural: str) -> str:
    """A count with its noun."""
    return f"{count:,} {singular if count == 1 else plural}"


def in_words(names: Iterable[str]) -> str:
    """A list in a sentence; empty without names."""
    *first, last = [*names] or [""]
    return f"{', '.join(first)} and {last}" if first else last
