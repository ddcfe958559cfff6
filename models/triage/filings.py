"""The sound filings of the data, put together from their statements, in folds by company."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from services.triage.statements import JSON, BadFiling, Filing, read_filings

Record = dict[str, Any]
FOLDS = 5
STATEMENT = ("statement", "columns", "rows", "presented_in")
"""What is kept of a statement; `concept` of a row is looked at for learning alone."""


def sound(folder: Path) -> Iterator[Record]:
    """Yield every filing of statements.jsonl, with its statements as the filing has them."""
    filings: dict[str, list[Record]] = defaultdict(list)
    with (folder / "statements.jsonl").open("rb") as lines:
        for line in lines:
            record = json.loads(line)
            filings[record["id"].rsplit("-" + record["statement"], 1)[0]].append(record)
    for name, statements in filings.items():
        first = statements[0]
        yield {
            "id": name,
            "cik": first["cik"],
            "company": first["company"],
            "form": first["form"],
            "period": first["period"],
            "statements": [{key: s.get(key) for key in STATEMENT} for s in statements],
        }


def fold_of(cik: int) -> int:
    """The fold of a company."""
    return int(hashlib.sha1(b"fold%d" % cik, usedforsecurity=False).hexdigest(), 16) % FOLDS


def development(folder: Path) -> Iterator[tuple[Record, Record | None]]:
    """Yield the development filings, with what was done to them; None for untouched ones."""
    with (folder / "dev_injected.jsonl").open("rb") as lines:
        for line in lines:
            record = json.loads(line)
            yield record, record["truth"] if record["label"] == "injected" else None


def read(record: Record) -> Filing:
    """The filing as triage reads it: training columns are never looked at."""
    (filing,) = read_filings(json.dumps(record).encode(), JSON)
    if isinstance(filing, BadFiling):
        raise ValueError(filing.message)  # noqa: TRY004 - a damaged file, not a wrong type
    return filing
