"""Turn the paragraphs and tables of a document without fixed pages (DOCX, HTML, …) into a text.

Blank lines separate paragraphs, line breaks rows, tabs cells. A cell of several lines ends with a
line break, so its last line never runs into the next cell. Blank lines separate rows with such
cells.

Marks in the text begin pages: HARD where the author wants a new page, SOFT where a program last
laid one out. A SOFT right after a HARD is the same page. Neither character can occur in a text;
both are removed at the end.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from shared.documents.model.cells import MAX_COLUMNS, MAX_ROWS, Cells, no_cells
from shared.documents.model.parsed_document import FailedPage, Limits, Page, ParsedDocument
from shared.documents.pages.page_breaks import running_lines
from shared.errors import DocumentTooLarge, EmptyDocument, UnreadableDocument

HARD = "\f"
SOFT = "\v"

_CHANGES = ("insertion", "deletion", "move")
_NOT_READ = ("chart", "diagram", "embedded object", "embedded document")
_GAP = "\n\n"
_MARKS = re.compile(f"[{HARD}{SOFT}]")
_NOT_MARKS = re.compile(f"[^{HARD}{SOFT}]+")
_OPENS_A_FIGURE = re.compile(r"\(?[$€£¥]?\(?")
_FIGURE_BEGINS = re.compile(r"[\d(.—–-]")  # noqa: RUF001 - a dash for nothing
_CLOSES_A_FIGURE = re.compile(r"\)?%?\)?")
_FIGURE_ENDS = re.compile(r"[\d).—–-]\Z")  # noqa: RUF001 - a dash for nothing
_MOST_TABLES = 65_535  # on one page; further tables have no cells

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
    """Remove invisible characters (controls, soft hyphens, zero-width spaces); unify spaces."""
    return text.translate(_PLAIN) if _ODD.search(text) else text


@dataclass
class TableCell:
    """One cell of a table: its content, position (from 1) and spans."""

    content: Piece
    row: int
    column: int
    rows: int = 1
    columns: int = 1


class _Span(NamedTuple):
    """The position of a cell in a piece."""

    start: int
    end: int
    table: int
    row: int
    column: int
    rows: int
    columns: int


@dataclass(frozen=True)
class Piece:
    """Text with page marks, and the cells in it."""

    text: str = ""
    spans: tuple[_Span, ...] = ()

    @property
    def visible(self) -> bool:
        """Whether it has more than white space and page marks."""
        return bool(self.text) and not self.text.isspace()

    @property
    def lines(self) -> bool:
        return "\n" in self.text


def trimmed(text: str) -> Piece:
    """Return a piece without white space at its ends; page marks stay."""
    core = text.strip()
    if len(core) == len(text):
        return Piece(text)
    if not core:
        return Piece(_NOT_MARKS.sub("", text))
    start = text.index(core)
    lead, tail = text[:start], text[start + len(core) :]
    return Piece(f"{_NOT_MARKS.sub('', lead)}{core}{_NOT_MARKS.sub('', tail)}")


def labelled(label: str, text: str) -> Piece:
    """Return a paragraph with a number before it, behind the leading page marks."""
    start = len(text) - len(text.lstrip())
    return trimmed(f"{text[:start]}{label}{text[start:]}")


def without_marks(piece: Piece, marks: str = HARD + SOFT) -> Piece:
    """Return the piece without page marks, or without one kind of them."""
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


def stacked(pieces: Iterable[Piece]) -> Piece:
    """Join pieces with line breaks; see `joined`."""
    return joined(pieces, lambda *_: "\n")


def joined(pieces: Iterable[Piece], between: Callable[[Piece, Piece], str]) -> Piece:
    """Join pieces; page marks of invisible pieces move to the next visible one."""
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
class UnshownContent:
    """Counts of content that the text does not show, by kind, for warnings."""

    counts: Counter[str] = field(default_factory=Counter)
    last_change: tuple[str, str] | None = None

    def change(self, kind: str, author: str) -> None:
        """Count a tracked change; consecutive changes by one author are one."""
        if self.last_change != (kind, author):
            self.counts[kind] += 1
        self.last_change = (kind, author)

    def warnings(self) -> Iterator[str]:
        changes = [counted(self.counts[kind], kind) for kind in _CHANGES if self.counts[kind]]
        if changes:
            yield f"it has tracked changes ({', '.join(changes)}): read as if all were accepted"
        if comments := self.counts["comment"]:
            yield f"{counted(comments, 'comment')} in it: not part of the text"
        if hidden := self.counts["hidden character"]:
            yield f"hidden text in it ({counted(hidden, 'character')}): left out"
        if self.counts["macros"]:
            yield "macros in it: not run"
        for kind in _NOT_READ:
            if self.counts[kind]:
                yield f"{counted(self.counts[kind], kind)} in it: not read"


def counted(number: int, what: str) -> str:
    """Return `1 comment`, `2 comments`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


@dataclass
class Flow:
    """The blocks of one document, in the order of its text."""

    limits: Limits
    warnings: list[str] = field(default_factory=list)
    unshown: UnshownContent = field(default_factory=UnshownContent)
    footers: list[Piece] = field(default_factory=list)
    """Footers of the current section or page style."""
    _running: set[str] = field(default_factory=set)
    _blocks: list[_Block] = field(default_factory=list)
    _length: int = 0
    _tables: int = 0

    def add(self, piece: Piece, *, furniture: bool = False) -> None:
        """Add a paragraph, or a table from `table`; `furniture` marks a running header or footer.

        Raises DocumentTooLarge when the text exceeds the limit.
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
        """Insert a block at an index; see `__len__`."""
        self.add(piece, furniture=furniture)
        if piece.text:
            self._blocks.insert(index, self._blocks.pop())

    def running(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """Yield a header or footer as one piece, unless it is empty or occurred before."""
        text = without_marks(stacked(pieces)).text
        if text and text not in self._running:
            self._running.add(text)
            yield Piece(text)

    def add_footers(self) -> None:
        """Add the footers of the section that ended; endnotes may come before the last ones."""
        for piece in self.footers:
            self.add(piece, furniture=True)
        self.footers = []

    def __len__(self) -> int:
        """The number of blocks."""
        return len(self._blocks)

    def warn(self, text: str) -> None:
        """Record a warning once."""
        if text not in self.warnings:
            self.warnings.append(text)

    def warn_of_unshown(self) -> None:
        for text in self.unshown.warnings():
            self.warn(text)

    @property
    def visible(self) -> bool:
        return any(block.piece.visible for block in self._blocks)

    def table(self, rows: Iterable[Sequence[TableCell]]) -> Piece:
        """Return the rows of one table as a piece, to be added or nested in a cell."""
        self._tables += 1
        return joined((_row(row, self._tables) for row in rows), _between_rows)

    def to_document(
        self,
        media_type: str,
        method: str,
        metadata: dict[str, str] | None = None,
        damage: str | None = None,
        *,
        running: bool = False,
    ) -> ParsedDocument:
        """Return all blocks as a document without boxes.

        Args:
            media_type: of the document.
            method: recorded in each page.
            metadata: of the document.
            damage: why the rest can't be read: the last page is then a failed one.
            running: whether to detect page numbers and titles at the ends of pages, for formats
                that don't mark them.

        Raises EmptyDocument without a text, UnreadableDocument if damage is the reason.
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
        return ParsedDocument(
            text=text,
            pages=pages,
            failed=failed,
            furniture=tuple(running_lines(text, pages)) if running else draft.plain_furniture,
            warnings=tuple(self.warnings),
            media_type=media_type,
            metadata=metadata or {},
            cells=_cells(draft, pages),
        )

    def _drafted(self) -> _Draft:
        """Join all blocks; record the offsets of furniture with its line breaks."""
        furniture: list[tuple[int, int]] = []
        pieces: list[Piece] = []
        length, body, marks = 0, False, ""
        for block in self._blocks:
            if not block.piece.visible:
                marks += block.piece.text
                continue
            if not body and furniture:
                furniture[-1] = (furniture[-1][0], length + len(_GAP))
            gap = _GAP if pieces else ""
            lead, before = gap + marks, length
            pieces += (Piece(lead), block.piece)
            length += len(lead) + len(block.piece.text)
            if block.furniture:
                furniture.append((before if body else before + len(gap), length))
            body, marks = body or not block.furniture, ""
        return _Draft(_chained([*pieces, Piece(marks)]), furniture)


def _row(cells: Sequence[TableCell], table: int) -> Piece:
    """Join a row. Only the cell with most page breaks keeps them."""
    if any(SOFT in cell.content.text for cell in cells):
        longest = max(cells, key=lambda cell: cell.content.text.count(SOFT))
        cells = [
            c if c is longest else replace(c, content=without_marks(c.content, SOFT)) for c in cells
        ]
    return joined((_as_cell(cell, table) for cell in cells), _between_cells)


def _as_cell(cell: TableCell, table: int) -> Piece:
    """Mark the content as a cell, unless it has an inner table or a blank line."""
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
    """The text with its page marks, and the mapping of offsets to the text without them."""

    def __init__(self, marked: Piece, furniture: Sequence[tuple[int, int]]) -> None:
        self.text = _MARKS.sub("", marked.text)
        self.spans = marked.spans
        self._marked = marked.text
        self._mark_offsets = [match.start() for match in _MARKS.finditer(marked.text)]
        self._furniture = furniture

    def offset(self, marked: int) -> int:
        return marked - bisect_left(self._mark_offsets, marked)

    @property
    def plain_furniture(self) -> tuple[tuple[int, int], ...]:
        return tuple((self.offset(start), self.offset(end)) for start, end in self._furniture)

    def pages(self, method: str, most: int) -> tuple[Page, ...]:
        """Return the ledger. Raises DocumentTooLarge for more than `most` pages."""
        turns = [0, *self._turns(), len(self.text)]
        if len(turns) - 1 > most:
            raise DocumentTooLarge(
                f"the document has {len(turns) - 1:,} pages: the limit is {most:,}"
            )
        pages = []
        for number, (start, end) in enumerate(pairwise(turns), 1):
            core = self.text[start:end]
            first = end if not core.strip("\n") else start + len(core) - len(core.lstrip("\n"))
            last = max(first, start + len(core.rstrip("\n")))
            pages.append(Page(number, first, last, method=method))
        return tuple(pages)

    def _turns(self) -> Iterator[int]:
        """Yield where a page begins: at each HARD, and at a SOFT after some text."""
        since = 0
        for mark in self._mark_offsets:
            if self._marked[mark] == HARD or self._body_between(since, mark):
                yield self.offset(mark)
            since = mark + 1

    def _body_between(self, start: int, end: int) -> bool:
        """Whether there is text other than furniture."""
        first = bisect_right(self._furniture, start, key=itemgetter(1))
        for begins, ends in self._furniture[first:]:
            if begins >= end:
                break
            if self._marked[start:begins].strip():
                return True
            start = max(start, ends)
        return bool(self._marked[start:end].strip())


def _chained(pieces: Sequence[Piece]) -> Piece:
    spans: list[_Span] = []
    length = 0
    for piece in pieces:
        spans += (_moved(span, length) for span in piece.spans)
        length += len(piece.text)
    return Piece("".join(piece.text for piece in pieces), tuple(spans))


def _moved(span: _Span, by: int) -> _Span:
    return span._replace(start=span.start + by, end=span.end + by)


def _cells(draft: _Draft, pages: Sequence[Page]) -> Cells:
    """Return the cells by page; the tables of each page are numbered in order."""
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
        record = (page, table, span.column, span.columns, span.row, span.rows, start, end, np.nan)
        cells[count] = record
        count += 1
    return cells[:count]
