"""Parse numbers in contracts: `5`, `five`, `five (5)`, `30 (thirty)`, `fifth`."""

from __future__ import annotations

import math
import re

_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
    "nineteen",
)
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_WORDS = (
    {word: n for n, word in enumerate(_ONES)}
    | {word: 10 * n for n, word in enumerate(_TENS, 2)}
    | {"fourty": 40, "ninty": 90}
)
_SCALES = {"hundred": 100, "thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000}
_ODD_ORDINALS = {
    "first": 1, "second": 2, "third": 3, "fifth": 5, "eighth": 8, "ninth": 9, "twelfth": 12,
}  # fmt: skip
ORDINALS = (
    _ODD_ORDINALS
    | {f"{w}th": n for w, n in _WORDS.items() if w not in ("one", "two", "three", "five")}
    | {f"{w[:-1]}ieth": n for w, n in _WORDS.items() if w.endswith("y")}
    | {f"twenty-{w}": 20 + n for w, n in _ODD_ORDINALS.items() if n < 10}
    | {f"twenty-{w}th": 20 + n for w, n in _WORDS.items() if w in ("four", "six", "seven")}
    | {"thirty-first": 31}
)

_WORD = "(?:" + "|".join(sorted((*_WORDS, *_SCALES), key=len, reverse=True)) + r")\b"
WORDS = rf"\b(?>{_WORD}(?:[ -](?:and )?{_WORD}){{0,9}})"  # several number words in a row

DIGITS = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
NUMBER = (
    rf"(?:{WORDS}(?: ?\( ?(?:{DIGITS}|[Il]) ?\)?)?"
    rf"|\(?(?<![\d.,$])(?:{DIGITS}) ?\)?(?: ?\( ?{WORDS} ?\))?)"
)
"""A number in words, figures or both."""

ORDINAL = r"(?:" + "|".join(sorted(ORDINALS, key=len, reverse=True)).replace("-", "[ -]") + r")\b"
"""An ordinal in words."""

_RUN = re.compile(WORDS, re.IGNORECASE)
_FIGURES = re.compile(DIGITS)


def read_number(phrase: str) -> float | None:
    """The value of a match of NUMBER. If words and figures differ, words count.

    None for a number that a float can't represent.
    """
    if words := _RUN.search(phrase):
        return float(_read_words(words.group()))
    if figures := _FIGURES.search(phrase):
        number = float(figures.group().replace(",", ""))
        return number if math.isfinite(number) else None
    return None


def read_ordinal(word: str) -> int | None:
    """The value of an ordinal in words."""
    return ORDINALS.get(word.lower().replace(" ", "-"))


def _read_words(phrase: str) -> int:
    total = part = 0
    for word in re.findall(r"[a-z]+", phrase.lower()):
        if word in _WORDS:
            part += _WORDS[word]
        elif word == "hundred":
            part = max(part, 1) * 100
        elif word in _SCALES:
            total += max(part, 1) * _SCALES[word]
            part = 0
    return total + part
