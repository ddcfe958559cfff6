"""The words of a report: values, pages, lists and decisions."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from datetime import date
from decimal import Decimal

from services.review.exports import Result
from shared.events.searched import Term

_VERDICTS = {"accept": "Accepted", "correct": "Corrected"}
_DURATION = re.compile(r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?")
_UNITS = ("year", "month", "week", "day")
_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_MONTH = rf"(?P<month>{'|'.join(f'{name[:3]}(?:{name[3:]})?' for name in _MONTHS)}|sept)\.?"
_DAY = r"(?:the )?(?P<day>\d{1,2})(?: ?(?:st|nd|rd|th))?"
_DATES = tuple(
    re.compile(form + r",? ?(?:of )?(?P<year>\d{4})[.,;]?", re.IGNORECASE)
    for form in (rf"{_MONTH} {_DAY}", rf"{_DAY} (?:day )?(?:of )?{_MONTH}")
)


def flowing(text: str) -> str:
    """Return a text as one paragraph, without characters that XML refuses."""
    return " ".join("".join(c if _printable(c) else " " for c in text).split())


def _printable(character: str) -> bool:
    return unicodedata.category(character) not in ("Cc", "Cs", "Cn")


def decision_of(result: Result) -> str:
    """Return who or what decided a result."""
    item = result.item
    if item.verdict == "accept" and item.origin == "person":
        return "Added"
    if item.verdict:
        return _VERDICTS[item.verdict]
    return "Accepted by the model" if item.route == "accept" else "Not decided"


def stated_value(result: Result) -> str | None:
    """Return the value that a reviewer stated in a correction, for people."""
    read, decision = result.item.value, result.decision
    right = decision.correction if decision else None
    if not read or not right or not right.get("value"):
        return None
    stated = {"value": right["value"], "currency": right["currency"], "role": read.get("role")}
    return value_of(Term(category="", kind=read["kind"], status="stated", **stated))


def value_of(term: Term) -> str:
    """Return a value for people: `90 days`, `USD 400,000`, `Halden Trading AS (Distributor)`."""
    if term.value and _DURATION.fullmatch(term.value):
        shown = _duration(term.value) + (", repeatedly" if term.repeats else "")
    elif term.kind == "amount" and term.value:
        shown = f"{term.currency or ''} {amount(term.value)}".strip()
    elif term.role and term.value:
        shown = f"{term.value} ({term.role})"
    else:
        shown = term.value or term.role or ""
    if term.status == "redacted":
        shown = f"{shown}, partly redacted" if shown else "Redacted in this copy"
    return flowing(shown or term.text or "")


def dated(text: str) -> str:
    """Return a text that is only a date in words as ISO 8601; other texts unchanged."""
    for form in _DATES:
        if found := form.fullmatch(text):
            short = found["month"][:3].lower()
            month = [name[:3] for name in _MONTHS].index(short) + 1
            try:
                return date(int(found["year"]), month, int(found["day"])).isoformat()
            except ValueError:
                break
    return text


def amount(value: str | float) -> str:
    """Return a number with thousands separators."""
    number = Decimal(str(value))
    return f"{number:,.0f}" if number == number.to_integral_value() else f"{number:,f}"


def _duration(value: str) -> str:
    found = _DURATION.fullmatch(value)
    parts = zip(found.groups(), _UNITS, strict=True) if found else ()
    return ", ".join(counted(int(number), unit) for number, unit in parts if number) or value


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: `1 clause`, `2 clauses`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def listed(words: Iterable[str]) -> str:
    """Return an enumeration: `a, b and c`."""
    *first, last = list(words) or [""]
    return f"{', '.join(first)} and {last}" if first else last


def percent(share: float) -> str:
    """Return a share with one decimal at most: `2.1%`, `5%`."""
    return f"{100 * share:.1f}".removesuffix(".0") + "%"


def pages(numbers: Iterable[int]) -> str:
    """Return `page 3`, or `pages 3, 4 and 9`; empty without numbers."""
    found = sorted(set(numbers))
    return f"page{'' if len(found) == 1 else 's'} {listed(map(str, found))}" if found else ""


def capital(text: str) -> str:
    """Return a text that begins with a capital letter."""
    return text[:1].upper() + text[1:]


def sentence(text: str) -> str:
    """Return a text that begins with a capital letter and ends with a full stop."""
    text = capital(flowing(text))
    return text if text.endswith((".", "!", "?")) else f"{text}."


def shortened(text: str, most: int) -> str:
    """Return a text of whole words with at most so many characters."""
    text = flowing(text)
    return text if len(text) <= most else f"{text[:most].rpartition(' ')[0]} …"
