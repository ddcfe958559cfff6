"""The resources of a process and its children, from /proc (Linux only)."""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class ResourceUsage:
    """Processor seconds, ended children included, and bytes of memory by part of the suite. Shared
    memory counts once.
    """

    parts: Mapping[str, float]
    sizes: Mapping[str, int]

    @property
    def seconds(self) -> float:
        """Total processor seconds of all parts."""
        return sum(self.parts.values())

    @property
    def memory(self) -> int:
        """Total bytes of memory of all parts."""
        return sum(self.sizes.values())


@dataclass(frozen=True)
class _Process:
    parent: int
    seconds: float
    resident: int


def usage_of(root: int) -> ResourceUsage:
    """The resources of a process and its descendants until now. Each child with its descendants is
    a part, named by its program.
    """
    known = dict(_processes())
    parts: defaultdict[str, float] = defaultdict(float)
    sizes: defaultdict[str, int] = defaultdict(int)
    for pid in known:
        line = _line(known, pid, root)
        if line:
            name = _name(line[-2] if len(line) > 1 else root, root)
            parts[name] += known[pid].seconds
            sizes[name] += _memory(pid, known[pid].resident)
    return ResourceUsage(parts, sizes)


def _processes() -> Iterator[tuple[int, _Process]]:
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended a moment ago
        seconds = sum(int(word) for word in words[11:15]) / _TICK
        yield int(path.parent.name), _Process(int(words[1]), seconds, int(words[21]) * _PAGE)


def _line(known: Mapping[int, _Process], pid: int, root: int) -> list[int]:
    """A process and its ancestors up to the root; empty if the root is no ancestor."""
    line = [pid]
    while line[-1] != root:
        parent = known.get(line[-1])
        if parent is None:
            return []
        line.append(parent.parent)
    return line


def _name(pid: int, root: int) -> str:
    """The name of a process: its module and arguments, or its program."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        words = []
    if "-m" in words[1:-1]:
        place = words.index("-m") + 1
        module = words[place].split(".")
        role = words[place + 1] if module[0] == "services" else ""
        return f"{module[-1]} {role}".strip()
    if "java" in words[0:1]:
        return "kafka"
    program = Path(words[0].split(":")[0]).name if words else ""
    return program if pid != root and program == "postgres" else "the suite's process"


def _memory(pid: int, resident: int) -> int:
    """Bytes of memory; memory that n processes share is divided by n."""
    try:
        words = Path(f"/proc/{pid}/smaps_rollup").read_text().split("\nPss:")[1].split()
    except (OSError, IndexError):
        return resident  # it has ended, or is another user's
    return int(words[0]) * 1024


@contextmanager
def memory_of(root: int, interval: float = 2.0) -> Iterator[list[Mapping[str, int]]]:
    """Measure the bytes of each part every `interval` seconds until the block ends. Yields the list
    of measurements.
    """
    seen: list[Mapping[str, int]] = []
    stop = threading.Event()

    def measure() -> None:
        while not stop.wait(interval):
            seen.append(usage_of(root).sizes)

    thread = threading.Thread(target=measure, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def course(seen: Sequence[int], pieces: int = 12) -> tuple[int, ...]:
    """The medians of `pieces` equal parts of the measurements; empty with fewer."""
    if len(seen) < pieces:
        return ()
    ends = [round(i * len(seen) / pieces) for i in range(pieces + 1)]
    return tuple(int(median(seen[a:b])) for a, b in pairwise(ends))
