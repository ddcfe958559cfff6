"""Find the head and the columns of a table, and the period of each column."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, pairwise
from operator import itemgetter
from statistics import median
from types import MappingProxyType

from services.triage.reading.figures import Figure, join_cells, parse_figure
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
from services.triage.statements.model import Column

_ASIDE = re.compile(
    r"change|%|percent|\bvariance|increase|\binc\.?\s*/\s*\(?dec|^\s*\(?notes?\)?\s*$", re.I
)
_RESTATED = re.compile(r"restated|as adjusted|as revised|recast", re.I)
_VERSION = re.compile(
    r"restated|adjust|revised|recast|reported|previous|pro\s+forma|decessor|current|prior", re.I
)
"""Other versions of the same amounts, or other periods: no entities."""
_WIDEST = 4  # multiples of the usual width; wider figures span columns and are ignored
_LONGEST_HEAD = 150  # characters of a head; longer lines are sentences
_BESIDE = 0.7  # columns; words further from a column do not belong to it
_FEW = 1 / 6  # share of the figures of the fullest column that a column needs
_MOST = 150  # columns of a table that are read
_TALLEST_HEAD = 12  # rows that a head may have


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a table: its words from the left, then its figures."""

    words: tuple[TableCell, ...]
    figures: tuple[Figure, ...]

    @property
    def cells(self) -> tuple[TableCell, ...]:
        return (*self.words, *(figure.cell for figure in self.figures))


@dataclass
class Band:
    """A column of figures: its interval, and the words above it."""

    left: float
    right: float
    figures: int = 0
    head: list[str] = field(default_factory=list)
    percent: bool = False  # whether all its figures have a percent sign

    @property
    def title(self) -> str:
        """The words above it in one line."""
        return " ".join(self.head)

    def overlap(self, cell: TableCell) -> float:
        """How much of it a cell covers."""
        return cell.overlap(self.left, self.right)

    def distance(self, cell: TableCell) -> float:
        """The distance between its middle and the middle of a cell."""
        return abs(self.left + self.right - cell.left - cell.right) / 2


def column_of(cell: TableCell, bands: Sequence[Band]) -> int:
    """The column that a cell covers most."""
    return max(range(len(bands)), key=lambda index: bands[index].overlap(cell))


@dataclass
class Layout:
    """A table split into head, body and columns."""

    head: list[Line]
    body: list[Line]
    bands: list[Band]
    stub: str = ""  # the words of the head above the labels
    asides: list[Band] = field(default_factory=list)  # without a period: changes, notes


def find_layout(table: Table, *, sparse: bool = False) -> Layout | None:
    """The columns of a table of figures; None if it has none.

    With `sparse` it also keeps columns with few figures, whatever their heads say: a component of
    equity may change once a year.
    """
    lines = [split_row(row) for row in table.rows]
    first = _first_of_body(lines, broken=sparse)
    if first is None:
        return None
    bands = _bands(lines[first:], 0 if sparse else _FEW, percent=not sparse)
    if all(band.percent for band in bands):
        return None
    while first and _is_heading(lines[first - 1], bands):
        first -= 1
    head, body = lines[:first], lines[first:]
    result = Layout(head, body, bands)
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
        _assign_heads(sorted(above, key=lambda cell: cell.left), bands)
    result.stub = "\n".join(stub)
    asides = [band for band in bands if band.percent or _ASIDE.search(band.title)]
    dated = [band for band in bands if band not in asides]
    if dated and not sparse:
        own = _of_first_entity(dated)
        result.bands, result.asides = own, [band for band in bands if band not in own]
    return result


def _of_first_entity(bands: list[Band]) -> list[Band]:
    """The columns of the first entity, where a page has the same periods for several side by side.

    These are a group and its parts, such as GE and GE Capital.
    """
    common = set(bands[0].head).intersection(*(band.head for band in bands))
    apart = [[text for text in band.head if text not in common] for band in bands]
    names = [" ".join(text for text in texts if not _is_period(text)) for texts in apart]
    if not all(names) or any(_VERSION.search(name) for name in names):
        return bands
    groups = [
        [number for number, _ in group] for _, group in groupby(enumerate(names), itemgetter(1))
    ]
    periods = [[[*filter(_is_period, apart[n])] for n in group] for group in groups]
    distinct = len({names[group[0]] for group in groups}) == len(groups) > 1
    if not distinct or any(period != periods[0] for period in periods) or not all(periods[0]):
        return bands
    return [bands[number] for number in groups[0]]


def _is_period(text: str) -> bool:
    period = mention(text)
    return bool(period.year or period.day or period.quarters)


def split_row(row: Sequence[TableCell]) -> Line:
    """Split a row into words and figures; figures inside the label stay words."""
    cells = join_cells(row)
    figures = [parse_figure(cell) for cell in cells]
    words = [cell for cell, figure in zip(cells, figures, strict=True) if figure is None]
    return Line(tuple(words), tuple(figure for figure in figures if figure is not None))


def _first_of_body(lines: Sequence[Line], *, broken: bool) -> int | None:
    """The first row with a label and an amount. Years and days in a head are no amounts.

    With `broken` also a row whose label ends before the year of its day, in the next row.
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
    """Whether a row right above the first figures is a heading of lines, not of columns."""
    if line.figures or len(line.words) != 1 or line.words[0].right > bands[0].left:
        return False
    period = mention(line.words[0].text)
    return not (period.year or period.day or period.quarters or scale_in(line.words[0].text))


def _bands(body: Sequence[Line], few: float, *, percent: bool) -> list[Band]:
    """The columns of amounts from the left, with `percent` also those of percentages between."""
    figures = [figure for line in body for figure in line.figures]
    bands = _merged((figure for figure in figures if not figure.percent), few)
    if percent:
        shares = _merged((figure for figure in figures if figure.percent), few)
        apart = [
            one for one in shares if all(one.right <= b.left or b.right <= one.left for b in bands)
        ]
        bands = sorted(
            [*bands, *(replace(band, percent=True) for band in apart)], key=lambda b: b.left
        )
    bands = bands[:_MOST]
    _widen(bands)
    return bands


def _merged(figures: Iterable[Figure], few: float) -> list[Band]:
    """Overlapping figures form a column; it needs two, and a share of those of the fullest."""
    spans = sorted((figure.cell.left, figure.cell.right) for figure in figures)
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
    return [band for band in bands if band.figures > max(1, most * few)]


def _widen(bands: Sequence[Band]) -> None:
    """Extend each column to its left, where its currency and part of its head are."""
    gaps = [second.left - first.right for first, second in pairwise(bands)]
    for band, gap in zip(bands[1:], gaps, strict=True):
        band.left -= gap / 2
    if bands:
        first = bands[0]
        first.left -= median(gaps) / 2 if gaps else (first.right - first.left) / 2


def _over(cell: TableCell, bands: Sequence[Band]) -> bool:
    return any(band.overlap(cell) > 0 for band in bands)


def _assign_heads(cells: Sequence[TableCell], bands: Sequence[Band]) -> None:
    """Assign the words of one row of the head to the columns below."""
    if not cells:
        return
    if len(bands) % len(cells) == 0:
        share = len(bands) // len(cells)
        for index, cell in enumerate(cells):
            _add_heads(cell, bands[index * share : (index + 1) * share])
        return
    for cell in cells:
        _add_heads(cell, [band for band in bands if band.overlap(cell) > 0])
    pitch = bands[1].left - bands[0].left if len(bands) > 1 else float("inf")
    for cell in cells:
        if not _over(cell, bands):
            near = min(bands, key=lambda band: band.distance(cell))
            if near.distance(cell) < _BESIDE * pitch:
                near.head.append(cell.text)


def _add_heads(cell: TableCell, bands: Sequence[Band]) -> None:
    """Words over several columns apply to each; of as many years, each column gets one."""
    row = years_in_a_row(cell.text, len(bands)) if len(bands) > 1 else None
    for index, band in enumerate(bands):
        if row is None:
            band.head.append(cell.text)
        else:
            band.head.append(f"{cell.text[: row.start]}{row.years[index]}{cell.text[row.end :]}")


def column_periods(
    layout: Layout, above: str, kind: str, ends: Mapping[str, str] = MappingProxyType({})
) -> tuple[Column, ...]:
    """The period of each column, from its head, the head above the labels and the text above.

    `ends` has the day (MMDD) that ends each year in the document's other statements, for heads that
    name only the year.
    """
    around = f"{above}\n{layout.stub}"
    listed = dates_in(around)
    years = list(dict.fromkeys(years_in(around)))
    day = last_day_in(layout.stub) or last_day_in(above)
    quarters_around = quarters_in(layout.stub) or quarters_in(above)
    titled = _years_of_title(layout, above)
    columns = []
    for index, band in enumerate(layout.bands):
        own = mention(band.title)
        end = own.dates[-1] if own.dates else None
        if end is None and own.year and own.day is None:
            end = _listed_for(own.year, listed, layout.bands)
        if end is None and own.year:
            end = own.year + (own.day or day or ends.get(own.year) or ends.get("") or "1231")
        if end is None and len(layout.bands) == len(listed):
            end = listed[index]
        if end is None and own.day and len(years) == len(layout.bands):
            end = years[index] + own.day
        if end is None and titled:
            year = titled[index]
            end = year + (own.day or day or ends.get(year) or ends.get("") or "1231")
        if end is None and len(layout.bands) == 1 and listed:
            end = listed[-1]
        if end is None and years:
            end = _relative(band.title, years[0], day or ends.get("") or "1231", layout.bands)
        quarters = 0 if kind == "balance_sheet" else own.quarters or quarters_around
        columns.append(Column(end=end, quarters=quarters))
    if len(set(columns)) < len(columns):
        columns = [replace(column, quarters=None) for column in columns]
    return tuple(columns)


def _years_of_title(layout: Layout, above: str) -> tuple[str, ...]:
    """The years of the columns from the nearest title line that lists as many in a row."""
    if len(layout.bands) < 2 or any(mention(band.title).year for band in layout.bands):
        return ()
    for line in reversed([*above.splitlines(), *layout.stub.splitlines()]):
        row = years_in_a_row(line, len(layout.bands))
        if row and len(line.strip()) < _LONGEST_HEAD:
            return row.years
    return ()


def _relative(title: str, year: str, day: str, bands: Sequence[Band]) -> str | None:
    """The end of a column called current or prior, or of the only one."""
    if re.search(r"\b(prior|previous)\b", title, re.I):
        return f"{int(year) - 1}{day}"
    return year + day if len(bands) == 1 or re.search(r"\bcurrent\b", title, re.I) else None


def _listed_for(year: str, listed: Sequence[str], bands: Sequence[Band]) -> str | None:
    """The day of that year, where a list above has exactly one day for each column's year."""
    years = {mention(band.title).year for band in bands}
    days = {each: {date for date in listed if date.startswith(each or "?")} for each in years}
    return days[year].pop() if all(len(dates) == 1 for dates in days.values()) else None


def restated_columns(layout: Layout) -> tuple[bool, ...]:
    """Which columns are marked as restated."""
    return tuple(bool(_RESTATED.search(band.title)) for band in layout.bands)
