"""Reads the original files of the data once, and keeps their pages as text.

    python -m models.kinds.reading --data FOLDER --work var/kinds

A file that was read is not read again. Reports are long: of each, the first pages are kept.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Iterator
from pathlib import Path

from shared.documents import Limits, Reading
from shared.documents.sandbox import Reader
from shared.errors import UnreadableDocument

MOST_PAGES = 60
"""Pages of one document that are kept."""
LIMITS = Limits(seconds=600, max_plain_text=100_000_000, scan_seconds=0)
FOLDERS = (
    "legal/pdf",
    "finance/raw/pdf",
    "finance/raw/html",
    "finance/raw/csv",
    "finance/raw/xlsx",
)


def originals(data: Path) -> Iterator[Path]:
    """Yield the original files, in a lasting order."""
    for folder in FOLDERS:
        yield from sorted(path for path in (data / folder).iterdir() if path.is_file())


def place(path: Path, data: Path, work: Path) -> Path:
    """Return where the pages of a file are kept."""
    return work / "texts" / f"{path.relative_to(data).as_posix().replace('/', '__')}.json"


def pages_of(reading: Reading) -> list[str]:
    """Return the text of each page that is kept."""
    return [reading.text[page.start : page.end] for page in reading.pages[:MOST_PAGES]]


def read_all(data: Path, work: Path) -> None:
    """Read what was not read yet. What can't be read is said, and is no document then."""
    files = list(originals(data))
    (work / "texts").mkdir(parents=True, exist_ok=True)
    with Reader(LIMITS) as reader:
        for number, path in enumerate(files, 1):
            kept = place(path, data, work)
            if kept.exists():
                continue
            content = path.read_bytes()
            if path.suffix == ".gz":
                content = gzip.decompress(content)
            try:
                reading = reader.read(content, name=path.name.removesuffix(".gz"))
                pages, media_type = pages_of(reading), reading.media_type
            except UnreadableDocument as error:
                print(f"{path.name}: {error.message}", flush=True)
                pages, media_type = [], ""
            value = {"file": path.relative_to(data).as_posix(), "type": media_type, "pages": pages}
            kept.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
            print(f"{number}/{len(files)} {path.name}: {len(pages)} pages", flush=True)


def main() -> None:
    """Read the command line, and then the files."""
    parser = argparse.ArgumentParser(description="Read the original files once.")
    parser.add_argument("--data", type=Path, required=True, help="with legal/ and finance/ in it")
    parser.add_argument("--work", type=Path, default=Path("var/kinds"))
    arguments = parser.parse_args()
    read_all(arguments.data, arguments.work)


if __name__ == "__main__":
    main()
