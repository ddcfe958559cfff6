"""The sample documents, and some that are too odd or too large to be kept as files."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

from tests.data.documents.make import Pdf, block, show
from tests.support import ROOT

FOLDER = ROOT / "tests" / "data" / "documents"
PASSWORD = "open sesame"
GOLDEN = tuple(sorted(path.stem for path in FOLDER.glob("*.json")))


def sample(name: str) -> bytes:
    return (FOLDER / f"{name}.pdf").read_bytes()


def path_of(name: str) -> Path:
    return FOLDER / f"{name}.pdf"


def plain(pages: int = 1, *, text: str = "The parties agree on page") -> bytes:
    pdf = Pdf()
    for number in range(1, pages + 1):
        pdf.page(show(f"{text} {number}.", 72, 700))
    return pdf.build()


def bomb() -> bytes:
    """Return a few kilobytes whose second page unpacks to three gigabytes."""
    chunk = zlib.compressobj(9, wbits=-15)
    block_of_spaces = chunk.compress(b" " * (1 << 24)) + chunk.flush(zlib.Z_FULL_FLUSH)
    inner = b"\x78\xda" + block_of_spaces * 190 + b"\x03\x00" + b"\0\0\0\0"
    data = zlib.compress(inner, 9)
    pdf = Pdf()
    pdf.page(show("Before the bomb.", 72, 700))
    pdf.page("")
    stream = pdf.stream(data, b"/Filter [/FlateDecode /FlateDecode]")
    pdf.objects[pdf.pages[1] - 1] = (
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R"
        b" /Resources << /Font << /F1 3 0 R >> >> >>" % stream
    )
    pdf.page(show("After the bomb.", 72, 700))
    return pdf.build()


def slow_to_draw(groups: int = 60_000) -> bytes:
    """Return a page that blends a picture of itself with so many others: minutes of drawing."""
    pdf = Pdf()
    pdf.page("")
    blue_and_red = b"0 0 1 rg 0 0 612 792 re f 1 0 0 rg 10 10 500 700 re f"
    form = pdf.stream(
        blue_and_red,
        b"/Type /XObject /Subtype /Form /BBox [0 0 612 792] /Group << /S /Transparency /I true >>",
    )
    content = pdf.stream(b"/G gs " + b"/F Do " * groups, b"")
    pdf.objects[pdf.pages[0] - 1] = (
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R /Resources <<"
        b" /ExtGState << /G << /ca 0.5 /BM /Luminosity >> >> /XObject << /F %d 0 R >> >> >>"
        % (content, form)
    )
    return pdf.build()


def deeply_nested() -> bytes:
    """A page whose entries nest arrays a hundred thousand deep."""
    pdf = Pdf()
    depth = 100_000
    pdf.page(block(["A line."], 72, 700), entries="/Odd " + "[" * depth + "]" * depth)
    return pdf.build()


def recursive_tree() -> bytes:
    """Return a page tree that is its own child."""
    pdf = Pdf()
    pdf.page(show("A line.", 72, 700))
    whole = pdf.build()
    return whole.replace(b"/Kids [6 0 R]", b"/Kids [2 0 R]")


def no_pages() -> bytes:
    return Pdf().build()


def broken_xref() -> bytes:
    whole = plain(3)
    start = whole.index(b"xref\n0")
    return whole[:start] + re.sub(rb"\d{10} 00000 n", b"0000000007 00000 n", whole[start:])


def odd_characters() -> bytes:
    """Return a to-Unicode table that maps glyphs to NUL and to half of a surrogate pair."""
    pdf = Pdf()
    pdf.page(show("A\x03\x04B", 72, 700))
    table = pdf.stream(
        b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap\n"
        b"1 begincodespacerange <00> <FF> endcodespacerange\n"
        b"2 beginbfchar <03> <0000> <04> <D83D> endbfchar\n"
        b"endcmap end end"
    )
    pdf.objects[2] = (
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding"
        b" /ToUnicode %d 0 R >>" % table
    )
    return pdf.build()


def scrambled(*lines: str) -> bytes:
    """Return a page whose font maps every letter to another one: `7KLV` for This."""
    pdf = Pdf()
    pdf.page("".join(show(line, 72, 700 - 24 * n) for n, line in enumerate(lines)))
    table = pdf.stream(
        b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap\n"
        b"1 begincodespacerange <00> <FF> endcodespacerange\n"
        b"2 beginbfrange\n<41> <5A> <0024>\n<61> <7A> <0044>\nendbfrange\n"
        b"endcmap end end"
    )
    pdf.objects[2] = (
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding"
        b" /ToUnicode %d 0 R >>" % table
    )
    return pdf.build()


def drawn_in_a_form() -> bytes:
    """Return two lines off the page that a form's matrix moves onto it."""
    pdf = Pdf()
    lines = show("The first line of the form", 72, 7000) + show("and its second.", 72, 6980)
    form = pdf.stream(
        lines.encode(),
        b"/Type /XObject /Subtype /Form /BBox [0 0 9999 9999]"
        b" /Resources << /Font << /F1 3 0 R >> >>",
    )
    pdf.page("q 0.5 0 0 0.5 20 -3000 cm /X Do Q", resources=f"/XObject << /X {form} 0 R >>")
    return pdf.build()
