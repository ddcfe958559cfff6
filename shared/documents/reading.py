"""What reading a document gives: its text, where each character stands, and the page ledger."""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from shared.documents.cells import (
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
"""Coordinates are kept to a 1/32 of a point, which a float32 holds exactly."""

_MAGIC = b"SPLB\x02"
_OLDER = b"SPLB\x01"
"""The first form of a layout blob: without cells and without names of pages."""

_PLAIN_NAME = re.compile(r"[^\W\d]\w*")
_LIKE_AN_ADDRESS = re.compile(r"[A-Za-z]{1,3}\d+|[Rr]\d*([Cc]\d*)?|[Cc]\d*")


class Box(NamedTuple):
    """A rectangle on one page, in points, origin top left of the page as displayed."""

    page: int
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True)
class Page:
    """One page that was read: `text[start:end]` of its reading. Sizes in points, as displayed.

    A sheet is a page too: without a size, and with the name that it has in its workbook.
    `method` says how it was read, and `confidence` (0 to 1) how sure a program was that recognised
    its text in a picture; text that a file holds itself has none.
    """

    number: int
    start: int
    end: int
    width: float
    height: float
    rotation: int = 0
    method: str = "text"
    name: str = ""
    confidence: float | None = None


@dataclass(frozen=True)
class FailedPage:
    """One page that could not be read, with a code to search for and a sentence to show."""

    number: int
    code: str
    reason: str


@dataclass(frozen=True)
class Limits:
    """What reading one document may cost."""

    max_bytes: int = 50_000_000
    max_pages: int = 2_000
    max_text: int = 20_000_000
    """Characters of a document with boxes, which take sixteen bytes each."""
    max_plain_text: int = 50_000_000
    """Characters of a document without boxes."""
    seconds: float = 120.0
    """For the document, apart from recognising text in pictures."""
    page_seconds: float = 120.0
    """For recognising one page, or turning it upright."""
    scan_seconds: float = 3_600.0
    """For recognising all pages of a document together."""
    memory_bytes: int = 1_500_000_000
    max_parts: int = 1_000
    """Documents that lie in one mail or archive, however deep."""
    max_unpacked: int = 500_000_000
    """Bytes of all of them together."""
    max_depth: int = 10
    """How deep mails and archives may lie in one another."""


@dataclass(frozen=True, eq=False)
class Reading:
    """The text of one document with its page ledger and a box for every character.

    `boxes` is float32 [len(text), 4]: x0, y0, x1, y1 in points, origin top left of the page as
    displayed; NaN where a character was not on the page (line breaks, some spaces).
    `furniture` are the running headers, footers and page numbers, as offsets into the text; with
    them cut out, a sentence that a page break interrupts reads on.
    `cells` are the fields of sheets and tables that have text, in the order of the text, as
    records of `CELL`; `cell_at` and `cells_of` give them as `Cell`.
    `unsound` are the pages whose text can hardly be what stands on them (`soundness.py`).
    """

    text: str
    pages: tuple[Page, ...]
    boxes: Floats
    page_count: int
    failed: tuple[FailedPage, ...] = ()
    furniture: tuple[tuple[int, int], ...] = ()
    warnings: tuple[str, ...] = ()
    media_type: str = "text/plain"
    metadata: dict[str, str] = field(default_factory=dict)
    cells: Cells = field(default_factory=no_cells)
    unsound: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.boxes.shape != (len(self.text), 4):
            raise ValueError(f"{self.boxes.shape} boxes for {len(self.text)} characters")
        if len(self.pages) + len(self.failed) != self.page_count:
            raise ValueError(f"{self.page_count} pages, but the ledger has another number")
        check_cells(self.cells, len(self.text))

    @property
    def has_boxes(self) -> bool:
        """Whether any character stands on a page."""
        return not np.isnan(self.boxes[:, 0]).all()

    def page_at(self, offset: int) -> int:
        """The number of the page that holds the character at `offset` (0 … len(text))."""
        if not 0 <= offset <= len(self.text):
            raise IndexError(f"offset {offset} in a text of {len(self.text)} characters")
        starts = [page.start for page in self.pages]
        return self.pages[max(0, int(np.searchsorted(starts, offset, "right")) - 1)].number

    def cell_at(self, offset: int) -> Cell | None:
        """The cell that the character at `offset` belongs to; None between cells."""
        self.page_at(offset)
        found = int(np.searchsorted(self.cells["start"], offset, "right")) - 1
        if found < 0 or offset >= int(self.cells["end"][found]):
            return None
        return cell_of(self.cells[found])

    def cells_of(self, start: int, end: int) -> list[Cell]:
        """The cells that have some of `text[start:end]`, in its order."""
        if not 0 <= start <= end <= len(self.text):
            raise IndexError(f"{start}:{end} in a text of {len(self.text)} characters")
        first = int(np.searchsorted(self.cells["end"], start, "right"))
        last = int(np.searchsorted(self.cells["start"], end, "left"))
        return [cell_of(record) for record in self.cells[first:last]]

    def name_of(self, cell: Cell) -> str:
        """How a person finds a cell: `Sheet1!B7`, and without a sheet's name `B7`."""
        name = next((page.name for page in self.pages if page.number == cell.page), "")
        if not _PLAIN_NAME.fullmatch(name) or _LIKE_AN_ADDRESS.fullmatch(name):
            name = "'" + name.replace("'", "''") + "'" if name else ""
        table = f"table {cell.table} " if cell.table > 1 else ""
        return f"{name}!{table}{cell.address}" if name else f"{table}{cell.address}"

    def boxes_of(self, start: int, end: int) -> list[Box]:
        """The rectangles that cover `text[start:end]`: one for each piece of a line."""
        if not 0 <= start <= end <= len(self.text):
            raise IndexError(f"{start}:{end} in a text of {len(self.text)} characters")
        return [box for page in self.pages for box in self._on_page(page, start, end)]

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
        """The running text: what is left with headers, footers and page numbers cut out."""
        kept, position = [], 0
        for start, end in self.furniture:
            kept.append(self.text[position:start])
            position = end
        return "".join([*kept, self.text[position:]])

    def to_bytes(self, *, compress: bool = True) -> bytes:
        """The layout without the text, for a blob: small, exact, and refused for another text."""
        head = {
            "text": [len(self.text), _digest(self.text)],
            "pages": [
                [
                    *(p.number, p.start, p.end, p.width, p.height, p.rotation),
                    *(p.method, p.name, p.confidence),
                ]
                for p in self.pages
            ],
            "failed": [[f.number, f.code, f.reason] for f in self.failed],
            "page_count": self.page_count,
            "furniture": self.furniture,
            "warnings": self.warnings,
            "media_type": self.media_type,
            "metadata": self.metadata,
            "deflate": compress,
            "cells": len(self.cells),
            **({"unsound": self.unsound} if self.unsound else {}),
        }
        boxes = _pack(self.boxes)
        head["boxes"] = len(boxes)
        header = json.dumps(head).encode()
        body = boxes + pack_cells(self.cells)
        if compress:
            body = zlib.compress(body, 1)
        return _MAGIC + len(header).to_bytes(4, "little") + header + body

    @classmethod
    def from_bytes(cls, layout: bytes, text: str, *, places: bool = True) -> Reading:
        """The reading again, from its layout blob and its text; raises UnreadableDocument.

        Without `places` it has no boxes and no cells, which are most of the work.
        """
        try:
            head, body = _unpack_head(layout)
            _check_text(head, text)
            if not places:
                head, body = head | {"boxes": 0, "cells": 0, "deflate": False}, b""
            body = zlib.decompress(body) if head["deflate"] else body
            boxes = head.get("boxes", len(body))
            return cls(
                text=text,
                pages=tuple(Page(*page) for page in head["pages"]),
                boxes=_unpack(body[:boxes], len(text)),
                page_count=head["page_count"],
                failed=tuple(FailedPage(*page) for page in head["failed"]),
                furniture=tuple((start, end) for start, end in head["furniture"]),
                warnings=tuple(head["warnings"]),
                media_type=head["media_type"],
                metadata=head["metadata"],
                cells=unpack_cells(body[boxes:], head.get("cells", 0)),
                unsound=tuple(head.get("unsound", ())),
            )
        except (ValueError, KeyError, TypeError, zlib.error) as error:
            raise UnreadableDocument(
                f"the layout of this document can't be used: {error}"
            ) from error


def no_boxes(length: int) -> Floats:
    """Boxes of a text that stands on no page: NaN for each character, in no memory."""
    return np.broadcast_to(np.float32(np.nan), (length, 4))


def to_grid(boxes: Floats) -> Floats:
    """Coordinates rounded to the grid that a layout blob keeps exactly."""
    return np.round(boxes * GRID).astype(np.float32) / np.float32(GRID)


def _jumps(boxes: Floats) -> npt.NDArray[np.intp]:
    """Where a word joined over a line end jumps: neighbours side by side in neither direction."""
    low, high = boxes[:, :2], boxes[:, 2:]
    shared = np.minimum(high[1:], high[:-1]) - np.maximum(low[1:], low[:-1])
    smaller = np.minimum(high[1:] - low[1:], high[:-1] - low[:-1])
    return np.flatnonzero((shared <= 0.2 * smaller).all(axis=1)) + 1


def _check_text(head: dict[str, Any], text: str) -> None:
    if head["text"] != [len(text), _digest(text)]:
        raise ValueError("it belongs to another text")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _pack(boxes: Floats) -> bytes:
    """Column by column as differences of grid steps; a NaN row is marked in a leading bitmap.

    Nothing at all for a text of which no character has a box.
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
    if not layout.startswith((_MAGIC, _OLDER)):
        raise ValueError("it is no layout blob")
    start = len(_MAGIC) + 4
    end = start + int.from_bytes(layout[len(_MAGIC) : start], "little")
    return dict(json.loads(layout[start:end])), layout[end:]
