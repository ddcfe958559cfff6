"""Dates and durations in the words above a column."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta

from services.triage.statements.model import parse_date

QUARTER, LEEWAY = 365.25 / 4, 10.0
"""Days of a quarter, and the tolerance for years of 52 or 53 weeks."""

MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip
_MONTH = r"(jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec)[a-z]*\.?"
_FULL = re.compile(
    rf"\b{_MONTH}\s*(\d{{1,2}})(?:st|nd|rd|th)?\s*+(?:,\s*+)?((?:19|20)\d\d)\b", re.I
)
_FULL_BEFORE = re.compile(rf"\b(\d{{1,2}})\s+{_MONTH}\s*+(?:,\s*+)?((?:19|20)\d\d)\b", re.I)
_DAY = re.compile(rf"\b{_MONTH}\s*(\d{{1,2}})\b(?!\s*+(?:,\s*+)?\d{{4}})", re.I)
_DAY_AT_END = re.compile(rf"\b{_MONTH}\s*\d{{1,2}}\s*+(?:,\s*+)?$", re.I)
_NUMBERS = re.compile(r"\b(\d{4}-\d\d-\d\d|(?:19|20)\d{6}|\d{1,2}/\d{1,2}/\d{4})\b")
_YEAR = re.compile(r"(?<![\d,.])(?:19|20)\d\d(?![\d,])")
_YEAR_OF_ROW = re.compile(r"(?<![\d,.])(?:19|20)\d\d(?!\d|,\d)")
_BETWEEN = re.compile(r"\s*+(?:[,;/&]\s*+)?(?:\band\b\s*+)?", re.I)
_COUNTS = {
    "three": 3, "six": 6, "nine": 9, "twelve": 12, "thirteen": 13, "twenty-six": 26,
    "thirty-nine": 39, "fifty-two": 52, "fifty-three": 53, "twelve-": 12, "forty": 40,
    "twenty-four": 24, "thirty-six": 36, "sixteen": 16, "fourteen": 14,
}  # fmt: skip
_SPAN = re.compile(
    r"\b(\d{1,2}|" + "|".join(sorted(_COUNTS, key=len, reverse=True)) + r")[\s-]+(month|week)s?\b",
    re.I,
)
_QUARTER = re.compile(r"\b(?:(?:fiscal|first|second|third|fourth)\s+)?quarters?\b", re.I)
_HALF = re.compile(r"\b(?:first|second)\s+half\b", re.I)
_ANNUAL = re.compile(r"\b(?:fiscal\s+)?years?\b|\bannual\b", re.I)


@dataclass(frozen=True, slots=True)
class YearsInARow:
    """Consecutive years with only commas or "and" between them, and their offsets."""

    years: tuple[str, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Mention:
    """A period in a text: the day as MMDD, the year, full dates, the number of quarters."""

    day: str | None = None
    year: str | None = None
    dates: tuple[str, ...] = ()
    quarters: int | None = None


def mention(text: str) -> Mention:
    """The period that a header names; of several years the first."""
    dates = dates_in(text)
    day = _DAY.search(text)
    year = _YEAR.search(text)
    return Mention(
        day=_month_day(day[1], day[2]) if day else None,
        year=year[0] if year else None,
        dates=dates,
        quarters=quarters_in(text),
    )


def dates_in(text: str) -> tuple[str, ...]:
    """All full dates in a text, as YYYYMMDD, in order."""
    days = [
        *((m.start(), m[3], _month_day(m[1], m[2])) for m in _FULL.finditer(text)),
        *((m.start(), m[3], _month_day(m[2], m[1])) for m in _FULL_BEFORE.finditer(text)),
    ]
    dates = [(start, year + day) for start, year, day in days if day]
    numeric = ((m.start(), parse_date(m[0])) for m in _NUMBERS.finditer(text))
    dates += [(start, day) for start, day in numeric if day]
    return tuple(day for _, day in sorted(dates))


def years_in(text: str) -> tuple[str, ...]:
    """All years in a text, in order."""
    return tuple(_YEAR.findall(text))


def years_in_a_row(text: str, count: int) -> YearsInARow | None:
    """The last run of exactly `count` different years, as in "2023, 2022 and 2021"."""
    runs: list[list[re.Match[str]]] = []
    for year in _YEAR_OF_ROW.finditer(text):
        before = runs[-1][-1].end() if runs else None
        if before is not None and _BETWEEN.fullmatch(text, before, year.start()):
            runs[-1].append(year)
        else:
            runs.append([year])
    for run in reversed(runs):
        years = tuple(year[0] for year in run)
        if len(years) == len(set(years)) == count:
            return YearsInARow(years, run[0].start(), run[-1].end())
    return None


def last_day_in(text: str) -> str | None:
    """The last month and day in a text, as MMDD."""
    matches = sorted((*_DAY.finditer(text), *_FULL.finditer(text)), key=lambda m: m.start())
    return _month_day(matches[-1][1], matches[-1][2]) if matches else None


def ends_with_day(text: str) -> bool:
    """Whether a text ends with a month and a day: "Years ended December 31,"."""
    return bool(_DAY_AT_END.search(text))


def quarters_in(text: str) -> int | None:
    """The last duration in a text, in quarters."""
    spans = [(m.start(), _quarters(m[1], m[2])) for m in _SPAN.finditer(text)]
    if spans:
        return max(spans)[1]
    if _QUARTER.search(text):
        return 1
    if _HALF.search(text):
        return 2
    return 4 if _ANNUAL.search(text) else None


def quarters_between(start: str | None, end: str) -> int | None:
    """The quarters between two days (YYYYMMDD): 0 without a start, None if not whole."""
    if start is None:
        return 0
    try:
        days = (date.fromisoformat(end) - date.fromisoformat(start)).days + 1
    except ValueError:
        return None
    quarters = round(days / QUARTER)
    return quarters if quarters and abs(days - quarters * QUARTER) <= LEEWAY else None


def shift_day(day: str, days: int) -> str | None:
    """The day (YYYYMMDD) so many days later; None if it is no date."""
    try:
        return f"{date.fromisoformat(day) + timedelta(days):%Y%m%d}"
    except (ValueError, OverflowError):
        return None


def _quarters(count: str, unit: str) -> int:
    number = int(count) if count.isdigit() else _COUNTS[count.lower()]
    months = number if unit.lower() == "month" else number * 12 / 52
    return max(1, round(months / 3))


def _month_day(month: str, day: str) -> str | None:
    number = next(i for i, name in enumerate(MONTHS, 1) if name.startswith(month[:3].lower()))
    return f"{number:02d}{int(day):02d}" if 1 <= int(day) <= 31 else None
