"""Progress on standard error, where that is a terminal; silence elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from types import TracebackType
from typing import Self, TextIO

from shared.cli.lines import plain

_INTERVAL = 0.1


class Progress:
    """One line that is written over and over: how many of how many, and the file in hand."""

    def __init__(self, total: int, stream: TextIO | None = None) -> None:
        self.total = total
        self.done = 0
        self._stream = stream or sys.stderr
        self._shows = self._stream.isatty()
        self._began = time.monotonic()
        self._written = 0.0

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
        now = time.monotonic()
        if self._shows and (now - self._written > _INTERVAL or not self.done):
            self._written = now
            width = shutil.get_terminal_size().columns - 1
            line = f"{self.done + 1}/{self.total}{self._left(now)}  {plain(name)}"
            self._stream.write(f"\r\x1b[K{line[:width]}")
            self._stream.flush()

    def step(self) -> None:
        """One more file is done."""
        self.done += 1

    def clear(self) -> None:
        """Take the line away, before something else is written there."""
        if self._shows:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def _left(self, now: float) -> str:
        if self.done < 3:
            return ""
        seconds = (now - self._began) / self.done * (self.total - self.done)
        return f"  about {seconds / 60:.0f} min left" if seconds > 90 else f"  {seconds:.0f} s left"
