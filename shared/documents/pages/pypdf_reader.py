"""Open, check, decrypt and repair PDFs with pypdf, and read pages as a fallback.

The only module that imports pypdf. Any error of pypdf becomes an error of the suite.
"""

from __future__ import annotations

import io
import logging
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import accumulate, zip_longest
from typing import Any

import numpy as np
import pypdf
from pypdf import PdfReader, PdfWriter
from pypdf.filters import ASCII85Decode
from pypdf.generic import IndirectObject, StreamObject

from shared.documents.model.glyphs import SKEWED, Glyphs, turned
from shared.documents.model.passwords import password_error
from shared.errors import DocumentTooLarge, UnreadableDocument

logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # problems are raised or in the ledger

_PAGES_WITH_ACTIONS = 50
_NOTES = 500  # links and fields of one page
_MOST_CONTENT = 500_000_000  # unpacked bytes of a document that are checked
_AT_ONCE = 1_000_000
_MOST_OBJECTS = 5_000  # objects of a page that are checked
_ACTIONS = {
    "/JavaScript": "JavaScript in it: not run",
    "/Launch": "an action in it that starts a program or opens a file: not followed",
    "/SubmitForm": "an action in it that sends what a form has: not followed",
    "/GoToE": "an action in it that opens an embedded file: not followed",
}
_METADATA = ("title", "author", "subject", "keywords", "creator", "producer")


_WIDTHS = (
    dict.fromkeys("iljI.,;:'|!", 0.26)
    | dict.fromkeys("ft()[]/ \xa0-", 0.31)
    | dict.fromkeys("szcrkvxyJ", 0.45)
    | dict.fromkeys("mwMWOQG@%", 0.8)
    | dict.fromkeys("ABCDEFHKLNPRSTUVXYZ", 0.65)
)
"""Character widths of a usual typeface, in parts of the font size; 0.5 for all others."""


class PdfDocument:
    """A document open in pypdf.

    Raises EncryptedDocument for a missing or wrong password, UnreadableDocument if there is no
    document in the bytes.
    """

    def __init__(self, data: bytes, password: str | None = None) -> None:
        with _clear_errors("open the document"):
            self._reader = PdfReader(io.BytesIO(data), strict=False)
            self.encrypted = self._reader.is_encrypted
            self._broken: dict[int, bool] = {}
            self._unpackable = _MOST_CONTENT
            if self.encrypted:
                self._unlock(password)

    def _unlock(self, password: str | None) -> None:
        """Decrypt with the password or an empty one. Raises EncryptedDocument."""
        if not self._reader.decrypt(password or "") and not self._reader.decrypt(""):
            raise password_error(password)

    @property
    def page_count(self) -> int:
        """The number of pages that can be reached. Raises UnreadableDocument."""
        with _clear_errors("count the pages"):
            return len(self._reader.pages)

    def metadata(self) -> dict[str, str]:
        """Return title, author and so on, as far as they can be read."""
        metadata: dict[str, str] = {}
        for name in _METADATA:
            with suppress(UnreadableDocument), _clear_errors(f"read the {name}"):
                value = getattr(self._reader.metadata, name, None)
                if value:
                    metadata[name] = clean(str(value))[:500]
        return metadata

    def actions(self) -> list[str]:
        """Return a warning for each action that a viewer would perform; none is performed here.

        Examined are the actions on opening, the named scripts, and those of links and fields on the
        first pages.
        """
        kinds: set[str] = set()
        pages = 0
        with suppress(UnreadableDocument), _clear_errors("look at the actions"):
            pages = min(self.page_count, _PAGES_WITH_ACTIONS)
            root = self._reader.root_object
            kinds |= _kinds([root.get("/OpenAction"), root.get("/AA")])
            if "/JavaScript" in _entries(_entries(root).get("/Names")):
                kinds.add("/JavaScript")
        for page in range(pages):
            with suppress(UnreadableDocument), _clear_errors(f"look at page {page + 1}"):
                entries = _entries(self._reader.pages[page])
                kinds |= _kinds([entries.get("/AA")])
                notes = _resolved(entries.get("/Annots"))
                for note in notes[:_NOTES] if isinstance(notes, list) else ():
                    kinds |= _kinds([_entries(note).get(key) for key in ("/A", "/AA")])
        return [_ACTIONS[kind] for kind in _ACTIONS if kind in kinds]

    def is_damaged(self, number: int) -> bool:
        """Whether content, a form or a font of page `number` is missing or can't be decompressed.

        PDFium shows what it can read of such a page, without an error. Pictures are not checked.
        """
        tolerated = UnreadableDocument, DocumentTooLarge
        with suppress(*tolerated), _clear_errors(f"look at page {number}"):
            page = self._reader.pages[number - 1]
            content = page.get("/Contents")
            parts = _resolved(content) if content is not None else []
            for part in parts if isinstance(parts, list) else [parts]:
                if not isinstance(_resolved(part), StreamObject):
                    return True
            return any(self._is_broken(one) for one in _streams([content, page.get("/Resources")]))
        return False

    def _is_broken(self, stream: StreamObject) -> bool:
        key = id(stream)  # pypdf keeps the objects of a document
        if key not in self._broken:
            self._broken[key], unpacked = _is_broken(stream, self._unpackable)
            self._unpackable -= unpacked
        return self._broken[key]

    def rewritten(self) -> bytes:
        """Return the same pages as a new, unencrypted PDF. Raises UnreadableDocument."""
        with _clear_errors("repair the document"):
            writer = PdfWriter()
            for page in self._reader.pages:
                writer.add_page(page)
            out = io.BytesIO()
            writer.write(out)
            return out.getvalue()

    def glyphs(self, number: int) -> Glyphs:
        """Return the characters of page `number` (from 1), with boxes estimated from the font
        size.
        """
        with _clear_errors(f"read page {number}"):
            page = self._reader.pages[number - 1]
            fragments: list[_Fragment] = []

            def visit(text: str, cm: list[float], tm: list[float], _: Any, size: float) -> None:
                if text.strip():
                    fragments.append(_fragment(text, cm, tm, size))

            page.extract_text(visitor_text=visit)
            return _glyphs(page, fragments)

    def own_text(self, number: int) -> str:
        """Return the text of page `number` in pypdf's layout."""
        with _clear_errors(f"read page {number}"):
            return clean(self._reader.pages[number - 1].extract_text())


def _streams(values: list[Any]) -> Iterator[StreamObject]:
    """The streams that can be reached from these values, without pictures."""
    seen: set[int] = set()
    while values and len(seen) < _MOST_OBJECTS:
        value = _resolved(values.pop())
        if id(value) in seen or not isinstance(value, (dict, list)):
            continue
        seen.add(id(value))
        if isinstance(value, list):
            values += value
        elif value.get("/Subtype") != "/Image":
            values += [inner for name, inner in value.items() if name != "/Parent"]
            if isinstance(value, StreamObject):
                yield value


def _is_broken(stream: StreamObject, most: int) -> tuple[bool, int]:
    """Whether the first bytes of a compressed stream (RFC 1950) have an error, and their number.

    Args:
        most: unpacked bytes that are checked.
    """
    named = _resolved(stream.get("/Filter"))
    filters, rest, done = list(named) if isinstance(named, list) else [named], stream._data, 0
    try:
        if filters[:1] == ["/ASCII85Decode"]:
            filters, rest = filters[1:], ASCII85Decode.decode(rest)
        if filters[:1] != ["/FlateDecode"] or not rest:
            return False, 0
        unpacked = zlib.decompressobj()
        while rest and not unpacked.eof and done < most:
            done += len(unpacked.decompress(rest, _AT_ONCE))
            rest = unpacked.unconsumed_tail
    except (zlib.error, ValueError, pypdf.errors.PyPdfError):
        return True, done
    return not unpacked.eof and done < most, done


def _resolved(value: Any) -> Any:
    """Return the target of a reference, or the value itself."""
    return value.get_object() if isinstance(value, IndirectObject) else value


def _entries(value: Any) -> dict[str, Any]:
    """Return the entries of a dictionary; empty for anything else."""
    value = _resolved(value)
    return value if isinstance(value, dict) else {}


def _kinds(actions: list[Any]) -> set[str]:
    """Return the kinds of actions, of their successors, and of those in dictionaries by trigger."""
    kinds: set[str] = set()
    for _ in range(_NOTES):
        if not actions:
            break
        value = _resolved(actions.pop())
        if isinstance(value, list):
            actions += value[:_NOTES]
        elif isinstance(value, dict):
            kind = _resolved(value.get("/S"))
            if isinstance(kind, str):
                kinds.add(kind)
                actions.append(value.get("/Next"))
            else:  # actions by trigger
                actions += value.values()
    return kinds


@dataclass(frozen=True)
class _Fragment:
    """A string on the page, its start, and the unit vector along which it runs."""

    text: str
    x: float
    y: float
    along: tuple[float, float]
    size: float


def _fragment(text: str, cm: list[float], tm: list[float], size: float | None) -> _Fragment:
    matrix = _multiplied(tm, cm)
    a, b = matrix[0], matrix[1]
    length = (a * a + b * b) ** 0.5 or 1.0
    return _Fragment(
        text=clean(text).strip("\n"),
        x=matrix[4],
        y=matrix[5],
        along=(a / length, b / length),
        size=max(1.0, abs(size or 1.0) * length),
    )


def _multiplied(m: list[float], n: list[float]) -> list[float]:
    return [
        m[0] * n[0] + m[1] * n[2],
        m[0] * n[1] + m[1] * n[3],
        m[2] * n[0] + m[3] * n[2],
        m[2] * n[1] + m[3] * n[3],
        m[4] * n[0] + m[5] * n[2] + n[4],
        m[4] * n[1] + m[5] * n[3] + n[5],
    ]


def _glyphs(page: Any, fragments: list[_Fragment]) -> Glyphs:
    box = page.cropbox
    left, top = float(box.left), float(box.top)
    wide, high = float(box.width), float(box.height)
    quarter = int(page.rotation or 0) // 90 % 4
    codes: list[int] = []
    boxes: list[tuple[float, float, float, float]] = []
    turns: list[int] = []
    for fragment, following in zip_longest(fragments, fragments[1:]):
        turn = _turn(fragment.along, quarter)
        places, joined = _places(fragment, following, left + wide)
        for character, (start, end) in zip(fragment.text, places, strict=True):
            corners = _corners(fragment, start, end, left, top)
            codes.append(ord(character))
            boxes.append(turned(corners, wide, high, quarter))
            turns.append(turn)
        if not joined:
            codes.append(10)
            boxes.append((np.nan,) * 4)
            turns.append(turn)
    width, height = (high, wide) if quarter % 2 else (wide, high)
    return Glyphs(
        codes=np.array(codes, np.uint32),
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        turns=np.array(turns, np.uint8),
        width=width,
        height=height,
        rotation=90 * quarter,
        has_images=not codes and bool(_image_names(page)),
    )


def _places(
    fragment: _Fragment, following: _Fragment | None, right: float
) -> tuple[list[tuple[float, float]], bool]:
    """Return start and end of each character along the line, and whether the next fragment follows
    at once.

    The widths of a usual typeface are scaled to reach the next fragment of the line, or to stay on
    the page.
    """
    widths = [_WIDTHS.get(character, 0.5) * fragment.size for character in fragment.text]
    ends = list(accumulate(widths))
    length, joined = right - fragment.x if fragment.along[0] > 0.9 else ends[-1], False
    if following is not None and fragment.along == following.along:
        (dx, dy), x, y = fragment.along, following.x - fragment.x, following.y - fragment.y
        ahead, across = x * dx + y * dy, abs(y * dx - x * dy)
        if across < 0.3 * fragment.size and 0 < ahead < 1.15 * ends[-1] + 0.5 * fragment.size:
            length, joined = ahead, True
    scale = length / ends[-1] if joined or length < ends[-1] else 1.0
    scale = max(scale, 0.01)
    return [((e - w) * scale, e * scale) for e, w in zip(ends, widths, strict=True)], joined


def _turn(along: tuple[float, float], quarter: int) -> int:
    quarters = -np.arctan2(along[1], along[0]) / (np.pi / 2)
    nearest = round(float(quarters))
    return SKEWED if abs(quarters - nearest) > 0.12 else (nearest + quarter) % 4


def _corners(
    fragment: _Fragment, start: float, end: float, left: float, top: float
) -> tuple[float, float, float, float]:
    """Return x0, y0, x1, y1 from the top left of the unrotated page, with a fifth of the size
    below.
    """
    (dx, dy), size = fragment.along, fragment.size
    sides = [(along, across) for along in (start, end) for across in (-0.2 * size, 0.9 * size)]
    xs = [fragment.x + along * dx - across * dy for along, across in sides]
    ys = [fragment.y + along * dy + across * dx for along, across in sides]
    return min(xs) - left, top - max(ys), max(xs) - left, top - min(ys)


def _image_names(page: Any) -> list[str]:
    with suppress(UnreadableDocument), _clear_errors("look for images"):
        objects = page["/Resources"]["/XObject"].get_object()
        return [n for n in objects if objects[n].get_object().get("/Subtype") == "/Image"]
    return []  # no resources, or damaged ones


def clean(text: str) -> str:
    """Remove NUL and lone surrogates, which are not allowed in texts."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


@contextmanager
def _clear_errors(doing: str) -> Iterator[None]:
    try:
        yield
    except UnreadableDocument:
        raise
    except MemoryError:
        raise
    except pypdf.errors.LimitReachedError as error:
        raise DocumentTooLarge(f"can't {doing}: it unpacks to more than is allowed") from error
    except RecursionError as error:
        raise UnreadableDocument(f"can't {doing}: it is nested too deeply") from error
    except Exception as error:  # a broken file makes pypdf raise anything
        what = str(error) or type(error).__name__
        raise UnreadableDocument(f"can't {doing}: it is damaged or truncated ({what})") from error
