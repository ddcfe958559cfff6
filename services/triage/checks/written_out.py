"""Write a relation out as on paper."""

from __future__ import annotations

from decimal import Decimal

from services.triage.relations.message_format import format_column_end, money, title
from services.triage.relations.relations import Equation, StatementView, Views
from services.triage.relations.statement_rows import ZERO

WRITTEN_OUT = 12  # terms of a sum that a message lists


def arithmetic(views: Views, equation: Equation) -> str:
    """The sum as on paper: reported, parts, result and difference."""
    (total, _), parts = equation.terms[0], equation.terms[1:]
    view = views[total.statement]
    reported = view.value(total.row, total.column) or ZERO
    made = reported - equation.residual
    name = view.rows[total.row].label
    when = column_end(view, total.column)
    if len(parts) == 1:
        cell = parts[0][0]
        other = views[cell.statement]
        return (
            f"{name!r} on the {title(view.kind)}{when} is {amount(reported)}, "
            f"but {other.rows[cell.row].label!r} on the {title(other.kind)}"
            f"{column_end(other, cell.column)} is {amount(made)}: "
            f"a difference of {amount(equation.residual)}."
        )
    terms = [(view.value(c.row, c.column), -factor) for c, factor in parts]
    amounts = [(v * sign) for v, sign in terms if v is not None]
    written = " ".join(signed(a, i == 0) for i, a in enumerate(amounts[:WRITTEN_OUT]))
    if omitted := amounts[WRITTEN_OUT:]:
        written += f" {signed(sum(omitted, ZERO), False)} (from {len(omitted)} more lines)"
    return (
        f"{name!r}{when} is {amount(reported)}, but {written} = {amount(made)}: "
        f"a difference of {amount(equation.residual)}."
    )


def column_end(view: StatementView, column: int) -> str:
    """The end of a column's period in brackets, or its index."""
    return format_column_end(view.statement.columns, column)


def amount(value: Decimal | None) -> str:
    """An amount, or `nothing` for an empty cell."""
    return "nothing" if value is None else money(value)


def signed(value: Decimal, first: bool) -> str:
    """A term of a sum, with its sign unless it is the first."""
    if first:
        return amount(value)
    return f"{'-' if value < 0 else '+'} {amount(abs(value))}"
