"""The only door to python-calamine: the values of older and other workbooks (XLS, ODS).

It gives values and where they are, not how they are shown: numbers come without their formats,
dates as ISO, errors as nothing, and what is hidden within a sheet can't be told. XLSX has a reader
of its own, which gives all of that.
"""

from __future__ import annotations

import datetime
import io
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace

import python_calamine
from python_calamine import CalamineSheet, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from shared.documents.cells import MAX_COLUMNS
from shared.documents.drafting import Draft, Field, in_one_line
from shared.documents.inlaid import not_read
from shared.documents.number_formats import general
from shared.documents.package import ODS, XLS, Package
from shared.documents.reading import FailedPage, Limits, Page, Reading, no_boxes
from shared.errors import (
    DocumentTooLarge,
    EmptyDocument,
    EncryptedDocument,
    UnreadableDocument,
)

NAMES = {XLS: "XLS", ODS: "ODS"}

_CHECK_EVERY = 1000
_NAN = float("nan")

Value = (
    int
    | float
    | str
    | bool
    | datetime.time
    | datetime.date
    | datetime.datetime
    | datetime.timedelta
)


def read_values(
    data: bytes,
    media_type: str,
    limits: Limits,
    skip: Collection[int] = (),
    progress: Callable[[int], None] | None = None,
) -> Reading:
    """A workbook as a reading of its plain values; a sheet that can't be read is a failed page.

    `skip` and `progress` are as for XLSX. Raises the UnreadableDocument that fits.
    """
    with _clear_errors(NAMES[media_type]):
        book = python_calamine.load_workbook(io.BytesIO(data))
    if len(book.sheet_names) > limits.max_pages:
        raise DocumentTooLarge(
            f"the workbook has {len(book.sheet_names):,} sheets: "
            f"at most {limits.max_pages:,} are read"
        )
    reading = _Values(book, NAMES[media_type], limits).reading(media_type, skip, progress)
    if media_type != ODS:  # what pictures an XLS has nobody here can tell
        return reading
    return replace(reading, warnings=(*reading.warnings, *not_read(Package(data), "Pictures/")))


class _Values:
    """Reads the sheets of one book into one text."""

    def __init__(self, book: CalamineWorkbook, name: str, limits: Limits) -> None:
        self._book = book
        self._name = name
        self._limits = limits
        self._deadline = time.monotonic() + 0.8 * limits.seconds
        self._draft = Draft()

    def reading(
        self, media_type: str, skip: Collection[int], progress: Callable[[int], None] | None
    ) -> Reading:
        """All sheets, one after the other."""
        pages: list[Page] = []
        failed: list[FailedPage] = []
        warnings = [
            f"{self._name} is read by its values: numbers are shown without their formats, and "
            "hidden rows can't be told; save it as XLSX to have them"
        ]
        for number, sheet in enumerate(self._book.sheets_metadata, 1):
            if number in skip:
                failed.append(FailedPage(number, "crashed", "reading this sheet ended the reader"))
                continue
            if progress:
                progress(number)
            if sheet.visible != SheetVisibleEnum.Visible:
                warnings.append(f"the sheet {sheet.name} is hidden: it was read as well")
            page = self._page(number, in_one_line(sheet.name), sheet.typ)
            if isinstance(page, Page):
                pages.append(page)
            else:
                failed.append(page)
        if not self._draft.length:
            if failed:
                reason = failed[0].reason
                raise UnreadableDocument(f"no sheet can be read; the first says: {reason}")
            raise EmptyDocument("the workbook has no cell with a value in it")
        return Reading(
            text=self._draft.text,
            pages=tuple(pages),
            boxes=no_boxes(self._draft.length),
            page_count=len(pages) + len(failed),
            failed=tuple(failed),
            warnings=tuple(warnings),
            media_type=media_type,
            cells=self._draft.cells(),
        )

    def _page(self, number: int, name: str, kind: SheetTypeEnum) -> Page | FailedPage:
        mark = self._draft.mark()
        if self._draft.length:
            self._draft.add("\n\n")
        start = self._draft.length
        try:
            if kind in (SheetTypeEnum.WorkSheet, SheetTypeEnum.MacroSheet):
                with _clear_errors(self._name):
                    sheet = self._book.get_sheet_by_index(number - 1)
                    self._read_sheet(number, sheet)
        except TimeoutError:
            self._draft.rollback(mark)
            return FailedPage(number, "timeout", "the time for this document was up")
        except DocumentTooLarge:
            raise
        except UnreadableDocument as error:
            self._draft.rollback(mark)
            reason = f"the sheet {name}: {error.message}"
            return FailedPage(number, "unreadable_sheet", reason)
        if self._draft.length == start:
            self._draft.rollback(mark)
            start = self._draft.length
        return Page(number, start, self._draft.length, 0.0, 0.0, method="calamine", name=name)

    def _read_sheet(self, number: int, sheet: CalamineSheet) -> None:
        first = len(self._draft.row)
        last = 0
        for row, values in enumerate(sheet.iter_rows(), 1):
            if row % _CHECK_EVERY == 0:
                self._check()
            fields = list(_fields(values))
            if not fields:
                continue
            if last:
                self._draft.add("\n" if row == last + 1 else "\n\n")
            self._draft.add_row(number, row, fields)
            last = row
        self._check()
        merged = {
            (r0 + 1, c0 + 1): (r1 - r0 + 1, c1 - c0 + 1)
            for (r0, c0), (r1, c1) in sheet.merged_cell_ranges or ()
        }
        self._draft.merge(first, merged)

    def _check(self) -> None:
        if time.monotonic() > self._deadline:
            raise TimeoutError
        if self._draft.length > self._limits.max_plain_text:
            raise DocumentTooLarge(
                f"the workbook has more than {self._limits.max_plain_text:,} characters"
            )


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
    """What calamine raises on a damaged workbook, as one clear error of the suite.

    A panic of its Rust is no Exception, so that nobody goes on by accident; here it is one file.
    """
    try:
        yield
    except python_calamine.PasswordError as error:
        raise EncryptedDocument(
            f"the {name} workbook has a password: save it without one and upload it again"
        ) from error
    except python_calamine.CalamineError as error:
        why = "" if "detect" in str(error) else f" ({error})"  # it tries all its formats in turn
        raise UnreadableDocument(f"the {name} workbook is damaged or cut off{why}") from error
    except (ValueError, OverflowError) as error:
        raise UnreadableDocument(
            f"the {name} workbook has an impossible value ({error})"
        ) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise UnreadableDocument(f"the {name} workbook is damaged (it makes no sense)") from None
