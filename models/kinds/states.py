"""What the frozen encoder makes of some documents: the mean state of two windows of each.

    python -m models.kinds.states --data FOLDER --work var/kinds

The base as it ships, INT4, without an adapter, on one thread: a head on its states stands for an
adapter, whose training takes hours. The windows are the first one and one from the middle.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.kinds.corpus import SOME, Document, documents, drawn
from models.kinds.stretches import READS
from shared.inference.adapters import GRAPH_FILE, TOKENISER_FILE, base_folder
from shared.inference.session import Session
from shared.inference.tokeniser import CLS, SEP, Tokeniser

LENGTH = 128
"""Tokens of a window, with the two special ones."""

Floats = NDArray[np.float32]


class Encoder:
    """The base without an adapter."""

    def __init__(self, artefacts: Path) -> None:
        folder = base_folder(artefacts)
        self._session = Session(folder / GRAPH_FILE, threads=1)
        self._tokenise = Tokeniser(folder / TOKENISER_FILE)

    def states(self, text: str) -> Floats:
        """Return the mean states of the two windows of a text [2, width]."""
        ids = self._tokenise(text[:READS]).ids
        content = LENGTH - 2
        middle = max(len(ids) - content, 0) // 2
        windows = [_window(ids[start : start + content]) for start in dict.fromkeys((0, middle))]
        (hidden,) = self._session.run(["hidden"], np.stack(windows))
        means: Floats = hidden[:, 1:-1].mean(1)
        return means[[0, -1]]


def _window(ids: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[CLS], ids, [SEP]]).astype(np.int64)


def key(one: Document) -> str:
    """Return the name under which a document's states are kept."""
    return f"{one.source}/{one.name}"


def vectors(some: Sequence[Document], states: dict[str, Floats], form: str) -> Floats:
    """Return what the head is told of documents [documents, 2 * width].

    The first window beside the mean of both; of a part of a document its one window twice.
    """
    pairs = np.stack([states[key(one)] for one in some]).astype(np.float32)
    first, middle = pairs[:, 0], pairs[:, 1]
    beside = {"whole": (first, pairs.mean(1)), "beginning": (first, first)}
    return np.hstack(beside.get(form, (middle, middle)))


def main() -> None:
    """Read the command line, and write the states of the sample."""
    parser = argparse.ArgumentParser(description="Encode some documents once.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("var/kinds"))
    parser.add_argument("--artefacts", type=Path, default=Path("models/artefacts"))
    arguments = parser.parse_args()
    encoder = Encoder(arguments.artefacts)
    kept = arguments.work / "states.npz"
    known = dict(np.load(kept)) if kept.exists() else {}
    every = documents(arguments.data, arguments.work, arguments.work / "others.jsonl")
    some = drawn(every, SOME)
    for number, one in enumerate(some, 1):
        if key(one) not in known:
            known[key(one)] = encoder.states(one.text).astype(np.float16)
        if number % 20 == 0 or number == len(some):
            np.savez(kept, **known)
            print(f"{number}/{len(some)}", flush=True)


if __name__ == "__main__":
    main()
