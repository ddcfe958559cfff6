"""Parse dates in contracts to ISO 8601, with the precision of a day, month or year."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from services.extraction.values.numbers import ORDINAL, read_ordinal
from services.extraction.values.value import GAP, Plain, Status

_NAMES = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_MONTHS = {name[:3]: number for number, name in enumerate(_NAMES, 1)}
_MONTH = r"\b(?P<month>" + "|".join(f"{n[:3]}(?:{n[3:]})?" for n in _NAMES) + r"|sept)\b\.?"
_SUFFIX = r"(?: ?(?:s ?t|n ?d|r ?d|t ?h)\b)?"
_DAY = rf"(?P<day>(?<!\d)\d{{1,2}}(?!\d)|{ORDINAL}|{GAP})"
_YEAR = rf"(?P<year>(?:19|20) ?\d ?\d(?!\d)|(?:19|20)? ?{GAP})"
_WEEKDAY = r"(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day ?,? ?)?"

_FORMS = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        rf"{_MONTH} ?,? ?\(?{_DAY}{_SUFFIX} ?\)? ?[,.]? ?(?:of )?{_YEAR}",
        rf"{_DAY}{_SUFFIX} ?(?:\(\d{{1,2}}{_SUFFIX}\) ?)?(?:(?P<blank>day) ?)?(?:of )?"
        r"(?:the month of )?"
        rf"{_WEEKDAY}{_MONTH} ?,? ?(?:in the year )?(?:of )?{_YEAR}",
        rf"(?:(?P<blank>day) of )?{_MONTH} ?,? ?{_YEAR}",
        rf"(?:{GAP} ?)?\b(?P<blank>day) of ?(?:{GAP})? ?,? ?{_YEAR}",
        r"(?<![\d/.-])(?P<year>(?:19|20)\d\d)[-/.](?P<month>\d\d?)[-/.](?P<day>\d\d?)(?![\d/-])",
    )
)
_NUMERIC = re.compile(
    rf"(?<![\d/.-])(?P<a>\d\d?|{GAP}) ?(?P<by>[/.-]) ?(?P<b>\d\d?|{GAP}) ?(?P=by) ?"
    rf"(?P<year>(?:19|20)\d\d|(?:20|19)?{GAP}|\d\d)(?![\d/-]|\.\d)",
    re.IGNORECASE,
)
_OF_SECTION = re.compile(
    r"(?:§|\b(?:sections?|articles?|clauses?|paragraphs?|no)\.?) ?$", re.IGNORECASE
)
"""Before a number of a section such as 4.2.10, which is no date."""

_LONGEST_WORD = 13  # characters of `paragraphs. `
_SHORT = 60  # most characters of a clause that is little more than a date
_BARE_YEAR = re.compile(r"(?<![\d/.-])(?:19|20)\d\d(?![\d/-])")
_BLANK_DAY = re.compile(r"\bday of\b", re.IGNORECASE)


@dataclass(frozen=True)
class ValueCandidate:
    """A candidate value at a position of the plain text."""

    status: Status
    value: str | None
    start: int
    end: int


def find_dates(plain: Plain) -> list[ValueCandidate]:
    """Every date of a clause in the order of the text; those with blanks are redacted.

    Numeric dates are month/day/year, or day/month/year if only that is valid; with dots
    day.month.year. Two-digit years up to 69 are in this century.
    """
    found: list[ValueCandidate] = []
    for match in (m for form in _FORMS for m in form.finditer(plain.text)):
        add_candidate(found, _spot(match))
    for match in _NUMERIC.finditer(plain.text):
        before = plain.text[max(0, match.start() - _LONGEST_WORD) : match.start()]
        if match["by"] != "." or not _OF_SECTION.search(before):
            add_candidate(found, _numeric(match))
    return sorted(found, key=lambda spot: spot.start) or _partial(plain)


def _partial(plain: Plain) -> list[ValueCandidate]:
    """A date whose day and month are blank or cut off: `, 2009`, `this day of`."""
    if len(plain.text) > _SHORT:
        return []
    year = _BARE_YEAR.search(plain.text)
    if year and sum(c.isdecimal() for c in plain.text) == len(year.group()):
        return [ValueCandidate("redacted", year.group(), *year.span())]
    blank = _BLANK_DAY.search(plain.text)
    return [ValueCandidate("redacted", None, *blank.span())] if blank else []


def add_candidate(found: list[ValueCandidate], spot: ValueCandidate | None) -> None:
    """Add a match unless an earlier form has matched there."""
    if spot and not any(spot.start < old.end and old.start < spot.end for old in found):
        found.append(spot)


def _spot(match: re.Match[str]) -> ValueCandidate | None:
    parts = match.groupdict()
    year = _year(parts.get("year") or "")
    month = _month(parts.get("month") or "")
    day = _day(parts.get("day") or "")
    value = _iso(year, month, day)
    gap = not year or (not day and (parts.get("day") or parts.get("blank")))
    if not value and not gap:
        return None
    return ValueCandidate("redacted" if gap else "stated", value, match.start(), match.end())


def _numeric(match: re.Match[str]) -> ValueCandidate | None:
    first, second, year = _day(match["a"]), _day(match["b"]), _year(match["year"])
    if first and second and year:
        european = match["by"] == "."
        orders = ((first, second), (second, first))
        for month, day in reversed(orders) if european else orders:
            if value := _iso(year, month, day):
                return ValueCandidate("stated", value, match.start(), match.end())
        return None
    value = _iso(year, first, None) if year else None
    return ValueCandidate("redacted", value, match.start(), match.end())


def _year(words: str) -> int | None:
    digits = words.replace(" ", "")
    if not digits.isdecimal():
        return None
    year = int(digits)
    return year if len(digits) == 4 else year + (2000 if year < 70 else 1900)


def _month(words: str) -> int | None:
    return int(words) if words.isdecimal() else _MONTHS.get(words.lower()[:3])


def _day(words: str) -> int | None:
    return int(words) if words.isdecimal() else read_ordinal(words)


def _iso(year: int | None, month: int | None, day: int | None) -> str | None:
    """ISO 8601 of the known parts; None for an invalid date."""
    if not year:
        return None
    if not month:
        return f"{year:04}"
    try:
        full = date(year, month, day or 1)
    except ValueError:
        return None
    return full.isoformat() if day else f"{year:04}-{month:02}"
