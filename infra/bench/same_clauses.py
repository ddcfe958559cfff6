"""Whether a contract has the same clauses as PDF, as DOCX and as a scan of its pages.

    SMALLPRINT_TEST_DATA=FOLDER python -m infra.bench.same_clauses [--contracts 10] [--pages 8]

Takes so many PDFs of at most so many pages, spread evenly over the legal ones of the data folder.
The DOCX is what LibreOffice writes of the contract's text as the labels have it; the scan is a PDF
of gray pictures of the pages as poppler draws them at 200 dots an inch. Each is read by
`smallprint extract --json`.

Clauses of two ways are the same if their category is, and their words match by the legal metric
(Jaccard index of the word sets at least 0.5), or all letters of one are in the other. Counted are,
for each way, its clauses, those of the PDF that it has too, its own that the PDF has not, and the
labelled spans that one of its clauses matches.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from infra.bench import written
from infra.bench.reading import letters
from shared.documents.pdfium import PdfiumDocument

DPI = 200
WAYS = ("PDF", "DOCX", "scan")
Clause = tuple[str, str]
"""Category and words."""


def contracts(data: Path, count: int, most_pages: int) -> list[tuple[Path, dict[str, Any]]]:
    """So many short contracts, each with its labels and their text."""
    index = json.loads((data / "legal/pdf_index.json").read_text())
    short = []
    for entry in index:
        path = data / "legal" / entry["file"]
        with PdfiumDocument(path.read_bytes()) as document:
            if document.page_count <= most_pages:
                short.append((entry["id"], path))
    chosen = [short[i] for i in np.linspace(0, len(short) - 1, min(count, len(short))).astype(int)]
    with gzip.open(data / "legal/cuad_train.jsonl.gz", "rt", encoding="utf-8") as lines:
        labelled = {one["id"]: one for one in map(json.loads, lines)}
    return [(path, labelled[identity]) for identity, path in chosen]


def ways(pdf: Path, text: str, out: Path) -> dict[str, Path]:
    """The same contract in every way."""
    plain = out / f"{pdf.stem}.txt"
    plain.write_text(text, "utf-8")
    with PdfiumDocument(pdf.read_bytes()) as document:
        count = document.page_count
    pages = [
        Image.open(path).convert("L")
        for path in written.pictures(pdf, "png", out, last=count, dpi=DPI)
    ]
    scan = out / f"{pdf.stem}-scan.pdf"
    pages[0].save(scan, "PDF", save_all=True, append_images=pages[1:], resolution=DPI, quality=85)
    return {"PDF": pdf, "DOCX": written.office(plain, "docx", out), "scan": scan}


def clauses_of(paths: list[Path]) -> list[tuple[list[Clause], float]]:
    """The clauses of each document, and the seconds that it took."""
    command = [sys.executable, "-m", "services.cli", "extract", "--json", *map(str, paths)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    found = []
    for line in map(json.loads, done.stdout.splitlines()):
        if "error" in line:
            raise SystemExit(f"{line['source']}: {line['error']}")
        clauses = [(clause["category"], clause["text"]) for clause in line["clauses"]]
        found.append((clauses, line["timings"]["total"]))
    return found


def same(one: Clause, other: Clause) -> bool:
    """Whether two clauses are the same."""
    if one[0] != other[0]:
        return False
    first, second = letters(one[1]), letters(other[1])
    if first in second or second in first:
        return True
    words, others = _words(one[1]), _words(other[1])
    return 2 * len(words & others) >= len(words | others)


def _words(text: str) -> set[str]:
    flat = "".join(" " if c in "/\n" else c for c in text.lower() if c not in ".,;:")
    return set(flat.split())


def _having(clauses: list[Clause], others: list[Clause]) -> int:
    """How many of the clauses are among the others."""
    return sum(any(same(one, other) for other in others) for one in clauses)


def main() -> None:
    """Print a line for each contract, and the sums."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--contracts", type=int, default=10)
    parser.add_argument("--pages", type=int, default=8, help="of a contract, at most (%(default)s)")
    options = parser.parse_args()
    sums: Counter[str] = Counter()
    data = Path(os.environ["SMALLPRINT_TEST_DATA"])
    for pdf, labelled in contracts(data, options.contracts, options.pages):
        with tempfile.TemporaryDirectory() as folder:
            made = ways(pdf, labelled["text"], Path(folder))
            found = dict(zip(WAYS, clauses_of([made[way] for way in WAYS]), strict=True))
        labels = [(one["category"], one["text"]) for one in labelled["annotations"]]
        here: Counter[str] = Counter({"labels": len(labels)})
        for way, (clauses, seconds) in found.items():
            of_pdf = found["PDF"][0]
            here[f"{way} clauses"] = len(clauses)
            here[f"{way} as PDF"] = _having(of_pdf, clauses)
            here[f"{way} more"] = len(clauses) - _having(clauses, of_pdf)
            here[f"{way} labels"] = _having(labels, clauses)
            here[f"{way} ms"] = round(1000 * seconds)
        sums += here
        print(_line(pdf.stem, here), flush=True)
    print(_line(f"all {options.contracts}", sums))


def _line(name: str, counts: Counter[str]) -> str:
    ways_of = (
        f"{way}: {counts[f'{way} clauses']} clauses, {counts[f'{way} as PDF']} of the PDF's "
        f"{counts['PDF clauses']}, {counts[f'{way} more']} more, labels {counts[f'{way} labels']}"
        f"/{counts['labels']}, {counts[f'{way} ms'] / 1000:.1f} s"
        for way in WAYS
    )
    return "\n  ".join((name, *ways_of))


if __name__ == "__main__":
    main()
