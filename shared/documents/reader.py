"""Reading one document in this process: the engines, page by page, and the ledger."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from shared.documents.assembly import assemble
from shared.documents.delimited import CSV, read_table
from shared.documents.early import Early, EarlyPage
from shared.documents.furniture import furniture
from shared.documents.glyphs import Glyphs
from shared.documents.layout import Line, page_lines, plain_lines
from shared.documents.ocr import DPI, METHOD, NEEDS, engine
from shared.documents.package import DOCX, ODS, ODT, XLS, XLSX
from shared.documents.reading import FailedPage, Limits, Page, Reading
from shared.documents.scans import NO_TEXT_LAYER, SURE, Scanned, Scans
from shared.documents.sniffing import HTML, PDF, PICTURES, RTF, sniff
from shared.documents.soundness import UNSOUND, soundness
from shared.documents.text import read_text
from shared.documents.unpacking import CONTAINERS, Contents, opened, read_container
from shared.documents.xbrl import XBRL, read_instance
from shared.documents.xlsx import read_workbook
from shared.errors import (
    DocumentTooLarge,
    EmptyDocument,
    EncryptedDocument,
    NoTextLayer,
    SuiteError,
    UnreadableDocument,
    UnsupportedType,
)

ENGINES = ("pypdfium2", "pypdf")
"""PDFium finds more in less time; pypdf is asked where it finds nothing, or nothing sound."""

if TYPE_CHECKING:  # the engines are loaded with the first PDF: half a second, and none for a text
    from shared.documents.pdf import PdfDocument
    from shared.documents.pdfium import PdfiumDocument

_PLACED = 0.9  # share of characters on the page below which pypdf's places are not trusted
_MOSTLY = 0.5  # share of a page with little text from which on a picture is the page
_MORE = 1.5  # how much more must be recognised on such a page than it says itself


def read(
    data: bytes,
    *,
    name: str = "",
    password: str | None = None,
    limits: Limits | None = None,
    skip: Collection[int] = (),
    progress: Callable[[int], None] | None = None,
    recognising: Callable[[int], None] | None = None,
    early: Early | None = None,
    engines: Sequence[str] = ENGINES,
) -> Reading:
    """Read one document in this process; `sandbox.Reader` does the same within firm limits.

    Pages in `skip` (from 1) are not touched and become failed pages; `progress` is called with the
    number of each page before it is read, `recognising` before its text is recognised in a picture,
    `early` with each page of a PDF, or picture, as soon as it is read; `engines` are asked for a
    page's text in their order. Raises the UnreadableDocument that fits, naming the document.
    """
    limits = limits or Limits()
    try:
        if len(data) > limits.max_bytes:
            raise DocumentTooLarge(
                f"the document has {len(data):,} bytes: at most {limits.max_bytes:,} are read"
            )
        media_type = sniff(data, name)
        if media_type == PDF:
            course = _Course(limits, skip, progress, Scans(limits, recognising), early)
            reading = _read_pdf(data, password, course, engines)
        elif media_type in PICTURES:
            course = _Course(limits, skip, progress, Scans(limits, recognising), early)
            reading = _read_pictures(data, media_type, course)
        elif media_type == XLSX:
            reading = read_workbook(data, limits, skip, progress)
        elif media_type in (XLS, ODS):
            from shared.documents.calamine import read_values  # loaded with the first of them

            reading = read_values(data, media_type, limits, skip, progress)
        elif media_type == CSV:
            reading = read_table(data)
        elif media_type == XBRL:
            reading = read_instance(data, limits)
        elif media_type == DOCX:
            from shared.documents.docx import read_docx  # loaded with the first of them

            reading = read_docx(data, limits, Scans(limits, recognising), skip)
        elif media_type == ODT:
            from shared.documents.odt import read_odt

            reading = read_odt(data, limits, Scans(limits, recognising), skip)
        elif media_type in _FLOWING:
            reading = _FLOWING[media_type](data, limits)
        elif media_type in CONTAINERS:
            reading = read_container(data, media_type, limits)
        else:
            reading = read_text(data, media_type)
        return _within(reading, limits)
    except SuiteError as error:
        error.document = error.document or name or None
        raise


def unpack(
    data: bytes, *, name: str = "", limits: Limits | None = None, depth: int = 0
) -> Contents:
    """What lies in a mail or archive, which lies in `depth` others itself.

    Raises the UnreadableDocument that fits, naming the document.
    """
    try:
        return opened(data, sniff(data, name), limits or Limits(), depth)
    except SuiteError as error:
        error.document = error.document or name or None
        raise


def render(data: bytes, number: int, *, scale: float = 2.0, password: str | None = None) -> bytes:
    """Page `number` (from 1) of a PDF or picture as PNG, `scale` pixels a point."""
    media_type = sniff(data)
    if media_type in PICTURES:
        from shared.documents.images import Pictures

        with Pictures(data) as pictures:
            return pictures.png(number, scale)
    if media_type != PDF:
        raise UnsupportedType("only a PDF and a picture have pages to show")
    with _opened(data, password, []) as document:
        if document.pdfium is None:
            raise UnreadableDocument("the pages of this document can't be drawn")
        return document.pdfium.png(number, scale)


def decrypt(data: bytes, *, password: str | None = None) -> bytes:
    """The same PDF without encryption; one that is not encrypted comes back as it is."""
    from shared.documents.pdf import PdfDocument

    document = PdfDocument(data, password)
    return document.rewritten() if document.encrypted else data


def _read_html(data: bytes, limits: Limits) -> Reading:
    from shared.documents.html import read_html

    return read_html(data, limits)


def _read_rtf(data: bytes, limits: Limits) -> Reading:
    from shared.documents.rtf import read_rtf

    return read_rtf(data, limits)


_FLOWING: dict[str, Callable[[bytes, Limits], Reading]] = {
    HTML: _read_html,
    RTF: _read_rtf,
}
"""Readers of the types without fixed pages, each loaded with its first document."""


def load_engines() -> None:
    """Load what opens PDFs, pictures and mails of Outlook now; else the first document does."""
    import shared.documents.images
    import shared.documents.outlook
    import shared.documents.pdf
    import shared.documents.pdfium  # noqa: F401


class _Opened(ExitStack):
    """One PDF, open in both engines as far as they can open it."""

    pypdf: PdfDocument | None = None
    pdfium: PdfiumDocument | None = None
    page_count: int = 0


def _opened(data: bytes, password: str | None, warnings: list[str]) -> _Opened:
    """pypdf checks and decrypts; what PDFium can't open as it is, it gets repaired."""
    from shared.documents.pdf import PdfDocument

    opened = _Opened()
    trouble: UnreadableDocument | None = None
    try:
        opened.pypdf = PdfDocument(data, password)
        opened.page_count = opened.pypdf.page_count
    except EncryptedDocument:
        raise
    except UnreadableDocument as error:
        trouble = error
    opened.pdfium = _in_pdfium(data, password, opened.pypdf, warnings)
    if opened.pdfium is not None:
        opened.enter_context(opened.pdfium)
        if trouble:
            warnings.append(f"the document is damaged: {trouble.message}")
        opened.page_count = max(opened.page_count, opened.pdfium.page_count)
    if not opened.page_count:
        opened.close()
        raise trouble or EmptyDocument("the document has no pages")
    return opened


def _in_pdfium(
    data: bytes, password: str | None, document: PdfDocument | None, warnings: list[str]
) -> PdfiumDocument | None:
    """The document as PDFium has it, if need be as pypdf writes it anew; None if neither."""
    from shared.documents.pdfium import PdfiumDocument

    try:
        return PdfiumDocument(data, password)
    except EncryptedDocument:
        if document is None:
            raise
    except UnreadableDocument:
        if document is None:
            return None
    try:
        repaired = PdfiumDocument(document.rewritten())
    except UnreadableDocument:
        return None
    warnings.append("the document was damaged and has been repaired")
    return repaired


@dataclass(frozen=True)
class _PageLines:
    """The lines of a page; `scan` if they were recognised in a picture of it."""

    number: int
    lines: list[Line]
    glyphs: Glyphs
    method: str
    scan: Scanned | None = None

    @cached_property
    def soundness(self) -> float:
        """How far the page's characters mean something, 0 for none."""
        return soundness(np.concatenate([line.codes for line in self.lines])) if self.lines else 0.0


@dataclass
class _Course:
    """Going through the pages of one document, within its limits."""

    limits: Limits
    skip: Collection[int]
    progress: Callable[[int], None] | None
    scans: Scans
    early: Early | None = None
    told: float = 0.0
    read: list[_PageLines] = field(default_factory=list)
    failed: list[FailedPage] = field(default_factory=list)

    def go(self, page_count: int, page: Callable[[int], _PageLines | FailedPage]) -> None:
        """Read every page, or note why it can't be read. Raises DocumentTooLarge, NoTextLayer."""
        if page_count > self.limits.max_pages:
            raise DocumentTooLarge(
                f"the document has {page_count:,} pages: at most {self.limits.max_pages:,} are read"
            )
        deadline = time.monotonic() + 0.8 * self.limits.seconds
        length = 0
        for number in range(1, page_count + 1):
            found = self._one(number, deadline, page)
            if self.early:
                self._tell(partial(self.early, _early(found, page_count)))
            if isinstance(found, FailedPage):
                self.failed.append(found)
                continue
            self.read.append(found)
            if found.scan:
                self.scans.take(number, found.scan)
            length += sum(len(line.codes) for line in found.lines)
            if length > self.limits.max_text:
                most = self.limits.max_text
                raise DocumentTooLarge(f"the document has more than {most:,} characters")
        _refuse_without_text(self.read, self.failed)

    def _one(
        self, number: int, deadline: float, page: Callable[[int], _PageLines | FailedPage]
    ) -> _PageLines | FailedPage:
        if number in self.skip:
            return FailedPage(number, "crashed", "reading this page ended the reader")
        if time.monotonic() > deadline + self.scans.spent + self.told:
            return FailedPage(number, "timeout", "the time for this document was up")
        if self.progress:
            self._tell(partial(self.progress, number))
        return page(number)

    def _tell(self, tell: Callable[[], None]) -> None:
        """What that takes, where whoever hears of it has to wait, is not time of reading."""
        began = time.monotonic()
        tell()
        self.told += time.monotonic() - began


def _early(page: _PageLines | FailedPage, pages: int) -> EarlyPage:
    if isinstance(page, FailedPage):
        return EarlyPage(page.number, pages, code=page.code, reason=page.reason)
    scan = page.scan.page if page.scan else None
    return EarlyPage(
        page.number,
        pages,
        text="".join(f"{_break(line)}{line.text}" for line in page.lines).lstrip("\n"),
        width=scan.width if scan else page.glyphs.width,
        height=scan.height if scan else page.glyphs.height,
        method=page.method,
        confidence=scan.confidence if scan else None,
    )


def _break(line: Line) -> str:
    return "\n\n" if line.opens else "\n"


def _read_pdf(
    data: bytes, password: str | None, course: _Course, engines: Sequence[str]
) -> Reading:
    warnings: list[str] = []
    with _opened(data, password, warnings) as document:
        metadata = document.pypdf.metadata() if document.pypdf else {}
        warnings += document.pypdf.actions() if document.pypdf else []

        def page(number: int) -> _PageLines | FailedPage:
            found = _page(document, number, engines)
            return _recognised(document, found, course.scans) if _is_scan(found) else found

        course.go(document.page_count, page)
    return _assembled(course, PDF, warnings, metadata)


def _read_pictures(data: bytes, media_type: str, course: _Course) -> Reading:
    from shared.documents.images import Pictures  # loaded with the first of them

    with Pictures(data) as pictures:

        def page(number: int) -> _PageLines | FailedPage:
            found = course.scans.read(number, lambda: pictures.gray(number))
            return found if isinstance(found, FailedPage) else _scanned(number, found)

        course.go(pictures.page_count, page)
    return _assembled(course, media_type, [], {})


def _is_scan(page: _PageLines | FailedPage) -> bool:
    """Whether the page's own text is not all of it, or none: a picture, or unknown characters."""
    if isinstance(page, FailedPage):
        return page.code == NO_TEXT_LAYER
    return page.glyphs.picture >= _MOSTLY or 0 < page.soundness < 1 - UNSOUND


def _recognised(
    document: _Opened, page: _PageLines | FailedPage, scans: Scans
) -> _PageLines | FailedPage:
    """The page as recognised; its own text stays if that is sound and almost as long, or surer."""
    pdfium, number = document.pdfium, page.number
    if pdfium is None or number > pdfium.page_count:
        return page
    found = scans.read(number, lambda: (pdfium.gray(number, DPI), DPI), pdfium.rotation(number))
    if isinstance(page, FailedPage):
        return found if isinstance(found, FailedPage) else _scanned(number, found)
    if isinstance(found, FailedPage) or found.page.confidence < SURE:
        return page
    if _scanned(number, found).soundness < page.soundness:
        return page
    if page.soundness >= 1 - UNSOUND and _length(found.lines) < _MORE * _length(page.lines):
        return page
    return _scanned(number, found)


def _scanned(number: int, found: Scanned) -> _PageLines:
    return _PageLines(number, found.lines, found.page.glyphs, METHOD, found)


def _length(lines: list[Line]) -> int:
    return sum(len(line.codes) for line in lines)


def _page(document: _Opened, number: int, engines: Sequence[str]) -> _PageLines | FailedPage:
    """One page by the first engine, or by the next if that finds more; or why there is nothing."""
    found: list[_PageLines] = []
    reasons: list[str] = []
    images = False
    for method in engines:
        engine = document.pdfium if method == "pypdfium2" else document.pypdf
        if engine is None or (found and not _doubtful(found[0], images)):
            continue
        if number > engine.page_count:  # the engines disagree about a damaged document
            continue
        try:
            glyphs = engine.glyphs(number)
            lines = _lines(document, method, glyphs, number)
        except (UnreadableDocument, ValueError, LookupError, ArithmeticError) as error:
            reasons.append(getattr(error, "message", "") or f"{type(error).__name__}: {error}")
            continue
        images = images or glyphs.has_images
        found.append(_PageLines(number, lines, glyphs, method))
    if not found:
        return FailedPage(number, "unreadable_page", "; ".join(reasons) or "the page is missing")
    best = max(found, key=lambda page: (page.soundness, page is found[0]))
    if not best.lines and images:
        return FailedPage(number, NO_TEXT_LAYER, "the page is an image without a text layer")
    return best


def _lines(document: _Opened, method: str, glyphs: Glyphs, number: int) -> list[Line]:
    """The page's lines; pypdf loses the place of what is drawn inside of forms, not its order."""
    if method == "pypdf" and document.pypdf and glyphs.on_the_page < _PLACED:
        return plain_lines(document.pypdf.own_text(number), glyphs.height)
    return page_lines(glyphs)


def _doubtful(page: _PageLines, images: bool) -> bool:
    """Whether the other engine may find more: nothing at all but a picture, or unsound text."""
    if not page.lines:
        return images
    return page.soundness < 1 - UNSOUND


def _refuse_without_text(pages: list[_PageLines], failed: list[FailedPage]) -> None:
    if any(page.lines for page in pages):
        return
    if any(page.code == NO_TEXT_LAYER for page in failed):
        mend = NEEDS if engine() is None else "they can't be drawn"
        raise NoTextLayer(f"the document has no text layer, its pages are images: {mend}")
    if failed:
        raise UnreadableDocument(f"no page can be read; the first says: {failed[0].reason}")
    if any(page.scan for page in pages):
        raise NoTextLayer("the document has no text: none was recognised in its pictures")
    raise NoTextLayer("the document has no text layer: its pages are empty")


def _assembled(
    course: _Course, media_type: str, warnings: list[str], metadata: dict[str, str]
) -> Reading:
    pages, failed = course.read, course.failed
    lines = [page.lines for page in pages]
    whole = assemble(lines, furniture(lines, [page.glyphs.height for page in pages]))
    ledger = tuple(
        Page(
            number=page.number,
            start=start,
            end=end,
            width=page.scan.page.width if page.scan else page.glyphs.width,
            height=page.scan.page.height if page.scan else page.glyphs.height,
            rotation=page.glyphs.rotation,
            method=page.method,
            confidence=page.scan.page.confidence if page.scan else None,
        )
        for page, (start, end) in zip(pages, whole.pages, strict=True)
    )
    unsound = [page.number for page in pages if 0 < page.soundness < 1 - UNSOUND]
    if unsound:
        warnings.append(
            f"the text of page {', '.join(map(str, unsound))} has unknown or scrambled characters"
        )
    return Reading(
        text=whole.text,
        pages=ledger,
        boxes=whole.boxes,
        page_count=len(pages) + len(failed),
        failed=tuple(failed),
        furniture=tuple(whole.furniture),
        warnings=(*warnings, *course.scans.warnings()),
        media_type=media_type,
        metadata=metadata,
        unsound=tuple(unsound),
    )


def _within(reading: Reading, limits: Limits) -> Reading:
    most = limits.max_text if reading.has_boxes else limits.max_plain_text
    if len(reading.text) > most:
        raise DocumentTooLarge(
            f"the document has {len(reading.text):,} characters: at most {most:,} are read"
        )
    return reading
