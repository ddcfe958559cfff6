"""The lines of a statement: labels, headings above them, figures in their columns, places."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from services.triage.places import Place
from services.triage.reading.columns import Band, Layout, Line
from services.triage.reading.figures import Figure
from services.triage.reading.scales import factor
from services.triage.reading.table import TableCell
from services.triage.statements import Column, Row

_NOTES = re.compile(r"\s*((?<=\s)\(\w\)|(?<=\s)\(\d{1,2}\)|\[\w{1,3}\]|[*†‡§])+$")
_LEADERS = re.compile(r"(\s*\.){3,}\s*\.?$|\s*_{3,}$")
_RULE = re.compile(r"[-=_\s.]*")
_TOTAL = re.compile(r"^\s*(total|net\s+cash)\b", re.I)
_OF_SHARES = re.compile(r"share", re.I)
_LONGEST = 1_000
"""Characters of a label: what is longer is none, and is cut before anything is looked for in it. A
filing that means harm has lines without end."""
_FULL_LINE = 40
"""Characters of a label that may be cut by the end of its line."""
_OPEN = re.compile(r"[,;]$|\b(?:and|as of|at|of|or|to)$", re.I)
"""The end of a label that goes on in the next line, if that begins as `_MORE` has it."""
_MORE = re.compile(
    r"\d[\d,.]*\s+[a-z]"
    r"|(?:January|February|March|April|May|June|July|August|September|October|November|December)"
    r"\s+\d"
)
"""A number of something, or a day: no label begins so behind an open end."""
_STEP = 2.0
"""Characters or points; less is no indent."""
_ERROR = re.compile(r"#(REF!|N/A|VALUE!|DIV/0!|NAME\?|NULL!|NUM!|SPILL!|CALC!)", re.I)
"""What a spreadsheet shows in place of an amount that it can't work out."""
_WORD = re.compile(r"\w\W?\w")
"""Text of a cell that is no mark beside a figure."""
_MOST_HEADING = 160
"""Characters; a longer line without figures is text."""


@dataclass(frozen=True, slots=True)
class ReadRow:
    """A row with what only its document knows: the headings above it, footnote marks, indent."""

    row: Row
    path: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    indent: int = 0
    """Steps from the left edge, where the format has it: a page's, or a plain text's."""
    left_out: tuple[str, ...] = ()
    """Figures that stand in none of the columns, or in one that has a figure."""
    foreign: tuple[tuple[int, str], ...] = ()
    """Columns with text where an amount belongs, in formats that have cells, and the text."""
    period: Column | None = None
    """Of a row of a statement whose columns are components: a moment, or the time between two."""

    @property
    def places(self) -> tuple[Place | None, ...]:
        """Where its values stand."""
        return self.row.places


@dataclass(frozen=True, slots=True)
class _Whole:
    """A line with its whole label, and where that begins."""

    label: str
    figures: Sequence[Figure]
    left: float | None
    others: tuple[TableCell, ...] = ()
    """Cells to its right that are no figures."""


def rows_of(found: Layout, scale: Decimal, notes: str) -> list[ReadRow]:
    """All lines of the body; a label that runs over two lines is one."""
    rows: list[ReadRow] = []
    path = _Path()
    lines = list(_whole_lines(found))
    steps = _steps(line.left for line in lines if line.left is not None)
    for line in lines:
        label, marks = _cleared(line.label)
        indent = steps.get(line.left, 0) if line.left is not None else 0
        values, places, more, left_out = _in_columns(line.figures, found)
        foreign = tuple(_foreign(line.others, found, places))
        if not any(places):
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
        read = Row(label, scaled, places=places)
        rows.append(ReadRow(read, above, (*marks, *more), indent, left_out, foreign))
        if _TOTAL.search(label):
            path.close()
    amounts = (number for number, row in enumerate(rows) if not row.row.heading or row.foreign)
    last = max(amounts, default=-1)
    return rows[: last + 1]


class _Path:
    """The headings that are open above a line, the outermost first.

    Amounts per share stand under theirs wherever they are set: a page sets their total back.
    """

    def __init__(self) -> None:
        self._open: list[tuple[str, int]] = []
        self._last = 0

    def above(self, indent: int) -> tuple[str, ...]:
        """Those of a line: all but such as it is set back from, or set back to after others."""
        back = indent < self._last
        while self._open and not _OF_SHARES.search(self._open[-1][0]):
            if self._open[-1][1] < indent or (self._open[-1][1] == indent and not back):
                break
            self._open.pop()
        self._last = indent
        return tuple(label for label, _ in self._open)

    def above_heading(self, indent: int) -> tuple[str, ...]:
        """Those of a heading: only such as stand further to the left."""
        while self._open and self._open[-1][1] >= indent:
            self._open.pop()
        return tuple(label for label, _ in self._open)

    def open(self, label: str, indent: int) -> None:
        """A heading begins."""
        self._open.append((label, indent))
        self._last = indent

    def close(self) -> None:
        """A total ends the innermost; amounts per share have none."""
        if self._open and not _OF_SHARES.search(self._open[-1][0]):
            self._open.pop()


def _steps(lefts: Iterable[float]) -> dict[float, int]:
    """For each left edge how many others, further to the left, labels of the table begin at."""
    steps: dict[float, int] = {}
    last, step = None, 0
    for left in sorted(set(lefts)):
        if last is not None and left - last >= _STEP:
            step += 1
        steps[left] = step
        last = left if last is None or left - last >= _STEP else last
    return steps


def _whole_lines(found: Layout) -> Iterator[_Whole]:
    """Labels with their figures; a label that a page breaks over lines is put together."""
    held: _Whole | None = None
    for line in found.body:
        cells = _label_cells(line, found.bands)
        text = " ".join(cell.text.strip() for cell in cells)[:_LONGEST]
        label = _LEADERS.sub("", text).strip()
        if _RULE.fullmatch(label) and not line.figures:
            continue
        if held and _runs_on(held, label, line, cells):
            held = _Whole(f"{held.label} {label}", held.figures or line.figures, held.left)
            continue
        if held:
            yield held
        left = cells[0].left if cells and not cells[0].place.cell else None
        others = tuple(cell for cell in line.words if cell.place.cell and cell not in cells)
        held = _Whole(label, line.figures, left, others)
    if held:
        yield held


def _runs_on(held: _Whole, label: str, line: Line, cells: Sequence[TableCell]) -> bool:
    """Whether a line goes on with the label above; the cells of a grid are whole already."""
    if not cells or cells[0].place.cell or held.label.endswith(":"):
        return False
    if len(held.label) > _LONGEST:
        return False
    if held.figures and line.figures:
        return False
    if label[:1].islower():
        return True
    if held.figures:
        return False
    if label[:1] == "(":
        return len(held.label) > _FULL_LINE
    return bool(_OPEN.search(held.label) and _MORE.match(label))


def _label_cells(line: Line, bands: Sequence[Band]) -> list[TableCell]:
    edge = bands[0].left
    return [cell for cell in line.words if cell.left < edge]


def _cleared(label: str) -> tuple[str, tuple[str, ...]]:
    """The label without the footnote marks at its end."""
    found = _NOTES.search(label)
    if not found or found.start() == 0:
        return label, ()
    return label[: found.start()].rstrip(), (found[0].strip(),)


def _foreign(
    cells: Iterable[TableCell], found: Layout, places: Sequence[Place | None]
) -> Iterator[tuple[int, str]]:
    """Columns without a figure in which other text stands: an error of a spreadsheet, or any text
    beside figures of the same line.
    """
    for cell in cells:
        text = cell.text.strip()
        over = max(range(len(found.bands)), key=lambda i: found.bands[i].overlap(cell))
        if places[over] is not None or found.bands[over].overlap(cell) <= 0:
            continue
        if _ERROR.fullmatch(text) or (any(places) and _WORD.search(text)):
            yield over, text


_InColumns = tuple[
    tuple[Decimal | None, ...], tuple[Place | None, ...], tuple[str, ...], tuple[str, ...]
]


def _in_columns(figures: Sequence[Figure], found: Layout) -> _InColumns:
    """The values by column, their places, their footnote marks, and the figures of no column."""
    bands = found.bands
    values: list[Decimal | None] = [None] * len(bands)
    places: list[Place | None] = [None] * len(bands)
    marks: list[str] = []
    left_out: list[str] = []
    for figure in figures:
        over = max(range(len(bands)), key=lambda i: bands[i].overlap(figure.cell))
        if figure.percent or any(band.overlap(figure.cell) > 0 for band in found.asides):
            continue
        if bands[over].overlap(figure.cell) <= 0 or places[over] is not None:
            left_out.append(figure.cell.text.strip())
            continue
        values[over], places[over] = figure.value, figure.cell.place
        marks += [figure.marks] if figure.marks else []
    return tuple(values), tuple(places), tuple(marks), tuple(left_out)
