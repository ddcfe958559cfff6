"""The lines of a statement: labels, headings, figures in their columns, positions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from services.triage.reading.columns import Layout, Line, column_of
from services.triage.reading.figures import Figure
from services.triage.reading.scales import averages_shares, factor, is_per_share
from services.triage.reading.table import LONGEST, TableCell
from services.triage.statements.model import Column, Row
from services.triage.statements.positions import Position

_NOTES = re.compile(r"(?<!\s)\s*+((?<=\s)\(\w\)|(?<=\s)\(\d{1,2}\)|\[\w{1,3}\]|[*†‡§])+$")
_LEADERS = re.compile(r"(\s*\.){3,}\s*\.?$|\s*_{3,}$")
_RULE = re.compile(r"[-=_\s.]*")
_TOTAL = re.compile(r"^\s*(total|net\s+cash)\b", re.I)
_OF_SHARES = re.compile(r"share", re.I)
_FULL_LINE = 40  # characters of a label that the end of its line may cut
_OPEN = re.compile(r"[,;]$|\b(?:and|as of|at|of|or|to)$", re.I)
"""The end of a label that continues in a next line that fits `_MORE`."""
_MORE = re.compile(
    r"\d[\d,.]*\s+[a-z]"
    r"|(?:January|February|March|April|May|June|July|August|September|October|November|December)"
    r"\s+\d"
)
"""A number of something, or a day: no new label begins like this."""
_STEP = 2.0  # characters or points; smaller steps are no indent
_ERROR = re.compile(r"#(REF!|N/A|VALUE!|DIV/0!|NAME\?|NULL!|NUM!|SPILL!|CALC!)", re.I)
"""Errors that a spreadsheet shows instead of an amount."""
_WORD = re.compile(r"\w\W?\w")  # text that is more than a mark next to a figure
_MOST_HEADING = 160  # characters of a heading; longer lines without figures are text


@dataclass(frozen=True, slots=True)
class ReadRow:
    """A row with details of its document: headings above it, footnote marks, indent."""

    row: Row
    path: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    indent: int = 0  # steps from the left edge, in pages and plain text
    left_out: tuple[str, ...] = ()  # figures outside the columns, or in a filled one
    foreign: tuple[tuple[int, str], ...] = ()  # columns with text instead of an amount
    period: Column | None = None  # for a statement of equity: the moment or period of the row

    @property
    def positions(self) -> tuple[Position | None, ...]:
        return self.row.positions


@dataclass(frozen=True, slots=True)
class _Whole:
    """A line with its full label, and where that begins."""

    label: str
    figures: Sequence[Figure]
    left: float | None
    others: tuple[TableCell, ...] = ()  # cells to its right that are no figures


def rows_of(layout: Layout, scale: Decimal, notes: str) -> list[ReadRow]:
    """All lines of the body; labels over two lines are joined."""
    rows: list[ReadRow] = []
    units: dict[int, Decimal] = {}  # the factor of each row with amounts
    path = _Path()
    lines = list(_whole_lines(layout))
    steps = _steps(line.left for line in lines if line.left is not None)
    for line in lines:
        label, marks = _split_marks(line.label)
        indent = steps.get(line.left, 0) if line.left is not None else 0
        values, positions, more, left_out = _in_columns(line.figures, layout)
        foreign = tuple(_foreign(line.others, layout, positions))
        if not any(positions):
            if label and len(label) <= _MOST_HEADING:
                empty: tuple[Decimal | None, ...] = (None,) * len(values)
                above = path.above_heading(indent)
                row = Row(label, empty, heading=True)
                rows.append(ReadRow(row, above, marks, indent, left_out, foreign))
                path.open(label.rstrip(" :"), indent)
            continue
        above = path.above(indent)
        times = factor(label, above, [v for v in values if v is not None], scale, notes)
        scaled = tuple(None if value is None else value * times for value in values)
        read = Row(label, scaled, positions=positions)
        units[len(rows)] = times
        rows.append(ReadRow(read, above, (*marks, *more), indent, left_out, foreign))
        if _TOTAL.search(label):
            path.close()
    _scale_between_shares(rows, units)
    amounts = (number for number, row in enumerate(rows) if not row.row.heading or row.foreign)
    last = max(amounts, default=-1)
    return rows[: last + 1]


def _scale_between_shares(rows: list[ReadRow], units: Mapping[int, Decimal]) -> None:
    """Scale a line between two numbers of shares like them, such as "Effect of stock options"."""
    numbers = list(units)
    counts = [averages_shares(rows[number].row.label, rows[number].path) for number in numbers]
    for place in range(1, len(numbers) - 1):
        number, times = numbers[place], units[numbers[place - 1]] / units[numbers[place]]
        row = rows[number]
        if times == 1 or counts[place - 1 : place + 2] != [True, False, True]:
            continue
        if not is_per_share(row.row.label, row.path):
            values = tuple(value and value * times for value in row.row.values)
            rows[number] = replace(row, row=replace(row.row, values=values))


class _Path:
    """The open headings above a line, the outermost first.

    Amounts per share stay under their heading wherever they are set: a page outdents their total.
    """

    def __init__(self) -> None:
        self._open: list[tuple[str, int]] = []
        self._last = 0

    def above(self, indent: int) -> tuple[str, ...]:
        """The headings of a line: those that are not indented further."""
        back = indent < self._last
        while self._open and not _OF_SHARES.search(self._open[-1][0]):
            if self._open[-1][1] < indent or (self._open[-1][1] == indent and not back):
                break
            self._open.pop()
        self._last = indent
        return tuple(label for label, _ in self._open)

    def above_heading(self, indent: int) -> tuple[str, ...]:
        """The headings of a heading: those further to the left."""
        while self._open and self._open[-1][1] >= indent:
            self._open.pop()
        return tuple(label for label, _ in self._open)

    def open(self, label: str, indent: int) -> None:
        self._open.append((label, indent))
        self._last = indent

    def close(self) -> None:
        """Close the innermost heading after a total; amounts per share have no total."""
        if self._open and not _OF_SHARES.search(self._open[-1][0]):
            self._open.pop()


def _steps(lefts: Iterable[float]) -> dict[float, int]:
    """The number of distinct left edges further to the left, for each left edge."""
    steps: dict[float, int] = {}
    last, step = None, 0
    for left in sorted(set(lefts)):
        if last is not None and left - last >= _STEP:
            step += 1
        steps[left] = step
        last = left if last is None or left - last >= _STEP else last
    return steps


def _whole_lines(layout: Layout) -> Iterator[_Whole]:
    """Labels with their figures; labels over several lines are joined."""
    current: _Whole | None = None
    for line in layout.body:
        cells = [cell for cell in line.words if cell.left < layout.bands[0].left]
        text = " ".join(cell.text.strip() for cell in cells)[:LONGEST]
        label = _LEADERS.sub("", text).strip()
        if _RULE.fullmatch(label) and not line.figures:
            continue
        if current and _runs_on(current, label, line, cells):
            figures = current.figures or line.figures
            current = _Whole(f"{current.label} {label}", figures, current.left)
            continue
        if current:
            yield current
        left = cells[0].left if cells and not cells[0].position.cell else None
        others = tuple(cell for cell in line.words if cell.position.cell and cell not in cells)
        current = _Whole(label, line.figures, left, others)
    if current:
        yield current


def _runs_on(current: _Whole, label: str, line: Line, cells: Sequence[TableCell]) -> bool:
    """Whether a line continues the label above. Cells of a grid are complete."""
    if not cells or cells[0].position.cell or current.label.endswith(":"):
        return False
    if len(current.label) > LONGEST or (current.figures and line.figures):
        return False
    if label[:1].islower():
        return True
    if current.figures:
        return False
    if label[:1] == "(":
        return len(current.label) > _FULL_LINE
    return bool(_OPEN.search(current.label) and _MORE.match(label))


def _split_marks(label: str) -> tuple[str, tuple[str, ...]]:
    """Split the footnote marks from the end of a label."""
    marks = _NOTES.search(label)
    if not marks or marks.start() == 0:
        return label, ()
    return label[: marks.start()].rstrip(), (marks[0].strip(),)


def _foreign(
    cells: Iterable[TableCell], layout: Layout, positions: Sequence[Position | None]
) -> Iterator[tuple[int, str]]:
    """Columns with other text instead of a figure: a spreadsheet error, or text beside figures."""
    for cell in cells:
        text = cell.text.strip()
        over = column_of(cell, layout.bands)
        if positions[over] is not None or layout.bands[over].overlap(cell) <= 0:
            continue
        if _ERROR.fullmatch(text) or (any(positions) and _WORD.search(text)):
            yield over, text


_InColumns = tuple[
    tuple[Decimal | None, ...], tuple[Position | None, ...], tuple[str, ...], tuple[str, ...]
]


def _in_columns(figures: Sequence[Figure], layout: Layout) -> _InColumns:
    """The values by column, their positions, their footnote marks, and the figures of no column."""
    bands = layout.bands
    values: list[Decimal | None] = [None] * len(bands)
    positions: list[Position | None] = [None] * len(bands)
    marks: list[str] = []
    left_out: list[str] = []
    for figure in figures:
        over = column_of(figure.cell, bands)
        if figure.percent or any(band.overlap(figure.cell) > 0 for band in layout.asides):
            continue
        if bands[over].overlap(figure.cell) <= 0 or positions[over] is not None:
            left_out.append(figure.cell.text.strip())
            continue
        values[over], positions[over] = figure.value, figure.cell.position
        marks += [figure.marks] if figure.marks else []
    return tuple(values), tuple(positions), tuple(marks), tuple(left_out)
