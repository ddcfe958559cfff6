"""Makes the sample documents beside this file, and on request the readings expected of them.

    python -m tests.data.documents.make [--golden]

Each PDF shows one thing that real contracts do, and nothing else; PDFs are written out by hand so
that every byte is meant. `--golden` also writes what `documents.read` makes of them now: look at
the difference before you commit it.
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).parent
LETTER = (612, 792)

LEFT = """\
The Supplier shall deliver the Goods to
the place that the Buyer has named in the
purchase order, at its own cost and risk,
within thirty days after the order. Title
to the Goods passes to the Buyer when they
are unloaded at that place and the Buyer
has signed the delivery note for them.""".splitlines()
RIGHT = """\
The Buyer shall inspect the Goods within
ten days after delivery and give notice of
any defect that it finds. Goods for which
no such notice has been given within those
ten days are deemed to be accepted, unless
the defect could not have been found by an
inspection of reasonable care and length.""".splitlines()


@dataclass
class Pdf:
    """A PDF in the making: `objects[n]` is the body of object n + 1."""

    objects: list[bytes] = field(default_factory=list)
    pages: list[int] = field(default_factory=list)
    tree: int = 0

    def __post_init__(self) -> None:
        self.add(b"<< /Type /Catalog /Pages 2 0 R >>")
        self.tree = self.add(b"")
        for font in (b"Helvetica", b"Courier"):
            self.add(
                b"<< /Type /Font /Subtype /Type1 /BaseFont /%s /Encoding << /Type /Encoding"
                b" /BaseEncoding /WinAnsiEncoding /Differences [1 /fi /fl] >> >>" % font
            )

    def add(self, body: bytes) -> int:
        """Add an object; its number."""
        self.objects.append(body)
        return len(self.objects)

    def stream(self, data: bytes, entries: bytes = b"") -> int:
        """Add a stream; its number."""
        return self.add(b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(data), entries, data))

    def page(
        self,
        content: str | bytes,
        *,
        size: tuple[int, int] = LETTER,
        entries: str = "",
        resources: str = "",
    ) -> None:
        """Add a page with this content stream."""
        data = content if isinstance(content, bytes) else content.encode("cp1252")
        stream = self.stream(data)
        self.pages.append(
            self.add(
                f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {size[0]} {size[1]}] "
                f"/Resources << /Font << /F1 3 0 R /F2 4 0 R >> {resources} >> "
                f"/Contents {stream} 0 R {entries} >>".encode()
            )
        )

    def build(self) -> bytes:
        """The whole file."""
        kids = " ".join(f"{number} 0 R" for number in self.pages)
        self.objects[self.tree - 1] = (
            f"<< /Type /Pages /Count {len(self.pages)} /Kids [{kids}] >>".encode()
        )
        out, offsets = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", []
        for number, body in enumerate(self.objects, 1):
            offsets.append(len(out))
            out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
        table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
        count = len(self.objects) + 1
        return out + (
            b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\n"
            b"startxref\n%d\n%%%%EOF\n" % (count, table, count, len(out))
        )


def show(
    text: str, x: float, y: float, *, size: float = 10, font: str = "F1", turn: str = "1 0 0 1"
) -> str:
    """The operators that show one string; `turn` is the rotation part of the text matrix."""
    escaped = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
    return f"BT /{font} {size} Tf {turn} {x} {y} Tm ({escaped}) Tj ET\n"


def block(lines: Sequence[str], x: float, y: float, *, step: float = 12, font: str = "F1") -> str:
    """Lines one under the other."""
    return "".join(show(line, x, y - step * n, font=font) for n, line in enumerate(lines))


def two_columns() -> bytes:
    """Two columns of prose below a title over both, drawn line by line across the gutter."""
    pdf = Pdf()
    content = show("TERMS AND CONDITIONS OF PURCHASE", 190, 730, size=12)
    for n, (left, right) in enumerate(zip(LEFT, RIGHT, strict=True)):
        content += show(left, 72, 700 - 12 * n) + show(right, 320, 700 - 12 * n)
    content += show(
        "Both columns end here, and this line goes over the whole of the page.", 72, 590
    )
    pdf.page(content)
    return pdf.build()


def ligatures() -> bytes:
    """The letters fi and fl drawn as one glyph each."""
    pdf = Pdf()
    pdf.page(show("The \x01rst \x02oor is the of\x01ce of the af\x01liate.", 72, 700, size=12))
    return pdf.build()


def hyphens() -> bytes:
    """Words cut at line ends: one to be joined, one that has its hyphen anyway, one unknown."""
    pdf = Pdf()
    lines = [
        "This agreement is made between the parties. Under the terms of this agree-",
        "ment the Licensor grants a non-exclusive license. The grant of this non-",
        "exclusive license is not an assignment, and the well-being of the co-",
        "tenant is of no concern to it.",
    ]
    pdf.page(block(lines, 72, 700))
    return pdf.build()


def rotated() -> bytes:
    """A page turned by its /Rotate, text written up along an upright page, and a cropped page."""
    pdf = Pdf()
    lines = ["This page is turned by a quarter", "and is read as it is displayed."]
    turned = "".join(show(line, 100 + 14 * n, 100, turn="0 1 -1 0") for n, line in enumerate(lines))
    pdf.page(turned, entries="/Rotate 90")
    pdf.page(
        "".join(
            show(line, 100 + 14 * n, 100, turn="0 1 -1 0")
            for n, line in enumerate(["A table printed sideways", "on a page that is not turned"])
        )
        + show("A line that is upright.", 300, 700)
    )
    pdf.page(
        show("Inside the crop box.", 200, 500) + show("Outside of it.", 20, 20),
        entries="/CropBox [150 300 500 600] /Rotate 180",
    )
    return pdf.build()


def headers_and_footers() -> bytes:
    """Four pages whose header, footer and page number cut a sentence in two at each turn."""
    pdf = Pdf()
    sentences = [
        "The Tenant shall pay the rent on the first day of each",
        "month without deduction, and the Landlord shall give a",
        "receipt for it within five days, unless the payment was",
        "made through a bank. This is the end of the sentence.",
    ]
    for number, sentence in enumerate(sentences, 1):
        content = show("LEASE AGREEMENT", 250, 760, size=8)
        content += show(sentence, 72, 700)
        content += show(f"Page {number} of 4", 280, 50, size=8)
        content += show(f"Source: EXAMPLE CORP, 8-K, 1/{number}/2020", 72, 30, size=8)
        pdf.page(content)
    return pdf.build()


def table() -> bytes:
    """A table whose cells have two lines, drawn cell by cell, then one of figures."""
    pdf = Pdf()
    content = show("Licensed rights granted", 72, 700) + show("to the Distributor", 72, 688)
    content += show("Streaming and television,", 250, 700) + show("in the whole world", 250, 688)
    for n, (label, first, second) in enumerate(
        [("Cash", "1,200", "1,100"), ("Receivables", "300", "250"), ("Total", "1,500", "1,350")]
    ):
        y = 640 - 14 * n
        content += show(label, 72, y) + show(first, 250, y) + show(second, 350, y)
    pdf.page(content)
    return pdf.build()


def watermark() -> bytes:
    """A slanted word across a page of text."""
    pdf = Pdf()
    content = show("DRAFT", 200, 300, size=80, turn="0.707 0.707 -0.707 0.707")
    pdf.page(content + block(LEFT, 72, 500))
    return pdf.build()


def _image(pdf: Pdf) -> str:
    pixels = zlib.compress(bytes(range(256)) * 4)
    number = pdf.stream(
        pixels,
        b"/Type /XObject /Subtype /Image /Width 32 /Height 32 /BitsPerComponent 8"
        b" /ColorSpace /DeviceGray /Filter /FlateDecode",
    )
    return f"/XObject << /I {number} 0 R >>"


def image_only() -> bytes:
    """Two scanned pages without a text layer."""
    pdf = Pdf()
    for _ in range(2):
        pdf.page("q 400 0 0 400 100 200 cm /I Do Q", resources=_image(pdf))
    return pdf.build()


def some_images() -> bytes:
    """A page of text, a scanned page, an empty page and a page of text."""
    pdf = Pdf()
    pdf.page(block(LEFT, 72, 700))
    pdf.page("q 400 0 0 400 100 200 cm /I Do Q", resources=_image(pdf))
    pdf.page("")
    pdf.page(block(RIGHT, 72, 700))
    return pdf.build()


def encrypted(algorithm: str) -> bytes:
    """A page that is read with the password `open sesame`."""
    from pypdf import PdfReader, PdfWriter  # only here: the samples are committed

    path = FOLDER / "hyphens.pdf"
    writer = PdfWriter(clone_from=PdfReader(path))
    writer.encrypt("open sesame", "owner", algorithm=algorithm)
    out = FOLDER / f"encrypted_{algorithm.lower().replace('-', '_')}.pdf"
    writer.write(out)
    return out.read_bytes()


SAMPLES = {
    "two_columns": two_columns,
    "ligatures": ligatures,
    "hyphens": hyphens,
    "rotated": rotated,
    "headers_and_footers": headers_and_footers,
    "table": table,
    "watermark": watermark,
    "image_only": image_only,
    "some_images": some_images,
}


def golden(path: Path) -> None:
    """Write the reading of a sample beside it: its text, and the rest as JSON."""
    from shared.documents import read

    reading = read(path.read_bytes(), name=path.name)
    path.with_suffix(".txt").write_text(reading.text, encoding="utf-8", newline="")
    rest = {
        "pages": [
            [p.number, p.start, p.end, p.width, p.height, p.rotation, p.method]
            for p in reading.pages
        ],
        "failed": [[f.number, f.code] for f in reading.failed],
        "furniture": [reading.text[start:end] for start, end in reading.furniture],
        "running_text": reading.without_furniture(),
        "warnings": reading.warnings,
    }
    path.with_suffix(".json").write_text(json.dumps(rest, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Write the samples; with --golden the expected readings too."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--golden", action="store_true", help="write the expected readings too")
    options = parser.parse_args()
    for name, make in SAMPLES.items():
        path = FOLDER / f"{name}.pdf"
        path.write_bytes(make())
        if options.golden and name != "image_only":
            golden(path)
    for algorithm in ("RC4-128", "AES-256"):
        if not list(FOLDER.glob(f"encrypted_{algorithm[:3].lower()}*.pdf")):
            encrypted(algorithm)  # salted: other bytes each time, so only if it is missing


if __name__ == "__main__":
    main()
