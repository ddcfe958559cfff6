"""Values of XLS and ODS workbooks, from python-calamine (the only module that imports it).

It gives values without display: numbers without formats, dates as ISO, errors as empty, and hidden
rows are unknown. XLSX has its own reader with all of that.
"""

from __future__ import annotations

import datetime
import io
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace

import python_calamine
from python_calamine import CalamineSheet, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from shared.documents.containers.zip_package import Package
from shared.documents.flow.embedded_pictures import unread_pictures
from shared.documents.model.cells import MAX_COLUMNS
from shared.documents.model.formats import ODS, XLS
from shared.documents.model.parsed_document import Limits, ParsedDocument
from shared.documents.model.table_builder import Field, in_one_line
from shared.documents.spreadsheets.number_formats import general
from shared.documents.spreadsheets.sheet_reader import SheetReader
from shared.errors import EncryptedDocument, UnreadableDocument

NAMES = {XLS: "XLS", ODS: "ODS"}

_NAN = float("nan")

Value = int | float | str | bool | datetime.time | datetime.date | datetime.timedelta


def read_values(
    data: bytes,
    media_type: str,
    limits: Limits,
    skip: Collection[int] = (),
    progress: Callable[[int], None] | None = None,
) -> ParsedDocument:
    """Return a workbook as plain values; `skip` and `progress` are as for `SheetReader.parse`.

    Raises UnreadableDocument or a subclass.
    """
    with _clear_errors(NAMES[media_type]):
        book = python_calamine.load_workbook(io.BytesIO(data))
    parsed = _Values(book, NAMES[media_type], limits).parse(media_type, skip, progress)
    if media_type != ODS:  # pictures of an XLS are not accessible
        return parsed
    return replace(
        parsed, warnings=(*parsed.warnings, *unread_pictures(Package(data), "Pictures/"))
    )


class _Values(SheetReader):
    def __init__(self, book: CalamineWorkbook, name: str, limits: Limits) -> None:
        self._sheets = book.sheets_metadata
        super().__init__("calamine", [in_one_line(sheet.name) for sheet in self._sheets], limits)
        self._book, self._name = book, name
        self.warnings.append(
            f"{name} is read by its values: numbers are shown without their formats, and hidden "
            "rows are not recognised; save it as XLSX to keep both"
        )

    def read_sheet(self, number: int) -> None:
        sheet = self._sheets[number - 1]
        if sheet.visible != SheetVisibleEnum.Visible:
            self.warnings.append(f"the sheet {sheet.name} is hidden: it was read as well")
        if sheet.typ in (SheetTypeEnum.WorkSheet, SheetTypeEnum.MacroSheet):
            with _clear_errors(self._name):
                self._read_rows(number, self._book.get_sheet_by_index(number - 1))

    def _read_rows(self, number: int, sheet: CalamineSheet) -> None:
        first, last = len(self.draft.row), 0
        for row, values in enumerate(sheet.iter_rows(), 1):
            self.check_limits(row)
            fields = list(_fields(values))
            if fields:
                self.add_line(number, row, last, fields)
                last = row
        merged = {
            (r0 + 1, c0 + 1): (r1 - r0 + 1, c1 - c0 + 1)
            for (r0, c0), (r1, c1) in sheet.merged_cell_ranges or ()
        }
        self.draft.merge(first, merged)


def _fields(values: list[Value]) -> Iterator[Field]:
    for column, value in enumerate(values, 1):
        if column > MAX_COLUMNS:
            return
        text = _shown(value)
        if text:
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            yield column, text, float(value) if is_number else _NAN  # type: ignore[arg-type]


def _shown(value: Value) -> str:
    if isinstance(value, str):
        return in_one_line(value)
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int | float):
        return general(value)
    if isinstance(value, datetime.timedelta):
        seconds = round(value.total_seconds())
        sign, seconds = ("-" if seconds < 0 else ""), abs(seconds)
        return f"{sign}{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    if isinstance(value, datetime.datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    return value.isoformat() if isinstance(value, datetime.date) else value.strftime("%H:%M:%S")


@contextmanager
def _clear_errors(name: str) -> Iterator[None]:
    """Turn errors of calamine, and panics of its Rust code, into errors of the suite."""
    try:
        yield
    except python_calamine.PasswordError as error:
        raise EncryptedDocument(
            f"the {name} workbook has a password: save it without one and upload it again"
        ) from error
    except python_calamine.CalamineError as error:
        why = "" if "detect" in str(error) else f" ({error})"  # it tried all its formats
        raise UnreadableDocument(f"the {name} workbook is damaged or truncated{why}") from error
    except (ValueError, OverflowError) as error:
        raise UnreadableDocument(
            f"the {name} workbook has an impossible value ({error})"
        ) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise UnreadableDocument(
            f"the {name} workbook is damaged (its content is inconsistent)"
        ) from None
