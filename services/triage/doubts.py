"""What may be wrong in a filing, described in numbers for a forest to judge.

A doubt is one cause: a cell that relations want to be another amount, a line whose columns are
exchanged, a total that lacks a line, an amount out of proportion, a sign nobody else has, a line
that stands there twice, a statement in another unit. Many lawful filings raise some; which to
believe is learned (models/triage).

equation -> diagnosis / suspicion -> doubt -> finding: an equation (`identities.py`) that breaks is
explained by a diagnosis (`diagnosis.py`) or an exchange (`belief.py`); a suspicion
(`plausibility.py`, `oddities.py`) is what is implausible without one. Each is a doubt
(`raising.py`), and a doubt that is believed is told as a finding (`judgement.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from services.triage.belief import Swap
from services.triage.diagnosis import Diagnosis
from services.triage.plausibility import Suspicion

UNKNOWN = -1.0
"""A column's value where nothing is known."""

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
    "may_be_rounding", "brief", "sums",
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
class Doubt:
    """One thing that may be wrong, with what is known of it; `numbers` are in order of COLUMNS."""

    kind: str
    statement: int
    row: int | None
    column: int | None
    rows: tuple[int, ...]
    reported: Decimal | None
    expected: Decimal | None
    numbers: Mapping[str, float] = field(repr=False)
    source: Diagnosis | Swap | Suspicion = field(repr=False)

    def vector(self) -> list[float]:
        """What the forest is told [COLUMNS]."""
        return [float(self.numbers.get(name, UNKNOWN)) for name in COLUMNS]


def suspected(kind: str, source: Suspicion, numbers: Mapping[str, float]) -> Doubt:
    """The doubt that a suspicion is, described."""
    return Doubt(kind, source.statement, source.row, source.column, source.rows,
                 source.reported, source.expected, numbers, source)  # fmt: skip
