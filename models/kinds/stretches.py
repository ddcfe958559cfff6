"""Parts of documents: what a short one looks like, where the corpora have long ones alone."""

from __future__ import annotations

import random

READS = 12_000
"""Characters from its beginning by which a document is judged."""
BEGINNING = 1_000


def beginning(text: str) -> str:
    """Return the first characters of a text, to the end of a word."""
    return _cut(text, 0, BEGINNING)


def stretch(text: str, number: int) -> str:
    """Return a stretch of a text, the same for the same number: 300 to 4,000 characters."""
    draw = random.Random(f"{number} {len(text)} {text[:200]}")
    length = min(round(300 * (4_000 / 300) ** draw.random()), len(text))
    return _cut(text, draw.randrange(max(len(text[:READS]) - length, 0) + 1), length)


def _cut(text: str, start: int, length: int) -> str:
    part = text[start : start + length]
    if start:
        part = part.partition(" ")[2] or part
    if start + length < len(text):
        part = part.rpartition(" ")[0] or part
    return part
