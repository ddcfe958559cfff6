"""The result of reading: text, a box for every character, and the page ledger."""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from shared.documents.model.cells import (
    CELL,
    Cell,
    Cells,
    cell_of,
    check_cells,
    no_cells,
    pack_cells,
    unpack_cells,
)
from shared.errors import UnreadableDocument

Floats = npt.NDArray[np.float32]

GRID = 32
"""Coordinates are stored in 1/32 of a point, which a float32 represents exactly."""

_MAGIC = b"SPLB\x03"

_WORD = re.compile(r"\S+")
_PLAIN_NAME = re.compile(r"[^\W\d]\w*")
_LIKE_AN_ADDRESS = re.compile(r"[A-Za-z]{1,3}\d+|[Rr]\d*([Cc]\d*)?|[Cc]\d*")


class Box(NamedTuple):
    """A rectangle on one page, in points from the top left of the displayed page."""

    page: int
    x0: float
    y0: float
    x1: float
    y1: float


class Word(NamedTuple):
    """A word on a page, `text[start:end]`, or the part of it that is on one line.

    Points from the top left of the displayed page.
    """

    start: int
    end: int
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True)
class Page:
    """One page that was read: `text[start:end]`. Sizes in points, as displayed.

    A sheet is a page without a size, with a name. `method` is how it was read. `confidence` (0 to
    1) is that of recognised text.
    """

    number: int
    start: int
    end: int
    width: float = 0.0
    height: float = 0.0
    rotation: int = 0
    method: str = "text"
    name: str = ""
    confidence: float | None = None


@dataclass(frozen=True)
class FailedPage:
    """One page that could not be read, with an error code and a sentence."""

    number: int
    code: str
    reason: str


@dataclass(frozen=True)
class PageRead:
    """The content of one page, available before the whole document.

    `text` has the lines of the page. It may differ slightly from the final text, because hyphens at
    line ends are resolved with all pages. `number` counts from 1, of `pages`. Fields with the names
    of `Page` and `FailedPage` are theirs; `code` and `reason` are None unless the page failed.
    """

    number: int
    pages: int
    text: str = ""
    width: float = 0.0
    height: float = 0.0
    method: str = ""
    confidence: float | None = None
    code: str | None = None
    reason: str | None = None


PageCallback = Callable[[PageRead], None]
"""Called with each page in order. Pages are repeated after the death of a reader."""


@dataclass(frozen=True)
class Limits:
    """Limits for reading one document."""

    max_bytes: int = 50_000_000
    max_pages: int = 2_000
    max_text: int = 20_000_000
    """Most characters of a document with boxes (16 bytes each)."""
    max_plain_text: int = 50_000_000
    """Most characters of a document without boxes."""
    seconds: float = 120.0
    """Seconds for the document, without text recognition."""
    draw_seconds: float = 20.0
    """Most seconds to draw one page."""
    page_seconds: float = 120.0
    """Seconds to recognise one page."""
    scan_seconds: float = 3_600.0
    """Seconds to recognise all pages of a document."""
    memory_bytes: int = 1_500_000_000
    max_parts: int = 1_000
    """Most documents in one mail or archive, at any depth."""
    max_unpacked: int = 500_000_000
    """Most bytes of all parts."""
    max_depth: int = 10
    """Deepest nesting of mails and archives."""


def no_boxes(length: int = 0) -> Floats:
    """Return boxes of a text without pages: NaN for each character, without using memory."""
    return np.broadcast_to(np.float32(np.nan), (length, 4))


@dataclass(frozen=True, eq=False)
class ParsedDocument:
    """The text of one document with its page ledger and a box for every character.

    `boxes` float32 [len(text), 4]: x0, y0, x1, y1 in points from the top left of the displayed
    page; NaN for characters that are not on the page (line breaks, some spaces). Empty boxes become
    NaN for all. `furniture`: offsets of running headers, footers and page numbers; without them, a
    sentence continues over a page break. `cells`: the fields of sheets and tables in the order of
    the text, as records of `CELL`. `unsound`: pages whose characters are probably wrong
    (`text_quality.py`).
    """

    text: str
    pages: tuple[Page, ...] = ()
    boxes: Floats = field(default_factory=no_boxes)
    failed: tuple[FailedPage, ...] = ()
    furniture: tuple[tuple[int, int], ...] = ()
    warnings: tuple[str, ...] = ()
    media_type: str = "text/plain"
    metadata: dict[str, str] = field(default_factory=dict)
    cells: Cells = field(default_factory=no_cells)
    unsound: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not len(self.boxes):
            object.__setattr__(self, "boxes", no_boxes(len(self.text)))
        if self.boxes.shape != (len(self.text), 4):
            raise ValueError(f"{self.boxes.shape} boxes for {len(self.text)} characters")
        check_cells(self.cells, len(self.text))

    @property
    def page_count(self) -> int:
        """The number of pages, including failed ones."""
        return len(self.pages) + len(self.failed)

    @property
    def has_boxes(self) -> bool:
        return not np.isnan(self.boxes[:, 0]).all()

    def page_at(self, offset: int) -> int:
        """Return the number of the page of the character at `offset` (0 … len(text))."""
        if not 0 <= offset <= len(self.text):
            raise IndexError(f"offset {offset} in a text of {len(self.text)} characters")
        starts = [page.start for page in self.pages]
        return self.pages[max(0, int(np.searchsorted(starts, offset, "right")) - 1)].number

    def cells_of(self, start: int, end: int) -> list[Cell]:
        """Return the cells that overlap `text[start:end]`, in order."""
        if not 0 <= start <= end <= len(self.text):
            raise IndexError(f"{start}:{end} in a text of {len(self.text)} characters")
        first = int(np.searchsorted(self.cells["end"], start, "right"))
        last = int(np.searchsorted(self.cells["start"], end, "left"))
        return [cell_of(record) for record in self.cells[first:last]]

    def name_of(self, cell: Cell) -> str:
        """Return the name of a cell for people: `Sheet1!B7`, or `B7` without a sheet."""
        name = next((page.name for page in self.pages if page.number == cell.page), "")
        if not _PLAIN_NAME.fullmatch(name) or _LIKE_AN_ADDRESS.fullmatch(name):
            name = "'" + name.replace("'", "''") + "'" if name else ""
        table = f"table {cell.table} " if cell.table > 1 else ""
        return f"{name}!{table}{cell.address}" if name else f"{table}{cell.address}"

    def boxes_of(self, start: int, end: int) -> list[Box]:
        """Return the rectangles of `text[start:end]`: one for each piece of a line."""
        if not 0 <= start <= end <= len(self.text):
            raise IndexError(f"{start}:{end} in a text of {len(self.text)} characters")
        return [box for page in self.pages for box in self._on_page(page, start, end)]

    def words_on(self, page: Page) -> Iterator[Word]:
        """Yield the words of a page that are drawn on it, in the order of the text."""
        word = np.full(page.end - page.start, -1)  # the number of the word of each character
        for number, found in enumerate(_WORD.finditer(self.text, page.start, page.end)):
            word[found.start() - page.start : found.end() - page.start] = number
        drawn = np.flatnonzero((word >= 0) & ~np.isnan(self.boxes[page.start : page.end, 0]))
        if not len(drawn):
            return
        boxes = self.boxes[page.start + drawn]
        first = np.union1d(np.flatnonzero(np.diff(word[drawn], prepend=-1)), _jumps(boxes))
        last = np.append(first[1:], len(drawn)) - 1
        low = np.minimum.reduceat(boxes[:, :2], first).tolist()
        high = np.maximum.reduceat(boxes[:, 2:], first).tolist()
        starts = (page.start + drawn[first]).tolist()
        ends = (page.start + drawn[last] + 1).tolist()
        for start, end, lower, upper in zip(starts, ends, low, high, strict=True):
            yield Word(start, end, *lower, *upper)

    def _on_page(self, page: Page, start: int, end: int) -> Iterator[Box]:
        start, end = max(start, page.start), min(end, page.end)
        while start < end:
            line_end = self.text.find("\n", start, end)
            line_end = end if line_end < 0 else line_end
            boxes = self.boxes[start:line_end]
            boxes = boxes[~np.isnan(boxes[:, 0])]
            for piece in np.split(boxes, _jumps(boxes)) if len(boxes) else ():
                low, high = piece[:, :2].min(axis=0), piece[:, 2:].max(axis=0)
                yield Box(page.number, *low.tolist(), *high.tolist())
            start = line_end + 1

    def without_furniture(self) -> str:
        """Return the text without headers, footers and page numbers."""
        parts, position = [], 0
        for start, end in self.furniture:
            parts.append(self.text[position:start])
            position = end
        return "".join([*parts, self.text[position:]])

    def to_bytes(self, *, compress: bool = True) -> bytes:
        """Serialise the layout without the text; it can only be loaded with the same text."""
        head = {
            "text": [len(self.text), _digest(self.text)],
            "pages": [astuple(page) for page in self.pages],
            "failed": [astuple(page) for page in self.failed],
            "furniture": self.furniture,
            "warnings": self.warnings,
            "media_type": self.media_type,
            "metadata": self.metadata,
            "deflate": compress,
            "cells": len(self.cells),
            "unsound": self.unsound,
        }
        boxes = _pack(self.boxes)
        head["boxes"] = len(boxes)
        header = json.dumps(head).encode()
        body = boxes + pack_cells(self.cells)
        if compress:
            body = zlib.compress(body, 1)
        return _MAGIC + len(header).to_bytes(4, "little") + header + body

    @classmethod
    def from_bytes(cls, layout: bytes, text: str, *, positions: bool = True) -> ParsedDocument:
        """Load a document from its layout blob and its text. Raises UnreadableDocument.

        Without `positions` it has no boxes and no cells, which is much faster.
        """
        try:
            head, body = _unpack_head(layout)
            _check_text(head, text)
            if not positions:
                head, body = head | {"boxes": 0, "cells": 0, "deflate": False}, b""
            boxes, cells = head["boxes"], head["cells"]
            _check_counts(boxes, cells, len(text))
            if head["deflate"]:
                most = boxes + 2 * CELL.itemsize * cells
                body = zlib.decompressobj().decompress(body, most + 1)
            return cls(
                text=text,
                pages=tuple(Page(*page) for page in head["pages"]),
                boxes=_unpack(body[:boxes], len(text)),
                failed=tuple(FailedPage(*page) for page in head["failed"]),
                furniture=tuple((start, end) for start, end in head["furniture"]),
                warnings=tuple(head["warnings"]),
                media_type=head["media_type"],
                metadata=head["metadata"],
                cells=unpack_cells(body[boxes:], cells),
                unsound=tuple(head["unsound"]),
            )
        except (ValueError, KeyError, TypeError, zlib.error) as error:
            raise UnreadableDocument(
                f"the layout of this document can't be used: {error}"
            ) from error


def to_grid(boxes: Floats) -> Floats:
    """Round coordinates to the grid of the layout blob."""
    return np.round(boxes * GRID).astype(np.float32) / np.float32(GRID)


def _jumps(boxes: Floats) -> npt.NDArray[np.intp]:
    """Indices where a word continues on another line: boxes that are not side by side."""
    low, high = boxes[:, :2], boxes[:, 2:]
    shared = np.minimum(high[1:], high[:-1]) - np.maximum(low[1:], low[:-1])
    smaller = np.minimum(high[1:] - low[1:], high[:-1] - low[:-1])
    return np.flatnonzero((shared <= 0.2 * smaller).all(axis=1)) + 1


def _check_text(head: dict[str, Any], text: str) -> None:
    if head["text"] != [len(text), _digest(text)]:
        raise ValueError("it belongs to another text")


def _check_counts(boxes: int, cells: int, length: int) -> None:
    """Raises ValueError for more bytes of boxes, or more cells, than so many characters have."""
    if not (0 <= boxes <= 17 * length and 0 <= cells <= length):
        raise ValueError(f"{boxes} bytes of boxes and {cells} cells for {length} characters")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _pack(boxes: Floats) -> bytes:
    """Pack boxes column by column as differences of grid steps, behind a bitmap of the NaN rows.

    Returns no bytes if no character has a box.
    """
    missing = np.isnan(boxes[:, 0])
    if missing.all():
        return b""
    steps = np.round(boxes[~missing].astype(np.float64) * GRID).astype(np.int32)
    differences = np.diff(steps, axis=0, prepend=np.zeros((1, 4), np.int32))
    planes = np.ascontiguousarray(differences.T).view(np.uint8).reshape(4, -1, 4)
    return (
        np.packbits(missing).tobytes() + np.ascontiguousarray(planes.transpose(0, 2, 1)).tobytes()
    )


def _unpack(body: bytes, length: int) -> Floats:
    if not body:
        return no_boxes(length)
    bitmap = (length + 7) // 8
    missing = np.unpackbits(np.frombuffer(body, np.uint8, bitmap), count=length).astype(bool)
    planes = np.frombuffer(body, np.uint8, offset=bitmap).reshape(4, 4, -1).transpose(0, 2, 1)
    differences = np.ascontiguousarray(planes).view(np.int32).reshape(4, -1)
    boxes = np.full((length, 4), np.nan, np.float32)
    boxes[~missing] = (np.cumsum(differences, axis=1).T / GRID).astype(np.float32)
    return boxes


def _unpack_head(layout: bytes) -> tuple[dict[str, Any], bytes]:
    if not layout.startswith(_MAGIC):
        raise ValueError("it is not a layout blob")
    start = len(_MAGIC) + 4
    end = start + int.from_bytes(layout[len(_MAGIC) : start], "little")
    return dict(json.loads(layout[start:end])), layout[end:]
