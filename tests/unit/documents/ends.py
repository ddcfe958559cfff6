"""How reading a document ends, and what was read: its cells, pages and parts."""

from __future__ import annotations

from shared.documents import (
    Attachment,
    Cell,
    Limits,
    ParsedDocument,
    RefusedPart,
    read,
    unpack,
)
from shared.documents.model.formats import CSV, TEXT
from shared.documents.sandbox import Reader
from shared.errors import UnreadableDocument


def outcome(
    data: bytes,
    name: str,
    limits: Limits | None = None,
    reader: Reader | None = None,
    password: str | None = None,
) -> str:
    """Return "read", "partial" or "refused"; any other word describes a defect.

    The document is read in this process, or in the child of a given reader with its own limits.
    """
    try:
        if reader:
            reading = reader.read(data, name=name)
        else:
            reading = read(data, name=name, limits=limits, password=password)
    except UnreadableDocument as error:
        complete = error.message and error.document == name
        return "refused" if complete else f"an error that does not say enough: {error!r}"
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
    as_it_is = reading.media_type in (TEXT, CSV)
    if any(mark in reading.text for mark in ("\0" if as_it_is else "\0\f\v")):
        return "a text with marks that belong to nobody"
    return "partial" if reading.failed else "read"


def all_cells(reading: ParsedDocument) -> list[Cell]:
    return reading.cells_of(0, len(reading.text))


def named(reading: ParsedDocument) -> dict[str, str]:
    """Return the texts of all cells by their names."""
    return {reading.name_of(c): reading.text[c.start : c.end] for c in all_cells(reading)}


def shown(reading: ParsedDocument) -> list[str]:
    """Return the text of each page."""
    return [reading.text[page.start : page.end] for page in reading.pages]


def parts(data: bytes, depth: int = 0, **limits: int) -> list[Attachment | RefusedPart]:
    return list(unpack(data, name="a.eml", limits=Limits(**limits), depth=depth).parts())


def codes(data: bytes, **limits: int) -> list[tuple[str, str]]:
    """Return the name of each part and why it was refused."""
    return [(part.name, getattr(part, "code", "")) for part in parts(data, **limits)]


def refused(data: bytes, code: str, depth: int = 0, **limits: int) -> str:
    """Return the reason why the only part is refused, with this code."""
    [part] = parts(data, depth, **limits)
    assert isinstance(part, RefusedPart), part
    assert part.code == code
    return part.reason
