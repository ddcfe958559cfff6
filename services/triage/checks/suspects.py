"""Cells and lines that may be wrong, described in numbers for the forest.

A suspect is one possible error. It may be a cell whose relations need another amount, exchanged
columns, a total that lacks a line, or a repeated line. It may also be a disproportionate amount, a
rare sign, or a statement in another unit. Many lawful filings have some; the classifier decides.

The path: an `Equation` that breaks is explained by a `Diagnosis` or a `Swap`; an `Anomaly` is
implausible without one. Each is a `Suspect`, and a believed suspect becomes a `Finding`
(`verdict.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from services.triage.checks.diagnosis import Diagnosis
from services.triage.checks.plausibility import Anomaly
from services.triage.checks.rule_confidence import Swap

UNKNOWN = -1.0  # the value of an unknown number

KINDS = ("cell", "swap", "gap", "proportion", "sign", "twice", "scale", "missing", "magnitude",
         "switched", "finer", "excess", "unit")  # fmt: skip
CHECKS = ("balance_equation", "balance_sheet_sums", "income_sums", "cash_flow_sums",
          "cash_flow_change", "cash_roll_forward", "cash_between_periods", "cash_agrees",
          "net_income_agrees", "same_amount", "headline_sums")  # fmt: skip
CAUSES = ("sign", "scale", "transposed", "digit", "swapped")
SHARED = (
    "kind", "statement", "width", "rows_in_statement", "relations", "broken_here",
    "broken_in_filing", "holds_in_column", "share_broken_in_column",
    "total_met", "total_holds", "total_breaks",
    "part_least", "part_mean", "parts_known", "sign_against", "line_met", "line_below", "is_below",
    "size", "size_unusual", "change", "change_usual", "column", "anchored",
    "share", "share_spread", "by_rule", "unit", "rounded_elsewhere",
    "may_be_rounding", "brief", "sums", "without_amount",
)  # fmt: skip
OF_CELLS = (
    "screened", "mends", "harms", "support", "digits", "exact", "may_be_chance", "lawful",
    "signs_searched", "by_label", "swapped_pattern", "broken_share_of_peers", "terms",
    "units_off", "relative",
    "divisible_by_9", "round_difference", "twice_a_value", "is_a_value", "holds_with_cell",
    "mended_total", "mended_part", "flip_mends", *(f"check_{name}" for name in CHECKS),
    *(f"cause_{name}" for name in CAUSES), "mends_support", "nearer_after", "peers",
    "presented", "signed", "headline", "proved", "unproved", "turned_unproved", "is_elsewhere",
    "exact_sums",
)  # fmt: skip
OF_OTHERS = (
    "lines", "left_over", "gap_is_a_value", "gap_twice_a_value", "expected_line", "columns_alike",
    "factor", "factor_is_thousand", "holds", "zeros", "same_label", "lonely", "heading_before",
    "broken_with_cell", "expected_size", "opposite", "finer", "values",
    "gaps", "gap_below", "expected_fits", "expected_lacks", "counted",
    "turned", "usual_parts", "usual_share", "usual_same", "beside", "left_out", "sums_here",
)  # fmt: skip
COLUMNS = SHARED + OF_CELLS + OF_OTHERS


@dataclass(frozen=True)
class Suspect:
    """One thing that may be wrong; `numbers` by name of COLUMNS."""

    kind: str
    statement: int
    row: int | None
    column: int | None
    rows: tuple[int, ...]
    reported: Decimal | None
    expected: Decimal | None
    numbers: Mapping[str, float] = field(repr=False)
    source: Diagnosis | Swap | Anomaly = field(repr=False)

    def vector(self) -> list[float]:
        """The input of the forest [COLUMNS]."""
        return [float(self.numbers.get(name, UNKNOWN)) for name in COLUMNS]


def from_anomaly(kind: str, source: Anomaly, numbers: Mapping[str, float]) -> Suspect:
    """The suspect of an anomaly with its numbers."""
    return Suspect(kind, source.statement, source.row, source.column, source.rows,
                 source.reported, source.expected, numbers, source)  # fmt: skip
