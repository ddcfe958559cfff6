"""Progress on standard error: one changing line on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

from shared.cli.lines import plain

_INTERVAL = 0.1
_QUIET_SECONDS, _QUIET_FILES = 10.0, 10
"""Without a terminal, a line comes after this long or this many files, whichever is first."""


class Progress:
    """How many of how many, and the file in hand.

    On a terminal it is one line, written over and over. Elsewhere, as in a log, there is a new
    line each 10 seconds or 10 files, and none for a few files that are done sooner.

    Args:
        total: how many files there are.
        stream: where it is shown; standard error if none is given.
        clock: in seconds.
    """

    def __init__(
        self,
        total: int,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.total = total
        self._clock = clock
        self.done = 0
        self._stream = stream or sys.stderr
        self._shows = self._stream.isatty()
        self._began = self._written = clock()
        self._logged = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.clear()

    def at(self, name: str) -> None:
        """Say which file is in hand."""
        now = self._clock()
        if self._shows:
            if now - self._written > _INTERVAL or not self.done:
                width = shutil.get_terminal_size().columns - 1
                self._write(f"\r\x1b[K{self._line(name, now)[:width]}", now)
        elif now - self._written >= _QUIET_SECONDS or self.done - self._logged >= _QUIET_FILES:
            self._logged = self.done
            self._write(f"smallprint: {self._line(name, now)}\n", now)

    def step(self) -> None:
        """One more file is done."""
        self.done += 1

    def clear(self) -> None:
        """Take the line away, before something else is written there."""
        if self._shows:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def _line(self, name: str, now: float) -> str:
        return f"{self.done + 1}/{self.total}{self._left(now)}  {plain(name)}"

    def _write(self, text: str, now: float) -> None:
        self._written = now
        self._stream.write(text)
        self._stream.flush()

    def reached(self, done: int) -> None:
        """So many are done."""
        self.done = done

    def _left(self, now: float) -> str:
        if self.done < 3:
            return ""
        seconds = (now - self._began) / self.done * (self.total - self.done)
        return f"  about {seconds / 60:.0f} min left" if seconds > 90 else f"  {seconds:.0f} s left"


class Stages:
    """The progress of one long work in stages, each with a count of its own."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._stage = ""
        self._progress = Progress(0, stream)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.clear()

    def at(self, stage: str, done: int, total: int) -> None:
        """Say what is being done, and how much of it is done."""
        if stage != self._stage:
            self._progress.clear()
            self._stage, self._progress = stage, Progress(total, self._stream)
        self._progress.reached(done)
        if done < total:
            self._progress.at(stage)
