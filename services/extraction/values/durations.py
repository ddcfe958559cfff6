"""Parse durations in contracts to ISO 8601."""

from __future__ import annotations

import re

from services.extraction.values.dates import ValueCandidate, add_candidate
from services.extraction.values.numbers import NUMBER, ORDINAL, read_number, read_ordinal
from services.extraction.values.value import GAP, Plain, Status, gaps

_UNIT = r"(?P<unit>year|yr|month|quarter|week|day)s?\b'?"
_BETWEEN = (
    r" ?'?\)?[ -]{0,2}(?:(?:calendar|business|working|full|consecutive|successive|additional|"
    r"contract|further|more|fiscal|whole|continuous)[ -]){0,2}"
)
_AMOUNT = re.compile(rf"(?P<number>{NUMBER}){_BETWEEN}{_UNIT}", re.IGNORECASE)
_ARTICLE = re.compile(
    r"\b(?:an?|one) (?:additional|further|successive|consecutive|full|renewal|extended)"
    rf"(?: (?:period|term) of)?(?: an?)? ?{_UNIT}|\bperiod of an? {_UNIT.replace('unit', 'other')}",
    re.IGNORECASE,
)
_ANNIVERSARY = re.compile(
    rf"(?P<nth>{ORDINAL}|\d{{1,2}} ?(?:st|nd|rd|th))(?: ?\(\d{{1,2}} ?(?:s ?t|n ?d|r ?d|t ?h)?\))?"
    r" (?:year )?(?:annual )?anniversary",
    re.IGNORECASE,
)
_CUSTOM = re.compile(
    r"\b(?P<unit>month|year|week|quarter)[ -]to[ -](?P=unit)\b"
    r"|\b(?P<ly>annual|yearly|monthly|quarterly|weekly)[ -](?:\w+ )?"
    r"(?:periods?|terms?|renewals?|basis|extensions?|intervals?|increments?)\b"
    r"|\bautomatic(?:ally)?(?: \w+){0,4} (?P<adverb>annually|yearly|monthly)\b"
    r"|\bfrom (?P<from>year|month) to (?P=from)\b",
    re.IGNORECASE,
)
_HIDDEN = re.compile(rf"(?:{GAP}|\*)(?: ?\(? ?{GAP} ?\)?)?{_BETWEEN}{_UNIT}", re.IGNORECASE)
_JOINT = re.compile(r" ?(?:,|and|, and|plus) ?", re.IGNORECASE)

_LETTERS = {"year": "Y", "yr": "Y", "month": "M", "week": "W", "day": "D"}
_LY = {"annual": "year", "yearly": "year", "monthly": "month", "quarterly": "quarter"}
_ORDER = "YMWD"


def find_durations(plain: Plain) -> list[ValueCandidate]:
    """Every duration of a clause in the order of the text, including redacted ones."""
    found: list[ValueCandidate] = []
    for match in _AMOUNT.finditer(plain.text):
        _add(found, match, _iso(read_number(match["number"]), match["unit"]))
    for match in _ANNIVERSARY.finditer(plain.text):
        digits = re.sub(r"\D", "", match["nth"])
        nth = int(digits) if digits else read_ordinal(match["nth"])
        _add(found, match, _iso(nth, "year"))
    for match in _ARTICLE.finditer(plain.text):
        _add(found, match, _iso(1, match["unit"] or match["other"]))
    for match in _CUSTOM.finditer(plain.text):
        word = (match["unit"] or match["from"] or match["ly"] or match["adverb"]).lower()
        word = {"annually": "annual", "weekly": "week"}.get(word, word)
        _add(found, match, _iso(1, _LY.get(word, word)))
    for match in _HIDDEN.finditer(plain.text):
        _add(found, match, None)
    for gap in gaps(plain):
        add_candidate(found, ValueCandidate("redacted", None, *gap))
    return _joined(plain, sorted(found, key=lambda spot: spot.start))


def _add(found: list[ValueCandidate], match: re.Match[str], value: str | None) -> None:
    status: Status = "stated" if value else "redacted"
    add_candidate(found, ValueCandidate(status, value, *match.span()))


def _iso(number: float | None, unit: str) -> str | None:
    """ISO 8601 of a number of units; parts of a year are converted to whole months."""
    unit = unit.lower()
    if number is None or number <= 0:
        return None
    if unit == "quarter":
        number, unit = number * 3, "month"
    if unit in ("year", "yr") and number % 1:
        number, unit = number * 12, "month"
    if number % 1:
        return None
    return f"P{int(number)}{_LETTERS[unit]}"


def _joined(plain: Plain, spots: list[ValueCandidate]) -> list[ValueCandidate]:
    """Join neighbouring parts of one duration, such as `four years and six months`."""
    joined: list[ValueCandidate] = []
    for spot in spots:
        last = joined[-1] if joined else None
        if last and last.value and spot.value and _goes_on(plain, last, spot):
            joined[-1] = ValueCandidate("stated", last.value + spot.value[1:], last.start, spot.end)
        else:
            joined.append(spot)
    return joined


def _goes_on(plain: Plain, last: ValueCandidate, spot: ValueCandidate) -> bool:
    units = f"{last.value}{spot.value}"
    return (
        _JOINT.fullmatch(plain.text[last.end : spot.start]) is not None
        and units[-1] in "MD"
        and "W" not in units
        and _ORDER.index((last.value or "Y")[-1]) < _ORDER.index(units[-1])
    )
