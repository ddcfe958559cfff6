"""The sound filings of the data, assembled from their statements, in folds by company."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from models.files import folder_of, read_lines
from services.triage.statements.model import BadFiling, Filing, read_filings
from shared.documents.model.formats import JSON

Record = dict[str, Any]
FOLDER = folder_of("triage-breaks")
FOLDS = 5
STATEMENT = ("statement", "columns", "rows", "presented_in")
"""Fields of a statement; `concept` of a row is for training alone."""


def sound(folder: Path) -> Iterator[Record]:
    """Yield every filing of statements.jsonl."""
    filings: dict[str, list[Record]] = defaultdict(list)
    for record in read_lines(folder / "statements.jsonl"):
        filings[record["id"].rsplit("-" + record["statement"], 1)[0]].append(record)
    for name, statements in filings.items():
        about = {key: statements[0][key] for key in ("cik", "company", "form", "period")}
        parts = [{key: s.get(key) for key in STATEMENT} for s in statements]
        yield {"id": name, **about, "statements": parts}


def fold_of(cik: int) -> int:
    """Return the fold of a company."""
    return int(hashlib.sha1(b"fold%d" % cik, usedforsecurity=False).hexdigest(), 16) % FOLDS


def development(folder: Path) -> Iterator[tuple[Record, Record | None]]:
    """Yield the development filings with their injected error; None for sound ones."""
    for record in read_lines(folder / "dev_injected.jsonl"):
        yield record, record["truth"] if record["label"] == "injected" else None


def read(record: Record) -> Filing:
    """Return the filing as triage reads it, without training columns."""
    (filing,) = read_filings(json.dumps(record).encode(), JSON)
    if isinstance(filing, BadFiling):
        raise ValueError(filing.message)  # noqa: TRY004 - a damaged file, not a wrong type
    return filing
