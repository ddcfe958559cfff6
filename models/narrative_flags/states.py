"""Encode every labelled sentence with the frozen base.

    python -m models.narrative_flags.states --data FOLDER --work var/flags

The base is the INT4 one without an adapter, on one thread. Stored are the mean state of the
sentence and that of its keyword.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.base.frozen import FrozenBase
from models.files import command
from models.narrative_flags.corpus import Sentence, learned, read
from services.triage.narrative.keywords import BY_NAME

LENGTH = 256
"""Tokens of a sentence, with the two special ones."""
FILE = "states.npz"


def keyword_tokens(sentence: Sentence, offsets: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return the indices of the keyword's tokens; all tokens if there is none."""
    result = np.zeros(len(offsets), bool)
    for keyword in BY_NAME[sentence.family].keyword.finditer(sentence.text):
        result |= (offsets[:, 0] < keyword.end()) & (offsets[:, 1] > keyword.start())
    return result if result.any() else np.ones(len(offsets), bool)


def main() -> None:
    """Read the command line, and write the states [2 * width] by sentence id."""
    parser = command(__doc__, "--data", "--artefacts")
    parser.add_argument("--work", type=Path, default=Path("var/flags"))
    arguments = parser.parse_args()
    base = FrozenBase(arguments.artefacts)
    every = read(arguments.data)
    families = learned(every)
    states: dict[str, Any] = {}
    for sentence in every:
        if sentence.family not in families:
            continue
        tokens = base.tokenise(sentence.text)
        (inner,) = base.states([tokens.ids[: LENGTH - 2]])
        own = keyword_tokens(sentence, tokens.offsets[: LENGTH - 2])
        states[sentence.id] = np.concatenate([inner.mean(0), inner[own].mean(0)]).astype(np.float16)
    arguments.work.mkdir(parents=True, exist_ok=True)
    np.savez(arguments.work / FILE, **states)
    print(f"{len(states)} sentences")


if __name__ == "__main__":
    main()
