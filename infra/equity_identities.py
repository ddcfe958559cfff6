"""Measure how statements of equity are read, for which the data set has no truth, by identities.

Two identities hold on such a page whoever reads it: in every row the components make the total, and
the total at the end of a year is that of the balance sheet. A third, that what moves between two
balances makes their difference, holds only where the page shows no sums on the way. A row that its
filer rounded is off by one unit of the page, and is counted apart. A statement that is not read
counts in nothing but the number of documents.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

from services.triage.labels import role_rows
from services.triage.reading.components import parts_of
from services.triage.reading.equity import is_balance
from services.triage.reading.reader import Found, ReadStatement, find_statements
from services.triage.statements import Column
from shared.documents import read
from shared.errors import SuiteError

FORMATS = ("html", "pdf")


@dataclass
class Tally:
    """How often an identity was tried, held exactly, and held but for one unit of the page."""

    tried: int = 0
    exact: int = 0
    near: int = 0

    def add(self, off: Decimal, unit: Decimal) -> bool:
        """Count one; returns whether it holds."""
        self.tried += 1
        self.exact += not off
        self.near += 0 < abs(off) <= unit
        return abs(off) <= unit

    def __str__(self) -> str:
        near = f" (+{self.near} off by one unit)" if self.near else ""
        return f"{self.exact}/{self.tried}{near}"


@dataclass
class EquityScore:
    """What was counted of one format."""

    documents: int = 0
    read: int = 0
    by_components: int = 0
    unreadable: int = 0
    cells: int = 0
    dated: Tally = field(default_factory=Tally)
    """Rows whose period is known."""
    across: Tally = field(default_factory=Tally)
    down: Tally = field(default_factory=Tally)
    sheet: Tally = field(default_factory=Tally)
    misses: list[str] = field(default_factory=list)


def measure(folder: Path, only: str, formats: tuple[str, ...]) -> dict[str, EquityScore]:
    """The scores by format, of all raw files: none needs a truth."""
    scores: dict[str, EquityScore] = defaultdict(EquityScore)
    for form in formats:
        for path in sorted((folder / "raw" / form).iterdir()):
            if only in path.name:
                count(path, scores[form])
    return scores


def count(path: Path, score: EquityScore) -> None:
    """Read one document and count."""
    from infra.evaluate_statements import opened

    score.documents += 1
    data, name = opened(path)
    try:
        found = find_statements(read(data, name=name))
    except SuiteError as error:
        score.misses.append(f"{path.name}: {error.message}")
        return
    score.read += bool(found.equity)
    score.by_components += any(statement.components for statement in found.equity)
    score.unreadable += bool(found.unread_equity)
    score.misses += [f"{path.name}: {one.title}: {one.reason}" for one in found.unread_equity]
    for statement in found.equity:
        score.cells += sum(place is not None for row in statement.rows for place in row.places)
        if statement.components:
            _across(path.name, statement, score)
            _down(statement, score)
            _sheet(path.name, statement, found, score)


def _across(name: str, statement: ReadStatement, score: EquityScore) -> None:
    total, parts = parts_of(statement.components)
    for row in statement.rows:
        if row.row.heading:
            continue
        score.dated.add(Decimal(row.period is None), Decimal(0))
        values = row.row.values
        if total is None or values[total] is None or all(values[part] is None for part in parts):
            continue
        off = sum((values[part] or Decimal(0) for part in parts), -(values[total] or Decimal(0)))
        if not score.across.add(off, statement.scale):
            score.misses.append(f"{name}: {row.row.label[:60]!r} is off across by {off}")


def _down(statement: ReadStatement, score: EquityScore) -> None:
    """Columns of amounts between two balances of different days."""
    balances = [place for place, row in enumerate(statement.rows) if is_balance(row.row.label)]
    for first, last in pairwise(balances):
        moved = statement.rows[first + 1 : last]
        if not moved or any(row.period is None for row in moved if not row.row.heading):
            continue
        for column, component in enumerate(statement.components):
            start, end = (statement.rows[at].row.values[column] for at in (first, last))
            if component.shares or start is None or end is None:
                continue
            off = sum((row.row.values[column] or Decimal(0) for row in moved), start - end)
            score.down.add(off, statement.scale)


def _sheet(name: str, statement: ReadStatement, found: Found, score: EquityScore) -> None:
    """The total at each balance that the balance sheet has a column for."""
    total, _ = parts_of(statement.components)
    sheets = [one for one in found.statements if one.kind == "balance_sheet"]
    if total is None or not sheets:
        return
    shown = dict(_totals(sheets[0]))
    seen: set[str] = set()
    for row in statement.rows:
        value, day = row.row.values[total], row.period.end if row.period else None
        moment = row.period == Column(day, 0)
        if moment and value is not None and day and shown.get(day) and day not in seen:
            seen.add(day)
            off = min((abs(value - one) for one in shown[day]), default=Decimal(0))
            if not score.sheet.add(off, statement.scale):
                score.misses.append(f"{name}: {row.row.label[:60]!r} is off the sheet by {off}")


def _totals(sheet: ReadStatement) -> Iterator[tuple[str, list[Decimal]]]:
    """The totals of equity by the day of their column."""
    rows = role_rows(sheet.statement, "total_equity")
    for place, column in enumerate(sheet.columns):
        values = [sheet.rows[row].row.values[place] for row in rows]
        if column.end:
            yield column.end, [value for value in values if value is not None]


def table(scores: dict[str, EquityScore]) -> str:
    """The figures by format."""
    lines = [
        "| format | documents | equity read | by components | named unreadable | cells read "
        "| rows with their period | across | down | balance sheet |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {form} | {s.documents} | {s.read} | {s.by_components} | {s.unreadable} | {s.cells} | "
        f"{s.dated} | {s.across} | {s.down} | {s.sheet} |"
        for form, s in sorted(scores.items())
    ]
    return "\n".join(lines)
