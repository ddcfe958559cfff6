"""How reading a document ends, for tests of hostile and damaged ones."""

from __future__ import annotations

from shared.documents import Limits, read
from shared.documents.sandbox import Reader
from shared.documents.sniffing import HTML
from shared.errors import UnreadableDocument


def outcome(
    data: bytes, name: str, limits: Limits | None = None, reader: Reader | None = None
) -> str:
    """How it ends: "read", "partial" or "refused"; anything else says what is wrong with it.

    It is read in this process, or in the child of a reader, which has limits of its own.
    """
    try:
        reading = reader.read(data, name=name) if reader else read(data, name=name, limits=limits)
    except UnreadableDocument as error:
        said = error.message and error.document == name
        return "refused" if said else f"an error that does not say enough: {error!r}"
    if reading.page_count != len(reading.pages) + len(reading.failed):
        return "a ledger that does not add up"
    place = 0
    for page in reading.pages:
        if not place <= page.start <= page.end or reading.text[place : page.start].strip("\n"):
            return f"text that stands on no page before page {page.number}"
        place = page.end
    if reading.text[place:].strip("\n"):
        return "text that stands on no page in the end"
    try:
        reading.text.encode()
    except UnicodeEncodeError as error:
        return f"a text that is none: {error}"
    as_it_is = reading.media_type.startswith("text/") and reading.media_type != HTML
    if any(mark in reading.text for mark in ("\0" if as_it_is else "\0\f\v")):
        return "a text with marks that belong to nobody"
    return "partial" if reading.failed else "read"
