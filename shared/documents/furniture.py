"""Running headers, footers and page numbers: lines at the edge of a page that come again."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from shared.documents.glyphs import SKEWED
from shared.documents.layout import Line

_EDGE_LINES = 5
_SAME_PLACE = 8.0  # points by which a running line may move from page to page
_ROMAN = re.compile(r"^m{0,3}(c[md]|d?c{0,3})(x[cl]|l?x{0,3})(i[xv]|v?i{0,3})$")
_NUMBER = re.compile(
    r"^(?P<prefix>[\W_]*(page|seite)?\s*([a-z]{1,2}[-–.](\d+[-–])?)?)"
    r"(?P<number>\d{1,4}|[ivxlc]{1,7})(\s*(of|/|von)\s*\d{1,4})?[\W_]*$",
    re.IGNORECASE,
)


def furniture(pages: Sequence[Sequence[Line]], heights: Sequence[float]) -> list[set[int]]:
    """For each page the indices of its lines that are furniture; `heights` in points.

    From the edge inwards, as long as each line is a running one: its words (digits apart) stand at
    the same height on several pages, or it is a page number that counts on with its neighbours.
    Slanted text (a watermark) is furniture.
    """
    edges = [_edges(lines) for lines in pages]
    running = _running(pages, edges, heights)
    counting = _counting(pages, edges)
    found: list[set[int]] = []
    for number, lines in enumerate(pages):
        marked = {i for i, line in enumerate(lines) if line.turn == SKEWED}
        for side in edges[number]:
            for index in side:
                if (number, index) not in running and (number, index) not in counting:
                    break
                marked.add(index)
        found.append(marked)
    return found


def _edges(lines: Sequence[Line]) -> tuple[list[int], list[int]]:
    """Indices of the topmost lines, from the top, and of the bottommost, from the bottom."""
    upright = [i for i, line in enumerate(lines) if line.turn == lines[0].turn]
    by_height = sorted(upright, key=lambda i: lines[i].y0 + lines[i].y1)
    return by_height[:_EDGE_LINES], by_height[::-1][:_EDGE_LINES]


def _signature(text: str) -> str:
    return re.sub(r"\d+", "#", re.sub(r"[\W_]+", " ", text.lower())).strip()


def _running(
    pages: Sequence[Sequence[Line]],
    edges: Sequence[tuple[list[int], list[int]]],
    heights: Sequence[float],
) -> set[tuple[int, int]]:
    """(page, line) whose words stand at the same distance from the edge on several pages."""
    places: dict[tuple[int, str], list[tuple[float, int, int]]] = defaultdict(list)
    for number, sides in enumerate(edges):
        for side, indices in enumerate(sides):
            for index in indices:
                line = pages[number][index]
                words = _signature(line.text)
                if words and words != "#":
                    y = line.y0 if side == 0 else heights[number] - line.y1
                    places[side, words].append((y, number, index))
    found: set[tuple[int, int]] = set()
    needed = _needed(sum(1 for lines in pages if lines))
    for seen in places.values():
        for y, number, index in seen:
            near = {n for other, n, _ in seen if abs(other - y) <= _SAME_PLACE}
            if len(near) >= needed:
                found.add((number, index))
    return found


def _needed(pages: int) -> int:
    """On how many pages a line must come again: two in a short document, more in a long one."""
    return 2 if pages <= 6 else 3


def _counting(
    pages: Sequence[Sequence[Line]], edges: Sequence[tuple[list[int], list[int]]]
) -> set[tuple[int, int]]:
    """(page, line) that are page numbers: the number minus the page is the same on several."""
    numbers: list[tuple[int, int, int, str]] = []
    for page, sides in enumerate(edges):
        for side, indices in enumerate(sides):
            for index in indices[:_EDGE_LINES]:
                read = _page_number(pages[page][index].text)
                if read is not None:
                    numbers.append((page, index, side, read[1] + str(read[0] - page)))
    votes = Counter((side, shift) for _, _, side, shift in {(p, 0, s, h) for p, _, s, h in numbers})
    return {(page, index) for page, index, side, shift in numbers if votes[side, shift] >= 2}


def _page_number(text: str) -> tuple[int, str] | None:
    match = _NUMBER.match(text.strip())
    if not match:
        return None
    number, prefix = match["number"].lower(), re.sub(r"[\W\d_]+", "", match["prefix"].lower())
    if number.isdigit():
        return int(number), prefix
    return (_roman(number), prefix + "roman") if _ROMAN.match(number) else None


def _roman(number: str) -> int:
    values = [{"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}[c] for c in number]
    return sum(v if v >= n else -v for v, n in zip(values, [*values[1:], 0], strict=True))
