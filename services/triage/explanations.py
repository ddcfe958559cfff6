"""The explanation of a finding as fields. Its message is composed of the same facts.

A difference is always the stated amount less the sum: above zero, the lines fall short.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, Self

from services.triage.relations.message_format import in_words, money
from services.triage.relations.statement_rows import ZERO
from services.triage.statements.model import Column, format_day, number, number_or_none
from services.triage.statements.named_cells import NamedCell

Sign = Literal["+", "-"]


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One amount of a sum as the statement shows it, in whole units, and the sign by which it
    enters the sum."""

    cell: NamedCell
    period: Column
    value: Decimal
    sign: Sign = "+"

    @property
    def amount(self) -> Decimal:
        """The contribution to the sum."""
        return self.value if self.sign == "+" else -self.value

    def to_json(self) -> dict[str, Any]:
        return {
            **self.cell.to_json(),
            "period": self.period.to_json(),
            "sign": self.sign,
            "value": number(self.value),
        }

    @classmethod
    def of_json(cls, parts: Mapping[str, Any]) -> Self:
        period, value = Column(**parts["period"]), Decimal(parts["value"])
        return cls(NamedCell.of_json(parts), period, value, parts["sign"])


@dataclass(frozen=True, slots=True)
class Ledger:
    """The rows of a sum, and the stated total that they should make."""

    rows: tuple[LedgerRow, ...]
    total: LedgerRow

    @property
    def sum(self) -> Decimal:
        return sum((row.amount for row in self.rows), ZERO)

    @property
    def difference(self) -> Decimal:
        """The stated total less the sum."""
        return self.total.value - self.sum

    def to_json(self) -> dict[str, Any]:
        total = self.total.to_json()
        del total["sign"]
        return {
            "rows": [row.to_json() for row in self.rows],
            "sum": number(self.sum),
            "total": total,
            "stated": total.pop("value"),
            "difference": number(self.difference),
        }

    @classmethod
    def of_json(cls, parts: Mapping[str, Any]) -> Self:
        total = {**parts["total"], "value": parts["stated"], "sign": "+"}
        return cls(tuple(map(LedgerRow.of_json, parts["rows"])), LedgerRow.of_json(total))


@dataclass(frozen=True, slots=True)
class Repair:
    """An amount with which the sum adds up.

    Without a label it is a new line above `row`.
    """

    statement: str
    row: int
    column: int
    label: str | None
    period: Column
    reported: Decimal | None
    expected: Decimal

    def words(self, *, dated: bool) -> str:
        """The changed amount, with the last day of its column if `dated`."""
        expected = money(self.expected)
        if self.label is None:
            return f"a line of {expected} is added"
        reported = "nothing" if self.reported is None else money(self.reported)
        when = f" ({format_day(self.period.end)})" if dated and self.period.end else ""
        return f"{self.label!r}{when} is {expected} instead of {reported}"

    def to_json(self) -> dict[str, Any]:
        return {
            "statement": self.statement,
            "row": self.row,
            "column": self.column,
            "label": self.label,
            "period": self.period.to_json(),
            "reported": number_or_none(self.reported),
            "expected": number(self.expected),
        }

    @classmethod
    def of_json(cls, parts: Mapping[str, Any]) -> Self:
        reported = None if parts["reported"] is None else Decimal(parts["reported"])
        amounts = {"reported": reported, "expected": Decimal(parts["expected"])}
        return cls(**{**parts, "period": Column(**parts["period"]), **amounts})


@dataclass(frozen=True, slots=True)
class Reason:
    """A likely cause, or a fact for or against a finding: a code for programs, and words."""

    code: str
    words: str

    def to_json(self) -> dict[str, str]:
        return {"code": self.code, "words": self.words}


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why something does not add up. Empty for findings that were stored before there was one.

    `adds_up_if` has the amounts that together make the sum add up; empty if they are unknown.
    """

    ledger: Ledger | None = None
    adds_up_if: tuple[Repair, ...] = ()
    likely_cause: Reason | None = None
    supports: tuple[Reason, ...] = ()
    doubts: tuple[Reason, ...] = ()

    def message(self, *first: str) -> str:
        """The first sentences, then all facts but the ledger, in words."""
        sentences = [*first]
        if self.adds_up_if:
            several = len(self.adds_up_if) > 1
            words = in_words(repair.words(dated=several) for repair in self.adds_up_if)
            sentences.append(f"It adds up if {words}.")
        if self.likely_cause:
            sentences.append(f"Likeliest cause: {self.likely_cause.words}.")
        sentences += [reason.words for reason in (*self.supports, *self.doubts)]
        return " ".join(filter(None, sentences))

    def to_json(self) -> dict[str, Any]:
        return {
            "ledger": self.ledger and self.ledger.to_json(),
            "adds_up_if": [repair.to_json() for repair in self.adds_up_if],
            "likely_cause": self.likely_cause and self.likely_cause.to_json(),
            "supports": [reason.to_json() for reason in self.supports],
            "doubts": [reason.to_json() for reason in self.doubts],
        }

    @classmethod
    def of_json(cls, parts: Mapping[str, Any]) -> Self:
        """The explanation of a stored finding; an older one may lack the fields."""
        ledger, cause = parts.get("ledger"), parts.get("likely_cause")
        return cls(
            ledger=Ledger.of_json(ledger) if ledger else None,
            adds_up_if=tuple(map(Repair.of_json, parts.get("adds_up_if", ()))),
            likely_cause=Reason(**cause) if cause else None,
            supports=_reasons(parts.get("supports", ())),
            doubts=_reasons(parts.get("doubts", ())),
        )


def _reasons(items: Sequence[Mapping[str, str]]) -> tuple[Reason, ...]:
    return tuple(Reason(**item) for item in items)
