"""The context of a filing's suspects: its relations, and the learned patterns of its lines."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import cached_property
from statistics import median

from services.triage.checks.plausibility import Anomaly
from services.triage.checks.rule_confidence import find_swaps, is_refuted
from services.triage.checks.suspects import KINDS, UNKNOWN
from services.triage.relations.identities import is_brief
from services.triage.relations.labels import announces_sum
from services.triage.relations.learned_sums import (
    LEAST_DIGITS,
    LearnedPatterns,
    listed_pairs,
    same_columns,
    statement_size,
)
from services.triage.relations.relations import Cell, Equation, StatementView, Views
from services.triage.statements.model import CHECKED


class FilingContext:
    """One filing with everything that describes its suspects."""

    def __init__(
        self,
        views: Views,
        equations: Sequence[Equation],
        anomalies: Sequence[Anomaly],
        patterns: LearnedPatterns,
    ) -> None:
        self.views = views
        self.patterns = patterns
        self.anomalies = [s for s in anomalies if not is_refuted(s, equations)]
        self.swaps, remaining = find_swaps(views, equations)
        self.equations = [*remaining, *self._same_amounts(equations)]
        self.peers: dict[object, list[Equation]] = defaultdict(list)
        self.of_cell: dict[Cell, list[Equation]] = defaultdict(list)
        self.of_column: dict[tuple[int, int], list[Equation]] = defaultdict(list)
        for equation in self.equations:
            self.peers[equation.relation].append(equation)
            for cell, _ in equation.terms:
                self.of_cell[cell].append(equation)
            first = equation.terms[0][0]
            self.of_column[first.statement, first.column].append(equation)
        self.broken = [e for e in self.equations if not e.holds]
        self.sizes = [statement_size(view) for view in views]
        holding = [e for e in self.equations if e.holds and len(e.terms) > 2]
        self.rounded = sum(bool(e.residual) for e in holding) / max(len(holding), 1)
        self.brief = is_brief(views)
        self.made = {e.terms[0][0] for e in holding}

    @cached_property
    def values(self) -> set[Decimal]:
        """All amounts of the filing, without signs."""
        return {abs(v) for s in self.views for row in s.money for v in s.rows[row].values if v}

    @cached_property
    def names(self) -> list[set[str]]:
        """The names of the lines of each statement."""
        return [{self.name(view, row) for row in view.money} for view in self.views]

    def name(self, view: StatementView, row: int) -> str:
        """The usual name of a line among companies; empty if unknown."""
        return self.patterns.name(view.kind, view.rows[row].label)

    def key(self, view: StatementView, row: int) -> str:
        """The key of a line in the learned patterns."""
        return f"{view.kind}|{self.name(view, row)}"

    def part_counts(self, view: StatementView, total: int, part: int) -> list[float] | None:
        """How often companies add, subtract and leave out a part of a total; None if unknown."""
        return self.patterns.parts.get(self.key(view, total), {}).get(self.name(view, part))

    def holding(self, cell: Cell) -> int:
        """Relations with a cell that hold."""
        return sum(e.holds for e in self.of_cell[cell])

    def breaking(self, cell: Cell) -> int:
        """Relations with a cell that break."""
        return sum(not e.holds for e in self.of_cell[cell])

    @cached_property
    def summed(self) -> float:
        """Share of the lines whose label announces a sum that are sums."""
        announced = summed = 0
        for view in self.views:
            if view.kind not in CHECKED:
                continue
            totals = {total.total for total in view.sums}
            rows = [r for r in view.money if announces_sum(view.rows[r].label)]
            announced += len(rows)
            summed += sum(row in totals for row in rows)
        return summed / max(announced, 1)

    def _same_amounts(self, equations: Sequence[Equation]) -> Iterator[Equation]:
        """Lines of two statements that agree in other companies."""
        done = {frozenset(c for c, _ in e.terms) for e in equations if len(e.terms) == 2}
        pairs = listed_pairs(self.patterns.pairs, self.patterns, self.views)
        for _, first, row, second, row_ in pairs:
            compared = []
            for c, d in same_columns(first, second):
                v, w = first.value(row, c), second.value(row_, d)
                cells = Cell(first.index, row, c), Cell(second.index, row_, d)
                if v and w and abs(v) >= LEAST_DIGITS * first.unit and frozenset(cells) not in done:
                    sign = 1 if (v > 0) == (w > 0) else -1
                    compared.append((cells, sign, v - sign * w))
            unit = max(first.unit, second.unit)
            hold = sum(abs(gap) <= unit for *_, gap in compared)
            for (a, b), sign, gap in compared:
                support = hold - (abs(gap) <= unit)
                yield Equation("same_amount", ((a, 1), (b, -sign)), gap, unit, support)

    def shared(self, kind: str, view: StatementView, row: int | None, column: int | None
                ) -> dict[str, float]:  # fmt: skip
        here = self.of_column[view.index, column or 0]
        broken = sum(not e.holds for e in here)
        numbers = {
            "kind": KINDS.index(kind),
            "statement": CHECKED.index(view.kind) if view.kind in CHECKED else len(CHECKED),
            "width": view.width,
            "rows_in_statement": len(view.money),
            "relations": len(self.equations),
            "broken_here": broken,
            "broken_in_filing": len(self.broken),
            "holds_in_column": len(here) - broken,
            "share_broken_in_column": broken / max(len(here), 1),
            "column": UNKNOWN if column is None else column,
            "unit": math.log10(float(view.unit)),
            "rounded_elsewhere": self.rounded,
            "brief": self.brief,
            "sums": self.summed,
            "without_amount": lines_without_amount(view, column),
        }
        if row is not None:
            numbers |= self._of_line(view, row, column)
        return numbers

    def _of_line(self, view: StatementView, row: int, column: int | None) -> dict[str, float]:
        line = view.rows[row]
        pattern = self.patterns.lines.get(self.key(view, row))
        values = [float(v) for v in line.values if v]
        value = line.values[column] if column is not None else None
        numbers: dict[str, float] = {"anchored": announces_sum(line.label)}
        if value:
            others = [abs(float(v)) for c, v in enumerate(line.values) if c != column and v]
            size = math.log10(abs(float(value)) / (self.sizes[view.index] or 1))
            numbers |= {"size": size, "is_below": value < 0}
            if others:
                numbers["change"] = log_ratio(float(value), median(others))
            if pattern:
                numbers["size_unusual"] = (size - pattern[2]) / (pattern[3] + 0.3)
        if pattern:
            met, below, *_, change = pattern
            numbers |= {"line_met": met, "line_below": below, "change_usual": change}
            if value:
                numbers["sign_against"] = below if value > 0 else 1 - below
        if not values:
            numbers["size"] = UNKNOWN
        return numbers

    def of_relation(self, equation: Equation) -> dict[str, float]:
        """Numbers about a sum with this total and these parts in other companies."""
        (total, _), parts = equation.terms[0], equation.terms[1:]
        view = self.views[total.statement]
        return self.of_sum(view, total.row, [(c.row, -f) for c, f in parts
                                               if c.statement == total.statement])  # fmt: skip

    def of_sum(self, view: StatementView, total: int, parts: Sequence[tuple[int, int]]
                ) -> dict[str, float]:  # fmt: skip
        numbers: dict[str, float] = {}
        if counts_of_total := self.patterns.totals.get(self.key(view, total)):
            seen, holds, breaks = counts_of_total
            numbers = {
                "total_met": seen,
                "total_holds": (holds + 0.2) / (seen + 0.4),
                "total_breaks": breaks / (holds + breaks + 1),
            }
        probabilities = []
        for row, sign in parts:
            if counts := self.part_counts(view, total, row):
                right = counts[0 if sign > 0 else 1]
                probabilities.append((right + 0.2) / (sum(counts) + 0.4))
        if probabilities:
            numbers["part_least"] = min(probabilities)
            numbers["part_mean"] = sum(probabilities) / len(probabilities)
        numbers["parts_known"] = len(probabilities) / max(len(parts), 1)
        return numbers


def lines_without_amount(view: StatementView, column: int | None) -> int:
    """The number of lines that are empty in a column, or, for None, in every column."""
    columns = range(view.width) if column is None else (column,)
    return sum(not row.heading and all(row.values[c] is None for c in columns) for row in view.rows)


def log_ratio(value: float, other: float) -> float:
    """The absolute log10 of the ratio of two amounts; 3 if one is zero."""
    if not value or not other:
        return 3.0
    return abs(math.log10(abs(value) / abs(other)))
