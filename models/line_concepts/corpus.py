"""The statements of the training filings, with concepts, in folds by company."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from models.files import read_lines
from models.triage_breaks.filings import fold_of
from services.triage.concepts.linear import OWN
from services.triage.statements.model import CHECKED


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
        return fold_of(self.company)


def read_sheets(path: Path) -> Iterator[Sheet]:
    """Yield the statements of statements.jsonl."""
    for record in read_lines(path):
        rows = [row for row in record["rows"] if row.get("label")]
        if record["statement"] in CHECKED and rows:
            yield Sheet(
                record["cik"],
                record["id"].rsplit("-" + record["statement"], 1)[0],
                record["statement"],
                tuple(row["label"] for row in rows),
                tuple(concept_of(row) for row in rows),
            )


def concept_of(row: dict[str, object]) -> str | None:
    """Return the concept of a row with values; None for a heading."""
    values = row.get("values")
    if row.get("heading") or not isinstance(values, list) or all(v is None for v in values):
        return None
    concept = row.get("concept")
    return OWN if row.get("custom") or not concept else str(concept)


def common(sheets: Iterable[Sheet], least: int) -> list[str]:
    """Return the labels: `own`, and each concept that enough companies use, by name."""
    users: dict[str, set[int]] = defaultdict(set)
    for sheet in sheets:
        for concept in sheet.concepts:
            if concept and concept != OWN:
                users[concept].add(sheet.company)
    return [OWN, *sorted(name for name, some in users.items() if len(some) >= least)]
