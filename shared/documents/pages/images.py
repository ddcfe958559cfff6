"""Open pictures of pages (PNG, JPEG, TIFF) within limits, upright as their camera noted.

The size in the header is checked before anything is unpacked. Only TIFF has several pages.
"""

from __future__ import annotations

import io
import warnings
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from shared.errors import DocumentTooLarge, NotFound, UnreadableDocument

MAX_PIXELS = 120_000_000
"""Pixels of one page: A4 at 1,000 dots per inch. A pixel takes four bytes while open (500 MB), and
eight if transparent."""
MOST_DPI = 300.0
"""Finer pictures are reduced before recognition, which gains nothing from them."""

_FORMATS = ("PNG", "JPEG", "TIFF")
_UNREAD = ("AVIF", "BMP", "DIB", "GIF", "JPEG2000", "WEBP", "WMF")
_NAMES = {"DIB": "BMP", "JPEG2000": "JPEG 2000", "WEBP": "WebP", "WMF": "EMF or WMF"}
_GZIP = b"\x1f\x8b"
_METAFILE_HEAD = 1 << 12  # bytes that include its size
_USUAL_INCHES = 11.0  # the longer side of a page, if the picture declares none
_LEAST_INCHES, _MOST_INCHES = 2.0, 50.0
_WORKING_PIXELS = 40_000_000


class Pictures(AbstractContextManager["Pictures"]):
    """A document of pictures. Raises UnreadableDocument, or DocumentTooLarge for its first page."""

    def __init__(self, data: bytes) -> None:
        with _clear_errors("open the picture"):
            self._image = Image.open(io.BytesIO(data), formats=_FORMATS)
            _check_size(self._image)
            several = self._image.format == "TIFF"
            self.page_count: int = getattr(self._image, "n_frames", 1) if several else 1

    @property
    def shorter_side(self) -> int:
        """Pixels of the first page, from the header."""
        return min(self._image.size)

    def __exit__(self, *_: object) -> None:
        self._image.close()

    def gray(self, number: int) -> tuple[npt.NDArray[np.uint8], float]:
        """Return page `number` (from 1) upright, uint8 [height, width], and its dots per inch.

        Raises UnreadableDocument for a damaged page, DocumentTooLarge for one that is too large.
        """
        with _clear_errors(f"open page {number}"):
            image, dpi = self._page(number)
            image = _gray(image)
            scale = min(
                1.0, MOST_DPI / dpi, (_WORKING_PIXELS / (image.width * image.height)) ** 0.5
            )
            if scale < 1:
                width, height = (max(1, round(side * scale)) for side in image.size)
                image = image.resize((width, height), Image.Resampling.BOX)
            return np.asarray(image), dpi * scale

    def png(self, number: int, scale: float) -> bytes:
        """Return page `number` as PNG, `scale` pixels per point, at most its own resolution."""
        with _clear_errors(f"open page {number}"):
            image, dpi = self._page(number)
            if image.mode not in ("L", "RGB"):  # avoids another copy
                image = image.convert("L" if _is_gray(image) else "RGB")
            smaller = 72 / dpi * scale
            if smaller < 1:
                width, height = (max(1, round(side * smaller)) for side in image.size)
                image = image.resize((width, height), reducing_gap=2.0)
            out = io.BytesIO()
            image.save(out, "PNG", compress_level=3)
            return out.getvalue()

    def _page(self, number: int) -> tuple[Image.Image, float]:
        """Return the page upright, on white if transparent, and its dots per inch.

        It may be the open picture itself, because a copy of a large one takes 500 MB.
        """
        if not 1 <= number <= self.page_count:
            raise NotFound(f"there is no page {number}: the document has {self.page_count}")
        self._image.seek(number - 1)
        _check_size(self._image)
        dpi, squeeze = _dpi(self._image), _squeeze(self._image)
        image: Image.Image = self._image
        image.load()  # a PNG may declare its rotation after the pixels
        if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
            image = ImageOps.exif_transpose(image)
        if squeeze != 1:
            image = image.resize((image.width, max(1, round(image.height * squeeze))))
        if image.has_transparency_data:
            if image.mode != "RGBA":
                image = image.convert("RGBA")
            page = Image.new("RGB", image.size, "white")
            page.paste(image, mask=image.getchannel("A"))
            image = page
        return image, dpi


def unread_format(data: bytes) -> tuple[str, int] | None:
    """Return name and shorter side (pixels, from the header) of a picture in a known but
    unsupported format.

    None for other data. Raises DocumentTooLarge for a huge picture.
    """
    try:
        with _clear_errors("open the picture"):
            if data.startswith(_GZIP):  # a metafile as Word packs it
                data = zlib.decompressobj(wbits=31).decompress(data, _METAFILE_HEAD)
            with Image.open(io.BytesIO(data), formats=_UNREAD) as it:
                return _NAMES.get(str(it.format), str(it.format)), min(it.size)
    except DocumentTooLarge:
        raise
    except UnreadableDocument:
        return None


def _check_size(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise DocumentTooLarge(
            f"the picture measures {image.width:,} x {image.height:,} pixels: the limit "
            f"is {MAX_PIXELS // 1_000_000} million"
        )


def _squeeze(image: Image.Image) -> float:
    """Return the height of a dot divided by its width; telefax dots are twice as high as wide."""
    try:
        across, down = (float(side) for side in image.info.get("dpi", (1, 1)))
        ratio = across / down
    except (TypeError, ValueError, ZeroDivisionError):
        return 1.0
    return ratio if 0.25 <= ratio <= 4 and not 0.9 < ratio < 1.1 else 1.0


def _dpi(image: Image.Image) -> float:
    """Return the declared dots per inch if they make it a page, else those of a letter page."""
    longer = max(image.size)
    dpi = image.info.get("dpi", (0, 0))[0]
    try:
        dpi = float(dpi)
    except (TypeError, ValueError, ZeroDivisionError):
        dpi = 0.0
    if dpi > 0 and _LEAST_INCHES <= longer / dpi <= _MOST_INCHES and dpi != 72:
        nearest = round(dpi)  # a PNG counts dots a meter
        return nearest if abs(nearest - dpi) < 0.05 else dpi
    return longer / _USUAL_INCHES


def _gray(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):  # 16 bits and more: stretched over the values present
        values = np.asarray(image).astype(np.float32)
        low, high = float(values.min()), float(values.max())
        return Image.fromarray(((values - low) * (255 / max(1.0, high - low))).astype(np.uint8))
    return image.convert("L")


def _is_gray(image: Image.Image) -> bool:
    return image.mode in ("1", "L") or image.mode.startswith(("I", "F"))


@contextmanager
def _clear_errors(doing: str) -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the causes are checked here, or raised
            yield
    except (UnreadableDocument, NotFound, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise DocumentTooLarge(
            f"the picture has more than {MAX_PIXELS // 1_000_000} million pixels, the limit"
            f" ({error})"
        ) from error
    except UnidentifiedImageError as error:
        raise UnreadableDocument(
            f"can't {doing}: it is damaged, or in an unknown format"
        ) from error
    except Exception as error:  # a broken file makes Pillow raise anything
        what = str(error) or type(error).__name__
        raise UnreadableDocument(f"can't {doing}: it is damaged or truncated ({what})") from error
