"""Pictures that lie in a document with a text of its own: what is written in them are more pages.

A scanned page is pasted into a letter, or a whole contract comes as photos in a Word file. Each
such picture becomes a page behind those of the text, in the order in which the pictures are shown,
with the confidence of its recognition; each page of a TIFF is one. Small ones (logos, signatures)
and those with nothing to read in them (photos, drawings) are none. Whatever else was not read is
named in a warning, with the reason and its number among the pictures as they are shown: one that is
damaged or missing, as large as a page of a format that is not read, or with words too unsure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial

from shared.documents.assembly import assemble
from shared.documents.ocr import METHOD, NEEDS, engine
from shared.documents.package import Package
from shared.documents.reading import FailedPage, Limits, Page, Reading, no_boxes
from shared.documents.scans import Scanned, Scans, listed
from shared.documents.tally import counted
from shared.errors import DocumentTooLarge, NoTextLayer, UnreadableDocument

LEAST_SIDE = 500
"""Pixels of the shorter side, from which on a picture may be of a page: A4 at 60 dots an inch."""
LEAST_CONFIDENCE = 0.5
"""Below it, what was recognised is rather the edges of things than letters."""
UNSURE = f"not read, for its words are recognised with less than {LEAST_CONFIDENCE:.0%} confidence"
GAP = "\n\n"

Picture = Callable[[], bytes]
"""Gives the bytes of a picture. Raises UnreadableDocument for one that is damaged or missing."""


def with_pictures(
    reading: Reading,
    pictures: Sequence[Picture],
    scans: Scans,
    limits: Limits,
    skip: Collection[int] = (),
) -> Reading:
    """The reading with a page for each picture that has text in it.

    What was not read in them is among the warnings, for nobody knows whether it was text. Numbers
    in `skip` are those of pictures whose recognition ended the reader, counted behind the pages.
    """
    text, pages, unread = [reading.text], list(reading.pages), dict[str, list[str]]()
    length = len(reading.text)
    for which, found in _recognised(reading.page_count, pictures, scans, limits, skip):
        if isinstance(found, str):
            unread.setdefault(found, []).append(which)
            continue
        number = reading.page_count + len(pages) - len(reading.pages) + 1
        shown = assemble([found.lines], [set()]).text
        gap = GAP if length else ""
        start = length + len(gap)
        length = start + len(shown)
        text += (gap, shown)
        confidence = found.page.confidence
        pages.append(Page(number, start, length, 0.0, 0.0, method=METHOD, confidence=confidence))
        scans.take(number, found)
    added = len(pages) - len(reading.pages)
    warnings = list(reading.warnings)
    if added:
        first = reading.page_count + 1
        behind = f"page {first}" if added == 1 else f"pages {first} to {first + added - 1}"
        warnings.append(f"{counted(added, 'picture')} in it read as {behind}, behind its text")
    for why, numbers in unread.items():
        named = "picture" if len(numbers) == 1 else "pictures"
        warnings.append(f"{named} {listed(numbers)} in it {why}")
    return replace(
        reading,
        text="".join(text),
        boxes=no_boxes(length),
        pages=tuple(pages),
        page_count=reading.page_count + added,
        warnings=(*warnings, *scans.warnings()),
    )


def of_pictures(
    warnings: Sequence[str],
    media_type: str,
    pictures: Sequence[Picture],
    scans: Scans,
    limits: Limits,
    skip: Collection[int] = (),
) -> Reading:
    """The reading of a document that has pictures and no text of its own; `warnings` are its own.

    Raises NoTextLayer if there is no text in them either, or nothing that recognises it.
    """
    own = Reading("", (), no_boxes(0), 0, warnings=tuple(warnings), media_type=media_type)
    whole = with_pictures(own, pictures, scans, limits, skip)
    if not whole.pages:
        unread = "; ".join(whole.warnings[len(own.warnings) :])
        why = unread or "none was recognised in its pictures"
        raise NoTextLayer(
            f"the document has no text: {why if engine() else f'only pictures: {NEEDS}'}"
        )
    return whole


def not_read(package: Package, folder: str) -> list[str]:
    """The warning about pictures below a folder of a document whose pictures are not read.

    Those that are smaller than a page are passed over.
    """
    parts = [name for name in package.names() if name.startswith(folder)]
    found = sum(_is_page(partial(package.picture, part)) for part in parts)
    if not found:
        return []
    return [
        f"{counted(found, 'picture')} in it as large as a page, not read: send as PNG or PDF what"
        " is to be read"
    ]


def _is_page(picture: Picture) -> bool:
    """Whether a picture is as large as a page, in a format that is read or not."""
    from shared.documents.images import Pictures, unread_format  # loaded with the first of them

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
    before: int, pictures: Sequence[Picture], scans: Scans, limits: Limits, skip: Collection[int]
) -> Iterator[tuple[str, Scanned | str]]:
    """What is read in each picture of a page, or why it is not, with its number from 1."""
    from shared.documents.images import Pictures, unread_format  # loaded with the first of them

    taken = 0
    for count, picture in enumerate(pictures, 1):
        number, which = before + count, str(count)
        if number in skip:
            yield which, "not read, for it ended the reader"
            continue
        try:
            data = picture()
            unread = unread_format(data)
            if unread is not None:
                name, shorter_side = unread
                if shorter_side >= LEAST_SIDE:
                    yield which, f"not read, for {name} is no format that is read: save it as PNG"
                continue
            with Pictures(data) as opened:
                if opened.shorter_side < LEAST_SIDE:
                    continue
                if engine() is None:
                    yield which, f"not read ({NEEDS})"
                    continue
                for page in range(1, opened.page_count + 1):  # a TIFF may have several
                    which = str(count) if opened.page_count == 1 else f"{count} (page {page})"
                    if before + taken >= limits.max_pages:
                        yield which, f"not read, for {limits.max_pages:,} pages are the most"
                        break
                    found = scans.read(number, partial(opened.gray, page))
                    if isinstance(found, FailedPage):
                        yield which, f"not read ({found.reason})"
                    elif found.lines and found.page.confidence >= LEAST_CONFIDENCE:
                        taken += 1
                        yield which, found
                    elif found.lines:
                        yield which, UNSURE
        except UnreadableDocument as error:  # also one that is too large
            yield which, f"not read ({error.message})"
