"""Inject errors into sound filings, one a filing.

The first nine types imitate those of `dev_injected.jsonl` in lines and size; the others occur as
well. A type returns None if the filing has no place for it, and another one is drawn.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from typing import Any

from models.triage_breaks.filings import Record

Truth = dict[str, Any]
"""Keys: type, statement, column, row, label, before, after, arith_checkable."""
Injector = Callable[["Draw"], Truth | None]
Sums = dict[int, list[tuple[int, tuple[int, ...]]]]
"""The sums of each statement by its index: the total, and all lines with it."""
KINDS: dict[str, Injector] = {}

AS_DEVELOPMENT: Mapping[str, float] = {
    "column_swap": 12,
    "cross_statement": 7,
    "digit_change": 13,
    "digit_transposition": 12,
    "line_dropped": 14,
    "row_scale": 20,
    "sign_flip": 13,
    "statement_scale": 7,
    "total_altered": 19,
}
"""Frequency of each type, as in the development filings."""
OTHERS: Mapping[str, float] = dict.fromkeys(
    ("rows_exchanged", "stale_comparative", "rounding", "duplicate_row", "missing_column",
     "column_scale", "sign_convention"),
    1,
)  # fmt: skip

HARD: Mapping[str, float] = {
    "line_dropped": 6,
    "column_swap": 2,
    "digit_change": 2,
    "sign_flip": 2,
    "total_altered": 2,
    "duplicate_row": 1,
}
"""Types that are found least: additional training examples, never counted."""

MOST_UNCHECKABLE = 0.25
"""Probability of choosing a line that is in no sum."""
LEAST_MONEY = 1000
"""Rows without a larger amount are per share or a ratio."""
MOST_PARTS, MOST_SIGNED = 28, 6
RELATIVE = (0.001, 0.003, 0.01, 0.03, 0.1)
"""Relative changes of a total."""
BETWEEN = (0.002, 0.05, 0.2)
"""Relative changes of an amount that two statements show."""


def kind(function: Injector) -> Injector:
    """Register a type of error under the name of its function."""
    KINDS[function.__name__] = function
    return function


def of_amount(function: Callable[[Draw, Hit], Truth | None]) -> Injector:
    """Register a type of error of one amount, which is drawn first."""

    def inject(draw: Draw) -> Truth | None:
        hit = draw.hit()
        return function(draw, hit) if hit else None

    KINDS[function.__name__] = inject
    return inject


@dataclass(frozen=True)
class Hit:
    """An amount to be replaced by an error."""

    statement: Record
    row: int
    column: int

    @property
    def values(self) -> list[Any]:
        values: list[Any] = self.statement["rows"][self.row]["values"]
        return values

    @property
    def value(self) -> Any:
        return self.values[self.column]


@dataclass
class Draw:
    """A filing to be spoiled, and the random draws."""

    filing: Record
    random: random.Random
    sums: Sums
    """The sums before the error."""

    def statement(self, *names: str) -> Record | None:
        """Return one of the statements, or of those with these names."""
        result = [s for s in self.filing["statements"] if not names or s["statement"] in names]
        return self.random.choice(result) if result else None

    def cell(self, statement: Record, rows: list[int]) -> tuple[int, int] | None:
        """Return one of the amounts of these rows that are not 0."""
        cells = [
            (row, column)
            for row in rows
            for column, value in enumerate(statement["rows"][row]["values"])
            if value
        ]
        if not cells:
            return None
        summed = {row for _, rows_of in self.sums_of(statement) for row in rows_of}
        checkable = [cell for cell in cells if cell[0] in summed]
        unlikely = MOST_UNCHECKABLE * (1 - len(checkable) / len(cells))
        if checkable and self.random.random() > unlikely:
            cells = checkable
        return self.random.choice(cells)

    def sums_of(self, statement: Record) -> list[tuple[int, tuple[int, ...]]]:
        return self.sums[next(i for i, s in enumerate(self.filing["statements"]) if s is statement)]

    def hit(self) -> Hit | None:
        """Return an amount of money on one of the statements."""
        statement = self.statement()
        cell = statement and self.cell(statement, self.money(statement))
        return Hit(statement, *cell) if statement and cell else None

    def put(self, statement: Record, row: int, column: int, after: Any) -> Truth:
        """Write an amount into a cell."""
        line = statement["rows"][row]
        before = line["values"][column]
        line["values"][column] = after
        return {
            "statement": statement["statement"],
            "column": column,
            "row": row,
            "label": line["label"],
            "before": before,
            "after": after,
            "arith_checkable": any(row in rows for _, rows in self.sums_of(statement)),
        }

    def change(self, hit: Hit, after: Any) -> Truth:
        return self.put(hit.statement, hit.row, hit.column, after)

    def money(self, statement: Record) -> list[int]:
        return [i for i, row in enumerate(statement["rows"]) if is_money(row)]


def all_sums(filing: Record) -> Sums:
    """Return the sums of each statement of a filing, by index."""
    return {i: sums(statement) for i, statement in enumerate(filing["statements"])}


def inject(
    filing: Record, which: str, seed: str, found_sums: Sums | None = None
) -> tuple[Record, Truth] | None:
    """Inject one error into a copy, the same for the same seed; None without a place for it."""
    spoiled = copy.deepcopy(filing)
    truth = KINDS[which](Draw(spoiled, random.Random(seed), found_sums or all_sums(filing)))
    if truth is None or spoiled == filing:
        return None
    return spoiled, {"type": which, **truth}


def injected(
    filing: Record,
    many: int,
    weights: Mapping[str, float],
    seed: str,
    found_sums: Sums | None = None,
) -> Iterator[tuple[Record, Truth]]:
    """Yield this many copies of a filing with one error each, of types drawn by weight."""
    chooser = random.Random(seed)
    names, found_sums = list(weights), found_sums or all_sums(filing)
    made, tried = 0, 0
    while made < many and tried < 20 * many:
        which = chooser.choices(names, [weights[name] for name in names])[0]
        tried += 1
        result = inject(filing, which, f"{seed}-{tried}", found_sums)
        if result:
            made += 1
            yield result


# The contents of a filing


def is_money(row: Record) -> bool:
    """Return whether a row shows amounts of money."""
    values = [v for v in row["values"] if v]
    unit = row.get("unit") or "USD"
    counted = "share" not in unit.lower() and unit != "pure"
    large = bool(values) and max(abs(v) for v in values) >= LEAST_MONEY
    return large and not row.get("heading") and counted


def sums(statement: Record) -> list[tuple[int, tuple[int, ...]]]:
    """Find the lines that are a signed sum of lines above in every column, with all its lines.

    Lines are read from the top. Each is tried as the sum of the last lines that no sum has used:
    all added, the first less the others, and every pattern of signs for few lines. This is
    independent of the product, so that errors are not only injected where it looks.
    """
    rows = statement["rows"]
    values = {i: [Decimal(str(v or 0)) for v in rows[i]["values"]] for i in range(len(rows))
              if is_money(rows[i])}  # fmt: skip
    stack: list[int] = []
    result: list[tuple[int, tuple[int, ...]]] = []
    for row, total in values.items():
        taken = _taken(values, total, stack)
        if taken:
            result.append((row, (row, *taken)))
            stack = stack[: -len(taken)]
        stack.append(row)
    return result


def _taken(
    values: Mapping[int, list[Decimal]], total: list[Decimal], stack: list[int]
) -> tuple[int, ...]:
    width = range(len(total))
    running = [Decimal(0)] * len(total)
    for depth in range(1, min(len(stack), MOST_PARTS) + 1):
        part = values[stack[-depth]]
        before, running = running, [running[c] + part[c] for c in width]
        if depth < 2:
            continue
        if running == total or [part[c] - before[c] for c in width] == total:
            return tuple(stack[-depth:])
    for depth in range(2, min(len(stack), MOST_SIGNED) + 1):
        parts = [values[i] for i in stack[-depth:]]
        for signs in product((1, -1), repeat=depth - 1):
            if all(
                parts[0][c] + sum(s * p[c] for s, p in zip(signs, parts[1:], strict=True))
                == total[c]
                for c in width
            ):
                return tuple(stack[-depth:])
    return ()


def unit_of(statement: Record) -> int:
    """Return the unit of the page."""
    return int(statement.get("presented_in") or 1000)


# The types of the development filings


@of_amount
def row_scale(draw: Draw, hit: Hit) -> Truth | None:
    """Multiply or divide one amount by a thousand."""
    unit = unit_of(hit.statement)
    after = hit.value * 1000
    if draw.random.random() < 0.4:
        after = int(hit.value / 1000 / unit) * unit
        if not after:
            return None
    return draw.change(hit, after)


@of_amount
def sign_flip(draw: Draw, hit: Hit) -> Truth | None:
    """Change the sign of one amount."""
    return draw.change(hit, -hit.value)


def _digits(draw: Draw, hit: Hit, change: Callable[[str], str | None]) -> Truth | None:
    value, unit = hit.value, unit_of(hit.statement)
    unit = unit if value % unit == 0 else 1
    if value != int(value):
        return None
    digits = change(str(abs(int(value)) // unit))
    if digits is None:
        return None
    return draw.change(hit, (1 if value > 0 else -1) * int(digits) * unit)


@of_amount
def digit_change(draw: Draw, hit: Hit) -> Truth | None:
    """Change one digit."""

    def change(digits: str) -> str:
        at = draw.random.randrange(len(digits))
        others = [d for d in "0123456789"[at == 0 :] if d != digits[at]]
        return digits[:at] + draw.random.choice(others) + digits[at + 1 :]

    return _digits(draw, hit, change)


@of_amount
def digit_transposition(draw: Draw, hit: Hit) -> Truth | None:
    """Exchange two neighbouring digits."""

    def change(digits: str) -> str | None:
        places = [
            i
            for i in range(len(digits) - 1)
            if digits[i] != digits[i + 1] and not (i == 0 and digits[1] == "0")
        ]
        if not places:
            return None
        i = draw.random.choice(places)
        return digits[:i] + digits[i + 1] + digits[i] + digits[i + 2 :]

    return _digits(draw, hit, change)


@of_amount
def column_swap(draw: Draw, hit: Hit) -> Truth | None:
    """Exchange the amounts of one line between two columns."""
    column, values = hit.column, hit.values
    others = [c for c, v in enumerate(values) if c != column and v and v != values[column]]
    if not others:
        return None
    first, second = (0, 1) if {0, 1} <= {column, *others} else sorted((column, others[0]))
    if not values[first] or not values[second] or values[first] == values[second]:
        return None
    before = list(values)
    truth = draw.put(hit.statement, hit.row, first, values[second])
    values[second] = before[first]
    return truth | {"columns": [first, second], "before": before, "after": list(values)}


@kind
def line_dropped(draw: Draw) -> Truth | None:
    """Drop a line that a sum needs."""
    statement = draw.statement("balance_sheet", "income")
    if not statement:
        return None
    totals = {total for total, _ in draw.sums_of(statement)}
    rows = [r for _, lines in draw.sums_of(statement) for r in lines if r not in totals]
    if not rows:
        return None
    row = draw.random.choice(rows)
    if not any(statement["rows"][row]["values"]):
        return None
    line = statement["rows"].pop(row)
    place = {"row": row, "label": line["label"], "before": line["values"]}
    return _of_all(statement, 0) | place | {"arith_checkable": True}


def _altered(draw: Draw, value: int, unit: int, shares: tuple[float, ...]) -> int:
    share = draw.random.choice(shares) * draw.random.choice((-1, 1))
    after = round(value * (1 + share) / unit) * unit
    return after if after != value else value + draw.random.choice((-1, 1)) * unit


@kind
def total_altered(draw: Draw) -> Truth | None:
    """Change a total by a small share, or by another amount."""
    statement = draw.statement()
    if not statement:
        return None
    cells = [
        (total, column)
        for total, _ in draw.sums_of(statement)
        for column, value in enumerate(statement["rows"][total]["values"])
        if value
    ]
    if not cells:
        return None
    row, column = draw.random.choice(cells)
    value, unit = statement["rows"][row]["values"][column], unit_of(statement)
    if draw.random.random() < 0.1:
        after = value + draw.random.randrange(1, 60) * unit * draw.random.choice((-1, 1))
    else:
        after = _altered(draw, value, unit, RELATIVE)
    return draw.put(statement, row, column, after)


_CASH = ("CashAndCashEquivalentsAtCarryingValue", "CashCashEquivalentsRestrictedCash")
_INCOME = ("NetIncomeLoss", "ProfitLoss")


@kind
def cross_statement(draw: Draw) -> Truth | None:
    """Change cash on the balance sheet, or net income on the cash flow statement."""
    name, concepts = draw.random.choice(
        (("balance_sheet", _CASH), ("balance_sheet", _CASH), ("cash_flow", _INCOME))
    )
    statement = draw.statement(name)
    if not statement:
        return None
    rows = [
        i
        for i, row in enumerate(statement["rows"])
        if str(row.get("concept")).startswith(concepts) and row["values"][0]
    ]
    if not rows:
        return None
    value = statement["rows"][rows[0]]["values"][0]
    after = _altered(draw, value, unit_of(statement), BETWEEN)
    return draw.put(statement, rows[0], 0, after)


def _scaled(statement: Record, rows: list[int], columns: list[int], factor: int) -> None:
    unit = unit_of(statement)
    for row in rows:
        values = statement["rows"][row]["values"]
        for column in columns:
            value = values[column]
            if value and factor > 0:
                values[column] = value * factor
            elif value:
                values[column] = round(value / -factor, 2) if unit == 1 else value // -factor


def _of_all(statement: Record, column: int) -> Truth:
    """Return the truth of an error without a single wrong line."""
    return {
        "statement": statement["statement"],
        "column": column,
        "row": None,
        "label": None,
        "before": None,
        "after": None,
        "arith_checkable": False,
    }


@kind
def statement_scale(draw: Draw) -> Truth | None:
    """Multiply or divide a whole statement by a thousand."""
    statement = draw.statement()
    if not statement or len(draw.filing["statements"]) < 2:
        return None
    factor = draw.random.choice((1000, -1000))
    width = len(statement["columns"])
    rows = [
        i
        for i in draw.money(statement)
        if any(abs(v) >= 10_000 for v in statement["rows"][i]["values"] if v)
    ]
    _scaled(statement, rows, list(range(width)), factor)
    return _of_all(statement, 0)


# Other types


@of_amount
def rows_exchanged(draw: Draw, hit: Hit) -> Truth | None:
    """Exchange the amounts of two lines in one column."""
    money = draw.money(hit.statement)
    at = money.index(hit.row)
    if at + 1 == len(money):
        return None
    below = Hit(hit.statement, money[at + 1], hit.column)
    if not below.value or below.value == hit.value:
        return None
    after = below.value
    below.values[below.column] = hit.value
    return draw.change(hit, after) | {"rows": [hit.row, below.row]}


@of_amount
def stale_comparative(draw: Draw, hit: Hit) -> Truth | None:
    """Repeat the amount of another column."""
    others = [v for c, v in enumerate(hit.values) if c != hit.column and v and v != hit.value]
    return draw.change(hit, draw.random.choice(others)) if others else None


@of_amount
def rounding(draw: Draw, hit: Hit) -> Truth | None:
    """Round one amount to a coarser unit than the others."""
    unit = unit_of(hit.statement) * 100
    after = round(hit.value / unit) * unit
    return draw.change(hit, after) if after and abs(after - hit.value) > unit / 20 else None


@of_amount
def duplicate_row(draw: Draw, hit: Hit) -> Truth | None:
    """Repeat a line."""
    row, rows = hit.row, hit.statement["rows"]
    truth = draw.put(hit.statement, row, 0, hit.values[0])
    rows.insert(row + 1, copy.deepcopy(rows[row]))
    return truth | {"row": row + 1, "rows": [row, row + 1]}


@of_amount
def missing_column(draw: Draw, hit: Hit) -> Truth | None:
    """Move the amounts of one line into the next column; the first is empty."""
    if len(hit.statement["columns"]) < 2:
        return None
    before = list(hit.values)
    truth = draw.put(hit.statement, hit.row, 0, None)
    hit.values[:] = [None, *before[:-1]]
    return truth | {"columns": list(range(len(before)))}


@kind
def column_scale(draw: Draw) -> Truth | None:
    """Put one column of a statement into another unit."""
    statement = draw.statement()
    if not statement or len(statement["columns"]) < 2:
        return None
    column = draw.random.randrange(len(statement["columns"]))
    _scaled(statement, draw.money(statement), [column], draw.random.choice((1000, -1000)))
    return _of_all(statement, column)


@of_amount
def sign_convention(draw: Draw, hit: Hit) -> Truth | None:
    """Change the sign of a line in every column."""
    values = hit.values
    truth = draw.change(hit, -hit.value)
    for other, value in enumerate(values):
        if other != hit.column and value:
            values[other] = -value
    return truth | {"columns": list(range(len(values)))}
