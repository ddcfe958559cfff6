"""How each format is read: every real file of some folders, and what becomes of damaged ones.

    python -m infra.bench.formats FOLDER... [--each 5] [--written FOLDER] [--markdown]

Takes up to so many files of each type, spread evenly over those in the folders (`.gz` is opened),
and reads them as the suite does, in a child process. With --written, other programs first write the
shortest text and table of these in other formats into that folder (`infra/bench/written.py`).

A row a type: files, how many were read whole, partly or refused; pages; share of the characters
with a box; cells; whether every ledger adds up (each page is read or failed, every character but
line breaks stands on one); and of the smallest file that reads, damaged copies: cut off at ten
places, with bytes changed at ten, under a wrong name, and beyond the limits. Each of them has to
end as read, partial or refused with a reason; exit code 1 if one did not, or a ledger is wrong.
"""

from __future__ import annotations

import argparse
import gzip
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from infra.bench import written
from shared.documents import Limits, Reading, sniff
from shared.documents.sandbox import Reader
from shared.errors import SuiteError, UnreadableDocument

_LIMITS = Limits(seconds=300.0)
_DAMAGES = 10
_NO_DOCUMENTS = ("_cal.xml", "_def.xml", "_lab.xml", "_pre.xml", ".xsd", ".xsd.xml", ".json")
"""Linkbases and schemas that lie beside an instance, and records about files."""


@dataclass
class Row:
    """What became of the files of one type."""

    media_type: str
    files: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    pages: int = 0
    failed_pages: int = 0
    characters: int = 0
    boxed: int = 0
    cells: int = 0
    warned: int = 0
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)
    """What must not be: files whose ledger does not add up, damage without a reason."""
    damaged: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)

    def cells_of_table(self) -> tuple[str, ...]:
        """The row, as text."""
        share = f"{self.boxed / self.characters:.1%}" if self.boxed else "none"
        return (
            self.media_type,
            str(self.files),
            _counts(self.ends),
            f"{self.pages:,}" + (f" ({self.failed_pages} failed)" if self.failed_pages else ""),
            share,
            f"{self.cells:,}" if self.cells else "none",
            "wrong" if self.wrong else "adds up",
            str(self.warned),
            _counts(self.damaged),
            f"{self.seconds:.1f}",
        )


HEAD = (
    *("type", "files", "read", "pages", "boxes", "cells", "ledger", "with warnings"),
    *("damaged copies", "seconds"),
)


def _counts(ends: Counter[str]) -> str:
    return ", ".join(f"{count} {end}" for end, count in sorted(ends.items())) or "none"


def type_of(data: bytes, name: str) -> str:
    """The media type, or the words of the refusal."""
    try:
        return sniff(data, name)
    except UnreadableDocument as error:
        return f"refused: {error.message.partition(':')[0]}"


def files_of(folders: Iterable[Path]) -> Iterator[tuple[str, bytes]]:
    """Every document below the folders: its name without `.gz`, and its bytes."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            name = path.name.removesuffix(".gz")
            if path.is_file() and not name.endswith((*_NO_DOCUMENTS, ".jsonl")):
                data = path.read_bytes()
                yield name, gzip.decompress(data) if path.suffix == ".gz" else data


def chosen(found: Iterable[tuple[str, bytes]], each: int) -> dict[str, list[tuple[str, bytes]]]:
    """Up to `each` files of every type, spread evenly."""
    by_type: dict[str, list[tuple[str, bytes]]] = defaultdict(list)
    for name, data in found:
        by_type[type_of(data, name)].append((name, data))
    return {
        media_type: [
            files[i] for i in np.linspace(0, len(files) - 1, min(each, len(files)), dtype=int)
        ]
        for media_type, files in sorted(by_type.items())
    }


def complaint(reading: Reading) -> str | None:
    """What is wrong with the ledger of a reading, None if it adds up."""
    numbers = sorted([p.number for p in reading.pages] + [p.number for p in reading.failed])
    if numbers != list(range(1, reading.page_count + 1)):
        return f"{reading.page_count} pages, but the ledger has {numbers[:5]}…"
    place = 0
    for page in reading.pages:
        if not place <= page.start <= page.end or reading.text[place : page.start].strip("\n"):
            return f"text that stands on no page before page {page.number}"
        place = page.end
    return "text that stands on no page" if reading.text[place:].strip("\n") else None


def tried(reader: Reader, name: str, data: bytes) -> tuple[str, str]:
    """How reading ends (read, partial, refused), and for a refusal its code; else what is wrong."""
    try:
        reading = reader.read(data, name=name)
    except UnreadableDocument as error:
        if not error.message or error.document != name:
            return "wrong", f"a refusal without its reason or document: {error!r}"
        return "refused", error.code
    except SuiteError as error:
        return "wrong", repr(error)
    if wrong := complaint(reading):
        return "wrong", wrong
    return ("partial" if reading.failed else "read"), ""


def damaged(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """Copies of a document: cut off, with changed bytes, under a wrong name, and empty."""
    chance = random.Random(1)
    for tenth in range(_DAMAGES):
        yield name, data[: len(data) * tenth // _DAMAGES]
    for _ in range(_DAMAGES):
        changed = bytearray(data)
        for _ in range(1 + len(data) // 1000):
            changed[chance.randrange(len(data))] = chance.randrange(256)
        yield name, bytes(changed)
    yield "wrong.pdf" if not name.endswith(".pdf") else "wrong.docx", data


def measure(media_type: str, files: Sequence[tuple[str, bytes]]) -> Row:
    """Read the files of one type, then damaged copies of the smallest that was read."""
    row = Row(media_type, len(files))
    sound: list[tuple[str, bytes]] = []
    with Reader(_LIMITS) as reader:
        for name, data in files:
            began = time.monotonic()
            end, why = tried_and_counted(reader, row, name, data)
            row.seconds += time.monotonic() - began
            row.ends[end] += 1
            if end == "read":
                sound.append((name, data))
            elif end == "refused":
                row.refusals[why] += 1
        if sound:
            name, data = min(sound, key=lambda file: len(file[1]))
            for copy_name, copy in damaged(name, data):
                row.damaged[_noted(row, reader, copy_name, copy)] += 1
    if sound:
        with Reader(replace(_LIMITS, max_bytes=len(data) - 1)) as reader:
            row.damaged[_noted(row, reader, name, data)] += 1
    return row


def _noted(row: Row, reader: Reader, name: str, data: bytes) -> str:
    end, why = tried(reader, name, data)
    if end == "wrong":
        row.wrong.append(f"{name}: {why}")
    return end


def tried_and_counted(reader: Reader, row: Row, name: str, data: bytes) -> tuple[str, str]:
    """How reading one file ends; what it gave is added to the row."""
    try:
        reading = reader.read(data, name=name)
    except UnreadableDocument as error:
        return "refused", f"{name}: {error.message}"
    row.pages += reading.page_count
    row.failed_pages += len(reading.failed)
    row.characters += len(reading.text)
    row.boxed += int((~np.isnan(reading.boxes[:, 0])).sum())
    row.cells += len(reading.cells)
    row.warned += bool(reading.warnings)
    if wrong := complaint(reading):
        row.wrong.append(f"{name}: {wrong}")
    return ("partial" if reading.failed else "read"), ""


def with_written(found: Sequence[tuple[str, bytes]], out: Path) -> list[tuple[str, bytes]]:
    """The documents, and those that other programs write of the shortest text and table."""
    with tempfile.TemporaryDirectory() as folder:
        sources = []
        for suffix in (".txt", ".csv"):
            fitting = [file for file in found if file[0].endswith(suffix)]
            if not fitting:
                raise SystemExit(f"no {suffix} in the folders to write other formats of")
            name, data = min(fitting, key=lambda file: len(file[1]))
            sources.append(Path(folder, name))
            sources[-1].write_bytes(data)
        for line in written.all_of(sources[0], sources[1], out):
            print(line, file=sys.stderr)
    return [*found, *files_of([out])]


def main() -> int:
    """Print the table, and what was refused or wrong; exit code 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--each", type=int, default=5, help="files of each type (%(default)s)")
    parser.add_argument("--written", type=Path, help="folder for what other programs write")
    options = parser.parse_args()
    found = list(files_of(options.folders))
    if options.written:
        found = with_written(found, options.written)
    print(f"| {' | '.join(HEAD)} |\n|{' --- |' * len(HEAD)}", flush=True)
    rows = []
    for media_type, files in chosen(found, options.each).items():
        rows.append(measure(media_type, files))
        print(f"| {' | '.join(rows[-1].cells_of_table())} |", flush=True)
    for row in rows:
        for what in (*row.refusals, *row.wrong):
            print(f"{row.media_type}: {what}")
    return int(any(row.wrong for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
