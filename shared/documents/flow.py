"""From the paragraphs and tables of a document without fixed pages (DOCX, HTML, …) to its reading.

Paragraphs are separated by a blank line, rows of a table by a line break, cells by a tab. A cell of
several lines ends with a line break instead, so that its last line never runs into the next cell;
rows that have such cells are separated by a blank line.

Pages begin where the text has a mark: HARD where the author wants a new page, SOFT where the
program that wrote the file last laid out one. A SOFT right after a HARD is the same page. Both are
characters that no XML and no text of ours may hold, and are gone in the end.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from shared.documents.cells import MAX_COLUMNS, MAX_ROWS, Cells, no_cells
from shared.documents.reading import FailedPage, Limits, Page, Reading, no_boxes
from shared.documents.running import running_lines
from shared.errors import DocumentTooLarge, EmptyDocument, UnreadableDocument

HARD = "\f"
SOFT = "\v"

_GAP = "\n\n"
_MARKS = re.compile(f"[{HARD}{SOFT}]")
_NOT_MARKS = re.compile(f"[^{HARD}{SOFT}]+")
_OPENS_A_FIGURE = re.compile(r"\(?[$€£¥]?\(?")
_FIGURE_BEGINS = re.compile(r"[\d(.—–-]")  # noqa: RUF001 - a dash for nothing
_CLOSES_A_FIGURE = re.compile(r"\)?%?\)?")
_FIGURE_ENDS = re.compile(r"[\d).—–-]\Z")  # noqa: RUF001 - a dash for nothing
_MOST_TABLES = 65_535  # on one page; cells of more are kept as text alone

_SPACES = (
    "\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
)
_UNSEEN = "\xad\u200b\u2060\ufeff"
_PLAIN = (
    dict.fromkeys([*range(9), *range(14, 32), *range(127, 160)])
    | dict.fromkeys(map(ord, _UNSEEN))
    | dict.fromkeys(map(ord, _SPACES), " ")
    | dict.fromkeys((0x85, 0x2028, 0x2029), "\n")
)
_ODD = re.compile(f"[\0-\x08\x0e-\x1f\x7f-\x9f\u2028\u2029{_SPACES}{_UNSEEN}]")


def plain(text: str) -> str:
    """Without what nobody sees: controls, soft hyphens, zero-width spaces; other spaces as one."""
    return text.translate(_PLAIN) if _ODD.search(text) else text


class TableCell(NamedTuple):
    """One cell: its contents, its place from 1 on, and how many rows and columns it takes."""

    content: Piece
    row: int
    column: int
    rows: int = 1
    columns: int = 1


class _Span(NamedTuple):
    """Where in a piece a cell of some table stands."""

    start: int
    end: int
    table: int
    row: int
    column: int
    rows: int
    columns: int


@dataclass(frozen=True)
class Piece:
    """Text with page marks in it, and the cells that stand in it."""

    text: str = ""
    spans: tuple[_Span, ...] = ()

    @property
    def visible(self) -> bool:
        """Whether there is more than white space and page marks."""
        return bool(self.text) and not self.text.isspace()

    @property
    def lines(self) -> bool:
        """Whether it has more than one line."""
        return "\n" in self.text


def trimmed(text: str) -> Piece:
    """A piece without white space at its ends; page marks there stay."""
    core = text.strip()
    if len(core) == len(text):
        return Piece(text)
    if not core:
        return Piece(_NOT_MARKS.sub("", text))
    start = text.index(core)
    lead, tail = text[:start], text[start + len(core) :]
    return Piece(f"{_NOT_MARKS.sub('', lead)}{core}{_NOT_MARKS.sub('', tail)}")


def labelled(label: str, text: str) -> Piece:
    """A paragraph with a number before it, behind the page marks that it begins with."""
    start = len(text) - len(text.lstrip())
    return trimmed(f"{text[:start]}{label}{text[start:]}")


def without_marks(piece: Piece, marks: str = HARD + SOFT) -> Piece:
    """The piece without its page marks, or without those of one kind."""
    places = [match.start() for match in re.finditer(f"[{marks}]", piece.text)]
    if not places:
        return piece
    spans = (
        s._replace(
            start=s.start - bisect_left(places, s.start), end=s.end - bisect_left(places, s.end)
        )
        for s in piece.spans
    )
    return Piece(re.sub(f"[{marks}]", "", piece.text), tuple(spans))


def joined(pieces: Iterable[Piece], between: Callable[[Piece, Piece], str]) -> Piece:
    """Pieces one after the other; page marks of invisible ones go to the next that is visible."""
    chain: list[Piece] = []
    marks, last = "", None
    for piece in pieces:
        if not piece.visible:
            marks += _NOT_MARKS.sub("", piece.text)
            continue
        chain += (Piece((between(last, piece) if last else "") + marks), piece)
        marks, last = "", piece
    return _chained([*chain, Piece(marks)])


@dataclass(frozen=True)
class _Block:
    piece: Piece
    furniture: bool = False


@dataclass
class Flow:
    """The blocks of one document, in the order of its text."""

    limits: Limits
    warnings: list[str] = field(default_factory=list)
    _blocks: list[_Block] = field(default_factory=list)
    _length: int = 0
    _tables: int = 0

    def add(self, piece: Piece, *, furniture: bool = False) -> None:
        """A paragraph, or a table as `table` makes it; `furniture` is a running header or footer.

        Raises DocumentTooLarge once the text is longer than the limit.
        """
        if not piece.text:
            return
        self._length += len(piece.text)
        if self._length > self.limits.max_plain_text:
            raise DocumentTooLarge(
                f"the document has more than {self.limits.max_plain_text:,} characters"
            )
        self._blocks.append(_Block(piece, furniture))

    def add_at(self, index: int, piece: Piece, *, furniture: bool = False) -> None:
        """A block in the place of the `index`th, which goes after it; see `__len__`."""
        self.add(piece, furniture=furniture)
        if piece.text:
            self._blocks.insert(index, self._blocks.pop())

    def __len__(self) -> int:
        """How many blocks there are."""
        return len(self._blocks)

    def warn(self, text: str) -> None:
        """Keep a warning, once."""
        if text not in self.warnings:
            self.warnings.append(text)

    @property
    def visible(self) -> bool:
        """Whether there is any text yet."""
        return any(block.piece.visible for block in self._blocks)

    def table(self, rows: Iterable[Sequence[TableCell]]) -> Piece:
        """The rows of one table as a piece, ready to be added or to stand in a cell itself."""
        self._tables += 1
        return joined((_row(row, self._tables) for row in rows), _between_rows)

    def reading(
        self,
        media_type: str,
        method: str,
        metadata: dict[str, str] | None = None,
        damage: str | None = None,
        *,
        running: bool = False,
    ) -> Reading:
        """All of it as a reading without boxes.

        `damage` says why nothing can be read after what was added: then the last page is a failed
        one. `running` looks for page numbers and the like at the ends of pages, where the document
        does not tell them from its text. Raises EmptyDocument, or UnreadableDocument for a damaged
        document without any text.
        """
        if not self.visible:
            if damage:
                raise UnreadableDocument(f"the document can't be read: {damage}")
            raise EmptyDocument("the document has no text")
        draft = self._drafted()
        text, pages = draft.text, draft.pages(method, self.limits.max_pages)
        failed: tuple[FailedPage, ...] = ()
        if damage:
            reason = f"nothing after this point can be read: {damage}"
            failed = (FailedPage(len(pages) + 1, "unreadable_page", reason),)
        return Reading(
            text=text,
            pages=pages,
            boxes=no_boxes(len(text)),
            page_count=len(pages) + len(failed),
            failed=failed,
            furniture=tuple(running_lines(text, pages)) if running else draft.plain_furniture,
            warnings=tuple(self.warnings),
            media_type=media_type,
            metadata=metadata or {},
            cells=_cells(draft, pages),
        )

    def _drafted(self) -> _Draft:
        """All blocks in one, and where furniture stands, with the line breaks that go with it."""
        furniture: list[tuple[int, int]] = []
        whole: list[Piece] = []
        length, body, marks = 0, False, ""
        for block in self._blocks:
            if not block.piece.visible:
                marks += block.piece.text
                continue
            if not body and furniture:
                furniture[-1] = (furniture[-1][0], length + len(_GAP))
            gap = _GAP if whole else ""
            lead, before = gap + marks, length
            whole += (Piece(lead), block.piece)
            length += len(lead) + len(block.piece.text)
            if block.furniture:
                furniture.append((before if body else before + len(gap), length))
            body, marks = body or not block.furniture, ""
        return _Draft(_chained([*whole, Piece(marks)]), furniture)


def _row(cells: Sequence[TableCell], table: int) -> Piece:
    """One row; where it runs over a page end, as far as the cell that runs over most of them."""
    if any(SOFT in cell.content.text for cell in cells):
        longest = max(cells, key=lambda cell: cell.content.text.count(SOFT))
        cells = [
            c if c is longest else c._replace(content=without_marks(c.content, SOFT)) for c in cells
        ]
    return joined((_as_cell(cell, table) for cell in cells), _between_cells)


def _as_cell(cell: TableCell, table: int) -> Piece:
    """The contents with a span around them, unless they have cells of an inner table, or a blank
    line: then the cell is no more than a frame."""
    piece = cell.content
    if piece.spans or not piece.visible or "\n\n" in piece.text:
        return piece
    if cell.column > MAX_COLUMNS or cell.row > MAX_ROWS:
        return piece
    start = len(piece.text) - len(piece.text.lstrip())
    end = len(piece.text.rstrip())
    rows, columns = min(cell.rows, MAX_ROWS), min(cell.columns, MAX_COLUMNS)
    span = _Span(start, end, table, cell.row, cell.column, max(1, rows), max(1, columns))
    return replace(piece, spans=(span,))


def _between_cells(before: Piece, after: Piece) -> str:
    if before.lines:
        return "\n"
    if _OPENS_A_FIGURE.fullmatch(before.text) and _FIGURE_BEGINS.match(after.text):
        return ""
    if _CLOSES_A_FIGURE.fullmatch(after.text) and _FIGURE_ENDS.search(before.text[-1:]):
        return ""
    return "\t"


def _between_rows(before: Piece, after: Piece) -> str:
    return "\n\n" if before.lines or after.lines else "\n"


class _Draft:
    """The text with its page marks, and what becomes of offsets into it without them."""

    def __init__(self, marked: Piece, furniture: Sequence[tuple[int, int]]) -> None:
        self.text = _MARKS.sub("", marked.text)
        self.spans = marked.spans
        self._marked = marked.text
        self._places = [match.start() for match in _MARKS.finditer(marked.text)]
        self._furniture = furniture

    def offset(self, marked: int) -> int:
        """The offset into the text of an offset into the text with marks."""
        return marked - bisect_left(self._places, marked)

    @property
    def plain_furniture(self) -> tuple[tuple[int, int], ...]:
        """Where furniture stands in the text."""
        return tuple((self.offset(start), self.offset(end)) for start, end in self._furniture)

    def pages(self, method: str, most: int) -> tuple[Page, ...]:
        """The ledger. Raises DocumentTooLarge for more than `most` pages."""
        turns = [0, *self._turns(), len(self.text)]
        if len(turns) - 1 > most:
            raise DocumentTooLarge(
                f"the document has {len(turns) - 1:,} pages: at most {most:,} are read"
            )
        pages = []
        for number, (start, end) in enumerate(pairwise(turns), 1):
            core = self.text[start:end]
            first = end if not core.strip("\n") else start + len(core) - len(core.lstrip("\n"))
            last = max(first, start + len(core.rstrip("\n")))
            pages.append(Page(number, first, last, 0.0, 0.0, 0, method))
        return tuple(pages)

    def _turns(self) -> Iterator[int]:
        """Where a page ends and the next begins. A SOFT with nothing before it on its page is
        that of the HARD which began the page."""
        since = 0
        for place in self._places:
            if self._marked[place] == HARD or self._body_between(since, place):
                yield self.offset(place)
            since = place + 1

    def _body_between(self, start: int, end: int) -> bool:
        """Whether anything but furniture stands there."""
        first = bisect_right(self._furniture, start, key=itemgetter(1))
        for begins, ends in self._furniture[first:]:
            if begins >= end:
                break
            if self._marked[start:begins].strip():
                return True
            start = max(start, ends)
        return bool(self._marked[start:end].strip())


def _chained(pieces: Sequence[Piece]) -> Piece:
    """Pieces one after the other with nothing between."""
    spans: list[_Span] = []
    length = 0
    for piece in pieces:
        spans += (_moved(span, length) for span in piece.spans)
        length += len(piece.text)
    return Piece("".join(piece.text for piece in pieces), tuple(spans))


def _moved(span: _Span, by: int) -> _Span:
    return span._replace(start=span.start + by, end=span.end + by)


def _cells(draft: _Draft, pages: Sequence[Page]) -> Cells:
    """The cells by page, the tables of each page numbered as they come."""
    cells = no_cells(len(draft.spans))
    starts = [page.start for page in pages]
    numbers: dict[int, dict[int, int]] = defaultdict(dict)
    count = 0
    for span in draft.spans:
        start, end = draft.offset(span.start), draft.offset(span.end)
        page = max(1, bisect_right(starts, start))
        table = numbers[page].setdefault(span.table, len(numbers[page]) + 1)
        if table > _MOST_TABLES:
            continue
        place = (page, table, span.column, span.columns, span.row, span.rows, start, end, np.nan)
        cells[count] = place
        count += 1
    return cells[:count]
