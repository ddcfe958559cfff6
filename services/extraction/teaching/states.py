"""What the frozen encoder makes of the examples: a vector for every token, kept in a file.

The file has no name, so it is gone with the process, however that ends.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.extraction.decoding import sentences, token_cuts
from services.extraction.teaching.examples import BadExamples, Example
from shared.inference import Specialist

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]
Tell = Callable[[str, int, int], None]
"""Is told (what is being done, how much of it is done, how much there is)."""


@dataclass(frozen=True)
class Read:
    """One example as tokens."""

    example: Example
    place: slice  # of its tokens among all
    offsets: Integers  # [tokens, 2], code points
    cuts: Integers  # first tokens of its sentences, and the number of tokens


@dataclass(frozen=True)
class States:
    """All examples as the encoder sees them."""

    reads: Sequence[Read]
    vectors: NDArray[np.float16]  # [tokens, width], in a file
    inside: Flags  # [tokens]: is it in a passage?


def read_states(examples: Sequence[Example], encoder: Specialist, tell: Tell) -> States:
    """Send every example through the encoder of a specialist, as served texts go.

    Raises:
        BadExamples: a passage has no token of its own.
    """
    with tempfile.TemporaryFile(prefix="smallprint-") as file:
        reads, flags, place, width = [], [], 0, 0
        for number, example in enumerate(examples):
            tell("reading the examples", number, len(examples))
            scores = encoder.token_probabilities(example.text, with_hidden=True)
            count = len(scores.offsets)
            if scores.hidden is not None and count:
                scores.hidden.astype(np.float16).tofile(file)
                width = scores.hidden.shape[1]
            cuts = token_cuts(sentences(example.text), scores.offsets)
            reads.append(Read(example, slice(place, place + count), scores.offsets, cuts))
            flags.append(_inside(example, scores.offsets))
            place += count
        tell("reading the examples", len(examples), len(examples))
        file.flush()
        vectors = np.memmap(file, np.float16, "r", shape=(place, width))
    return States(reads, vectors, np.concatenate(flags))


def _inside(example: Example, offsets: Integers) -> Flags:
    """Say of each token whether it touches a passage."""
    inside = np.zeros(len(offsets), bool)
    starts, ends = offsets.T
    for start, end in example.spans:
        first = int(np.searchsorted(ends, start, side="right"))
        last = int(np.searchsorted(starts, end, side="left"))
        if first >= last:
            raise BadExamples(
                f"line {example.line}: span {start}-{end} has no word in it that can be read"
            )
        inside[first:last] = True
    return inside
