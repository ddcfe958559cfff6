"""Checks that are no sums: scales, impossible signs, and missing lines.

Each returns anomalies with their evidence. `rule_confidence.py` and `classifier.py` decide how far
to believe them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from services.triage.relations.identities import Pair, pairs_of_cash, pairs_of_net_income
from services.triage.relations.labels import normalise
from services.triage.relations.message_format import money, title
from services.triage.relations.relations import StatementView, Views
from services.triage.relations.statement_rows import ZERO

FACTORS = (Decimal(10) ** 3, Decimal(10) ** 6)


@dataclass(frozen=True)
class Anomaly:
    """Something implausible in one place, with the reason in words."""

    check: str
    statement: int
    row: int | None
    column: int | None
    reported: Decimal | None
    expected: Decimal | None
    reason: str
    rows: tuple[int, ...] = ()
    size: Decimal | None = None  # the amount at stake, in whole units; None for the reported amount


def find_anomalies(views: Views, complete: bool = True) -> list[Anomaly]:
    """Everything implausible in a filing. Without `complete`, missing lines are lawful."""
    return [
        anomaly
        for name, check in REGISTRY.items()
        if complete or name != "missing_line"
        for anomaly in check(views)
    ]


def statement_scale(views: Views) -> list[Anomaly]:
    """A whole statement has another scale than the statements it meets."""
    compared = (
        ("cash", "balance_sheet", _ratio(pairs_of_cash(views))),
        ("net income", "income", _ratio(pairs_of_net_income(views))),
    )
    off = [(name, kind, ratio) for name, kind, ratio in compared if ratio and ratio[0] != 1]
    if not off:
        return []
    factors = {ratio[0] for _, _, ratio in off}
    if len(off) == 2 and len(factors) == 1:
        culprit, factor = "cash_flow", off[0][2][0]
    else:
        culprit, factor = off[0][1], 1 / off[0][2][0]
    view = next(s for s in views if s.kind == culprit)
    words = " and ".join(
        f"{name} is {money(here)} on the {title('cash_flow')} and {money(there)} on the "
        f"{title(kind)}"
        for name, kind, (_, here, there) in off
    )
    size = "large" if factor > 1 else "small"
    times = f"{int(max(factor, 1 / factor)):,} times too {size}"
    reason = f"The whole {title(culprit)} looks {times}: {words}."
    return [Anomaly("statement_scale", view.index, None, None, None, None, reason)]


def _ratio(candidates: list[list[Pair]]) -> tuple[Decimal, Decimal, Decimal] | None:
    """The factor that all common amounts of two statements show, with one example."""
    best: tuple[int, tuple[Decimal, Decimal, Decimal]] | None = None
    for pairs in candidates:
        factors: dict[Decimal, list[tuple[Decimal, Decimal]]] = {}
        for left, cell, right, other_cell in pairs:
            a, b = left.value(cell.row, cell.column), right.value(other_cell.row, other_cell.column)
            if a and b:
                factors.setdefault(unit_factor(a, b), []).append((a, b))
        if len(factors) != 1 or ZERO in factors:
            continue
        factor, seen = next(iter(factors.items()))
        if best is None or len(seen) > best[0]:
            best = (len(seen), (factor, *seen[0]))
    return best[1] if best else None


def unit_factor(a: Decimal, b: Decimal) -> Decimal:
    """1, 10^3, 10^6 or their inverse, if one amount is that multiple of the other; else 0."""
    if a == b:
        return Decimal(1)
    for factor in FACTORS:
        if a == b * factor or (abs(a / factor - b) < 1 and abs(b) > 99):
            return factor
        if b == a * factor or (abs(b / factor - a) < 1 and abs(a) > 99):
            return 1 / factor
    return ZERO


def magnitude(views: Views) -> list[Anomaly]:
    """One amount dwarfs its own line in other columns and every other line."""
    peaks = sorted(
        ((max(abs(v) for v in view.rows[row].values if v is not None), view.index, row)
         for view in views for row in view.money),
        reverse=True,
    )  # fmt: skip
    if len(peaks) < 10 or peaks[0][0] < 2 * peaks[1][0]:
        return []
    (peak, index, row), second = peaks[0], peaks[1][0]
    values = views[index].rows[row].values
    column = next(c for c, v in enumerate(values) if v is not None and abs(v) == peak)
    reported = values[column] or ZERO
    other_amounts = [abs(v) for c, v in enumerate(values) if c != column and v]
    if peak < (100 * max(other_amounts) if other_amounts else 5 * second):
        return []
    reason = f"{money(reported)} is {peak / second:.0f} times as much as any other line shows"
    if other_amounts:
        reason += f", and the same line shows {money(max(other_amounts))} elsewhere"
    reason += "."
    expected = reported / 1000
    return [Anomaly("magnitude", index, row, column, reported, expected, reason, (row,))]


_POSITIVE = re.compile(
    r"^(total )?(assets|inventor(y|ies)|goodwill)\b|^(total |net )*(sales|revenues?)$|"
    r"^total (current )?(assets|liabilities)$|^(property|plant)\b.*\bnet$|"
    r"^other (non-?current |long-term )?(assets|liabilities)$|^accounts (payable|receivable)|"
    r"^(total )?(costs? (and expenses|of)\b|operating expenses|operating costs)|^research|^selling|"
    r"^general and admin"
)
_TWO_SIGNED = re.compile(
    r"\(|\bgain|\bloss|change|increase|decrease|other income|net of|recover|benefit"
)


def switched_sign(views: Views) -> list[Anomaly]:
    """A line with a fixed sign shows the other sign in a single column."""
    anomalies = []
    for view in views:
        if view.kind not in ("balance_sheet", "income"):
            continue
        for row, column, value in _lonely_signs(view):
            label = normalise(view.rows[row].label)
            if not _POSITIVE.search(label) or _TWO_SIGNED.search(label):
                continue
            reason = f"{money(value)} has the opposite sign of the same line in every other column."
            place = (view.index, row, column)
            anomalies.append(Anomaly("switched_sign", *place, value, -value, reason, (row,)))
    return anomalies


def _lonely_signs(view: StatementView) -> Iterator[tuple[int, int, Decimal]]:
    for row in view.money:
        values = [(c, v) for c in range(view.width) if (v := view.value(row, c))]
        for column, value in values:
            other_amounts = [v for c, v in values if c != column]
            if (
                other_amounts
                and all((v > 0) != (value > 0) for v in other_amounts)
                and (len(other_amounts) > 1 or value < 0)
            ):
                yield row, column, value


MOST_MISSING = Decimal("0.4")  # share of a total that one missing line may have
MISSING_ROLES = ("total_current_assets", "total_assets", "total_current_liabilities")


def missing_line(views: Views) -> list[Anomaly]:
    """A section falls short of its total by a similar amount in every column."""
    anomalies = []
    for view in views:
        if view.kind != "balance_sheet" or view.width < 2:
            continue
        sums = list(view.sums)
        totals = {s.total for s in sums}
        for role in MISSING_ROLES:
            total = view.first(role)
            if total is None or total in totals:
                continue
            taken = {part for s in sums if s.total < total for part, _ in s.parts}
            gap = _gap(view, role, total, taken)
            if gap is None:
                continue
            rows, short = gap
            index = rows[-1] + 1
            words = ", ".join(money(value) for value in short)
            reason = (
                f"The lines above {view.rows[total].label!r} fall short of it in every "
                f"column, by {words}."
            )
            anomalies.append(Anomaly("missing_line", view.index, index, None, None, short[0],
                                     reason, (*rows, total), max(short)))  # fmt: skip
    return anomalies


def _gap(
    view: StatementView, role: str, total: int, taken: set[int]
) -> tuple[list[int], list[Decimal]] | None:
    first = 0
    assets, current = view.first("total_assets"), view.first("total_current_assets")
    if role == "total_current_liabilities":
        if assets is None or assets > total:
            return None
        first = assets + 1
    if role == "total_assets" and current is not None and current < total:
        first = current
    rows = [row for row in view.money if first <= row < total and row not in taken]
    short, shares = [], []
    for column in range(view.width):
        amount = view.value(total, column)
        if not amount:
            return None
        gap = amount - sum((view.value(row, column) or ZERO for row in rows), ZERO)
        short.append(gap)
        shares.append(gap / amount)
    plausible = (
        len(rows) > 1
        and min(shares) > 0
        and max(shares) < 3 * min(shares)
        and max(shares) < MOST_MISSING
    )
    return (rows, short) if plausible else None


REGISTRY: Mapping[str, Callable[[Views], list[Anomaly]]] = {
    "statement_scale": statement_scale,
    "magnitude": magnitude,
    "switched_sign": switched_sign,
    "missing_line": missing_line,
}
