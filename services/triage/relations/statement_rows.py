"""The rows of a statement for the relations: rows of money, and their roles."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from statistics import median

from services.triage.relations import labels
from services.triage.statements.model import Row, Statement

ZERO = Decimal(0)
LONG = 40  # amounts of a long statement
PRECISE = 1000  # units in the median amount of a statement that has many digits


@dataclass
class StatementRows:
    """The rows of a statement, with cached look-ups."""

    index: int
    statement: Statement
    _roles: dict[str, list[int]] = field(default_factory=dict, repr=False)

    @property
    def kind(self) -> str:
        return self.statement.statement

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        return self.statement.rows

    @cached_property
    def width(self) -> int:
        return len(self.statement.columns)

    @cached_property
    def unit(self) -> Decimal:
        """The unit of the page: the power of ten that divides nine of ten amounts.

        Pages are mostly in thousands or millions. Another power counts only if it divides all
        amounts, or if the statement is long or its amounts have many digits: a few round figures
        do not show that the page is rounded.
        """
        values = [abs(v) for row in self.rows for v in row.values if v and not _small(row)]
        unit = Decimal(1)
        for power in range(1, 10 if values else 1):
            step = Decimal(10) ** power
            divided = sum(v % step == 0 for v in values)
            if divided < 0.9 * len(values):
                break
            precise = len(values) >= LONG or median(values) >= PRECISE * step
            if power % 3 == 0 or divided == len(values) or precise:
                unit = step
        return unit

    @cached_property
    def money(self) -> tuple[int, ...]:
        """Rows of money: no shares, amounts per share or ratios, and not empty.

        Below a heading such as "Weighted average shares", a line "Basic" is a number of shares.
        """
        rows: list[int] = []
        of_shares = False
        for i, row in enumerate(self.rows):
            if all(value is None for value in row.values):
                of_shares = labels.counts_shares(row.label)
            elif _is_money(row) and not (
                of_shares and not row.unit and labels.is_per_share(row.label)
            ):
                rows.append(i)
        return tuple(rows)

    @cached_property
    def last_of_cash(self) -> int | None:
        """The last row of the cash flow statement proper; lines below it are read apart."""
        return self.last("ending") if self.kind == "cash_flow" else None

    def value(self, row: int, column: int) -> Decimal | None:
        return self.rows[row].values[column]

    @cached_property
    def amounts(self) -> tuple[tuple[Decimal, ...], ...]:
        """Every row's cells, empty ones as 0."""
        return tuple(tuple(v if v is not None else ZERO for v in row.values) for row in self.rows)

    @cached_property
    def filled(self) -> tuple[tuple[int, ...], ...]:
        """The columns in which each row has an amount."""
        filled = ((c for c, v in enumerate(row.values) if v is not None) for row in self.rows)
        return tuple(map(tuple, filled))

    def roles(self, role: str) -> list[int]:
        """Rows of money that fit a role."""
        if role not in self._roles:
            money = set(self.money)
            rows = labels.role_rows(self.statement, role)
            self._roles[role] = [row for row in rows if row in money]
        return self._roles[role]

    def first(self, role: str) -> int | None:
        return next(iter(self.roles(role)), None)

    def last(self, role: str) -> int | None:
        return next(reversed(self.roles(role)), None)


def _small(row: Row) -> bool:
    return any(v % 1 for v in row.values if v) and max(abs(v) for v in row.values if v) < 10**5


def _is_money(row: Row) -> bool:
    present = [v for v in row.values if v is not None]
    if not present or row.heading:
        return False
    unit = (row.unit or "").lower()
    if "share" in unit or unit in ("pure", "percent", "%"):
        return False
    if labels.counts_shares(row.label):
        return False
    largest = max(abs(v) for v in present)
    if labels.is_per_share(row.label) and (largest < 10**5 or any(v % 1 for v in present)):
        return False
    return not _small(row)
