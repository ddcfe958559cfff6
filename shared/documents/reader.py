"""Reading one document in this process: the engines, page by page, and the ledger."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shared.documents.assembly import assemble
from shared.documents.delimited import CSV, read_table
from shared.documents.furniture import furniture
from shared.documents.glyphs import Glyphs
from shared.documents.layout import Line, page_lines, plain_lines
from shared.documents.package import DOCX, ODS, ODT, XLS, XLSX
from shared.documents.reading import FailedPage, Limits, Page, Reading
from shared.documents.sniffing import HTML, PDF, RTF, sniff
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

_UNSOUND = 0.2  # share of characters without a meaning from which the other engine is asked
_PLACED = 0.9  # share of characters on the page below which pypdf's places are not trusted
_NO_TEXT_LAYER = "no_text_layer"


def read(
    data: bytes,
    *,
    name: str = "",
    password: str | None = None,
    limits: Limits | None = None,
    skip: Collection[int] = (),
    progress: Callable[[int], None] | None = None,
    engines: Sequence[str] = ENGINES,
) -> Reading:
    """Read one document in this process; `sandbox.Reader` does the same within firm limits.

    Pages in `skip` (from 1) are not touched and become failed pages; `progress` is called with the
    number of each page before it is read; `engines` are asked for a page's text in their order.
    Raises the UnreadableDocument that fits, naming the document.
    """
    limits = limits or Limits()
    try:
        if len(data) > limits.max_bytes:
            raise DocumentTooLarge(
                f"the document has {len(data):,} bytes: at most {limits.max_bytes:,} are read"
            )
        media_type = sniff(data, name)
        if media_type == PDF:
            reading = _read_pdf(data, password, limits, skip, progress, engines)
        elif media_type == XLSX:
            reading = read_workbook(data, limits, skip, progress)
        elif media_type in (XLS, ODS):
            from shared.documents.calamine import read_values  # loaded with the first of them

            reading = read_values(data, media_type, limits, skip, progress)
        elif media_type == CSV:
            reading = read_table(data)
        elif media_type == XBRL:
            reading = read_instance(data, limits)
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
    """Page `number` (from 1) of a PDF as PNG, `scale` pixels a point."""
    if sniff(data) != PDF:
        raise UnsupportedType("only a PDF has pages to show")
    with _opened(data, password, []) as document:
        if document.pdfium is None:
            raise UnreadableDocument("the pages of this document can't be drawn")
        return document.pdfium.png(number, scale)


def decrypt(data: bytes, *, password: str | None = None) -> bytes:
    """The same PDF without encryption; one that is not encrypted comes back as it is."""
    from shared.documents.pdf import PdfDocument

    document = PdfDocument(data, password)
    return document.rewritten() if document.encrypted else data


def _read_docx(data: bytes, limits: Limits) -> Reading:
    from shared.documents.docx import read_docx

    return read_docx(data, limits)


def _read_html(data: bytes, limits: Limits) -> Reading:
    from shared.documents.html import read_html

    return read_html(data, limits)


def _read_rtf(data: bytes, limits: Limits) -> Reading:
    from shared.documents.rtf import read_rtf

    return read_rtf(data, limits)


def _read_odt(data: bytes, limits: Limits) -> Reading:
    from shared.documents.odt import read_odt

    return read_odt(data, limits)


_FLOWING: dict[str, Callable[[bytes, Limits], Reading]] = {
    DOCX: _read_docx,
    HTML: _read_html,
    ODT: _read_odt,
    RTF: _read_rtf,
}
"""Readers of the types without fixed pages, each loaded with its first document."""


def load_engines() -> None:
    """Load both engines, and what opens mails of Outlook, now; else the first document does."""
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
    number: int
    lines: list[Line]
    glyphs: Glyphs
    method: str


def _read_pdf(
    data: bytes,
    password: str | None,
    limits: Limits,
    skip: Collection[int],
    progress: Callable[[int], None] | None,
    engines: Sequence[str],
) -> Reading:
    deadline = time.monotonic() + 0.8 * limits.seconds
    warnings: list[str] = []
    with _opened(data, password, warnings) as document:
        if document.page_count > limits.max_pages:
            raise DocumentTooLarge(
                f"the document has {document.page_count:,} pages: "
                f"at most {limits.max_pages:,} are read"
            )
        metadata = document.pypdf.metadata() if document.pypdf else {}
        read_pages: list[_PageLines] = []
        failed: list[FailedPage] = []
        length = 0
        for number in range(1, document.page_count + 1):
            if number in skip:
                failed.append(FailedPage(number, "crashed", "reading this page ended the reader"))
                continue
            if time.monotonic() > deadline:
                failed.append(FailedPage(number, "timeout", "the time for this document was up"))
                continue
            if progress:
                progress(number)
            page = _page(document, number, engines)
            if isinstance(page, FailedPage):
                failed.append(page)
                continue
            read_pages.append(page)
            length += sum(len(line.codes) for line in page.lines)
            if length > limits.max_text:
                raise DocumentTooLarge(f"the document has more than {limits.max_text:,} characters")
    _refuse_without_text(read_pages, failed)
    return _assembled(read_pages, failed, warnings, metadata)


def _page(document: _Opened, number: int, engines: Sequence[str]) -> _PageLines | FailedPage:
    """One page by the first engine, or by the next if that finds more; or why there is nothing."""
    found: list[_PageLines] = []
    reasons: list[str] = []
    images = False
    for method in engines:
        engine = document.pdfium if method == "pypdfium2" else document.pypdf
        if engine is None or (found and not _doubtful(found[0], images)):
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
    best = max(found, key=lambda page: (_soundness(page), page is found[0]))
    if not best.lines and images:
        return FailedPage(number, _NO_TEXT_LAYER, "the page is an image without a text layer")
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
    return _soundness(page) < 1 - _UNSOUND


def _soundness(page: _PageLines) -> float:
    """The share of characters that mean something, 0 for none."""
    if not page.lines:
        return 0.0
    codes = np.concatenate([line.codes for line in page.lines])
    private = (codes >= 0xE000) & (codes < 0xF900)
    return 1.0 - float(((codes == 0xFFFD) | private).mean())


def _refuse_without_text(pages: list[_PageLines], failed: list[FailedPage]) -> None:
    if any(page.lines for page in pages):
        return
    if any(page.code == _NO_TEXT_LAYER for page in failed):
        raise NoTextLayer(
            "the document has no text layer: its pages are images, which are not read yet"
        )
    if failed:
        raise UnreadableDocument(f"no page can be read; the first says: {failed[0].reason}")
    raise NoTextLayer("the document has no text layer: its pages are empty")


def _assembled(
    pages: list[_PageLines],
    failed: list[FailedPage],
    warnings: list[str],
    metadata: dict[str, str],
) -> Reading:
    lines = [page.lines for page in pages]
    whole = assemble(lines, furniture(lines, [page.glyphs.height for page in pages]))
    ledger = tuple(
        Page(
            number=page.number,
            start=start,
            end=end,
            width=page.glyphs.width,
            height=page.glyphs.height,
            rotation=page.glyphs.rotation,
            method=page.method,
        )
        for page, (start, end) in zip(pages, whole.pages, strict=True)
    )
    unsound = [page.number for page in pages if 0 < _soundness(page) < 1 - _UNSOUND]
    if unsound:
        warnings.append(f"the text of page {', '.join(map(str, unsound))} has unknown characters")
    return Reading(
        text=whole.text,
        pages=ledger,
        boxes=whole.boxes,
        page_count=len(pages) + len(failed),
        failed=tuple(failed),
        furniture=tuple(whole.furniture),
        warnings=tuple(warnings),
        media_type=PDF,
        metadata=metadata,
    )


def _within(reading: Reading, limits: Limits) -> Reading:
    most = limits.max_text if reading.has_boxes else limits.max_plain_text
    if len(reading.text) > most:
        raise DocumentTooLarge(
            f"the document has {len(reading.text):,} characters: at most {most:,} are read"
        )
    return reading
