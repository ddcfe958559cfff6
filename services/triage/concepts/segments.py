"""Label lines with an adapter that reads a statement as one sequence of segments.

Lines and headings follow one another, each closed by a word for the statement. All pass through the
base together, so each line sees its neighbours. A line's logits are the mean over its tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared.inference import Base
from shared.inference.adapters import AdapterManifest, load_adapter
from shared.inference.engines import Run
from shared.inference.tokeniser import CLS, SEP

CLOSING = {"balance_sheet": "balance", "income": "income", "cash_flow": "cash"}  # one token each
LONGEST = 40  # tokens of a line that are read
MOST_CHARACTERS = 2_000  # characters of a line that are tokenised

Floats = NDArray[np.float32]
Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Segments:
    """Tokens of consecutive segments: all `ids` [T], and where each segment ends [N]."""

    ids: Ids
    ends: Ids

    @classmethod
    def of(cls, pieces: Sequence[Ids]) -> Segments:
        ends = np.cumsum([len(piece) for piece in pieces], dtype=np.int64)
        return cls(np.concatenate([np.empty(0, np.int64), *pieces]), ends)

    def __len__(self) -> int:
        return len(self.ends)

    def start(self, piece: int) -> int:
        """The first token of a segment."""
        return int(self.ends[piece - 1]) if piece else 0

    def part(self, first: int, last: int) -> Segments:
        """The segments from `first` to the one before `last`."""
        begin, end = self.start(first), self.start(last)
        return Segments(self.ids[begin:end], self.ends[first:last] - begin)


def segment_windows(pieces: Segments, content: int, apart: int) -> Iterator[tuple[int, int]]:
    """Yield windows of whole segments (first, last + 1) of at most `content` tokens.

    Each window starts at the first segment that ends more than `apart` tokens after the previous
    start. A longer segment is a window alone.
    """
    first, last = 0, 0
    while last < len(pieces):
        begin = pieces.start(first)
        reach = int(np.searchsorted(pieces.ends, begin + content, side="right"))
        last = max(reach, first + 1)
        yield first, last
        behind = int(np.searchsorted(pieces.ends, begin + apart, side="right"))
        first = min(max(first + 1, behind), last)


class SegmentModel:
    """An adapter on the base. Immutable and thread-safe."""

    def __init__(self, manifest: AdapterManifest, cut: Callable[[str], Ids], run: Run) -> None:
        self.manifest = manifest
        self.cut = cut
        self._run = run

    @classmethod
    def load(cls, folder: Path, base: Base) -> SegmentModel:
        """Load the adapter in a folder `<name>/<version>`. Raises AdapterError if it is damaged, or
        made for another base."""
        manifest, adapter = load_adapter(folder, base.sha256, base.engine.adapter_inputs)
        run = base.engine.specialise(adapter)
        return cls(manifest, lambda text: base.tokeniser(text).ids, run)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the logits."""
        return self.manifest.labels

    def logits(self, pieces: Segments) -> Floats:
        """The logits of each segment [N, labels]. Overlapping windows are weighted by context."""
        content, apart = self.manifest.window_length - 2, self.manifest.window_stride
        sums = np.zeros((len(pieces), len(self.labels)), np.float32)
        weights = np.zeros((len(pieces), 1), np.float32)
        for first, last in segment_windows(pieces, content, apart):
            part = pieces.part(first, last)
            weight = _context_weights(part, first == 0, last == len(pieces), content)
            sums[first:last] += weight * self._of_window(part, content)
            weights[first:last] += weight
        means: Floats = (sums / weights).astype(np.float32)
        return means

    def _of_window(self, part: Segments, content: int) -> Floats:
        ids = np.concatenate([[CLS], part.ids[:content], [SEP]])[None]
        (logits,) = self._run(["logits"], ids)
        starts = np.concatenate([[0], part.ends[:-1]])
        lengths = np.diff(part.ends, prepend=0)[:, None]
        inside = logits[0, 1:-1]
        tokens = np.minimum(lengths, content)
        means: Floats = (np.add.reduceat(inside, starts, axis=0) / tokens).astype(np.float32)
        return means


def _context_weights(part: Segments, at_begin: bool, at_end: bool, content: int) -> Floats:
    """Tokens on the shorter side of each segment [N, 1]; the ends of the document count as full."""
    before = np.diff(part.ends, prepend=0)
    before = part.ends - before if not at_begin else np.full(len(part), content)
    behind = part.ends[-1] - part.ends if not at_end else np.full(len(part), content)
    weights: Floats = (1 + np.minimum(before, behind)).astype(np.float32)[:, None]
    return weights


def softmax(logits: Floats) -> Floats:
    """exp(x) / sum exp(x) along the last axis, without overflow."""
    odds = np.exp(logits - logits.max(-1, keepdims=True))
    shares: Floats = odds / odds.sum(-1, keepdims=True)
    return shares


def tokenise_lines(kind: str, labels: Sequence[str], cut: Callable[[str], Ids]) -> Segments:
    """Tokenise the labels of all lines of a statement, headings included; `kind` is a key of
    `CLOSING`."""
    close = cut(CLOSING[kind])
    cuts = (cut(label[:MOST_CHARACTERS])[: LONGEST - 1] for label in labels)
    return Segments.of([np.concatenate([ids, close]) for ids in cuts])
