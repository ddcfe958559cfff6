"""What inline XBRL shows, in the form that a fact has: `1,234` is 1234, `Jan. 5, 2024` 2024-01-05.

The rules are those of the Inline XBRL Transformation Registry (versions 1 to 5) and of the SEC's
own, by the last part of their names, in which the versions differ by hyphens only. What only
rewords a text (names of states and exchanges, durations) is left as it is shown.
"""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal, InvalidOperation

_SPACES = re.compile(r"[\s\u00a0\u202f']+")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)")
_UNIT = re.compile(r"(\d[\d,.\s]*?)\D*(?:[^\d](\d{1,2})\D*)?")
_WORD = re.compile(r"[^\W\d_]+|\d+")
_LONGEST = 60

_DOT = {"numdotdecimal", "numcommadot", "numspacedot", "numdotdecimalin", "numdotdecimalapos"}
_COMMA = {"numcommadecimal", "numdotcomma", "numspacecomma", "numcomma", "numcommadecimalapos"}
_ZERO = {"fixedzero", "zerodash", "numdash"}
_TRUE, _FALSE = {"fixedtrue", "booleantrue"}, {"fixedfalse", "booleanfalse"}
_EMPTY = {"fixedempty", "nocontent"}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ORDERS = {
    **dict.fromkeys(("slashus", "dotus", "longus", "shortus"), "mdy"),
    **dict.fromkeys(("slasheu", "doteu", "longuk", "shortuk", "indmonthnamedayyearen"), "dmy"),
    **dict.fromkeys(("longdaymonthuk", "shortdaymonthuk", "slashdaymontheu"), "dm"),
    **dict.fromkeys(("longmonthdayus", "shortmonthdayus", "slashmonthdayus"), "md"),
    **dict.fromkeys(("longyearmonth", "shortyearmonth"), "ym"),
    **dict.fromkeys(("longmonthyear", "shortmonthyear"), "my"),
}
"""The order of day, month and year in forms of the first version, whose names don't say it."""

_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
    *("eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_LARGE = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}


class UnknownForm(ValueError):
    """The text is not what its form says, or the form is none that is known."""


def number_of(form: str | None, text: str) -> Decimal | None:
    """The number that a text shows; None where the form says that there is none.

    Raises UnknownForm with a sentence.
    """
    name = _name(form)
    if name in _ZERO:
        return Decimal(0)
    if name in _EMPTY:
        return None
    if name == "numwordsen":
        return Decimal(_in_words(text))
    digits = _SPACES.sub("", text)
    if name in _DOT:
        digits = digits.replace(",", "")
    elif name in _COMMA:
        digits = digits.replace(".", "").replace(",", ".")
    elif name == "numunitdecimal":
        digits = _with_unit(text)
    elif name:
        raise UnknownForm(f"numbers of the form {form} are not known")
    if not _NUMBER.fullmatch(digits) or len(digits) > _LONGEST:
        raise UnknownForm(f"{text[:40]!r} is no number{f' of the form {form}' if form else ''}")
    try:
        return Decimal(digits)
    except InvalidOperation:
        raise UnknownForm(f"{text[:40]!r} is no number") from None


def text_of(form: str | None, text: str) -> str:
    """The text, date or boolean that a text shows. Raises UnknownForm for a date that is none."""
    name = _name(form)
    if name in _TRUE:
        return "true"
    if name in _FALSE:
        return "false"
    if name == "boolballotbox":
        return {"\u2610": "false", "\u2611": "true", "\u2612": "true"}.get(text.strip(), text)
    if name in _EMPTY:
        return ""
    return _date(name.removeprefix("date"), text) if name.startswith("date") else text


def _name(form: str | None) -> str:
    return (form or "").rpartition(":")[2].replace("-", "").lower()


def _date(name: str, text: str) -> str:
    """ISO, as far as it goes: 2024-01-05, 2024-01 or --01-05."""
    order = _ORDERS.get(name) or _order(name)
    parts = _WORD.findall(text.lower())
    found: dict[str, int] = {}
    months = [part for part in parts if part[:3] in _MONTHS]
    if months:
        found["m"] = _MONTHS.index(months[0][:3]) + 1
    digits = [part for part in parts if part.isdecimal() and len(part) <= 4]
    for key, digit in zip([key for key in order if key not in found], digits, strict=False):
        found[key] = int(digit)
    if set(found) != set(order) or not order:
        raise UnknownForm(f"{text[:40]!r} is no date of the form date-{name}")
    if "y" in found and found["y"] < 100:
        found["y"] += 2000
    return _iso(found, text)


def _order(name: str) -> str:
    """The order of day, month and year in the name of a form: `monthnamedayyearen` is `mdy`."""
    places = {word: name.find(word) for word in ("day", "month", "year")}
    return "".join(word[0] for word in sorted(places, key=places.__getitem__) if places[word] >= 0)


def _iso(found: dict[str, int], text: str) -> str:
    try:
        day = date(found.get("y", 2000), found["m"], found.get("d", 1))
    except (KeyError, ValueError):
        raise UnknownForm(f"{text[:40]!r} is no date") from None
    if "y" not in found:
        return f"--{day:%m-%d}"
    return f"{day:%Y-%m-%d}" if "d" in found else f"{day:%Y-%m}"


def _with_unit(text: str) -> str:
    """`5 dollars 25 cents` is 5.25."""
    found = _UNIT.fullmatch(text.strip())
    if not found:
        raise UnknownForm(f"{text[:40]!r} is no amount with its unit")
    whole = re.sub(r"[^\d]", "", found[1])
    return f"{whole}.{found[2]:0>2}" if found[2] else whole


def _in_words(text: str) -> int:
    """`one hundred and twenty-five` is 125, `no` and `none` are 0."""
    words = _WORD.findall(text.lower())
    if not words or len(words) > 30:
        raise UnknownForm(f"{text[:40]!r} is no number in words")
    total = part = 0
    for word in words:
        if word in ("no", "none", "nil", "zero", "and", "a"):
            continue
        if word in _ONES:
            part += _ONES.index(word)
        elif word in _TENS:
            part += 10 * (_TENS.index(word) + 2)
        elif word == "hundred":
            part = (part or 1) * 100
        elif word in _LARGE:
            total, part = total + (part or 1) * _LARGE[word], 0
        elif word.isdecimal() and len(word) < 16:
            part += int(word)
        else:
            raise UnknownForm(f"{text[:40]!r} is no number in words")
    return total + part
