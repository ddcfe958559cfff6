"""Join the lines of all pages into one text with a box for every character.

Line breaks join lines, blank lines paragraphs. Pages are separated like paragraphs, or by one line
break where a sentence continues. A word cut by a hyphen at a line end is joined, and the line break
moves behind it. Line breaks around furniture belong to it, so the text without furniture is
continuous.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, pairwise
from operator import itemgetter

import numpy as np

from shared.documents.model.parsed_document import Floats, to_grid
from shared.documents.pages.layout import Line, goes_on

_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_CUT_WORD = re.compile(r"(?<![^\W\d_])(?<![^\W\d_]-)([^\W\d_]++(?>(?:-[^\W\d_]++)*))-$")


@dataclass(frozen=True)
class Assembled:
    """The text, its boxes [len(text), 4], and the (start, end) of each page and of furniture."""

    text: str
    boxes: Floats
    pages: list[tuple[int, int]]
    furniture: list[tuple[int, int]]


@dataclass
class _Draft:
    texts: list[str] = field(default_factory=list)
    boxes: list[Floats] = field(default_factory=list)
    furniture: list[tuple[int, int]] = field(default_factory=list)
    length: int = 0

    def add(self, text: str, boxes: Floats | None = None) -> None:
        if not text:
            return
        self.texts.append(text)
        self.boxes.append(np.full((len(text), 4), np.nan, np.float32) if boxes is None else boxes)
        self.length += len(text)


def assemble(pages: Sequence[Sequence[Line]], furniture: Sequence[set[int]]) -> Assembled:
    """Join all pages; `furniture` has the indices of furniture lines of each page."""
    words = _vocabulary(pages)
    draft = _Draft()
    spans: list[tuple[int, int]] = []
    last: Line | None = None
    for lines, extra in zip(pages, furniture, strict=True):
        parts = _dehyphenated([(line, i in extra) for i, line in enumerate(lines)], words)
        body = [line for line, is_extra in parts if not is_extra]
        if spans:
            draft.add("\n" if body and last and goes_on(last, body[0]) else "\n\n")
        start = draft.length
        _add_page(draft, parts)
        spans.append((start, draft.length))
        last = body[-1] if body else last
    boxes = np.concatenate(draft.boxes) if draft.boxes else np.zeros((0, 4), np.float32)
    return Assembled("".join(draft.texts), to_grid(boxes), spans, draft.furniture)


def _add_page(draft: _Draft, parts: Sequence[tuple[Line, bool]]) -> None:
    """Add the lines of a page; line breaks around furniture belong to the furniture."""
    body_seen = False
    for is_extra, group in groupby(parts, key=itemgetter(1)):
        lines = [line for line, _ in group]
        if is_extra:
            start = draft.length
            draft.add("\n\n" if body_seen else "")
            for index, line in enumerate(lines):
                draft.add("\n" if index else "")
                draft.add(line.text, line.boxes)
            draft.add("" if body_seen else "\n\n")
            draft.furniture.append((start, draft.length))
            continue
        for line in lines:
            if body_seen:
                draft.add("\n\n" if line.opens else "\n")
            draft.add(line.text, line.boxes)
            body_seen = True


def _vocabulary(pages: Sequence[Sequence[Line]]) -> Counter[str]:
    """Count words within lines; empty if no line ends with a hyphen."""
    words: Counter[str] = Counter()
    lines = [line for page in pages for line in page]
    if any(line.text.endswith("-") for line in lines):
        for line in lines:
            words.update(_WORD.findall(line.text.lower()))
    return words


def _dehyphenated(parts: list[tuple[Line, bool]], words: Counter[str]) -> list[tuple[Line, bool]]:
    """Join words cut by a hyphen at a line end, at the end of the first line."""
    if not words:
        return parts
    joined = list(parts)
    body = [i for i, (_, is_extra) in enumerate(parts) if not is_extra]
    for this, following in pairwise(body):
        first, second = joined[this][0], joined[following][0]
        if second.opens or not first.text.endswith("-"):
            continue
        cut, continuation = _CUT_WORD.search(first.text), _WORD.match(second.text)
        if cut and continuation and first.turn == second.turn:
            keep = _keeps_hyphen(cut[1], continuation[0], words)
            first, second = _moved(first, second, keep)
            joined[this], joined[following] = (first, False), (second, False)
    return [part for part in joined if len(part[0].codes)]


def _keeps_hyphen(first: str, second: str, words: Counter[str]) -> bool:
    """Whether the hyphen stays: unless the joined word is more frequent in the document."""
    joined, hyphenated = (first + second).lower(), f"{first}-{second}".lower()
    return not (second[:1].islower() and words[joined] > words[hyphenated])


def _moved(first: Line, second: Line, keep_hyphen: bool) -> tuple[Line, Line]:
    """Move the end of the word, up to the next space, from the second line to the first."""
    end = second.text.find(" ")
    end = len(second.codes) if end < 0 else end
    stem = len(first.codes) - (0 if keep_hyphen else 1)
    moved = replace(
        first,
        codes=np.concatenate((first.codes[:stem], second.codes[:end])),
        boxes=np.concatenate((first.boxes[:stem], second.boxes[:end])),
    )
    return moved, replace(second, codes=second.codes[end + 1 :], boxes=second.boxes[end + 1 :])
