"""The vectors of the frozen encoder for every token of the examples, in a file.

The file has no name, so it disappears with the process.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.extraction.pipeline.decoding import sentences, token_cuts
from services.extraction.teaching.examples import BadExamples, Example
from shared.inference import Specialist

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]
ReportProgress = Callable[[str, int, int], None]
"""Is called with (description, steps done, steps in total)."""


@dataclass(frozen=True)
class EncodedExample:
    """One example as tokens."""

    example: Example
    place: slice  # of its tokens among those of all examples
    offsets: Integers  # [tokens, 2], code points
    cuts: Integers  # first tokens of its sentences, and the number of tokens


@dataclass(frozen=True)
class EncoderStates:
    """All encoded examples."""

    reads: Sequence[EncodedExample]
    vectors: NDArray[np.float16]  # [tokens, width], in a file
    inside: Flags  # [tokens]: whether it is in a passage


def read_states(
    examples: Sequence[Example], encoder: Specialist, tell: ReportProgress
) -> EncoderStates:
    """Run the encoder of a specialist on every example, as it is served.

    Raises:
        BadExamples: a passage has no token.
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
            reads.append(EncodedExample(example, slice(place, place + count), scores.offsets, cuts))
            flags.append(_inside(example, scores.offsets))
            place += count
        tell("reading the examples", len(examples), len(examples))
        file.flush()
        vectors = np.memmap(file, np.float16, "r", shape=(place, width))
    return EncoderStates(reads, vectors, np.concatenate(flags))


def _inside(example: Example, offsets: Integers) -> Flags:
    """Whether each token touches a passage [tokens]."""
    inside = np.zeros(len(offsets), bool)
    starts, ends = offsets.T
    for start, end in example.spans:
        first = int(np.searchsorted(ends, start, side="right"))
        last = int(np.searchsorted(starts, end, side="left"))
        if first >= last:
            raise BadExamples(f"line {example.line}: span {start}-{end} has no readable word")
        inside[first:last] = True
    return inside
