"""How much memory and time large documents take to be read.

    python -m infra.bench.large [--pages 1000] [--scan-megabytes 200] [--scan-pages 12]
        [--lines 500000]

Makes a PDF of so many pages with a text layer, a PDF of gray scans of so many megabytes, and a CSV
of so many lines, and reads each in a child process as the suite does, then puts what was read into
the form in which it is kept. Prints for each its bytes, pages, characters and seconds, after how
many of them the first page could be looked at (of a PDF; the child's start included), and the most
resident memory that this process and the child had, the document itself included (Linux only). The
child's bound is `SMALLPRINT_INGEST_READ_MEMORY`, 1.5 GB of address space; the program that
recognises text is a process of its own, and not measured.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from infra.bench.pages import LINES, pdf_of
from shared.documents import EarlyPage, Limits
from shared.documents.sandbox import Reader

_CLAUSE = (
    "{n}. Assignment. Neither party may assign this Agreement without the prior written consent of "
    "the other party, and any attempt to do so shall be void. This Agreement commences on the "
    "Effective Date and continues for five (5) years.\n\n"
)
_CLAUSE_LINES = 4  # on such a page, with the empty one behind it
_A4 = 8.27, 11.69  # inches


def long_pdf(pages: int) -> bytes:
    """A contract of about so many pages, with a text layer."""
    count = pages * LINES // _CLAUSE_LINES
    return pdf_of("".join(_CLAUSE.format(n=n) for n in range(1, count + 1)))


def scan(megabytes: int, pages: int) -> bytes:
    """So many gray pages of printed text as a scanner writes them: JPEG in a PDF, with noise that
    makes them so large.
    """
    chance = np.random.default_rng(1)
    tile = len(_jpeg(_noisy(Image.new("L", (1000, 1000), 235), chance))) / 1e6  # bytes a dot
    dpi = (megabytes * 1e6 / pages / tile / (_A4[0] * _A4[1])) ** 0.5
    font = ImageFont.load_default(size=dpi * 11 / 72)
    images = []
    for page in range(1, pages + 1):
        image = Image.new("L", (round(_A4[0] * dpi), round(_A4[1] * dpi)), 235)
        draw = ImageDraw.Draw(image)
        for line in range(1, 41):
            words = f"{page}.{line} Neither party may assign this Agreement without consent."
            draw.text((dpi, dpi + line * dpi * 16 / 72), words, fill=20, font=font)
        images.append(_noisy(image, chance))
    out = io.BytesIO()
    rest = images[1:]
    images[0].save(out, "PDF", save_all=True, append_images=rest, resolution=dpi, quality=100)
    return out.getvalue()


def _noisy(image: Image.Image, chance: np.random.Generator) -> Image.Image:
    noise = chance.integers(0, 20, (image.height, image.width), np.uint8)
    return Image.fromarray(np.asarray(image) + noise)


def _jpeg(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=100)
    return out.getvalue()


def table(lines: int) -> bytes:
    """A ledger of so many lines of six fields."""
    rows = (
        f'{2020 + n % 5}-{n % 12 + 1:02d}-01,A{n % 500:04d},"Invoice {n}, customer {n % 977}",'
        f"{n * 7 % 900_000 / 100:.2f},{n},paid\r\n"
        for n in range(lines)
    )
    return ("day,account,words,amount,units,state\r\n" + "".join(rows)).encode()


def measure(path: Path) -> dict[str, object]:
    """Read one document in a child; megabytes are of the process that had most, and ours."""
    data = path.read_bytes()
    began = time.monotonic()
    limits = Limits(max_bytes=10**9, seconds=3_600.0)
    first: list[float] = []

    def early(_page: EarlyPage) -> None:
        if not first:
            first.append(time.monotonic() - began)

    with Reader(limits) as reader:
        reading = reader.read(data, name=path.name, early=early)
        child = _most(str(reader.child_id))
    seconds = time.monotonic() - began
    kept = len(reading.to_bytes())
    return {
        "document": path.name,
        "bytes": len(data),
        "pages": reading.page_count,
        "failed_pages": len(reading.failed),
        "characters": len(reading.text),
        "seconds": round(seconds, 1),
        "seconds_to_first_page": round(first[0], 1) if first else None,
        "bytes_of_layout": kept,
        "megabytes_here": _most("self"),
        "megabytes_of_child": child,
    }


def _most(process: str) -> int:
    """The most megabytes that a process has ever had resident, since it began its program."""
    status = Path("/proc", process, "status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return round(int(found[1]) / 1024) if found else 0


def main() -> None:
    """Make each document, and print what reading it took in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--pages", type=int, default=1000)
    parser.add_argument("--scan-megabytes", type=int, default=200)
    parser.add_argument("--scan-pages", type=int, default=12)
    parser.add_argument("--lines", type=int, default=500_000)
    parser.add_argument("--read", type=Path, help="read this document alone")
    options = parser.parse_args()
    if options.read:
        print(json.dumps(measure(options.read)), flush=True)
        return
    made: dict[str, Callable[[], bytes]] = {
        "long.pdf": lambda: long_pdf(options.pages),
        "scan.pdf": lambda: scan(options.scan_megabytes, options.scan_pages),
        "lines.csv": lambda: table(options.lines),
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, make in made.items():
            path = Path(folder, name)
            path.write_bytes(make())
            command = [sys.executable, "-m", "infra.bench.large", "--read", str(path)]
            subprocess.run(command, check=True)
            path.unlink()


if __name__ == "__main__":
    main()
