"""Read one document in this process: choose the reader by type, and keep the page ledger."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np

from shared.documents.model.formats import (
    CONTAINERS,
    CSV,
    DOCX,
    HTML,
    MARKDOWN,
    ODS,
    ODT,
    PDF,
    PICTURES,
    RTF,
    XBRL,
    XLS,
    XLSX,
)
from shared.documents.model.glyphs import Glyphs
from shared.documents.model.parsed_document import (
    FailedPage,
    Limits,
    Page,
    PageCallback,
    PageRead,
    ParsedDocument,
)
from shared.documents.model.text import read_text
from shared.documents.office.docx import read_docx
from shared.documents.office.html import read_html
from shared.documents.office.markdown import read_markdown
from shared.documents.office.odt import read_odt
from shared.documents.office.rtf import read_rtf
from shared.documents.pages.assembly import assemble
from shared.documents.pages.layout import Line, page_lines, plain_lines
from shared.documents.pages.ocr import DPI
from shared.documents.pages.running_headers import find_running_headers
from shared.documents.pages.scanned_pages import NO_TEXT_LAYER, SURE, Scanned, Scans
from shared.documents.pages.tesseract import METHOD, NEEDS, engine
from shared.documents.pages.text_quality import UNSOUND, soundness
from shared.documents.sniffing import name_warning, sniff
from shared.documents.spreadsheets.calamine import read_values
from shared.documents.spreadsheets.delimited import read_table
from shared.documents.spreadsheets.xlsx import read_workbook
from shared.documents.unpacking import Contents, open_container, read_container
from shared.documents.xbrl.xbrl import read_instance
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
"""PDFium is faster and finds more. pypdf reads a page on which PDFium finds no sound text."""

if TYPE_CHECKING:  # imported with the first PDF, because it takes half a second
    from shared.documents.pages.pdfium_reader import PdfiumDocument
    from shared.documents.pages.pypdf_reader import PdfDocument

_COMPILED = (
    *("numpy.ma", "numpy.random", "PIL._avif", "PIL._webp", "_heapq", "mmap", "_multibytecodec"),
    *(f"_codecs_{name}" for name in ("cn", "hk", "iso2022", "jp", "kr", "tw")),
)
"""Compiled modules that libraries import late."""

_PLACED = 0.9  # below this share of characters on the page, pypdf's positions are wrong
_MOSTLY = 0.5  # from this share on, a picture on a page with little text is the page
_MORE = 1.5  # recognised text must be this much longer than the page's own


def read(
    data: bytes,
    *,
    name: str = "",
    password: str | None = None,
    limits: Limits | None = None,
    skip: Collection[int] = (),
    progress: Callable[[int], None] | None = None,
    recognising: Callable[[int], None] | None = None,
    on_page: PageCallback | None = None,
    engines: Sequence[str] = ENGINES,
) -> ParsedDocument:
    """Read one document in this process. `sandbox.Reader` does the same in a confined process.

    Args:
        data: the file.
        name: of the file, for errors and types that content alone can't tell.
        password: of an encrypted PDF.
        limits: of size, pages, characters and time.
        skip: pages (from 1) to leave out; they become failed pages.
        progress: called with the number of each page before it is read.
        recognising: called with the number of a page before its text is recognised.
        on_page: called with each page of a PDF or picture as soon as it is read.
        engines: for the text of a page, in order of preference.

    Raises:
        UnreadableDocument: or a subclass that fits, naming the document.
    """
    limits = limits or Limits()
    loop = _PageLoop(limits, skip, progress, Scans(limits, recognising), on_page)
    try:
        if len(data) > limits.max_bytes:
            raise DocumentTooLarge(
                f"the document has {len(data):,} bytes: the limit is {limits.max_bytes:,}"
            )
        parsed = _read(data, sniff(data, name), loop, password, engines)
        warning = name_warning(parsed.media_type, name)
        if warning:
            parsed = replace(parsed, warnings=(warning, *parsed.warnings))
        return _within(parsed, limits)
    except RecursionError as error:
        raise UnreadableDocument(
            "the document is nested too deeply", document=name or None
        ) from error
    except SuiteError as error:
        error.document = error.document or name or None
        raise


def _read(
    data: bytes, media_type: str, loop: _PageLoop, password: str | None, engines: Sequence[str]
) -> ParsedDocument:
    limits, scans, skip = loop.limits, loop.scans, loop.skip
    if media_type == PDF:
        return _read_pdf(data, password, loop, engines)
    if media_type in PICTURES:
        return _read_pictures(data, media_type, loop)
    if media_type == XLSX:
        return read_workbook(data, limits, skip, loop.progress)
    if media_type in (XLS, ODS):
        return read_values(data, media_type, limits, skip, loop.progress)
    if media_type == CSV:
        return read_table(data)
    if media_type == XBRL:
        return read_instance(data, limits)
    if media_type == DOCX:
        return read_docx(data, limits, scans, skip)
    if media_type == ODT:
        return read_odt(data, limits, scans, skip)
    if media_type == RTF:
        return read_rtf(data, limits)
    if media_type == HTML:
        return read_html(data, limits)
    if media_type == MARKDOWN:
        return read_markdown(data, limits)
    if media_type in CONTAINERS:
        return read_container(data, media_type, limits)
    return read_text(data, media_type)


def unpack(
    data: bytes, *, name: str = "", limits: Limits | None = None, depth: int = 0
) -> Contents:
    """Open a mail or archive that is nested in `depth` others.

    Raises UnreadableDocument or a subclass, naming the document.
    """
    try:
        return open_container(data, sniff(data, name), limits or Limits(), depth)
    except SuiteError as error:
        error.document = error.document or name or None
        raise


def render(data: bytes, number: int, *, scale: float = 2.0, password: str | None = None) -> bytes:
    """Return page `number` (from 1) of a PDF or picture as PNG, `scale` pixels per point."""
    media_type = sniff(data)
    if media_type in PICTURES:
        from shared.documents.pages.images import Pictures

        with Pictures(data) as pictures:
            return pictures.png(number, scale)
    if media_type != PDF:
        raise UnsupportedType("only pages of PDFs and pictures can be drawn")
    with _opened(data, password, []) as document:
        if document.pdfium is None:
            raise UnreadableDocument("the pages of this document can't be drawn")
        return document.pdfium.png(number, scale)


def decrypt(data: bytes, *, password: str | None = None) -> bytes:
    """Return the PDF without encryption; one that is not encrypted is returned unchanged."""
    from shared.documents.pages.pypdf_reader import PdfDocument

    document = PdfDocument(data, password)
    return document.rewritten() if document.encrypted else data


def load_engines() -> None:
    """Import the libraries for PDFs, pictures and Outlook mails before the first document.

    Later, a confined process can import Python modules, but none that is compiled.
    """
    for module in ("mail.msg", "pages.images", "pages.pdfium_reader", "pages.pypdf_reader"):
        import_module(f"shared.documents.{module}")
    engine()
    for module in _COMPILED:
        with suppress(ImportError):  # other versions have it elsewhere
            import_module(module)


class _Opened(ExitStack):
    """One PDF, open in each engine that can open it."""

    pypdf: PdfDocument | None = None
    pdfium: PdfiumDocument | None = None
    page_count: int = 0


def _opened(data: bytes, password: str | None, warnings: list[str]) -> _Opened:
    """Open a PDF: pypdf checks and decrypts it, and repairs it if PDFium can't open it."""
    from shared.documents.pages.pypdf_reader import PdfDocument

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
    """Open the document in PDFium, if necessary as rewritten by pypdf; None if neither works."""
    from shared.documents.pages.pdfium_reader import PdfiumDocument

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
    warnings.append("the document was damaged; it has been repaired")
    return repaired


@dataclass(frozen=True)
class _PageLines:
    """The lines of a page; `scan` is set if they were recognised in a picture of it."""

    number: int
    lines: list[Line]
    glyphs: Glyphs
    method: str
    scan: Scanned | None = None
    damaged: bool = False  # its content has an error, so text may be missing

    @property
    def width(self) -> float:
        """Width of the displayed page, in points."""
        return self.scan.page.width if self.scan else self.glyphs.width

    @property
    def height(self) -> float:
        return self.scan.page.height if self.scan else self.glyphs.height

    @property
    def confidence(self) -> float | None:
        return self.scan.page.confidence if self.scan else None

    @property
    def length(self) -> int:
        """Number of characters."""
        return sum(len(line.codes) for line in self.lines)

    @cached_property
    def soundness(self) -> float:
        """Share of the page's characters that mean something, 0 for an empty page."""
        return soundness(np.concatenate([line.codes for line in self.lines])) if self.lines else 0.0


@dataclass
class _PageLoop:
    """Reads the pages of one document within its limits."""

    limits: Limits
    skip: Collection[int]
    progress: Callable[[int], None] | None
    scans: Scans
    on_page: PageCallback | None = None
    waited: float = 0.0
    read: list[_PageLines] = field(default_factory=list)
    failed: list[FailedPage] = field(default_factory=list)

    def read_all(self, page_count: int, page: Callable[[int], _PageLines | FailedPage]) -> None:
        """Read every page or record why it failed. Raises DocumentTooLarge or NoTextLayer."""
        if page_count > self.limits.max_pages:
            raise DocumentTooLarge(
                f"the document has {page_count:,} pages: the limit is {self.limits.max_pages:,}"
            )
        deadline = time.monotonic() + 0.8 * self.limits.seconds
        length = 0
        for number in range(1, page_count + 1):
            page_read = self._read_page(number, deadline, page)
            if self.on_page:
                self._call(partial(self.on_page, _progress_of(page_read, page_count)))
            if isinstance(page_read, FailedPage):
                self.failed.append(page_read)
                continue
            self.read.append(page_read)
            if page_read.scan:
                self.scans.take(number, page_read.scan)
            length += page_read.length
            if length > self.limits.max_text:
                most = self.limits.max_text
                raise DocumentTooLarge(f"the document has more than {most:,} characters")
        _refuse_without_text(self.read, self.failed)

    def _read_page(
        self, number: int, deadline: float, page: Callable[[int], _PageLines | FailedPage]
    ) -> _PageLines | FailedPage:
        if number in self.skip:
            return FailedPage(number, "crashed", "the reader crashed on this page")
        if time.monotonic() > deadline + self.scans.spent + self.waited:
            return FailedPage(number, "timeout", "the time limit for this document was reached")
        if self.progress:
            self._call(partial(self.progress, number))
        return page(number)

    def _call(self, callback: Callable[[], None]) -> None:
        """Call a listener; the time that it takes does not count as reading time."""
        began = time.monotonic()
        callback()
        self.waited += time.monotonic() - began


def _progress_of(page: _PageLines | FailedPage, pages: int) -> PageRead:
    if isinstance(page, FailedPage):
        return PageRead(page.number, pages, code=page.code, reason=page.reason)
    lines = (("\n\n" if line.opens else "\n") + line.text for line in page.lines)
    return PageRead(
        page.number,
        pages,
        text="".join(lines).lstrip("\n"),
        width=page.width,
        height=page.height,
        method=page.method,
        confidence=page.confidence,
    )


def _read_pdf(
    data: bytes, password: str | None, loop: _PageLoop, engines: Sequence[str]
) -> ParsedDocument:
    warnings: list[str] = []
    with _opened(data, password, warnings) as document:
        metadata = document.pypdf.metadata() if document.pypdf else {}
        warnings += document.pypdf.actions() if document.pypdf else []

        def page(number: int) -> _PageLines | FailedPage:
            own = _page(document, number, engines)
            return _recognised(document, own, loop.scans) if _is_scan(own) else own

        loop.read_all(document.page_count, page)
    return _assembled(loop, PDF, warnings, metadata)


def _read_pictures(data: bytes, media_type: str, loop: _PageLoop) -> ParsedDocument:
    from shared.documents.pages.images import Pictures

    with Pictures(data) as pictures:

        def page(number: int) -> _PageLines | FailedPage:
            scanned = loop.scans.read(number, lambda: pictures.gray(number))
            return scanned if isinstance(scanned, FailedPage) else _scanned(number, scanned)

        loop.read_all(pictures.page_count, page)
    return _assembled(loop, media_type, [], {})


def _is_scan(page: _PageLines | FailedPage) -> bool:
    """Whether the page's own text is missing, incomplete or unsound."""
    if isinstance(page, FailedPage):
        return page.code == NO_TEXT_LAYER
    return page.glyphs.picture >= _MOSTLY or 0 < page.soundness < 1 - UNSOUND


def _recognised(
    document: _Opened, page: _PageLines | FailedPage, scans: Scans
) -> _PageLines | FailedPage:
    """Recognise the page; keep its own text if that is sound and almost as long, or surer."""
    pdfium, number = document.pdfium, page.number
    if pdfium is None or number > pdfium.page_count:
        return page
    scanned = scans.read(number, lambda: (pdfium.gray(number, DPI), DPI), pdfium.rotation(number))
    if isinstance(scanned, FailedPage):
        return scanned if isinstance(page, FailedPage) else page
    recognised = _scanned(number, scanned)
    if isinstance(page, FailedPage):
        return recognised
    surer = scanned.page.confidence >= SURE and recognised.soundness >= page.soundness
    longer = recognised.length >= _MORE * page.length
    return recognised if surer and (longer or page.soundness < 1 - UNSOUND) else page


def _scanned(number: int, scanned: Scanned) -> _PageLines:
    return _PageLines(number, scanned.lines, scanned.page.glyphs, METHOD, scanned)


def _page(document: _Opened, number: int, engines: Sequence[str]) -> _PageLines | FailedPage:
    """Read a page with the first engine, or the next if the first finds too little."""
    candidates: list[_PageLines] = []
    reasons: list[str] = []
    images = False
    for method in engines:
        engine = document.pdfium if method == "pypdfium2" else document.pypdf
        if engine is None or (candidates and not _doubtful(candidates[0], images)):
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
        candidates.append(_PageLines(number, lines, glyphs, method))
    if not candidates:
        return FailedPage(number, "unreadable_page", "; ".join(reasons) or "the page is missing")
    best = max(candidates, key=lambda page: (page.soundness, page is candidates[0]))
    if not best.lines and images:
        return FailedPage(number, NO_TEXT_LAYER, "the page is an image without a text layer")
    if document.pypdf is None or not document.pypdf.is_damaged(number):
        return best
    if not best.lines:
        return FailedPage(number, "unreadable_page", "the data of the page is damaged")
    return replace(best, damaged=True)


def _lines(document: _Opened, method: str, glyphs: Glyphs, number: int) -> list[Line]:
    """Return the lines of a page. pypdf loses positions inside forms, but keeps the order."""
    if method == "pypdf" and document.pypdf and glyphs.on_the_page < _PLACED:
        return plain_lines(document.pypdf.own_text(number), glyphs.height)
    return page_lines(glyphs)


def _doubtful(page: _PageLines, images: bool) -> bool:
    """Whether the other engine may find more: the text is unsound, or missing beside a picture."""
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
    loop: _PageLoop, media_type: str, warnings: list[str], metadata: dict[str, str]
) -> ParsedDocument:
    pages, failed = loop.read, loop.failed
    lines = [page.lines for page in pages]
    assembled = assemble(lines, find_running_headers(lines, [page.glyphs.height for page in pages]))
    ledger = tuple(
        Page(
            number=page.number,
            start=start,
            end=end,
            width=page.width,
            height=page.height,
            rotation=page.glyphs.rotation,
            method=page.method,
            confidence=page.confidence,
        )
        for page, (start, end) in zip(pages, assembled.pages, strict=True)
    )
    if damaged := [str(page.number) for page in pages if page.damaged]:
        warnings.append(f"the data of page {', '.join(damaged)} is damaged: text may be missing")
    unsound = [page.number for page in pages if 0 < page.soundness < 1 - UNSOUND]
    if unsound:
        warnings.append(
            f"the text of page {', '.join(map(str, unsound))} has unknown or scrambled characters"
        )
    return ParsedDocument(
        text=assembled.text,
        pages=ledger,
        boxes=assembled.boxes,
        failed=tuple(failed),
        furniture=tuple(assembled.furniture),
        warnings=(*warnings, *loop.scans.warnings()),
        media_type=media_type,
        metadata=metadata,
        unsound=tuple(unsound),
    )


def _within(parsed: ParsedDocument, limits: Limits) -> ParsedDocument:
    most = limits.max_text if parsed.has_boxes else limits.max_plain_text
    if len(parsed.text) > most:
        raise DocumentTooLarge(
            f"the document has {len(parsed.text):,} characters: the limit is {most:,}"
        )
    return parsed
