"""Cut clauses at their ends: whole words, no lines of a page break, no beginning of what follows.

The scores of a specialist are for tokens, so a span may end within a word, with the heading of the
next clause or with the first words of the next sentence.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from operator import itemgetter

from services.extraction.pipeline.decoding import STOP, is_protected
from shared.inference.specialists import Span

_LINE = re.compile(r"[^\n]+")
_LONGEST_LINE = 500  # characters of a legend, maximum
_PAGE = 800  # least characters from one page number or running head to the next
_PAGE_NUMBER = re.compile(
    r"[\W_]{0,4}(?:page[ -]{1,2})?[\W_]{0,3}(\d{1,3})(?: of \d{1,3})?[\W_]{0,4}", re.IGNORECASE
)
_LONGEST_END = 120  # characters of a heading or an unfinished sentence that are looked at
_LONGEST_WORD = 100  # characters by which a word is completed; Chinese has no spaces
_UNFINISHED = 40  # most characters of an unfinished sentence at the end that are cut
_MOST_WORDS = 10  # of a heading
_NUMBER = re.compile(r"\(?(?:\d{1,3}(?:\.\d{1,3}){0,4}|[A-Za-z]|[ivxIVX]{1,5})[.):]{0,2}")
_TITLE_WORD = re.compile(
    r"[A-Z][\w'\u2019/-]*[,.:]?|of|and|or|the|to|for|in|on|by|with|&|[-\u2013\u2014]"
)
_FINISHED = tuple('.;:!?)"\u201d')


def page_break_lines(text: str) -> list[Span]:
    """Find the page numbers, running heads and legends of a plain text, in its order.

    These are lines that recur at least three times, a page apart. Page numbers rise.
    """
    numbers: list[tuple[int, Span]] = []
    recurring: dict[str, list[Span]] = defaultdict(list)
    for match in _LINE.finditer(text):
        line = " ".join(match[0].split())
        if not line or len(line) > _LONGEST_LINE:
            continue
        if number := _PAGE_NUMBER.fullmatch(line):
            numbers.append((int(number[1]), match.span()))
        elif " " in line and len(line) >= 10 and line[-1] not in ",;:":
            recurring[re.sub(r"\d+", "#", line.lower())].append(match.span())
    found = [span for spans in recurring.values() if _a_page_apart(spans) for span in spans]
    return sorted([*found, *_rising(numbers)])


def _a_page_apart(spans: Sequence[Span]) -> bool:
    return len(spans) >= 3 and spans[-1][0] - spans[0][0] >= _PAGE * (len(spans) - 1)


def _rising(numbers: Sequence[tuple[int, Span]]) -> list[Span]:
    """The spans of three or more numbers that rise by one or two, a page apart."""
    found: list[Span] = []
    chain: list[tuple[int, Span]] = []
    for number, span in [*numbers, (-1, (0, 0))]:
        if chain and number >= 0 and span[0] - chain[-1][1][0] < _PAGE:
            continue
        if chain and 1 <= number - chain[-1][0] <= 2:
            chain.append((number, span))
            continue
        found += [one for _, one in chain] if len(chain) >= 3 else []
        chain = [(number, span)]
    return found


def breaks_within(text: str, start: int, end: int, breaks: Sequence[Span]) -> tuple[Span, ...]:
    """The breaks in [start, end) of a text; none if nothing else is there."""
    first = bisect_left(breaks, start, key=itemgetter(0))
    found = breaks[first : bisect_right(breaks, end, key=itemgetter(1))]
    kept = any(text[one:other].strip() for one, other in pieces(start, end, found))
    return tuple(found) if kept else ()


def pieces(start: int, end: int, omitted: Sequence[Span]) -> list[Span]:
    """The parts of [start, end) between the omitted spans, which lie in it."""
    edges = [start, *(edge for span in omitted for edge in span), end]
    return list(pairwise(edges))[::2]


def clean_ends(text: str, start: int, end: int, breaks: Sequence[Span], *, name: bool) -> Span:
    """Move the ends of a clause to where it begins and ends.

    Args:
        breaks: the sorted spans of page numbers, running heads and legends.
        name: whether it is a name or a date. Only its words are completed.
    """
    start, end = _without_breaks(text, start, end, breaks)
    lowest, highest = max(0, start - _LONGEST_WORD), min(len(text), end + _LONGEST_WORD)
    while start > lowest and text[start - 1].isalpha() and text[start].isalnum():
        start -= 1
    while end < highest and text[end - 1].isalnum() and text[end].isalnum():
        end += 1
    return start, end if name else _without_next(text, start, end)


def _without_breaks(text: str, start: int, end: int, breaks: Sequence[Span]) -> Span:
    """Cut the lines of a page break at either end, unless nothing else is there."""
    first, last = start, end
    after = bisect_right(breaks, start, key=itemgetter(1))
    while after < len(breaks) and breaks[after][0] <= first < end:
        ended = breaks[after][1]
        first = ended + len(text[ended:end]) - len(text[ended:end].lstrip())
        after += 1
    before = bisect_left(breaks, end, key=itemgetter(0)) - 1
    while before >= 0 and breaks[before][1] >= last > start:
        last = start + len(text[start : breaks[before][0]].rstrip())
        before -= 1
    return (first, last) if first < last else (start, end)


def _without_next(text: str, start: int, end: int) -> int:
    """The end without the heading or the first words of what follows; the larger part stays."""
    for _ in range(2):
        stops = [
            stop.end()
            for stop in STOP.finditer(text, max(start, end - _LONGEST_END), end)
            if text[stop.start()] in ".;" and not is_protected(text, stop.start())
        ]
        stops = [stop for stop in stops if end - stop <= stop - start and text[stop:end].strip()]
        if not stops:
            break
        rest = text[stops[-1] : end].strip()
        if not _is_unfinished(rest, text[end : end + 40]) and not _is_heading(
            rest, text[start:end]
        ):
            break
        end = stops[-1]
    return end


def _is_unfinished(rest: str, after: str) -> bool:
    """Whether the words are the beginning of a sentence that goes on after them."""
    paragraph_ends = not after or after.lstrip(" \t\r").startswith("\n\n")
    return len(rest) <= _UNFINISHED and not rest.endswith(_FINISHED) and not paragraph_ends


def _is_heading(rest: str, clause: str) -> bool:
    """Whether the words are a heading: `12.`, `8.4 Audits.`, `ARTICLE 9`, `GENERAL PROVISIONS`."""
    words = rest.split()
    if len(words) > _MOST_WORDS:
        return False
    if words[0].lower() in ("article", "section"):
        return all(_TITLE_WORD.fullmatch(word) for word in words[2:])
    if _NUMBER.fullmatch(words[0]):
        return all(_TITLE_WORD.fullmatch(word) for word in words[1:])
    return rest.isupper() and len(rest) > 6 and not clause.isupper()
