"""Make a PDF of plain text with a text layer, for measurements."""

from __future__ import annotations

import io
import textwrap

from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

WIDTH, HEIGHT, MARGIN, SIZE, LEADING = 612, 792, 72, 11, 14  # points
COLUMNS = 84  # characters a line
LINES = (HEIGHT - 2 * MARGIN) // LEADING


def pdf_of(text: str) -> bytes:
    """Print ASCII text on US letter pages, in Helvetica of eleven points."""
    lines = [row for line in text.split("\n") for row in textwrap.wrap(line, COLUMNS) or [""]]
    writer = PdfWriter()
    font = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
        }
    )
    fonts = DictionaryObject({NameObject("/F1"): writer._add_object(font)})
    for first in range(0, len(lines), LINES):
        page = writer.add_blank_page(WIDTH, HEIGHT)
        content = DecodedStreamObject()
        content.set_data(_shown(lines[first : first + LINES]).encode("ascii"))
        page[NameObject("/Contents")] = writer._add_object(content)
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
    stream = io.BytesIO()
    writer.write(stream)
    return stream.getvalue()


def _shown(lines: list[str]) -> str:
    """The PDF operators that show lines from the top of a page."""
    escaped = (line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)") for line in lines)
    rows = " T* ".join(f"({line}) Tj" for line in escaped)
    return f"BT /F1 {SIZE} Tf {LEADING} TL {MARGIN} {HEIGHT - MARGIN} Td {rows} ET"
