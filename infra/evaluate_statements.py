"""Measure how well statements are read, against those of the very same filings.

    python -m infra.evaluate_statements [FOLDER] [--format NAME] [--misses N] [--only TEXT]

FOLDER holds finance/ (default: the setting SMALLPRINT_TEST_DATA). The truth is statements.jsonl,
for the raw files that `raw_manifest.jsonl` ties to statements of the very same filing. Lines are
paired in order by their labels alone, columns by their end and duration (a duration that the
document doesn't say fits any), so that values have no say in what is held against what. A cell is
right if its value is the same, exactly; zero and nothing are the same, for data sets write a dash
as either. A cell of a line or column that was not read is wrong. A few files were looked at while
the reader was written: the figures are those of development. Statements of equity have no truth
there: they are measured by identities (`infra/equity_identities.py`).
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
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from infra import equity_identities, us_gaap
from infra.evaluate_triage import share
from services.triage.reading.concepts import Table, read_alone
from services.triage.reading.instances import in_words
from services.triage.reading.reader import ReadStatement, read_statements
from shared.documents import read
from shared.documents.xbrl import facts_of
from shared.errors import SettingsError, SuiteError

LIKE = 0.8
"""Labels this alike, of 1, are the same line: pages break and abbreviate them."""


TAGS_ALONE = "tags (of HTML, alone)"
"""The tags of inline XBRL as if they were an instance without linkbases, laid out by a table that
was made without the filing's company. Lines are paired by the names of their concepts."""
FOLDS = 5

OTHER_FILINGS = "pdf (other filings)"
"""PDFs that are held against other filings of their company, for want of their own: only cells
whose line and period are in both count, and a later filing may lawfully have restated them."""


@dataclass
class Score:
    """What was counted of one format."""

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
    parser = argparse.ArgumentParser(prog="python -m infra.evaluate_statements")
    parser.add_argument("folder", nargs="?", default=os.environ.get("SMALLPRINT_TEST_DATA", ""))
    parser.add_argument("--format", default="")
    parser.add_argument("--only", default="")
    parser.add_argument("--misses", type=int, default=0)
    asked = parser.parse_args(arguments)
    folder = Path(asked.folder) / "finance"
    if not asked.folder or not folder.is_dir():
        raise SettingsError("name the folder that holds finance/, or set SMALLPRINT_TEST_DATA")
    scores: dict[str, Score] = defaultdict(Score)
    tables = tables_without(folder) if asked.format in ("", "tags") else []
    for path, form, truths in documents(folder):
        if asked.only not in path.name:
            continue
        if asked.format in ("", form.split()[0]):
            measure(path, truths, scores[form], whole=form != OTHER_FILINGS)
        if form == "html" and tables:
            usual = tables[truths[0]["cik"] % FOLDS]
            measure(path, named(truths), scores[TAGS_ALONE], usual=usual)
    print(table(scores))
    for form, score in sorted(scores.items()):
        for line in score.misses[: asked.misses]:
            print(f"{form}: {line}")
    formats = tuple(one for one in equity_identities.FORMATS if asked.format in ("", one))
    of_equity = equity_identities.measure(folder, asked.only, formats)
    if of_equity:
        print(f"\nStatements of equity, of all raw files:\n\n{equity_identities.table(of_equity)}")
    for form, tried in sorted(of_equity.items()):
        for line in tried.misses[: asked.misses]:
            print(f"{form} equity: {line}")
    return 0


def documents(folder: Path) -> Iterator[tuple[Path, str, list[dict[str, Any]]]]:
    """The raw files with statements of the very same filing, their format, and those."""
    known: dict[str, dict[str, Any]] = {}
    with (folder / "statements.jsonl").open("rb") as lines:
        for line in lines:
            record = json.loads(line, parse_float=Decimal)
            known[record["id"]] = record
    with (folder / "raw_manifest.jsonl").open("rb") as lines:
        for line in lines:
            entry = json.loads(line)
            path = folder / entry["file"]
            same = [
                known[key] for key in entry.get("same_filing_statement_ids", ()) if key in known
            ]
            others = [
                known[key] for key in entry.get("overlapping_statement_ids", ()) if key in known
            ]
            if same:
                yield path, path.parent.name, same
            elif others and path.parent.name == "pdf":
                yield path, OTHER_FILINGS, others


def tables_without(folder: Path) -> list[Table]:
    """For each fold of companies the table of common concepts that was made of all others."""
    with (folder / "statements.jsonl").open("rb") as lines:
        records = [json.loads(line) for line in lines]
    return [
        us_gaap.table([record for record in records if record["cik"] % FOLDS != fold])
        for fold in range(FOLDS)
    ]


def named(truths: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same statements with their concepts in words for labels; lines without one stay out."""
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
    """Read one document and count; without `whole` only what both have, with `usual` its tags."""
    began = time.process_time()
    score.documents += 1
    try:
        read = read_alone(facts_of(opened(path)[0]).facts, usual) if usual else statements_of(path)
        statements = {s.kind: s for s in read}
    except SuiteError as error:
        score.misses.append(f"{path.name}: {error.message}")
        statements = {}
    score.seconds.append(time.process_time() - began)
    for truth in truths:
        score.statements += 1
        statement = statements.get(truth["statement"])
        score.found += statement is not None
        compare(path.name, truth, statement, score, whole=whole)


def statements_of(path: Path) -> list[ReadStatement]:
    """The statements that are read from a file."""
    data, name = opened(path)
    return read_statements(read(data, name=name))


def opened(path: Path) -> tuple[bytes, str]:
    """A file and its name; a gzip is opened."""
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
    """Hold one statement against what was read of it."""
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
    score.read_cells += sum(place is not None for row in found.rows for place in row.places)
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
    """Equal, but for what a binary number could not hold when the data set was written."""
    return first == second or abs(first - second) <= abs(second) * Decimal("1e-14")


def _pair_columns(columns: list[dict[str, Any]], found: ReadStatement) -> list[int | None]:
    """For each column of the truth the first that has its end and duration."""
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

    A line without any figure is a heading to a page and zeros to a data set, so it may be paired,
    but rather not.
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
        "| format | documents | statements | columns | duration unstated | lines | cells right "
        "| cells read |",
        "| --- | ---: | ---: | ---: | ---: | ---: | --- | ---: |",
    ]
    for form, s in sorted(scores.items()):
        lines.append(
            f"| {form} | {s.documents} | {s.found}/{s.statements} | {s.dated}/{s.columns} | "
            f"{s.unstated} | "
            f"{s.paired}/{s.lines} | {share(s.right, s.cells)} | {s.read_cells} |"
        )
    for form, s in sorted(scores.items()):
        reasons = ", ".join(f"{why} {count}" for why, count in s.why.most_common())
        lines.append(
            f"\n{form}: wrong cells by reason: {reasons or 'none'}; "
            f"processor time {sum(s.seconds):.1f} s, at most {max(s.seconds):.2f} s a document"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except SettingsError as error:
        print(error.message, file=sys.stderr)
        sys.exit(2)
