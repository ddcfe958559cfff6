"""Documents without a statement, odd ones and hostile ones: clear words, and nothing ends."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Callable

import openpyxl
import pytest
from openpyxl.worksheet.worksheet import Worksheet

from services.triage.reading.document import ReadFiling, read_document
from services.triage.statements.model import parse_number
from shared import documents
from shared.documents import sniff
from shared.errors import SuiteError
from tests.unit.triage.reading import samples

NOTHING = "No financial statements found. Only English ones are read, with amounts in columns."
PROSPECTUS = (
    "<h1>Prospectus</h1>"
    + "<p>This prospectus relates to 5,000,000 shares of common stock at $12.00 a share.</p>" * 30
    + "<table><tr><td>Price to public</td><td>$12.00</td></tr>"
    "<tr><td>Underwriting discount</td><td>$0.84</td></tr></table>"
)
ENTITIES = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + "".join(
    f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(12)
)
BOMB = (
    f'<?xml version="1.0"?>{ENTITIES}]><xbrl xmlns="http://www.xbrl.org/2003/instance">&m;</xbrl>'
)
PICTURE = base64.b64encode(b"GIF89a").decode()


def read(data: bytes, name: str) -> ReadFiling:
    (found,) = read_document(
        data, sniff(data, name), name, reading=lambda: documents.read(data, name=name)
    )
    assert isinstance(found, ReadFiling)
    return found


def changed(change: Callable[[Worksheet], None]) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.append(["CONSOLIDATED STATEMENTS OF OPERATIONS (In millions)"])
    sheet.append(["Year ended", "June 30, 2023", "June 30, 2022"])
    for label, *figures in samples.INCOME:
        sheet.append([label, *(parse_number(figure) for figure in figures)])
    book.create_sheet("Cover")
    change(sheet)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def empty() -> bytes:
    file = io.BytesIO()
    openpyxl.Workbook().save(file)
    return file.getvalue()


def uncounted(sheet: Worksheet) -> None:
    for line in sheet.iter_rows(min_row=3, min_col=2):
        for cell in line:
            if cell.value is not None:
                cell.value = f"={cell.value}"


def exploding() -> bytes:
    """A workbook of which a sheet is a bomb of entities."""
    file = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(samples.workbook())) as source,
        zipfile.ZipFile(file, "w") as to,
    ):
        for name in source.namelist():
            is_sheet = name.startswith("xl/worksheets/")
            to.writestr(name, BOMB if is_sheet else source.read(name))
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "name", "parts"),
    [
        (b"<p>We had a good year.</p>", "a.html", [NOTHING]),
        (PROSPECTUS.encode(), "a.html", [NOTHING]),
        (empty(), "a.xlsx", ["the workbook has no cell with a value in it"]),
        (changed(uncounted), "a.xlsx", [NOTHING, "formulas without a stored value", "save it"]),
        (
            f'<h1>Balance sheets</h1><img src="data:image/gif;base64,{PICTURE}">'.encode(),
            "a.html",
            [NOTHING, "Pictures of an HTML page", "as PDF or image"],
        ),
        (BOMB.encode(), "a.xbrl", ["declares a document type or entities"]),
        (exploding(), "a.xlsx", ["declares a document type or entities"]),
    ],
    ids=["no statements", "prospectus", "empty", "formulas", "picture", "bomb", "bomb in XLSX"],
)
def test_what_holds_nothing_says_why(data: bytes, name: str, parts: list[str]) -> None:
    with pytest.raises(SuiteError) as refused:
        read(data, name)
    for part in parts:
        assert part in refused.value.message


def test_entities_in_a_page_of_html_explode_nothing() -> None:
    page = samples.html().decode()
    entities = ENTITIES.replace("DOCTYPE x", "DOCTYPE html")
    bomb = f"{entities}]>{page.replace('Net income', 'Net income &m;')}"
    found = read(bomb.encode(), "a.html")
    assert len(str(found.form)) < 4 * len(str(read(page.encode(), "a.html").form))


def hide(sheet: Worksheet) -> None:
    sheet.sheet_state = "hidden"


def merge(sheet: Worksheet) -> None:
    sheet.merge_cells("A1:C1")
    sheet.merge_cells("D3:E4")


@pytest.mark.parametrize("change", [hide, merge])
def test_hidden_and_merged_cells_are_read_like_others(change: Callable[[Worksheet], None]) -> None:
    found = read(changed(change), "a.xlsx")
    usual = read(changed(lambda _: None), "a.xlsx")
    assert found.filing.statements == usual.filing.statements
    assert any("is hidden" in w for w in found.filing.warnings) == (change is hide)
