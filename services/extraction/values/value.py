"""What a value is, and the plain reading of a clause that every value is looked for in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["date", "duration", "perpetual", "amount", "jurisdiction", "party", "title"]
Status = Literal["stated", "redacted", "not_stated"]

MOST = 10_000
"""Characters of one clause that are looked at; the longest clause in CUAD has 3,884."""


@dataclass(frozen=True)
class Value:
    """A normalised value and the words it came from: exactly the text from `start` to `end`.

    `value` by kind: `date` ISO 8601, to the day, month or year that is stated; `duration` ISO 8601
    (`P5Y`, `P90D`); `perpetual` the word itself; `amount` a decimal number in `currency` (ISO
    4217); `jurisdiction` and `title` a name; `party` a name, or null where only a `role` stands.
    A redacted value has the part that is left (`2020` of `__ May 2020` has the year), or null.
    """

    kind: Kind
    status: Status
    value: str | None = None
    text: str | None = None  # the three are null only for what is not stated
    start: int | None = None  # code points into the document's text
    end: int | None = None
    currency: str | None = None
    role: str | None = None  # of a party: its defined term
    repeats: bool | None = None  # of a renewal: for one term after the other

    def to_json(self) -> dict[str, Any]:
        """The value as REST, events and the command line have it."""
        return {
            "kind": self.kind,
            "status": self.status,
            "value": self.value,
            "currency": self.currency,
            "role": self.role,
            "repeats": self.repeats,
            "text": self.text,
            "start": self.start,
            "end": self.end,
        }


_QUOTES = {ord(c): '"' for c in "“”„‟″«»"} | {ord(c): "'" for c in "‘’‚‛′`´"}  # noqa: RUF001
_DASHES = {ord(c): "-" for c in "‐‑‒–—−"}  # noqa: RUF001
_SAME_LENGTH = _QUOTES | _DASHES
_FILLING = re.compile(r"(?:\s|-{3,})+")


class Plain:
    """A clause with one kind of quotes and dashes and single spaces, that knows its way back.

    Wide columns, line breaks and typed underlining (`-----`) inside a phrase become one space.
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
        self,
        kind: Kind,
        status: Status,
        value: str | None,
        start: int,
        end: int,
        *,
        currency: str | None = None,
        role: str | None = None,
        repeats: bool | None = None,
    ) -> Value:
        """A value whose words lie from `start` to `end` of the plain text (not empty)."""
        while start < end - 1 and self.text[start] == " ":
            start += 1
        while end > start + 1 and self.text[end - 1] == " ":
            end -= 1
        first, last = self._starts[start], self._ends[end - 1]
        return Value(
            kind=kind,
            status=status,
            value=value,
            text=self.original[first:last],
            start=self.offset + first,
            end=self.offset + last,
            currency=currency,
            role=role,
            repeats=repeats,
        )


GAP = (
    r"(?>\[[ *_.\-…•●·xX#]{0,40}\]|<[ *]{1,20}>|\*(?: ?\*){1,40}|_{2,}(?: _+){0,40}|[xX]{4,}"
    r"|[•●·]{1,9}"
    r"|\[\*[^\]]{0,60}\*\]|\[(?:redacted|omitted|blank|date|amount|number|name|insert[^\]]{0,40}"
    r"|tbd|to be [a-z]{1,12}|confidential[^\]]{0,40}|intentionally[^\]]{0,40})\])"
)
"""A part that was taken out or left blank: `[***]`, `[* * *]`, `____`, `[ ]`, `XXXX`.

Atomic, as all that is repeated here: a hostile line of `_ _ _` costs no more than its length.
"""

_GAPS = re.compile(rf"{GAP}(?: ?{GAP})*", re.IGNORECASE)


def gaps(plain: Plain) -> Iterator[tuple[int, int]]:
    """Where something was taken out or left blank."""
    return (match.span() for match in _GAPS.finditer(plain.text))
