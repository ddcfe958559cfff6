"""The accounting identities: a registry of checks, each a function from statements to equations.

Every check has a page `check_pages/<id>.md`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from itertools import product

from services.triage.relations import labels
from services.triage.relations.relations import (
    Cell,
    Equation,
    StatementView,
    Views,
    compare_cells,
    sum_equations,
)
from services.triage.relations.statement_rows import ZERO
from services.triage.relations.sums import Sum
from services.triage.statements.model import CHECKED, Column

Pair = tuple[StatementView, Cell, StatementView, Cell]  # two cells that should show the same amount
Check = Callable[[Views], list[Equation]]

BALANCE = "balance_equation"
PRECISE = 100_000  # page units that each total needs before one of them may have extra digits
FIRST_LINES = 3  # the net income is among this many first lines of a cash flow statement


def find_equations(views: Views) -> list[Equation]:
    """Every relation that should hold in a filing."""
    return [equation for check in REGISTRY.values() for equation in check(views)]


def _of(views: Views, kind: str) -> Iterator[StatementView]:
    return (view for view in views if view.kind == kind)


def balance_equation(views: Views, *, every: bool = False) -> list[Equation]:
    """Total assets equal total liabilities and equity, to the last digit.

    Args:
        every: also those that hold on unusual pages. The classifier was trained without them.
    """
    result: list[Equation] = []
    for view in _of(views, "balance_sheet"):
        for assets, claims in _grand_totals(view):
            pairs = [
                (view, Cell(view.index, assets, c), view, Cell(view.index, claims, c))
                for c in range(view.width)
            ]
            equations = compare_cells(BALANCE, pairs, _finer(view, (assets, claims)))
            usual = every or (assets < claims and assets in view.roles("total_assets"))
            result += [equation for equation in equations if usual or not equation.holds]
    return result


def _grand_totals(view: StatementView) -> Iterator[tuple[int, int]]:
    """The rows of total assets and of total liabilities and equity, for each part of a page."""
    every = labels.role_rows(view.statement, "total_liabilities_and_equity")
    bare = [row for row in every if labels.normalise(view.rows[row].label) == "total"]
    claims = [row for row in every if row not in bare] or [r for r in bare if r in view.money[-1:]]
    assets = labels.role_rows(view.statement, "total_assets")
    if not assets and len(bare) == 2:
        assets = bare[:1]
    for row, below in zip(assets, [*assets[1:], len(view.rows)], strict=False):
        between = [claim for claim in claims if row < claim < below]
        if between or (claims and len(assets) == 1):
            yield row, (between or claims)[-1]


def _finer(view: StatementView, totals: Sequence[int]) -> Decimal:
    """The difference that extra digits of one total explain.

    The unit is guessed from the figures. Round figures make it too coarse, so both totals need many
    digits.
    """
    amounts = [abs(value) for row in totals for value in view.rows[row].values if value]
    precise = min(amounts, default=ZERO) >= PRECISE * view.unit
    return view.unit / 2 if precise else ZERO


def _sums_of(kind: str, views: Views) -> list[Equation]:
    """Lines add up to the totals of their statement."""
    return [
        equation
        for view in _of(views, kind)
        for total in view.sums
        for equation in sum_equations(view, total, f"{kind}_sums")
    ]


def cash_flow_sums(views: Views) -> list[Equation]:
    """Activities add up, make the change in cash, and lead from beginning to end."""
    equations: list[Equation] = []
    for view in _of(views, "cash_flow"):
        sums = list(view.sums)
        if (direct := _activities(view)) and all(s.total != direct.total for s in sums):
            sums.append(direct)
        if (roll := _roll_forward(view)) and all(s.total != roll.total for s in sums):
            sums.append(roll)
        for total in sums:
            equations += sum_equations(view, total, _cash_check(view, total))
    return equations


MOST_LINES = 5  # lines with one name that are tried
MOST_HEADLINES = 16  # lines of money per statement, at most, in a filing of headlines only
MADE = 0.5
"""Share of the lines in sums from which a filing shows more than headlines. 99% of real filings
have 0.7 or more. 99% of the same filings, shortened to headlines, have 0.52 or less.
"""
HEADLINES: Mapping[str, tuple[tuple[str, str, str, int], ...]] = {
    "income": (
        ("gross_profit", "revenue", "cost_of_sales", -1),
        ("operating_income", "gross_profit", "operating_expenses", -1),
        ("net_income", "pretax", "tax", -1),
    ),
    "balance_sheet": (("total_liabilities_and_equity", "total_liabilities", "total_equity", 1),),
}
"""By statement: a total, its two parts, and the sign of the second."""


def is_brief(views: Views) -> bool:
    """Whether all statements show headlines only, so that parts are lawfully left out."""
    checked = [view for view in views if view.kind in CHECKED]
    return all(len(view.money) <= MOST_HEADLINES for view in checked)


def shows_headlines(views: Views) -> bool:
    """Whether a filing has few lines, and most of them take part in no sum: parts are left out."""
    lines = made = 0
    for view in views:
        rows = {row for total in view.sums for row in (total.total, *(r for r, _ in total.terms))}
        lines += len(view.money)
        made += len(rows.intersection(view.money))
    return is_brief(views) and made < MADE * lines


def headline_sums(views: Views) -> list[Equation]:
    """In a filing of headlines: totals that two other lines make by their names."""
    equations: list[Equation] = []
    for view in views if is_brief(views) else ():
        totals = {s.total for s in view.sums}
        for names in HEADLINES.get(view.kind, ()):
            total = _of_names(view, names)
            if total and total.total not in totals:
                equations += sum_equations(view, total, "headline_sums")
    return equations


def _of_names(view: StatementView, names: tuple[str, str, str, int]) -> Sum | None:
    total, first = view.last(names[0]), view.first(names[1])
    second = next((row for row in view.roles(names[2]) if first is not None and row > first), None)
    if total is None or first is None or second is None or total <= second:
        return None
    return _of_rows(view, total, first, second, names[3])


def _of_rows(view: StatementView, total: int, first: int, second: int, sign: int) -> Sum | None:
    below = sum(value < 0 for value in view.amounts[second])
    return _direct(
        view, total, [(first, 1), (second, sign if 2 * below < view.width else abs(sign))]
    )


def unmade_headlines(views: Views) -> list[Equation]:
    """Relations between headlines whose total no lines above make, in filings of any length.

    They are no suspects: the classifier was trained without them. Without a total of liabilities
    and equity, its parts are compared with total assets.
    """
    brief = is_brief(views)
    equations: list[Equation] = []
    for view in views:
        named = () if brief else HEADLINES.get(view.kind, ())
        if view.kind == "balance_sheet" and not view.roles("total_liabilities_and_equity"):
            named = (("total_assets", "total_liabilities", "total_equity", 1),)
        for names in named:
            equations += _unmade(view, names)
        if view.kind == "cash_flow" and (change := _unmade_change(view)):
            equations += sum_equations(view, change, "cash_flow_change")
    return equations


def _unmade_change(view: StatementView) -> Sum | None:
    """The change in cash by label, where the first such label is above an activity, or where one
    of the three activities is missing and no total in other words may be the missing one.
    """
    activities = activities_of(view)
    rows = view.roles("change")
    below = [row for row in rows if row > max(activities, default=0)]
    if not below or {made.total for made in view.sums} & {*below}:
        return None
    complete = len(activities) == len(ACTIVITIES)
    if rows[0] == below[0] if complete else _has_other_activity(view):
        return None
    return _change_of(view, below[0], fewest=2)


def _has_other_activity(view: StatementView) -> bool:
    """Whether a line may be the total of an activity in other words."""
    known = {row for role in ACTIVITIES for row in view.roles(role)}
    unknown = (row for row in view.money if row not in known)
    return any(labels.totals_activity(view.rows[row].label) for row in unknown)


def _unmade(view: StatementView, names: tuple[str, str, str, int]) -> list[Equation]:
    """The relation of the lines with these names that holds in most columns, or nearly."""
    *roles, sign = names
    totals, firsts, seconds = (view.roles(role)[-MOST_LINES:] for role in roles)
    if names[0] != "total_assets" and {made.total for made in view.sums} & {*totals}:
        return []
    candidates = [
        sum_equations(view, found, "headline_sums")
        for total, first, second in product(totals, firsts, seconds)
        if first < second and (second < total or names[0] == "total_assets")
        if (found := _of_rows(view, total, first, second, sign))
    ]

    def merit(equations: list[Equation]) -> tuple[int, Decimal]:
        return sum(e.holds for e in equations), -sum((abs(e.residual) for e in equations), ZERO)

    return max(candidates, key=merit, default=[])


SECTIONS: Mapping[str, str | None] = {
    "total_current_assets": None,
    "total_assets": None,
    "total_current_liabilities": "total_assets",
    "total_liabilities": "total_assets",
    "total_equity": "total_liabilities",
}
"""Totals of a balance sheet, and the total below which their section begins."""
_MEZZANINE = re.compile(r"\b(mezzanine|temporary equity|redeemable|redemption)\b")
_DEDUCTED = re.compile(r"^(less|accumulated (depreciation|amortization|deficit)|treasury)\b")


def sections(view: StatementView) -> dict[int, str]:
    """The rows of the totals of sections, with their names."""
    return {row: name for name in SECTIONS if (row := view.last(name)) is not None}


def unmade_sections(view: StatementView) -> Iterator[tuple[str, list[Equation]]]:
    """The totals of sections that no lines make in any column, as the sum of all their lines.

    Without an equation if a line is an unknown subtotal, because its lines would count twice.
    """
    made = {total.total: total for total in view.sums}
    names = sections(view)
    subtotals = {*made}
    lines: list[int] = []
    for row in view.money:
        name = names.get(row, "")
        above = SECTIONS.get(name)
        start = view.last(above) if above else -1
        if row in made:
            lines = made[row].lines_before(lines)
        elif name and start is not None and start < row:
            parts = [line for line in lines if line > start]
            lines = lines[: len(lines) - len(parts)]
            known = all(
                p in subtotals or not labels.announces_sum(view.rows[p].label) for p in parts
            )
            subtotals.add(row)
            if total := _sum_of_section(view, row, parts):
                yield name, sum_equations(view, total, "balance_sheet_sums") if known else []
        lines.append(row)


def _sum_of_section(view: StatementView, row: int, lines: Sequence[int]) -> Sum | None:
    """The sum of the lines above a total. Mezzanine equity may be among them without belonging."""
    inside = [r for r in lines if not _MEZZANINE.search(labels.normalise(view.rows[r].label))]
    sums = [
        total
        for rows in (lines, inside)
        if (total := _direct(view, row, [(part, _sign_in_section(view, part)) for part in rows]))
    ]
    return min(sums, key=lambda s: sum(map(abs, s.residuals.values()), ZERO), default=None)


def _sign_in_section(view: StatementView, row: int) -> int:
    """The sign of a line of a balance sheet: a deduction may be printed positive."""
    deducted = _DEDUCTED.search(labels.normalise(view.rows[row].label))
    return -1 if deducted and min(view.amounts[row]) >= 0 else 1


def headline_of(equation: Equation, views: Views) -> int:
    """The index of a headline relation within its statement."""
    view = views[equation.terms[0][0].statement]
    named = HEADLINES[view.kind]
    row = equation.terms[0][0].row
    return next((i for i, names in enumerate(named) if row in view.roles(names[0])), len(named))


def _cash_check(view: StatementView, total: Sum) -> str:
    if total.total in view.roles("ending"):
        return "cash_roll_forward"
    return "cash_flow_change" if total.total in view.roles("change") else "cash_flow_sums"


ACTIVITIES = ("operating", "investing", "financing")


def activities_of(view: StatementView, column: int | None = None) -> list[int]:
    """The totals of the activities of a cash flow statement, as far as it has them: in any column,
    or in the given one.
    """
    found = (
        [row for row in view.roles(role) if column is None or view.value(row, column) is not None]
        for role in ACTIVITIES
    )
    return [rows[-1] for rows in found if rows]


def _activities(view: StatementView) -> Sum | None:
    """The change in cash as the sum of the three activities and exchange effects, by label."""
    return _change_of(view, view.first("change"))


def _change_of(
    view: StatementView, change: int | None, *, fewest: int = len(ACTIVITIES)
) -> Sum | None:
    parts = activities_of(view)
    if change is None or len(parts) < fewest:
        return None
    above = view.first("operating") or 0  # the effect on other items is in operating activities
    rows = [*parts, *(row for row in view.roles("exchange") if row > above)]
    return _direct(view, change, [(row, 1) for row in rows if row < change])


def _roll_forward(view: StatementView) -> Sum | None:
    """Cash at the end as cash at the beginning plus the change, by label."""
    beginning, change, ending = view.first("beginning"), view.first("change"), view.last("ending")
    if beginning is None or change is None or ending is None or ending == beginning:
        return None
    return _direct(view, ending, [(beginning, 1), (change, 1)])


def _direct(view: StatementView, total: int, parts: list[tuple[int, int]]) -> Sum | None:
    residuals: dict[int, Decimal] = {}
    for column in range(view.width):
        amount = view.value(total, column)
        values = [(view.value(row, column), sign) for row, sign in parts]
        if amount is not None and sum(v is not None for v, _ in values) >= 2:
            residuals[column] = amount - sum((v * s for v, s in values if v is not None), ZERO)
    return Sum(total, tuple(parts), residuals, "label") if residuals else None


def cash_between_periods(views: Views) -> list[Equation]:
    """Cash at the beginning of a year is cash at the end of the year before."""
    equations: list[Equation] = []
    for view in _of(views, "cash_flow"):
        candidates = [pairs for row in view.roles("ending") if (pairs := _years_of_cash(view, row))]
        equations += _best_agreement("cash_between_periods", candidates[::-1])
    return equations


def _years_of_cash(view: StatementView, ending: int) -> list[Pair]:
    """Cash at the beginning of each period, and in this row at the end of the period before."""
    beginning = view.first("beginning")
    if beginning is None or beginning == ending:
        return []
    columns = view.statement.columns
    return [
        (view, Cell(view.index, beginning, later), view, Cell(view.index, ending, earlier))
        for later, column in enumerate(columns)
        for earlier, previous in enumerate(columns)
        if later != earlier and _near(begins(column), ends(previous))
    ]


def cash_agrees(views: Views) -> list[Equation]:
    """Cash on the cash flow statement is cash on the balance sheet of the same day."""
    return _best_agreement("cash_agrees", pairs_of_cash(views))


def pairs_of_cash(views: Views) -> list[list[Pair]]:
    """For each balance sheet line that may be cash: the cells that should agree."""
    return [
        pairs
        for flow in _of(views, "cash_flow")
        for balance in _of(views, "balance_sheet")
        for row in balance.roles("cash")
        if (pairs := _cash_pairs(flow, balance, row))
    ]


def _cash_pairs(flow: StatementView, balance: StatementView, row: int) -> list[Pair]:
    pairs = []
    for role, moment in (("ending", ends), ("beginning", begins)):
        line = flow.last(role) if role == "ending" else flow.first(role)
        if line is None:
            continue
        for c, column in enumerate(flow.statement.columns):
            for b, day in enumerate(balance.statement.columns):
                if _near(moment(column), ends(day)):
                    there = Cell(balance.index, row, b)
                    pairs.append((flow, Cell(flow.index, line, c), balance, there))
    return pairs


def net_income_agrees(views: Views) -> list[Equation]:
    """The cash flow statement begins with the net income of the income statement."""
    return _best_agreement("net_income_agrees", pairs_of_net_income(views))


def pairs_of_net_income(views: Views) -> list[list[Pair]]:
    """For each income line that may be meant: the cells that should agree."""
    candidates = []
    for flow in _of(views, "cash_flow"):
        top = set(flow.money[:FIRST_LINES])
        lines = [row for row in flow.roles("net_income") if row in top]
        for income in _of(views, "income"):
            for line, row in product(lines, income.roles("net_income")):
                if pairs := _period_pairs(flow, line, income, row):
                    candidates.append(pairs)
    return candidates


def _period_pairs(flow: StatementView, line: int, income: StatementView, row: int) -> list[Pair]:
    pairs = []
    for c, column in enumerate(flow.statement.columns):
        same = [i for i, other in enumerate(income.statement.columns) if same_period(column, other)]
        if len(same) == 1:
            there = Cell(income.index, row, same[0])
            pairs.append((flow, Cell(flow.index, line, c), income, there))
    return pairs


def _best_agreement(name: str, candidates: list[list[Pair]]) -> list[Equation]:
    """Of several possible lines, the one that agrees in most columns."""
    compared = [
        compare_cells(name, pairs, max(pairs[0][0].unit, pairs[0][2].unit)) for pairs in candidates
    ]
    return max(compared, key=lambda equations: sum(e.holds for e in equations), default=[])


REGISTRY: Mapping[str, Check] = {
    BALANCE: balance_equation,
    "balance_sheet_sums": partial(_sums_of, "balance_sheet"),
    "income_sums": partial(_sums_of, "income"),
    "cash_flow_sums": cash_flow_sums,
    "headline_sums": headline_sums,
    "cash_between_periods": cash_between_periods,
    "cash_agrees": cash_agrees,
    "net_income_agrees": net_income_agrees,
}
"""Checks by id, in the order they run."""


# When a column begins and ends


def ends(column: Column) -> date | None:
    """The last day of a column."""
    return _day(column.end)


def begins(column: Column) -> date | None:
    """The day before a period begins; None for a day or an unknown period."""
    if column.start:
        start = _day(column.start)
        return start - timedelta(days=1) if start else None
    end = _day(column.end)
    if end is None or not column.quarters:
        return None
    return end - timedelta(days=round(column.quarters * 91.31))


def _day(text: str | None) -> date | None:
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8])) if text else None
    except ValueError:
        return None


def _near(first: date | None, second: date | None) -> bool:
    return first is not None and second is not None and abs((first - second).days) <= 10


def same_period(column: Column, other: Column) -> bool:
    """Whether two columns have the same end and no different length."""
    if column.end is None or column.end != other.end:
        return False
    begin, other_begin = begins(column), begins(other)
    return begin is None or other_begin is None or _near(begin, other_begin)
