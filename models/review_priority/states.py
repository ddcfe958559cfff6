"""Encode every shown clause with the frozen base.

    python -m models.review_priority.states --data FOLDER --work var/priority

The base is the INT4 one without an adapter, on one thread. Stored are the mean states of the
clause's tokens and of a window around it. Contracts that are stored already are skipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.base.frozen import FrozenBase
from models.corpus import read_records
from models.files import command, folder_of, read_config, say
from models.review_priority.simulation import Queue, queues

LENGTH = 128
"""Tokens of a window, with the two special ones."""
AT_ONCE = 16
"""Windows in one run of the base."""

Floats = NDArray[np.float32]
Places = NDArray[np.int64]


def window_of(first: int, end: int, tokens: int, length: int = LENGTH - 2) -> tuple[int, int]:
    """Return the tokens [start, stop) around a clause of tokens [first, end), centred on it.

    A longer clause is cut at its end. At the ends of a text the window stays inside it, so all
    windows of a text have one length.
    """
    spare = max(length - (end - first), 0)
    start = max(min(first - spare // 2, tokens - length), 0)
    return start, min(start + length, tokens)


def tokens_of(spans: Places, offsets: Places) -> Places:
    """Return the tokens [first, end) of spans of code points [N, 2]; at least one each."""
    first = np.searchsorted(offsets[:, 1], spans[:, 0], side="right")
    first = np.minimum(first, len(offsets) - 1)
    end = np.searchsorted(offsets[:, 0], spans[:, 1], side="left")
    return np.stack([first, np.maximum(end, first + 1)], 1)


def states_of(base: FrozenBase, text: str, spans: Places) -> Floats:
    """Return the mean states of spans and of the windows around them [N, 2 * width]."""
    tokens = base.tokenise(text)
    at = tokens_of(spans, tokens.offsets).tolist()
    result: list[Floats] = []
    for begin in range(0, len(at), AT_ONCE):
        some = at[begin : begin + AT_ONCE]
        windows = [window_of(first, end, len(tokens.ids)) for first, end in some]
        states = base.states(tokens.ids[start:stop] for start, stop in windows)
        for row, (start, _), (first, end) in zip(states, windows, some, strict=True):
            result.append(np.concatenate([row[first - start : end - start].mean(0), row.mean(0)]))
    return np.stack(result)


def spans_of(queue: Queue) -> Places:
    """Return the spans of a contract's clauses [N, 2], in code points."""
    return np.array([(clause.start, clause.end) for clause in queue.clauses], np.int64)


def read(folder: Path, queue: Queue) -> Floats | None:
    """Return the stored states of a contract's clauses [N, 2 * width], or None."""
    path = folder / f"{queue.id}.npz"
    if not path.exists():
        return None
    with np.load(path) as arrays:
        same = np.array_equal(arrays["spans"], spans_of(queue))
        return arrays["states"].astype(np.float32) if same else None


def read_all(folder: Path, some: Sequence[Queue]) -> list[Floats]:
    """Return the states of every contract's clauses. Raises SystemExit if some are missing."""
    result = [read(folder, queue) for queue in some]
    states = [entry for entry in result if entry is not None]
    if len(states) < len(result):
        raise SystemExit(f"{folder} lacks contracts: run python -m models.review_priority.states")
    return states


def keep(folder: Path, queue: Queue, states: Floats) -> None:
    """Write states, as a whole file or not at all."""
    partial = folder / f"{queue.id}.partial"
    with partial.open("wb") as out:
        np.savez(out, spans=spans_of(queue), states=states.astype(np.float16))
    partial.replace(folder / f"{queue.id}.npz")


def main() -> None:
    """Read the command line, and write the states of all contracts."""
    parser = command(__doc__, "--data", "--artefacts")
    parser.add_argument("--work", type=Path, default=Path("var/priority"))
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    specialist = folder_of("contract-clauses")
    records = read_records(arguments.data, read_config(specialist)["data"])
    texts = {record["id"]: record["text"] for record in records}
    some = list(queues(arguments.data, specialist))
    base = FrozenBase(arguments.artefacts)
    for number, queue in enumerate(some, 1):
        if read(arguments.work, queue) is None:
            keep(arguments.work, queue, states_of(base, texts[queue.id], spans_of(queue)))
        say(f"{number} of {len(some)} contracts encoded")


if __name__ == "__main__":
    main()
