"""The text of a clause as people see it."""

from __future__ import annotations

from collections.abc import Iterable


def own_words(text: str, start: int, omitted: Iterable[tuple[int, int]]) -> str:
    """The text of a clause without its omitted parts, such as a page number.

    Args:
        start: offset of the text in its document.
        omitted: offsets in the document, in order.
    """
    words, at = [], 0
    for first, end in omitted:
        words.append(text[at : first - start].strip())
        at = end - start
    return " ".join(filter(None, [*words, text[at:].strip()])) if words else text
