"""Check that clauses do not depend on how they are computed: part of `make bench-legal`.

    python -m tests.bench.steady [--documents 6]

The specialist reads the same texts with one, two and five threads, with single windows, and without
VNNI, where 8-bit products overflow. The texts are contracts of the data folder in
SMALLPRINT_TEST_DATA, or a generated one. All passages with a confidence above 0.001 are compared.
Exits with 1 on a difference.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from models.files import read_lines
from services.extraction.pipeline.search import ClauseSpan, search
from shared.inference import Specialists, session, specialists
from tests.bench.legal import CONTRACTS, NAME, made_text

THREADS = (1, 2, 5)
WAYS: tuple[tuple[str, dict[str, Any]], ...] = (
    *((f"{n} thread{'s' if n > 1 else ''}", {"threads": n}) for n in THREADS),
    ("windows one by one", {"batch": 1}),
    ("arithmetic without VNNI", {"overflow": True}),
)


def texts(count: int) -> list[str]:
    """Contracts of different lengths from the data folder, without the longest."""
    data = os.environ.get("SMALLPRINT_TEST_DATA")
    if not data:
        return [made_text(3000)]
    found = sorted((one["text"] for one in read_lines(Path(data) / CONTRACTS)), key=len)
    return [found[i] for i in np.linspace(0, 0.75 * len(found), count).astype(int)]


def clauses(
    artefacts: Path,
    some: list[str],
    threads: int = 2,
    batch: int | None = None,
    overflow: bool | None = None,
) -> Iterator[list[ClauseSpan]]:
    """Yield all passages of each text, computed with these settings."""
    with ExitStack() as stack:
        if batch is not None:
            stack.enter_context(patch.object(specialists, "BATCH", batch))
        if overflow is not None:
            stack.enter_context(patch.object(session, "overflows", lambda: overflow))
        specialist = Specialists(artefacts, threads).get(NAME)
        for text in some:
            yield search(text, specialist, all_candidates=True).clauses


def compared(artefacts: Path, some: list[str]) -> dict[str, dict[str, float]]:
    """By setting: passages, how many differ from the default, and the largest difference."""
    expected = list(clauses(artefacts, some))
    figures: dict[str, dict[str, float]] = {}
    for name, given in WAYS:
        row = figures[name] = {"passages": 0, "others": 0, "largest_difference": 0.0}
        for ours, theirs in zip(expected, clauses(artefacts, some, **given), strict=True):
            known, found = by_place(ours), by_place(theirs)
            row["passages"] += len(known)
            row["others"] += len(known.keys() ^ found.keys())
            gaps = [abs(known[place] - found[place]) for place in known.keys() & found.keys()]
            row["largest_difference"] = max([row["largest_difference"], *gaps])
    return figures


def by_place(found: list[ClauseSpan]) -> dict[tuple[str, int, int], float]:
    """Confidences by category and span."""
    return {(clause.category, clause.start, clause.end): clause.confidence for clause in found}


def main(arguments: list[str] | None = None) -> int:
    """Compare and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.steady", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--artefacts", type=Path, default=Path("models/artefacts"))
    parser.add_argument("--documents", type=int, default=6)
    options = parser.parse_args(arguments)
    some = texts(options.documents)
    figures = compared(options.artefacts, some)
    print(f"{len(some)} texts; 8-bit products overflow here: {session.overflows()}")
    for name, row in figures.items():
        print(
            f"{name:20} {row['passages']:,} passages, {row['others']} others; confidences "
            f"differ by {row['largest_difference']:.2g} at most"
        )
    return int(any(row["others"] for row in figures.values()))


if __name__ == "__main__":
    raise SystemExit(main())
