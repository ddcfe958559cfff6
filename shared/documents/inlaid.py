"""Pictures that lie in a document with a text of its own: what is written in them are more pages.

A scanned page is pasted into a letter, or a whole contract comes as photos in a Word file. Each
such picture becomes a page behind those of the text, in the order in which the pictures are shown,
with the confidence of its recognition; each page of a TIFF is one. Small ones (logos, signatures)
and those with nothing to read in them (photos, drawings) are none; one as large as a page of a
format that is not read, or with words that are too unsure, is named in a warning.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial

from shared.documents.assembly import assemble
from shared.documents.ocr import METHOD, NEEDS, engine
from shared.documents.reading import FailedPage, Limits, Page, Reading, no_boxes
from shared.documents.scans import Scanned, Scans
from shared.documents.tally import counted
from shared.errors import DocumentTooLarge, UnreadableDocument

LEAST_SIDE = 500
"""Pixels of the shorter side, from which on a picture may be of a page: A4 at 60 dots an inch."""
LEAST_CONFIDENCE = 0.5
"""Below it, what was recognised is rather the edges of things than letters."""
UNSURE = f"not read, for its words are recognised with less than {LEAST_CONFIDENCE:.0%} confidence"
GAP = "\n\n"

Picture = Callable[[], bytes]
"""Gives the bytes of a picture. Raises UnreadableDocument for one that is damaged."""


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
    text, pages, unread = [reading.text], list(reading.pages), list[str]()
    length = len(reading.text)
    for found in _recognised(reading.page_count, pictures, scans, limits, skip):
        if isinstance(found, str):
            unread.append(found)
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
        which = f"page {first}" if added == 1 else f"pages {first} to {first + added - 1}"
        warnings.append(f"{counted(added, 'picture')} in it read as {which}, behind its text")
    for why, times in Counter(unread).items():
        warnings.append(f"{counted(times, 'picture')} in it {why}")
    return replace(
        reading,
        text="".join(text),
        boxes=no_boxes(length),
        pages=tuple(pages),
        page_count=reading.page_count + added,
        warnings=(*warnings, *scans.warnings()),
    )


def _recognised(
    before: int, pictures: Sequence[Picture], scans: Scans, limits: Limits, skip: Collection[int]
) -> Iterator[Scanned | str]:
    """What is read in each picture of a page, or why it is not."""
    from shared.documents.images import Pictures, unread_format  # loaded with the first of them

    taken = 0
    for number, picture in enumerate(pictures, before + 1):
        if number in skip:
            yield "not read, for it ended the reader"
            continue
        try:
            data = picture()
            unread = unread_format(data)
            if unread is not None:
                name, shorter_side = unread
                if shorter_side >= LEAST_SIDE:
                    yield f"not read, for {name} is no format that is read: save it as PNG"
                continue
            with Pictures(data) as opened:
                if opened.shorter_side < LEAST_SIDE:
                    continue
                if engine() is None:
                    yield f"not read ({NEEDS})"
                    continue
                for page in range(1, opened.page_count + 1):  # a TIFF may have several
                    if before + taken >= limits.max_pages:
                        yield f"not read, for {limits.max_pages:,} pages are the most"
                        break
                    found = scans.read(number, partial(opened.gray, page))
                    if isinstance(found, FailedPage):
                        yield f"not read ({found.reason})"
                    elif found.lines and found.page.confidence >= LEAST_CONFIDENCE:
                        taken += 1
                        yield found
                    elif found.lines:
                        yield UNSURE
        except DocumentTooLarge as error:
            yield f"not read ({error.message})"
        except UnreadableDocument:
            continue  # nothing that is known as a picture, or damaged: no page of a document
