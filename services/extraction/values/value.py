"""The type of values, and the normalised text of a clause that they are searched in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["date", "duration", "perpetual", "amount", "jurisdiction", "party", "title"]
Status = Literal["stated", "redacted", "not_stated"]

MOST = 10_000
"""Most characters of one clause that are searched; the longest clause in CUAD has 3,884."""


@dataclass(frozen=True)
class Value:
    """A normalised value and the words it came from: exactly the text from `start` to `end`.

    `value` by kind: `date` ISO 8601, to the day, month or year that is stated; `duration` ISO 8601
    (`P5Y`, `P90D`); `perpetual` the word itself; `amount` a decimal number in `currency` (ISO
    4217); `jurisdiction` and `title` a name; `party` a name, or null if only a `role` is given.
    A redacted value has the remaining part (the year of `__ May 2020`), or null.
    """

    kind: Kind
    status: Status
    value: str | None = None
    currency: str | None = None
    role: str | None = None  # of a party: its defined term
    repeats: bool | None = None  # of a renewal: whether it repeats
    text: str | None = None  # null, like start and end, only if not stated
    start: int | None = None  # code points into the document's text
    end: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The value in REST, events and on the command line."""
        return {**vars(self)}


_QUOTES = {ord(c): '"' for c in "“”„‟″«»"} | {ord(c): "'" for c in "‘’‚‛′`´"}  # noqa: RUF001
_DASHES = {ord(c): "-" for c in "‐‑‒–—−"}  # noqa: RUF001
_SAME_LENGTH = _QUOTES | _DASHES
_FILLING = re.compile(r"(?:\s|-{3,})+")


class Plain:
    """A clause with uniform quotes, dashes and spaces, and the offsets of the original.

    Wide columns, line breaks and typed underlining (`-----`) become one space.
    """

    def __init__(self, text: str, offset: int = 0) -> None:
        self.original = text[:MOST]
        self.offset = offset
        even = self.original.translate(_SAME_LENGTH)
        parts: list[str] = []
        starts: list[int] = []
        ends: list[int] = []
        at = 0
        for filling in _FILLING.finditer(even):
            parts.append(even[at : filling.start()] + " ")
            starts.extend((*range(at, filling.start()), filling.start()))
            ends.extend((*range(at + 1, filling.start() + 1), filling.end()))
            at = filling.end()
        parts.append(even[at:])
        self.text = "".join(parts)
        self._starts = [*starts, *range(at, len(even))]
        self._ends = [*ends, *range(at + 1, len(even) + 1)]

    def value(
        self, kind: Kind, status: Status, value: str | None, start: int, end: int, **more: Any
    ) -> Value:
        """A value whose words are at `start` to `end` of the plain text (not empty).

        `more` may be `currency`, `role` or `repeats`.
        """
        while start < end - 1 and self.text[start] == " ":
            start += 1
        while end > start + 1 and self.text[end - 1] == " ":
            end -= 1
        first, last = self._starts[start], self._ends[end - 1]
        text, offset = self.original[first:last], self.offset
        return Value(
            kind, status, value, text=text, start=offset + first, end=offset + last, **more
        )


GAP = (
    r"(?>\[[ *_.\-…•●·xX#]{0,40}\]|<[ *]{1,20}>|\*(?: ?\*){1,40}|(?<!_)_{2,}(?: _+){0,40}"
    r"|(?<![xX])[xX]{4,}|[•●·]{1,9}"
    r"|\[\*[^\]]{0,60}\*\]|\[(?:redacted|omitted|blank|date|amount|number|name|insert[^\]]{0,40}"
    r"|tbd|to be [a-z]{1,12}|confidential[^\]]{0,40}|intentionally[^\]]{0,40})\])"
)
"""A part that was taken out or left blank: `[***]`, `[* * *]`, `____`, `[ ]`, `XXXX`.

The groups are atomic, so a hostile line of `_ _ _` or `xxxx` takes linear time.
"""

_GAPS = re.compile(rf"{GAP}(?: ?{GAP})*", re.IGNORECASE)


def gaps(plain: Plain) -> Iterator[tuple[int, int]]:
    """The spans that were taken out or left blank."""
    return (match.span() for match in _GAPS.finditer(plain.text))
