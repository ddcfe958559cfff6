"""How well and how fast each PDF engine reads real contracts.

    SMALLPRINT_TEST_DATA=FOLDER python -m infra.bench.reading [--documents 30] [--json]

Takes PDFs spread evenly over those of the data folder (`legal/pdf_index.json`) and their labelled
spans (`legal/cuad_train.jsonl.gz`), and looks in the text that each engine reads for every span:
with only letters and digits kept, and as contiguous text, normalised to what the conversions that
the labels were made on do (white space single and none after a hyphen, quotation marks straight);
both as the text is and with running headers and footers cut out. Also: documents and pages that
failed, processor time a page and pages a second of it, characters with a box. Every engine goes
through the same layout, except the last two, which are the engines' own texts without it.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pypdfium2

from shared.documents import Page, Reading, read
from shared.documents.pdf import PdfDocument
from shared.errors import UnreadableDocument

_STRAIGHT = str.maketrans({0x2018: "'", 0x2019: "'", 0x201C: '"', 0x201D: '"', 0x2013: "-"})


@dataclass
class Score:
    """What one engine did on all documents."""

    engine: str
    documents: int = 0
    pages: int = 0
    failed_pages: int = 0
    failed_documents: int = 0
    characters: int = 0
    boxed: float = 0.0
    seconds: float = 0.0
    spans: int = 0
    letters_found: int = 0
    contiguous: int = 0

    def line(self) -> str:
        """One row of the table."""
        return (
            f"{self.engine:22} {self.failed_documents:4} {self.failed_pages:6} "
            f"{1000 * self.seconds / max(1, self.pages):8.1f} "
            f"{self.pages / max(1e-9, self.seconds):8.1f} {self.boxed:7.1%} "
            f"{self.letters_found:7} {self.contiguous:11}"
        )


def letters(text: str) -> str:
    """Only letters and digits, in lower case."""
    return re.sub(r"[\W_]+", "", text.lower())


def normalised(text: str) -> str:
    """White space as single spaces, none after a hyphen; quotation marks and dashes straight."""
    return " ".join(text.translate(_STRAIGHT).split()).replace("- ", "-")


def documents(data: Path, count: int) -> list[tuple[Path, list[str]]]:
    """`count` PDFs spread over the index, each with the texts of its labelled spans."""
    index = json.loads((data / "legal/pdf_index.json").read_text())
    chosen = [index[i] for i in np.linspace(0, len(index) - 1, min(count, len(index))).astype(int)]
    wanted = {entry["id"]: data / "legal" / entry["file"] for entry in chosen}
    spans: dict[str, list[str]] = {}
    with gzip.open(data / "legal/cuad_train.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            contract = json.loads(line)
            if contract["id"] in wanted:
                spans[contract["id"]] = [a["text"] for a in contract["annotations"]]
    return [(path, spans[identity]) for identity, path in wanted.items()]


def own_text(data: bytes) -> Reading:
    """pypdf's own text, page by page, without boxes."""
    document = PdfDocument(data)
    texts = [document.own_text(number) for number in range(1, document.page_count + 1)]
    return _bare(texts, "pypdf")


def _bare(texts: Iterable[str], engine: str) -> Reading:
    """A reading without boxes."""
    text, pages = "", []
    for number, found in enumerate(texts, 1):
        start = len(text)
        text += found
        pages.append(Page(number, start, len(text), 0.0, 0.0, 0, engine))
        text += "\n"
    boxes = np.full((len(text), 4), np.nan, np.float32)
    return Reading(text, tuple(pages), boxes, page_count=len(pages))


def pdfium_text(data: bytes) -> Reading:
    """PDFium's own text, page by page, without boxes."""
    document = pypdfium2.PdfDocument(data)
    return _bare([page.get_textpage().get_text_range() for page in document], "pypdfium2")


ENGINES: dict[str, Callable[[bytes], Reading]] = {
    "pypdfium2": partial(read, engines=("pypdfium2",)),
    "pypdf": partial(read, engines=("pypdf",)),
    "pypdfium2, then pypdf": read,
    "pypdf's own text": own_text,
    "pypdfium2's own text": pdfium_text,
}


def measure(engine: str, chosen: Iterable[tuple[Path, list[str]]]) -> Score:
    """One engine on all documents."""
    score = Score(engine)
    boxed = 0
    for path, spans in chosen:
        data = path.read_bytes()
        score.documents += 1
        score.spans += len(spans)
        start = time.process_time()
        try:
            reading = ENGINES[engine](data)
        except UnreadableDocument:
            score.failed_documents += 1
            continue
        score.seconds += time.process_time() - start
        score.pages += reading.page_count
        score.failed_pages += len(reading.failed)
        score.characters += len(reading.text)
        boxed += int((~np.isnan(reading.boxes[:, 0])).sum())
        whole, running = reading.text, reading.without_furniture()
        bare, flat = [letters(whole), letters(running)], [normalised(whole), normalised(running)]
        score.letters_found += sum(_in_any(letters(span), bare) for span in spans)
        score.contiguous += sum(_in_any(normalised(span), flat) for span in spans)
    score.boxed = boxed / max(1, score.characters)
    return score


def _in_any(span: str, texts: list[str]) -> bool:
    return any(span in text for text in texts)


def main() -> None:
    """Measure all engines and print a table, or JSON lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "data", type=Path, nargs="?", default=os.environ.get("SMALLPRINT_TEST_DATA")
    )
    parser.add_argument("--documents", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.data is None:
        parser.error("give the data folder, or set SMALLPRINT_TEST_DATA")
    chosen = documents(Path(options.data), options.documents)
    scores = [measure(engine, chosen) for engine in ENGINES]
    if options.json:
        for score in scores:
            print(json.dumps(asdict(score)))
        return
    print(f"{scores[0].documents} documents, {scores[0].pages} pages, {scores[0].spans} spans")
    print(
        f"{'engine':22} {'docs':>4} {'pages':>6} {'ms/page':>8} {'pages/s':>8} {'boxed':>7} "
        f"{'letters':>7} {'contiguous':>11}"
    )
    for score in scores:
        print(score.line())


if __name__ == "__main__":
    main()
