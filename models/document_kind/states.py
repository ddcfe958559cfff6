"""Encode some documents with the frozen base: the mean states of two windows.

    python -m models.document_kind.states --data FOLDER --work var/kinds

The base is the INT4 one without an adapter, on one thread. A head on its states replaces an
adapter, whose training takes hours. The windows are the first one and one from the middle.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.base.frozen import FrozenBase
from models.document_kind.corpus import READS, SOME, Document, documents, drawn
from models.files import command

LENGTH = 128
"""Tokens of a window, with the two special ones."""

Floats = NDArray[np.float32]


def states_of(base: FrozenBase, text: str) -> Floats:
    """Return the mean states of the two windows of a text [2, width]."""
    ids = base.tokenise(text[:READS]).ids
    content = LENGTH - 2
    middle = max(len(ids) - content, 0) // 2
    windows = [ids[start : start + content] for start in dict.fromkeys((0, middle))]
    means: Floats = base.states(windows).mean(1)
    return means[[0, -1]]


def key(document: Document) -> str:
    """Return the name under which a document's states are stored."""
    return f"{document.source}/{document.name}"


def vectors(some: Sequence[Document], states: dict[str, Floats], form: str) -> Floats:
    """Return the features of the head [documents, 2 * width].

    The first window and the mean of both; for a part of a document its one window twice.
    """
    pairs = np.stack([states[key(document)] for document in some]).astype(np.float32)
    first, middle = pairs[:, 0], pairs[:, 1]
    parts = {"whole": (first, pairs.mean(1)), "beginning": (first, first)}
    return np.hstack(parts.get(form, (middle, middle)))


def main() -> None:
    """Read the command line, and write the states of the sample."""
    parser = command(__doc__, "--data", "--artefacts")
    parser.add_argument("--work", type=Path, default=Path("var/kinds"))
    arguments = parser.parse_args()
    base = FrozenBase(arguments.artefacts)
    target = arguments.work / "states.npz"
    stored = dict(np.load(target)) if target.exists() else {}
    every = documents(arguments.data, arguments.work, arguments.work / "others.jsonl")
    some = drawn(every, SOME)
    for number, document in enumerate(some, 1):
        if key(document) not in stored:
            stored[key(document)] = states_of(base, document.text).astype(np.float16)
        if number % 20 == 0 or number == len(some):
            np.savez(target, **stored)
            print(f"{number}/{len(some)}", flush=True)


if __name__ == "__main__":
    main()
