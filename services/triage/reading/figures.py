"""Amounts in the cells of a row, joined where a format splits them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from services.triage.reading.table import TableCell
from services.triage.statements.model import parse_date, parse_number

_OPENS = re.compile(r"[$€£¥]?\s*+(?:\(\s*+)?[$€£¥]?|(US|C|A)\$|USD|EUR|GBP|Rs\.?", re.I)
_CLOSES = re.compile(r"\)?\s*+(?:%\s*+)?\)?")
_DASH = re.compile(r"[$€£¥]?\s*[-\u2010-\u2015\u2212]{1,3}\s*%?|[$€£¥]?\s*(nil|none)", re.I)
_MARKS = re.compile(r"(?<=[\d)])\s*(\([a-z]{1,2}\)|\[\w{1,3}\]|[*†‡§])+$")
_YEAR = re.compile(r"(19|20)\d\d")
_NUMBERISH = re.compile(r"[\d(]")


@dataclass(frozen=True, slots=True)
class Figure:
    """An amount with its footnote marks. A dash is zero; `percent` marks shares, no amounts."""

    cell: TableCell
    value: Decimal
    percent: bool = False
    marks: str = ""

    @property
    def like_a_date(self) -> bool:
        """Whether it could be a year or a day: 2023, 20231231."""
        text = self.cell.text.strip()
        return bool(_YEAR.fullmatch(text)) or (text.isdigit() and parse_date(text) is not None)


def join_cells(row: Iterable[TableCell]) -> list[TableCell]:
    """Join `$`, `(` and `)` with the figure they belong to."""
    cells: list[TableCell] = []
    opener: TableCell | None = None
    for cell in row:
        text = cell.text.strip()
        if not text:
            continue
        if opener is not None:
            if _NUMBERISH.match(text) or _DASH.fullmatch(text):
                cell = _both(opener, cell)
            else:
                cells.append(opener)
            opener = None
        elif cells and _CLOSES.fullmatch(text) and _figure_text(cells[-1].text):
            cells[-1] = _both(cells[-1], cell)
            continue
        if _OPENS.fullmatch(text):
            opener = cell
            continue
        cells.append(cell)
    return cells if opener is None else [*cells, opener]


def _figure_text(text: str) -> bool:
    return any(letter.isdigit() for letter in text) and not re.search(r"[A-Za-z]{3}", text)


def _both(first: TableCell, second: TableCell) -> TableCell:
    """Join two cells at the position of the one with digits."""
    main = second if any(c.isdigit() for c in second.text) else first
    start, end = first.position.start, max(first.position.end, second.position.end)
    return TableCell(
        row=first.row,
        left=main.left,
        right=second.right if main is first else main.right,
        text=f"{first.text.strip()}{second.text.strip()}",
        position=replace(main.position, start=start, end=end),
    )


def parse_figure(cell: TableCell) -> Figure | None:
    """The amount in a cell; None for words."""
    text = cell.text.strip()
    if _DASH.fullmatch(text):
        return Figure(cell, Decimal(0), percent=text.endswith("%"))
    marks = _MARKS.search(text)
    bare = text[: marks.start()] if marks else text
    value = parse_number(bare)
    if value is None and "%" in bare:
        value = parse_number(bare.replace("%", ""))
    if value is None:
        return None
    return Figure(cell, value, percent="%" in text, marks=marks[0].strip() if marks else "")
