"""Exports: complete, with changes named, and without formulas."""

from __future__ import annotations

import csv
import io
import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook

from services.review.domain import Decision, Document, DocumentName, Item, Span
from services.review.exports import COLUMNS, NO_ADVICE, Columns, Format, Result, write
from shared.sheet_files import defuse
from tests.unit.review.builders import ReviewService

NOW = datetime(2025, 1, 31, 9, tzinfo=UTC)
DANGEROUS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0", "＝1"]


def a_result(text: str = "the laws of Bavaria", name: str = "a.pdf", note: str = "") -> Result:
    item = Item(
        *("it_1", "default", "doc_1", 1, "clause", "extraction", "cl_1", "Governing Law", 0.4, NOW),
        text=text,
        start=3,
        end=9,
        verdict="correct",
        decision_id="de_1",
        decided_by="ada",
        decided=NOW,
    )
    document = Document("default", "doc_1", name, "contract")
    right = {"category": "Parties", "text": text, "start": 3, "end": 9, "page": 2}
    decision = Decision.of(
        item, document, "correct", actor="ada", time=NOW, correction=right, note=note
    )
    return Result(item, DocumentName(name), "decided", decision)


def with_value(text: str, *values: dict[str, Any]) -> Result:
    """An open clause that states these values."""
    first, *others = ({"role": None, "currency": None, **value} for value in values)
    item = Item(
        *("it_1", "default", "doc_1", 1, "clause", "extraction", "cl_1", "Parties", 0.43219, NOW),
        text=text,
        value={**first, "other_values": others},
    )
    return Result(item, DocumentName("a.pdf"), "waiting", None)


def exported(form: Format, *results: Result, columns: Columns = "all") -> bytes:
    return b"".join(write(results, form, columns))


def rows_of_csv(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def rows_of_xlsx(data: bytes) -> list[dict[str, Any]]:
    head, *rows = load_workbook(io.BytesIO(data))["Results"].iter_rows()
    return [{str(h.value): c for h, c in zip(head, row, strict=True)} for row in rows]


@pytest.mark.parametrize("text", DANGEROUS)
def test_no_cell_runs_as_a_formula(text: str) -> None:
    result = a_result(text, name=text, note=text)
    (line,) = rows_of_csv(exported("csv", result))
    assert line["text"] == defuse(text)
    assert line["text"].startswith("'")
    assert line["defused"] == "document text found_text note"
    (row,) = rows_of_xlsx(exported("xlsx", result))
    assert row["document"].data_type == "s"
    assert row["document"].value.startswith("'")
    assert row["defused"].value == "document text found_text note"
    assert json.loads(exported("jsonl", result))["text"] == text


@pytest.mark.parametrize(
    ("text", "harmless"),
    [
        (" =1+1", "' =1+1"),
        ("\u200b\ufeff=1+1", "'\u200b\ufeff=1+1"),
        ("\x00@SUM(A1)", "'\x00@SUM(A1)"),
        ("rent;=1+1", "rent;'=1+1"),
        ("rent; =cmd|' /C calc'!A0", "rent; '=cmd|' /C calc'!A0"),
        ("the rent\n=1+1\r\n@SUM(A1)\t-2+3", "the rent\n'=1+1\r\n'@SUM(A1)\t'-2+3"),
        ('rent;"=HYPERLINK(A1);rent', "rent;\"'=HYPERLINK(A1);rent"),
        ('rent;"\u200b" " =1+1\n"@SUM(A1)', 'rent;"\u200b" " \'=1+1\n"\'@SUM(A1)'),
        ("rent;-+cmd|' /C calc'!A0;--2", "rent;'-+cmd|' /C calc'!A0;'--2"),
        ("rent; - cmd|' /C calc'!A0\n- SUM(A1)", "rent; '- cmd|' /C calc'!A0\n'- SUM(A1)"),
        ('&cmd|A0;"b;-', "&cmd|A0;\"b;'-"),
        ("a list:\n- one\n- two; - three", "a list:\n- one\n- two; - three"),
        ("a line\n-----\n+ and more.", "a line\n-----\n+ and more."),
        ('the word "rent"; "lease" = rent', 'the word "rent"; "lease" = rent'),
        ("a < b; b >= c, 5-3; 4", "a < b; b >= c, 5-3; 4"),
    ],
)
def test_no_formula_begins_within_a_text(text: str, harmless: str) -> None:
    assert defuse(text) == harmless


def runs(cell: str) -> bool:
    seen = cell.lstrip(" \t\r\n\u200b")
    behind = seen.lstrip("+-")
    return seen.startswith(("=", "@")) or (seen != behind and behind[:1].strip() != "")


def that_run(text: str) -> list[str]:
    file = exported("csv", a_result(text)).decode()
    return [
        cell
        for delimiter in ";\t,"
        for row in csv.reader(io.StringIO(file, newline=""), delimiter=delimiter)
        for cell in row
        if runs(cell)
    ]


def test_no_short_text_runs_however_the_file_is_split() -> None:
    texts = ("".join(some) for length in range(5) for some in product('=;"\na@', repeat=length))
    assert [text for text in texts if that_run(text)] == []


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet='=+-@;,"\t\r\n \u200bab1', max_size=12))
def test_no_cell_runs_however_the_file_is_split(text: str) -> None:
    assert that_run(text) == []


def test_a_text_of_line_breaks_is_written_at_once() -> None:
    started = time.process_time()
    assert defuse("\n" * 60_000 + "x") == "'" + "\n" * 60_000 + "x"
    assert time.process_time() - started < 5


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=50))
def test_every_text_comes_back_from_csv(text: str) -> None:
    clean = text.replace("\x00", "").encode("utf-8", "replace").decode()
    (line,) = rows_of_csv(exported("csv", a_result(clean)))
    assert line["text"] == defuse(clean)


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=50))
def test_every_text_fits_into_a_workbook(text: str) -> None:
    (row,) = rows_of_xlsx(exported("xlsx", a_result(text)))
    assert row["verdict"].value == "correct"


def test_a_cell_that_is_too_long_says_that_it_was_cut() -> None:
    (row,) = rows_of_xlsx(exported("xlsx", a_result("x" * 40_000)))
    assert len(row["text"].value) == 32_767
    assert row["text"].value.endswith("(cut: a cell holds no more)")


def test_a_corrected_clause_has_both_results() -> None:
    (row,) = rows_of_xlsx(exported("xlsx", a_result()))
    assert (row["category"].value, row["found_category"].value) == ("Parties", "Governing Law")
    assert (row["page"].value, row["confidence"].value) == (2, 0.4)
    assert row["value"].value is None  # it belongs to the text before the correction
    assert tuple(row) == COLUMNS["all"]


@pytest.mark.parametrize(
    ("values", "value", "currency"),
    [
        ([{"kind": "date", "value": "2027-03-31"}], "2027-03-31", None),
        ([{"kind": "amount", "value": "400000", "currency": "USD"}], 400000, "USD"),
        ([{"kind": "amount", "value": "-0.5", "currency": "EUR"}], -0.5, "EUR"),
        ([{"kind": "jurisdiction", "value": "Delaware"}], "Delaware", None),
        (
            [{"kind": "party", "value": "Alpha Inc."}, {"kind": "party", "value": "Beta Ltd."}],
            "Alpha Inc.; Beta Ltd.",
            None,
        ),
        (
            [
                {"kind": "amount", "value": "1", "currency": "USD"},
                {"kind": "date", "value": "2027"},
            ],
            1,
            "USD",
        ),
        (
            [
                {"kind": "amount", "value": "5000", "currency": "USD"},
                {"kind": "amount", "value": "3000", "currency": "EUR"},
            ],
            "5000 USD; 3000 EUR",
            None,
        ),
        ([{"kind": "party", "value": None, "role": "Buyer"}], None, None),
    ],
)
def test_the_value_of_a_clause_has_its_own_column(
    values: list[dict[str, Any]], value: object, currency: str | None
) -> None:
    result = with_value("words", *values)
    (row,) = rows_of_xlsx(exported("xlsx", result, columns="short"))
    assert (row["value"].value, row["currency"].value) == (value, currency)
    (line,) = rows_of_csv(exported("csv", result, columns="short"))
    assert line["value"] == ("" if value is None else str(value))
    assert json.loads(exported("jsonl", result, columns="short"))["value"] == value


def test_a_corrected_value_takes_the_place_of_what_was_read() -> None:
    read = {"kind": "amount", "value": "400", "currency": "USD", "other_values": []}
    result = a_result("the fee", name="a.pdf", note="")
    item = replace(result.item, value=read)
    (line,) = rows_of_csv(exported("csv", replace(result, item=item), columns="short"))
    assert (line["value"], line["currency"]) == ("", "")
    assert result.decision is not None
    right = {**(result.decision.correction or {}), "value": "400000", "currency": "EUR"}
    corrected = replace(result, item=item, decision=replace(result.decision, correction=right))
    (line,) = rows_of_csv(exported("csv", corrected, columns="short"))
    assert (line["value"], line["currency"]) == ("400000", "EUR")


def test_a_clause_over_a_page_has_only_its_words() -> None:
    result = with_value("Utah\n\n7\n\nlaw", {"kind": "jurisdiction", "value": "Utah"})
    item = replace(result.item, start=5, end=15, omitted=(Span(start=9, end=12),))
    (row,) = rows_of_csv(exported("csv", replace(result, item=item)))
    assert (row["text"], row["found_text"]) == ("Utah law", result.item.text)


@pytest.mark.parametrize("columns", ["short", "all"])
def test_every_format_has_the_chosen_columns(columns: Columns) -> None:
    result, names = a_result(), COLUMNS[columns]
    (line,) = rows_of_csv(exported("csv", result, columns=columns))
    (row,) = rows_of_xlsx(exported("xlsx", result, columns=columns))
    shown = json.loads(exported("jsonl", result, columns=columns))
    assert tuple(line) == tuple(row) == names
    assert tuple(shown) == tuple(name for name in names if name != "defused")


def test_json_lines_of_all_columns_have_the_ledger_of_a_finding() -> None:
    ledger = {"rows": [], "sum": 7.0, "stated": 4.0, "difference": -3.0}
    item = Item(
        *("it_1", "default", "doc_1", 1, "finding", "triage", "fd_1", "income_sums", 0.9, NOW),
        text="'Gross profit' is 4, but 7 = 7: a difference of -3.",
        finding={"check": "income_sums", "ledger": ledger, "adds_up_if": []},
    )
    result = Result(item, DocumentName("a.pdf"), "waiting", None)
    assert json.loads(exported("jsonl", result))["ledger"] == ledger
    assert "ledger" not in json.loads(exported("jsonl", result, columns="short"))
    (line,) = rows_of_csv(exported("csv", result))
    assert "ledger" not in line


def test_a_confidence_has_three_digits() -> None:
    result = with_value("words", {"kind": "title", "value": "LEASE"})
    assert json.loads(exported("jsonl", result))["confidence"] == 0.432


def test_excel_reads_a_csv_as_utf_8() -> None:
    data = exported("csv", a_result("“Käufer”"))
    assert data.startswith(b"\xef\xbb\xbf")
    assert rows_of_csv(data)[0]["text"] == "“Käufer”"


def test_a_workbook_has_a_filter_on_every_column_and_a_fixed_head() -> None:
    file = io.BytesIO(exported("xlsx", a_result(), a_result(), columns="short"))
    sheet = load_workbook(file)["Results"]
    assert (sheet.auto_filter.ref, sheet.freeze_panes) == ("A1:P3", "A2")
    assert sheet["A1"].font.bold
    names = COLUMNS["short"]
    widths = {n: sheet.column_dimensions["ABCDEFGHIJKLMNOP"[i]].width for i, n in enumerate(names)}
    assert widths["text"] > widths["category"] > widths["page"]


def test_a_workbook_says_that_it_gives_no_advice() -> None:
    about = load_workbook(io.BytesIO(exported("xlsx", a_result())))["About"]
    lines = [str(row[0].value) for row in about.iter_rows()]
    assert NO_ADVICE in lines
    assert any("apostrophe" in line for line in lines)
    assert any(line.startswith("kind: clause, finding, signal (") for line in lines)


def test_an_export_has_every_result_unless_a_state_is_chosen(review: ReviewService) -> None:
    review.fill(650)
    review.decide(review.claim()["id"])
    client = review.client()
    answer = client.get("/v1/exports", params={"state": "decided"})
    (decided,) = map(json.loads, answer.text.splitlines())
    assert (decided["text"], decided["decided_by"]) == ("word0000", "ada")
    every = client.get("/v1/exports", params={"format": "csv"})
    assert len(rows_of_csv(every.content)) == 650
    assert every.headers["content-disposition"].endswith('.csv"')
    nothing = client.get("/v1/exports", params={"format": "xlsx", "document": "doc_2"})
    assert rows_of_xlsx(nothing.content) == []
