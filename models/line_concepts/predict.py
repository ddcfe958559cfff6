"""Predictions of the linear model and of lookup for lines of unseen companies.

A pair is a company's label and its concept in a statement. Repeated filings count once, as the last
of them shows it. Stored are concepts, probabilities and the position of the line, no label.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from models.files import read_lines
from models.line_concepts.corpus import Sheet
from models.line_concepts.lookup import Line, Linear, Lookup
from services.triage.concepts.linear import OWN

FOLDER = Path(__file__).resolve().parent

Pair = tuple[int, str, str, str]
"""Company, statement, label, concept."""


def pairs(sheets: Iterable[Sheet], labels: Sequence[str]) -> dict[Pair, Line]:
    """Return the last position of each pair; a concept that is no label becomes `own`."""
    allowed = frozenset(labels)
    result: dict[Pair, Line] = {}
    for sheet in sorted(sheets, key=lambda sheet: sheet.filing):
        for row, concept in enumerate(sheet.concepts):
            if concept is not None:
                name = concept if concept in allowed else OWN
                result[sheet.company, sheet.kind, sheet.labels[row], name] = (sheet, row)
    return result


def learned(sheets: Iterable[Sheet], labels: Sequence[str], settings: Mapping[str, Any]) -> Linear:
    """Train the linear model on some companies."""
    linear = Linear(labels)
    linear.fit(list(pairs(sheets, labels).values()), settings)
    return linear


def predicted(
    linear: Linear, lookup: Lookup, unseen: Sequence[Sheet], labels: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Yield the predictions for each pair of unseen companies."""
    known = pairs(unseen, labels)
    predictions = linear(list(known.values()))
    for ((_, kind, label, concept), line), best in zip(known.items(), predictions, strict=True):
        looked, users = lookup.of(kind, label)
        yield {**position_of(line, concept), "said": best, "lookup": looked, "users": users}


def position_of(line: Line, concept: str) -> dict[str, Any]:
    """Return the position of a line, and its concept."""
    sheet, row = line
    return {
        "company": sheet.company,
        "filing": sheet.filing,
        "statement": sheet.kind,
        "line": row,
        "concept": concept,
    }


def read_predictions(folder: Path, name: str) -> dict[int, list[dict[str, Any]]]:
    """Return the predictions in the files `<name>-fold<K>.jsonl.gz` of a folder by fold."""
    return {
        int(path.name.removeprefix(f"{name}-fold")[0]): list(read_lines(path))
        for path in sorted(folder.glob(f"{name}-fold?.jsonl.gz"))
    }
