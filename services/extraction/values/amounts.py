"""Parse amounts of money in contracts: a decimal number, and the currency by ISO 4217."""

from __future__ import annotations

import re
from decimal import Decimal

from services.extraction.values.numbers import DIGITS, WORDS, read_number
from services.extraction.values.value import GAP, Plain, Status, Value

_CURRENCIES = {
    "USD": (
        r"US ?\$|U\.S\. ?\$|USD ?\$?|\$ ?US(?:D)?|\$",
        r"(?:U\.?S\.? |United States )?dollars?",
    ),
    "CAD": (r"C\$|C(?:DN|AD)\.? ?\$?", r"Canadian dollars?"),
    "AUD": (r"A\$|AUD? ?\$|AUD", r"Australian dollars?"),
    "HKD": (r"HK ?\$|HKD ?\$?", r"Hong Kong dollars?"),
    "SGD": (r"S\$|SGD? ?\$|SGD", r"Singapore dollars?"),
    "TWD": (r"NT ?\$|TWD|NTD", r"(?:New )?Taiwan dollars?"),
    "EUR": ("€|EUR(?:OS?)?", "euros?"),
    "GBP": ("£|GBP", r"British pounds?(?: sterling)?|pounds? sterling"),
    "JPY": ("JPY|¥", r"(?:Japanese )?yen"),
    "CNY": (r"RMB ?¥?|CNY|CN¥", r"(?:Chinese )?(?:yuan|renminbi|RMB)"),
    "INR": (r"INR|Rs\.?|₹", r"(?:Indian )?rupees?"),
    "CHF": ("CHF|SFr\\.?", r"Swiss francs?"),
    "ILS": ("ILS|NIS|₪", r"(?:new )?(?:Israeli )?shekels?"),
    "KRW": ("KRW|₩", r"(?:Korean )?won"),
    "SEK": ("SEK", r"Swedish kron(?:a|or)"),
    "BRL": (r"R\$|BRL", r"(?:Brazilian )?reais"),
}
_SCALE = r"(?P<scale> ?(?:thousand|million|billion)\b|(?:k|mm?|M)\b)?"
_SCALES = {"thousand": 3, "k": 3, "million": 6, "m": 6, "mm": 6, "billion": 9}


def _either(column: int) -> str:
    """The signs (0) or names (1) of all currencies, each in a group named by its code."""
    codes = sorted(_CURRENCIES.items(), key=lambda item: item[0] == "USD")  # the bare $ last
    return "|".join(f"(?P<{code}>{forms[column]})" for code, forms in codes)


_SIGNED = re.compile(
    rf"(?<![A-Za-z])(?:{_either(0)}) ?(?:(?P<number>{DIGITS}|\.\d+){_SCALE}|(?P<gap>{GAP}))",
    re.IGNORECASE,
)
_NAMED = re.compile(
    rf"(?:(?P<number>(?<!half )(?<!half-){WORDS}|(?<![\d.,]){DIGITS}){_SCALE}|(?P<gap>{GAP}))"
    r"(?: and (?:no|\d\d) ?/ ?100(?:ths)?)? ?(?:\([\d,. ]{1,20}\) )?(?:in )?"
    rf"(?:{_either(1)})\b(?! and [a-z -]{{1,30}}cents?\b)",
    re.IGNORECASE,
)
_TRAILING = re.compile(
    rf"(?<![\d.,])(?P<number>{DIGITS}) ?(?P<code>USD|EUR|GBP|CAD|RMB|CNY|€)(?!\w)"
)
_CODES = {"RMB": "CNY", "€": "EUR"}
_BRACKET = re.compile(r" ?\(? ?")
_MOST_DIGITS = 24  # most digits of an amount before the decimal point


def find_amounts(plain: Plain) -> list[Value]:
    """Every amount of money of a clause in the order of the text, including redacted ones.

    A bare `$` is read as US dollars. An amount in words and figures is one.
    """
    text = plain.text
    found = [_value(plain, m, _currency(m)) for p in (_SIGNED, _NAMED) for m in p.finditer(text)]
    found += [_value(plain, m, _CODES.get(m["code"], m["code"])) for m in _TRAILING.finditer(text)]
    chosen: list[tuple[Value, int, int]] = []
    for value, start, end in sorted(filter(None, found), key=lambda item: (item[1], -item[2])):
        if not chosen or start >= chosen[-1][2]:
            chosen.append((value, start, end))
    return [value for value, _start, _end in _merged(plain, chosen)]


def _merged(plain: Plain, found: list[tuple[Value, int, int]]) -> list[tuple[Value, int, int]]:
    """`five dollars ($5)` is one amount with the text of both."""
    merged: list[tuple[Value, int, int]] = []
    for value, start, end in found:
        if merged:
            last, first, before = merged[-1]
            same = (last.value, last.currency) == (value.value, value.currency)
            if same and _BRACKET.fullmatch(plain.text[before:start]):
                end += plain.text[end : end + 1] == ")"
                known = value.status, value.value
                both = plain.value("amount", *known, first, end, currency=value.currency)
                merged[-1] = (both, first, end)
                continue
        merged.append((value, start, end))
    return merged


def _value(plain: Plain, match: re.Match[str], currency: str) -> tuple[Value, int, int] | None:
    """The amount of a match and its span; None for a number with too many digits."""
    parts = match.groupdict()
    number = None
    if parts["number"]:
        exact = _exact(parts["number"])
        scale = _SCALES.get((parts.get("scale") or "").strip().lower(), 0)
        if exact is None or exact.adjusted() + scale >= _MOST_DIGITS:
            return None
        number = _written(exact.scaleb(scale))
    start, end = match.span()
    status: Status = "stated" if number is not None else "redacted"
    value = plain.value("amount", status, number, start, end, currency=currency)
    return value, start, end


def _exact(number: str) -> Decimal | None:
    if number[0] in ".0123456789":
        return Decimal(number.replace(",", ""))
    words = read_number(number)
    return None if words is None else Decimal(int(words))


def _written(number: Decimal) -> str:
    return f"{number.quantize(Decimal(1)) if number == number.to_integral_value() else number:f}"


def _currency(match: re.Match[str]) -> str:
    return next(code for code in _CURRENCIES if match[code] is not None)
