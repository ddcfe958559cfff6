"""Write a relation out as on paper."""

from __future__ import annotations

from decimal import Decimal

from services.triage.explanations import Ledger, LedgerRow, Sign
from services.triage.relations.message_format import format_column_end, money, title
from services.triage.relations.relations import Cell, Equation, StatementView, Views
from services.triage.relations.statement_rows import ZERO
from services.triage.statements.model import truncate
from services.triage.statements.named_cells import NamedCell

WRITTEN_OUT = 12  # terms of a sum that a message lists
LABEL = 60  # characters of a label within a relation


def ledger_of(views: Views, equation: Equation) -> Ledger:
    """The relation as a ledger. Empty cells have no row."""
    (total, _), *parts = equation.terms
    rows = (
        _row_of(views, cell, "-" if factor > 0 else "+")
        for cell, factor in parts
        if views[cell.statement].value(cell.row, cell.column) is not None
    )
    return Ledger(tuple(rows), _row_of(views, total, "+"))


def _row_of(views: Views, cell: Cell, sign: Sign) -> LedgerRow:
    view = views[cell.statement]
    return LedgerRow(
        NamedCell.at(view.statement, cell.row, cell.column),
        view.statement.columns[cell.column],
        view.value(cell.row, cell.column) or ZERO,
        sign,
    )


def arithmetic(views: Views, equation: Equation) -> str:
    """The ledger of a relation as on paper: stated total, lines, sum and difference."""
    (total, _), parts = equation.terms[0], equation.terms[1:]
    ledger, view = ledger_of(views, equation), views[total.statement]
    stated, made = amount(ledger.total.value), amount(ledger.sum)
    name, when = view.rows[total.row].label, column_end(view, total.column)
    end = f"a difference of {amount(ledger.difference)}."
    if len(parts) == 1:
        cell = parts[0][0]
        other = views[cell.statement]
        return (
            f"{name!r} on the {title(view.kind)}{when} is {stated}, "
            f"but {other.rows[cell.row].label!r} on the {title(other.kind)}"
            f"{column_end(other, cell.column)} is {made}: {end}"
        )
    amounts = [row.amount for row in ledger.rows]
    written = " ".join(signed(a, i == 0) for i, a in enumerate(amounts[:WRITTEN_OUT]))
    if omitted := amounts[WRITTEN_OUT:]:
        written += f" {signed(sum(omitted, ZERO), False)} (from {len(omitted)} more lines)"
    return f"{name!r}{when} is {stated}, but {written} = {made}: {end}"


def in_lines(views: Views, equation: Equation) -> str:
    """The relation as lines with their amounts: `Gross profit 4 = Sales 11 - Costs 7`."""
    (total, _), parts = equation.terms[0], equation.terms[1:]
    text = f"{_line(views, total, None)} ="
    for place, (cell, factor) in enumerate(parts[:WRITTEN_OUT]):
        sign = "-" if factor > 0 else "+" if place else ""
        text += f"{sign and ' ' + sign} {_line(views, cell, total)}"
    more = len(parts) - WRITTEN_OUT
    return text if more <= 0 else f"{text} and {more} more lines"


def _line(views: Views, cell: Cell, total: Cell | None) -> str:
    """A line with its amount; with its statement or day where they differ from the total's."""
    view = views[cell.statement]
    text = truncate(view.rows[cell.row].label, LABEL)
    if total and cell.statement != total.statement:
        text += f" on the {title(view.kind)}"
    elif total and cell.column != total.column:
        text += column_end(view, cell.column)
    return f"{text} {amount(view.value(cell.row, cell.column))}"


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
