"""The ratios: their figures, formulas and sources."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from services.triage.signals.figures import Figure, FilingFigures, Period

Unit = Literal["share", "times", "days", "score"]
TEXTBOOK = "CFA Institute, Financial Analysis Techniques"
BENEISH = "Beneish (1999), The Detection of Earnings Manipulation, Financial Analysts Journal 55(5)"
M_LIKELY = -1.78
"""The M-score of a likely manipulator: Beneish, Lee and Nichols (2013), Earnings Manipulation
and Expected Returns, Financial Analysts Journal 69(2)."""
LEAST_DENOMINATOR = 1e-6


@dataclass(frozen=True)
class RatioValue:
    """A ratio of one period, and the figures it uses."""

    value: float
    inputs: tuple[Figure, ...]


class MissingFigure(Exception):
    """A figure that a ratio needs is not in the filing."""


@dataclass(frozen=True)
class PeriodFigures:
    """The figures of one period; records those that were used."""

    books: FilingFigures
    period: Period
    taken: list[Figure]

    def __call__(self, name: str) -> float:
        """A figure. Raises MissingFigure."""
        figure = self.books.figure(name, self.period)
        if figure is None:
            raise MissingFigure(name)
        self.taken.append(figure)
        return float(figure.value)

    def before(self) -> PeriodFigures:
        """The figures a year earlier. Raises MissingFigure."""
        period = self.books.year_before(self.period)
        if period is None:
            raise MissingFigure("the year before")
        return PeriodFigures(self.books, period, self.taken)

    @property
    def days(self) -> float:
        """Days of the period."""
        return 365 * self.period.quarters / 4


Formula = Callable[[PeriodFigures], float]


def _cost(of: PeriodFigures) -> float:
    """Cost of sales, by gross profit where no line has it. Raises MissingFigure."""
    try:
        return of("cost")
    except MissingFigure:
        return of("revenue") - of("gross_profit")


def _overheads(of: PeriodFigures) -> float:
    """Selling, general and administrative expenses, in one line or two. Raises MissingFigure."""
    try:
        return of("overheads")
    except MissingFigure:
        return of("selling") + of("administration")


@dataclass(frozen=True)
class Ratio:
    """One ratio: its name, formula in words, unit and source."""

    name: str
    title: str
    formula: str
    unit: Unit
    source: str
    make: Formula
    yearly: bool = False  # whether it applies to years only

    def of(self, books: FilingFigures, period: Period) -> RatioValue | None:
        """The ratio of one period; None if a figure is missing or it would divide by zero."""
        if self.yearly and period.length != "year":
            return None
        figures = PeriodFigures(books, period, [])
        try:
            value = self.make(figures)
        except (MissingFigure, ZeroDivisionError):
            return None
        return RatioValue(value, tuple(dict.fromkeys(figures.taken)))


def _over(part: float, total: float) -> float:
    """A share of a positive amount. Raises ZeroDivisionError."""
    if total <= LEAST_DENOMINATOR:
        raise ZeroDivisionError
    return part / total


def _share(part: str, total: str) -> Formula:
    return lambda of: _over(of(part), of(total))


def _growth(name: str) -> Formula:
    return lambda of: _over(of(name), of.before()(name)) - 1


def _accruals(of: PeriodFigures) -> float:
    return _over(of("net_income") - of("operating_cash"), of("assets"))


def _cost_share(of: PeriodFigures) -> float:
    return _over(_cost(of), of("revenue"))


def beneish(now: PeriodFigures) -> dict[str, float]:
    """The eight variables of the M-score. Raises MissingFigure, ZeroDivisionError."""
    before = now.before()
    receivables = _share("receivables", "revenue")

    def margin(of: PeriodFigures) -> float:
        return 1 - _cost_share(of)

    def overheads(of: PeriodFigures) -> float:
        return _over(_overheads(of), of("revenue"))

    def intangibles(of: PeriodFigures) -> float:
        return 1 - _over(of("current_assets") + of("property"), of("assets"))

    def depreciation(of: PeriodFigures) -> float:
        return _over(of("depreciation"), of("depreciation") + of("property"))

    def debt(of: PeriodFigures) -> float:
        return _over(of("current_liabilities") + of("long_term_debt"), of("assets"))

    return {
        "DSRI": _over(receivables(now), receivables(before)),
        "GMI": _over(margin(before), margin(now)),
        "AQI": _over(intangibles(now), intangibles(before)),
        "SGI": _over(now("revenue"), before("revenue")),
        "DEPI": _over(depreciation(before), depreciation(now)),
        "SGAI": _over(overheads(now), overheads(before)),
        "LVGI": _over(debt(now), debt(before)),
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


def m_score(of: PeriodFigures) -> float:
    """Beneish's M-score. Raises MissingFigure, ZeroDivisionError."""
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
        _share("operating_income", "revenue"),
    ),
    Ratio(
        "net_margin",
        "Net margin",
        "net income / sales",
        "share",
        TEXTBOOK,
        _share("net_income", "revenue"),
    ),
    Ratio(
        "receivable_days",
        "Days of sales in receivables",
        "receivables / sales * days of the period",
        "days",
        TEXTBOOK,
        lambda of: _over(of("receivables"), of("revenue")) * of.days,
    ),
    Ratio(
        "inventory_days",
        "Days of cost in inventories",
        "inventories / cost of sales * days of the period",
        "days",
        TEXTBOOK,
        lambda of: _over(of("inventories"), _cost(of)) * of.days,
    ),
    Ratio(
        "current_ratio",
        "Current ratio",
        "current assets / current liabilities",
        "times",
        TEXTBOOK,
        _share("current_assets", "current_liabilities"),
    ),
    Ratio(
        "debt_ratio",
        "Liabilities to assets",
        "total liabilities / total assets",
        "share",
        TEXTBOOK,
        _share("liabilities", "assets"),
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
