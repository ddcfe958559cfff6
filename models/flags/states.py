"""What the frozen encoder makes of every labelled sentence: python -m models.flags.states.

    python -m models.flags.states --data FOLDER --work var/flags

The base as it ships, INT4, without an adapter, on one thread: the mean state of the sentence beside
the mean state of its keyword.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.flags.corpus import Sentence, learned, read
from services.triage.narrative.gate import BY_NAME
from shared.inference.adapters import GRAPH_FILE, TOKENISER_FILE, base_folder
from shared.inference.session import Session
from shared.inference.tokeniser import CLS, SEP, Tokeniser

LENGTH = 256
"""Tokens of a sentence, with the two special ones."""
FILE = "states.npz"


def keyword_tokens(sentence: Sentence, offsets: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which tokens are of a keyword; all of them if none is."""
    found = np.zeros(len(offsets), bool)
    for keyword in BY_NAME[sentence.family].keyword.finditer(sentence.text):
        found |= (offsets[:, 0] < keyword.end()) & (offsets[:, 1] > keyword.start())
    return found if found.any() else np.ones(len(offsets), bool)


def main() -> None:
    """Read the command line, and write the states [2 * width] by the sentences' ids."""
    parser = argparse.ArgumentParser(description="Encode the labelled sentences once.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("var/flags"))
    parser.add_argument("--artefacts", type=Path, default=Path("models/artefacts"))
    arguments = parser.parse_args()
    folder = base_folder(arguments.artefacts)
    session = Session(folder / GRAPH_FILE, threads=1)
    tokenise = Tokeniser(folder / TOKENISER_FILE)
    every = read(arguments.data)
    families = learned(every)
    states: dict[str, Any] = {}
    for one in every:
        if one.family not in families:
            continue
        tokens = tokenise(one.text)
        ids, offsets = tokens.ids[: LENGTH - 2], tokens.offsets[: LENGTH - 2]
        window = np.concatenate([[CLS], ids, [SEP]]).astype(np.int64)[None]
        (hidden,) = session.run(["hidden"], window)
        inner = hidden[0, 1:-1]
        own = keyword_tokens(one, offsets)
        states[one.id] = np.concatenate([inner.mean(0), inner[own].mean(0)]).astype(np.float16)
    arguments.work.mkdir(parents=True, exist_ok=True)
    np.savez(arguments.work / FILE, **states)
    print(f"{len(states)} sentences")


if __name__ == "__main__":
    main()
