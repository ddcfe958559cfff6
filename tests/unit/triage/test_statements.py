"""How filings are read from JSON, JSON lines and CSV."""

from __future__ import annotations

import io
import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.triage.statements.model import (
    LONGEST_LABEL,
    LONGEST_REMEMBERED,
    BadFiling,
    Filing,
    cached_by_text,
    parse_date,
    parse_number,
    read_filings,
    report_type,
)
from shared.errors import EmptyDocument, UnreadableDocument, UnsupportedType
from tests.support import data_folder
from tests.unit.triage.filings import read, record

NDJSON, JSON, CSV = "application/x-ndjson", "application/json", "text/csv"

BALANCE = """\
"Example Corp - Balance Sheet (USD) In Millions",20231230,20221231
Current assets:,,
Cash,"1,234",1081
Loss carried,(12),—
"Basic earnings per share","2.31","2.01"
Weighted-average shares outstanding,514000000,513000000
"""


def filings(data: bytes, media_type: str, name: str = "") -> list[Filing | BadFiling]:
    return list(read_filings(data, media_type, name))


def tried(data: bytes, media_type: str) -> list[Filing | BadFiling]:
    try:
        return filings(data, media_type, "x")
    except UnreadableDocument as error:
        return [BadFiling("x", "the document", error.message)]


def test_what_was_read_can_be_read_again() -> None:
    first = read(record())
    assert read(first.to_json()) == first


def test_values_are_exact() -> None:
    body = json.dumps(record()).replace("2.31", "2.310000000001")
    (filing,) = filings(body.encode(), JSON)
    assert isinstance(filing, Filing)
    assert filing.statements[1].rows[9].values[0] == Decimal("2.310000000001")


def test_a_bad_line_is_named_and_the_others_go_on() -> None:
    good = json.dumps(record())
    lines = [good, "{broken", "[1, 2]", '{"id": "f4"}', '{"id": "f5", "statements": [1]}', good]
    found = filings("\n".join(lines).encode(), NDJSON, "batch.jsonl")
    assert [isinstance(f, Filing) for f in found] == [True, False, False, False, False, True]
    bad = [f for f in found if isinstance(f, BadFiling)]
    assert [b.where for b in bad] == ["line 2", "line 3", "line 4", "line 5"]
    assert [b.id for b in bad] == ["batch:2", "batch:3", "f4", "f5"]
    assert all(b.reason for b in bad)


@pytest.mark.parametrize("odd", ["\\u0000", "\\ud800", "\\udfff x"])
@pytest.mark.parametrize("place", ["id", "company", "statement", "label"])
def test_a_text_that_nothing_can_hold_costs_its_filing_alone(odd: str, place: str) -> None:
    filing = record()
    if place == "statement":
        filing["statements"][0]["statement"] = "@"
    elif place == "label":
        filing["statements"][0]["rows"][1]["label"] = "@"
    else:
        filing[place] = "@"
    good, bad = json.dumps(record()), json.dumps(filing).replace('"@"', f'"Cash{odd}"')
    first, second, third = filings(f"{good}\n{bad}\n{good}".encode(), NDJSON, "f.jsonl")
    assert isinstance(first, Filing)
    assert isinstance(third, Filing)
    assert isinstance(second, BadFiling)
    assert second.message.startswith("line 2: ")
    assert "at character 5" in second.message
    assert second.message.isprintable()
    second.id.encode()


def test_what_is_quoted_of_a_document_is_bounded() -> None:
    odd, broken = record(), record()
    odd["statements"][0]["statement"] = "x" * 1_000_000
    odd["statements"][0]["rows"][1]["values"] = ["n/a", "n/a"]
    broken["statements"][0] = {"statement": "x" * 1_000_000}
    one, two = filings(json.dumps([odd, broken]).encode(), JSON)
    assert isinstance(one, Filing)
    assert len(one.warnings) == 3
    assert all(len(warning) < 200 for warning in one.warnings)
    assert isinstance(two, BadFiling)
    assert len(two.message) < 200


def test_a_csv_with_a_nul_is_refused() -> None:
    with pytest.raises(UnreadableDocument, match="NUL at character 3"):
        filings(b"ab\0,2023\nCash,1\n", CSV)


def test_lines_are_read_one_at_a_time() -> None:
    class Watched(io.BytesIO):
        lines = 0

        def readline(self, size: int | None = -1, /) -> bytes:
            self.lines += 1
            return super().readline(size)

    stream = Watched((json.dumps(record()) + "\n").encode() * 3)
    reader = read_filings(stream, NDJSON)
    assert isinstance(next(reader), Filing)
    assert stream.lines == 1


@pytest.mark.parametrize(
    "body", ["NaN", "[NaN]", '{"a": Infinity}', "{", '{"a": 1e99999999999999999999}', "[" * 10**5]
)
def test_json_that_is_none_is_refused(body: str) -> None:
    assert not any(isinstance(f, Filing) for f in tried(body.encode(), JSON))


def test_a_value_that_is_no_amount_is_left_out_and_named() -> None:
    filing = record()
    filing["statements"][0]["rows"][1]["values"] = [True, "n/a"]
    filing["statements"][0]["rows"][2]["values"] = [1]
    filing["statements"][0]["rows"][3]["values"] = ["(1,043)", 10**30]
    found = read(filing)
    rows = found.statements[0].rows
    assert rows[1].values == rows[2].values == (None, None)
    assert rows[3].values == (Decimal(-1043), None)
    assert len(found.warnings) == 4
    label = repr(filing["statements"][0]["rows"][1]["label"])
    assert found.warnings[0] == f"balance_sheet row 2 column 1, {label}: not an amount, left out"
    assert found.warnings[1] == (
        f"balance_sheet row 2 column 2, {label}: 'n/a' is not an amount, left out"
    )
    label = repr(filing["statements"][0]["rows"][2]["label"])
    assert found.warnings[2].startswith(f"balance_sheet row 3, {label}: 1 values for ")


@pytest.mark.parametrize("digits", [30, 201, 5_000])
def test_a_number_with_too_many_digits_is_no_amount(digits: int) -> None:
    number = "9" * digits
    (of_csv,) = filings(f"Income,20231231\nSales,{number}\nCosts,({number})\n".encode(), CSV)
    given = {"columns": ["20231231"], "rows": [{"label": "Sales", "values": [0]}]}
    data = json.dumps({"statements": [given | {"statement": "income"}]}).replace(
        "[0]", f"[{number}]"
    )
    (of_json,) = filings(data.encode(), JSON)
    for filing in (of_csv, of_json):
        assert isinstance(filing, Filing)
        assert {value for row in filing.statements[0].rows for value in row.values} == {None}
        assert "not an amount" in filing.warnings[0]
        assert json.dumps(filing.to_json())


def test_a_label_is_cut() -> None:
    (filing,) = filings(f"Income,20231231\n{'x' * 5_000},1\n".encode(), CSV)
    assert isinstance(filing, Filing)
    assert len(filing.statements[0].rows[0].label) == LONGEST_LABEL
    long = record()
    long["statements"][0]["rows"][1]["label"] = "x" * 5_000
    assert len(read(long).statements[0].rows[1].label) == LONGEST_LABEL


def test_a_csv_statement_is_scaled_but_not_its_shares() -> None:
    (filing,) = filings(BALANCE.encode(), CSV, "balance.csv")
    assert isinstance(filing, Filing)
    (sheet,) = filing.statements
    assert (filing.id, filing.company, filing.period) == ("balance", "Example Corp", "20231230")
    assert sheet.statement == "balance_sheet"
    assert [c.end for c in sheet.columns] == ["20231230", "20221231"]
    assert sheet.rows[0].heading
    assert sheet.rows[1].values == (Decimal(1_234_000_000), Decimal(1_081_000_000))
    assert sheet.rows[2].values == (Decimal(-12_000_000), None)
    assert sheet.rows[3].values == (Decimal("2.31"), Decimal("2.01"))
    assert sheet.rows[4].values == (Decimal(514_000_000), Decimal(513_000_000))
    assert not filing.warnings


@pytest.mark.parametrize(
    ("cells", "values", "warned"),
    [
        ("1.210,50|300,00|(2.200)", ["1210.50", "300", "-2200"], False),
        ("1.210.000|900|-|10.900", ["1210000", "900", None, "10900"], False),
        ("1.210|700|2.205", ["1210", "700", "2205"], False),
        ("1.210|2.205|3.415", ["1.210", "2.205", "3.415"], True),
        ("1.211|700|2.205", ["1.211", "700", "2.205"], True),
        ("1.210|700|2.21", ["1.210", "700", "2.21"], False),
        ("1.210|700|0.505", ["1.210", "700", "0.505"], False),
        ("1,210|700|2.205", ["1210", "700", "2.205"], False),
        ("1,210|700|2,205", ["1210", "700", "2205"], False),
        ("1.210|700", ["1.210", "700"], False),
    ],
)  # fmt: skip
def test_decimal_commas_are_read_if_a_table_leaves_no_doubt(
    cells: str, values: list[str | None], warned: bool
) -> None:
    lines = [f"Line {number};{cell}" for number, cell in enumerate(cells.split("|"))]
    text = "\n".join(["Balance sheet;20231231", *lines, "Margin in percent;1.215"])
    (filing,) = filings(text.encode(), CSV)
    assert isinstance(filing, Filing)
    (statement,) = filing.statements
    shown = [row.values[0] for row in statement.rows[:-1]]
    assert shown == [None if value is None else Decimal(value) for value in values]
    assert ["decimal point" in warning for warning in filing.warnings] == [True] * warned


@pytest.mark.parametrize(
    "head", ["\nExample Corp - Income (USD) In Millions", "Income statement (USD) In Millions"]
)
def test_several_statements_may_stand_in_one_csv(head: str) -> None:
    body = BALANCE + f"{head},2023,2022\nNet sales,11853,11207\n"
    (filing,) = filings(body.replace(",", ";").replace('"1;234"', '"1,234"').encode(), CSV)
    assert isinstance(filing, Filing)
    assert [s.statement for s in filing.statements] == ["balance_sheet", "income"]


def test_years_among_the_amounts_begin_no_statement() -> None:
    body = BALANCE + "Debt due,2023,2024\n"
    (filing,) = filings(body.encode(), CSV)
    assert isinstance(filing, Filing)
    assert len(filing.statements) == 1


def test_a_csv_without_dates_is_refused() -> None:
    with pytest.raises(UnreadableDocument, match="no statement in this CSV"):
        filings(b"name,age\nada,36\n", CSV)


@pytest.mark.parametrize("media_type", ["application/pdf", "text/plain", "image/png"])
def test_what_is_not_read_says_what_is(media_type: str) -> None:
    with pytest.raises(UnsupportedType, match="not JSON, JSON lines or CSV"):
        read_filings(b"%PDF-1.7", media_type, "report.pdf")


@pytest.mark.parametrize("media_type", [JSON, NDJSON, CSV])
def test_an_empty_document_says_so(media_type: str) -> None:
    with pytest.raises(EmptyDocument):
        filings(b" \n", media_type)


def test_the_name_settles_plain_text() -> None:
    assert report_type("text/plain", "a.jsonl") == NDJSON
    assert report_type("text/plain; charset=utf-8", "a.CSV") == CSV
    assert report_type("application/json", "a.txt") == JSON
    assert report_type("text/plain", "contract.txt") is None


@pytest.mark.parametrize(
    ("cell", "amount"),
    [
        ("1,234", "1234"), ("(1,234)", "-1234"), ("$ (12.5)", "-12.5"), ("\u22123", "-3"),
        ("12-", "-12"), ("7 (1)", "7"), ("4.8e-07", "4.8e-07"), ("38%", "38"), ("-", None),
        ("n/a", None), ("12,34", None), ("", None), ("1.2.3", None), ("--5", "-5"),
        ("$(12)", "-12"), ("$ (12)", "-12"), ("$ 12 (1)", "12"),
    ],
)  # fmt: skip
def test_amounts_are_read_as_pages_print_them(cell: str, amount: str | None) -> None:
    assert parse_number(cell) == (None if amount is None else Decimal(amount))


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("20231231", "20231231"), ("2023-12-31", "20231231"), ("Dec. 31, 2023", "20231231"),
        ("31 December 2023", "20231231"), ("2023", "20231231"), ("FY 2023", "20231231"),
        ("12 Months Ended Dec. 31, 2023", "20231231"), ("1265012", None), ("99999999", None),
        ("Total", None), ("", None),
    ],
)  # fmt: skip
def test_dates_are_read_as_pages_print_them(text: str, date: str | None) -> None:
    assert parse_date(text) == date


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([JSON, NDJSON, CSV]))
def test_no_bytes_break_the_reader(data: bytes, media_type: str) -> None:
    found = tried(data, media_type)
    assert all(f.message if isinstance(f, BadFiling) else f.id for f in found)


@pytest.mark.needs("real data")
def test_the_real_csv_files_are_read_cell_by_cell() -> None:
    folder = data_folder("finance")
    truth = {}
    with (folder / "statements.jsonl").open() as lines:
        for line in lines:
            statement = json.loads(line)
            truth[statement["id"]] = statement
    cells = right = files = 0
    for line in (folder / "raw_manifest.jsonl").read_text().splitlines():
        entry = json.loads(line)
        path = folder / entry["file"]
        if path.suffix != ".csv":
            continue
        (filing,) = filings(path.read_bytes(), CSV, path.name)
        assert isinstance(filing, Filing)
        expected = truth[entry["same_filing_statement_ids"][0]]
        (statement,) = filing.statements
        assert statement.statement == expected["statement"]
        assert [c.end for c in statement.columns] == [c["end"] for c in expected["columns"]]
        files += 1
        for row, wanted in zip(statement.rows, expected["rows"], strict=True):
            for value, other in zip(row.values, wanted["values"], strict=True):
                cells += 1
                same = value is None if other is None else float(value or 0) == pytest.approx(other)
                right += same
    assert files == 36
    assert right / cells > 0.995, f"{right} of {cells}"


def test_long_words_are_not_kept_for_later() -> None:
    asked: list[str] = []

    @cached_by_text
    def length(words: str) -> int:
        asked.append(words)
        return len(words)

    long = "x" * (LONGEST_REMEMBERED + 1)
    assert [length(words) for words in ("Cash", long, "Cash", long)] == [4, 301, 4, 301]
    assert asked == ["Cash", long, long]


@pytest.mark.parametrize("given", [{"id": "a"}, {"id": "a", "statements": []}])
def test_a_line_without_statements_is_refused(given: dict[str, object]) -> None:
    (bad,) = filings(json.dumps(given).encode(), NDJSON)
    assert isinstance(bad, BadFiling)
    assert bad.reason == (
        "`statements` is missing: a filing has `id`, `company` and `statements`, a list of objects "
        "with `statement`, `columns` and `rows`"
    )
