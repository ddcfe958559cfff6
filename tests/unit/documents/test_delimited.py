"""CSV and TSV: the file's own characters, the cells in them, and files that are odd or hostile."""

from __future__ import annotations

import csv
import io
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.documents import Limits, read, sniff
from shared.documents.model.text import decode
from shared.documents.sandbox import Reader
from shared.documents.spreadsheets.delimited import (
    delimiter_of,
    fields,
    rows,
    value_of,
)
from shared.errors import DocumentTooLarge, UnreadableDocument
from tests.unit.documents.ends import named
from tests.unit.documents.samples import FOLDER

SHEETS = FOLDER / "sheets"
TABLE = 'Label,2023,2022\nCash,"1,234",12\n"Net ""sales""",5,\n'


def test_the_text_is_the_files_own_and_cells_are_offsets_into_it() -> None:
    reading = read(TABLE.encode(), name="a.csv")
    assert (reading.text, reading.media_type, reading.warnings) == (TABLE, "text/csv", ())
    wanted = 'A1 Label|B1 2023|C1 2022|A2 Cash|B2 1,234|C2 12|A3 Net ""sales""|B3 5'
    assert "|".join(f"{name} {words}" for name, words in named(reading).items()) == wanted


def test_line_breaks_within_quotes_are_one_row() -> None:
    text = 'a,"two\r\nlines",c\rd,e,f\n\n,g,'
    fields_found = named(read(text.encode(), name="a.csv"))
    assert fields_found.pop("B1") == "two\r\nlines"
    assert fields_found == {"A1": "a", "C1": "c", "A2": "d", "B2": "e", "C2": "f", "B4": "g"}


@pytest.mark.parametrize(("name", "warned"), [("notes-1252.csv", 1), ("notes-utf16.tsv", 0)])
def test_what_libreoffice_writes_is_read(name: str, warned: int) -> None:
    """Windows-1252 with semicolons gives a warning; UTF-16 with tabs is detected by content."""
    data = (SHEETS / name).read_bytes()
    reading = read(data, name=name)
    fields_found = named(reading)
    assert fields_found["C8"] == "Übertrag; 5 €"
    assert fields_found["D6"] == "'quoted"
    assert fields_found["B3"].startswith("A note with a\nline break")
    assert len(reading.warnings) == warned
    assert all("read as Windows-1252" in warning for warning in reading.warnings)
    assert sniff(data, "") == "text/csv"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_encodings_give_the_same_cells(encoding: str) -> None:
    data = TABLE.encode(encoding)
    data = b"\xfe\xff" + data if encoding == "utf-16-be" else data
    reading = read(data, name="a.csv")
    assert reading.text.removeprefix("\ufeff") == TABLE
    assert named(reading) == named(read(TABLE.encode(), name="a.csv"))


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("a;b\n1,5;2,5\n3,5;4,5\n", ";"),
        ("a,b,c\n1,2,3\n", ","),
        ("a\tb, c\n1\t2, 3\n", "\t"),
        ("a|b\n1|2\n", "|"),
        ("Balance sheet\n\na,1,2\nb,3,4\nc,5,6\n", ","),
        ('"a;b",c\n"d;e",f\n', ","),
        ('name,text\nx,"1;2\n3;4\n5;6"\n', ","),
        ("sep=|\na|b,c\n", "|"),
        ("one column\nand no more\n", None),
        ("Dear Sir, or Madam\nHello\nGood bye\n", None),
    ],
)
def test_the_delimiter_is_found_out(text: str, delimiter: str | None) -> None:
    assert delimiter_of(text, named=True) == delimiter


def test_without_a_name_a_table_must_look_like_one() -> None:
    assert sniff(b"We, the parties, agree\nthat all, or some, pay\nand no more.\n") == "text/plain"
    assert sniff(b"a,b\nc,d\ne,f\n") == "text/plain"
    assert sniff(b"a,b,c\nd,e,f\ng,h,i\n") == "text/csv"
    assert sniff(b"a,b\nc,d\n", "a.CSV") == "text/csv"
    assert sniff(b"Nothing of a table\nin here.\n", "a.csv") == "text/plain"


def test_ragged_rows_and_open_quotes_are_warnings() -> None:
    reading = read(b'a,b,c\n1,2\n"3,4,5\n6,7,8\n', name="a.csv")
    assert named(reading)["A3"] == '"3'
    assert reading.warnings == (
        "1 of 4 rows have more or fewer than the usual 3 fields",
        "row 3 has a quotation mark that is not closed: it is kept as text",
    )


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.lists(
            st.text(
                st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff"), max_size=6
            ),
            min_size=1,
            max_size=4,
        ),
        max_size=5,
    ),
    st.sampled_from(",;\t|"),
)
def test_what_pythons_writer_writes_is_read(written: list[list[str]], delimiter: str) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows(written)
    text = out.getvalue()
    found = [[value_of(text, cell) for cell in row] for row in rows(text, delimiter)]
    assert found == written


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet='a1,;\t" \r\n|\ufeff=', max_size=40))
def test_any_text_is_split_without_losing_a_character(text: str) -> None:
    last = 0
    for fields_found in fields(text, ","):
        between = text[last : fields_found.start]
        assert not between.strip(' ,"\r\n\ufeffSEPsep=;\t|'), between
        assert fields_found.start <= fields_found.end
        last = fields_found.end
    reading = read(text.encode() + b",x", name="a.csv")
    assert reading.text == text + ",x"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"a,b\0c\n1,2\n", "NUL at character 4"),
        ("a,b\nc,d\n".encode("utf-16") + b"x", "UTF-16"),
        ("a,b\nc,d\n".encode("utf-32"), "UTF-16|NUL"),
    ],
)
def test_what_is_no_text_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(UnreadableDocument, match=says):
        read(data, name="a.csv")
    with pytest.raises(UnreadableDocument):
        decode(data)


def test_a_row_wider_than_any_sheet_is_read_without_cells() -> None:
    reading = read(b"x," * 20_000 + b"\n", name="a.csv")
    assert len(reading.cells) == 0
    assert reading.warnings == ("a row has more than 16,384 fields: it was read without cells",)


def test_a_line_of_a_hundred_megabytes_is_refused() -> None:
    with pytest.raises(DocumentTooLarge, match="the limit is 50,000,000"):
        read(b"a," * 50_000_000, name="a.csv")
    assert len(read(b"a," + b"x" * 1_000_000, name="a.csv").cells) == 2


@pytest.mark.parametrize(
    "piece", ['"', '""', '"a"', '"",', ',"', '"x,', '",""', ' "', "a;b,c\n", '"\n', " " * 9]
)
def test_hostile_quotes_take_no_more_than_their_length(piece: str) -> None:
    text = piece * 100_000
    start = time.process_time()
    for delimiter in ",;":
        assert sum(1 for _ in fields(text, delimiter)) >= 1
    assert time.process_time() - start < 20


@pytest.mark.slow
def test_half_a_million_lines_stay_within_a_bound() -> None:
    line = b'2024-02-29,A0%d,"Invoice, of a customer",-1234.56,17,84.7%%,TRUE,%d\n'
    data = b"".join(line % (n % 9, n) for n in range(500_000))
    with Reader(Limits(memory_bytes=1_000_000_000, seconds=600)) as reader:
        reading = reader.read(data, name="a.csv")
    assert len(reading.cells) == 4_000_000
    last = reading.cells_of(len(reading.text) - 8, len(reading.text))
    assert [cell.address for cell in last] == ["H500000"]
