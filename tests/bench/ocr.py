"""Compare OCR engines in quality and speed, on pages of real contracts.

    SMALLPRINT_TEST_DATA=FOLDER python -m tests.bench.ocr [--pages 12] [--engine library]…

Renders pages with labelled spans at 200 dpi, and degrades them in four ways. The output of an
engine goes through our layout and is compared with the page's text. Measures are right characters
(one minus the edit distance), labelled spans with every letter and digit in order, spans with a
match by the legal metric (Jaccard index of at least 0.5), and processor time a page. Tesseract is
measured as the package `tesserocr` (library) and as the installed program. Engines get the picture
prepared by `shared/documents/pages/ocr.py`, or as it is. RapidOCR (`rapidocr-onnxruntime`) is
measured if you name it. The decision is in docs/explanation/decisions/ocr-with-tesseract.md.
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import re
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from models.files import read_json, read_lines
from shared.documents.model.glyphs import Glyphs
from shared.documents.pages.layout import page_lines
from shared.documents.pages.ocr import DPI, cleaned, glyphs_of, level, recognise
from shared.documents.pages.pdfium_reader import PdfiumDocument
from shared.documents.pages.tesseract import Engine, Gray, Library, Program, Word
from tests.bench.legal import CONTRACTS

_FIRST_PAGES = 6  # pages of a document from which one is chosen
_LEAST = 1_200  # characters of a page
_STRAIGHT = str.maketrans({0x2018: "'", 0x2019: "'", 0x201C: '"', 0x201D: '"', 0x2013: "-"})


def letters(text: str) -> str:
    """Only letters and digits, in lower case."""
    return re.sub(r"[\W_]+", "", text.lower())


def normalised(text: str) -> str:
    """Text with single spaces, none after a hyphen, and straight quotation marks and dashes."""
    return " ".join(text.translate(_STRAIGHT).split()).replace("- ", "-")


def documents(data: Path, count: int) -> list[tuple[Path, list[str]]]:
    """`count` PDFs spread over the index, each with the texts of its labelled spans."""
    index = read_json(data / "legal/pdf_index.json")
    chosen = [index[i] for i in np.linspace(0, len(index) - 1, min(count, len(index))).astype(int)]
    wanted = {entry["id"]: data / "legal" / entry["file"] for entry in chosen}
    spans: dict[str, list[str]] = {}
    for contract in read_lines(data / CONTRACTS):
        if contract["id"] in wanted:
            spans[contract["id"]] = [a["text"] for a in contract["annotations"]]
    return [(path, spans[identity]) for identity, path in wanted.items()]


@dataclass(frozen=True)
class Sample:
    """A page with its picture, its text and its labelled spans."""

    name: str
    picture: Gray
    text: str
    spans: list[str]


@dataclass(frozen=True)
class Measured:
    """The result of one engine for one page in one condition."""

    page: str
    condition: str
    engine: str
    characters: int
    wrong: int
    spans: int
    exact: int
    matched: int
    seconds: float


def samples(data: Path, count: int) -> Iterator[Sample]:
    """From each of so many documents the page with the most labelled spans."""
    for path, spans in documents(data, count):
        with PdfiumDocument(path.read_bytes()) as document:
            best: tuple[int, int, str, list[str]] | None = None
            for number in range(1, min(_FIRST_PAGES, document.page_count) + 1):
                text = text_of(document.glyphs(number))
                here = [span for span in map(normalised, spans) if span in text]
                if len(text) >= _LEAST and (best is None or len(here) > best[0]):
                    best = len(here), number, text, here
            if best:
                picture = document.gray(best[1], DPI)
                yield Sample(f"{path.name}, page {best[1]}", picture, best[2], best[3])


def text_of(glyphs: Glyphs) -> str:
    """The page's text with single spaces."""
    return normalised(" ".join(line.text for line in page_lines(glyphs)))


def _noise(picture: Gray) -> Gray:
    """Gray noise, and one dot in a hundred black or white."""
    chance = np.random.default_rng(7)
    noisy = picture + chance.normal(0, 40, picture.shape)
    dots = chance.random(picture.shape)
    noisy[dots < 0.005], noisy[dots > 0.995] = 0, 255
    return np.clip(noisy, 0, 255).astype(np.uint8)


def _skew(picture: Gray) -> Gray:
    """The picture, turned by two degrees."""
    return np.asarray(Image.fromarray(picture).rotate(2, Image.Resampling.BICUBIC, fillcolor=255))


def _faint(picture: Gray) -> Gray:
    """Light gray on unevenly lit darker paper: a fifth of the contrast, and blurred."""
    light = np.linspace(150, 210, picture.shape[1])
    small = Image.fromarray(picture).reduce(2).resize(picture.shape[::-1])
    return (light - (255 - np.asarray(small)) * 0.2).astype(np.uint8)


def _jpeg(picture: Gray) -> Gray:
    """The picture, compressed as JPEG at quality 10 of 100."""
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "JPEG", quality=10)
    return np.asarray(Image.open(out))


CONDITIONS: dict[str, Callable[[Gray], Gray]] = {
    "clean": lambda picture: picture,
    "noise": _noise,
    "skew": _skew,
    "low contrast": _faint,
    "JPEG": _jpeg,
}


def _by_tesseract(
    found: Callable[[], Engine | None], picture: Gray, *, prepare: bool = True
) -> Glyphs:
    engine = found()
    if engine is None:
        raise SystemExit("this engine is not installed: name others with --engine")
    until = time.monotonic() + 3_600
    return recognise(engine, picture, dpi=DPI, until=until, prepare=prepare).glyphs


@cache
def _rapidocr() -> Any:
    return importlib.import_module("rapidocr_onnxruntime").RapidOCR(intra_op_num_threads=1)


def _by_rapidocr(picture: Gray) -> Glyphs:
    """The words of RapidOCR's lines. Each word has its share of the line's box."""
    found, _ = _rapidocr()(np.repeat(picture[:, :, None], 3, axis=2))
    words: list[Word] = []
    for number, (corners, text, score) in enumerate(found or ()):
        (x0, y0), (x1, y1) = np.min(corners, axis=0), np.max(corners, axis=0)
        step, at = (x1 - x0) / max(1, len(text)), 0
        for piece in text.split(" "):
            if piece:
                place = (x0 + at * step, y0, len(piece) * step, y1 - y0)
                words.append(Word((str(number),), *place, 100 * float(score), piece))
            at += len(piece) + 1
    return glyphs_of(words, picture, DPI)


ENGINES: dict[str, Callable[[Gray], Glyphs]] = {
    "library": partial(_by_tesseract, Library.find),
    "program": partial(_by_tesseract, Program.find),
    "library, unprepared": partial(_by_tesseract, Library.find, prepare=False),
    "program, unprepared": partial(_by_tesseract, Program.find, prepare=False),
    "rapidocr": lambda picture: _by_rapidocr(level(cleaned(picture)).picture),
    "rapidocr, unprepared": _by_rapidocr,
}


def distance(a: str, b: str) -> int:
    """Levenshtein distance of two texts."""
    first, second = (np.frombuffer(text.encode("utf-32-le"), np.uint32) for text in (a, b))
    steps = np.arange(len(second) + 1)
    row = steps.copy()
    for index, character in enumerate(first, 1):
        new = np.minimum(row[1:] + 1, row[:-1] + (second != character))
        row = np.minimum.accumulate(np.append(index, new) - steps) + steps
    return int(row[-1])


def _words(text: str) -> list[str]:
    return "".join(" " if c == "/" else c for c in text.lower() if c not in ".,;:").split(" ")


def matches(span: str, text: str) -> bool:
    """Whether a part of the text as long as the span matches it by the legal metric."""
    wanted, words = set(_words(span)), _words(text)
    length = len(_words(span))
    for start in range(max(1, len(words) - length + 1)):
        here = set(words[start : start + length])
        if 2 * len(here & wanted) >= len(here | wanted):
            return True
    return False


def measure(sample: Sample, condition: str, engine: str) -> Measured:
    """Measure one engine on one page."""
    picture = CONDITIONS[condition](sample.picture)
    began = _processor_time()
    text = text_of(ENGINES[engine](picture))
    seconds = _processor_time() - began
    return Measured(
        page=sample.name,
        condition=condition,
        engine=engine,
        characters=len(sample.text),
        wrong=min(len(sample.text), distance(sample.text, text)),
        spans=len(sample.spans),
        exact=sum(letters(span) in letters(text) for span in sample.spans),
        matched=sum(letters(span) in letters(text) or matches(span, text) for span in sample.spans),
        seconds=round(seconds, 3),
    )


def _processor_time() -> float:
    """Processor seconds of this process and its children."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def table(found: list[Measured]) -> Iterator[str]:
    """A line for each engine and condition on the same pages."""
    yield (
        "| engine | condition | pages | characters correct | spans exact | spans matched "
        "| seconds a page |"
    )
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: |"
    for engine in ENGINES:
        for condition in CONDITIONS:
            rows = [one for one in found if (one.engine, one.condition) == (engine, condition)]
            if rows:
                right = 1 - sum(one.wrong for one in rows) / sum(one.characters for one in rows)
                spans = sum(one.spans for one in rows)
                exact, matched = (
                    sum(getattr(one, n) for one in rows) for n in ("exact", "matched")
                )
                seconds = sum(one.seconds for one in rows) / len(rows)
                yield (
                    f"| {engine} | {condition} | {len(rows)} | {right:.2%} | {exact}/{spans} "
                    f"| {matched}/{spans} | {seconds:.1f} |"
                )


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=12, help="one of each document")
    parser.add_argument(
        "--engine", action="append", choices=ENGINES, help="may be repeated (library, program)"
    )
    arguments = parser.parse_args()
    engines = arguments.engine or ["library", "program"]
    found: list[Measured] = []
    for sample in samples(Path(os.environ["SMALLPRINT_TEST_DATA"]), arguments.pages):
        for engine in engines:
            for condition in CONDITIONS:
                found.append(measure(sample, condition, engine))
                print(found[-1], file=sys.stderr, flush=True)
    print("\n".join(table(found)))


if __name__ == "__main__":
    main()
