"""Exports of results with values and decisions, as JSONL, CSV or XLSX.

Formulas are defused (shared/sheet_files.py). The column `defused` names the changed cells. JSONL
keeps the text unchanged.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from services.review.domain import Decision, DocumentName, Item
from shared.sheet_files import csv_file, xlsx_file

Format = Literal["jsonl", "csv", "xlsx"]
Columns = Literal["short", "all"]
Row = Mapping[str, Any]

MEDIA_TYPES: dict[Format, str] = {
    "jsonl": "application/x-ndjson; charset=utf-8",
    "csv": "text/csv; charset=utf-8; header=present",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
EXAMPLES: dict[Format, str] = {
    "jsonl": '{"document": "supply-agreement.pdf", "title": "Supply Agreement · Alder / Birch", '
    '"kind": "clause", "state": "waiting", '
    '"verdict": null, "category": "Expiration Date", "text": "expires on March 31, 2027", '
    '"value": "2027-03-31", "currency": null, "page": 1, "confidence": 0.871, "reported": null, '
    '"expected": null, "note": "", "decided_by": null, "decided": null}\n',
    "csv": "document,title,kind,state,verdict,category,text,value,currency,page,confidence,"
    "reported,expected,note,decided_by,decided\r\nsupply-agreement.pdf,"
    "Supply Agreement · Alder / Birch,clause,waiting,,Expiration Date,"
    '"expires on March 31, 2027",2027-03-31,,1,0.871,,,,,\r\n',
    "xlsx": "(the bytes of the workbook)",
}
COLUMNS: dict[Columns, tuple[str, ...]] = {
    "short": (
        *(
            "document",
            "title",
            "kind",
            "state",
            "verdict",
            "category",
            "text",
            "value",
            "currency",
            "page",
        ),
        *("confidence", "reported", "expected", "note", "decided_by", "decided"),
    )
}
EXPLANATION = ("ledger", "adds_up_if", "likely_cause", "supports", "doubts")
"""Fields of a finding that JSONL has with all columns. In a sheet, `text` has them in words."""
COLUMNS["all"] = (
    *COLUMNS["short"],
    *(
        "document_id",
        "parties",
        "start",
        "end",
        "found_category",
        "found_text",
        "found_start",
        "found_end",
    ),
    *("filing", "statement", "row", "column", "item", "result", "decision", "defused"),
    "origin",
)
_WIDTHS = {
    "document": 32,
    "title": 50,
    "category": 26,
    "text": 70,
    "value": 26,
    "note": 40,
    "decided": 30,
}
NO_ADVICE = "smallprint gives no legal or audit advice."
_ABOUT = (
    "Results of smallprint and the decisions about them.",
    "document: the file; title: what people call it, from its text.",
    "kind: clause, finding, signal (an unusual ratio; category names it), flag (a sentence about "
    "the company; category names its family) or absence (see below).",
    "category, text and page (and start and end): the result after any correction.",
    "value: a date (ISO 8601), duration, amount (in currency), party, governing law or title that "
    "the text states, or a person does. Empty after another correction.",
    "state accepted: accepted automatically within the stated risk, without review.",
    "kind absence: a person confirmed that the document has no clause of the category.",
    "An export of all columns has more: found_… is the result before a correction, and start and "
    "end count characters from 0. origin is person if a person added the clause or the absence.",
    "Cells that look like formulas have an apostrophe (') in front, also inside a text after a "
    "semicolon, tab or line break. With all columns, defused names them. JSONL keeps the text "
    "unchanged.",
    NO_ADVICE,
)


@dataclass(frozen=True)
class Result:
    """An item as its reader sees it, with the names of its document and its decision, if any."""

    item: Item
    document: DocumentName
    state: str
    decision: Decision | None

    def row(self) -> dict[str, Any]:
        item, decision = self.item, self.decision
        right = dict(decision.correction or {}) if decision else {}
        finding = item.finding or {}
        return {
            "document_id": item.document_id,
            "document": self.document.name,
            "title": self.document.title,
            "parties": "; ".join(self.document.parties) or None,
            "kind": item.kind,
            "state": self.state,
            "verdict": item.verdict,
            "category": right.get("category", item.category),
            "text": right.get("text", item.own_words),
            **_value(_stated(item, right) if right else item.value),
            "page": right.get("page", item.page),
            "start": right.get("start", item.start),
            "end": right.get("end", item.end),
            "confidence": None if item.origin == "person" else round(item.confidence, 3),
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
            "origin": item.origin,
            **{name: finding[name] for name in EXPLANATION if name in finding},
        }


def _stated(item: Item, right: Mapping[str, Any]) -> dict[str, Any] | None:
    """The value that a person stated in a correction, and the others of the same words."""
    if item.value is None or "value" not in right:
        return None
    is_moved = (right["start"], right["end"]) != (item.start, item.end)
    others = [] if is_moved else item.value["other_values"]
    stated = {name: right[name] for name in ("value", "currency")}
    return {"kind": item.value["kind"], "other_values": others, **stated}


def _value(clause_value: Mapping[str, Any] | None) -> dict[str, Any]:
    """The columns of a clause's value and of others of its kind. A single amount is a number."""
    found = [clause_value, *clause_value["other_values"]] if clause_value else []
    same = [one for one in found if one["kind"] == found[0]["kind"] and one["value"] is not None]
    if len(same) == 1 and same[0]["kind"] == "amount":
        return {"value": _number(same[0]["value"]), "currency": same[0]["currency"]}
    currencies = {one["currency"] for one in same}
    if len(currencies) > 1:
        values = [f"{one['value']} {one['currency'] or ''}".strip() for one in same]
        return {"value": "; ".join(values), "currency": None}
    return {
        "value": "; ".join(one["value"] for one in same) or None,
        "currency": currencies.pop() if currencies else None,
    }


def _number(amount: str) -> int | float:
    number = float(amount)
    return int(number) if number.is_integer() else number


def write(results: Iterable[Result], form: Format, columns: Columns = "short") -> Iterator[bytes]:
    """Yield the export in chunks, in bounded memory."""
    rows = (result.row() for result in results)
    names = COLUMNS[columns]
    if form == "xlsx":
        widths = _WIDTHS | {f"found_{name}": width for name, width in _WIDTHS.items()}
        return xlsx_file(rows, names, widths=widths, about=_ABOUT)
    if form == "csv":
        return csv_file(rows, names)
    return _jsonl(rows, (*names, *EXPLANATION) if columns == "all" else names)


def _jsonl(rows: Iterable[Row], names: Sequence[str]) -> Iterator[bytes]:
    for row in rows:
        shown = {name: row[name] for name in names if name in row}
        yield json.dumps(shown, ensure_ascii=False).encode() + b"\n"
