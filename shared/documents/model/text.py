"""Plain text files: their characters, unchanged."""

from __future__ import annotations

from shared.documents.model.parsed_document import Page, ParsedDocument
from shared.errors import UnreadableDocument


def decode(data: bytes) -> str:
    """Decode UTF-8 without newline translation. Raises UnreadableDocument with the position."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UnreadableDocument("the text is UTF-16: save it as UTF-8")
    if (nul := data.find(b"\0")) >= 0:
        raise UnreadableDocument(f"the file is not text: it has a NUL at byte {nul}")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnreadableDocument(
            f"the text is not UTF-8 (byte {error.start} is 0x{data[error.start]:02x}): "
            "save it as UTF-8"
        ) from error


def read_text(data: bytes, media_type: str) -> ParsedDocument:
    """Return a text file as one page without boxes."""
    text = decode(data)
    return ParsedDocument(text, (Page(1, 0, len(text)),), media_type=media_type)
