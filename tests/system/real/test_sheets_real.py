"""Every one of the real workbooks reads, with every cell of its statements and its value."""

from __future__ import annotations

import json
from collections import defaultdict
from functools import cache
from math import isclose
from pathlib import Path
from typing import Any

import pytest

from shared.documents import Cell, ParsedDocument, read
from tests.support import data_folder

pytestmark = pytest.mark.slow

SCALES = {"in millions": 1e6, "in thousands": 1e3, "in billions": 1e9}


@cache
def manifest() -> dict[str, dict[str, Any]]:
    """The record of each raw file, by its path."""
    lines = (data_folder("finance") / "raw_manifest.jsonl").read_text("utf-8").splitlines()
    return {record["file"]: record for record in map(json.loads, lines)}


@cache
def statements() -> dict[str, dict[str, Any]]:
    """The statements of the data set by id."""
    with (data_folder("finance") / "statements.jsonl").open(encoding="utf-8") as lines:
        return {record["id"]: record for record in map(json.loads, lines)}


def table(reading: ParsedDocument, page: int) -> dict[int, dict[int, Cell]]:
    """The cells of a sheet by row and column."""
    rows: dict[int, dict[int, Cell]] = defaultdict(dict)
    for cell in reading.cells_of(0, len(reading.text)):
        if cell.page == page:
            rows[cell.row][cell.column] = cell
    return rows


def wrong_cells(reading: ParsedDocument, page: int, statement: dict[str, Any]) -> list[str]:
    """The cells of a sheet that don't have label or value of the statement that it was made of."""
    rows = table(reading, page)
    title = reading.text[rows[1][1].start : rows[1][1].end].lower()
    scale = next((factor for words, factor in SCALES.items() if words in title), 1.0)
    wrong = []
    for number, row in enumerate(statement["rows"], 2):
        label = rows[number].get(1)
        shown = reading.text[label.start : label.end] if label else ""
        if shown.split() != (row["label"] or "").split():
            wrong.append(f"A{number} {shown!r}, not {row['label']!r}")
        for column, value in enumerate(row["values"], 2):
            cell = rows[number].get(column)
            held = cell.value if cell else None
            right = held == value
            if held is not None and value is not None:
                right = any(isclose(held * factor, value, rel_tol=1e-9) for factor in (1.0, scale))
            if not right:
                wrong.append(f"{column} {number}: {held}, not {value}")
    return wrong


def test_every_cell_of_the_real_workbooks_is_right() -> None:
    """Labels and values of every statement, at the row and column where they were written."""
    folder = data_folder("finance") / "raw" / "xlsx"
    checked, wrong = 0, []
    for path in sorted(folder.glob("*.xlsx")):
        reading = read(path.read_bytes(), name=path.name)
        assert not reading.failed
        ids = manifest()[f"raw/xlsx/{path.name}"]["same_filing_statement_ids"]
        for identifier in ids:
            statement = statements()[identifier]
            page = next(p for p in reading.pages if p.name == statement["statement"])
            wrong += [f"{path.name} {w}" for w in wrong_cells(reading, page.number, statement)]
            checked += sum(1 + len(row["values"]) for row in statement["rows"])
    assert checked > 3000
    assert not wrong, "\n".join(wrong[:20])


def test_the_real_workbooks_go_through_the_layout_blob() -> None:
    """The stored layout of a workbook has all its cells."""
    paths: list[Path] = sorted((data_folder("finance") / "raw" / "xlsx").glob("*.xlsx"))
    assert len(paths) >= 10
    for path in paths:
        reading = read(path.read_bytes(), name=path.name)
        again = ParsedDocument.from_bytes(reading.to_bytes(), reading.text)
        assert again.cells.tobytes() == reading.cells.tobytes()
