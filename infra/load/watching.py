"""What a process and all its children take of the machine, read from /proc (Linux only)."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Taken:
    """Seconds of processor time since they began, children that have ended included; and bytes
    resident now, shared ones counted once for each process.
    """

    seconds: float
    resident: int


def taken_by(root: int) -> Taken:
    """What a process and those below it have taken so far."""
    known: dict[int, tuple[int, float, int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended a moment ago
        ticks = sum(int(word) for word in words[11:15])
        known[int(path.parent.name)] = int(words[1]), ticks / _TICK, int(words[21]) * _PAGE
    below = {root}
    while more := {pid for pid, (parent, *_) in known.items() if parent in below} - below:
        below |= more
    mine = [known[pid] for pid in below if pid in known]
    return Taken(sum(one[1] for one in mine), sum(one[2] for one in mine))


@contextmanager
def resident_of(root: int, interval: float = 2.0) -> Iterator[list[int]]:
    """Look at the resident bytes every so many seconds until the block ends; yields what was seen
    so far.
    """
    seen: list[int] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(interval):
            seen.append(taken_by(root).resident)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()
