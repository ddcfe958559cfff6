"""The accounting identities: a registry of checks, each a function from the sheets of a filing to
equations.

Every check has a page in `checks/<id>.md`: what it compares, why it breaks lawfully, and an
example.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import product

from services.triage.relations import Cell, Equation, Sheet, compare, equations_of
from services.triage.statements import Column
from services.triage.sums import ZERO, Sum

Pair = tuple[Sheet, Cell, Sheet, Cell]
"""Two cells that should show the same amount."""
Check = Callable[[Sequence[Sheet]], list[Equation]]

FIRST_LINES = 3
"""Among so many lines with amounts, the cash flow statement has its net income."""

REGISTRY: dict[str, Check] = {}
"""Checks by id, in the order in which they are run."""


def check(name: str) -> Callable[[Check], Check]:
    """Enter a check into the registry."""

    def enter(function: Check) -> Check:
        REGISTRY[name] = function
        return function

    return enter


def equations_in(sheets: Sequence[Sheet]) -> list[Equation]:
    """Everything that should hold in a filing."""
    return [equation for check in REGISTRY.values() for equation in check(sheets)]


def _of(sheets: Sequence[Sheet], kind: str) -> Iterator[Sheet]:
    return (sheet for sheet in sheets if sheet.statement.statement == kind)


@check("balance_equation")
def balance_equation(sheets: Sequence[Sheet]) -> list[Equation]:
    """Total assets are total liabilities and equity, to the last unit."""
    found: list[Equation] = []
    for sheet in _of(sheets, "balance_sheet"):
        assets, claims = sheet.first("total_assets"), sheet.last("total_liabilities_and_equity")
        if assets is None or claims is None or claims <= assets:
            continue
        pairs = [
            (sheet, Cell(sheet.index, assets, c), sheet, Cell(sheet.index, claims, c))
            for c in range(sheet.width)
        ]
        found += compare("balance_equation", pairs, sheet.unit)
    return found


@check("balance_sheet_sums")
def balance_sheet_sums(sheets: Sequence[Sheet]) -> list[Equation]:
    """Sections of the balance sheet add up to their totals, and those to the grand totals."""
    return [
        equation
        for sheet in _of(sheets, "balance_sheet")
        for found in sheet.sums
        for equation in equations_of(sheet, found, "balance_sheet_sums")
    ]


@check("income_sums")
def income_sums(sheets: Sequence[Sheet]) -> list[Equation]:
    """Revenues less costs are the results that the income statement draws from them."""
    return [
        equation
        for sheet in _of(sheets, "income")
        for found in sheet.sums
        for equation in equations_of(sheet, found, "income_sums")
    ]


@check("cash_flow_sums")
def cash_flow_sums(sheets: Sequence[Sheet]) -> list[Equation]:
    """Each activity adds up; the activities are the change in cash; beginning and change are the
    end.
    """
    found: list[Equation] = []
    for sheet in _of(sheets, "cash_flow"):
        sums = list(sheet.sums)
        if (direct := _activities(sheet)) and all(s.total != direct.total for s in sums):
            sums.append(direct)
        if (roll := _roll_forward(sheet)) and all(s.total != roll.total for s in sums):
            sums.append(roll)
        for total in sums:
            found += equations_of(sheet, total, _cash_check(sheet, total))
    return found


CHECKED = ("balance_sheet", "income", "cash_flow")
MOST_HEADLINES = 16
"""Lines of money that each statement has at the most, where all of them show headlines alone."""
HEADLINES: Mapping[str, tuple[tuple[str, str, str, int], ...]] = {
    "income": (
        ("gross_profit", "revenue", "cost_of_sales", -1),
        ("operating_income", "gross_profit", "operating_expenses", -1),
        ("net_income", "pretax", "tax", -1),
    ),
    "balance_sheet": (("total_liabilities_and_equity", "total_liabilities", "total_equity", 1),),
}
"""By statement: a total, two parts of it, and the sign of the second."""


def is_brief(sheets: Sequence[Sheet]) -> bool:
    """Whether statements show headlines alone, so that what these sum is left out lawfully."""
    checked = [sheet for sheet in sheets if sheet.statement.statement in CHECKED]
    return all(len(sheet.money) <= MOST_HEADLINES for sheet in checked)


@check("headline_sums")
def headline_sums(sheets: Sequence[Sheet]) -> list[Equation]:
    """Among headlines alone: what two of them make by their names, if no sum was found."""
    found: list[Equation] = []
    for sheet in sheets if is_brief(sheets) else ():
        known = {s.total for s in sheet.sums}
        for names in HEADLINES.get(sheet.statement.statement, ()):
            made = _of_names(sheet, names)
            if made and made.total not in known:
                found += equations_of(sheet, made, "headline_sums")
    return found


def _of_names(sheet: Sheet, names: tuple[str, str, str, int]) -> Sum | None:
    total, one = sheet.last(names[0]), sheet.first(names[1])
    two = next((row for row in sheet.roles(names[2]) if one is not None and row > one), None)
    if total is None or one is None or two is None or total <= two:
        return None
    below = sum(value < 0 for value in sheet.amounts[two])
    sign = names[3] if 2 * below < sheet.width else abs(names[3])
    return _direct(sheet, total, [(one, 1), (two, sign)])


def headline_of(equation: Equation, sheets: Sequence[Sheet]) -> int:
    """Which of the relations between headlines it is, counted from 0 in each statement."""
    sheet = sheets[equation.terms[0][0].statement]
    named = HEADLINES[sheet.statement.statement]
    row = equation.terms[0][0].row
    return next((i for i, names in enumerate(named) if row in sheet.roles(names[0])), len(named))


def _cash_check(sheet: Sheet, found: Sum) -> str:
    if found.total in sheet.roles("ending"):
        return "cash_roll_forward"
    return "cash_flow_change" if found.total in sheet.roles("change") else "cash_flow_sums"


def _activities(sheet: Sheet) -> Sum | None:
    """The three activities and the exchange effect make the change in cash, by label alone."""
    parts = [sheet.last(role) for role in ("operating", "investing", "financing")]
    change = sheet.first("change")
    if change is None or any(part is None for part in parts):
        return None
    rows = [part for part in parts if part is not None]
    rows += [row for row in sheet.roles("exchange") if row < change]
    return _direct(sheet, change, [(row, 1) for row in rows if row < change])


def _roll_forward(sheet: Sheet) -> Sum | None:
    """Cash at the end from cash at the beginning and the change, by label alone."""
    beginning, change, ending = (
        sheet.first("beginning"),
        sheet.first("change"),
        sheet.last("ending"),
    )
    if beginning is None or change is None or ending is None or ending == beginning:
        return None
    return _direct(sheet, ending, [(beginning, 1), (change, 1)])


def _direct(sheet: Sheet, total: int, parts: list[tuple[int, int]]) -> Sum | None:
    residuals: dict[int, Decimal] = {}
    for column in range(sheet.width):
        whole = sheet.value(total, column)
        values = [(sheet.value(row, column), sign) for row, sign in parts]
        if whole is not None and sum(v is not None for v, _ in values) >= 2:
            residuals[column] = whole - sum((v * s for v, s in values if v is not None), ZERO)
    return Sum(total, tuple(parts), residuals, "label") if residuals else None


@check("cash_between_periods")
def cash_between_periods(sheets: Sequence[Sheet]) -> list[Equation]:
    """Cash at the beginning of one year is cash at the end of the year before."""
    found: list[Equation] = []
    for sheet in _of(sheets, "cash_flow"):
        beginning, ending = sheet.first("beginning"), sheet.last("ending")
        if beginning is None or ending is None or beginning == ending:
            continue
        columns = sheet.statement.columns
        pairs = [
            (sheet, Cell(sheet.index, beginning, later), sheet, Cell(sheet.index, ending, earlier))
            for later, column in enumerate(columns)
            for earlier, previous in enumerate(columns)
            if later != earlier and _near(begins(column), ends(previous))
        ]
        found += compare("cash_between_periods", pairs, sheet.unit)
    return found


@check("cash_agrees")
def cash_agrees(sheets: Sequence[Sheet]) -> list[Equation]:
    """Cash on the cash flow statement is cash on the balance sheet of the same day."""
    return _best_agreement("cash_agrees", pairs_of_cash(sheets))


def pairs_of_cash(sheets: Sequence[Sheet]) -> list[list[Pair]]:
    """For each balance sheet line that may be cash: the cells that should show the same amount."""
    return [
        pairs
        for flow in _of(sheets, "cash_flow")
        for balance in _of(sheets, "balance_sheet")
        for row in balance.roles("cash")
        if (pairs := _cash_pairs(flow, balance, row))
    ]


def _cash_pairs(flow: Sheet, balance: Sheet, row: int) -> list[Pair]:
    pairs = []
    for role, moment in (("ending", ends), ("beginning", begins)):
        line = flow.last(role) if role == "ending" else flow.first(role)
        if line is None:
            continue
        for c, column in enumerate(flow.statement.columns):
            for b, day in enumerate(balance.statement.columns):
                if _near(moment(column), ends(day)):
                    pairs.append(
                        (flow, Cell(flow.index, line, c), balance, Cell(balance.index, row, b))
                    )
    return pairs


@check("net_income_agrees")
def net_income_agrees(sheets: Sequence[Sheet]) -> list[Equation]:
    """The cash flow statement begins with the net income of the income statement."""
    return _best_agreement("net_income_agrees", pairs_of_net_income(sheets))


def pairs_of_net_income(sheets: Sequence[Sheet]) -> list[list[Pair]]:
    """For each income line that may be meant: the cells that should show the same amount."""
    found = []
    for flow in _of(sheets, "cash_flow"):
        top = set(flow.money[:FIRST_LINES])
        lines = [row for row in flow.roles("net_income") if row in top]
        for income in _of(sheets, "income"):
            for line, row in product(lines, income.roles("net_income")):
                if pairs := _period_pairs(flow, line, income, row):
                    found.append(pairs)
    return found


def _period_pairs(flow: Sheet, line: int, income: Sheet, row: int) -> list[Pair]:
    pairs = []
    for c, column in enumerate(flow.statement.columns):
        same = [i for i, other in enumerate(income.statement.columns) if same_period(column, other)]
        if len(same) == 1:
            pairs.append(
                (flow, Cell(flow.index, line, c), income, Cell(income.index, row, same[0]))
            )
    return pairs


def _best_agreement(name: str, candidates: list[list[Pair]]) -> list[Equation]:
    """Of several lines that may be meant, the one that agrees in most columns."""
    compared = [
        compare(name, pairs, max(pairs[0][0].unit, pairs[0][2].unit)) for pairs in candidates
    ]
    return max(compared, key=lambda found: sum(e.holds for e in found), default=[])


# When a column begins and ends


def ends(column: Column) -> date | None:
    """The last day of a column."""
    return _day(column.end)


def begins(column: Column) -> date | None:
    """The day before a duration begins, or None for a moment or an unknown duration."""
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


def _near(one: date | None, other: date | None) -> bool:
    return one is not None and other is not None and abs((one - other).days) <= 10


def same_period(one: Column, other: Column) -> bool:
    """The same period: the same end, and a length that does not differ."""
    if one.end is None or one.end != other.end:
        return False
    first, second = begins(one), begins(other)
    return first is None or second is None or _near(first, second)
