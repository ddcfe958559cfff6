"""Suspects as findings, each with its explanation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import TypedDict

from services.triage.checks.diagnosis import CAUSES, Diagnosis, cause_of
from services.triage.checks.plausibility import Anomaly
from services.triage.checks.rule_confidence import CONFIDENCE, Swap, main_equation, rule_confidence
from services.triage.checks.suspects import Suspect
from services.triage.checks.written_out import amount, arithmetic, ledger_of
from services.triage.domain import Finding, Severity
from services.triage.explanations import Explanation, Reason, Repair
from services.triage.relations import identities
from services.triage.relations.message_format import counted
from services.triage.relations.relations import Cell, Equation, StatementView, Views
from services.triage.relations.statement_rows import ZERO
from services.triage.relations.sums import tolerance
from services.triage.statements.model import MAX_SENTENCE, truncate
from services.triage.statements.named_cells import NamedCell

WRITTEN_RELATIONS = 2  # further relations that a finding writes out
ANOMALY_CAUSES = {
    "missing_line": Reason("dropped_line", "a line is missing or wrong"),
    "swapped_columns": Reason("swapped", CAUSES["swapped"]),
    "switched_sign": Reason("sign", CAUSES["sign"]),
}
"""Likely causes by check."""


def finding_of(views: Views, suspect: Suspect) -> Finding:
    """A suspect as a finding, with the confidence of the rules."""
    source = suspect.source
    if isinstance(source, Diagnosis):
        return of_diagnosis(views, source, False)
    return of_swap(views, source) if isinstance(source, Swap) else of_anomaly(views, source)


def of_diagnosis(views: Views, d: Diagnosis, many: bool) -> Finding:
    """A diagnosis as a finding; `many` marks a column with too many breaks for one slip."""
    view = views[d.cell.statement]
    main = main_equation(d)
    explanation = Explanation(
        ledger=ledger_of(views, main),
        adds_up_if=(_repair(view, d.cell, d.expected),),
        likely_cause=cause_of(view, d),
        supports=tuple(_supports(views, d, main)),
        doubts=tuple(_doubts(views, d, main, many)),
    )
    return Finding(
        check=main.check,
        severity=severity(views, main.residual),
        confidence=rule_confidence(views, d, main, many),
        statement=view.kind,
        column=d.cell.column,
        row=d.cell.row,
        rows=_rows_in(d.cell.statement, d.mends),
        label=view.rows[d.cell.row].label,
        reported=view.value(d.cell.row, d.cell.column),
        expected=d.expected,
        message=truncate(explanation.message(arithmetic(views, main)), MAX_SENTENCE),
        explanation=explanation,
        **_shown(views, view, d.cell.column, [d.cell, *_cells_in(d.mends)]),
    )


def _repair(view: StatementView, cell: Cell, expected: Decimal) -> Repair:
    return Repair(
        statement=view.kind,
        row=cell.row,
        column=cell.column,
        label=view.rows[cell.row].label,
        period=view.statement.columns[cell.column],
        reported=view.value(cell.row, cell.column),
        expected=expected,
    )


def _supports(views: Views, d: Diagnosis, main: Equation) -> Iterator[Reason]:
    """The facts that support a diagnosis."""
    others = [e for e in d.mends if e is not main]
    others.sort(key=lambda e: e.check != identities.BALANCE)
    for other in others[:WRITTEN_RELATIONS]:
        yield Reason("other_relation", f"This also explains why {arithmetic(views, other)}")
    if (more := len(others) - WRITTEN_RELATIONS) > 0:
        explained = counted(more, "further relation", "further relations")
        yield Reason("other_relation", f"This also explains {explained}.")
    if main.support:
        columns = counted(main.support, "other column", "other columns")
        yield Reason("other_columns", f"The same relation holds in {columns}.")
    unit, limit = _rounding(views, main)
    if limit and abs(main.residual) > limit:
        words = f"Rounding to {amount(unit)} explains a difference of {amount(limit)} at most."
        yield Reason("rounding", words)


def _doubts(views: Views, d: Diagnosis, main: Equation, many: bool) -> Iterator[Reason]:
    """The facts that speak against a diagnosis."""
    if d.harms:
        harmed = counted(d.harms, "relation that holds", "relations that hold")
        words = f"This amount would break {harmed} now, so another amount may be wrong."
        yield Reason("breaks_relations", words)
    unit, limit = _rounding(views, main)
    if limit and abs(main.residual) <= limit:
        words = f"Rounding to {amount(unit)} may explain it, but little else here is rounded."
        yield Reason("rounding", words)
    if many:
        yield Reason(
            "many_breaks",
            "Many relations break in this column at once: "
            "it may be restated, or in another currency.",
        )


def _rounding(views: Views, equation: Equation) -> tuple[Decimal, Decimal]:
    """The unit of a page and the largest difference that rounding explains. Zero for amounts that
    should be equal.
    """
    unit = views[equation.terms[0][0].statement].unit
    return unit, tolerance(unit, len(equation.terms) - 1)


def of_swap(views: Views, swap: Swap) -> Finding:
    """Exchanged amounts as a finding."""
    main = max(swap.equations, key=lambda e: e.digits)
    index = main.terms[0][0].statement
    view = views[index]
    swapped = [Cell(index, swap.line, column) for column in swap.columns]
    here, there = (view.value(cell.row, cell.column) or ZERO for cell in swapped)
    first, second = (arithmetic(views, equation) for equation in swap.equations)
    explanation = Explanation(
        ledger=ledger_of(views, swap.equations[0]),
        adds_up_if=(_repair(view, swapped[0], there), _repair(view, swapped[1], here)),
        likely_cause=ANOMALY_CAUSES["swapped_columns"],
        supports=(Reason("opposite_difference", f"The differences are opposite: {second}"),),
    )
    return Finding(
        check="swapped_columns",
        severity=severity(views, main.residual),
        confidence=CONFIDENCE["swapped_columns"],
        statement=view.kind,
        column=swap.columns[0],
        row=swap.line,
        rows=_rows_in(index, swap.equations),
        label=view.rows[swap.line].label,
        reported=here,
        expected=there,
        message=truncate(explanation.message(first), MAX_SENTENCE),
        explanation=explanation,
        **_shown(views, view, swap.columns[0], [*swapped, *_cells_in(swap.equations)]),
    )


def of_anomaly(views: Views, s: Anomaly) -> Finding:
    """Something implausible as a finding."""
    view = views[s.statement]
    missing = s.check == "missing_line"
    label = None if s.row is None or missing else view.rows[s.row].label
    lines = s.rows if s.row is None or missing else (s.row, *s.rows)
    columns = range(view.width) if s.column is None else (s.column,)
    lines = lines[::-1] if missing else lines  # the incomplete total comes first
    cells = [Cell(s.statement, line, column) for line in lines for column in columns]
    at_stake = s.size if s.size is not None else s.reported or ZERO
    explanation, first = _explained(views, view, s)
    named = first or (f"{label!r}:" if label else "")
    return Finding(
        check=s.check,
        severity="high" if s.check == "statement_scale" else severity(views, at_stake),
        confidence=CONFIDENCE.get(s.check, 0.0),
        statement=view.kind,
        column=s.column,
        row=s.row,
        rows=s.rows,
        label=label,
        reported=s.reported,
        expected=s.expected,
        message=truncate(explanation.message(named, s.reason), MAX_SENTENCE),
        explanation=explanation,
        **_shown(views, view, s.column, cells),
    )


def _explained(views: Views, view: StatementView, s: Anomaly) -> tuple[Explanation, str]:
    """The explanation of an anomaly, and its ledger in words; empty without one."""
    explanation = Explanation(likely_cause=ANOMALY_CAUSES.get(s.check))
    sums = _section_sums(view, s) if s.check in ("missing_line", "exceeds_total") else []
    ledgers = [ledger_of(views, equation) for equation in sums]
    at = next((i for i, ledger in enumerate(ledgers) if ledger.difference), None)
    if at is None:
        return explanation, ""
    if s.check == "missing_line":
        if ledgers[0].difference != s.expected:
            return explanation, ""  # it is not a plain sum
        total, gap = ledgers[at].total, ledgers[at].difference
        added = Repair(view.kind, s.row or 0, total.cell.column, None, total.period, None, gap)
        explanation = replace(explanation, adds_up_if=(added,))
    return replace(explanation, ledger=ledgers[at]), arithmetic(views, sums[at])


def _section_sums(view: StatementView, s: Anomaly) -> list[Equation]:
    """The plain sum of an anomaly's lines in each of its columns with a total."""
    *parts, total = s.rows
    factors = [(total, 1), *((row, -1) for row in parts)]
    return [
        Equation(
            s.check,
            tuple((Cell(view.index, row, column), factor) for row, factor in factors),
            residual=ZERO,
            tolerance=ZERO,
            support=0,
        )
        for column in (range(view.width) if s.column is None else (s.column,))
        if view.value(total, column)
    ]


class _Shown(TypedDict):
    """The cells, page and period of a finding."""

    cells: tuple[NamedCell, ...]
    page: int | None
    end: str | None


def _shown(views: Views, view: StatementView, column: int | None, cells: Iterable[Cell]) -> _Shown:
    """Each cell once with its position; without any, the statement's first page."""
    named = tuple(
        NamedCell.at(views[cell.statement].statement, cell.row, cell.column)
        for cell in dict.fromkeys(cells)
    )
    positions = [cell.position for cell in named]
    positions += [position for row in view.rows for position in row.positions]
    return {
        "cells": named,
        "page": next((position.page for position in positions if position), None),
        "end": None if column is None else view.statement.columns[column].end,
    }


def _cells_in(equations: Iterable[Equation]) -> list[Cell]:
    return [cell for equation in equations for cell, _ in equation.terms]


def _rows_in(statement: int, equations: Iterable[Equation]) -> tuple[int, ...]:
    return tuple(sorted({c.row for e in equations for c, _ in e.terms if c.statement == statement}))


def severity(views: Views, size: Decimal) -> Severity:
    """By the share of the largest ordinary amount: 5% is high, half a percent medium."""
    peaks = sorted(
        max(abs(v) for v in view.rows[row].values if v is not None)
        for view in views
        for row in view.money
    )
    scale = peaks[int(0.95 * (len(peaks) - 1))] if peaks else ZERO
    if not scale or abs(size) >= scale / 20:
        return "high"
    return "medium" if abs(size) >= scale / 200 else "low"
