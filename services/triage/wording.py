"""How messages write amounts, statements and counts."""

from __future__ import annotations

from decimal import Decimal

_TITLES = {"income": "income statement", "cash_flow": "cash flow statement"}


def money(value: Decimal) -> str:
    """An amount with its thousands apart; a whole one without decimals, however it was read."""
    whole = value.to_integral_value()
    return f"{whole if whole == value else value:,f}"


def title(statement: str) -> str:
    """A kind of statement in words, to stand behind "the"."""
    return _TITLES.get(statement, statement.replace("_", " "))


def when(end: str | None, column: int) -> str:
    """The end of a column's period (YYYYMMDD) in brackets; its index where none is known."""
    return f" ({end[:4]}-{end[4:6]}-{end[6:]})" if end else f" (column {column})"


def counted(count: int, one: str, many: str) -> str:
    """A count with its noun."""
    return f"{count:,} {one if count == 1 else many}"
