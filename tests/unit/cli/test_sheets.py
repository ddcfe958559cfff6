"""`--csv` and `--xlsx`: results as rows that a spreadsheet opens."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from services.cli.output import sheets
from services.cli.output.lines import OutputWriter
from services.cli.output.statement_sheets import statement_tables
from shared.sheet_files import workbook
from tests.unit.cli.builders import Run, invoke, put_suite
from tests.unit.cli.test_remote import CLAUSE, Suite

FORMULA = "=HYPERLINK(1)"
CLAUSE_FOUND = {"category": "Parties", "text": FORMULA, "value": None, "confidence": 0.12345678}
CLAUSES: dict[str, Any] = {
    "source": "a.eml",
    "clauses": [],
    "parts": [
        {"source": "b.pdf", "clauses": [CLAUSE_FOUND]},
        {"source": "c.pdf", "error": {"type": "empty_document", "detail": "no bytes"}},
    ],
}
FINDING = {"check": "balance_equation", "message": "off by 9", "statement": "balance_sheet"}
OPEN = {"check": "cash_agrees", "message": "off by 8", "statement": "cash_flow"}
COVERAGE: dict[str, Any] = {"summary": "Balance sheet only.", "items": []}
SOUND: dict[str, Any] = {
    "id": "y",
    "flagged": False,
    "risk": 0.1,
    "checked": True,
    "findings": [],
    "coverage": COVERAGE,
}
FILING: dict[str, Any] = {**SOUND, "id": "x", "flagged": True, "risk": 0.9, "findings": [FINDING]}
STATEMENT = {
    "statement": "income",
    "columns": [{"end": "20231231", "quarters": 4}, {"end": "20221231", "quarters": 4}],
    "rows": [{"label": "Sales", "values": [10, None]}, {"label": "Costs", "values": [-4, -3]}],
}


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


def test_parts_are_rows_and_formulas_are_defused(capsysbinary: Any) -> None:
    sheet = sheets.results_sheet("csv", as_json=False)
    lines = OutputWriter(as_json=False, table=lambda _line: (), sheet=sheet)
    lines.result(CLAUSES)
    lines.result({"source": "d.pdf", "error": {"type": "x", "detail": "not readable"}})
    lines.write_sheet()
    out, err = capsysbinary.readouterr()
    (row,) = rows_of(out.decode())
    assert (row["document"], row["category"], row["text"]) == ("b.pdf", "Parties", f"'{FORMULA}")
    assert row["confidence"] == "0.123"
    assert b"not readable" in err


def test_a_clause_over_a_page_has_only_its_words() -> None:
    over = {"category": "Law", "text": "Utah\n\n7\n\nlaw", "start": 5, "value": None}
    over["omitted"] = [{"start": 9, "end": 12}, {"start": 12, "end": 13}]
    assert [row["text"] for row in sheets.clauses({"source": "a", "clauses": [over]})] == [
        "Utah law"
    ]


def test_clauses_and_findings_are_rows_of_one_table() -> None:
    report = {"source": "b.pdf", "filings": [FILING]}
    sheet = sheets.results_sheet("csv", as_json=False)
    assert sheet is not None
    assert not set(sheet.columns) & set(sheet.optional)
    line = {**CLAUSES, "parts": [CLAUSES["parts"][0], report]}
    shown = [(row.get("category"), row.get("check")) for row in sheet.rows(line)]
    assert shown == [("Parties", None), (None, "balance_equation")]


def test_every_report_has_a_row_also_without_findings() -> None:
    line = {"source": "a.jsonl", "filings": [FILING, SOUND]}
    found = [(row["filing"], row.get("check")) for row in sheets.findings(line)]
    assert found == [("x", "balance_equation"), ("y", None)]


def test_what_does_not_close_and_what_was_checked_is_in_the_rows() -> None:
    unclear = {**FILING, "coverage": {**COVERAGE, "items": [OPEN]}}
    nothing = {**SOUND, "checked": False}
    rows = list(sheets.findings({"source": "a.jsonl", "filings": [unclear, nothing]}))
    shown = [(row["filing"], row.get("outcome"), row.get("message")) for row in rows]
    assert shown == [
        ("x", "finding", "off by 9"),
        ("x", "does not close", "off by 8"),
        ("y", None, None),
    ]
    assert [row["checked"] for row in rows] == [True, True, False]
    assert {row["coverage"] for row in rows} == {"Balance sheet only."}
    assert {*rows[1]} <= {*sheets.FINDINGS}


def test_every_value_of_a_statement_is_a_row() -> None:
    about = {"source": "a.htm", "company": "Acme", "form": "10-K", "period": "20231231"}
    found = sheets.statements({**about, "statements": [STATEMENT]})
    shown = [(row["label"], row["end"], row["value"]) for row in found]
    assert shown == [
        ("Sales", "20231231", 10),
        ("Costs", "20231231", -4),
        ("Costs", "20221231", -3),
    ]


EQUITY: dict[str, Any] = {
    "statement": "equity",
    "title": "=Equity",
    "columns": [{"component": "Common stock"}, {"component": "Total"}],
    "rows": [
        {"label": "Net income", "values": [0, 7], "period": {"end": "20231231", "quarters": 4}}
    ],
}
REPORT: dict[str, Any] = {"company": "Acme", "form": "10-K", "period": "20231231"}
REPORT["statements"] = [
    {
        "statement": "income",
        "columns": [{"end": "20231231", "quarters": 4}, {"end": "20221231", "quarters": 4}],
        "rows": [
            {"label": "Sales", "values": [12_345_600, None], "concept": {"name": "Revenues"}},
            {"label": "Earnings per share", "values": [2.5, 1.25]},
        ],
    },
    {
        "statement": "balance_sheet",
        "title": "Balance sheets",
        "columns": [{"end": "20231231"}],
        "rows": [{"label": "Assets:", "values": [None]}, {"label": "Cash", "values": [-3_000]}],
    },
    EQUITY,
]
DAY = datetime(2023, 12, 31)  # noqa: DTZ001 - a workbook has no zones


@pytest.mark.parametrize(
    ("scale", "name", "rows"),
    [
        ("units", "Income statement", [
            ["Acme", "10-K", DAY, None], ["Income statement", None, None, None],
            [None, "12 months ended", "12 months ended", None],
            [None, DAY, datetime(2022, 12, 31), "concept"],  # noqa: DTZ001
            ["Sales", 12_345_600, None, "Revenues"], ["Earnings per share", 2.5, 1.25, None]]),
        ("thousands", "Income statement 2", [
            ["b.htm", None, None, None], ["Income statement (in thousands)", None, None, None],
            [None, "12 months ended", "12 months ended", None],
            [None, DAY, datetime(2022, 12, 31), "concept"],  # noqa: DTZ001
            ["Sales", 12_345.6, None, "Revenues"], ["Earnings per share", 2.5, 1.25, None]]),
        ("units", "Balance sheet", [
            ["Acme", "10-K", DAY], ["Balance sheets", None, None], [None, DAY, "concept"],
            ["Assets:", None, None], ["Cash", -3_000, None]]),
        ("units", "Equity", [
            ["Acme", "10-K", DAY, None, None], ["'=Equity", None, None, None, None],
            [None, None, "Common stock", "Total", "concept"],
            ["Net income", "year to 2023-12-31", 0, 7, None]]),
    ],
)  # fmt: skip
def test_each_statement_is_a_sheet_of_a_workbook(scale: str, name: str, rows: list[Any]) -> None:
    unnamed = {**REPORT, "source": "b.htm", "company": None, "form": None, "period": None}
    filings = [{**REPORT, "source": "a.htm"}, unnamed]
    book = b"".join(workbook(statement_tables(filings, scale), ["about"]))
    sheet = openpyxl.load_workbook(io.BytesIO(book))[name]
    assert [[*row] for row in sheet.values] == rows
    formats: dict[Any, str] = {cell.value: cell.number_format for row in sheet.rows for cell in row}
    for value, shown in {DAY: "yyyy-mm-dd", 12_345_600: "#,##0", 2.5: "#,##0.00"}.items():
        assert formats.get(value, shown) == shown


def test_a_workbook_of_statements_from_the_command(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({**REPORT, "id": "x"}), "utf-8")
    done = invoke("statements", path, "--xlsx", "--scale", "thousands")
    book = openpyxl.load_workbook(io.BytesIO(done.stdout_bytes))
    assert book.sheetnames[:2] == ["Income statement", "Balance sheet"]
    assert book["Balance sheet"]["B5"].value == -3


@pytest.mark.parametrize("command", ["search law", "reports"])
def test_a_workbook_of_a_suites_answers(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put_suite(monkeypatch, Suite())
    done = invoke(*command.split(), "--xlsx")
    table = list(openpyxl.load_workbook(io.BytesIO(done.stdout_bytes))["Results"].values)
    shown = dict(zip(table[0], table[2], strict=True))
    assert shown["document_id"] == ("doc_1" if command == "search law" else "doc_2")
    assert shown["document"] == ("lease.pdf" if command == "search law" else "10-k \ufffd[31m2.pdf")
    assert shown.get("category", CLAUSE["category"]) == CLAUSE["category"]


def test_a_file_of_a_real_report(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"id": "x", "statements": [STATEMENT]}), "utf-8")
    _, out, _ = run("triage", path, "--csv")
    assert [row["filing"] for row in rows_of(out)] == ["x"]
    code, _, err = run("triage", path, "--csv", "--json")
    assert (code, "--csv" in err) == (64, True)
