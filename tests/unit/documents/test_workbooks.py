"""Workbooks: what a person sees in them is read, with its cells; hostile ones end clearly."""

from __future__ import annotations

import csv
import io
import math
import zipfile
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook

from shared.documents import Limits, read, sniff
from shared.documents.model.formats import ODS, XLS, XLSX
from shared.documents.sandbox import Reader
from shared.documents.spreadsheets.number_formats import number_format
from shared.errors import (
    DocumentTooLarge,
    EmptyDocument,
    UnreadableDocument,
    UnsupportedType,
)
from tests.unit.documents.archives import archive, changed
from tests.unit.documents.books import (
    STRICT,
    book,
    number,
    relation,
    relations,
    row,
    shared,
    sheet,
    text,
)
from tests.unit.documents.ends import all_cells, named, shown
from tests.unit.documents.samples import FOLDER

SHEETS = FOLDER / "sheets"
MEMORY = 1_000_000_000
BALANCE = """Acme Corp. balance sheet (in thousands)
\t2023-12-31\t2022-12-31
Cash\t600\t500
Debtors\t1,401\t1,300
Overdraft\t(101)\t(90)

Total\t1,900\t1,710
Change\t11.1%
Balanced\tTRUE
Broken\t#DIV/0!"""


def sample(name: str) -> bytes:
    return (SHEETS / name).read_bytes()


def test_a_workbook_of_libreoffice_reads_as_it_is_shown() -> None:
    reading = read(sample("balance.xlsx"), name="balance.xlsx")
    sheets = shown(reading)
    assert [page.name for page in reading.pages] == ["Balance", "Bob's notes", "Workings", "Empty"]
    assert sheets[0] == BALANCE
    assert sheets[1].splitlines()[2] == "2024-02-29 13:30:00\t09:05:07\t30:15:00\t'quoted\t0012"
    assert sheets[2:] == ["a hidden sheet\t42", ""]
    assert (reading.media_type, reading.page_count) == (XLSX, 4)
    assert reading.metadata == {"title": "Balance of Acme", "author": "An accountant"}


def test_a_cell_is_found_by_its_name_with_the_number_behind_it() -> None:
    reading = read(sample("balance.xlsx"))
    start = reading.text.index("(101)")
    [found] = reading.cells_of(start, start + 1)
    assert (reading.name_of(found), found.value) == ("Balance!B5", -100.75)
    names = named(reading)
    assert names["Balance!A1:C1"].startswith("Acme Corp.")
    assert names["Balance!B8"] == "11.1%"
    assert names["'Bob''s notes'!A8"] == "TRUE"
    assert reading.page_at(reading.text.index("hidden sheet")) == 3


def test_hidden_parts_are_read_with_a_warning() -> None:
    warnings = read(sample("balance.xlsx")).warnings
    assert warnings == (
        "Balance: 1 hidden row read as well",
        "Balance: 1 hidden column read as well",
        "the sheet Workings is hidden: it was read as well",
    )


def test_formulas_without_a_stored_value_are_warnings() -> None:
    reading = read(sample("uncalculated.xlsx"))
    assert "Balance!B7" not in named(reading)
    assert any(
        "Balance: 5 formulas without a stored value (B7, C7, B8, …)" in warning
        for warning in reading.warnings
    )


def test_numbers_are_shown_as_libreoffice_shows_them() -> None:
    compared = 0
    with (SHEETS / "formats.csv").open(newline="", encoding="utf-8") as file:
        for raw, shown, code in csv.reader(file):
            value = float(raw)
            wanted = " ".join(shown.split()) or f"{value:.15g}"
            assert number_format(code).show(value) == wanted, (code, raw)
            compared += 1
    assert compared > 400


@pytest.mark.parametrize(
    ("value", "code", "shown"),
    [
        (44_926.75, "m/d/yy h:mm", "2022-12-31 18:00:00"),
        (1, "yyyy", "1900-01-01"),
        (59, "d", "1900-02-28"),
        (61, "d", "1900-03-01"),
        (-5, "yyyy-mm-dd", "-5"),
        (3e9, "yyyy-mm-dd", "3000000000"),
        (0.999999999, "h:mm", "00:00:00"),
        (-1.5, "[h]:mm", "-36:00:00"),
        (0.5, "# ?/?", "0.5"),
        (7, "", "7"),
        (5, '"unclosed', "unclosed"),
        (5, "[$-409", "5"),
        (5, "[>x]0", "5"),
        (5, "0.0.0", "5"),
        (1234.5, "[=1234.5]0.00", "1234.50"),
    ],
)
def test_dates_and_odd_formats(value: float, code: str, shown: str) -> None:
    """Dates are ISO in any format; unsupported formats give the plain number."""
    assert number_format(code).show(value) == shown


@settings(max_examples=200, deadline=None)
@given(st.floats(), st.text(alphabet='0#?,.%E+-@"\\_*[]<>=;()$ymdhs/ ', max_size=30))
def test_any_format_shows_any_number(value: float, code: str) -> None:
    assert number_format(code).show(value)


def test_dates_count_from_1904_where_the_workbook_says_so() -> None:
    styles = '<styleSheet><cellXfs><xf numFmtId="14"/></cellXfs></styleSheet>'
    workbook = book(sheet(row(1, number("A1", 43_464))), others={"xl/styles.xml": styles})
    assert read(workbook).text == "2018-12-30"
    listed = zipfile.ZipFile(io.BytesIO(workbook)).read("xl/workbook.xml")
    old = listed.replace(b"<sheets>", b'<workbookPr date1904="1"/><sheets>')
    assert read(changed(workbook, "xl/workbook.xml", old)).text == "2022-12-31"


def test_text_in_runs_is_whole_and_without_its_pronunciation() -> None:
    strings = (
        "<sst><si><r><t>Total </t></r><r><t>assets</t></r></si>"
        "<si><t>東京</t><rPh sb='0' eb='2'><t>トウキョウ</t></rPh></si>"
        "<si><t>a_x000D__x0041_</t></si></sst>"
    )
    workbook = book(
        sheet(row(1, shared("A1", 0), shared("B1", 1), shared("C1", 2))),
        others={"xl/sharedStrings.xml": strings},
    )
    assert read(workbook).text == "Total assets\t東京\ta A"


def test_cells_without_addresses_follow_one_another() -> None:
    rows = "<row><c><v>1</v></c><c><v>2</v></c></row>"
    rows += '<row r="4.0"><c r="B4"><v>3</v></c><c><v>4</v></c></row>'
    assert named(read(book(sheet(rows)))) == {
        "'S1'!A1": "1",
        "'S1'!B1": "2",
        "'S1'!B4": "3",
        "'S1'!C4": "4",
    }


def test_the_strict_form_of_the_standard_is_read() -> None:
    workbook = book(sheet(row(1, text("A1", "strict")), ns=STRICT), ns=STRICT)
    assert read(workbook).text == "strict"


def test_gaps_are_kept_short() -> None:
    rows = row(1, text("A1", "a"), text("D1", "b")) + row(9, text("XFD9", "c"))
    reading = read(book(sheet(rows + row(1_048_576, text("A1048576", "d")))))
    assert reading.text == "a\t\t\tb\n\n\tc\n\nd"
    assert list(named(reading)) == ["'S1'!A1", "'S1'!D1", "'S1'!XFD9", "'S1'!A1048576"]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.lists(
            st.one_of(
                st.none(),
                st.integers(-(10**9), 10**9),
                st.floats(allow_nan=False, allow_infinity=False),
                st.text(
                    st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc"]), max_size=9
                ),
                st.booleans(),
            ),
            max_size=4,
        ),
        max_size=4,
    )
)
def test_every_value_that_openpyxl_writes_is_read(rows: list[list[Any]]) -> None:
    written = Workbook()
    sheet = written.active
    assert sheet is not None
    for index, values in enumerate(rows, 1):
        for column, value in enumerate(values, 1):
            if not (isinstance(value, str) and value.startswith("=")):
                sheet.cell(index, column, value)
    out = io.BytesIO()
    written.save(out)
    expected = {
        cell.coordinate: cell.value
        for cells in load_workbook(io.BytesIO(out.getvalue()))["Sheet"].iter_rows()
        for cell in cells
        if cell.value is not None and str(cell.value).strip()
    }
    if not expected:
        with pytest.raises(EmptyDocument):
            read(out.getvalue())
        return
    reading = read(out.getvalue())
    cells = {cell.address: cell for cell in all_cells(reading)}
    assert set(cells) == set(expected)
    for address, cell in cells.items():
        value, shown = expected[address], reading.text[cell.start : cell.end]
        if isinstance(value, bool):
            assert shown == str(value).upper()
        elif isinstance(value, int | float):
            assert cell.value == value
            assert math.isclose(float(shown), value, rel_tol=1e-14)
        else:
            assert shown.split() == str(value).split()


@pytest.mark.parametrize(("name", "media_type"), [("balance.xls", XLS), ("balance.ods", ODS)])
def test_other_workbooks_are_read_by_their_values(name: str, media_type: str) -> None:
    reading, newer = read(sample(name), name="any.txt"), read(sample("balance.xlsx"))
    assert reading.media_type == media_type
    assert [page.name for page in reading.pages] == [page.name for page in newer.pages]
    found, wanted = named(reading), named(newer)
    if name.endswith(".ods"):  # merged cells can't be detected, durations and booleans are values
        found = {{"Balance!A1": "Balance!A1:C1"}.get(key, key): text for key, text in found.items()}
        wanted |= {"Balance!B9": "1", "'Bob''s notes'!A8": "1", "'Bob''s notes'!C6": "PT30H15M00S"}
    shown = {key: text for key, text in wanted.items() if text != "#DIV/0!"}
    assert set(found) == set(shown)
    for texts in (found, shown):  # one of them has lost its tab, which is LibreOffice's doing
        assert texts.pop("'Bob''s notes'!B3").startswith("A note with a line break")
    numbers = {"Balance!B3", "Balance!B4", "Balance!C4", "Balance!B5", "Balance!C5", "Balance!B7"}
    numbers |= {"Balance!C7", "Balance!B8"}
    assert {key: found[key] for key in set(found) - numbers} == {
        key: shown[key] for key in set(shown) - numbers
    }
    assert (found["Balance!B5"], found["Balance!B8"][:6]) == ("-100.75", "0.1111")
    of_name, of_numbers, of_sheet = reading.warnings
    assert of_name.startswith("the name ends with .txt, but the content is ")
    assert "numbers are shown without their formats" in of_numbers
    assert of_sheet == "the sheet Workings is hidden: it was read as well"


@pytest.mark.parametrize("name", ["balance.xls", "balance.ods"])
def test_limits_of_other_workbooks(name: str) -> None:
    workbook = sample(name)
    with pytest.raises(DocumentTooLarge, match="4 sheets: the limit is 3"):
        read(workbook, limits=Limits(max_pages=3))
    with pytest.raises(DocumentTooLarge, match="more than 50 characters"):
        read(workbook, limits=Limits(max_plain_text=50))


def test_a_binary_workbook_says_what_to_do() -> None:
    workbook = archive({"[Content_Types].xml": b"<Types/>", "xl/workbook.bin": b"\x83\x01\x00"})
    with pytest.raises(UnsupportedType, match=r"XLSB.*save it as XLSX"):
        read(workbook, name="a.xlsx")


def test_a_damaged_sheet_fails_alone() -> None:
    workbook = book(
        sheet(row(1, text("A1", "good"))),
        "<worksheet><sheetData><row>",
        sheet(row(1, text("B1", "too"))),
    )
    reading = read(workbook)
    assert reading.text == "good\n\n\ttoo"
    assert [(f.number, f.code) for f in reading.failed] == [(2, "unreadable_sheet")]
    assert "the sheet S2: its XML is damaged or truncated" in reading.failed[0].reason
    assert [page.number for page in reading.pages] == [1, 3]


def test_a_sheet_that_ended_the_reader_is_left_out() -> None:
    workbook = book(sheet(row(1, text("A1", "one"))), sheet(row(1, text("A1", "two"))))
    reading = read(workbook, skip=[1])
    assert reading.text == "two"
    assert [(f.number, f.code) for f in reading.failed] == [(1, "crashed")]


@pytest.mark.parametrize("name", ["balance.xlsx", "uncalculated.xlsx"])
def test_a_workbook_cut_off_anywhere_is_refused(name: str) -> None:
    workbook = sample(name)
    for length in range(40, len(workbook), 64):
        with pytest.raises(UnreadableDocument) as caught:
            read(workbook[:length], name="cut.xlsx")
        assert caught.value.document == "cut.xlsx"
        assert not isinstance(caught.value, UnsupportedType)
    with pytest.raises(UnreadableDocument, match="truncated"):
        read(workbook[: len(workbook) // 2])


def test_lies_about_styles_and_strings_cost_no_sheet() -> None:
    rows = row(
        1,
        shared("A1", 7),
        shared("B1", -1),
        shared("C1", "x"),
        number("D1", 5, 99),
        number("E1", 6, "x"),
    )
    workbook = book(
        sheet(rows), others={"xl/styles.xml": "<styleSheet", "xl/sharedStrings.xml": "<sst/>"}
    )
    reading = read(workbook)
    assert reading.text == "\t\t\t5\t6"
    assert reading.warnings[0].startswith("numbers are shown without their formats")
    assert reading.warnings[1] == "S1: 3 cells whose text is missing in the workbook"


def test_a_sheet_that_claims_to_be_huge_is_as_large_as_it_is() -> None:
    rows = row(1, text("A1", "small"), text("XFE1", "out")) + row(
        9_999_999, text("A9999999", "out")
    )
    claim = '<dimension ref="A1:XFD1048576"/><cols><col min="1" max="99999" hidden="1"/></cols>'
    merged = '<mergeCells><mergeCell ref="A1:XFD1048576"/><mergeCell ref="nonsense"/></mergeCells>'
    reading = read(book(sheet(rows, before=claim, after=merged)))
    assert reading.text == "small"
    assert list(named(reading)) == ["'S1'!A1:XFD1048576"]
    assert "S1: 2 cells outside the size of a sheet" in reading.warnings


def test_what_lies_elsewhere_is_not_fetched() -> None:
    target = relations(relation("r1", "worksheet", "http://127.0.0.1:9/sheet.xml", "External"))
    workbook = book(sheet(""), others={"xl/_rels/workbook.xml.rels": target})
    with pytest.raises(UnreadableDocument, match="in another file, which is not opened"):
        read(workbook)
    others = {"xl/externalLinks/externalLink1.xml": "<externalLink/>", "xl/vbaProject.bin": "x"}
    warnings = read(book(sheet(row(1, number("A1", 1))), others=others)).warnings
    assert "links to other files: they are not followed" in warnings[0]
    assert "macros: they are not run" in warnings[1]


def test_a_formula_is_only_its_stored_text() -> None:
    cell = "<c r=\"A1\" t=\"str\"><f>cmd|' /C calc'!A0</f><v>=cmd|' /C calc'!A0</v></c>"
    assert read(book(sheet(row(1, cell)))).text == "=cmd|' /C calc'!A0"


@pytest.mark.parametrize(
    ("others", "says"),
    [
        ({"xl/workbook.xml": "<workbook/>"}, "no sheets"),
        ({"xl/workbook.xml": "no XML"}, "XML is damaged"),
        ({"xl/_rels/workbook.xml.rels": relations("")}, "no sheet can be read.*missing"),
        ({"xl/workbook.xml": "<a>" * 300 + "</a>" * 300}, "more than 256 levels deep"),
        ({"_rels/.rels": relations(relation("r", "officeDocument", "xl/gone.xml"))}, "missing"),
    ],
)
def test_a_workbook_without_its_parts_is_refused(others: dict[str, str], says: str) -> None:
    with pytest.raises(UnreadableDocument, match=says):
        read(book(sheet(row(1, text("A1", "x"))), others=others))


def test_nothing_in_it_is_an_empty_document() -> None:
    with pytest.raises(EmptyDocument, match="no cell with a value"):
        read(book(sheet(""), sheet(row(3))))


def test_limits_are_kept() -> None:
    many = book(*[sheet(row(1, text("A1", "x")))] * 3)
    with pytest.raises(DocumentTooLarge, match="3 sheets: the limit is 2"):
        read(many, limits=Limits(max_pages=2))
    long = book(sheet("".join(row(n, text(f"A{n}", "x" * 50)) for n in range(1, 3001))))
    with pytest.raises(DocumentTooLarge, match="more than 1,000 characters"):
        read(long, limits=Limits(max_plain_text=1000))
    with pytest.raises(UnreadableDocument, match="the time limit for this document was reached"):
        read(long, limits=Limits(seconds=0))


def test_rows_without_end_cost_their_sheet_alone() -> None:
    endless = sheet("<row/>" * 1_000_000)
    workbook = book(endless, sheet(row(1, text("A1", "read"))))
    assert len(workbook) < 20_000
    reading = read(workbook, limits=Limits(seconds=0.5))
    assert reading.text == "read"
    assert [(f.number, f.code) for f in reading.failed] == [(1, "timeout")]


@pytest.mark.slow
def test_a_bomb_takes_bounded_memory() -> None:
    """One cell of 600 MB, from half a megabyte, costs only its document."""
    start, end = sheet(row(1, text("A1", "?"))).split("?")
    spaces = (b" " * 1_000_000 for _ in range(600))
    workbook = book(
        "", others={"xl/worksheets/sheet1.xml": (start.encode(), *spaces, end.encode())}
    )
    with Reader(Limits(memory_bytes=MEMORY, seconds=300)) as reader:
        with pytest.raises(UnreadableDocument):
            reader.read(workbook, name="bomb.xlsx")
        assert reader.read(book(sheet(row(1, text("A1", "after"))))).text == "after"


def test_another_archive_is_no_workbook() -> None:
    outer = archive({"inner.xlsx": sample("balance.xlsx")})
    assert sniff(outer, "outer.xlsx") == "application/zip"
    assert sniff(sample("balance.xlsx"), "any.txt") == XLSX
