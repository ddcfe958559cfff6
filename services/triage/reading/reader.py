"""From a document to its statements: find the tables, choose those that are statements, read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from services.triage.reading.boxes import tables_of_pages
from services.triage.reading.columns import Layout, layout, periods, restated
from services.triage.reading.grids import tables_of_cells
from services.triage.reading.kinds import last_lines, score
from services.triage.reading.rows import ReadRow, rows_of
from services.triage.reading.scales import scale_in
from services.triage.reading.table import Table
from services.triage.statements import Column, Statement
from shared.documents.reading import Reading

KINDS = ("balance_sheet", "income", "cash_flow")


@dataclass(frozen=True)
class ReadStatement:
    """A statement with what its page says of it."""

    kind: str
    title: str
    scale: Decimal
    columns: tuple[Column, ...]
    rows: tuple[ReadRow, ...]
    restated: tuple[bool, ...] = ()

    @property
    def statement(self) -> Statement:
        """The statement in the form that is checked."""
        return Statement(self.kind, self.columns, tuple(row.row for row in self.rows))

    def to_json(self) -> dict[str, Any]:
        """The statement in structured form, each row with its places."""
        whole = self.statement.to_json()
        for column, again in zip(whole["columns"], self.restated, strict=False):
            if again:
                column["restated"] = 1
        for row, read in zip(whole["rows"], self.rows, strict=True):
            if read.path:
                row["path"] = list(read.path)
            if read.marks:
                row["notes"] = list(read.marks)
            if any(read.places):
                row["places"] = [place and place.to_json() for place in read.places]
        whole["title"] = self.title
        whole["presented_in"] = int(self.scale)
        return whole


def tables_of(reading: Reading) -> list[Table]:
    """The tables of a document, by what its reading has."""
    if len(reading.cells):
        return list(tables_of_cells(reading))
    if reading.has_boxes:
        return list(tables_of_pages(reading))
    return []


def read_statements(reading: Reading) -> list[ReadStatement]:
    """The statements of one document, at most one of a kind, in the order of the document."""
    laid = [(table, found) for table in tables_of(reading) if (found := layout(table))]
    chosen: list[tuple[int, str]] = []
    for kind in KINDS:
        points = [score(kind, found, _title(table)) for table, found in laid]
        if points and max(points) > 0:
            chosen.append((points.index(max(points)), kind))
    return [
        _read(laid, place, kind) for place, kind in sorted(chosen)
    ]


def _title(table: Table) -> str:
    first = " ".join(cell.text for cell in table.rows[0]) if table.rows else ""
    return "\n".join(text for text in (table.name, table.before, first) if text)


def _read(laid: Sequence[tuple[Table, Layout]], place: int, kind: str) -> ReadStatement:
    table, found = laid[place]
    above = last_lines(table.before, 8)
    heads = "\n".join([found.stub, *(band.title for band in found.bands), above])
    scale = scale_in(found.stub) or scale_in(heads) or _scale_below(found) or Decimal(1)
    return ReadStatement(
        kind=kind,
        title=_name(table, found),
        scale=scale,
        columns=periods(found, above, kind),
        rows=tuple(rows_of(found, scale, heads)),
        restated=restated(found),
    )


def _scale_below(found: Layout) -> Decimal | None:
    """Some pages say it in the first lines, before any figure."""
    for line in found.body[:2]:
        if not line.figures and (scale := scale_in(" ".join(c.text for c in line.words))):
            return scale
    return None


def _name(table: Table, found: Layout) -> str:
    lines = last_lines(table.before, 6).splitlines()
    return table.name or next((line for line in reversed(lines) if "tatement" in line or "heet" in line), "")
