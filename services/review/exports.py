"""Exports of results with decisions, as JSONL, CSV or XLSX.

A cell that looks like a formula gets an apostrophe in front. It begins with `=`, `+`, `-`, `@`, a
tab or a line break, perhaps after invisible characters. The same holds inside a text after a
semicolon, a tab or a line break, because some spreadsheets split there. The column `defused` names
the changed cells. JSONL keeps the text unchanged.
Source: OWASP, "CSV Injection".
"""

from __future__ import annotations

import csv
import io
import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any, Literal

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Alignment, Font

from services.review.domain import Decision, Item

Format = Literal["jsonl", "csv", "xlsx"]
Row = Mapping[str, Any]

MEDIA_TYPES: dict[Format, str] = {
    "jsonl": "application/x-ndjson; charset=utf-8",
    "csv": "text/csv; charset=utf-8; header=present",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
EXAMPLES: dict[Format, str] = {
    "jsonl": '{"document": "supply-agreement.pdf", "category": "Warranty Duration", "page": 1}\n',
    "csv": "document,category,page\r\nsupply-agreement.pdf,Warranty Duration,1\r\n",
    "xlsx": "(the bytes of the workbook)",
}
COLUMNS = (
    *("document_id", "document", "kind", "state", "verdict", "category", "text", "page"),
    *("start", "end", "confidence", "found_category", "found_text", "found_start", "found_end"),
    *("filing", "statement", "row", "column", "reported", "expected"),
    *("note", "decided_by", "decided", "item", "result", "decision"),
)
NO_ADVICE = "smallprint gives no legal or audit advice."
_ABOUT = (
    "Results of smallprint and the decisions about them.",
    "kind: clause, finding, signal (an unusual ratio; category names it) or flag (a sentence about "
    "the company; category names its family).",
    "category, text, page, start and end: the result after any correction.",
    "state accepted: accepted automatically within the stated risk, without review.",
    "found_…: the result before a correction. start and end count characters from 0.",
    "Cells that look like formulas have an apostrophe (') in front, also inside a text after a "
    "semicolon, tab or line break. The column defused names them. JSONL keeps the text unchanged.",
    NO_ADVICE,
)
_UNSEEN = r"[\s\x00-\x1f\xa0\xad\u200b-\u200f\u2060\ufeff]"
_FORMULA = re.compile(rf"{_UNSEEN}*[=+\-@＝＋－＠]|[\t\r\n]")  # noqa: RUF001 (full-width forms too)
_LISTED = r"(?:[^\S\t\r\n]*[\r\n]|[^\S\t\r\n]+\w[^;\t\r\n(|!&\"]*(?:[;\r\n]|(?<=[\w.,])\Z))"
"""The text after a dash that is no formula: an empty line, or an item of a list."""
_WITHIN = re.compile(
    rf"([;\t\r\n](?>(?:{_UNSEEN}|\")*))(?=([=@＝＠]|[+\-＋－]++(?!{_LISTED}))?)"  # noqa: RUF001
)
"""A possible beginning of a cell inside a text, and the sign of a formula there. In CSV, `foo;"=1`
is `"foo;""=1"`, which a split at semicolons turns into a formula. The search is linear.
"""
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_CELL = 32_767
_CUT = " … (cut: a cell holds no more)"
_CHUNK = 64 * 1024
_IN_MEMORY = 4 * 1024 * 1024


@dataclass(frozen=True)
class Result:
    """An item with the name of its document and its decision, if any."""

    item: Item
    document_name: str
    state: str
    decision: Decision | None

    def row(self) -> dict[str, Any]:
        item, decision = self.item.apparent, self.decision
        right = dict(decision.correction or {}) if decision else {}
        finding = item.finding or {}
        return {
            "document_id": item.document_id,
            "document": self.document_name,
            "kind": item.kind,
            "state": self.state,
            "verdict": item.verdict,
            "category": right.get("category", item.category),
            "text": right.get("text", item.text),
            "page": right.get("page", item.page),
            "start": right.get("start", item.start),
            "end": right.get("end", item.end),
            "confidence": item.confidence,
            "found_category": item.category,
            "found_text": item.text,
            "found_start": item.start,
            "found_end": item.end,
            "filing": finding.get("filing"),
            "statement": finding.get("statement"),
            "row": finding.get("row"),
            "column": finding.get("column"),
            "reported": finding.get("reported"),
            "expected": finding.get("expected"),
            "note": decision.note if decision else "",
            "decided_by": item.decided_by,
            "decided": item.decided.isoformat() if item.decided else None,
            "item": item.id,
            "result": item.result_id,
            "decision": item.decision_id,
        }


def defuse(text: str) -> str:
    """Return the text without possible formulas."""
    text = _WITHIN.sub(lambda found: found[1] + "'" * bool(found[2]), text)
    return "'" + text if _FORMULA.match(text) else text


def write(results: Iterable[Result], form: Format) -> Iterator[bytes]:
    """Yield the export in chunks, in bounded memory."""
    rows = (result.row() for result in results)
    return {"jsonl": _jsonl, "csv": _csv, "xlsx": _xlsx}[form](rows)


def _jsonl(rows: Iterable[Row]) -> Iterator[bytes]:
    for row in rows:
        yield json.dumps(row, ensure_ascii=False).encode() + b"\n"


def _csv(rows: Iterable[Row]) -> Iterator[bytes]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow([*COLUMNS, "defused"])
    for row in rows:
        writer.writerow(_cells(row))
        if buffer.tell() > _CHUNK:
            yield _drain(buffer)
    yield _drain(buffer)


def _drain(buffer: io.StringIO) -> bytes:
    data = buffer.getvalue().encode("utf-8", "replace")
    buffer.seek(0)
    buffer.truncate()
    return data


def _xlsx(rows: Iterable[Row]) -> Iterator[bytes]:
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
        _write_workbook(rows, file)
        file.seek(0)
        while chunk := file.read(_CHUNK):
            yield chunk


def _write_workbook(rows: Iterable[Row], file: IO[bytes]) -> None:
    book = Workbook(write_only=True)
    sheet = book.create_sheet("Results")
    sheet.freeze_panes = "A2"
    for column, width in {"A": 14, "B": 32, "F": 26, "G": 70, "L": 26, "M": 40, "U": 30}.items():
        sheet.column_dimensions[column].width = width
    sheet.append([_cell(sheet, name, bold=True) for name in (*COLUMNS, "defused")])
    for row in rows:
        sheet.append([_cell(sheet, value) for value in _cells(row)])
    about = book.create_sheet("About")
    about.column_dimensions["A"].width = 110
    for line in _ABOUT:
        about.append([_cell(about, line)])
    book.save(file)


def _cell(sheet: Any, value: object, *, bold: bool = False) -> Any:
    if not isinstance(value, str):
        return value
    text = _UNPRINTABLE.sub("\ufffd", value)
    if len(text) > _CELL:
        text = text[: _CELL - len(_CUT)] + _CUT
    cell = WriteOnlyCell(sheet, value=text)
    cell.data_type = "s"  # never a formula
    cell.alignment = Alignment(vertical="top", wrap_text=len(text) > 40)
    if bold:
        cell.font = Font(bold=True)
    return cell


def _cells(row: Row) -> list[Any]:
    """The defused values of a row, and the names of the changed ones."""
    cells: list[Any] = []
    changed = []
    for name in COLUMNS:
        value = row[name]
        safe = defuse(value) if isinstance(value, str) else value
        if safe != value:
            changed.append(name)
        cells.append(safe)
    return [*cells, " ".join(changed)]
