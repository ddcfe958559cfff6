"""Cells: where a field of a sheet stands in the text, how it is named, and how it is kept."""

from __future__ import annotations

import numpy as np
import pytest

from shared.documents import Cell, Page, ParsedDocument, read
from shared.documents.model.cells import CELL, Cells, letters, no_cells
from shared.errors import UnreadableDocument

TEXT = "Total\t12\n\nProfit & Loss\t(3)"


def cells_at(*spans: tuple[int, int, int, int, int, float]) -> Cells:
    cells = no_cells(len(spans))
    for record, span in zip(cells, spans, strict=True):
        for name, value in zip(
            ("page", "row", "column", "start", "end", "value"), span, strict=True
        ):
            record[name] = value
    return cells


def a_workbook() -> ParsedDocument:
    nan = float("nan")
    return ParsedDocument(
        text=TEXT,
        pages=(Page(1, 0, 8, 0, 0, name="Sheet1"), Page(2, 10, 27, 0, 0, name="Bob's costs")),
        cells=cells_at(
            (1, 7, 1, 0, 5, nan),
            (1, 7, 2, 6, 8, 12.25),
            (2, 1, 1, 10, 23, nan),
            (2, 1, 3, 24, 27, -3),
        ),
    )


def test_a_span_leads_to_its_cells() -> None:
    reading = a_workbook()
    spans = {
        (0, 5): "A7",
        (4, 7): "A7 B7",
        (5, 6): "",
        (8, 11): "A1",
        (0, len(TEXT)): "A7 B7 A1 C1",
    }
    for (start, end), names in spans.items():
        assert " ".join(cell.address for cell in reading.cells_of(start, end)) == names
    with pytest.raises(IndexError):
        reading.cells_of(3, 2)


def test_a_cell_has_the_name_that_a_spreadsheet_gives_it() -> None:
    reading = a_workbook()
    names = [reading.name_of(cell) for cell in reading.cells_of(0, len(TEXT))]
    assert names == ["Sheet1!A7", "Sheet1!B7", "'Bob''s costs'!A1", "'Bob''s costs'!C1"]
    assert read(b"text").name_of(Cell(1, 2, 3, 28, 2, 3, 0, 1, None)) == "table 2 AB3:AD4"
    assert [letters(column) for column in (1, 26, 27, 702, 703, 16_384)] == [
        *("A", "Z", "AA", "ZZ", "AAA", "XFD")
    ]


@pytest.mark.parametrize("compress", [True, False])
def test_cells_come_back_from_the_layout_blob(compress: bool) -> None:
    reading = a_workbook()
    again = ParsedDocument.from_bytes(reading.to_bytes(compress=compress), reading.text)
    assert again.cells.tobytes() == reading.cells.tobytes()
    assert again.pages == reading.pages
    assert np.isnan(again.boxes).all()


def test_a_million_cells_take_little() -> None:
    count = 1_000_000
    cells = no_cells(count)
    cells["row"], cells["column"] = np.arange(count) // 8 + 1, np.arange(count) % 8 + 1
    cells["start"] = np.arange(count) * 9
    cells["end"] = cells["start"] + 5 + cells["column"] % 4
    text = "x" * (9 * count)
    reading = ParsedDocument(text, (Page(1, 0, len(text)),), cells=cells)
    blob = reading.to_bytes()
    assert len(blob) < 3 * count
    assert ParsedDocument.from_bytes(blob, text).cells.tobytes() == cells.tobytes()


@pytest.mark.parametrize(
    "spans", [[(1, 1, 1, 0, 99, 1)], [(1, 1, 1, 3, 2, 1)], [(1, 1, 1, 0, 3, 1), (1, 1, 2, 2, 4, 1)]]
)
def test_cells_that_lie_are_refused(spans: list[tuple[int, int, int, int, int, float]]) -> None:
    with pytest.raises(ValueError, match="cells"):
        ParsedDocument(TEXT, cells=cells_at(*spans))


def test_a_damaged_blob_of_cells_is_refused() -> None:
    blob = a_workbook().to_bytes(compress=False)
    with pytest.raises(UnreadableDocument, match="cells"):
        ParsedDocument.from_bytes(blob[:-5], TEXT)
    assert CELL.itemsize == 32
