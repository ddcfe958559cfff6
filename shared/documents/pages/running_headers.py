"""Find running headers, footers and page numbers.

A line at the edge of a page is furniture if its words recur at the edge of other pages. So is a
page number that rises with the pages. Old filings were paginated again as PDF and have page
numbers inside pages; these are recognised by rising at a distance. Slanted text (a watermark) is
always furniture.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

from shared.documents.model.glyphs import SKEWED
from shared.documents.pages.layout import Line

_EDGE_LINES = 5
_SAME_POSITION = 8.0  # points that a short running line may move between pages
_WORDS_ENOUGH = 3  # a longer one may be anywhere at the edge
_PAGE_OF_LINES = 20  # minimum of lines between two page numbers
_TELLING = re.compile(r"[^\W\d_]|^\S{6,}$")  # a letter, or a number such as a file's
_ROMAN = re.compile(r"^m{0,3}(c[md]|d?c{0,3})(x[cl]|l?x{0,3})(i[xv]|v?i{0,3})$")
_NUMBER = re.compile(
    r"^(?P<prefix>[\W_]*+(page|seite)?\s*([a-z]{1,2}\s?[-.]\s?(\d+\s?-\s?)?)?)"
    r"(?P<number>\d{1,4}|[ivxlc]{1,7})(\s*(of|/|von)\s*\d{1,4})?[\W_]*$",
    re.IGNORECASE,
)
_SIGNED = re.compile(r"^\W*(by|its|name|title|dated?|attest|witness)\s*:|/s/", re.IGNORECASE)
_INSIDE = re.compile(r"^\W*+(?P<alone>\d{1,4})\s*-?$|\bpage\s+(?P<page>\d{1,4})\W*$", re.I)

LineIndex = tuple[int, int]
"""Index of a page, and index of a line on it."""


def find_running_headers(
    pages: Sequence[Sequence[Line]], heights: Sequence[float]
) -> list[set[int]]:
    """Return the indices of furniture lines of each page; `heights` in points."""
    edges = [_edges(lines) for lines in pages]
    running, counting = _running(pages, edges, heights), _counting(pages, edges)
    inside = _counting_inside(pages)
    filled = sum(1 for lines in pages if lines)
    marked_lines: list[set[int]] = []
    for number, lines in enumerate(pages):
        marked = {i for i, line in enumerate(lines) if line.turn == SKEWED}
        marked |= {i for i in range(len(lines)) if (number, i) in inside}
        for top, side in zip((True, False), edges[number], strict=True):
            marked.update(
                _outermost(number, lines, side, running, counting | inside, filled, top=top)
            )
        marked_lines.append(marked)
    return marked_lines


def _outermost(
    number: int,
    lines: Sequence[Line],
    side: Sequence[int],
    running: dict[LineIndex, int],
    counting: set[LineIndex],
    filled: int,
    *,
    top: bool,
) -> Iterator[int]:
    """Yield running lines and page numbers from the edge inwards, up to the first other line.

    A line on less than half of the pages may begin a form that occurs several times. It counts only
    if a paragraph ends there.
    """
    run: list[int] = []
    for index in side:
        if (number, index) not in running and (number, index) not in counting:
            break
        run.append(index)
    while run:
        inner = run[-1] + 1 if top else run[-1]
        often = running.get((number, run[-1]), 0) >= 0.5 * filled
        if often or (number, run[-1]) in counting or inner >= len(lines) or lines[inner].opens:
            break
        run.pop()
    yield from run


def _edges(lines: Sequence[Line]) -> tuple[list[int], list[int]]:
    """Return the indices of the topmost lines, from the top, and the bottommost, from the
    bottom.
    """
    upright = [i for i, line in enumerate(lines) if line.turn == lines[0].turn]
    by_height = sorted(upright, key=lambda i: lines[i].y0 + lines[i].y1)
    return by_height[:_EDGE_LINES], by_height[::-1][:_EDGE_LINES]


def _signature(text: str) -> str:
    return re.sub(r"\d+", "#", re.sub(r"[\W_]+", " ", text.lower())).strip()


def _running(
    pages: Sequence[Sequence[Line]],
    edges: Sequence[tuple[list[int], list[int]]],
    heights: Sequence[float],
) -> dict[LineIndex, int]:
    """Return lines whose words recur at the same edge, with their number of pages."""
    places: dict[tuple[int, str], list[tuple[float, int, int]]] = defaultdict(list)
    for number, sides in enumerate(edges):
        for side, indices in enumerate(sides):
            for index in indices:
                line = pages[number][index]
                words = _signature(line.text)
                if len(words.replace("#", "").split()) < 2:
                    words = line.text.strip()  # figures don't identify a line
                if _TELLING.search(words) and not _SIGNED.search(line.text):
                    y = line.y0 if side == 0 else heights[number] - line.y1
                    places[side, words].append((y, number, index))
    filled = sum(1 for lines in pages if lines)
    needed = 2 if filled <= 6 else 3
    counts: dict[LineIndex, int] = {}
    for (_, words), seen in places.items():
        anywhere = len(words.split()) >= _WORDS_ENOUGH
        for y, number, index in seen:
            near = {n for other, n, _ in seen if anywhere or abs(other - y) <= _SAME_POSITION}
            if len(near) >= needed:
                counts[number, index] = len(near)
    return counts


def _counting(
    pages: Sequence[Sequence[Line]], edges: Sequence[tuple[list[int], list[int]]]
) -> set[LineIndex]:
    """Return page numbers at an edge: number minus page is equal on several pages."""
    shifts: dict[LineIndex, tuple[int, str, int]] = {}
    for page, sides in enumerate(edges):
        for side, indices in enumerate(sides):
            for index in indices:
                read = _page_number(pages[page][index].text)
                if read is not None:
                    shifts[page, index] = (side, read[1], read[0] - page)
    votes = Counter(shift for shift, _ in {(shift, page) for (page, _), shift in shifts.items()})
    return {line for line, shift in shifts.items() if votes[shift] >= 2}


def _page_number(text: str) -> tuple[int, str] | None:
    match = _NUMBER.match(text.strip().replace("–", "-"))  # noqa: RUF001 - a dash on the page
    if not match:
        return None
    number, prefix = match["number"].lower(), re.sub(r"[\W\d_]+", "", match["prefix"].lower())
    if number.isdigit():
        return int(number), prefix
    return (_roman(number), prefix + "roman") if _ROMAN.match(number) else None


def _roman(number: str) -> int:
    values = [{"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}[c] for c in number]
    return sum(v if v >= n else -v for v, n in zip(values, [*values[1:], 0], strict=True))


def _counting_inside(pages: Sequence[Sequence[Line]]) -> set[LineIndex]:
    """Return page numbers inside pages: separate lines, three or more, that rise."""
    seen: dict[str, list[tuple[int, int, LineIndex]]] = defaultdict(list)
    position = 0
    for page, lines in enumerate(pages):
        for index, line in enumerate(lines):
            position += 1
            match = _INSIDE.search(line.text) if len(line.codes) <= 100 else None
            if match and _alone(lines, index):
                number = int(match["alone"] or match["page"])
                seen[_signature(line.text)].append((number, position, (page, index)))
    return {line for numbers in seen.values() for line in _chained(numbers)}


def _alone(lines: Sequence[Line], index: int) -> bool:
    """Whether a line is a paragraph; a rule drawn with dashes may precede it."""
    above = lines[index].opens or not re.search(r"\w", lines[index - 1].text)
    return above and (index + 1 == len(lines) or lines[index + 1].opens)


def _chained(numbers: list[tuple[int, int, LineIndex]]) -> Iterator[LineIndex]:
    """Yield the lines of three or more numbers that rise, a page apart."""
    chain = numbers[:1]
    for before, after in pairwise([*numbers, (-1, 0, (0, 0))]):
        if 0 < after[0] - before[0] <= 2 and after[1] - before[1] >= _PAGE_OF_LINES:
            chain.append(after)
            continue
        if len(chain) >= 3:
            yield from (line for _, _, line in chain)
        chain = [after]
