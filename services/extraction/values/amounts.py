"""Amounts of money as contracts write them: a decimal number, and the currency by ISO 4217."""

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
    "CAD": (r"C(?:DN|AD|dn)?\.? ?\$|CAD", r"Canadian dollars?"),
    "AUD": (r"AU?D? ?\$|AUD", r"Australian dollars?"),
    "HKD": (r"HK ?\$|HKD ?\$?", r"Hong Kong dollars?"),
    "SGD": (r"S(?:GD?)? ?\$|SGD", r"Singapore dollars?"),
    "TWD": (r"NT ?\$|TWD|NTD", r"(?:New )?Taiwan dollars?"),
    "EUR": ("€|EUR(?:OS?)?", "euros?"),
    "GBP": ("£|GBP", r"(?:British )?pounds?(?: sterling)?"),
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
    """Every currency's sign (0) or name (1), each in a group that is named by its code."""
    codes = sorted(_CURRENCIES.items(), key=lambda item: item[0] == "USD")  # the bare $ last
    return "|".join(f"(?P<{code}>{forms[column]})" for code, forms in codes)


_SIGNED = re.compile(
    rf"(?<![A-Za-z])(?:{_either(0)}) ?(?:(?P<number>{DIGITS}|\.\d+){_SCALE}|(?P<gap>{GAP}))",
    re.IGNORECASE,
)
_NAMED = re.compile(
    rf"(?:(?P<number>{WORDS}|(?<![\d.,]){DIGITS}){_SCALE}|(?P<gap>{GAP}))"
    r"(?: and (?:no|\d\d) ?/ ?100(?:ths)?)? ?(?:\([\d,. ]{1,20}\) )?(?:in )?"
    rf"(?:{_either(1)})\b",
    re.IGNORECASE,
)
_TRAILING = re.compile(
    rf"(?<![\d.,])(?P<number>{DIGITS}) ?(?P<code>USD|EUR|GBP|CAD|RMB|CNY|€)(?!\w)"
)
_CODES = {"RMB": "CNY", "€": "EUR"}
_BRACKET = re.compile(r" ?\(? ?")


def find_amounts(plain: Plain) -> list[Value]:
    """Every amount of money of a clause in the order of the text, those taken out among them.

    A bare `$` is read as US dollars. An amount in words and figures is one.
    """
    found = [_value(plain, m, _currency(m)) for m in _SIGNED.finditer(plain.text)]
    found += [_value(plain, m, _currency(m)) for m in _NAMED.finditer(plain.text)]
    found += [
        _value(plain, m, _CODES.get(m["code"], m["code"])) for m in _TRAILING.finditer(plain.text)
    ]
    kept: list[tuple[Value, int, int]] = []
    for value, start, end in sorted(found, key=lambda item: (item[1], -item[2])):
        if not kept or start >= kept[-1][2]:
            kept.append((value, start, end))
    return [value for value, _start, _end in _merged(plain, kept)]


def _merged(plain: Plain, found: list[tuple[Value, int, int]]) -> list[tuple[Value, int, int]]:
    """`five dollars ($5)` is one amount, with the words of both."""
    merged: list[tuple[Value, int, int]] = []
    for value, start, end in found:
        if merged:
            last, first, before = merged[-1]
            same = (last.value, last.currency) == (value.value, value.currency)
            if same and _BRACKET.fullmatch(plain.text[before:start]):
                end += plain.text[end : end + 1] == ")"
                both = plain.value(
                    "amount", value.status, value.value, first, end, currency=value.currency
                )
                merged[-1] = (both, first, end)
                continue
        merged.append((value, start, end))
    return merged


def _value(plain: Plain, match: re.Match[str], currency: str) -> tuple[Value, int, int]:
    parts = match.groupdict()
    number = None
    if parts["number"]:
        exact = _exact(parts["number"])
        scale = (parts.get("scale") or "").strip().lower()
        number = _written(exact.scaleb(_SCALES.get(scale, 0)))
    start, end = match.span()
    status: Status = "stated" if number is not None else "redacted"
    value = plain.value("amount", status, number, start, end, currency=currency)
    return value, start, end


def _exact(number: str) -> Decimal:
    if number[0] in ".0123456789":
        return Decimal(number.replace(",", ""))
    return Decimal(int(read_number(number) or 0))


def _written(number: Decimal) -> str:
    """Without an exponent, and with cents only where there are some."""
    return f"{number.quantize(Decimal(1)) if number == number.to_integral() else number:f}"


def _currency(match: re.Match[str]) -> str:
    return next(code for code in _CURRENCIES if match[code] is not None)
