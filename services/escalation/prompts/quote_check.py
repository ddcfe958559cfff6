"""Finds quotes in a document.

Differences of layout are ignored: kinds of white space, ligatures, and words divided at the end of
a line. Everything else must match: case, quotation marks and letters.

A hyphen at the end of a line may belong to the word or to the line break. So a quote may omit it,
unless a digit or a capital letter follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LIGATURES = {
    "\ufb00": "ff",
    "\ufb01": "fi",
    "\ufb02": "fl",
    "\ufb03": "ffi",
    "\ufb04": "ffl",
    "\ufb05": "\u017ft",
    "\ufb06": "st",
}
HYPHENS = "-\u2010"
SOFT_HYPHEN = "\u00ad"
LONGEST = 20_000  # characters of a quote

Span = tuple[int, int]
Kind = Literal["letter", "space", "divided", "hyphen"]


@dataclass(frozen=True)
class _Unit:
    """One unit of comparison: a letter, a run of white space, or a hyphen at a line break.

    A quote may omit a `divided` hyphen, but not a `hyphen`.
    """

    kind: Kind
    char: str
    start: int
    end: int


class Passage:
    """A text to find quotes in. It is split into units once for all quotes."""

    def __init__(self, text: str) -> None:
        self._units = _units(text)
        places = [
            i
            for i, unit in enumerate(self._units)
            if unit.kind == "letter" and unit.char not in HYPHENS
        ]
        self._places = places
        self._bare = "".join(self._units[i].char for i in places)

    def find(self, quote: str) -> list[Span]:
        """Every place of a quote, in whole words: offsets into the text, end exclusive."""
        wanted = _plain(quote)
        bare = wanted
        for sign in (" ", *HYPHENS):
            bare = bare.replace(sign, "")
        if not any(map(str.isalnum, bare)) or len(wanted) > LONGEST:
            return []
        lead = next(i for i, char in enumerate(wanted) if char not in (" ", *HYPHENS))
        found, at = [], self._bare.find(bare)
        while at >= 0:
            first = self._places[at] - lead
            last = self._match(wanted, first) if first >= 0 else None
            if last is not None and self._whole(first, last):
                found.append((self._units[first].start, self._units[last - 1].end))
            at = self._bare.find(bare, at + 1)
        return found

    def _match(self, wanted: str, at: int) -> int | None:
        """The index after the units that match a quote from `at` on; None without a match."""
        j = 0
        while j < len(wanted):
            if at >= len(self._units):
                return None
            unit = self._units[at]
            at += 1
            if unit.kind in ("letter", "space"):
                if unit.char != wanted[j]:
                    return None
                j += 1
            elif wanted[j] == unit.char:
                j += 1
                if wanted[j : j + 1] == " ":
                    j += 1
            elif unit.kind == "hyphen":
                return None
        return at

    def _whole(self, first: int, last: int) -> bool:
        """Whether no word is cut at either end."""
        return not (self._joined(first - 1, first) or self._joined(last - 1, last))

    def _joined(self, left: int, right: int) -> bool:
        if left < 0 or right >= len(self._units):
            return False
        one, other = self._units[left], self._units[right]
        if "divided" in (one.kind, other.kind):
            return True
        return one.char.isalnum() and other.char.isalnum()


def _plain(quote: str) -> str:
    """A quote with ligatures as letters, and single spaces."""
    spread = "".join(LIGATURES.get(char, char) for char in quote if char != SOFT_HYPHEN)
    return " ".join(spread.split())


def _units(text: str) -> list[_Unit]:
    units: list[_Unit] = []
    at, length = 0, len(text)
    while at < length:
        char = text[at]
        if char.isspace():
            units.append(_Unit("space", " ", at, _after_space(text, at)))
        elif char == SOFT_HYPHEN:
            units.append(_Unit("divided", "-", at, _after_line(text, at + 1)))
        elif char in HYPHENS and (end := _after_line(text, at + 1)) > at + 1 and at > 0:
            units.append(_divided(text, at, end))
        else:
            end = at + 1
            units += [_Unit("letter", one, at, end) for one in LIGATURES.get(char, char)]
        at = units[-1].end
    return units


def _divided(text: str, at: int, end: int) -> _Unit:
    """The unit of a hyphen before a line break. Outside of a word it is a letter."""
    before, after = text[at - 1], text[end : end + 1]
    if not (before.isalnum() and after.isalnum()):
        return _Unit("letter", text[at], at, at + 1)
    in_word = before.isalpha() and after.isalpha() and (after.islower() or after in LIGATURES)
    return _Unit("divided" if in_word else "hyphen", text[at], at, end)


def _after_space(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _after_line(text: str, at: int) -> int:
    """The offset after white space with a line break; `at` if there is none."""
    end = _after_space(text, at)
    return end if any(char in "\n\r\f\v\x85\u2028\u2029" for char in text[at:end]) else at
