"""Common accounting identities between lines that are found only by their usual labels.

This is a baseline (`models.triage_breaks.baselines`) and not used in the product. It flags every
difference and allows for no rounding and no other explanation.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from models.triage_breaks.injections import is_money

Statement = Mapping[str, Any]
Identity = Callable[[Sequence[Statement]], bool]
ASSETS = re.compile(r"total assets")
CLAIMS = re.compile(r"total liabilities.*\b(equity|deficit|deficiency|capital|interests?)\b")
CASH = re.compile(r"(total )?cash(,? and (cash )?equivalents)?(, at carrying value)?")
CHANGE = re.compile(
    r"(net |total )?\W*((increase|decrease|change)s?\b\W*(or |and )?)+ ?(for the \w+ )?in cash"
    r"( and (cash )?equivalents)?(, period.*| for .*|, total)?"
)
BEGINNING = re.compile(r".*\bcash\b.*\bbeginning\b.*|(at )?beginning of.*")
ENDING = re.compile(r"(?!less).*\bcash\b.*\bend(ing)?\b.*|(at )?end of.*")
INCOME = re.compile(r"(consolidated )?net \W*(income|earnings|loss)(?!.* (on|from) ).*")
TOTAL = re.compile(r"total .*")
LARGE = 1000.0
"""Ratios of two amounts that suggest a wrong unit: 500 to 2,000, since periods differ."""


def _lines(
    statements: Sequence[Statement], name: str, label: re.Pattern[str]
) -> list[tuple[Statement, Mapping[str, Any]]]:
    """Yield the statement of a name with each of its rows of money with such a label."""
    return [
        (statement, row)
        for statement in statements
        if statement["statement"] == name
        for row in statement["rows"]
        if label.fullmatch((row["label"] or "").strip().casefold()) and is_money(row)
    ]


def _line(statements: Sequence[Statement], name: str, label: re.Pattern[str]) -> Any:
    """Return the statement and the last of its rows with such a label, or None."""
    result = _lines(statements, name, label)
    return result[-1] if result else None


def _differ(entry: Any, other: Any) -> bool:
    return entry is not None and other is not None and entry != other


def balance(statements: Sequence[Statement]) -> bool:
    """Return whether total assets differ from liabilities and equity."""
    assets = _line(statements, "balance_sheet", ASSETS)
    claims = _line(statements, "balance_sheet", CLAIMS)
    if not assets or not claims:
        return False
    return any(map(_differ, assets[1]["values"], claims[1]["values"]))


def roll_forward(statements: Sequence[Statement]) -> bool:
    """Return whether cash at the beginning and its change differ from cash at the end."""
    rows = [_line(statements, "cash_flow", label) for label in (BEGINNING, CHANGE, ENDING)]
    if not all(rows):
        return False
    return any(
        None not in amounts and amounts[0] + amounts[1] != amounts[2]
        for amounts in zip(*(row["values"] for _, row in rows), strict=True)
    )


def cash(statements: Sequence[Statement]) -> bool:
    """Return whether cash at the end of a period differs from the balance sheet of that day."""
    sheet = _lines(statements, "balance_sheet", CASH)
    return _same_days(sheet, _line(statements, "cash_flow", ENDING), ("end",))


def income(statements: Sequence[Statement]) -> bool:
    """Return whether net income differs between the cash flow and the income statement."""
    shown = _lines(statements, "income", INCOME)
    flow = _lines(statements, "cash_flow", INCOME)
    return _same_days(shown, flow[0] if flow else None, ("end", "quarters", "start"))


def _same_days(shown: Sequence[Any], other: Any, keys: Sequence[str]) -> bool:
    """Return whether an amount differs from all shown amounts of its period."""
    if not shown or not other:
        return False
    amounts: dict[tuple[Any, ...], set[Any]] = defaultdict(set)
    for statement, row in shown:
        for column, value in zip(statement["columns"], row["values"], strict=True):
            if value is not None:
                amounts[tuple(column.get(key) for key in keys)].add(value)
    days = [tuple(column.get(key) for key in keys) for column in other[0]["columns"]]
    return any(
        value is not None and day in amounts and value not in amounts[day]
        for day, value in zip(days, other[1]["values"], strict=True)
    )


def magnitude(statements: Sequence[Statement]) -> bool:
    """Return whether a total is about a thousand times another one of its line or statement."""
    largest = []
    for statement in statements:
        rows = [row for row in statement["rows"] if is_money(row)]
        for row in rows:
            shown = [abs(v) for v in row["values"] if v]
            total = TOTAL.fullmatch((row["label"] or "").strip().casefold())
            if total and _thousandfold(min(shown), max(shown)):
                return True
        largest.append(max((abs(v) for row in rows for v in row["values"] if v), default=0))
    sizes = [value for value in largest if value]
    return bool(sizes) and max(sizes) >= LARGE / 2 * min(sizes)


def _thousandfold(small: float, large: float) -> bool:
    return LARGE / 2 <= large / small <= LARGE * 2


IDENTITIES: Mapping[str, Identity] = {
    "assets are liabilities and equity": balance,
    "cash rolls forward": roll_forward,
    "cash on two statements": cash,
    "net income on two statements": income,
    "magnitudes": magnitude,
}
