"""Measures what the full-text index costs: processor time of a document and a deletion, and size.

    SMALLPRINT_TEST_DATA=FOLDER python -m infra.bench.search [--documents 60]

Real contracts in PDF are read as ingest reads them, and indexed in a SQLite database that holds
nothing else. Decision: infra/decisions/0022-search.md.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from services.ingest.search.passages import passages
from services.ingest.search.store import Passages
from services.ingest.store import MIGRATIONS
from shared import documents
from shared.storage import Store

T = TypeVar("T")


class Clock:
    """Adds up processor seconds by what they were spent on."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def time(self, what: str, work: Callable[[], T]) -> T:
        """Do it, and count it."""
        began = time.process_time()
        result = work()
        self.seconds[what] = self.seconds.get(what, 0.0) + time.process_time() - began
        return result


def main() -> int:
    """Print one line a step, in milliseconds a document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=60)
    most = parser.parse_args().documents
    folder = Path(os.environ["SMALLPRINT_TEST_DATA"]) / "legal" / "pdf"
    paths = sorted(folder.rglob("*.pdf"))[:most]
    clock, characters = Clock(), 0
    with tempfile.TemporaryDirectory() as temporary:
        database = Path(temporary) / "ingest.db"
        store = Store(f"sqlite:///{database}", "ingest", MIGRATIONS)
        store.migrate()
        empty = database.stat().st_size
        for path in paths:
            data = path.read_bytes()
            reading = clock.time("read", lambda data=data: documents.read(data))  # type: ignore[misc]
            found = clock.time("cut", lambda one=reading: passages(one))  # type: ignore[misc]
            with store.write() as session:
                index = Passages(session, "default")
                clock.time("index", lambda: index.keep_text(path.stem, found))  # noqa: B023
            characters += len(reading.text)
        store.close()
        size = database.stat().st_size - empty
        store = Store(f"sqlite:///{database}", "ingest", MIGRATIONS)
        for path in paths[:: max(1, len(paths) // 10)]:
            with store.write() as session:
                index = Passages(session, "default")
                clock.time("forget", lambda: index.forget(path.stem))  # noqa: B023
        store.close()
    gone = len(paths[:: max(1, len(paths) // 10)])
    print(f"{len(paths)} documents, {characters:,} characters")
    for what, seconds in clock.seconds.items():
        print(f"{what:8} {1000 * seconds / (gone if what == 'forget' else len(paths)):8.1f} ms")
    print(f"size     {size / characters:8.2f} bytes a character of text")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
