"""Recognising the pages of one document: each within its time, and all of them within theirs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from shared.documents.layout import Line, page_lines
from shared.documents.ocr import NEEDS, Gray, NotRecognised, Recognised, engine, recognise
from shared.documents.reading import FailedPage, Limits
from shared.errors import UnreadableDocument

NO_TEXT_LAYER = "no_text_layer"
"""Code of a page that is a picture, where there is nothing to recognise its text."""
NOT_RECOGNISED = "not_recognised"
"""Code of a page that is a picture, which the engine failed on."""
SURE = 0.75
"""Confidence from which on a page is taken as it was recognised, without a word of warning."""

_NAMED = 20  # pages in one warning; the ledger has them all

Draw = Callable[[], tuple[Gray, float]]
"""Draws a page: its picture as displayed, and the dots an inch."""


@dataclass(frozen=True)
class Scanned:
    """The lines of a page that was recognised, their boxes as displayed."""

    lines: list[Line]
    page: Recognised


class Scans:
    """Recognises pages, counts the time that it takes, and remembers what is doubtful.

    Args:
        begins: called with a page's number before it is recognised.
    """

    def __init__(self, limits: Limits, begins: Callable[[int], None] | None) -> None:
        self.spent = 0.0
        """Seconds that recognising has taken so far."""
        self._limits = limits
        self._begins = begins
        self._unsure: list[str] = []
        self._empty: list[str] = []

    def read(self, number: int, draw: Draw, rotation: int = 0) -> Scanned | FailedPage:
        """Recognise page `number`, or say why that can't be done."""
        if engine() is None:
            reason = f"the page is an image without a text layer: {NEEDS}"
            return FailedPage(number, NO_TEXT_LAYER, reason)
        left = self._limits.scan_seconds - self.spent
        if left <= 0:
            return FailedPage(number, "timeout", "the time for recognising this document was up")
        if self._begins:
            self._begins(number)
        began = time.monotonic()
        try:
            picture, dpi = draw()
            seconds = min(left, self._limits.page_seconds)
            page = recognise(picture, dpi=dpi, seconds=seconds, rotation=rotation)
        except UnreadableDocument as error:
            return FailedPage(number, error.code, error.message)
        except NotRecognised as error:
            return FailedPage(number, NOT_RECOGNISED, str(error))
        finally:
            self.spent += time.monotonic() - began
        return Scanned(_displayed(page), page)

    def take(self, number: int, scanned: Scanned) -> None:
        """Note that a page is taken as it was recognised."""
        if not scanned.lines:
            self._empty.append(str(number))
        elif scanned.page.confidence < SURE:
            self._unsure.append(f"{number} ({scanned.page.confidence:.0%})")

    def warnings(self) -> list[str]:
        """What a person should know of the pages that were taken."""
        found = []
        if self._unsure:
            pages = listed(self._unsure)
            found.append(f"recognised with little confidence, to be checked: page {pages}")
        if self._empty:
            found.append(f"no text was recognised on page {listed(self._empty)}")
        return found


def listed(pages: list[str]) -> str:
    """The first of them by name, the others by their number."""
    more = len(pages) - _NAMED
    return ", ".join(pages[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _displayed(page: Recognised) -> list[Line]:
    lines = page_lines(page.glyphs)
    return [replace(line, boxes=page.displayed(line.boxes)) for line in lines]
