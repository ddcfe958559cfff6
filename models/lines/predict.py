"""What the model that ships and lookup say of lines of companies that they have not seen.

A pair is what a company calls a concept in a statement: its label and the concept count once,
however many filings repeat them, as the last of these has them. Kept are the concepts, the chances
and where the line stands, no label.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from models.lines.corpus import Sheet
from models.lines.guesses import Line, Linear, Lookup
from services.triage.naming import OWN

FOLDER = Path(__file__).resolve().parent.parent / "line-concepts"

Pair = tuple[int, str, str, str]
"""Company, statement, label, concept."""


def pairs(sheets: Iterable[Sheet], labels: Sequence[str]) -> dict[Pair, Line]:
    """Where each pair stands last; a concept that is no label is the company's own."""
    known = frozenset(labels)
    found: dict[Pair, Line] = {}
    for sheet in sorted(sheets, key=lambda sheet: sheet.filing):
        for row, concept in enumerate(sheet.concepts):
            if concept is not None:
                name = concept if concept in known else OWN
                found[sheet.company, sheet.kind, sheet.labels[row], name] = (sheet, row)
    return found


def learned(sheets: Iterable[Sheet], labels: Sequence[str], settings: Mapping[str, Any]) -> Linear:
    """The linear model of some companies."""
    linear = Linear(labels)
    linear.fit(list(pairs(sheets, labels).values()), settings)
    return linear


def predicted(
    linear: Linear, lookup: Lookup, unseen: Sequence[Sheet], labels: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Yield what is said of each pair of some companies by what others taught.

    Args:
        linear: that learned from the others.
        lookup: likewise.
        unseen: the statements of these companies.
        labels: the concepts.
    """
    judged = pairs(unseen, labels)
    said = linear(list(judged.values()))
    for ((_, kind, label, concept), line), best in zip(judged.items(), said, strict=True):
        looked, users = lookup.of(kind, label)
        yield {**place(line, concept), "said": best, "lookup": looked, "users": users}


def place(line: Line, concept: str) -> dict[str, Any]:
    """Where a line stands, and what it is."""
    sheet, row = line
    return {
        "company": sheet.company,
        "filing": sheet.filing,
        "statement": sheet.kind,
        "line": row,
        "concept": concept,
    }


def keep(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write predictions, a line each."""
    with gzip.GzipFile(path, "wb", mtime=0) as file:
        for record in records:
            file.write(json.dumps(record).encode() + b"\n")


def kept(path: Path) -> Iterator[dict[str, Any]]:
    """Yield predictions that were kept."""
    with gzip.open(path, "rb") as lines:
        for line in lines:
            yield json.loads(line)


def by_fold(folder: Path, name: str) -> dict[int, Path]:
    """The files `<name>-fold<K>.jsonl.gz` of a folder."""
    found = folder.glob(f"{name}-fold?.jsonl.gz")
    return {int(path.name.removeprefix(f"{name}-fold")[0]): path for path in sorted(found)}
