"""Exports of results with values and decisions, as JSONL, CSV or XLSX.

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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, Literal

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter

from services.review.domain import Decision, Item

Format = Literal["jsonl", "csv", "xlsx"]
Columns = Literal["short", "all"]
Row = Mapping[str, Any]

MEDIA_TYPES: dict[Format, str] = {
    "jsonl": "application/x-ndjson; charset=utf-8",
    "csv": "text/csv; charset=utf-8; header=present",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
EXAMPLES: dict[Format, str] = {
    "jsonl": '{"document": "supply-agreement.pdf", "kind": "clause", "state": "waiting", '
    '"verdict": null, "category": "Expiration Date", "text": "expires on March 31, 2027", '
    '"value": "2027-03-31", "currency": null, "page": 1, "confidence": 0.871, "reported": null, '
    '"expected": null, "note": "", "decided_by": null, "decided": null}\n',
    "csv": "document,kind,state,verdict,category,text,value,currency,page,confidence,reported,"
    "expected,note,decided_by,decided\r\nsupply-agreement.pdf,clause,waiting,,Expiration Date,"
    '"expires on March 31, 2027",2027-03-31,,1,0.871,,,,,\r\n',
    "xlsx": "(the bytes of the workbook)",
}
COLUMNS: dict[Columns, tuple[str, ...]] = {
    "short": (
        *("document", "kind", "state", "verdict", "category", "text", "value", "currency", "page"),
        *("confidence", "reported", "expected", "note", "decided_by", "decided"),
    )
}
COLUMNS["all"] = (
    *COLUMNS["short"],
    *("document_id", "start", "end", "found_category", "found_text", "found_start", "found_end"),
    *("filing", "statement", "row", "column", "item", "result", "decision", "defused"),
)
_WIDTHS = {"document": 32, "category": 26, "text": 70, "value": 26, "note": 40, "decided": 30}
_WIDTH = 14
_BYTE_ORDER_MARK = "\ufeff"
"""Excel reads CSV as UTF-8 only with it."""
NO_ADVICE = "smallprint gives no legal or audit advice."
_ABOUT = (
    "Results of smallprint and the decisions about them.",
    "kind: clause, finding, signal (an unusual ratio; category names it) or flag (a sentence about "
    "the company; category names its family).",
    "category, text and page (and start and end): the result after any correction.",
    "value: a date (ISO 8601), duration, amount (in currency), party, governing law or title that "
    "the text states; empty after a correction.",
    "state accepted: accepted automatically within the stated risk, without review.",
    "An export of all columns has more: found_… is the result before a correction, and start and "
    "end count characters from 0.",
    "Cells that look like formulas have an apostrophe (') in front, also inside a text after a "
    "semicolon, tab or line break. With all columns, defused names them. JSONL keeps the text "
    "unchanged.",
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
            **_value(None if right else item.value),
            "page": right.get("page", item.page),
            "start": right.get("start", item.start),
            "end": right.get("end", item.end),
            "confidence": round(item.confidence, 3),
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


def _value(clause_value: Mapping[str, Any] | None) -> dict[str, Any]:
    """The columns of a clause's value and of others of its kind. A single amount is a number."""
    found = [clause_value, *clause_value["other_values"]] if clause_value else []
    same = [one for one in found if one["kind"] == found[0]["kind"] and one["value"] is not None]
    if len(same) == 1 and same[0]["kind"] == "amount":
        return {"value": _number(same[0]["value"]), "currency": same[0]["currency"]}
    currency = same[0]["currency"] if same else None
    return {"value": "; ".join(one["value"] for one in same) or None, "currency": currency}


def _number(amount: str) -> int | float:
    number = float(amount)
    return int(number) if number.is_integer() else number


def defuse(text: str) -> str:
    """Return the text without possible formulas."""
    text = _WITHIN.sub(lambda found: found[1] + "'" * bool(found[2]), text)
    return "'" + text if _FORMULA.match(text) else text


def write(results: Iterable[Result], form: Format, columns: Columns = "short") -> Iterator[bytes]:
    """Yield the export in chunks, in bounded memory."""
    rows = (result.row() for result in results)
    return {"jsonl": _jsonl, "csv": _csv, "xlsx": _xlsx}[form](rows, COLUMNS[columns])


def _jsonl(rows: Iterable[Row], names: Sequence[str]) -> Iterator[bytes]:
    for row in rows:
        shown = {name: row[name] for name in names if name in row}
        yield json.dumps(shown, ensure_ascii=False).encode() + b"\n"


def _csv(rows: Iterable[Row], names: Sequence[str]) -> Iterator[bytes]:
    buffer = io.StringIO()
    buffer.write(_BYTE_ORDER_MARK)
    writer = csv.writer(buffer)
    writer.writerow(names)
    for row in rows:
        writer.writerow(_cells(row, names))
        if buffer.tell() > _CHUNK:
            yield _drain(buffer)
    yield _drain(buffer)


def _drain(buffer: io.StringIO) -> bytes:
    data = buffer.getvalue().encode("utf-8", "replace")
    buffer.seek(0)
    buffer.truncate()
    return data


def _xlsx(rows: Iterable[Row], names: Sequence[str]) -> Iterator[bytes]:
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
        _write_workbook(rows, names, file)
        file.seek(0)
        while chunk := file.read(_CHUNK):
            yield chunk


def _write_workbook(rows: Iterable[Row], names: Sequence[str], file: IO[bytes]) -> None:
    book = Workbook(write_only=True)
    sheet = book.create_sheet("Results")
    sheet.freeze_panes = "A2"
    for number, name in enumerate(names, 1):
        column = sheet.column_dimensions[get_column_letter(number)]
        column.width = _WIDTHS.get(name.removeprefix("found_"), _WIDTH)
    sheet.append([_cell(sheet, name, bold=True) for name in names])
    last = 1
    for last, row in enumerate(rows, 2):  # noqa: B007 (the last row of the filter)
        sheet.append([_cell(sheet, value) for value in _cells(row, names)])
    sheet.auto_filter.ref = f"A1:{get_column_letter(len(names))}{last}"
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


def _cells(row: Row, names: Sequence[str]) -> list[Any]:
    """The defused values of a row. `defused` names the changed ones."""
    cells = {name: defuse(cell) if isinstance(cell, str) else cell for name, cell in row.items()}
    cells["defused"] = " ".join(name for name in row if cells[name] != row[name])
    return [cells[name] for name in names]
