"""Tables of pages with boxes, by geometry: what stands in one line, and the gaps in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from services.triage.places import Place
from services.triage.reading.table import Table, TableCell
from shared.documents.reading import Box, Page, Reading

GAP = 0.75
"""Heights of a line; a wider gap in it separates two cells."""
LEVEL = 0.4
"""Heights of a line; pieces whose middles differ by less stand in one row."""
_FEWEST = 5
"""Lines with figures; a page with less has no statement."""
_FIGURES = re.compile(r"(\d,\d{3}|\d\.\d|[—–-]|\b\d{1,3})\s*\)?\s*%?\s*$")  # noqa: RUF001
_DATE = re.compile(r"(?<![A-Za-z])[A-Z][a-z]{2,8}\.?\s+\d{1,2}\s*,?\s+(?:19|20)\d\d(?!\d)")
_ENDS_IN_FIGURE = re.compile(r"[\d)%]\s*$")
_TOKEN = re.compile(r"(?:19|20)\d\d(?=[A-Z][a-z]{2})|\S+")


def tables_of_pages(reading: Reading) -> Iterator[Table]:
    """Every page that has lines of figures, as one table each."""
    tail = ""
    for page in reading.pages:
        cells = tuple(_in_rows(list(_cells(reading, page))))
        figures = {cell.row for cell in cells if _FIGURES.search(cell.text)}
        if len(figures) >= _FEWEST:
            yield Table(cells, before=_above(cells, tail), page=page.number)
        tail = reading.text[max(page.start, page.end - 300) : page.end]


def _in_rows(cells: list[TableCell]) -> Iterator[TableCell]:
    """Cells that stand at one height, and not over one another, are one row."""
    rows: list[list[TableCell]] = []
    for cell in sorted(cells, key=_middle):
        row = rows[-1] if rows else []
        if row and _level(row[0], cell) and all(c.overlap(cell.left, cell.right) < 1 for c in row):
            row.append(cell)
        else:
            rows.append([cell])
    for number, row in enumerate(rows, 1):
        for cell in sorted(row, key=lambda c: c.left):
            yield replace(cell, row=number)


def _middle(cell: TableCell) -> float:
    assert cell.place.box, "a cell of a page has a box"
    return (cell.place.box.y0 + cell.place.box.y1) / 2


def _level(first: TableCell, second: TableCell) -> bool:
    assert first.place.box, "a cell of a page has a box"
    height = first.place.box.y1 - first.place.box.y0
    return abs(_middle(first) - _middle(second)) < LEVEL * height


def _cells(reading: Reading, page: Page) -> Iterator[TableCell]:
    furniture = [(start, end) for start, end in reading.furniture if start < page.end]
    start = page.start
    for row, line in enumerate(reading.text[page.start : page.end].split("\n"), 1):
        if line.strip() and not any(a <= start < b for a, b in furniture):
            yield from _of_line(reading, page.number, row, start, line)
        start += len(line) + 1


def _ends_of_dates(line: str) -> set[int]:
    """Where a line that has nothing but several dates parts: heads of columns that stand close."""
    found = list(_DATE.finditer(line))
    if len(found) < 2 or _DATE.sub("", line).strip():
        return set()
    return {date.end() for date in found}


def _of_line(reading: Reading, page: int, row: int, start: int, line: str) -> Iterator[TableCell]:
    """The words of one line, joined where they stand close together; a currency sign behind a
    figure belongs to the next column, however close it stands.
    """
    first: tuple[int, int] | None = None
    edge = 0.0
    dates = _ends_of_dates(line)
    for token in _TOKEN.finditer(line):
        boxes = reading.boxes[start + token.start() : start + token.end()]
        boxes = boxes[~np.isnan(boxes[:, 0])]
        if not len(boxes):
            continue
        left, right = float(boxes[:, 0].min()), float(boxes[:, 2].max())
        height = float((boxes[:, 3] - boxes[:, 1]).max())
        over = first is not None and (
            first[1] in dates
            or (token[0] in "$€£" and bool(_ENDS_IN_FIGURE.search(line[: token.start()])))
        )
        if first is not None and (left - edge > GAP * height or left < edge - 2 * height or over):
            yield _cell(reading, page, row, start, line, first)
            first = None
        first = (first[0] if first else token.start(), token.end())
        edge = right
    if first is not None:
        yield _cell(reading, page, row, start, line, first)


def _cell(
    reading: Reading, page: int, row: int, start: int, line: str, span: tuple[int, int]
) -> TableCell:
    begin, end = start + span[0], start + span[1]
    boxes = reading.boxes[begin:end]
    boxes = boxes[~np.isnan(boxes[:, 0])]
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    box = Box(page, float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    place = Place(page, begin, end, box=box)
    return TableCell(row, box.x0, box.x1, line[span[0] : span[1]], place)


def _above(cells: tuple[TableCell, ...], tail: str) -> str:
    """The lines over the first figures; they may be the head as well, which does no harm."""
    lines: dict[int, list[str]] = {}
    for cell in cells:
        lines.setdefault(cell.row, []).append(cell.text)
    above: list[str] = []
    for row in sorted(lines):
        if len(lines[row]) > 1 and _FIGURES.search(lines[row][-1]) and "," in lines[row][-1]:
            break
        above.append("  ".join(lines[row]))
        if len(above) > 14:
            break
    return "\n".join(above) if above else tail
