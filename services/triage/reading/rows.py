"""The lines of a statement: labels, headings above them, figures in their columns, places."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from services.triage.reading.columns import Band, Layout, Line
from services.triage.reading.figures import Figure
from services.triage.reading.scales import factor
from services.triage.reading.table import Place, TableCell
from services.triage.statements import Row

_NOTES = re.compile(r"\s*((?<=\s)\(\w\)|(?<=\s)\(\d{1,2}\)|\[\w{1,3}\]|[*†‡§]+)+$")
_LEADERS = re.compile(r"(\s*\.){3,}\s*\.?$|\s*_{3,}$")
_RULE = re.compile(r"[-=_\s.]*")
_TOTAL = re.compile(r"^\s*(total|net\s+cash)\b", re.I)
_MOST_HEADING = 160
"""Characters; a longer line without figures is text."""


@dataclass(frozen=True, slots=True)
class ReadRow:
    """A row with what only its document knows: its places and footnote marks."""

    row: Row
    places: tuple[Place | None, ...]
    path: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()


def rows_of(found: Layout, scale: Decimal, notes: str) -> list[ReadRow]:
    """All lines of the body; a label that runs over two lines is one."""
    rows: list[ReadRow] = []
    path: list[str] = []
    for label, figures in _whole_lines(found):
        label, marks = _without_marks(label)
        values, places, more = _in_columns(figures, found.bands)
        if not any(places):
            if label and len(label) <= _MOST_HEADING:
                empty: tuple[Decimal | None, ...] = (None,) * len(values)
                rows.append(ReadRow(Row(label, empty, heading=True), places, tuple(path)))
                path = [label.rstrip(" :")]
            continue
        times = factor(label, path, [v for v in values if v is not None], scale, notes)
        scaled = tuple(None if value is None else value * times for value in values)
        rows.append(ReadRow(Row(label, scaled), places, tuple(path), (*marks, *more)))
        if _TOTAL.search(label) and path and not _BASIC_UNDER.search(path[-1]):
            path = []
    return rows


_BASIC_UNDER = re.compile(r"share", re.I)


def _whole_lines(found: Layout) -> Iterator[tuple[str, Sequence[Figure]]]:
    """Labels with their figures; a label that a page breaks over lines is put together."""
    held: tuple[str, Sequence[Figure]] | None = None
    for line in found.body:
        cells = _label_cells(line, found.bands)
        label = _LEADERS.sub("", " ".join(cell.text.strip() for cell in cells)).strip()
        if _RULE.fullmatch(label) and not line.figures:
            continue
        if held and _runs_on(held, label, line, cells):
            held = (f"{held[0]} {label}", held[1] or line.figures)
            continue
        if held:
            yield held
        held = (label, line.figures)
    if held:
        yield held


def _runs_on(
    held: tuple[str, Sequence[Figure]], label: str, line: Line, cells: Sequence[TableCell]
) -> bool:
    """Whether a line goes on with the label above; the cells of a grid are whole already."""
    if not cells or cells[0].place.cell or held[0].endswith(":") or (held[1] and line.figures):
        return False
    return label[:1].islower() or (label[:1] == "(" and not held[1] and len(held[0]) > 40)


def _label_cells(line: Line, bands: Sequence[Band]) -> list[TableCell]:
    edge = bands[0].left
    return [cell for cell in line.words if cell.left < edge]


def _without_marks(label: str) -> tuple[str, tuple[str, ...]]:
    """The label without the footnote marks at its end."""
    found = _NOTES.search(label)
    if not found or found.start() == 0:
        return label, ()
    return label[: found.start()].rstrip(), (found[0].strip(),)


def _in_columns(
    figures: Sequence[Figure], bands: Sequence[Band]
) -> tuple[tuple[Decimal | None, ...], tuple[Place | None, ...], tuple[str, ...]]:
    """The figures by column; what stands in none of them is no figure of the statement."""
    values: list[Decimal | None] = [None] * len(bands)
    places: list[Place | None] = [None] * len(bands)
    marks: list[str] = []
    for figure in figures:
        over = max(range(len(bands)), key=lambda i: bands[i].overlap(figure.cell))
        if bands[over].overlap(figure.cell) <= 0 or places[over] is not None or figure.percent:
            continue
        values[over], places[over] = figure.value, figure.cell.place
        marks += [figure.marks] if figure.marks else []
    return tuple(values), tuple(places), tuple(marks)
