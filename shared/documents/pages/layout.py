"""Arrange the characters of a page into lines in reading order.

A piece is a run of characters without a gap; numpy finds them. If a gutter separates pieces in
several lines of prose, the pieces on each side form a column, and columns are read one after the
other. Everything else is read row by row, like a table. Pieces side by side form a line. Text along
another side of the page is turned upright and follows the main text. Slanted text (a watermark)
comes last.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby, pairwise
from operator import attrgetter
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from shared.documents.model.glyphs import HYPHEN_AT_LINE_END, SKEWED, Codes, Glyphs, turned
from shared.documents.model.parsed_document import Floats

_Bools = npt.NDArray[np.bool_]

_SPACE, _BREAK, _GONE = 32, 10, 0
_PLAIN = {
    9: _SPACE,
    13: _SPACE,
    0xA0: _SPACE,
    HYPHEN_AT_LINE_END: ord("-"),
    0xAD: ord("-"),  # a soft hyphen on a page is visible
    0x200B: _GONE,
    0x2060: _GONE,
    0xFEFF: _GONE,
    0xFFFE: _GONE,
    0xFFFF: _GONE,
    0x037E: ord(";"),  # equivalent in Unicode
    0x0387: 0xB7,
    0x2126: 0x3A9,
    0x212A: ord("K"),
    0x212B: 0xC5,
    0xF0B7: 0x2022,  # bullets of the Symbol and Wingdings fonts
    0xF0A7: 0x25AA,
    0xF06F: 0x25CB,
    0xF0D8: 0x27A2,
    0xF0FC: 0x2713,
    0xF0A8: 0x25A1,
}
"""Code points that are replaced in the text; 0 removes them."""
_ONE_SPACE = np.array([_SPACE], np.uint32)
_NO_BOX = np.full((1, 4), np.nan, np.float32)
_GUTTER = 0.8  # the narrowest gutter, in line heights
_PROSE_LINES = 4  # lines that each of two columns must have at least
_PARAGRAPH_GAP = 1.35  # line pitches at which a gap counts as a blank line
_SENTENCE_END = re.compile(r"[.:;!?][\"'\u201d\u2019)\]]*$")
_LIST_MARK = re.compile(
    r"(\(?[a-z]{1,4}\)|\(?\d{1,3}[.)]|\d+(\.\d+)+\.?|[\u2022\u25aa\u25cb\u25cf\u00b7\u2013\u2014-]|§|article|section"
    r"|schedule)(\s|$)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Line:
    """One line: its characters, their boxes as displayed, and its rectangle in the reading frame.

    `x0`, `y0`, `x1`, `y1` are in the upright frame, with the text along x. `turn` is the quarter
    turn of its writing; `opens` whether it begins a paragraph.
    """

    codes: Codes
    boxes: Floats
    x0: float
    y0: float
    x1: float
    y1: float
    turn: int
    opens: bool = True

    @cached_property
    def text(self) -> str:
        return self.codes.astype("<u4").tobytes().decode("utf-32-le")

    @property
    def height(self) -> float:
        return self.y1 - self.y0


class _Piece(NamedTuple):
    """A run of characters `codes[start:end]` and its rectangle in the reading frame."""

    start: int
    end: int
    x0: float
    y0: float
    x1: float
    y1: float


def page_lines(glyphs: Glyphs) -> list[Line]:
    """Return the lines of one page in reading order, with ligatures split and spaces unified."""
    glyphs = _cleaned(glyphs)
    groups = _by_turn(glyphs)
    return [line for turn in groups for line in _turned_lines(glyphs, turn)]


def plain_lines(text: str, height: float) -> list[Line]:
    """Return the lines of a page of which only the text is known, without boxes."""
    lines: list[Line] = []
    rows = [" ".join(row.split()) for row in text.split("\n")]
    step = height / max(1, len(rows))
    for number, row in enumerate(rows):
        if row:
            codes = np.frombuffer(row.encode("utf-32-le"), np.uint32)
            lines.append(
                Line(
                    codes=codes,
                    boxes=np.full((len(codes), 4), np.nan, np.float32),
                    x0=0.0,
                    y0=number * step,
                    x1=float(len(codes)),
                    y1=(number + 1) * step,
                    turn=0,
                    opens=not number or not rows[number - 1],
                )
            )
    return lines


def _cleaned(glyphs: Glyphs) -> Glyphs:
    """Normalise spaces and hyphens; remove invalid characters and those off the page."""
    codes, boxes = glyphs.codes.copy(), _shared_boxes(glyphs.boxes)
    plain = codes[(codes < 0x21) | (codes > 0x7E)]
    for code in np.unique(plain).tolist():
        if code in _PLAIN:
            codes[codes == code] = _PLAIN[code]
    middle_x, middle_y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
    gone = (
        ((codes < _SPACE) & (codes != _BREAK))
        | ((codes >= 0x7F) & (codes < 0xA0))
        | ((codes >= 0xD800) & (codes < 0xE000))
        | (codes >= 0x110000)
        | (middle_x < 0)
        | (middle_x > glyphs.width)
        | (middle_y < 0)
        | (middle_y > glyphs.height)
    )
    space = codes == _SPACE
    gone[1:] |= space[1:] & space[:-1]
    keep: _Bools = ~gone
    return replace(glyphs, codes=codes[keep], boxes=boxes[keep], turns=glyphs.turns[keep])


def _shared_boxes(boxes: Floats) -> Floats:
    """Split the one box of a ligature among its letters, along the writing."""
    if len(boxes) < 2:
        return boxes
    same = np.append(False, (boxes[1:] == boxes[:-1]).all(axis=1))
    if not same.any():
        return boxes
    group = np.cumsum(~same) - 1
    size = np.bincount(group)[group]
    index = np.arange(len(boxes)) - np.flatnonzero(~same)[group]
    width = (boxes[:, 2] - boxes[:, 0]) / size
    spread = boxes.copy()
    several = size > 1
    spread[several, 0] = (boxes[:, 0] + index * width)[several]
    spread[several, 2] = (boxes[:, 0] + (index + 1) * width)[several]
    return spread


def _by_turn(glyphs: Glyphs) -> list[int]:
    """Return the turns on the page, the most frequent first, slanted text last."""
    counts = np.bincount(glyphs.turns[glyphs.codes > _SPACE], minlength=SKEWED + 1)
    upright = sorted(range(SKEWED), key=lambda turn: -int(counts[turn]))
    return [turn for turn in [*upright, SKEWED] if counts[turn]]


def _turned_lines(glyphs: Glyphs, turn: int) -> list[Line]:
    chosen = (glyphs.turns == turn) | (glyphs.codes == _BREAK)
    codes, boxes = glyphs.codes[chosen], glyphs.boxes[chosen]
    frame = np.stack(turned(boxes.T, glyphs.width, glyphs.height, -turn), axis=1)
    pieces = _pieces(codes, frame)
    lines: list[Line] = []
    for region in _regions(pieces):
        rows = [_line(row, codes, boxes, turn) for row in _in_cells(_rows(region))]
        rows = _with_paragraphs(rows)
        if lines and goes_on(lines[-1], rows[0]):
            rows[0] = replace(rows[0], opens=False)
        lines += rows
    return lines


def goes_on(last: Line, first: Line) -> bool:
    """Whether a sentence continues from the last line of a column or page in the next."""
    end, start = last.text[-6:].rstrip(), first.text[:6].lstrip()
    return not _SENTENCE_END.search(end) and (start[:1].islower() or end.endswith(","))


def _pieces(codes: Codes, frame: Floats) -> list[_Piece]:
    """Return runs of characters without a break, a jump or a wide gap."""
    seen = np.flatnonzero(codes > _SPACE)
    seen = seen[~np.isnan(frame[seen, 0])]
    if not len(seen):
        return []
    x0, y0, x1, y1 = frame[seen].T
    height = y1 - y0
    breaks = np.cumsum(codes == _BREAK)[seen]
    smaller = np.minimum(height[1:], height[:-1])
    larger = np.maximum(height[1:], height[:-1])
    overlap = np.minimum(y1[1:], y1[:-1]) - np.maximum(y0[1:], y0[:-1])
    cut = (
        (breaks[1:] != breaks[:-1])
        | (overlap < 0.5 * smaller)
        | (x0[1:] - x1[:-1] > larger)
        | (x0[1:] < x0[:-1] - 0.5 * larger)
    )
    first = np.append(0, np.flatnonzero(cut) + 1)
    last = np.append(first[1:], len(seen)) - 1
    bounds = zip(
        seen[first].tolist(),
        (seen[last] + 1).tolist(),
        np.minimum.reduceat(x0, first).tolist(),
        np.minimum.reduceat(y0, first).tolist(),
        np.maximum.reduceat(x1, first).tolist(),
        np.maximum.reduceat(y1, first).tolist(),
        strict=True,
    )
    return [_Piece(*bound) for bound in bounds]


def _regions(pieces: list[_Piece]) -> list[list[_Piece]]:
    """Split the pieces into regions that are read one after the other, each row by row."""
    if len(pieces) < 2 * _PROSE_LINES:
        return [pieces] if pieces else []
    for gutter in _gutters(pieces):
        regions = _split_at(pieces, gutter)
        if len(regions) > 1:
            return [part for region in regions for part in _regions(region)]
    return [pieces]


def _gutters(pieces: list[_Piece]) -> list[float]:
    """Return x positions where many lines have a gap, the widest gap first."""
    left, right = min(p.x0 for p in pieces), max(p.x1 for p in pieces)
    width = int(right - left) + 1
    if width > 20_000:
        return []
    starts = np.array([p.x0 for p in pieces]) - left
    ends = np.array([p.x1 for p in pieces]) - left
    steps = np.zeros(width + 2)
    np.add.at(steps, np.ceil(starts).astype(int), 1)
    np.add.at(steps, np.floor(ends).astype(int), -1)
    covered = np.cumsum(steps)[:width]
    inner = covered[int(0.2 * width) : int(0.8 * width)]
    if not len(inner):
        return []
    low = inner.min()
    if low > 0.5 * inner.max():
        return []
    low_columns = np.flatnonzero(inner <= low + 0.1 * (inner.max() - low))
    runs = np.split(low_columns, np.flatnonzero(np.diff(low_columns) > 1) + 1)
    runs.sort(key=len, reverse=True)
    return [left + int(0.2 * width) + float(run.mean()) for run in runs[:4]]


def _split_at(pieces: list[_Piece], gutter: float) -> list[list[_Piece]]:
    """Split at a gutter into bands between the pieces that cross it; two columns are two
    regions.
    """
    crossing = [p for p in pieces if p.x0 < gutter < p.x1]
    side_pieces = [p for p in pieces if not p.x0 < gutter < p.x1]
    walls = sorted((p.y0 + p.y1) / 2 for p in crossing)
    bands: dict[int, list[_Piece]] = {}
    for piece in side_pieces:
        band = bisect_left(walls, (piece.y0 + piece.y1) / 2)
        bands.setdefault(band, []).append(piece)
    columns = {n: pair for n, band in bands.items() if (pair := _columns(band, gutter))}
    if not columns:
        return [pieces]
    regions: list[list[_Piece]] = []
    full_width: list[_Piece] = []
    ordered = sorted(crossing, key=lambda p: (p.y0 + p.y1) / 2)
    for n in range(len(walls) + 1):
        if n in columns:
            above, left, right = columns[n]
            regions += [full_width + above, left, right]
            full_width = []
        else:
            full_width += bands.get(n, [])
        full_width += ordered[n : n + 1]
    return [region for region in [*regions, full_width] if region]


def _columns(
    band: list[_Piece], gutter: float
) -> tuple[list[_Piece], list[_Piece], list[_Piece]] | None:
    """Return the pieces above two columns of prose, and the columns; None without them."""
    height = float(np.median([p.y1 - p.y0 for p in band]))
    sides = [p for p in band if p.x1 <= gutter], [p for p in band if p.x0 >= gutter]
    if not sides[0] or not sides[1]:
        return None
    top = max(min(p.y0 for p in side) for side in sides) - 2 * height
    left, right = ([p for p in side if p.y1 > top] for side in sides)
    if len(left) < _PROSE_LINES or len(right) < _PROSE_LINES or _alternates_by_cell(left, right):
        return None
    both = max(p.x1 for p in right) - min(p.x0 for p in left)
    gap = min(p.x0 for p in right) - max(p.x1 for p in left)
    if gap < _GUTTER * height or not (_is_prose(left, both) and _is_prose(right, both)):
        return None
    return [p for p in band if p.y1 <= top], left, right


def _alternates_by_cell(left: list[_Piece], right: list[_Piece]) -> bool:
    """Whether the content alternates between sides several lines at a time, like table cells.

    Columns drawn line by line change sides twice a line, columns drawn in sequence once.
    """
    top = max(min(p.y0 for p in left), min(p.y0 for p in right))
    bottom = min(max(p.y1 for p in left), max(p.y1 for p in right))
    sides = [
        [(p.start, side) for p in pieces if p.y1 > top and p.y0 < bottom]
        for side, pieces in enumerate((left, right))
    ]
    switches = sum(1 for (_, a), (_, b) in pairwise(sorted(sides[0] + sides[1])) if a != b)
    return 2 < switches < 1.3 * max(len(sides[0]), len(sides[1]))


def _is_prose(column: list[_Piece], both: float) -> bool:
    """Whether most lines fill the column, and it is wide enough for sentences."""
    width = max(p.x1 for p in column) - min(p.x0 for p in column)
    letters = sum(p.end - p.start for p in column)
    if width < 0.2 * both or letters < 12 * len(column):
        return False
    spans = [(min(p.x0 for p in row), max(p.x1 for p in row), row) for row in _rows(column)]
    full = [row for x0, x1, row in spans if x1 - x0 >= 0.7 * width]
    letters = sum(p.end - p.start for row in full for p in row)
    return (
        len(full) >= _PROSE_LINES
        and len(full) >= 0.4 * len(spans)
        and letters >= 20 * len(full)
        and sum(len(row) for row in full) <= 1.5 * len(full)
    )


def _rows(pieces: Iterable[_Piece]) -> list[list[_Piece]]:
    """Return rows of adjacent pieces from top to bottom, each from left to right."""
    rows: list[list[_Piece]] = []
    bounds: list[tuple[float, float]] = []
    for piece in sorted(pieces, key=_twice_the_middle):
        height = piece.y1 - piece.y0
        for index in range(len(rows) - 1, max(-1, len(rows) - 4), -1):
            y0, y1 = bounds[index]
            shared = min(y1, piece.y1) - max(y0, piece.y0)
            if shared >= 0.5 * min(y1 - y0, height) and _fits(piece, rows[index]):
                rows[index].append(piece)
                if height > y1 - y0:
                    bounds[index] = (piece.y0, piece.y1)
                break
        else:
            rows.append([piece])
            bounds.append((piece.y0, piece.y1))
    for row in rows:
        row.sort(key=attrgetter("x0"))
    return rows


def _twice_the_middle(piece: _Piece) -> float:
    return piece.y0 + piece.y1


def _fits(piece: _Piece, row: list[_Piece]) -> bool:
    """Whether the piece overlaps no piece of the row in width. Tight lines overlap in height."""
    allowed = 0.5 * min(piece.y1 - piece.y0, piece.x1 - piece.x0)
    return all(min(piece.x1, p.x1) - max(piece.x0, p.x0) <= allowed for p in row)


def _in_cells(rows: list[list[_Piece]]) -> list[list[_Piece]]:
    """Reorder rows of a table whose cells have several lines, cell by cell in the content's order.

    Adjacent rows belong together if a piece of the lower one precedes the last piece of the upper
    one. The content's order is used if it gives cells side by side, not columns of figures.
    """
    result: list[list[_Piece]] = []
    block: list[list[_Piece]] = []
    for row in rows:
        if block and min(p.start for p in row) > max(p.start for p in block[-1]):
            result += _cells(block)
            block = []
        block.append(row)
    return result + (_cells(block) if block else [])


def _cells(block: list[list[_Piece]]) -> list[list[_Piece]]:
    if len(block) < 2:
        return block
    row_of = {piece.start: number for number, row in enumerate(block) for piece in row}
    pieces = sorted((piece for row in block for piece in row), key=lambda p: p.start)
    cells: list[list[_Piece]] = [[]]
    for piece in pieces:
        if cells[-1] and row_of[piece.start] < row_of[cells[-1][-1].start]:
            cells.append([])
        cells[-1].append(piece)
    if not _side_by_side(cells) or any(_of_figures(cell) for cell in cells[1:]):
        return block
    lines: list[list[_Piece]] = []
    for cell in cells:
        for _, line in groupby(cell, key=lambda p: row_of[p.start]):
            lines.append(sorted(line, key=lambda p: p.x0))
    return lines


def _side_by_side(cells: list[list[_Piece]]) -> bool:
    """Whether the cells follow each other from left to right."""
    spans = [(min(p.x0 for p in cell), max(p.x1 for p in cell)) for cell in cells]
    return all(after[0] > before[1] for before, after in pairwise(spans))


def _of_figures(cell: list[_Piece]) -> bool:
    """Whether most lines are short enough to be figures of a column."""
    return len(cell) > 1 and sum(p.end - p.start for p in cell) < 12 * len(cell)


def _line(row: list[_Piece], codes: Codes, boxes: Floats, turn: int) -> Line:
    """Join the characters of a row, with one space for each gap."""
    first = row[0]
    parts, places = [codes[first.start : first.end]], [boxes[first.start : first.end]]
    for before, piece in pairwise(row):
        if _apart(before, piece, codes):
            parts.append(_ONE_SPACE)
            places.append(_NO_BOX)
        parts.append(codes[piece.start : piece.end])
        places.append(boxes[piece.start : piece.end])
    return Line(
        codes=np.concatenate(parts) if len(row) > 1 else parts[0],
        boxes=np.concatenate(places) if len(row) > 1 else places[0],
        x0=min(p.x0 for p in row),
        y0=min(p.y0 for p in row),
        x1=max(p.x1 for p in row),
        y1=max(p.y1 for p in row),
        turn=turn,
    )


def _apart(before: _Piece, piece: _Piece, codes: Codes) -> bool:
    """Whether a space separates two pieces: a gap, or a space in the page's content."""
    if piece.x0 - before.x1 > 0.15 * max(before.y1 - before.y0, piece.y1 - piece.y0):
        return True
    between = codes[before.end : piece.start] if before.end <= piece.start else codes[:0]
    return bool((between == _SPACE).any()) and piece.x0 >= before.x1 - 0.1 * (piece.y1 - piece.y0)


def _with_paragraphs(lines: list[Line]) -> list[Line]:
    """Mark lines that open a paragraph: after a wide gap or a short line, or with a list mark."""
    if len(lines) < 2:
        return lines
    pitches = np.array([b.y1 - a.y1 for a, b in pairwise(lines)])
    heights = np.array([line.height for line in lines[1:]])
    usual = pitches[pitches > 0.5 * heights]
    pitch = float(np.quantile(usual, 0.3)) if len(usual) else float(np.median(heights))
    right = float(np.quantile([line.x1 for line in lines], 0.9))
    left = float(np.quantile([line.x0 for line in lines], 0.1))
    marked = [lines[0]]
    for (before, line), step in zip(pairwise(lines), pitches, strict=True):
        marked.append(replace(line, opens=_opens(before, line, float(step), pitch, left, right)))
    return marked


def _opens(before: Line, line: Line, step: float, pitch: float, left: float, right: float) -> bool:
    if step > _PARAGRAPH_GAP * max(pitch, 0.8 * line.height):
        return True
    short = before.x1 < right - 0.15 * (right - left)
    indented = line.x0 > before.x0 + 0.5 * line.height
    return short and (indented or bool(_LIST_MARK.match(line.text))) and step > 0.5 * line.height
