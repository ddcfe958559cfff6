"""Read text with boxes, and draw pages, with PDFium. The only module that imports pypdfium2.

PDFium is not thread-safe, so everything here holds one lock. Characters are fetched in bulk through
the C interface (about a microsecond each).
"""

from __future__ import annotations

import ctypes
import io
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt
import pypdfium2.raw as c
from PIL import Image

from shared.documents.model.glyphs import SKEWED, Codes, Glyphs, Turns, turned
from shared.documents.model.parsed_document import Floats
from shared.documents.model.passwords import password_error
from shared.errors import NotFound, UnreadableDocument

_LOCK = threading.RLock()
_MAX_PIXELS = 40_000_000
_MANY_PATHS = 100
LITTLE_TEXT = 400
"""Below so many characters, a page's pictures are examined: it may be a scan with a stamp."""
_FORM_DEPTH = 4
_Pointer = ctypes.c_void_p


def _function(function: Any, result: Any, *arguments: Any) -> Any:
    """Return a C function without slow argument checks, to be mapped over many values."""
    address = ctypes.cast(function, _Pointer).value or 0
    return ctypes.CFUNCTYPE(result, *arguments)(address)


_unicode = _function(c.FPDFText_GetUnicode, ctypes.c_uint, _Pointer, ctypes.c_int)
_loose_box = _function(
    c.FPDFText_GetLooseCharBox, ctypes.c_int, _Pointer, ctypes.c_int, ctypes.c_void_p
)
_angle = _function(c.FPDFText_GetCharAngle, ctypes.c_float, _Pointer, ctypes.c_int)

with _LOCK:
    c.FPDF_InitLibrary()


class PdfiumDocument(AbstractContextManager["PdfiumDocument"]):
    """A document open in PDFium.

    Raises EncryptedDocument for a missing or wrong password, UnreadableDocument if PDFium can't
    open it.
    """

    def __init__(self, data: bytes, password: str | None = None) -> None:
        self._data = data  # PDFium reads from it as long as the document is open
        secret = None if password is None else password.encode()
        with _LOCK:
            self._document = c.FPDF_LoadMemDocument64(data, len(data), secret)
            if not self._document:
                raise _opening_error(c.FPDF_GetLastError(), password)
            self.page_count: int = c.FPDF_GetPageCount(self._document)

    def __exit__(self, *_: object) -> None:
        with _LOCK:
            c.FPDF_CloseDocument(self._document)

    def glyphs(self, number: int) -> Glyphs:
        """Return the characters of page `number` (from 1). Raises UnreadableDocument."""
        with _LOCK, self._page(number) as page:
            frame = _Frame(page)
            text_page = c.FPDFText_LoadPage(page)
            if not text_page:
                raise UnreadableDocument(f"PDFium finds no text structure on page {number}")
            try:
                codes, boxes, angles = _characters(text_page)
            finally:
                c.FPDFText_ClosePage(text_page)
            return Glyphs(
                codes=codes,
                boxes=frame.displayed(boxes),
                turns=frame.turns(angles),
                width=frame.width,
                height=frame.height,
                rotation=frame.rotation,
                has_images=not len(codes) and _shows_something(page),
                picture=frame.covered(_pictures(page)) if len(codes) < LITTLE_TEXT else 0.0,
            )

    def png(self, number: int, scale: float) -> bytes:
        """Return page `number` as PNG, `scale` pixels per point (fewer for a huge page)."""
        with _LOCK, self._page(number) as page:
            frame = _Frame(page)
            scale = min(scale, (_MAX_PIXELS / (frame.width * frame.height)) ** 0.5)
            width = max(1, round(frame.width * scale))
            height = max(1, round(frame.height * scale))
            return _png(_picture(page, width, height))

    def rotation(self, number: int) -> int:
        """Return the declared rotation of page `number` in degrees clockwise."""
        with _LOCK, self._page(number) as page:
            return 90 * (int(c.FPDFPage_GetRotation(page)) % 4)

    def gray(self, number: int, dpi: float) -> npt.NDArray[np.uint8]:
        """Draw page `number` as displayed at `dpi` dots per inch, uint8 [height, width].

        Raises UnreadableDocument for a huge page.
        """
        with _LOCK, self._page(number) as page:
            frame = _Frame(page)
            width, height = round(frame.width * dpi / 72), round(frame.height * dpi / 72)
            if width * height > _MAX_PIXELS or not width or not height:
                raise UnreadableDocument(
                    f"the page measures {frame.width / 72:.0f} x {frame.height / 72:.0f} inches: "
                    "it is too large for text recognition"
                )
            return np.asarray(Image.fromarray(_picture(page, width, height)).convert("L"))

    @contextmanager
    def _page(self, number: int) -> Iterator[Any]:
        if not 1 <= number <= self.page_count:
            raise NotFound(f"there is no page {number}: the document has {self.page_count}")
        page = c.FPDF_LoadPage(self._document, number - 1)
        if not page:
            raise UnreadableDocument(f"PDFium can't load page {number}")
        try:
            yield page
        finally:
            c.FPDF_ClosePage(page)


class _Frame:
    """Maps page coordinates to points from the top left of the displayed page."""

    def __init__(self, page: Any) -> None:
        box = c.FS_RECTF()
        if not c.FPDF_GetPageBoundingBox(page, box) or box.right <= box.left:
            raise UnreadableDocument("the page has no size")
        self.left, self.bottom, self.right, self.top = box.left, box.bottom, box.right, box.top
        self.quarter = c.FPDFPage_GetRotation(page) % 4
        self.rotation = 90 * self.quarter
        width, height = box.right - box.left, box.top - box.bottom
        self.width, self.height = (height, width) if self.quarter % 2 else (width, height)

    def displayed(self, boxes: Floats) -> Floats:
        """Map left, top, right, bottom (upwards) to x0, y0, x1, y1 (downwards)."""
        x0, x1 = boxes[:, 0] - self.left, boxes[:, 2] - self.left
        y0, y1 = self.top - boxes[:, 1], self.top - boxes[:, 3]
        wide, high = self.right - self.left, self.top - self.bottom
        sides = turned((x0, y0, x1, y1), wide, high, self.quarter)
        return np.stack(sides, axis=1).astype(np.float32)

    def covered(self, pictures: list[tuple[float, float, float, float]]) -> float:
        """Return the share of the page that the largest of these rectangles covers."""
        page = (self.right - self.left) * (self.top - self.bottom)
        sides = [
            (min(x1, self.right) - max(x0, self.left), min(y1, self.top) - max(y0, self.bottom))
            for x0, y0, x1, y1 in pictures
        ]
        return max((max(0.0, wide) * max(0.0, high) / page for wide, high in sides), default=0.0)

    def turns(self, angles: Floats) -> Turns:
        """Return clockwise quarter turns as displayed, from writing angles in the page's frame."""
        quarters = angles / (np.pi / 2)
        nearest = np.round(quarters)
        turns: Turns = ((nearest.astype(np.int64) + self.quarter) % 4).astype(np.uint8)
        turns[np.abs(quarters - nearest) > 0.12] = SKEWED
        return turns


def _characters(handle: Any) -> tuple[Codes, Floats, Floats]:
    """Return codes, boxes (left, top, right, bottom; NaN if generated) and angles of all
    characters.
    """
    count = max(0, c.FPDFText_CountChars(handle))
    text_page = ctypes.cast(handle, _Pointer).value
    codes = np.fromiter(map(_unicode, repeat(text_page), range(count)), np.uint32, count)
    boxes = np.zeros((count, 4), np.float32)
    start = boxes.ctypes.data
    addresses = range(start, start + 16 * count, 16)
    for _ in map(_loose_box, repeat(text_page), range(count), addresses):
        pass
    generated = (boxes[:, 2] <= boxes[:, 0]) | (boxes[:, 1] <= boxes[:, 3])
    boxes[generated] = np.nan
    codes[generated & (codes == 13)] = 10
    return codes, boxes, _angles(text_page, codes)


def _angles(text_page: int | None, codes: Codes) -> Floats:
    """Return the writing angles, read once for each run between breaks."""
    starts = np.flatnonzero(np.diff(codes == 10, prepend=True) & (codes != 10))
    angles = np.zeros(len(codes), np.float32)
    if len(starts):
        run_angles = np.fromiter(
            map(_angle, repeat(text_page), starts.tolist()), np.float32, len(starts)
        )
        lengths = np.diff(np.append(starts, len(codes)))
        angles[starts[0] :] = np.repeat(run_angles, lengths)
    return angles


def _shows_something(page: Any) -> bool:
    """Whether a page without characters shows a picture, or letters drawn as outlines."""
    count = c.FPDFPage_CountObjects(page)
    return _drawn(count, partial(c.FPDFPage_GetObject, page), _FORM_DEPTH) >= _MANY_PATHS


def _pictures(page: Any) -> list[tuple[float, float, float, float]]:
    """Return left, bottom, right and top of the page's pictures, without those within forms."""
    boxes = []
    for index in range(min(_MANY_PATHS, c.FPDFPage_CountObjects(page))):
        item = c.FPDFPage_GetObject(page, index)
        sides = [ctypes.c_float() for _ in range(4)]
        if c.FPDFPageObj_GetType(item) == c.FPDF_PAGEOBJ_IMAGE and c.FPDFPageObj_GetBounds(
            item, *sides
        ):
            x0, y0, x1, y1 = (side.value for side in sides)
            boxes.append((x0, y0, x1, y1))
    return boxes


def _drawn(count: int, get: Callable[[int], Any], depth: int) -> int:
    """Count the paths, also within forms; a picture counts as many."""
    paths = 0
    for index in range(count):
        item = get(index)
        kind = c.FPDFPageObj_GetType(item)
        if kind in (c.FPDF_PAGEOBJ_IMAGE, c.FPDF_PAGEOBJ_SHADING):
            return _MANY_PATHS
        if kind == c.FPDF_PAGEOBJ_PATH:
            paths += 1
        elif kind == c.FPDF_PAGEOBJ_FORM and depth:
            inside = c.FPDFFormObj_CountObjects(item)
            paths += _drawn(inside, partial(c.FPDFFormObj_GetObject, item), depth - 1)
        if paths >= _MANY_PATHS:
            break
    return paths


def _picture(page: Any, width: int, height: int) -> npt.NDArray[np.uint8]:
    """Draw the page, uint8 [height, width, 3]."""
    pixels = np.full((height, width, 4), 255, np.uint8)
    bitmap = c.FPDFBitmap_CreateEx(
        width, height, c.FPDFBitmap_BGRx, pixels.ctypes.data_as(_Pointer), 4 * width
    )
    if not bitmap:
        raise UnreadableDocument("not enough memory to draw this page")
    try:
        flags = c.FPDF_ANNOT
        c.FPDF_RenderPageBitmap(bitmap, page, 0, 0, width, height, 0, flags)
    finally:
        c.FPDFBitmap_Destroy(bitmap)
    picture: npt.NDArray[np.uint8] = np.ascontiguousarray(pixels[:, :, 2::-1])
    return picture


def _png(pixels: npt.NDArray[np.uint8]) -> bytes:
    gray = not (pixels[:, :, :1] != pixels).any()
    image = Image.fromarray(pixels[:, :, 0] if gray else pixels)
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=3)
    return out.getvalue()


def _opening_error(code: int, password: str | None) -> UnreadableDocument:
    if code == c.FPDF_ERR_PASSWORD:
        return password_error(password)
    return UnreadableDocument("PDFium can't open the document: it is damaged or not a PDF")
