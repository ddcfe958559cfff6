"""Read pictures inside documents that have text: each picture of a page becomes a page at the end.

Scanned pages are pasted into letters, and whole contracts arrive as photos in a Word file. Pages
follow the order in which the pictures are shown; each page of a TIFF is one. Small pictures (logos,
signatures) and pictures without text are ignored. A warning names every other picture that was not
read, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial

from shared.documents.containers.zip_package import Package
from shared.documents.flow.flow import counted
from shared.documents.model.parsed_document import FailedPage, Page, ParsedDocument, no_boxes
from shared.documents.pages.assembly import assemble
from shared.documents.pages.scanned_pages import Scanned, Scans, listed
from shared.documents.pages.tesseract import METHOD, NEEDS, engine
from shared.errors import DocumentTooLarge, NoTextLayer, UnreadableDocument

LEAST_SIDE = 500
"""Pixels of the shorter side of a picture of a page: A4 at 60 dots per inch."""
LEAST_CONFIDENCE = 0.5
"""Below it, recognised words are probably edges of things."""
UNSURE = (
    f"not read, because its words are recognised with less than {LEAST_CONFIDENCE:.0%} confidence"
)
GAP = "\n\n"

Picture = Callable[[], bytes]
"""Returns the bytes of a picture. Raises UnreadableDocument if it is damaged or missing."""


def with_pictures(
    reading: ParsedDocument, pictures: Sequence[Picture], scans: Scans, skip: Collection[int]
) -> ParsedDocument:
    """Return the document with a page for each picture that has text.

    Unread pictures are named in warnings, because they may contain text. `skip` has numbers of
    pictures whose recognition ended the reader, counted after the pages. Raises NoTextLayer if
    there is no page at all, or no engine is installed for a document without text.
    """
    text, pages, unread = [reading.text], list(reading.pages), dict[str, list[str]]()
    length = len(reading.text)
    for which, result in _recognised(reading.page_count, pictures, scans, skip):
        if isinstance(result, str):
            unread.setdefault(result, []).append(which)
            continue
        number = reading.page_count + len(pages) - len(reading.pages) + 1
        shown = assemble([result.lines], [set()]).text
        gap = GAP if length else ""
        start = length + len(gap)
        length = start + len(shown)
        text += (gap, shown)
        confidence = result.page.confidence
        pages.append(Page(number, start, length, method=METHOD, confidence=confidence))
        scans.take(number, result)
    added = len(pages) - len(reading.pages)
    warnings = []
    if added:
        first = reading.page_count + 1
        behind = f"page {first}" if added == 1 else f"pages {first} to {first + added - 1}"
        warnings.append(f"{counted(added, 'picture')} in it read as {behind}, after its text")
    for why, numbers in unread.items():
        named = "picture" if len(numbers) == 1 else "pictures"
        warnings.append(f"{named} {listed(numbers)} in it {why}")
    warnings += scans.warnings()
    if not pages and not reading.failed:
        why = "; ".join(warnings) or "none was recognised in its pictures"
        raise NoTextLayer(
            f"the document has no text: {why if engine() else f'only pictures: {NEEDS}'}"
        )
    return replace(
        reading,
        text="".join(text),
        boxes=no_boxes(),
        pages=tuple(pages),
        warnings=(*reading.warnings, *warnings),
    )


def unread_pictures(package: Package, folder: str) -> list[str]:
    """Return a warning about pictures of pages in a folder of a workbook; they are not read."""
    parts = [name for name in package.names() if name.startswith(folder)]
    count = sum(_is_page(partial(package.picture, part)) for part in parts)
    if not count:
        return []
    return [
        f"{counted(count, 'picture')} in it as large as a page, not read: send pictures with text"
        " as PNG or PDF"
    ]


def _is_page(picture: Picture) -> bool:
    """Whether a picture is as large as a page, in any format."""
    from shared.documents.pages.images import Pictures, unread_format  # takes a while

    try:
        data = picture()
        if unread := unread_format(data):
            return unread[1] >= LEAST_SIDE
        with Pictures(data) as opened:
            return opened.shorter_side >= LEAST_SIDE
    except DocumentTooLarge:
        return True
    except UnreadableDocument:
        return False  # a drawing, or damaged


def _recognised(
    before: int, pictures: Sequence[Picture], scans: Scans, skip: Collection[int]
) -> Iterator[tuple[str, Scanned | str]]:
    """Yield the number of each picture of a page (from 1), and its text or why it was not read."""
    from shared.documents.pages.images import Pictures, unread_format  # takes a while

    taken = 0
    for count, picture in enumerate(pictures, 1):
        number, which = before + count, str(count)
        if number in skip:
            yield which, "not read, because the reader crashed on it"
            continue
        try:
            data = picture()
            unread = unread_format(data)
            if unread is not None:
                name, shorter_side = unread
                if shorter_side >= LEAST_SIDE:
                    yield which, f"not read, because {name} is not supported: save it as PNG"
                continue
            with Pictures(data) as opened:
                if opened.shorter_side < LEAST_SIDE:
                    continue
                if engine() is None:
                    yield which, f"not read ({NEEDS})"
                    continue
                for page in range(1, opened.page_count + 1):  # a TIFF may have several
                    which = str(count) if opened.page_count == 1 else f"{count} (page {page})"
                    if before + taken >= scans.limits.max_pages:
                        yield (
                            which,
                            f"not read, because {scans.limits.max_pages:,} pages are the limit",
                        )
                        break
                    scanned = scans.read(number, partial(opened.gray, page))
                    if isinstance(scanned, FailedPage):
                        yield which, f"not read ({scanned.reason})"
                    elif scanned.lines and scanned.page.confidence >= LEAST_CONFIDENCE:
                        taken += 1
                        yield which, scanned
                    elif scanned.lines:
                        yield which, UNSURE
        except UnreadableDocument as error:  # also one that is too large
            yield which, f"not read ({error.message})"
