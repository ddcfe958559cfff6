"""Breaks that analysts dismissed with a reason, as training rows.

`smallprint dismissed` writes the file. Only suspects that the same dismissals would fold away
(`services/triage/dismissals.py`) are learned as lawful; the rest of the filing may have errors. The
rows are in their company's fold and in no figure.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from models.triage_breaks.filings import Record, fold_of, read
from models.triage_breaks.suspects import Example, summed
from services.triage.checks.findings import finding_of
from services.triage.checks.suspect_generation import find_suspects
from services.triage.checks.suspects import COLUMNS
from services.triage.dismissals import Dismissals, filer_key
from services.triage.reading.document import limit_size, without_equity
from services.triage.relations.learned_sums import LearnedPatterns
from services.triage.relations.relations import statement_views
from services.triage.training_export import DismissalExample

PART = "dismissed"
"""The part of the training rows that these are."""


def read_lessons(path: Path) -> Iterator[DismissalExample]:
    """Read the file. Raises ValueError with the number of an invalid line."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield DismissalExample.of_json(json.loads(line))
            except ValueError as error:
                raise ValueError(f"{path.name}, line {number}: {error}") from error


def companies(records: Iterable[Record]) -> dict[str, int]:
    """Return the number of each company of the data by its name, as dismissals spell it."""
    return {filer_key(record["company"]): record["cik"] for record in records}


def number_of(filer: str, numbers: Mapping[str, int]) -> int:
    """Return the number of a filer: that of the data, or one made of its name."""
    digest = hashlib.sha1(filer.encode(), usedforsecurity=False).hexdigest()
    return numbers.get(filer, int(digest[:15], 16))


def lawful(
    lesson: DismissalExample, taught: Mapping[int, LearnedPatterns], numbers: Mapping[str, int]
) -> Example:
    """Return the dismissed suspects of a filing, none of them an error.

    `taught` has the learned patterns without each fold. Raises ValueError for an unreadable filing.
    """
    company = number_of(lesson.dismissed[0].filer, numbers)
    filing = limit_size(without_equity(read(lesson.filing)))
    pages = summed(statement_views(filing))
    dismissals = Dismissals.of(lesson.dismissed)
    result = [
        doubt
        for doubt in find_suspects(pages, taught[fold_of(company)], filing.complete)
        if dismissals.find(finding_of(pages, doubt))
    ]
    rows = np.array([doubt.vector() for doubt in result], np.float32).reshape(-1, len(COLUMNS))
    none = np.zeros(len(result), bool)
    return Example(filing.id, company, None, rows, none, none, PART)
