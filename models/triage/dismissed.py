"""What analysts dismissed with a reason, as lessons: breaks that are lawful by their word.

`smallprint dismissed` writes the file. Of each filing those doubts are learned as lawful that the
suite would fold away by the same dismissals (`services/triage/dismissals.py`), and no others:
whether the rest of the filing is sound nobody has said. They are of the fold of their company, so
that no company is judged by what was said of it, and no figure is made of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from models.triage.doubting import Example, summed
from models.triage.filings import Record, fold_of, read
from services.triage.dismissals import Dismissals, filer_of
from services.triage.doubts import COLUMNS
from services.triage.experience import Experience
from services.triage.judgement import finding_of
from services.triage.lessons import Lesson
from services.triage.raising import raised
from services.triage.reading.document import checked, narrowed
from services.triage.relations import sheets

PART = "dismissed"
"""The part of what is learned from that these are."""


def read_lessons(path: Path) -> Iterator[Lesson]:
    """Read the file. Raises ValueError for a line that is no lesson, and says which."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield Lesson.of_json(json.loads(line))
            except ValueError as error:
                raise ValueError(f"{path.name}, line {number}: {error}") from error


def companies(records: Iterable[Record]) -> dict[str, int]:
    """The number of each company of the data by its name, as dismissals know it."""
    return {filer_of(record["company"]): record["cik"] for record in records}


def number_of(filer: str, known: Mapping[str, int]) -> int:
    """The number of a filer: its own where the data has it, otherwise one made of its name."""
    digest = hashlib.sha1(filer.encode(), usedforsecurity=False).hexdigest()
    return known.get(filer, int(digest[:15], 16))


def lawful(lesson: Lesson, taught: Mapping[int, Experience], known: Mapping[str, int]) -> Example:
    """The doubts of a filing that were dismissed, none of them right.

    Args:
        lesson: the filing, and what was dismissed of it.
        taught: the experience of lines without each fold.
        known: the number of each company of the data.

    Raises:
        ValueError: the filing can't be read.
    """
    company = number_of(lesson.dismissed[0].filer, known)
    filing = narrowed(checked(read(lesson.filing)))
    pages = summed(sheets(filing))
    said = Dismissals.of(lesson.dismissed)
    found = [
        doubt
        for doubt in raised(pages, taught[fold_of(company)], filing.whole)
        if said.word_on(finding_of(pages, doubt))
    ]
    rows = np.array([doubt.vector() for doubt in found], np.float32).reshape(-1, len(COLUMNS))
    none = np.zeros(len(found), bool)
    return Example(filing.id, company, None, rows, none, none, PART)
