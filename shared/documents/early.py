"""A page of a document while the others are still being read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class EarlyPage:
    """What is known of a page as soon as it is read.

    `text` has its lines as they stand on it. In the text of the whole document the page may differ
    from that a little: only all pages together tell which words a hyphen cuts.

    Args:
        number: from 1.
        pages: how many the document has.
        width: in points, as displayed; so `height`.
        confidence: 0 to 1, of a text that was recognised in a picture.
        code: why the page could not be read, with `reason`; None if it was.
    """

    number: int
    pages: int
    text: str = ""
    width: float = 0.0
    height: float = 0.0
    method: str = ""
    confidence: float | None = None
    code: str | None = None
    reason: str | None = None


Early = Callable[[EarlyPage], None]
"""Who hears of each page as soon as it is read, in their order; after the death of a reader of
some pages again.
"""
