"""Tables of plain text, as in older filings and mails: columns are aligned by spaces."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet

from services.triage.reading.periods import ends_with_day
from services.triage.reading.table import LONGEST, Table, TableCell
from services.triage.statements.positions import Position
from shared.documents.model.parsed_document import ParsedDocument

_CHUNK = re.compile(r"\S+(?: (?!(?<=[\d)%] )[$€£](?: |$))\S+)*")
"""Words one space apart; a currency sign right after a figure belongs to the next column."""
_LEADERS = re.compile(r"(?:\s?\.){3,}|_{3,}|(?:-\s)?-{4,}|(?:=\s)?={3,}")
_FIGURE = re.compile(
    r"^[-\u2212]?[$€£(]*\s*\(?(\d[\d,]*)?(\.\d+)?(?<=\d)\s*\)?%?$|^[-\u2013\u2014]{1,3}$"
)
_LAST_FIGURE = re.compile(r"(?<=\S) ([$€£]? ?\(?\d[\d,]*(?:\.\d+)?\)?)$")
_YEAR = re.compile(r"(?:19|20)\d\d")
_STARTS_OVER = re.compile(
    r"^\W*<(PAGE|TABLE)>|\f|^[^\d]{0,60}(statements?\s+of\s+\w|balance\s+sheets?|income\s+statements?"
    r"|cash\s+flows?\s+statements?|^\s*cash\s+flows?\s*$)[^\d]{0,60}$",
    re.I,
)
_ENDS = re.compile(r"</TABLE>|<PAGE>|\f", re.I)
_TAG = re.compile(r"</?[A-Z]+[^>]*>|\|")
_TAB = 8
_FEWEST = 4  # lines with figures that a table needs
_LONGEST_GAP = 14  # lines without figures after which another table begins
_ABOVE = 12

_Line = tuple[int, str]


def tables_of_lines(reading: ParsedDocument) -> Iterator[Table]:
    """Runs of lines with figures in columns, with the lines above them."""
    for page in reading.pages:
        lines = list(_lines(reading.text, page.start, page.end))
        for first, last in _runs(lines):
            above = [line for _, line in lines[max(0, first - _ABOVE) : first]]
            edges = _edges(line for _, line in lines[first:last])
            if last < len(lines) and _ends_in_column(lines[last][1], edges):
                last += 1  # a long label leaves one space before its figure
            cells = tuple(
                cell
                for row, (start, line) in enumerate(lines[first:last], 1)
                for cell in _cells(page.number, row, start, line, edges)
            )
            yield Table(cells, before="\n".join(above), page=page.number)


def _lines(text: str, start: int, end: int) -> Iterator[_Line]:
    for full_line in text[start:end].split("\n"):
        line = full_line[:LONGEST]
        yield start, _TAG.sub(lambda tag: " " * len(tag[0]), line) if _keeps(line) else line
        start += len(full_line) + 1


def _keeps(line: str) -> bool:
    """Whether tags in a line are only marks between figures."""
    return not _ENDS.search(line) and not _STARTS_OVER.search(line)


def _runs(lines: Sequence[_Line]) -> Iterator[tuple[int, int]]:
    first, last, figures = None, 0, 0
    for number, (_, line) in enumerate(lines):
        over = first is not None and (
            number - last > _LONGEST_GAP or (figures and _STARTS_OVER.search(line))
        )
        if over or _ENDS.search(line):
            if first is not None and figures >= _FEWEST:
                yield first, last + 1
            first, figures = None, 0
        if _figures(line):
            first = _head_of(lines, number) if first is None else first
            last, figures = number, figures + 1
    if first is not None and figures >= _FEWEST:
        yield first, last + 1


def _head_of(lines: Sequence[_Line], number: int) -> int:
    """The first of up to six lines above that belong to the head: indented, or naming a period."""
    first = number
    for index in range(number - 1, max(-1, number - 7), -1):
        line = lines[index][1]
        if _ENDS.search(line):
            break
        if re.search(r"\b(19|20)\d\d\b|ended|months|\(?in\s+\w+ions|^\s{30}", line, re.I):
            first = index
    return first


def _figures(line: str) -> bool:
    chunks = [chunk[0] for chunk in _CHUNK.finditer(_blank(line))]
    return len(chunks) > 1 and any(_FIGURE.match(chunk) for chunk in chunks[1:])


def _blank(line: str) -> str:
    """The line with leaders and rules as spaces, of the same length."""
    return _LEADERS.sub(lambda match: " " * len(match[0]), line.rstrip())


def _edges(lines: Iterable[str]) -> set[int]:
    """Right edges of columns: where figures end in more than one line."""
    ends = Counter(
        _width(shown[: chunk.end()])
        for shown in map(_blank, lines)
        for chunk in list(_CHUNK.finditer(shown))[1:]
        if _FIGURE.match(chunk[0])
    )
    return {end for end, times in ends.items() if times > 1}


def _ends_in_column(line: str, edges: AbstractSet[int]) -> bool:
    """Whether a line without wide gaps ends with a figure below a column."""
    return not _STARTS_OVER.search(line) and len(list(_parts(_blank(line), edges))) > 1


def _parts(shown: str, edges: AbstractSet[int]) -> Iterator[tuple[int, int]]:
    """The spans of words and figures in a line.

    A figure one space after a long label is separate if it ends where a column does, unless it is a
    year or a day.
    """
    for chunk in _CHUNK.finditer(shown):
        start, end = chunk.span()
        last = _LAST_FIGURE.search(chunk[0])
        if (
            last
            and not _FIGURE.match(chunk[0])
            and not _YEAR.fullmatch(last[1])
            and not ends_with_day(chunk[0])
            and any(_width(shown[:end]) + n in edges for n in (-1, 0, 1))
        ):
            yield start, start + last.start()
            start += last.start(1)
        yield start, end


def _cells(
    page: int, row: int, start: int, line: str, edges: AbstractSet[int]
) -> Iterator[TableCell]:
    shown = _blank(line)
    for first, end in _parts(shown, edges):
        position = Position(page, start + first, start + end)
        yield TableCell(row, _width(shown[:first]), _width(shown[:end]), shown[first:end], position)


def _width(text: str) -> int:
    """Columns that a text takes in a fixed-width font."""
    return len(text.expandtabs(_TAB))
