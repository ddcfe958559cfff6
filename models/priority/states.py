"""What the frozen base makes of every clause that is shown.

    python -m models.priority.states --data FOLDER --work var/priority

The base as it ships, INT4, without an adapter, on one thread: the mean state of the clause's tokens
beside that of a window around it. A contract whose clauses are kept already is not read again.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.corpus import read_records
from models.priority.simulation import Queue, queues
from shared.inference.adapters import GRAPH_FILE, TOKENISER_FILE, base_folder
from shared.inference.session import Session
from shared.inference.tokeniser import CLS, SEP, Tokeniser

LENGTH = 128
"""Tokens of a window, with the two special ones."""
AT_ONCE = 16
"""Windows in one run of the base."""
WORK = Path("var/priority")

Floats = NDArray[np.float32]
Places = NDArray[np.int64]


def window_of(first: int, end: int, tokens: int, room: int = LENGTH - 2) -> tuple[int, int]:
    """Return the tokens [start, stop) around a clause of tokens [first, end), it in their middle.

    Of a clause that has no room its beginning is read. At the ends of a text the window lies inside
    it, so all windows of a text are of one length.
    """
    spare = max(room - (end - first), 0)
    start = max(min(first - spare // 2, tokens - room), 0)
    return start, min(start + room, tokens)


def tokens_of(spans: Places, offsets: Places) -> Places:
    """Return which tokens [first, end) lie over spans of code points [N, 2]; at least one each."""
    first = np.searchsorted(offsets[:, 1], spans[:, 0], side="right")
    first = np.minimum(first, len(offsets) - 1)
    end = np.searchsorted(offsets[:, 0], spans[:, 1], side="left")
    return np.stack([first, np.maximum(end, first + 1)], 1)


class Encoder:
    """The base without an adapter."""

    def __init__(self, artefacts: Path) -> None:
        folder = base_folder(artefacts)
        self._session = Session(folder / GRAPH_FILE, threads=1)
        self._tokenise = Tokeniser(folder / TOKENISER_FILE)

    def states(self, text: str, spans: Places) -> Floats:
        """Return the mean states of spans and of the windows around them [N, 2 * width]."""
        tokens = self._tokenise(text)
        at = tokens_of(spans, tokens.offsets).tolist()
        found: list[Floats] = []
        for begin in range(0, len(at), AT_ONCE):
            some = at[begin : begin + AT_ONCE]
            windows = [window_of(first, end, len(tokens.ids)) for first, end in some]
            ids = [[CLS, *tokens.ids[start:stop].tolist(), SEP] for start, stop in windows]
            (hidden,) = self._session.run(["hidden"], np.array(ids, np.int64))
            for row, (start, _), (first, end) in zip(hidden, windows, some, strict=True):
                own = row[1:-1][first - start : end - start]
                found.append(np.concatenate([own.mean(0), row[1:-1].mean(0)]))
        return np.stack(found)


def spans_of(queue: Queue) -> Places:
    """Return where the clauses of a contract stand [N, 2], in code points."""
    return np.array([(clause.start, clause.end) for clause in queue.clauses], np.int64)


def read(folder: Path, queue: Queue) -> Floats | None:
    """Return the states of a contract's clauses [N, 2 * width]; None unless those are kept."""
    path = folder / f"{queue.id}.npz"
    if not path.exists():
        return None
    with np.load(path) as kept:
        same = np.array_equal(kept["spans"], spans_of(queue))
        return kept["states"].astype(np.float32) if same else None


def read_all(folder: Path, some: Sequence[Queue]) -> list[Floats]:
    """Return the states of every contract's clauses.

    Raises:
        SystemExit: some are missing.
    """
    found = [read(folder, queue) for queue in some]
    states = [one for one in found if one is not None]
    if len(states) < len(found):
        raise SystemExit(f"{folder} lacks contracts: run python -m models.priority.states")
    return states


def keep(folder: Path, queue: Queue, states: Floats) -> None:
    """Write states so that a stop leaves a whole file or none."""
    partial = folder / f"{queue.id}.partial"
    with partial.open("wb") as out:
        np.savez(out, spans=spans_of(queue), states=states.astype(np.float16))
    partial.replace(folder / f"{queue.id}.npz")


def main() -> None:
    """Read the command line, and write the states of every contract's clauses."""
    parser = argparse.ArgumentParser(description="Encode the clauses that are shown, once.")
    parser.add_argument("--data", type=Path, required=True, help="folder of the corpora")
    parser.add_argument("--specialist", type=Path, default=Path("models/contract-clauses"))
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--artefacts", type=Path, default=Path("models/artefacts"))
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    config = tomllib.loads((arguments.specialist / "config.toml").read_text(encoding="utf-8"))
    texts = {one["id"]: one["text"] for one in read_records(arguments.data, config["data"])}
    some = list(queues(arguments.data, arguments.specialist))
    encoder = Encoder(arguments.artefacts)
    for number, queue in enumerate(some, 1):
        if read(arguments.work, queue) is None:
            keep(arguments.work, queue, encoder.states(texts[queue.id], spans_of(queue)))
        print(f"{number} of {len(some)} contracts encoded", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
