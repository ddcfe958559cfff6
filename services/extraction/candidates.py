"""Which stretches of a contract might be a clause: many, of all lengths; ranking chooses later.

For clause categories these are runs of one to eight sentences that the specialist finds possible,
as they are and with unlikely ends cut off, and runs of likely tokens. For the short categories
(names, dates) runs of likely tokens, and what looks like a name or a date near them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from services.extraction.patterns import Kind, patterns

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

LENGTHS = (1, 2, 3, 4, 5, 6, 8)  # sentences in a run
TRIMS = (0.1, 0.35)  # tokens at the ends go when below this share of the run's best
RUNS = (  # a run of tokens begins above the first, and keeps what reaches this share of its best
    (0.02, 0.1),
    (0.02, 0.3),
    (0.02, 0.6),
    (0.1, 0.0),
    (0.3, 0.0),
    (0.5, 0.0),
)
FLOOR = 0.02  # a label that reaches this nowhere in a contract has no candidates
HOT = 2 * FLOOR  # a possible sentence has a token above this ...
WARM = FLOOR / 4  # ... and this mean


class Source(IntEnum):
    """How a stretch came to be proposed; the numbers after these are kinds of pattern."""

    SENTENCES = 0
    TRIMMED = 1
    TOKENS = 2


SOURCES = len(Source) + len(Kind)


@dataclass(frozen=True)
class Candidates:
    """N stretches, each for one label; ordered by label, first and end token; each once."""

    label: Integers  # [N]
    first: Integers  # [N], token
    end: Integers  # [N], token after the last
    from_sentence: Integers  # [N], of the first token
    to_sentence: Integers  # [N], after that of the last token
    sources: NDArray[np.bool_]  # [N, SOURCES]

    def __len__(self) -> int:
        return len(self.label)


def propose(
    text: str,
    offsets: Integers,
    probabilities: Floats,
    cuts: Integers,
    entities: Mapping[int, Sequence[Kind]],
) -> Candidates:
    """Propose candidates for every label.

    Args:
        text: of the contract.
        offsets: of its tokens, code points [T, 2].
        probabilities: of every label for every token [T, labels].
        cuts: the first token of every sentence, and T at last [sentences + 1].
        entities: the labels that are a name or a date rather than sentences, and what such a
            thing looks like.
    """
    rows = np.concatenate(
        [
            *_sentence_runs(probabilities, cuts, list(entities)),
            _token_runs(probabilities),
            _patterns(text, offsets, probabilities, entities),
        ]
    )
    spans, which = np.unique(rows[:, :3], axis=0, return_inverse=True)
    sources = np.zeros((len(spans), SOURCES), bool)
    sources[which.reshape(-1), rows[:, 3]] = True
    label, first, end = np.ascontiguousarray(spans.T)
    return Candidates(
        label,
        first,
        end,
        np.searchsorted(cuts, first, side="right") - 1,
        np.searchsorted(cuts, end - 1, side="right"),
        sources,
    )


def _rows(spans: Iterable[tuple[int, int, int]], source: int) -> Integers:
    """Return [N, 4]: label, first, end, source."""
    table = np.array(list(spans), np.int64).reshape(-1, 3)
    return np.column_stack([table, np.full(len(table), source)])


def _sentence_runs(
    probabilities: Floats, cuts: Integers, entities: Sequence[int]
) -> Iterable[Integers]:
    """Yield runs of possible sentences, whole and trimmed."""
    highest = np.maximum.reduceat(probabilities, cuts[:-1], axis=0)
    means = np.add.reduceat(probabilities, cuts[:-1], axis=0) / np.diff(cuts)[:, None]
    possible = (highest > HOT) & (means > WARM)
    possible[:, entities] = False
    count = len(possible)
    for length in (length for length in LENGTHS if length <= count):
        run = np.logical_and.reduce([possible[i : count - length + 1 + i] for i in range(length)])
        sentence, label = np.nonzero(run)
        first, end = cuts[sentence], cuts[sentence + length]
        yield np.column_stack([label, first, end, np.full(len(label), Source.SENTENCES)])
        best = np.max([highest[sentence + i, label] for i in range(length)], axis=0)
        for trim in TRIMS:
            yield _trimmed(probabilities, label, first, end, trim * best)


def _trimmed(
    probabilities: Floats, label: Integers, first: Integers, end: Integers, least: Floats
) -> Integers:
    """Cut the tokens below `least` off both ends of each stretch."""
    spans = []
    for c, a, b, floor in zip(label.tolist(), first.tolist(), end.tolist(), least, strict=True):
        likely = probabilities[a:b, c] >= floor
        spans.append((c, a + int(likely.argmax()), b - int(likely[::-1].argmax())))
    return _rows(spans, Source.TRIMMED)


def _token_runs(probabilities: Floats) -> Integers:
    """Return runs of likely tokens of every label."""
    spans = []
    highest = probabilities.max(0, initial=0)
    for label in np.flatnonzero(highest > FLOOR).tolist():
        values = np.ascontiguousarray(probabilities[:, label])
        for least, share in RUNS:
            if highest[label] > least:
                for first, end in stretches(values > least):
                    inside = values[first:end]
                    kept = (
                        stretches(inside >= share * inside.max()) if share else [(0, end - first)]
                    )
                    spans += [(label, first + a, first + b) for a, b in kept]
    return _rows(spans, Source.TOKENS)


def stretches(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return [first, end) of every stretch of true flags."""
    edges = np.flatnonzero(np.diff(flags, prepend=False, append=False)).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))


def _patterns(
    text: str,
    offsets: Integers,
    probabilities: Floats,
    entities: Mapping[int, Sequence[Kind]],
) -> Integers:
    """Return what looks like a name or a date and has a possible token of an entity label."""
    kind, start, stop = np.array(list(patterns(text)), np.int64).reshape(-1, 3).T
    first = np.searchsorted(offsets[:, 1], start, side="right")
    end = np.maximum(np.searchsorted(offsets[:, 0], stop, side="left"), first)
    rows = [np.empty((0, 4), np.int64)]
    for label, kinds in entities.items():
        possible = np.concatenate([[0], np.cumsum(probabilities[:, label] > FLOOR)])
        near = np.isin(kind, kinds) & (possible[end] > possible[first])
        columns = np.full(int(near.sum()), label), first[near], end[near], kind[near] + len(Source)
        rows.append(np.column_stack(columns))
    return np.concatenate(rows)
