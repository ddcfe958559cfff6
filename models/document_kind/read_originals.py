"""Read the original files of the data once, and store their pages as text.

    python -m models.document_kind.read_originals --data FOLDER --work var/kinds

Files that were read before are skipped. Only the first pages of long reports are stored.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

from models.files import command
from shared.documents import Limits, ParsedDocument
from shared.documents.sandbox import Reader
from shared.errors import UnreadableDocument

MOST_PAGES = 60
"""Stored pages of one document."""
LIMITS = Limits(seconds=600, max_plain_text=100_000_000, scan_seconds=0)
FOLDERS = (
    "legal/pdf",
    "finance/raw/pdf",
    "finance/raw/html",
    "finance/raw/csv",
    "finance/raw/xlsx",
)


def originals(data: Path) -> Iterator[Path]:
    """Yield the original files, in a fixed order."""
    for folder in FOLDERS:
        yield from sorted(path for path in (data / folder).iterdir() if path.is_file())


def pages_file(path: Path, data: Path, work: Path) -> Path:
    """Return the file with the pages of an original."""
    return work / "texts" / f"{path.relative_to(data).as_posix().replace('/', '__')}.json"


def pages_of(reading: ParsedDocument) -> list[str]:
    """Return the text of each stored page."""
    return [reading.text[page.start : page.end] for page in reading.pages[:MOST_PAGES]]


def read_all(data: Path, work: Path) -> None:
    """Read all new files. Unreadable ones are reported and skipped."""
    files = list(originals(data))
    (work / "texts").mkdir(parents=True, exist_ok=True)
    with Reader(LIMITS) as reader:
        for number, path in enumerate(files, 1):
            target = pages_file(path, data, work)
            if target.exists():
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
            target.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
            print(f"{number}/{len(files)} {path.name}: {len(pages)} pages", flush=True)


def main() -> None:
    """Read the command line and the files."""
    parser = command(__doc__, "--data")
    parser.add_argument("--work", type=Path, default=Path("var/kinds"))
    arguments = parser.parse_args()
    read_all(arguments.data, arguments.work)


if __name__ == "__main__":
    main()
