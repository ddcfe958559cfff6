"""Plain text files: their characters as they are, nothing added and nothing taken away."""

from __future__ import annotations

from shared.documents.reading import Page, Reading, no_boxes
from shared.errors import UnreadableDocument


def decode(data: bytes) -> str:
    """UTF-8 as it is, without newline translation; raises UnreadableDocument with the place."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UnreadableDocument("the text is UTF-16: save it as UTF-8")
    nul = data.find(b"\0")
    if nul >= 0:
        raise UnreadableDocument(f"not a text: there is a NUL at byte {nul}")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnreadableDocument(
            f"the text is not UTF-8 (byte {error.start} is 0x{data[error.start]:02x}): "
            "save it as UTF-8"
        ) from error


def read_text(data: bytes, media_type: str) -> Reading:
    """A text file as one page without boxes."""
    text = decode(data)
    return Reading(
        text=text,
        pages=(Page(1, 0, len(text), 0.0, 0.0, 0, "text"),),
        boxes=no_boxes(len(text)),
        page_count=1,
        media_type=media_type,
    )
