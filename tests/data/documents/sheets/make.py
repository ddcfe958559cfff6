"""Makes the sample workbooks beside this file, with two programs that are not ours.

    python -m tests.data.documents.sheets.make

openpyxl writes a draft without stored values; LibreOffice (`soffice`, headless) opens it,
calculates, and saves it in every format that is read here. What LibreOffice shows of each number in
each format is kept as `formats.csv`: what ours must show too.
"""

from __future__ import annotations

import datetime
import random
import subprocess
import tempfile
from pathlib import Path

from openpyxl import Workbook
from openpyxl.styles import Alignment
from openpyxl.worksheet.worksheet import Worksheet

FOLDER = Path(__file__).parent
CODES = (
    *("General", "0", "0.00", "#,##0", "#,##0.00", "0%", "0.0%", "0.00E+00", "#", "#.##", "000"),
    *("#,##0_);(#,##0)", "#,##0.00_);(#,##0.00)", "#,##0;[Red]-#,##0", "#,##0.0#", "0.0,,"),
    *('_(* #,##0_);_(* (#,##0);_(* "-"_);_(@_)', '_("$"* #,##0.00_);_("$"* (#,##0.00)', "#,##0,"),
    *('"$"#,##0.00', '[$€-407]#,##0.00', '0.0"x"', '0" years"', "(000) 000-0000", "\\Q0", "0.0E+0"),
    *('[<100]0.00;[>=1000]"over";0.0', '0;(0);"nil"', "#,##0.000", "+0;-0;0", "0.00%;(0.00%)"),
)  # fmt: skip
CSV_FILTER = "Text - txt - csv (StarCalc)"
DELIMITED = {"notes-1252.csv": "59,34,1,1,,0,false,true,false,false,false,2",
             "notes-utf16.tsv": "9,34,65535,1,,0,false,true,false,false,false,2"}  # fmt: skip
"""Delimiter, quotation mark and encoding by LibreOffice's numbers; the second sheet."""
NUMBERS = (0, 1, -1, 0.5, -0.5, 0.004, -0.004, 12, 1234.5, -1234.5, 1234567.891, -999999.995, 0.125)


def draft(path: Path) -> None:
    """A workbook with one of everything that matters, as openpyxl writes it."""
    book = Workbook()
    sheet = book.active
    assert isinstance(sheet, Worksheet)
    _balance(sheet)
    _notes(book.create_sheet("Bob's notes"))
    hidden = book.create_sheet("Workings")
    hidden.sheet_state = "hidden"
    hidden.append(["a hidden sheet", 42])
    book.create_sheet("Empty")
    book.properties.title = "Balance of Acme"
    book.properties.creator = "An accountant"
    book.save(path)


def _balance(sheet: Worksheet) -> None:
    sheet.title = "Balance"
    sheet.append(["Acme Corp. balance sheet (in thousands)"])
    sheet.merge_cells("A1:C1")
    sheet.append(["", datetime.date(2023, 12, 31), datetime.date(2022, 12, 31)])
    rows = [("Cash", 600.25, 500), ("Debtors", 1400.5, 1300), ("Overdraft", -100.75, -90)]
    for label, this, last in rows:
        sheet.append([label, this, last])
    sheet.append([])
    sheet.append(["Total", "=SUM(B3:B5)", "=SUM(C3:C5)"])
    sheet.append(["Change", "=B7/C7-1"])
    sheet.append(["Balanced", "=B7>C7"])
    sheet.append(["Broken", "=1/0"])
    for row in sheet["B3:C7"]:
        for cell in row:
            cell.number_format = "#,##0_);(#,##0)"
    for cell in (sheet["B2"], sheet["C2"]):
        cell.number_format = "mmm d, yyyy"
    sheet["B8"].number_format = "0.0%"
    sheet.row_dimensions[4].hidden = True
    sheet.column_dimensions["C"].hidden = True


def _notes(sheet: Worksheet) -> None:
    sheet["B3"] = "A note with a\nline break,\ta tab and \U0001f600"
    sheet["B3"].alignment = Alignment(wrap_text=True)
    sheet["D3"] = '="cmd"&"|\' /C calc\'!A0"'
    sheet["A6"] = datetime.datetime(2024, 2, 29, 13, 30)  # noqa: DTZ001 - a sheet has no zones
    sheet["B6"] = datetime.time(9, 5, 7)
    sheet["C6"] = datetime.timedelta(hours=30, minutes=15)
    sheet["C6"].number_format = "[h]:mm:ss"
    sheet["D6"] = "'quoted"
    sheet["E6"] = "0012"
    sheet["C8"] = "Übertrag; 5 €"
    sheet["A8"] = True


def formats(path: Path) -> None:
    """Every number in every format, the plain number and the code beside it."""
    book = Workbook()
    sheet = book.active
    assert isinstance(sheet, Worksheet)
    chance = random.Random(5)
    for code in CODES:
        for number in (*NUMBERS, round(chance.uniform(-1e6, 1e6), 3), chance.randrange(10**9)):
            sheet.append([repr(number), number, code])
            cell = sheet.cell(sheet.max_row, 2)
            cell.number_format = code
    sheet.column_dimensions["B"].width = 60
    book.save(path)


def convert(source: Path, to: str, folder: Path) -> Path:
    """What LibreOffice makes of a file; `to` is its suffix, or suffix:filter:options."""
    profile = folder / "profile"
    subprocess.run(
        [
            *("soffice", "--headless", f"-env:UserInstallation=file://{profile}"),
            *("--convert-to", to, "--outdir", str(folder), str(source)),
        ],
        check=True,
        capture_output=True,
    )
    (made,) = folder.glob(f"{source.stem}*.{to.partition(':')[0]}")
    return made


def main() -> None:
    """Write all samples anew."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        draft(folder / "uncalculated.xlsx")
        (FOLDER / "uncalculated.xlsx").write_bytes((folder / "uncalculated.xlsx").read_bytes())
        for suffix in ("ods", "xls"):
            made = convert(folder / "uncalculated.xlsx", suffix, folder)
            (FOLDER / f"balance.{suffix}").write_bytes(made.read_bytes())
        (folder / "balance.ods").write_bytes((FOLDER / "balance.ods").read_bytes())
        made = convert(folder / "balance.ods", "xlsx", folder)
        (FOLDER / "balance.xlsx").write_bytes(made.read_bytes())
        for name, options in DELIMITED.items():
            made = convert(folder / "balance.ods", f"csv:{CSV_FILTER}:{options}", folder)
            (FOLDER / name).write_bytes(made.read_bytes())
            made.unlink()
        formats(folder / "formats.xlsx")
        made = convert(folder / "formats.xlsx", f"csv:{CSV_FILTER}:44,34,76,1", folder)
        (FOLDER / "formats.csv").write_bytes(made.read_bytes())


if __name__ == "__main__":
    main()
