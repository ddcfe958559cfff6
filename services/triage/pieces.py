"""How the adapter reads a statement: its labels in a row, and one concept for each of them.

The lines follow one another, headings among them, each closed by one word that says which statement
it is. All go through the base together, so that each is read with its neighbours; what a line is
taken for is the mean of what its tokens say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared.inference import Base
from shared.inference.adapters import Manifest, load_adapter
from shared.inference.engines import Run
from shared.inference.tokeniser import CLS, SEP

CLOSING = {"balance_sheet": "balance", "income": "income", "cash_flow": "cash"}
"""The word that closes a line: one token each in the base that ships."""
LONGEST = 40
"""Tokens of a line that are read; what is longer is mostly a note in brackets."""
MOST_CHARACTERS = 2_000
"""Characters of a line that are cut into tokens: a page can have millions in a row."""

Floats = NDArray[np.float32]
Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Pieces:
    """Pieces as tokens: the `ids` [T] of all of them, and where each ends [N]."""

    ids: Ids
    ends: Ids

    @classmethod
    def of(cls, pieces: Sequence[Ids]) -> Pieces:
        """Put the tokens of pieces in a row."""
        ends = np.cumsum([len(piece) for piece in pieces], dtype=np.int64)
        return cls(np.concatenate([np.empty(0, np.int64), *pieces]), ends)

    def __len__(self) -> int:
        """How many pieces."""
        return len(self.ends)

    def start(self, piece: int) -> int:
        """The first token of a piece."""
        return int(self.ends[piece - 1]) if piece else 0

    def part(self, first: int, last: int) -> Pieces:
        """The pieces from the first to the one before the last."""
        begin, end = self.start(first), self.start(last)
        return Pieces(self.ids[begin:end], self.ends[first:last] - begin)


def stretches(pieces: Pieces, content: int, apart: int) -> Iterator[tuple[int, int]]:
    """Yield stretches of whole pieces, first and last + 1, of at most `content` tokens each.

    The first piece of a stretch is the first that ends more than `apart` tokens behind the
    beginning of the stretch before. A piece of more than `content` tokens is a stretch by itself.
    """
    first, last = 0, 0
    while last < len(pieces):
        begin = pieces.start(first)
        reach = int(np.searchsorted(pieces.ends, begin + content, side="right"))
        last = max(reach, first + 1)
        yield first, last
        behind = int(np.searchsorted(pieces.ends, begin + apart, side="right"))
        first = min(max(first + 1, behind), last)


class PieceReader:
    """One such adapter on the base. Immutable; safe to use from several threads at once."""

    def __init__(self, manifest: Manifest, cut: Callable[[str], Ids], run: Run) -> None:
        """Take an adapter that was verified, what cuts text into token ids, and what runs it."""
        self.manifest = manifest
        self.cut = cut
        self._run = run

    @classmethod
    def load(cls, folder: Path, base: Base) -> PieceReader:
        """Load the adapter in a folder `<name>/<version>` onto a base.

        Raises AdapterError if it is damaged, or made for another base.
        """
        manifest, adapter = load_adapter(folder, base.sha256, base.engine.doors)
        run = base.engine.specialise(adapter)
        return cls(manifest, lambda text: base.tokeniser(text).ids, run)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the logits."""
        return self.manifest.labels

    def logits(self, pieces: Pieces) -> Floats:
        """What is said of each piece [N, labels]; where windows overlap, most by the one that has
        most tokens on both of its sides.
        """
        content, apart = self.manifest.window_length - 2, self.manifest.window_stride
        sums = np.zeros((len(pieces), len(self.labels)), np.float32)
        weights = np.zeros((len(pieces), 1), np.float32)
        for first, last in stretches(pieces, content, apart):
            part = pieces.part(first, last)
            weight = _room(part, first == 0, last == len(pieces), content)
            sums[first:last] += weight * self._of_window(part, content)
            weights[first:last] += weight
        means: Floats = (sums / weights).astype(np.float32)
        return means

    def _of_window(self, part: Pieces, content: int) -> Floats:
        ids = np.concatenate([[CLS], part.ids[:content], [SEP]])[None]
        (said,) = self._run(["logits"], ids)
        starts = np.concatenate([[0], part.ends[:-1]])
        lengths = np.diff(part.ends, prepend=0)[:, None]
        inside = said[0, 1:-1]
        tokens = np.minimum(lengths, content)
        means: Floats = (np.add.reduceat(inside, starts, axis=0) / tokens).astype(np.float32)
        return means


def _room(part: Pieces, at_begin: bool, at_end: bool, content: int) -> Floats:
    """Tokens on the side of each piece [N, 1] that has fewer; an end of the whole is no edge."""
    before = np.diff(part.ends, prepend=0)
    before = part.ends - before if not at_begin else np.full(len(part), content)
    behind = part.ends[-1] - part.ends if not at_end else np.full(len(part), content)
    room: Floats = (1 + np.minimum(before, behind)).astype(np.float32)[:, None]
    return room


def softmax(logits: Floats) -> Floats:
    """Return exp(x) / sum exp(x) along the last axis, without overflow."""
    odds = np.exp(logits - logits.max(-1, keepdims=True))
    shares: Floats = odds / odds.sum(-1, keepdims=True)
    return shares


def written(kind: str, labels: Sequence[str], cut: Callable[[str], Ids]) -> Pieces:
    """Write down the labels of a statement, of rows and headings alike, in their order.

    Args:
        kind: of the statement, one of `CLOSING`.
        labels: of its rows.
        cut: cuts a text into token ids.
    """
    close = cut(CLOSING[kind])
    cuts = (cut(label[:MOST_CHARACTERS])[: LONGEST - 1] for label in labels)
    return Pieces.of([np.concatenate([ids, close]) for ids in cuts])
