"""The statements of the training filings as lines with their concepts, in folds by company."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from models.triage.filings import fold_of
from services.triage.naming import KINDS, OWN


@dataclass(frozen=True)
class Sheet:
    """A statement of a filing; headings are lines without a concept."""

    company: int
    filing: str
    kind: str
    labels: tuple[str, ...]
    concepts: tuple[str | None, ...]

    @property
    def fold(self) -> int:
        """The fold of its company."""
        return fold_of(self.company)


def read_sheets(path: Path) -> Iterator[Sheet]:
    """Yield the statements of statements.jsonl."""
    with path.open("rb") as lines:
        for line in lines:
            record = json.loads(line)
            rows = [row for row in record["rows"] if row.get("label")]
            if record["statement"] in KINDS and rows:
                yield Sheet(
                    record["cik"],
                    record["id"].rsplit("-" + record["statement"], 1)[0],
                    record["statement"],
                    tuple(row["label"] for row in rows),
                    tuple(concept_of(row) for row in rows),
                )


def concept_of(row: dict[str, object]) -> str | None:
    """The concept of a row with values; None for a heading."""
    values = row.get("values")
    if row.get("heading") or not isinstance(values, list) or all(v is None for v in values):
        return None
    concept = row.get("concept")
    return OWN if row.get("custom") or not concept else str(concept)


def common(sheets: Iterable[Sheet], least: int) -> list[str]:
    """The labels: the company's own, and each concept that so many companies use, by name."""
    users: dict[str, set[int]] = defaultdict(set)
    for sheet in sheets:
        for concept in sheet.concepts:
            if concept and concept != OWN:
                users[concept].add(sheet.company)
    return [OWN, *sorted(name for name, some in users.items() if len(some) >= least)]
