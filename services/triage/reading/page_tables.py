"""Tables of pages with boxes, found by lines and the gaps in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from services.triage.reading.table import LONGEST, Table, TableCell
from services.triage.statements.positions import Position
from shared.documents.model.parsed_document import Box, Page, ParsedDocument

GAP = 0.75  # line heights; a wider gap separates two cells
LEVEL = 0.4  # line heights; pieces with closer middles are in one row
_FEWEST = 4  # lines with figures that a page with a statement needs
_FIGURES = re.compile(r"(\d,\d{3}|\d\.\d|[—–-]|\b\d{1,3})\s*+(?:\)\s*+)?(?:%\s*+)?$")  # noqa: RUF001
_DATE = re.compile(r"(?<![A-Za-z])[A-Z][a-z]{2,8}\.?\s+\d{1,2}(?:\s*+,)?\s++(?:19|20)\d\d(?!\d)")
_ENDS_IN_FIGURE = re.compile(r"[\d)%]\s*$")
_TOKEN = re.compile(r"(?:19|20)\d\d(?=[A-Z][a-z]{2})|\S+")


def tables_of_pages(reading: ParsedDocument) -> Iterator[Table]:
    """Every page with lines of figures, as one table."""
    tail = ""
    for page in reading.pages:
        cells = tuple(_in_rows(list(_cells(reading, page))))
        figures = {cell.row for cell in cells if _FIGURES.search(cell.text)}
        if len(figures) >= _FEWEST:
            yield Table(cells, before=_above(cells, tail), page=page.number)
        tail = reading.text[max(page.start, page.end - 300) : page.end]


def _in_rows(cells: list[TableCell]) -> Iterator[TableCell]:
    """Cells at one height that do not overlap form a row."""
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
    assert cell.position.box, "a cell of a page has a box"
    return (cell.position.box.y0 + cell.position.box.y1) / 2


def _level(first: TableCell, second: TableCell) -> bool:
    assert first.position.box, "a cell of a page has a box"
    height = first.position.box.y1 - first.position.box.y0
    return abs(_middle(first) - _middle(second)) < LEVEL * height


def _cells(reading: ParsedDocument, page: Page) -> Iterator[TableCell]:
    furniture = [(a, b) for a, b in reading.furniture if a < page.end and b > page.start]
    start = page.start
    for row, line in enumerate(reading.text[page.start : page.end].split("\n"), 1):
        if line.strip() and not any(a <= start < b for a, b in furniture):
            yield from _of_line(reading, page.number, row, start, line[:LONGEST])
        start += len(line) + 1


def _ends_of_dates(line: str) -> set[int]:
    """Where a line of dates alone is split into column heads."""
    dates = list(_DATE.finditer(line))
    if len(dates) < 2 or _DATE.sub("", line).strip():
        return set()
    return {date.end() for date in dates}


def _of_line(
    reading: ParsedDocument, page: int, row: int, start: int, line: str
) -> Iterator[TableCell]:
    """The cells of a line. A currency sign after a figure belongs to the next column."""
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
    reading: ParsedDocument, page: int, row: int, start: int, line: str, span: tuple[int, int]
) -> TableCell:
    begin, end = start + span[0], start + span[1]
    boxes = reading.boxes[begin:end]
    boxes = boxes[~np.isnan(boxes[:, 0])]
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    box = Box(page, float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    position = Position(page, begin, end, box=box)
    return TableCell(row, box.x0, box.x1, line[span[0] : span[1]], position)


def _above(cells: tuple[TableCell, ...], tail: str) -> str:
    """The lines above the first figures; they may include the head."""
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
