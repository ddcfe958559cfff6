"""Measure how well statements are read, against the data set's statements of the same filings.

    python -m tests.evaluate.statements [FOLDER] [--misses N] [--only TEXT]

FOLDER holds finance/ (default: the setting SMALLPRINT_TEST_DATA). The truth is statements.jsonl,
for the raw files that `raw_manifest.jsonl` links to statements of the same filing. Lines are paired
in order by their labels, columns by end and duration (an unknown duration matches any), never by
values. A cell is right if its value is equal; zero and an empty cell are equal, because data sets
write a dash as either. A cell of an unread line or column is wrong. A few files were used during
development of the reader.

Statements of equity have no truth, so identities measure them. In every row the components make the
total, and the total at the end of a year is that of the balance sheet. The third, that movements
make the difference of two balances, only holds on pages without subtotals. A row that is off by one
unit of the page was rounded, and is counted apart.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from difflib import SequenceMatcher
from itertools import pairwise
from pathlib import Path
from typing import Any

from infra.docs import us_gaap
from models.files import read_lines
from models.triage_breaks.rules_scores import wilson
from services.triage.reading.concept_order import Table, read_unordered
from services.triage.reading.equity import is_balance
from services.triage.reading.equity_columns import Component
from services.triage.reading.reader import DocumentStatements, ReadStatement, find_statements
from services.triage.reading.xbrl_instance import in_words
from services.triage.relations.labels import role_rows
from services.triage.statements.model import Column
from shared.documents import read
from shared.documents.xbrl.xbrl import facts_of
from shared.errors import SettingsError, SuiteError

_OUTSIDE = re.compile(r"(?<!non)(?<!non-)redeemable|mezzanine|temporary\s+equity", re.I)
"""Components outside permanent equity, so that no total includes them."""
LIKE = 0.8  # labels with this similarity count as the same line, since pages abbreviate them


TAGS_ALONE = "tags (of HTML, alone)"
"""The tags of inline XBRL, read as an instance without linkbases, with a table made without the
filing's company. Lines are paired by the names of their concepts.
"""
FOLDS = 5
EQUITY_FORMATS = ("html", "pdf")

OTHER_FILINGS = "pdf (other filings)"
"""PDFs compared with other filings of their company. Only cells whose line and period are in both
count; a later filing may have restated them.
"""


@dataclass
class Score:
    """The counts of one format."""

    documents: int = 0
    statements: int = 0
    found: int = 0
    cells: int = 0
    right: int = 0
    lines: int = 0
    paired: int = 0
    columns: int = 0
    dated: int = 0
    unstated: int = 0
    extra: int = 0
    read_cells: int = 0
    why: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    misses: list[str] = field(default_factory=list)


def main(arguments: list[str]) -> int:
    """Print the figures. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.evaluate.statements")
    parser.add_argument("folder", nargs="?", default=os.environ.get("SMALLPRINT_TEST_DATA", ""))
    parser.add_argument("--only", default="")
    parser.add_argument("--misses", type=int, default=0)
    asked = parser.parse_args(arguments)
    folder = Path(asked.folder) / "finance"
    if not asked.folder or not folder.is_dir():
        raise SettingsError("name the folder that holds finance/, or set SMALLPRINT_TEST_DATA")
    scores: dict[str, Score] = defaultdict(Score)
    tables = tables_without(folder)
    for path, form, truths in documents(folder):
        if asked.only not in path.name:
            continue
        measure(path, truths, scores[form], whole=form != OTHER_FILINGS)
        if form == "html":
            usual = tables[truths[0]["cik"] % FOLDS]
            measure(path, named(truths), scores[TAGS_ALONE], usual=usual)
    print(table(scores))
    for form, score in sorted(scores.items()):
        for line in score.misses[: asked.misses]:
            print(f"{form}: {line}")
    of_equity = measure_equity(folder, asked.only)
    print(f"\nStatements of equity, of all raw files:\n\n{equity_table(of_equity)}")
    for form, tried in sorted(of_equity.items()):
        for line in tried.misses[: asked.misses]:
            print(f"{form} equity: {line}")
    return 0


def documents(folder: Path) -> Iterator[tuple[Path, str, list[dict[str, Any]]]]:
    """The raw files with statements of the same filing: path, format and statements."""
    with (folder / "statements.jsonl").open("rb") as lines:
        records = [json.loads(line, parse_float=Decimal) for line in lines]
    known = {record["id"]: record for record in records}
    for entry in read_lines(folder / "raw_manifest.jsonl"):
        path = folder / entry["file"]
        same, others = (
            [known[key] for key in entry.get(f"{which}_statement_ids", ()) if key in known]
            for which in ("same_filing", "overlapping")
        )
        if same:
            yield path, path.parent.name, same
        elif others and path.parent.name == "pdf":
            yield path, OTHER_FILINGS, others


def tables_without(folder: Path) -> list[Table]:
    """For each fold of companies a table of common concepts, made from all other folds."""
    records = list(read_lines(folder / "statements.jsonl"))
    return [
        us_gaap.table([record for record in records if record["cik"] % FOLDS != fold])
        for fold in range(FOLDS)
    ]


def named(truths: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same statements with their concepts as labels. Lines without a concept are left out."""
    return [
        {
            **truth,
            "rows": [
                {**row, "label": in_words(row["concept"])}
                for row in truth["rows"]
                if row.get("concept") and not row.get("dims")
            ],
        }
        for truth in truths
    ]


def measure(
    path: Path,
    truths: list[dict[str, Any]],
    score: Score,
    *,
    whole: bool = True,
    usual: Table | None = None,
) -> None:
    """Read and compare one document: without `whole` only common cells, with `usual` its tags."""
    began = time.process_time()
    score.documents += 1
    try:
        found = (
            read_unordered(facts_of(opened(path)[0]).facts, usual)
            if usual
            else statements_in(path).statements
        )
        statements = {s.kind: s for s in found}
    except SuiteError as error:
        score.misses.append(f"{path.name}: {error.message}")
        statements = {}
    score.seconds.append(time.process_time() - began)
    for truth in truths:
        score.statements += 1
        statement = statements.get(truth["statement"])
        score.found += statement is not None
        compare(path.name, truth, statement, score, whole=whole)


def statements_in(path: Path) -> DocumentStatements:
    """Read the statements of a file."""
    data, name = opened(path)
    return find_statements(read(data, name=name))


def opened(path: Path) -> tuple[bytes, str]:
    """Decompressed bytes and name of a file."""
    if path.name.endswith(".gz"):
        return gzip.decompress(path.read_bytes()), path.name[:-3]
    return path.read_bytes(), path.name


def compare(
    name: str,
    truth: dict[str, Any],
    found: ReadStatement | None,
    score: Score,
    *,
    whole: bool = True,
) -> None:
    """Compare one statement with the statement that was read."""
    where = f"{name} {truth['statement']}"
    rows = [row for row in truth["rows"] if any(value is not None for value in row["values"])]
    score.lines += len(rows)
    score.columns += len(truth["columns"])
    wanted = sum(value is not None for row in rows for value in row["values"])
    score.cells += wanted if whole else 0
    if found is None and not whole:
        return
    if found is None:
        score.why["statement not found"] += wanted
        score.misses.append(f"{where}: not found")
        return
    columns = _pair_columns(truth["columns"], found)
    score.dated += sum(column is not None for column in columns)
    score.unstated += sum(
        column is not None and found.columns[column].quarters is None for column in columns
    )
    if None in columns and whole:
        score.misses.append(f"{where}: columns {truth['columns']} read as {found.columns}")
    pairs = _pair_rows([row["label"] for row in rows], found)
    score.paired += sum(place is not None for place in pairs)
    score.read_cells += sum(place is not None for row in found.rows for place in row.positions)
    for row, place in zip(rows, pairs, strict=True):
        for value, column in zip(row["values"], columns, strict=True):
            if value is None:
                continue
            if place is None or column is None:
                if not whole:
                    continue
                score.why["line not found" if place is None else "column not found"] += 1
                if place is None:
                    score.misses.append(f"{where}: no line {row['label']!r}")
                continue
            score.cells += not whole
            read_value = found.rows[place].row.values[column]
            if _same(read_value or Decimal(0), Decimal(value)):
                score.right += 1
            else:
                score.why["value differs"] += 1
                score.misses.append(
                    f"{where}: {(row['label'] or '')[:60]!r} {value} read as {read_value}"
                )


def _same(first: Decimal, second: Decimal) -> bool:
    """Whether two numbers are equal within binary precision."""
    return first == second or abs(first - second) <= abs(second) * Decimal("1e-14")


def _pair_columns(columns: list[dict[str, Any]], found: ReadStatement) -> list[int | None]:
    """For each true column the first read column with its end and duration."""
    kind_is_moment = found.kind == "balance_sheet"
    pairs: list[int | None] = []
    for column in columns:
        quarters = 0 if kind_is_moment else _quarters(column)
        fits = [
            place
            for place, read_column in enumerate(found.columns)
            if read_column.end == column["end"]
            and (quarters is None or read_column.quarters in (quarters, None))
            and place not in pairs
        ]
        pairs.append(fits[0] if fits else None)
    return pairs


def _quarters(column: dict[str, Any]) -> int | None:
    if column.get("quarters") is not None:
        return int(column["quarters"])
    if not column.get("start"):
        return None
    start, end = (_day(column[key]) for key in ("start", "end"))
    return round((end - start).days / 91.3)


def _day(text: str) -> date:
    return date(int(text[:4]), int(text[4:6]), int(text[6:8]))


def _pair_rows(truth: list[str | None], found: ReadStatement) -> list[int | None]:
    """The longest chain of lines with like labels, in order (dynamic programming).

    A line without figures is a heading on a page, but zeros in a data set. So pairing it costs a
    little.
    """
    left = [_plain(label) for label in truth]
    right = [_plain(row.row.label) for row in found.rows]
    less = [0.05 * row.row.heading for row in found.rows]
    best = [[0.0] * (len(right) + 1) for _ in range(len(left) + 1)]
    like = [
        [_like(a, b) - c if _like(a, b) else 0.0 for b, c in zip(right, less, strict=True)]
        for a in left
    ]
    for i in range(len(left) - 1, -1, -1):
        for j in range(len(right) - 1, -1, -1):
            both = like[i][j] + best[i + 1][j + 1] if like[i][j] else 0.0
            best[i][j] = max(best[i + 1][j], best[i][j + 1], both)
    pairs: list[int | None] = [None] * len(left)
    i = j = 0
    while i < len(left) and j < len(right):
        if like[i][j] and best[i][j] == like[i][j] + best[i + 1][j + 1]:
            pairs[i] = j
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs


def _plain(label: str | None) -> str:
    return " ".join(re.sub(r"[^a-z0-9]+", " ", (label or "").lower()).split())


def _like(first: str, second: str) -> float:
    if first == second:
        return 1.0
    if not first or not second:
        return 0.0
    matcher = SequenceMatcher(None, first, second, autojunk=False)
    if matcher.real_quick_ratio() < LIKE or matcher.quick_ratio() < LIKE:
        return 0.0
    ratio = matcher.ratio()
    return ratio if ratio >= LIKE else 0.0


def table(scores: dict[str, Score]) -> str:
    """The figures by format."""
    lines = [
        "| format | documents | statements | columns | duration unstated | lines | cells correct "
        "| cells read |",
        "| --- | ---: | ---: | ---: | ---: | ---: | --- | ---: |",
    ]
    for form, s in sorted(scores.items()):
        low, high = wilson(s.right, s.cells)
        share = s.right / max(s.cells, 1)
        lines.append(
            f"| {form} | {s.documents} | {s.found}/{s.statements} | {s.dated}/{s.columns} | "
            f"{s.unstated} | "
            f"{s.paired}/{s.lines} | {s.right}/{s.cells} = {share:.1%} "
            f"[{low:.1%}, {high:.1%}] | {s.read_cells} |"
        )
    for form, s in sorted(scores.items()):
        reasons = ", ".join(f"{why} {count}" for why, count in s.why.most_common())
        lines.append(
            f"\n{form}: wrong cells by reason: {reasons or 'none'}; "
            f"processor time {sum(s.seconds):.1f} s, at most {max(s.seconds):.2f} s a document"
        )
    return "\n".join(lines)


# Statements of equity


@dataclass
class IdentityCount:
    """How often an identity was tested, held exactly, or held within one unit of the page."""

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
    """The counts of one format."""

    documents: int = 0
    read: int = 0
    by_components: int = 0
    unreadable: int = 0
    cells: int = 0
    dated: IdentityCount = field(default_factory=IdentityCount)  # rows whose period is known
    across: IdentityCount = field(default_factory=IdentityCount)
    down: IdentityCount = field(default_factory=IdentityCount)
    sheet: IdentityCount = field(default_factory=IdentityCount)
    misses: list[str] = field(default_factory=list)


def measure_equity(folder: Path, only: str) -> dict[str, EquityScore]:
    """The scores of all raw files by format; they need no truth."""
    scores: dict[str, EquityScore] = defaultdict(EquityScore)
    for form in EQUITY_FORMATS:
        for path in sorted((folder / "raw" / form).iterdir()):
            if only in path.name:
                count_equity(path, scores[form])
    return scores


def count_equity(path: Path, score: EquityScore) -> None:
    """Count one document's identities."""
    score.documents += 1
    try:
        found = statements_in(path)
    except SuiteError as error:
        score.misses.append(f"{path.name}: {error.message}")
        return
    score.read += bool(found.equity)
    score.by_components += any(statement.components for statement in found.equity)
    score.unreadable += bool(found.unread_equity)
    score.misses += [f"{path.name}: {one.title}: {one.reason}" for one in found.unread_equity]
    for statement in found.equity:
        score.cells += sum(place is not None for row in statement.rows for place in row.positions)
        if statement.components:
            _across(path.name, statement, score)
            _down(statement, score)
            _sheet(path.name, statement, found, score)


def parts_of(components: Sequence[Component]) -> tuple[int | None, tuple[int, ...]]:
    """The column of the total, or None, and the columns that add up to it."""
    totals = [index for index, component in enumerate(components) if component.total]
    if not totals:
        return None, ()
    total = totals[-1]
    amounts = [
        index
        for index, component in enumerate(components)
        if not component.shares and not component.total and not _OUTSIDE.search(component.name)
    ]
    before = [index for index in amounts if index < total]
    return total, tuple(before or amounts)


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
            score.misses.append(
                f"{name}: {row.row.label[:60]!r} components differ from their total by {off}"
            )


def _down(statement: ReadStatement, score: EquityScore) -> None:
    """Check that movements add up between two balances of different days."""
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


def _sheet(
    name: str, statement: ReadStatement, found: DocumentStatements, score: EquityScore
) -> None:
    """Compare the total of each balance with the balance sheet of that day."""
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
                score.misses.append(
                    f"{name}: {row.row.label[:60]!r} differs from the balance sheet by {off}"
                )


def _totals(sheet: ReadStatement) -> Iterator[tuple[str, list[Decimal]]]:
    """The totals of equity by day."""
    rows = role_rows(sheet.statement, "total_equity")
    for place, column in enumerate(sheet.columns):
        values = [sheet.rows[row].row.values[place] for row in rows]
        if column.end:
            yield column.end, [value for value in values if value is not None]


def equity_table(scores: dict[str, EquityScore]) -> str:
    """The figures by format."""
    lines = [
        "| format | documents | equity read | by components | reported unreadable | cells read "
        "| rows with period | across | down | balance sheet |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {form} | {s.documents} | {s.read} | {s.by_components} | {s.unreadable} | {s.cells} | "
        f"{s.dated} | {s.across} | {s.down} | {s.sheet} |"
        for form, s in sorted(scores.items())
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except SettingsError as error:
        print(error.message, file=sys.stderr)
        sys.exit(2)
