"""Page numbers and running titles in a text whose pages are known, but not its places (HTML).

The lines at both ends of each page are judged like those of a PDF (`furniture.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from shared.documents.furniture import furniture
from shared.documents.layout import plain_lines
from shared.documents.reading import Page

_EDGE = 6  # lines that are looked at, at each end of a page
_LONGEST = 200  # characters of a line that are looked at
_STEP = 20.0  # points from line to line, so that the places of two pages can be compared
_LINE = re.compile(r"[^\n]*[^\s][^\n]*")
_ENDS = ".:;!?"

Span = tuple[int, int]


def running_lines(text: str, pages: Sequence[Page]) -> list[Span]:
    """Offsets of what each page has for its own sake, with the line breaks that go with it.

    Where a sentence goes on over the page end, a single line break is left of what stands between.
    """
    edges = [_edges(text, page) for page in pages]
    shown = [_shown(text, spans) for spans in edges]
    heights = [_STEP * (1 + page.count("\n")) for page in shown]
    lines = [plain_lines(page, height) for page, height in zip(shown, heights, strict=True)]
    found = furniture(lines, heights)
    marked = [
        spans[index]
        for spans, indices in zip(edges, found, strict=True)
        for index in sorted(indices)
    ]
    return list(_with_breaks(text, marked))


def _edges(text: str, page: Page) -> list[Span]:
    """The first and last lines of a page that have text."""
    spans = [match.span() for match in _LINE.finditer(text, page.start, page.end)]
    return spans if len(spans) <= 2 * _EDGE else [*spans[:_EDGE], *spans[-_EDGE:]]


def _shown(text: str, spans: Sequence[Span]) -> str:
    """Those lines as a text, paragraphs apart as they are in the whole."""
    shown, last = [], None
    for start, end in spans:
        if last is not None:
            shown.append("\n\n" if start - last > 1 else "\n")
        shown.append(" ".join(text[start : min(end, start + _LONGEST)].split()) or "-")
        last = end
    return "".join(shown)


def _with_breaks(text: str, marked: Sequence[Span]) -> Iterator[Span]:
    """Marked lines that nothing stands between are one span, from the text before them on."""
    run: Span | None = None
    for start, end in marked:
        if run and text[run[1] : start].strip():
            yield _widened(text, *run)
            run = None
        run = (run[0], end) if run else (start, end)
    if run:
        yield _widened(text, *run)


def _widened(text: str, start: int, end: int) -> Span:
    before, after = start, end
    while before and text[before - 1] == "\n":
        before -= 1
    while after < len(text) and text[after] == "\n":
        after += 1
    if before == 0:
        return 0, after
    if after == len(text):
        return before, end
    goes_on = text[before - 1] not in _ENDS and text[after].islower()
    return before, after - 1 if goes_on else end
