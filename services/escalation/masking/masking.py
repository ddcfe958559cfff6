"""Masks parties, persons and amounts with placeholders before text is sent out.

The rules find known names, companies by legal form, their short names (`party_names`), persons by
title or signature, and amounts by currency. A name that fits no rule stays. Quotes are searched in
the masked text and mapped back to the document's offsets.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass

from services.escalation.masking.party_names import (
    PartyNames,
    Span,
    companies,
    hidden_places,
    known_names,
    places_of,
)
from services.escalation.policy.policy import Hidden

LABELS: dict[Hidden, str] = {"parties": "PARTY", "persons": "PERSON", "amounts": "AMOUNT"}

_NAME = r"(?:[A-Z][\w'\u2019-]+|[A-Z]\.)(?: (?:[A-Z][\w'\u2019-]+|[A-Z]\.|de|van|von|der)){0,3}"
_PERSON = re.compile(
    rf"\b(?:Mr|Mrs|Ms|Miss|Dr|Prof|Sir|Messrs)\.? (?P<titled>{_NAME})"
    rf"|(?:/s/|\b(?:By|Name|Attn|Attention|Signed|Signature)\s*+:)[ \t_]*+(?:/s/[ \t_]*+)?"
    rf"(?P<signed>{_NAME})"
    r"|(?P<mail>(?<![\w.+-])[\w.+-]++@[\w-]++(?:\.[\w-]++)+)"
)
_NUMBER = r"(?>\d[\d,.'\u2019]*\d|\d)"
_SIZE = r"(?:hundred|thousand|million|billion|trillion|mm?|bn|k)\b"
_SCALE = rf"(?:[\s-]{{0,2}}{_SIZE})?"
_RANGE = rf"(?>(?:\s?(?:[-\u2013\u2014]|to|or|and)\s?{_NUMBER}{_SCALE})?)"
_SIGN = r"[$\u20ac\u00a3\u00a5]"
_CODE = (
    r"(?:USD|EUR|GBP|CHF|JPY|CNY|RMB|CAD|AUD|INR|HKD|SGD|NZD|TWD|SEK|NOK|DKK|KRW|MXN|BRL|ZAR|ILS)"
)
_DOLLAR_OF = rf"(?:(?:\bU\.?\s?S\.?|\b(?:Cdn|HK|NZ|NT)|\b{_CODE})\s?|\b(?-i:[ACRS]))?"
_WHOSE = (
    r"(?>(?:(?:U\.?\s?S(?:\.?\s?A)?\b\.?|United\s+States(?:\s+of\s+America)?|American|Canadian|Australian"
    r"|Hong\s+Kong|Singapore|New\s+Zealand|(?:New\s+)?Taiwan|British|Japanese|Chinese|Korean|Indian"
    r"|Swiss|Swedish|Norwegian|Danish|Mexican|Israeli|new)\s*+)?)"
)
_CURRENCY = (
    rf"(?:dollars?|euros?|pounds?(?:\s+sterling)?|francs?|yen|yuan|renminbi|rupees?|cents?|krona|kronor"
    rf"|krone|kroner|pesos?|rand|baht|ringgit|shekels?|(?<=Korean\s)won|{_CODE})\b"
)
_SPELLED = (
    r"(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen"
    r"|sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
    r"|hundred|thousand|million|billion|trillion)"
)
_SPELLED_SUM = rf"\b{_SPELLED}\b(?>(?:,?[\s-]++(?:and\s++)?{_SPELLED}\b)*)"
_FIGURE = rf"{_DOLLAR_OF}{_SIGN}(?:US|{_CODE})?\s?(?:{_NUMBER}|\.\d++){_SCALE}"
_OF_CURRENCY = rf"(?:\.-+)?(?:\s*+|-){_WHOSE}{_CURRENCY}"
_SUM = r"(?>\d[\d,.'\u2019]*[,.'\u2019]\d++|\d{4,})"
"""A long number, or one with thousands or decimals. In 5,000 USD 7,500 both numbers are hidden."""
_FIGURES_RANGE = (
    rf"(?>(?:\s?[-\u2013\u2014]\s?{_NUMBER}[\s-]{{0,2}}{_SIZE}|[-\u2013\u2014]{_NUMBER}(?!\s?%))?)"
)
"""The end of a range, $5-10 or $5 - 10 million, but no list item or percentage after a dash."""
_AGAIN = rf"\s*+\(\s?(?:{_NUMBER}{_SCALE}|{_SPELLED_SUM})\s?\){_SCALE}"
"""A repetition in figures or words: 10 million (10,000,000) dollars."""
_IN_BRACKETS = rf"\s*+\(\s?(?:{_FIGURE}|{_NUMBER}{_SCALE}{_OF_CURRENCY})\s?\)"
"""A repetition with its currency: five million (US$ 5,000,000)."""
_AMOUNT = re.compile(
    rf"(?P<hidden>{_FIGURE}{_FIGURES_RANGE}"
    rf"|(?:\b{_NUMBER}{_SCALE}|{_SPELLED_SUM})\s?{_CODE}\s?{_SUM}{_SCALE}"
    rf"|{_DOLLAR_OF}{_SIGN}\s?(?:[\[(]\s?{_NUMBER}{_SCALE}\s?[\])]|{_SPELLED_SUM})"
    rf"|\b(?:{_CODE}|Rs\b\.?|euros?|rupees)\s?(?:{_NUMBER}{_SCALE}|{_SPELLED_SUM})"
    rf"|\b(?:\d{{1,4}}/)?{_NUMBER}{_SCALE}{_RANGE}"
    rf"(?:(?>(?:{_AGAIN})?){_OF_CURRENCY}|\s?{_DOLLAR_OF}{_SIGN}(?!\s*+(?:\.?\d|[\[(*]))|{_IN_BRACKETS})"
    rf"|{_SPELLED_SUM}(?:\s++and\s++(?:\d\d|no|zero)/100(?:ths?)?)?"
    rf"(?:(?>(?:{_AGAIN})?){_OF_CURRENCY}|{_IN_BRACKETS}))"
    rf"|\b\d[\d,.'\u2019]*+|{_SPELLED_SUM}",  # skipped, not hidden
    re.IGNORECASE,
)


@dataclass(frozen=True)
class _Piece:
    """A part of the masked text: `length` characters replace `source` of the original."""

    start: int
    length: int
    source: Span
    hidden: bool


@dataclass(frozen=True)
class Masked:
    """A masked text with its mapping to the original."""

    original: str
    text: str
    pieces: tuple[_Piece, ...]
    originals: dict[str, str]  # the original of each placeholder

    def whole(self, start: int, end: int) -> bool:
        """Whether a span of the masked text cuts no placeholder."""
        return not (self._cut(start) or self._cut(end))

    def _cut(self, edge: int) -> bool:
        at = bisect_right(self.pieces, edge, key=lambda piece: piece.start) - 1
        piece = self.pieces[at] if at >= 0 else None
        return bool(piece and piece.hidden and piece.start < edge < piece.start + piece.length)

    def source(self, start: int, end: int) -> Span:
        """Map a `whole` span of the masked text to the original."""
        inside = [p for p in self.pieces if p.start < end and p.start + p.length > start]
        first, last = inside[0], inside[-1]
        begin = first.source[0] if first.hidden else first.source[0] + max(0, start - first.start)
        behind = last.start + last.length - end
        finish = last.source[1] if last.hidden else last.source[1] - max(0, behind)
        return begin, finish

    def target(self, start: int, end: int) -> Span:
        """Map a span of the original to the masked text, with whole placeholders."""
        first, last = len(self.text), 0
        for piece in self.pieces:
            low, high = piece.source
            if low < end and high > start:
                finish = piece.start + piece.length
                before = 0 if piece.hidden else max(0, start - low)
                behind = 0 if piece.hidden else max(0, high - end)
                first, last = min(first, piece.start + before), max(last, finish - behind)
        return first, last

    def shown(self, start: int, end: int) -> str:
        """Return the masked text of a span of the original."""
        first, last = self.target(start, end)
        return self.text[first:last]

    def unmasked(self, words: str) -> str:
        """Replace the placeholders in a text of the model."""
        for placeholder, original in self.originals.items():
            words = words.replace(placeholder, original)
        return words


def mask(text: str, kinds: Set[Hidden], names: Iterable[str] | PartyNames = ()) -> Masked:
    """Mask a text. Equal words get the same placeholder.

    Args:
        names: of parties. For a window, use `known_names` of the whole document.
    """
    spans = _disjoint(_spans(text, kinds, names))
    labels = {kind: _free_label(LABELS[kind], text) for kind in kinds}
    numbers: dict[tuple[str, str], str] = {}
    counts: Counter[Hidden] = Counter()
    pieces: list[_Piece] = []
    originals: dict[str, str] = {}
    out: list[str] = []
    at = done = 0

    def put(words: str, source: Span, hidden: bool) -> None:
        nonlocal at
        if words:
            pieces.append(_Piece(at, len(words), source, hidden))
            out.append(words)
            at += len(words)

    for start, end, kind in spans:
        put(text[done:start], (done, start), hidden=False)
        words = " ".join(text[start:end].split())
        key = (kind, words.casefold())
        if key not in numbers:
            counts[kind] += 1
            numbers[key] = f"[{labels[kind]}-{counts[kind]}]"
            originals[numbers[key]] = words
        put(numbers[key], (start, end), hidden=True)
        done = end
    put(text[done:], (done, len(text)), hidden=False)
    return Masked(text, "".join(out), tuple(pieces), originals)


def _free_label(label: str, text: str) -> str:
    """A label whose placeholders do not occur in the text."""
    while f"[{label}-" in text:
        label += "X"
    return label


def _spans(
    text: str, kinds: Set[Hidden], names: Iterable[str] | PartyNames
) -> Iterator[tuple[int, int, Hidden]]:
    if "amounts" in kinds:
        yield from ((*found.span(), "amounts") for found in _hidden(_AMOUNT, text))
    if "parties" in kinds:
        known = names if isinstance(names, PartyNames) else known_names(text, names)
        yield from ((*found.span(), "parties") for found in companies(text))
        yield from ((start, end, "parties") for start, end in hidden_places(text, known))
    if "persons" in kinds:
        persons = set()
        for found in _PERSON.finditer(text):
            group = found.lastgroup or "mail"
            yield (*found.span(group), "persons")
            if group != "mail":
                persons.add(found[group])
        yield from ((start, end, "persons") for start, end in places_of(text, persons))


def _hidden(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """The matches that a pattern hides."""
    return (found for found in pattern.finditer(text) if found["hidden"])


def _disjoint(spans: Iterable[tuple[int, int, Hidden]]) -> list[tuple[int, int, Hidden]]:
    """The spans in order; overlapping ones are joined."""
    joined: list[tuple[int, int, Hidden]] = []
    for span in sorted(spans, key=lambda s: (s[0], -s[1])):
        if not joined or span[0] >= joined[-1][1]:
            joined.append(span)
        elif span[1] > joined[-1][1]:
            joined[-1] = (joined[-1][0], span[1], joined[-1][2])
    return joined
