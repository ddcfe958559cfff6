"""Errors put into sound filings, of the kinds that filings have, one a filing.

The first nine kinds imitate those of `dev_injected.jsonl`, in which lines they hit and by how much;
the others are met as well. What a kind needs and a filing lacks makes it None: another is drawn.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from typing import Any

from models.triage.filings import Record

Truth = dict[str, Any]
"""type, statement, column, row, label, before, after, arith_checkable."""
Injector = Callable[["Draw"], Truth | None]
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
"""How often each kind is drawn, as the development filings have them."""
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
"""What is found least: more of it to learn from, never counted."""

MOST_UNCHECKABLE = 0.25
"""Chance that a line which takes part in no sum is hit all the same."""
LEAST_MONEY = 1000
"""What has no larger amount is per share or a ratio."""
MOST_PARTS, MOST_SIGNED = 28, 6
RELATIVE = (0.001, 0.003, 0.01, 0.03, 0.1)
"""By how much a total is altered."""
BETWEEN = (0.002, 0.05, 0.2)
"""By how much an amount is altered that two statements show."""


def kind(function: Injector) -> Injector:
    """Enter a kind of error under the name of its function."""
    KINDS[function.__name__] = function
    return function


@dataclass(frozen=True)
class Hit:
    """An amount that an error is put in the place of."""

    statement: Record
    row: int
    column: int

    @property
    def values(self) -> list[Any]:
        """The amounts of its line."""
        values: list[Any] = self.statement["rows"][self.row]["values"]
        return values

    @property
    def value(self) -> Any:
        """The amount itself."""
        return self.values[self.column]


@dataclass
class Draw:
    """A filing to be spoiled, and the draws that say how."""

    filing: Record
    random: random.Random
    sums: dict[int, list[tuple[int, tuple[int, ...]]]]
    """The sums of each statement before the error, by its index."""

    def statement(self, *names: str) -> Record | None:
        """One of the statements, of these names if any are given."""
        found = [s for s in self.filing["statements"] if not names or s["statement"] in names]
        return self.random.choice(found) if found else None

    def cell(self, statement: Record, rows: list[int]) -> tuple[int, int] | None:
        """One of the amounts of these rows that are not 0."""
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
        if checkable and self.random.random() > MOST_UNCHECKABLE * (
            1 - len(checkable) / len(cells)
        ):
            cells = checkable
        return self.random.choice(cells)

    def sums_of(self, statement: Record) -> list[tuple[int, tuple[int, ...]]]:
        """The sums of a statement before the error."""
        return self.sums[next(i for i, s in enumerate(self.filing["statements"]) if s is statement)]

    def hit(self) -> Hit | None:
        """An amount of money on one of the statements."""
        statement = self.statement()
        place = statement and self.cell(statement, self.money(statement))
        return Hit(statement, *place) if statement and place else None

    def put(self, statement: Record, row: int, column: int, after: Any) -> Truth:
        """Write an amount into a cell."""
        line = statement["rows"][row]
        before = line["values"][column]
        checkable = any(row in rows for _, rows in self.sums_of(statement))
        line["values"][column] = after
        return {
            "statement": statement["statement"],
            "column": column,
            "row": row,
            "label": line["label"],
            "before": before,
            "after": after,
            "arith_checkable": checkable,
        }

    def change(self, hit: Hit, after: Any) -> Truth:
        """Write another amount in the place of one that was hit."""
        return self.put(hit.statement, hit.row, hit.column, after)

    def money(self, statement: Record) -> list[int]:
        """The rows of money."""
        return [i for i, row in enumerate(statement["rows"]) if is_money(row)]


Sums = dict[int, list[tuple[int, tuple[int, ...]]]]


def all_sums(filing: Record) -> Sums:
    """The sums of every statement of a filing, by its index."""
    return {i: sums(statement) for i, statement in enumerate(filing["statements"])}


def inject(
    filing: Record, which: str, seed: str, known: Sums | None = None
) -> tuple[Record, Truth] | None:
    """Put an error of a kind into a copy of a filing; the same seed makes the same error.

    Args:
        filing: a sound one.
        which: one of KINDS.
        seed: of the draws.
        known: the filing's sums, where they are known already.

    Returns:
        The filing with the error and what was done, or None if the filing has no place for it.
    """
    spoiled = copy.deepcopy(filing)
    truth = KINDS[which](Draw(spoiled, random.Random(seed), known or all_sums(filing)))
    if truth is None or spoiled == filing:
        return None
    return spoiled, {"type": which, **truth}


def injected(
    filing: Record,
    many: int,
    weights: Mapping[str, float],
    seed: str,
    known: Sums | None = None,
) -> Iterator[tuple[Record, Truth]]:
    """Yield so many copies of a filing with one error each, of kinds drawn by weight."""
    chooser = random.Random(seed)
    names, known = list(weights), known or all_sums(filing)
    made, tried = 0, 0
    while made < many and tried < 20 * many:
        which = chooser.choices(names, [weights[name] for name in names])[0]
        tried += 1
        found = inject(filing, which, f"{seed}-{tried}", known)
        if found:
            made += 1
            yield found


# What a filing has


def is_money(row: Record) -> bool:
    """Whether a row shows amounts of money."""
    values = [v for v in row["values"] if v]
    unit = row.get("unit") or "USD"
    counted = "share" not in unit.lower() and unit != "pure"
    large = bool(values) and max(abs(v) for v in values) >= LEAST_MONEY
    return large and not row.get("heading") and counted


def sums(statement: Record) -> list[tuple[int, tuple[int, ...]]]:
    """Find the lines that are a signed sum of lines above in every column, with all its lines.

    Lines are read from the top; each is tried as the sum of the last lines that no sum has taken:
    all added, the first less the others, and every pattern of signs if they are few. This is kept
    apart from what the product does, so that errors aren't put only where it looks.
    """
    rows = statement["rows"]
    values = {i: [Decimal(str(v or 0)) for v in rows[i]["values"]] for i in range(len(rows))
              if is_money(rows[i])}  # fmt: skip
    stack: list[int] = []
    found: list[tuple[int, tuple[int, ...]]] = []
    for row, total in values.items():
        taken = _taken(values, total, stack)
        if taken:
            found.append((row, (row, *taken)))
            stack = stack[: -len(taken)]
        stack.append(row)
    return found


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
    """What the page is printed in."""
    return int(statement.get("presented_in") or 1000)


# The kinds that the development filings have


@kind
def row_scale(draw: Draw) -> Truth | None:
    """One amount is a thousand times too large or too small."""
    hit = draw.hit()
    if hit is None:
        return None
    unit = unit_of(hit.statement)
    after = hit.value * 1000
    if draw.random.random() < 0.4:
        after = int(hit.value / 1000 / unit) * unit
        if not after:
            return None
    return draw.change(hit, after)


@kind
def sign_flip(draw: Draw) -> Truth | None:
    """One amount has the other sign."""
    hit = draw.hit()
    if hit is None:
        return None
    return draw.change(hit, -hit.value)


def _digits(draw: Draw, change: Callable[[str], str | None]) -> Truth | None:
    hit = draw.hit()
    if hit is None:
        return None
    value, unit = hit.value, unit_of(hit.statement)
    unit = unit if value % unit == 0 else 1
    if value != int(value):
        return None
    digits = change(str(abs(int(value)) // unit))
    if digits is None:
        return None
    return draw.change(hit, (1 if value > 0 else -1) * int(digits) * unit)


@kind
def digit_change(draw: Draw) -> Truth | None:
    """One digit is another."""

    def change(digits: str) -> str:
        at = draw.random.randrange(len(digits))
        others = [d for d in "0123456789"[at == 0 :] if d != digits[at]]
        return digits[:at] + draw.random.choice(others) + digits[at + 1 :]

    return _digits(draw, change)


@kind
def digit_transposition(draw: Draw) -> Truth | None:
    """Two neighbouring digits are exchanged."""

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

    return _digits(draw, change)


@kind
def column_swap(draw: Draw) -> Truth | None:
    """The amounts of one line change places between two columns."""
    hit = draw.hit()
    if hit is None:
        return None
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
    """A line is missing that a sum needs."""
    statement = draw.statement("balance_sheet", "income")
    if not statement:
        return None
    totals = {total for total, _ in draw.sums_of(statement)}
    rows = [
        r
        for total, lines in draw.sums_of(statement)
        for r in lines
        if r != total and r not in totals
    ]
    if not rows:
        return None
    row = draw.random.choice(rows)
    if not any(statement["rows"][row]["values"]):
        return None
    line = statement["rows"].pop(row)
    return {
        "statement": statement["statement"],
        "column": 0,
        "row": row,
        "label": line["label"],
        "before": line["values"],
        "after": None,
        "arith_checkable": True,
    }


def _altered(draw: Draw, value: int, unit: int, shares: tuple[float, ...]) -> int:
    share = draw.random.choice(shares) * draw.random.choice((-1, 1))
    after = round(value * (1 + share) / unit) * unit
    return after if after != value else value + draw.random.choice((-1, 1)) * unit


@kind
def total_altered(draw: Draw) -> Truth | None:
    """A total is off by a small share, or by some other amount."""
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
        after = value + draw.random.randrange(1, 60) * unit_of(statement) * draw.random.choice(
            (-1, 1)
        )
    else:
        after = _altered(draw, value, unit, RELATIVE)
    return draw.put(statement, row, column, after)


_CASH = ("CashAndCashEquivalentsAtCarryingValue", "CashCashEquivalentsRestrictedCash")
_INCOME = ("NetIncomeLoss", "ProfitLoss")


@kind
def cross_statement(draw: Draw) -> Truth | None:
    """Cash on the balance sheet, or net income on the cash flow statement, is another amount."""
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
    """What was done where no line alone is wrong."""
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
    """A whole statement is a thousand times too large or too small."""
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


# Others that one meets


@kind
def rows_exchanged(draw: Draw) -> Truth | None:
    """The amounts of two lines stand in each other's place, in one column."""
    hit = draw.hit()
    if hit is None:
        return None
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


@kind
def stale_comparative(draw: Draw) -> Truth | None:
    """One column repeats the amount of another."""
    hit = draw.hit()
    if hit is None:
        return None
    others = [v for c, v in enumerate(hit.values) if c != hit.column and v and v != hit.value]
    return draw.change(hit, draw.random.choice(others)) if others else None


@kind
def rounding(draw: Draw) -> Truth | None:
    """One amount is rounded to a coarser unit than the others."""
    hit = draw.hit()
    if hit is None:
        return None
    unit = unit_of(hit.statement) * 100
    after = round(hit.value / unit) * unit
    return draw.change(hit, after) if after and abs(after - hit.value) > unit / 20 else None


@kind
def duplicate_row(draw: Draw) -> Truth | None:
    """A line stands there twice."""
    hit = draw.hit()
    if hit is None:
        return None
    row, rows = hit.row, hit.statement["rows"]
    truth = draw.put(hit.statement, row, 0, hit.values[0])
    rows.insert(row + 1, copy.deepcopy(rows[row]))
    return truth | {"row": row + 1, "rows": [row, row + 1]}


@kind
def missing_column(draw: Draw) -> Truth | None:
    """The amounts of one line have slipped into the next column; the first is empty."""
    hit = draw.hit()
    if hit is None or len(hit.statement["columns"]) < 2:
        return None
    before = list(hit.values)
    truth = draw.put(hit.statement, hit.row, 0, None)
    hit.values[:] = [None, *before[:-1]]
    return truth | {"columns": list(range(len(before)))}


@kind
def column_scale(draw: Draw) -> Truth | None:
    """One column of a statement is in another unit."""
    statement = draw.statement()
    if not statement or len(statement["columns"]) < 2:
        return None
    column = draw.random.randrange(len(statement["columns"]))
    _scaled(statement, draw.money(statement), [column], draw.random.choice((1000, -1000)))
    return _of_all(statement, column)


@kind
def sign_convention(draw: Draw) -> Truth | None:
    """A line has the other sign in every column."""
    hit = draw.hit()
    if hit is None:
        return None
    values = hit.values
    truth = draw.change(hit, -hit.value)
    for other, value in enumerate(values):
        if other != hit.column and value:
            values[other] = -value
    return truth | {"columns": list(range(len(values)))}
