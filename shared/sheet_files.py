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
from typing import IO, Any

from openpyxl import Workbook
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


def xlsx_file(
    rows: Iterable[Row],
    names: Sequence[str],
    *,
    widths: Mapping[str, int],
    about: Sequence[str],
) -> Iterator[bytes]:
    """Yield a workbook in chunks, in bounded memory.

    Args:
        rows: values by column, as for `csv_file`.
        names: the columns.
        widths: of columns in characters; others have a usual width.
        about: lines of a second sheet.
    """
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
        _write_workbook(rows, names, widths, about, file)
        file.seek(0)
        while chunk := file.read(_CHUNK):
            yield chunk


def _write_workbook(
    rows: Iterable[Row],
    names: Sequence[str],
    widths: Mapping[str, int],
    about: Sequence[str],
    file: IO[bytes],
) -> None:
    book = Workbook(write_only=True)
    sheet = book.create_sheet("Results")
    sheet.freeze_panes = "A2"
    for number, name in enumerate(names, 1):
        column = sheet.column_dimensions[get_column_letter(number)]
        column.width = widths.get(name, _WIDTH)
    sheet.append([_cell(sheet, name, bold=True) for name in names])
    last = 1
    for last, row in enumerate(rows, 2):  # noqa: B007 (the last row of the filter)
        sheet.append([_cell(sheet, value) for value in _cells(row, names)])
    sheet.auto_filter.ref = f"A1:{get_column_letter(len(names))}{last}"
    second = book.create_sheet("About")
    second.column_dimensions["A"].width = 110
    for line in about:
        second.append([_cell(second, line)])
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
