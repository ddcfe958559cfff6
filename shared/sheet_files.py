"""CSV files and workbooks that spreadsheets open right, without formulas.

A cell that looks like a formula gets an apostrophe in front. It begins with `=`, `+`, `-`, `@`, a
tab or a line break, perhaps after invisible characters. The same holds inside a text after a
semicolon, a tab or a line break, because some spreadsheets split there. The column `defused` names
the changed cells.
Source: OWASP, "CSV Injection".
"""

from __future__ import annotations

import csv
import io
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from openpyxl import Workbook, load_workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter

Row = Mapping[str, Any]

_WIDTH = 14
_BYTE_ORDER_MARK = "\ufeff"
"""Excel reads CSV as UTF-8 only with it."""
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


def rows_in(content: bytes, form: str) -> int:
    """The number of rows of a file below its head: `csv`, `xlsx`, or `jsonl`, which has no head."""
    if form == "jsonl":
        return content.count(b"\n")
    if form == "csv":
        return sum(1 for _ in csv.reader(io.StringIO(content.decode(), newline=""))) - 1
    book = load_workbook(io.BytesIO(content), read_only=True)
    return sum(1 for _ in book.worksheets[0].iter_rows()) - 1


def defuse(text: str) -> str:
    """Return the text without possible formulas."""
    text = _WITHIN.sub(lambda found: found[1] + "'" * bool(found[2]), text)
    return "'" + text if _FORMULA.match(text) else text


def csv_file(rows: Iterable[Row], names: Sequence[str]) -> Iterator[bytes]:
    """Yield a CSV file in chunks, in bounded memory.

    Args:
        rows: values by column. `defused` may be among the names only.
        names: the columns.
    """
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


@dataclass(frozen=True)
class Table:
    """A sheet of a workbook.

    Args:
        name: of the sheet.
        rows: cells; texts are defused (`defuse`).
        heads: the first rows, which are bold and stay in view.
        labels: the first columns, which stay in view.
        widths: of columns in characters; others have a usual width.
        filtered: whether the columns have filters.
        amounts: whether numbers have thousands separators.
    """

    name: str
    rows: Iterable[Sequence[Any]]
    heads: int = 1
    labels: int = 0
    widths: Sequence[int] = ()
    filtered: bool = False
    amounts: bool = False


def xlsx_file(
    rows: Iterable[Row],
    names: Sequence[str],
    *,
    widths: Mapping[str, int],
    about: Sequence[str],
) -> Iterator[bytes]:
    """Yield a workbook of one table in chunks, in bounded memory.

    Args:
        rows: values by column, as for `csv_file`.
        names: the columns.
        widths: of columns in characters; others have a usual width.
        about: lines of a second sheet.
    """
    cells = chain([names], (_cells(row, names) for row in rows))
    of_names = [widths.get(name, _WIDTH) for name in names]
    return workbook([Table("Results", cells, widths=of_names, filtered=True)], about)


def workbook(tables: Iterable[Table], about: Sequence[str]) -> Iterator[bytes]:
    """Yield a workbook in chunks, in bounded memory: a sheet for each table, and lines about it."""
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
        book = Workbook(write_only=True)
        for table in tables:
            _write_table(book, table)
        last = book.create_sheet("About")
        last.column_dimensions["A"].width = 110
        for line in about:
            last.append([_cell(last, line)])
        book.save(file)
        file.seek(0)
        while chunk := file.read(_CHUNK):
            yield chunk


def _write_table(book: Any, table: Table) -> None:
    sheet = book.create_sheet(table.name)
    sheet.freeze_panes = f"{get_column_letter(table.labels + 1)}{table.heads + 1}"
    for number, width in enumerate(table.widths, 1):
        sheet.column_dimensions[get_column_letter(number)].width = width
    last = 0
    for last, row in enumerate(table.rows, 1):
        is_head = last <= table.heads
        sheet.append([_cell(sheet, value, bold=is_head, amounts=table.amounts) for value in row])
    if table.filtered:
        sheet.auto_filter.ref = f"A1:{get_column_letter(len(table.widths))}{last}"


def _cell(sheet: Any, value: Any, *, bold: bool = False, amounts: bool = False) -> Any:
    if not isinstance(value, str):
        if value is None or not (bold or amounts):
            return value
        cell = WriteOnlyCell(sheet, value=value)
        if isinstance(value, int | float):
            cell.number_format = "#,##0" if value == int(value) else "#,##0.00"
    else:
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
