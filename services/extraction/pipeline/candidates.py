"""Propose candidates of all lengths; the ranking chooses among them later.

For clause categories these are runs of one to eight possible sentences, whole and trimmed, and runs
of likely tokens. For the short categories (names, dates) they are runs of likely tokens, and
matches of patterns near them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from services.extraction.pipeline.intervals import cut, runs_above
from services.extraction.pipeline.patterns import Kind, patterns

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

LENGTHS = (1, 2, 3, 4, 5, 6, 8)  # sentences in a run
TRIMS = (0.1, 0.35)  # tokens at the ends are cut below this share of the run's best
RUNS = ((0.02, 0.1), (0.02, 0.3), (0.02, 0.6), (0.1, 0.0), (0.3, 0.0), (0.5, 0.0))
"""A run of tokens is above the first, and keeps tokens above this share of its best."""
FLOOR = 0.02  # a label has candidates only if a token is above this
HOT = 2 * FLOOR  # a possible sentence has a token above this ...
WARM = FLOOR / 4  # ... and this mean


class Source(IntEnum):
    """Why a candidate was proposed; higher numbers are kinds of pattern."""

    SENTENCES = 0
    TRIMMED = 1
    TOKENS = 2


SOURCES = len(Source) + len(Kind)


@dataclass(frozen=True)
class Candidates:
    """N candidates, each for one label; ordered by label, first and end token, without repeats."""

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
        offsets: of its tokens, code points [T, 2].
        probabilities: of every label for every token [T, labels].
        cuts: the first token of every sentence, and then T [sentences + 1].
        entities: labels that are a name or a date instead of sentences, with their patterns.
    """
    rows = np.concatenate(
        [
            *_sentence_runs(probabilities, cuts, list(entities)),
            *_token_runs(probabilities),
            _patterns(text, offsets, probabilities, entities),
        ]
    )
    size = len(offsets) + 1
    keys, which = np.unique(
        (rows[:, 0] * size + rows[:, 1]) * size + rows[:, 2], return_inverse=True
    )
    label, first, end = keys // size**2, keys // size % size, keys % size
    sources = np.zeros((len(keys), SOURCES), bool)
    sources[which, rows[:, 3]] = True
    return Candidates(
        label,
        first,
        end,
        np.searchsorted(cuts, first, side="right") - 1,
        np.searchsorted(cuts, end - 1, side="right"),
        sources,
    )


def _sentence_runs(
    probabilities: Floats, cuts: Integers, entities: Sequence[int]
) -> Iterable[Integers]:
    highest = np.maximum.reduceat(probabilities, cuts[:-1], axis=0)
    means = np.add.reduceat(probabilities, cuts[:-1], axis=0) / np.diff(cuts)[:, None]
    possible = (highest > HOT) & (means > WARM)
    possible[:, entities] = False
    count, tokens = len(possible), len(probabilities)
    by_label = np.ascontiguousarray(probabilities.T).reshape(-1)
    for length in (length for length in LENGTHS if length <= count):
        run = np.logical_and.reduce([possible[i : count - length + 1 + i] for i in range(length)])
        sentence, label = np.nonzero(run)
        first, end = cuts[sentence], cuts[sentence + length]
        yield _rows(label, first, end, Source.SENTENCES)
        best = np.max([highest[sentence + i, label] for i in range(length)], axis=0)
        before = label * tokens
        for trim in TRIMS:
            begun, done = cut(by_label, before + first, before + end, trim * best)
            yield _rows(label, begun - before, done - before, Source.TRIMMED)


def _token_runs(probabilities: Floats) -> Iterable[Integers]:
    labels = np.flatnonzero(probabilities.max(0, initial=0) > FLOOR)
    row = len(probabilities) + 1  # a zero after each label's tokens, so that no run goes on
    by_label = np.zeros((len(labels), row), np.float32)
    by_label[:, :-1] = probabilities[:, labels].T
    for least, share in RUNS:
        first, end = runs_above(by_label.reshape(-1), least, share)
        label = first // row
        yield _rows(labels[label], first - label * row, end - label * row, Source.TOKENS)


def _rows(label: Integers, first: Integers, end: Integers, source: int) -> Integers:
    """Return [N, 4]: label, first, end, source."""
    return np.column_stack([label, first, end, np.full(len(label), source)])


def _patterns(
    text: str, offsets: Integers, probabilities: Floats, entities: Mapping[int, Sequence[Kind]]
) -> Integers:
    """Return matches of patterns that have a possible token of an entity label."""
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
