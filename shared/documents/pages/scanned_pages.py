"""Recognise the pages of one document within its time limits."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from shared.documents.model.parsed_document import FailedPage, Limits
from shared.documents.pages.layout import Line, page_lines
from shared.documents.pages.ocr import Recognised, recognise
from shared.documents.pages.tesseract import NEEDS, Gray, NotRecognised, engine
from shared.errors import UnreadableDocument

NO_TEXT_LAYER = "no_text_layer"
"""Error code of a picture page without an engine for recognition."""
NOT_RECOGNISED = "not_recognised"
"""Error code of a picture page on which the engine failed."""
SURE = 0.75
"""Least confidence of a recognised page without a warning."""

_NAMED = 20  # pages in one warning; the ledger has all

Draw = Callable[[], tuple[Gray, float]]
"""Draws a page: the picture as displayed, and its resolution in dots per inch."""


@dataclass(frozen=True)
class Scanned:
    """A recognised page and its lines. Their boxes are in coordinates of the displayed page."""

    lines: list[Line]
    page: Recognised


class Scans:
    """Recognises pages, measures the time, and remembers doubtful pages.

    Args:
        limits: of the time.
        begins: called with a page's number before it is recognised.
    """

    def __init__(self, limits: Limits, begins: Callable[[int], None] | None) -> None:
        self.spent = 0.0
        """Seconds used by recognition so far."""
        self.limits = limits
        self._begins = begins
        self._unsure: list[str] = []
        self._empty: list[str] = []

    def read(self, number: int, draw: Draw, rotation: int = 0) -> Scanned | FailedPage:
        """Recognise page `number`, or return why it failed."""
        found = engine()
        if found is None:
            reason = f"the page is an image without a text layer: {NEEDS}"
            return FailedPage(number, NO_TEXT_LAYER, reason)
        left = self.limits.scan_seconds - self.spent
        if left <= 0:
            return FailedPage(
                number, "timeout", "the time limit for recognising this document was reached"
            )
        if self._begins:
            self._begins(number)
        limit = min(left, self.limits.page_seconds)
        began = time.monotonic()
        try:
            picture, dpi = draw()
            until = began + limit
            page = recognise(found, picture, dpi=dpi, until=until, rotation=rotation)
        except UnreadableDocument as error:
            return FailedPage(number, error.code, error.message)
        except TimeoutError:
            reason = f"recognising the page took longer than {limit:g} s"
            return FailedPage(number, NOT_RECOGNISED, reason)
        except NotRecognised as error:
            return FailedPage(number, NOT_RECOGNISED, str(error))
        finally:
            self.spent += time.monotonic() - began
        return Scanned(_displayed(page), page)

    def take(self, number: int, scanned: Scanned) -> None:
        """Record that a recognised page is used."""
        if not scanned.lines:
            self._empty.append(str(number))
        elif scanned.page.confidence < SURE:
            self._unsure.append(f"{number} ({scanned.page.confidence:.0%})")

    def warnings(self) -> list[str]:
        warnings = []
        if self._unsure:
            pages = listed(self._unsure)
            warnings.append(f"recognised with low confidence, please check: page {pages}")
        if self._empty:
            warnings.append(f"no text was recognised on page {listed(self._empty)}")
        return warnings


def listed(pages: list[str]) -> str:
    """Return the first pages, and the number of further ones."""
    more = len(pages) - _NAMED
    return ", ".join(pages[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _displayed(page: Recognised) -> list[Line]:
    lines = page_lines(page.glyphs)
    return [replace(line, boxes=page.displayed(line.boxes)) for line in lines]
