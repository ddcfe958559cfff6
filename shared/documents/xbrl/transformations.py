"""Convert text shown in inline XBRL to values: `1,234` to 1234, `Jan. 5, 2024` to 2024-01-05.

Rules: Inline XBRL Transformation Registry (versions 1 to 5) and those of the SEC. Formats are
matched by local name without hyphens, which unifies the versions. Rules that only reword text
(names of states and exchanges, durations) are not applied.
"""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal, InvalidOperation

from shared.documents.flow.numerals import SMALL, TENS

_SPACES = re.compile(r"[\s\u00a0\u202f']+")
_NUMBER = re.compile(r"[+-]?(\d++(?:\.\d*)?|\.\d+)")
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
"""Order of day, month and year in formats of version 1, whose names don't include it."""

_LARGE = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}


class UnknownForm(ValueError):
    """The text does not match its format, or the format is unknown."""


def number_of(form: str | None, text: str) -> Decimal | None:
    """Return the number of a text; None if the format means no number. Raises UnknownForm."""
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
    elif name:
        raise UnknownForm(f"numbers of the form {form} are not known")
    if not _NUMBER.fullmatch(digits) or len(digits) > _LONGEST:
        raise UnknownForm(f"{text[:40]!r} is not a number{f' of the form {form}' if form else ''}")
    try:
        return Decimal(digits)
    except InvalidOperation:
        raise UnknownForm(f"{text[:40]!r} is not a number") from None


def text_of(form: str | None, text: str) -> str:
    """Return the text, date or boolean of a text. Raises UnknownForm for a wrong date."""
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
    """Return an ISO date, as far as known: 2024-01-05, 2024-01 or --01-05."""
    order = _ORDERS.get(name) or _order(name)
    words = _WORD.findall(text.lower())
    parts: dict[str, int] = {}
    months = [part for part in words if part[:3] in _MONTHS]
    if months:
        parts["m"] = _MONTHS.index(months[0][:3]) + 1
    digits = [part for part in words if part.isdecimal() and len(part) <= 4]
    for key, digit in zip([key for key in order if key not in parts], digits, strict=False):
        parts[key] = int(digit)
    if set(parts) != set(order) or not order:
        raise UnknownForm(f"{text[:40]!r} is not a date of the form date-{name}")
    if "y" in parts and parts["y"] < 100:
        parts["y"] += 2000
    return _iso(parts, text)


def _order(name: str) -> str:
    """Return the order of day, month and year in a format's name: `monthnamedayyearen` is `mdy`."""
    places = {word: name.find(word) for word in ("day", "month", "year")}
    return "".join(word[0] for word in sorted(places, key=places.__getitem__) if places[word] >= 0)


def _iso(parts: dict[str, int], text: str) -> str:
    try:
        day = date(parts.get("y", 2000), parts["m"], parts.get("d", 1))
    except (KeyError, ValueError):
        raise UnknownForm(f"{text[:40]!r} is not a date") from None
    if "y" not in parts:
        return f"--{day:%m-%d}"
    return f"{day:%Y-%m-%d}" if "d" in parts else f"{day:%Y-%m}"


def _in_words(text: str) -> int:
    """Return 125 for `one hundred and twenty-five`, 0 for `no` and `none`."""
    words = _WORD.findall(text.lower())
    if not words or len(words) > 30:
        raise UnknownForm(f"{text[:40]!r} is not a number in words")
    total = part = 0
    for word in words:
        if word in ("no", "none", "nil", "zero", "and", "a"):
            continue
        if word in SMALL:
            part += SMALL.index(word)
        elif word in TENS:
            part += 10 * (TENS.index(word) + 2)
        elif word == "hundred":
            part = (part or 1) * 100
        elif word in _LARGE:
            total, part = total + (part or 1) * _LARGE[word], 0
        elif word.isdecimal() and len(word) < 16:
            part += int(word)
        else:
            raise UnknownForm(f"{text[:40]!r} is not a number in words")
    return total + part
