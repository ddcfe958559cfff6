"""What a process and all its children take of the machine, read from /proc (Linux only)."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

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


@dataclass
class Memory:
    """Looks at the resident bytes every so often, in a thread of its own. Use it in a `with`."""

    root: int
    interval: float = 2.0
    seen: list[int] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(self.interval):
            self.seen.append(taken_by(self.root).resident)
