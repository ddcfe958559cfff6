"""Base class of the readers of workbooks: one page for each sheet."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence

from shared.documents.model.parsed_document import FailedPage, Limits, Page, ParsedDocument
from shared.documents.model.table_builder import Draft, Field
from shared.errors import DocumentTooLarge, EmptyDocument, UnreadableDocument

_CHECK_EVERY = 1000


class SheetReader(ABC):
    """Reads the sheets of one workbook into one text, within the limits.

    Raises DocumentTooLarge for too many sheets. `method` is recorded in each page.
    """

    def __init__(self, method: str, names: Sequence[str], limits: Limits) -> None:
        if len(names) > limits.max_pages:
            raise DocumentTooLarge(
                f"the workbook has {len(names):,} sheets: the limit is {limits.max_pages:,}"
            )
        self.warnings: list[str] = []
        self.draft = Draft()
        self._method, self._names, self._limits = method, names, limits
        self._deadline = time.monotonic() + 0.8 * limits.seconds

    @abstractmethod
    def read_sheet(self, number: int) -> None:
        """Add the rows of sheet `number` to the draft. Raises UnreadableDocument."""

    def parse(
        self,
        media_type: str,
        skip: Collection[int],
        progress: Callable[[int], None] | None,
        metadata: dict[str, str] | None = None,
    ) -> ParsedDocument:
        """Read all sheets; a sheet that can't be read is a failed page.

        Sheets (from 1) in `skip` are left out as failed pages. `progress` is called with the number
        of each sheet before it is read.
        """
        pages: list[Page] = []
        failed: list[FailedPage] = []
        for number, name in enumerate(self._names, 1):
            if number in skip:
                failed.append(FailedPage(number, "crashed", "the reader crashed on this sheet"))
                continue
            if progress:
                progress(number)
            page = self._page(number, name)
            (pages if isinstance(page, Page) else failed).append(page)  # type: ignore[arg-type]
        if not self.draft.length:
            if failed:
                reason = failed[0].reason
                raise UnreadableDocument(f"no sheet can be read; the first says: {reason}")
            raise EmptyDocument("the workbook has no cell with a value in it")
        return ParsedDocument(
            text=self.draft.text,
            pages=tuple(pages),
            failed=tuple(failed),
            warnings=tuple(self.warnings),
            media_type=media_type,
            metadata=metadata or {},
            cells=self.draft.cells(),
        )

    def _page(self, number: int, name: str) -> Page | FailedPage:
        mark = self.draft.mark()
        if self.draft.length:
            self.draft.add("\n\n")
        start = self.draft.length
        try:
            self.read_sheet(number)
        except TimeoutError:
            self.draft.rollback(mark)
            return FailedPage(number, "timeout", "the time limit for this document was reached")
        except DocumentTooLarge:
            raise
        except UnreadableDocument as error:
            self.draft.rollback(mark)
            return FailedPage(number, "unreadable_sheet", f"the sheet {name}: {error.message}")
        if self.draft.length == start:
            self.draft.rollback(mark)
            start = self.draft.length
        return Page(number, start, self.draft.length, method=self._method, name=name)

    def add_line(self, number: int, row: int, last: int, fields: Sequence[Field]) -> None:
        """Add one row; `last` is the row of the sheet before it that had text, or 0."""
        if last:
            self.draft.add("\n" if row == last + 1 else "\n\n")
        self.draft.add_row(number, row, fields)

    def check_limits(self, rows: int) -> None:
        """Raises TimeoutError or DocumentTooLarge; looks at the clock every 1,000 rows."""
        if rows % _CHECK_EVERY == 0 and time.monotonic() > self._deadline:
            raise TimeoutError
        if self.draft.length > self._limits.max_plain_text:
            raise DocumentTooLarge(
                f"the workbook has more than {self._limits.max_plain_text:,} characters"
            )
