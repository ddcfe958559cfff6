"""One filing as its doubts see it: what holds and breaks where, and what is known of its lines."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import cached_property
from statistics import median

from services.triage.belief import refuted, take_swaps
from services.triage.doubts import KINDS, UNKNOWN
from services.triage.experience import (
    LEAST_DIGITS,
    Experience,
    known_pairs,
    same_columns,
    size_of,
)
from services.triage.identities import CHECKED, is_brief
from services.triage.labels import announces_sum
from services.triage.plausibility import Suspicion
from services.triage.relations import Cell, Equation, Sheet


class Context:
    """One filing with all that its doubts are described by."""

    def __init__(
        self,
        sheets: Sequence[Sheet],
        equations: Sequence[Equation],
        suspicions: Sequence[Suspicion],
        experience: Experience,
    ) -> None:
        """Take the statements, what should hold in them, what rules suspect, and what is known."""
        self.sheets = sheets
        self.experience = experience
        self.suspicions = [s for s in suspicions if not refuted(s, equations)]
        self.swaps, rest = take_swaps(sheets, equations)
        self.equations = [*rest, *self._same_amounts(equations)]
        self.peers: dict[object, list[Equation]] = defaultdict(list)
        self.of_cell: dict[Cell, list[Equation]] = defaultdict(list)
        self.of_column: dict[tuple[int, int], list[Equation]] = defaultdict(list)
        for equation in self.equations:
            self.peers[relation_of(equation)].append(equation)
            for cell, _ in equation.terms:
                self.of_cell[cell].append(equation)
            first = equation.terms[0][0]
            self.of_column[first.statement, first.column].append(equation)
        self.broken = [e for e in self.equations if not e.holds]
        self.sizes = [size_of(sheet) for sheet in sheets]
        holding = [e for e in self.equations if e.holds and len(e.terms) > 2]
        self.rounded = sum(bool(e.residual) for e in holding) / max(len(holding), 1)
        self.brief = is_brief(sheets)
        self.made = {e.terms[0][0] for e in holding}

    @cached_property
    def values(self) -> set[Decimal]:
        """All amounts of the filing, without signs."""
        return {abs(v) for s in self.sheets for row in s.money for v in s.rows[row].values if v}

    @cached_property
    def names(self) -> list[set[str]]:
        """The names of the lines of each statement."""
        return [
            {self.experience.name(s.statement.statement, s.rows[row].label) for row in s.money}
            for s in self.sheets
        ]

    @cached_property
    def summed(self) -> float:
        """Of the lines that announce a sum, the share that is one."""
        announced = summed = 0
        for sheet in self.sheets:
            if sheet.statement.statement not in CHECKED:
                continue
            totals = {found.total for found in sheet.sums}
            rows = [r for r in sheet.money if announces_sum(sheet.rows[r].label)]
            announced += len(rows)
            summed += sum(row in totals for row in rows)
        return summed / max(announced, 1)

    def _same_amounts(self, equations: Sequence[Equation]) -> Iterator[Equation]:
        """Lines of two statements that agree in other companies."""
        done = {frozenset(c for c, _ in e.terms) for e in equations if len(e.terms) == 2}
        known = known_pairs(self.experience.pairs, self.experience, self.sheets)
        for _, one, row, other, row_ in known:
            found = []
            for c, d in same_columns(one, other):
                v, w = one.value(row, c), other.value(row_, d)
                cells = Cell(one.index, row, c), Cell(other.index, row_, d)
                if v and w and abs(v) >= LEAST_DIGITS * one.unit and frozenset(cells) not in done:
                    sign = 1 if (v > 0) == (w > 0) else -1
                    found.append((cells, sign, v - sign * w))
            unit = max(one.unit, other.unit)
            hold = sum(abs(gap) <= unit for *_, gap in found)
            for (a, b), sign, gap in found:
                support = hold - (abs(gap) <= unit)
                yield Equation("same_amount", ((a, 1), (b, -sign)), gap, unit, support)

    # What is known of a place

    def shared(self, kind: str, sheet: Sheet, row: int | None, column: int | None
                ) -> dict[str, float]:  # fmt: skip
        name = sheet.statement.statement
        here = self.of_column[sheet.index, column or 0]
        broken = sum(not e.holds for e in here)
        found = {
            "kind": KINDS.index(kind),
            "statement": CHECKED.index(name) if name in CHECKED else len(CHECKED),
            "width": sheet.width,
            "rows_in_statement": len(sheet.money),
            "relations": len(self.equations),
            "broken_here": broken,
            "broken_in_filing": len(self.broken),
            "holds_in_column": len(here) - broken,
            "share_broken_in_column": broken / max(len(here), 1),
            "column": UNKNOWN if column is None else column,
            "unit": math.log10(float(sheet.unit)),
            "rounded_elsewhere": self.rounded,
            "brief": self.brief,
            "sums": self.summed,
        }
        if row is not None:
            found |= self._of_line(sheet, row, column)
        return found

    def _of_line(self, sheet: Sheet, row: int, column: int | None) -> dict[str, float]:
        line = sheet.rows[row]
        name = self.experience.name(sheet.statement.statement, line.label)
        known = self.experience.lines.get(f"{sheet.statement.statement}|{name}")
        values = [float(v) for v in line.values if v]
        value = line.values[column] if column is not None else None
        found: dict[str, float] = {"anchored": announces_sum(line.label)}
        if value:
            others = [abs(float(v)) for c, v in enumerate(line.values) if c != column and v]
            size = math.log10(abs(float(value)) / (self.sizes[sheet.index] or 1))
            found |= {"size": size, "is_below": value < 0}
            if others:
                found["change"] = far_from(float(value), median(others))
            if known:
                found["size_unusual"] = (size - known[2]) / (known[3] + 0.3)
        if known:
            found |= {"line_met": known[0], "line_below": known[1], "change_usual": known[4]}
            if value:
                found["sign_against"] = known[1] if value > 0 else 1 - known[1]
        if not values:
            found["size"] = UNKNOWN
        return found

    def of_relation(self, equation: Equation) -> dict[str, float]:
        """What is known of a sum with such a total and such parts."""
        (total, _), parts = equation.terms[0], equation.terms[1:]
        sheet = self.sheets[total.statement]
        return self.of_sum(sheet, total.row, [(c.row, -f) for c, f in parts
                                               if c.statement == total.statement])  # fmt: skip

    def of_sum(self, sheet: Sheet, total: int, parts: Sequence[tuple[int, int]]
                ) -> dict[str, float]:  # fmt: skip
        kind = sheet.statement.statement
        key = f"{kind}|{self.experience.name(kind, sheet.rows[total].label)}"
        found: dict[str, float] = {}
        if met := self.experience.totals.get(key):
            whole, holds, breaks = met
            found = {
                "total_met": whole,
                "total_holds": (holds + 0.2) / (whole + 0.4),
                "total_breaks": breaks / (holds + breaks + 1),
            }
        table = self.experience.parts.get(key, {})
        chances = []
        for row, sign in parts:
            counts = table.get(self.experience.name(kind, sheet.rows[row].label))
            if counts:
                right = counts[0 if sign > 0 else 1]
                chances.append((right + 0.2) / (sum(counts) + 0.4))
        if chances:
            found["part_least"] = min(chances)
            found["part_mean"] = sum(chances) / len(chances)
        found["parts_known"] = len(chances) / max(len(parts), 1)
        return found


def relation_of(equation: Equation) -> object:
    """What the equations of one relation have in common."""
    return equation.check, tuple((c.statement, c.row, f) for c, f in equation.terms)


def far_from(value: float, other: float) -> float:
    """By how many tens one amount is from another."""
    if not value or not other:
        return 3.0
    return abs(math.log10(abs(value) / abs(other)))
