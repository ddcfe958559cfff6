"""Which of a table's rows are its head, which intervals its columns, and what their periods are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from statistics import median
from types import MappingProxyType

from services.triage.reading.figures import Figure, figure_of, mended
from services.triage.reading.periods import (
    dates_in,
    ends_with_day,
    last_day_in,
    mention,
    quarters_in,
    years_in,
    years_in_a_row,
)
from services.triage.reading.scales import scale_in
from services.triage.reading.table import Table, TableCell
from services.triage.statements import Column

_ASIDE = re.compile(
    r"change|%|percent|\bvariance|increase|\binc\.?\s*/\s*\(?dec|^\s*\(?notes?\)?\s*$", re.I
)
_RESTATED = re.compile(r"restated|as adjusted|as revised|recast", re.I)
_WIDEST = 4
"""Usual widths; what is wider bridges columns and says nothing of where they are."""
_LONGEST_HEAD = 150
"""Characters; more is a sentence, and its years are not those of the columns."""
_BESIDE = 0.7
"""Columns; words further from a column are those of something else."""
_FEW = 1 / 6
"""Of the figures of the column that has most; a column that has no more is none."""
_TALLEST_HEAD = 12
"""Rows; what is further down is no head of a table."""


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a table taken apart: its words from the left, then its figures."""

    words: tuple[TableCell, ...]
    figures: tuple[Figure, ...]

    @property
    def cells(self) -> tuple[TableCell, ...]:
        """All of them."""
        return (*self.words, *(figure.cell for figure in self.figures))


@dataclass
class Band:
    """A column of figures: the interval that they take, and the words above it."""

    left: float
    right: float
    figures: int = 0
    head: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        """The words above it in one line."""
        return " ".join(self.head)

    def overlap(self, cell: TableCell) -> float:
        """How much of it a cell takes."""
        return cell.overlap(self.left, self.right)


@dataclass
class Layout:
    """A table with its head and columns told apart."""

    head: list[Line]
    body: list[Line]
    bands: list[Band]
    stub: str = ""
    """The words of the head above the labels."""
    asides: list[Band] = field(default_factory=list)
    """Columns of changes, percentages and notes, which are no periods."""


def layout(table: Table, *, sparse: bool = False) -> Layout | None:
    """The columns of a table of figures; None for a table that is none.

    With `sparse` also those that have few figures beside others, whatever their heads say: a
    component of equity may change but once a year.
    """
    lines = [line_of(row) for row in table.rows]
    first = _first_of_body(lines, broken=sparse)
    if first is None:
        return None
    bands = _bands(lines[first:], 0 if sparse else _FEW)
    if not bands:
        return None
    while first and _is_heading(lines[first - 1], bands):
        first -= 1
    head, body = lines[:first], lines[first:]
    found = Layout(head, body, bands)
    edge = bands[0].left
    pitch = bands[1].left - edge if len(bands) > 1 else edge / 3
    stub: list[str] = []
    for line in head:
        above: list[TableCell] = []
        for cell in line.cells:
            far = edge - pitch / 2 if _over(cell, bands) else edge
            if cell.left >= far:
                above.append(cell)
            else:
                stub.append(cell.text)
        _hang(sorted(above, key=lambda cell: cell.left), bands)
    found.stub = "\n".join(stub)
    dated = [b for b in bands if not _ASIDE.search(b.title)]
    if dated and not sparse:
        found.bands, found.asides = dated, [b for b in bands if _ASIDE.search(b.title)]
    return found


def line_of(row: Sequence[TableCell]) -> Line:
    """A row taken apart; figures among the words of the label stay words."""
    cells = mended(row)
    figures = [figure_of(cell) for cell in cells]
    words = [cell for cell, figure in zip(cells, figures, strict=True) if figure is None]
    return Line(tuple(words), tuple(figure for figure in figures if figure is not None))


def _first_of_body(lines: Sequence[Line], *, broken: bool) -> int | None:
    """The first row with a label and an amount; years and days are no amounts in a head.

    With `broken` also one whose label ends before the year of its day, which stands in the next.
    """
    dated = False
    for number, line in enumerate(lines):
        amounts = [figure for figure in line.figures if not figure.percent]
        if not amounts:
            continue
        dates = number < _TALLEST_HEAD and all(figure.like_a_date for figure in amounts)
        if dates and not (dated and line.words):
            dated = True
            continue
        if line.words and line.words[0].left <= line.figures[0].cell.left:
            return number
        if broken and not line.words and number and amounts[0].like_a_date:
            above = " ".join(cell.text for cell in lines[number - 1].words)
            if ends_with_day(above):
                return number - 1
    return None


def _is_heading(line: Line, bands: Sequence[Band]) -> bool:
    """Whether a row right above the first figures is a heading of lines, not one of columns."""
    if line.figures or len(line.words) != 1 or line.words[0].right > bands[0].left:
        return False
    said = mention(line.words[0].text)
    return not (said.year or said.day or said.quarters or scale_in(line.words[0].text))


def _bands(body: Iterable[Line], few: float) -> list[Band]:
    """Intervals of figures that overlap are one column; a column has more than one figure, and more
    than a part of the most that one has.
    """
    spans = sorted(
        (f.cell.left, f.cell.right) for line in body for f in line.figures if not f.percent
    )
    if spans:
        usual = median(right - left for left, right in spans)
        spans = [span for span in spans if span[1] - span[0] <= _WIDEST * usual]
    bands: list[Band] = []
    for left, right in spans:
        if bands and left < bands[-1].right:
            bands[-1].right = max(bands[-1].right, right)
        else:
            bands.append(Band(left, right))
        bands[-1].figures += 1
    most = max((band.figures for band in bands), default=0)
    bands = [band for band in bands if band.figures > max(1, most * few)]
    _widen(bands)
    return bands


def _widen(bands: Sequence[Band]) -> None:
    """Give each column the room on its left, where its currency and a part of its head stand."""
    gaps = [second.left - first.right for first, second in pairwise(bands)]
    for band, gap in zip(bands[1:], gaps, strict=True):
        band.left -= gap / 2
    if bands:
        first = bands[0]
        first.left -= median(gaps) / 2 if gaps else (first.right - first.left) / 2


def _over(cell: TableCell, bands: Sequence[Band]) -> bool:
    return any(band.overlap(cell) > 0 for band in bands)


def _hang(cells: Sequence[TableCell], bands: Sequence[Band]) -> None:
    """Give the words of one row of the head to the columns that they stand over."""
    if not cells:
        return
    if len(bands) % len(cells) == 0:
        share = len(bands) // len(cells)
        for place, cell in enumerate(cells):
            _say(cell, bands[place * share : (place + 1) * share])
        return
    for cell in cells:
        _say(cell, [band for band in bands if band.overlap(cell) > 0])
    pitch = bands[1].left - bands[0].left if len(bands) > 1 else float("inf")
    for cell in cells:
        if not _over(cell, bands):
            near = min(bands, key=lambda band: _apart(band, cell))
            if _apart(near, cell) < _BESIDE * pitch:
                near.head.append(cell.text)


def _say(cell: TableCell, bands: Sequence[Band]) -> None:
    """Words over several columns hold for each; of as many years each has its own."""
    row = years_in_a_row(cell.text, len(bands)) if len(bands) > 1 else None
    for place, band in enumerate(bands):
        if row is None:
            band.head.append(cell.text)
        else:
            band.head.append(f"{cell.text[: row.start]}{row.years[place]}{cell.text[row.end :]}")


def _apart(band: Band, cell: TableCell) -> float:
    """How far their middles are from one another."""
    return abs(band.left + band.right - cell.left - cell.right) / 2


def periods(
    found: Layout, above: str, kind: str, ends: Mapping[str, str] = MappingProxyType({})
) -> tuple[Column, ...]:
    """The period of each column, from its own head, the head above the labels, the text above.

    `ends` has the day (MMDD) on which a year ends, by the document's other statements: some heads
    say no more than the year.
    """
    around = f"{above}\n{found.stub}"
    listed = dates_in(around)
    years = list(dict.fromkeys(years_in(around)))
    day = last_day_in(found.stub) or last_day_in(above)
    said = quarters_in(found.stub) or quarters_in(above)
    titled = _years_of_title(found, above)
    columns = []
    for place, band in enumerate(found.bands):
        own = mention(band.title)
        end = own.dates[-1] if own.dates else None
        if end is None and own.year and own.day is None:
            end = _listed_for(own.year, listed, found.bands)
        if end is None and own.year:
            end = own.year + (own.day or day or ends.get(own.year) or ends.get("") or "1231")
        if end is None and len(found.bands) == len(listed):
            end = listed[place]
        if end is None and own.day and len(years) == len(found.bands):
            end = years[place] + own.day
        if end is None and titled:
            year = titled[place]
            end = year + (own.day or day or ends.get(year) or ends.get("") or "1231")
        if end is None and len(found.bands) == 1 and listed:
            end = listed[-1]
        if end is None and years:
            end = _relative(band.title, years[0], day or ends.get("") or "1231", found.bands)
        quarters = 0 if kind == "balance_sheet" else own.quarters or said
        columns.append(Column(end=end, quarters=quarters))
    if len(set(columns)) < len(columns):
        columns = [replace(column, quarters=None) for column in columns]
    return tuple(columns)


def _years_of_title(found: Layout, above: str) -> tuple[str, ...]:
    """The years of the columns from the title, where no head names any: the nearest line that has
    as many in a row as there are columns, in the order of the columns.
    """
    if len(found.bands) < 2 or any(mention(band.title).year for band in found.bands):
        return ()
    for line in reversed([*above.splitlines(), *found.stub.splitlines()]):
        row = years_in_a_row(line, len(found.bands))
        if row and len(line.strip()) < _LONGEST_HEAD:
            return row.years
    return ()


def _relative(title: str, year: str, day: str, bands: Sequence[Band]) -> str | None:
    """The end of a column that is called current or prior, or that is the only one."""
    if re.search(r"\b(prior|previous)\b", title, re.I):
        return f"{int(year) - 1}{day}"
    return year + day if len(bands) == 1 or re.search(r"\bcurrent\b", title, re.I) else None


def _listed_for(year: str, listed: Sequence[str], bands: Sequence[Band]) -> str | None:
    """The day of that year, where a list above has just one day for the year of each column."""
    years = {mention(band.title).year for band in bands}
    days = {each: {date for date in listed if date.startswith(each or "?")} for each in years}
    return days[year].pop() if all(len(found) == 1 for found in days.values()) else None


def restated(found: Layout) -> tuple[bool, ...]:
    """Which columns say that they were restated."""
    return tuple(bool(_RESTATED.search(band.title)) for band in found.bands)
