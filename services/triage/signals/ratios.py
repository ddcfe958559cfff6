"""The ratios that are looked at: what each is made of, and where it comes from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from services.triage.signals.figures import Books, Figure, Period

Unit = Literal["share", "times", "days", "score"]
TEXTBOOK = "CFA Institute, Financial Analysis Techniques"
BENEISH = "Beneish (1999), The Detection of Earnings Manipulation, Financial Analysts Journal 55(5)"
M_LIKELY = -1.78
"""The M-score from which on a company is taken for a likely manipulator: Beneish, Lee and Nichols
(2013), Earnings Manipulation and Expected Returns, Financial Analysts Journal 69(2)."""
LEAST_DENOMINATOR = 1e-6


@dataclass(frozen=True)
class Measured:
    """What a ratio is for one period, and the figures that it is made of."""

    value: float
    inputs: tuple[Figure, ...]


class Absent(Exception):
    """A figure that a ratio needs is not in the filing."""


@dataclass(frozen=True)
class Asked:
    """The figures of one period, and those that were taken from it."""

    books: Books
    period: Period
    taken: list[Figure]

    def __call__(self, name: str) -> float:
        """A figure. Raises Absent."""
        figure = self.books.figure(name, self.period)
        if figure is None:
            raise Absent(name)
        self.taken.append(figure)
        return float(figure.value)

    def before(self) -> Asked:
        """The same a year earlier. Raises Absent."""
        period = self.books.year_before(self.period)
        if period is None:
            raise Absent("the year before")
        return Asked(self.books, period, self.taken)

    @property
    def days(self) -> float:
        """Days of the period."""
        return 365 * self.period.quarters / 4


Make = Callable[[Asked], float]


def _cost(of: Asked) -> float:
    """Cost of sales, by gross profit where no line has it. Raises Absent."""
    try:
        return of("cost")
    except Absent:
        return of("revenue") - of("gross_profit")


def _overheads(of: Asked) -> float:
    """Selling, general and administrative expenses, in one line or two. Raises Absent."""
    try:
        return of("overheads")
    except Absent:
        return of("selling") + of("administration")


@dataclass(frozen=True)
class Ratio:
    """One ratio: its name, its formula in words, its unit and its source."""

    name: str
    title: str
    formula: str
    unit: Unit
    source: str
    make: Make
    yearly: bool = False
    """Whether it means something for years alone."""

    def of(self, books: Books, period: Period) -> Measured | None:
        """The ratio of one period; None where a figure is missing or it would divide by nothing."""
        if self.yearly and period.length != "year":
            return None
        asked = Asked(books, period, [])
        try:
            value = self.make(asked)
        except (Absent, ZeroDivisionError):
            return None
        return Measured(value, tuple(dict.fromkeys(asked.taken)))


def _over(part: float, whole: float) -> float:
    """A share of something that has to be there. Raises ZeroDivisionError."""
    if whole <= LEAST_DENOMINATOR:
        raise ZeroDivisionError
    return part / whole


def _accruals(of: Asked) -> float:
    return _over(of("net_income") - of("operating_cash"), of("assets"))


def _growth(name: str) -> Make:
    def growth(of: Asked) -> float:
        return _over(of(name), of.before()(name)) - 1

    return growth


def _margin(name: str) -> Make:
    def margin(of: Asked) -> float:
        return _over(of(name), of("revenue"))

    return margin


def _cost_share(of: Asked) -> float:
    return _over(_cost(of), of("revenue"))


def _receivable_days(of: Asked) -> float:
    return _over(of("receivables"), of("revenue")) * of.days


def _inventory_days(of: Asked) -> float:
    return _over(of("inventories"), _cost(of)) * of.days


def _current_ratio(of: Asked) -> float:
    return _over(of("current_assets"), of("current_liabilities"))


def _debt_ratio(of: Asked) -> float:
    return _over(of("liabilities"), of("assets"))


def beneish(now: Asked) -> dict[str, float]:
    """The eight variables of the M-score. Raises Absent, ZeroDivisionError."""
    before = now.before()

    def owing(of: Asked) -> float:
        return _over(of("receivables"), of("revenue"))

    def margin(of: Asked) -> float:
        return 1 - _cost_share(of)

    def overheads(of: Asked) -> float:
        return _over(_overheads(of), of("revenue"))

    def soft(of: Asked) -> float:
        return 1 - _over(of("current_assets") + of("property"), of("assets"))

    def wear(of: Asked) -> float:
        return _over(of("depreciation"), of("depreciation") + of("property"))

    def owed(of: Asked) -> float:
        return _over(of("current_liabilities") + of("long_term_debt"), of("assets"))

    return {
        "DSRI": _over(owing(now), owing(before)),
        "GMI": _over(margin(before), margin(now)),
        "AQI": _over(soft(now), soft(before)),
        "SGI": _over(now("revenue"), before("revenue")),
        "DEPI": _over(wear(before), wear(now)),
        "SGAI": _over(overheads(now), overheads(before)),
        "LVGI": _over(owed(now), owed(before)),
        "TATA": _accruals(now),
    }


WEIGHTS = {
    "DSRI": 0.920,
    "GMI": 0.528,
    "AQI": 0.404,
    "SGI": 0.892,
    "DEPI": 0.115,
    "SGAI": -0.172,
    "TATA": 4.679,
    "LVGI": -0.327,
}
CONSTANT = -4.840


def m_score(of: Asked) -> float:
    """Beneish's M-score. Raises Absent, ZeroDivisionError."""
    return CONSTANT + sum(WEIGHTS[name] * value for name, value in beneish(of).items())


RATIOS: tuple[Ratio, ...] = (
    Ratio(
        "accruals",
        "Accruals",
        "(net income - cash from operations) / total assets",
        "share",
        "Sloan (1996), The Accounting Review 71(3); by cash flows as Hribar and Collins (2002), "
        "Journal of Accounting Research 40(1)",
        _accruals,
    ),
    Ratio(
        "sales_growth",
        "Growth of sales",
        "sales / sales a year before - 1",
        "share",
        BENEISH + ", index SGI",
        _growth("revenue"),
    ),
    Ratio(
        "asset_growth",
        "Growth of assets",
        "total assets / total assets a year before - 1",
        "share",
        "Cooper, Gulen and Schill (2008), The Journal of Finance 63(4)",
        _growth("assets"),
        yearly=True,
    ),
    Ratio(
        "cost_share",
        "Cost of sales to sales",
        "cost of sales / sales",
        "share",
        TEXTBOOK + " (one less the gross margin)",
        _cost_share,
    ),
    Ratio(
        "operating_margin",
        "Operating margin",
        "operating income / sales",
        "share",
        TEXTBOOK,
        _margin("operating_income"),
    ),
    Ratio(
        "net_margin", "Net margin", "net income / sales", "share", TEXTBOOK, _margin("net_income")
    ),
    Ratio(
        "receivable_days",
        "Days of sales in receivables",
        "receivables / sales * days of the period",
        "days",
        TEXTBOOK,
        _receivable_days,
    ),
    Ratio(
        "inventory_days",
        "Days of cost in inventories",
        "inventories / cost of sales * days of the period",
        "days",
        TEXTBOOK,
        _inventory_days,
    ),
    Ratio(
        "current_ratio",
        "Current ratio",
        "current assets / current liabilities",
        "times",
        TEXTBOOK,
        _current_ratio,
    ),
    Ratio(
        "debt_ratio",
        "Liabilities to assets",
        "total liabilities / total assets",
        "share",
        TEXTBOOK,
        _debt_ratio,
    ),
    Ratio(
        "beneish_m",
        "Beneish M-score",
        "-4.84 + 0.92 DSRI + 0.528 GMI + 0.404 AQI + 0.892 SGI + 0.115 DEPI - 0.172 SGAI "
        "+ 4.679 TATA - 0.327 LVGI",
        "score",
        BENEISH + "; TATA by cash flows and the bound of -1.78 as Beneish, Lee and Nichols (2013), "
        "Financial Analysts Journal 69(2)",
        m_score,
        yearly=True,
    ),
)
BY_NAME = {ratio.name: ratio for ratio in RATIOS}
