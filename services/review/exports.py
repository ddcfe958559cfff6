"""Results with what was decided about them, as JSONL, CSV or XLSX. The only door to openpyxl.

A cell that a spreadsheet would take for a formula (it begins with `=`, `+`, `-`, `@`, a tab or a
line break, if need be behind characters that nobody sees) gets an apostrophe in front. So does what
would begin a cell within the text where a spreadsheet splits it by another rule than ours: behind a
semicolon, a tab or a line break, also with quotation marks between, for a European Excel takes
semicolons and then our quotation marks protect nothing. The column `defused` names the cells that
were changed, so that nothing in a document runs on the reader's machine and no change goes unsaid.
JSONL has the text as it is.
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
COLUMNS = (
    *("document_id", "document", "kind", "state", "verdict", "category", "text", "page"),
    *("start", "end", "confidence", "found_category", "found_text", "found_start", "found_end"),
    *("filing", "statement", "row", "column", "reported", "expected"),
    *("note", "decided_by", "decided", "item", "result", "decision"),
)
NO_ADVICE = "smallprint gives no legal or audit advice."
_ABOUT = (
    "What a machine found in documents, and what a person decided about it.",
    "kind is clause, finding, signal (unusual though it adds up; category is the ratio) or flag (a "
    "sentence about the filer; category is its family).",
    "category, text, page, start and end are what holds: as found, or as corrected.",
    "state accepted: by the machine, sure enough for the stated risk; no person looked.",
    "found_… is what the machine found. start and end count characters, from 0, end exclusive.",
    "A cell that begins with = + - @ or a tab has an apostrophe (') in front, so that it can't run "
    "as a formula, and so has such a sign behind a semicolon, a tab or a line break, but for the "
    "dash before an item of a list; the column defused names such cells. JSONL has the text "
    "unchanged.",
    NO_ADVICE,
)
_UNSEEN = r"[\s\x00-\x1f\xa0\xad\u200b-\u200f\u2060\ufeff]"
_FORMULA = re.compile(rf"{_UNSEEN}*[=+\-@＝＋－＠]|[\t\r\n]")  # noqa: RUF001 (full-width forms too)
_LISTED = r"(?:[^\S\t\r\n]*[\r\n]|[^\S\t\r\n]+\w[^;\t\r\n(|!&\"]*(?:[;\r\n]|(?<=[\w.,])\Z))"
"""What stands behind a dash that is a line or begins an item of a list: nothing, or words that call
nothing and leave no formula open that the cells behind could end.
"""
_WITHIN = re.compile(
    rf"([;\t\r\n](?:{_UNSEEN}|\")*+)(?=([=@＝＠]|[+\-＋－]++(?!{_LISTED}))?)"  # noqa: RUF001
)
"""Where a cell could begin within a text, and the sign if a formula begins there. Written as CSV,
`foo;"=1` is `"foo;""=1"`: who splits at semicolons reads two quotation marks with nothing between
and then `=1`. Each character is looked at once, however many line breaks there are.
"""
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_CELL = 32_767
_CUT = " … (cut: a cell holds no more)"
_CHUNK = 64 * 1024
_IN_MEMORY = 4 * 1024 * 1024


@dataclass(frozen=True)
class Result:
    """One item with its document's name and the decision that stands, if there is one."""

    item: Item
    document_name: str
    state: str
    decision: Decision | None

    def row(self) -> dict[str, Any]:
        """The columns of one result."""
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
    """Text that no spreadsheet takes for a formula, however it splits the file into cells."""
    text = _WITHIN.sub(lambda found: found[1] + "'" * bool(found[2]), text)
    return "'" + text if _FORMULA.match(text) else text


def write(results: Iterable[Result], form: Format) -> Iterator[bytes]:
    """The export, piece by piece, in bounded memory."""
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
            yield _taken(buffer)
    yield _taken(buffer)


def _taken(buffer: io.StringIO) -> bytes:
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
    cell.data_type = "s"  # never a formula, whatever it looks like
    cell.alignment = Alignment(vertical="top", wrap_text=len(text) > 40)
    if bold:
        cell.font = Font(bold=True)
    return cell


def _cells(row: Row) -> list[Any]:
    """The values of a row, defused, and at its end the names of those that were."""
    cells: list[Any] = []
    changed = []
    for name in COLUMNS:
        value = row[name]
        safe = defuse(value) if isinstance(value, str) else value
        if safe != value:
            changed.append(name)
        cells.append(safe)
    return [*cells, " ".join(changed)]
