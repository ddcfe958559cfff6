"""Find page numbers and running titles in a text with pages but without boxes (HTML).

The lines at both ends of each page are judged like those of a PDF (`running_headers.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from shared.documents.model.parsed_document import Page
from shared.documents.pages.layout import plain_lines
from shared.documents.pages.running_headers import find_running_headers

_EDGE = 6  # lines examined at each end of a page
_LONGEST = 200  # characters examined of a line
_STEP = 20.0  # points from line to line, to compare positions on two pages
_LINE = re.compile(r"[^\n]+")
_ENDS = ".:;!?"

Span = tuple[int, int]


def running_lines(text: str, pages: Sequence[Page]) -> list[Span]:
    """Return the offsets of running lines of all pages, with their line breaks.

    Where a sentence continues over the page end, one line break stays.
    """
    edges = [_edges(text, page) for page in pages]
    shown = [_shown(text, spans) for spans in edges]
    heights = [_STEP * (1 + page.count("\n")) for page in shown]
    lines = [plain_lines(page, height) for page, height in zip(shown, heights, strict=True)]
    indices_by_page = find_running_headers(lines, heights)
    marked = [
        spans[index]
        for spans, indices in zip(edges, indices_by_page, strict=True)
        for index in sorted(indices)
    ]
    return list(_with_breaks(text, marked))


def _edges(text: str, page: Page) -> list[Span]:
    """Return the first and last lines of a page that have text."""
    lines = _LINE.finditer(text, page.start, page.end)
    spans = [match.span() for match in lines if not match[0].isspace()]
    return spans if len(spans) <= 2 * _EDGE else [*spans[:_EDGE], *spans[-_EDGE:]]


def _shown(text: str, spans: Sequence[Span]) -> str:
    """Return those lines as a text, with paragraphs as in the whole."""
    shown, last = [], None
    for start, end in spans:
        if last is not None:
            shown.append("\n\n" if start - last > 1 else "\n")
        shown.append(" ".join(text[start : min(end, start + _LONGEST)].split()) or "-")
        last = end
    return "".join(shown)


def _with_breaks(text: str, marked: Sequence[Span]) -> Iterator[Span]:
    """Join marked lines with nothing between them into one span."""
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
