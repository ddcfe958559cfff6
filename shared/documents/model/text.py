"""Plain text files: their characters, unchanged."""

from __future__ import annotations

import re

from shared.documents.flow.charsets import decoded
from shared.documents.model.parsed_document import Page, ParsedDocument
from shared.errors import UnreadableDocument

_CONTROL = re.compile("[\0-\x08\x0e-\x19\x1b-\x1f]")
_MOST_CONTROLS = 0.01  # share of control characters; bytes that are no text have about a tenth


def decode(data: bytes) -> tuple[str, list[str]]:
    """Decode UTF-8, or UTF-16 with its mark; bytes that are neither, as Windows-1252.

    Nothing is translated, and byte order marks stay.

    Returns:
        The text, and a warning if Windows-1252 was needed.

    Raises:
        UnreadableDocument: The bytes are not text.
    """
    warnings: list[str] = []
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = _utf_16(data)
    else:
        text, valid = decoded(data, "utf-8")
        if not valid:
            warnings.append(
                "the text is not UTF-8: other bytes were read as Windows-1252. Save it as UTF-8 if "
                "letters are wrong"
            )
    if (nul := text.find("\0")) >= 0:
        raise UnreadableDocument(
            "the file is neither text nor a document that smallprint reads: it has a NUL at "
            f"character {nul + 1}"
        )
    controls = sum(1 for _ in _CONTROL.finditer(text))
    if controls > _MOST_CONTROLS * len(text):
        raise UnreadableDocument(
            f"the file is not text: {controls:,} of {len(text):,} characters are control characters"
        )
    return text, warnings


def _utf_16(data: bytes) -> str:
    try:
        return data.decode("utf-16-le" if data.startswith(b"\xff\xfe") else "utf-16-be")
    except UnicodeDecodeError as error:
        raise UnreadableDocument(
            f"the text is not UTF-16 (byte {error.start}): save it as UTF-8"
        ) from error


def read_text(data: bytes, media_type: str) -> ParsedDocument:
    """Return a text file as one page without boxes."""
    text, warnings = decode(data)
    return ParsedDocument(
        text, (Page(1, 0, len(text)),), media_type=media_type, warnings=tuple(warnings)
    )
