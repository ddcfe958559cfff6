"""Checks that are no sums: factors of a thousand, signs that can't be, and a line that is missing.

Each returns suspicions with the evidence they rest on; how far to believe them is settled in
`belief.py` by hand, and in `risk.py` by what was learned.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from services.triage.identities import Pair, pairs_of_cash, pairs_of_net_income
from services.triage.labels import normalise
from services.triage.relations import Sheet
from services.triage.sums import ZERO
from services.triage.wording import money, title

FACTORS = (Decimal(10) ** 3, Decimal(10) ** 6)


@dataclass(frozen=True)
class Suspicion:
    """Something implausible at one place, with the reason in words."""

    check: str
    statement: int
    row: int | None
    column: int | None
    reported: Decimal | None
    expected: Decimal | None
    reason: str
    rows: tuple[int, ...] = ()
    size: Decimal = ZERO
    """The amount at stake, in whole units."""


Suspect = Callable[[Sequence[Sheet]], list[Suspicion]]
REGISTRY: dict[str, Suspect] = {}


def suspect(name: str) -> Callable[[Suspect], Suspect]:
    """Enter a check into the registry."""

    def enter(function: Suspect) -> Suspect:
        REGISTRY[name] = function
        return function

    return enter


def suspicions_in(sheets: Sequence[Sheet], whole: bool = True) -> list[Suspicion]:
    """Everything implausible in a filing; one that is not whole lacks lines lawfully."""
    return [
        suspicion
        for name, suspect in REGISTRY.items()
        if whole or name != "missing_line"
        for suspicion in suspect(sheets)
    ]


@suspect("statement_scale")
def statement_scale(sheets: Sequence[Sheet]) -> list[Suspicion]:
    """A whole statement is a thousand times too large or small, seen where it meets the others."""
    cash, income = (_ratio(found) for found in (pairs_of_cash(sheets), pairs_of_net_income(sheets)))
    if cash is None and income is None:
        return []
    seen = [r for r in (cash, income) if r is not None]
    off = [(name, r) for name, r in (("cash", cash), ("net income", income)) if r and r[0] != 1]
    if not off:
        return []
    names = {"cash": ("cash_flow", "balance_sheet"), "net income": ("cash_flow", "income")}
    if len(off) == 2 and off[0][1][0] == off[1][1][0]:
        culprit, factor = "cash_flow", off[0][1][0]
    elif len(off) == 1 and len(seen) == 2:
        culprit, factor = names[off[0][0]][1], 1 / off[0][1][0]
    else:
        culprit, factor = names[off[0][0]][1], 1 / off[0][1][0]
    sheet = next(s for s in sheets if s.statement.statement == culprit)
    words = " and ".join(
        f"{name} is {money(r[1])} on the {a} and {money(r[2])} on the {b}"
        for name, r in off
        for a, b in [(title(names[name][0]), title(names[name][1]))]
    )
    times = (
        f"{int(factor):,} times too large" if factor > 1 else f"{int(1 / factor):,} times too small"
    )
    reason = f"The whole {title(culprit)} looks {times}: {words}."
    return [
        Suspicion(
            "statement_scale", sheet.index, None, None, None, None, reason, (), Decimal(10) ** 18
        )
    ]


def _ratio(candidates: list[list[Pair]]) -> tuple[Decimal, Decimal, Decimal] | None:
    """The factor between two statements that all their common amounts show, with one example."""
    best: tuple[int, tuple[Decimal, Decimal, Decimal]] | None = None
    for pairs in candidates:
        factors: dict[Decimal, list[tuple[Decimal, Decimal]]] = {}
        for left, one, right, other in pairs:
            a, b = left.value(one.row, one.column), right.value(other.row, other.column)
            if a and b:
                factors.setdefault(unit_factor(a, b), []).append((a, b))
        if len(factors) != 1 or ZERO in factors:
            continue
        factor, seen = next(iter(factors.items()))
        if best is None or len(seen) > best[0]:
            best = (len(seen), (factor, *seen[0]))
    return best[1] if best else None


def unit_factor(a: Decimal, b: Decimal) -> Decimal:
    """1, a thousand, a million or their inverse, if one amount is that many times the other; else
    0.
    """
    if a == b:
        return Decimal(1)
    for factor in FACTORS:
        if a == b * factor or (abs(a / factor - b) < 1 and abs(b) > 99):
            return factor
        if b == a * factor or (abs(b / factor - a) < 1 and abs(a) > 99):
            return 1 / factor
    return ZERO


@suspect("magnitude")
def magnitude(sheets: Sequence[Sheet]) -> list[Suspicion]:
    """One amount dwarfs its own line in other columns and every other line of the statements."""
    peaks = sorted(
        ((max(abs(v) for v in sheet.rows[row].values if v is not None), sheet.index, row)
         for sheet in sheets for row in sheet.money),
        reverse=True,
    )  # fmt: skip
    if len(peaks) < 10 or peaks[0][0] < 2 * peaks[1][0]:
        return []
    (peak, index, row), rest = peaks[0], peaks[1][0]
    values = sheets[index].rows[row].values
    column = next(c for c, v in enumerate(values) if v is not None and abs(v) == peak)
    reported = values[column] or ZERO
    others = [abs(v) for c, v in enumerate(values) if c != column and v]
    if peak < (100 * max(others) if others else 5 * rest):
        return []
    reason = f"{money(reported)} is {peak / rest:.0f} times as much as any other line shows"
    reason += f", and the same line shows {money(max(others))} elsewhere." if others else "."
    expected = reported / 1000
    return [Suspicion("magnitude", index, row, column, reported, expected, reason, (row,), peak)]


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


@suspect("switched_sign")
def switched_sign(sheets: Sequence[Sheet]) -> list[Suspicion]:
    """A line that has one sign by its nature shows the other in a single column."""
    found = []
    for sheet in sheets:
        if sheet.statement.statement not in ("balance_sheet", "income"):
            continue
        for row, column, value in _lonely_signs(sheet):
            label = normalise(sheet.rows[row].label)
            if not _POSITIVE.search(label) or _TWO_SIGNED.search(label):
                continue
            reason = f"{money(value)} has the opposite sign of the same line in every other column."
            found.append(
                Suspicion(
                    "switched_sign",
                    sheet.index,
                    row,
                    column,
                    value,
                    -value,
                    reason,
                    (row,),
                    abs(value),
                )
            )
    return found


def _lonely_signs(sheet: Sheet) -> Iterator[tuple[int, int, Decimal]]:
    for row in sheet.money:
        values = [(c, v) for c in range(sheet.width) if (v := sheet.value(row, c))]
        for column, value in values:
            others = [v for c, v in values if c != column]
            if (
                others
                and all((v > 0) != (value > 0) for v in others)
                and (len(others) > 1 or value < 0)
            ):
                yield row, column, value


MOST_MISSING = Decimal("0.4")
"""Share of a total that one missing line may have."""
MISSING_ROLES = ("total_current_assets", "total_assets", "total_current_liabilities")


@suspect("missing_line")
def missing_line(sheets: Sequence[Sheet]) -> list[Suspicion]:
    """A section falls short of its total by a similar amount in every column, as if a line were
    gone.
    """
    found = []
    for sheet in sheets:
        if sheet.statement.statement != "balance_sheet" or sheet.width < 2:
            continue
        sums = list(sheet.sums)
        totals = {s.total for s in sums}
        for role in MISSING_ROLES:
            total = sheet.first(role)
            if total is None or total in totals:
                continue
            taken = {part for s in sums if s.total < total for part, _ in s.parts}
            gap = _gap(sheet, role, total, taken)
            if gap is None:
                continue
            rows, short = gap
            place = rows[-1] + 1
            words = ", ".join(money(value) for value in short)
            reason = (
                f"The lines above {sheet.rows[total].label!r} fall short of it in every "
                f"column, by {words}: a line seems to be missing."
            )
            found.append(
                Suspicion(
                    "missing_line",
                    sheet.index,
                    place,
                    None,
                    None,
                    short[0],
                    reason,
                    (*rows, total),
                    max(short),
                )
            )
    return found


def _gap(
    sheet: Sheet, role: str, total: int, taken: set[int]
) -> tuple[list[int], list[Decimal]] | None:
    first = 0
    assets, current = sheet.first("total_assets"), sheet.first("total_current_assets")
    if role == "total_current_liabilities":
        if assets is None or assets > total:
            return None
        first = assets + 1
    if role == "total_assets" and current is not None and current < total:
        first = current
    rows = [row for row in sheet.money if first <= row < total and row not in taken]
    short, shares = [], []
    for column in range(sheet.width):
        whole = sheet.value(total, column)
        if not whole:
            return None
        gap = whole - sum((sheet.value(row, column) or ZERO for row in rows), ZERO)
        short.append(gap)
        shares.append(gap / whole)
    plausible = (
        len(rows) > 1
        and min(shares) > 0
        and max(shares) < 3 * min(shares)
        and max(shares) < MOST_MISSING
    )
    return (rows, short) if plausible else None
