"""Progress on standard error: a bar on a terminal, a new line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, TextIO

from services.cli.documents.batch import CannotStart
from services.cli.output.lines import OutputClosed, OutputWriter, error_line, plain

if TYPE_CHECKING:
    from services.cli.output.terminal import ProgressBar

_QUIET_SECONDS, _QUIET_FILES = 10.0, 10
"""Without a terminal a line comes after so many seconds or files, whichever is first."""


class Progress:
    """Shows how many files are done, and the current one.

    A terminal shows a bar. Elsewhere there is a new line each 10 seconds or 10 files, and none for
    a few quick files.

    Args:
        total: number of files.
        phase: what happens to them, such as `reading`.
        stream: where to print; standard error by default.
        clock: in seconds.
    """

    def __init__(
        self,
        total: int,
        phase: str = "",
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.total = total
        self._phase = f"{phase} " if phase else ""
        self._clock = clock
        self.done = 0
        self._stream = stream or sys.stderr
        self._bar: ProgressBar | None = None
        if self._stream.isatty():
            from services.cli.output.terminal import ProgressBar

            self._bar = ProgressBar(total, self._stream, phase)
        self._began = self._written = clock()
        self._logged = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()
        if self._written > self._began and self.done == self.total:
            self._log(self.done, f"  done in {self._clock() - self._began:.0f} s")

    def at(self, name: str) -> None:
        """Show the current file."""
        now = self._clock()
        if self._bar:
            self._bar.show(plain(name), self.done)
        elif now - self._written >= _QUIET_SECONDS or self.done - self._logged >= _QUIET_FILES:
            self._logged = self.done
            self._written = now
            self._log(self.done + 1, f"{self._remaining(now)}  {plain(name)}")

    def step(self) -> None:
        """Count a file."""
        self.done += 1

    def clear(self) -> None:
        """Hide the bar before other output."""
        if self._bar:
            self._bar.hide()

    def reached(self, done: int) -> None:
        """Set the count."""
        self.done = done

    def _log(self, number: int, text: str) -> None:
        line = f"smallprint: {self._phase}{number}/{self.total}{text}"
        print(line, file=self._stream, flush=True)

    def _remaining(self, now: float) -> str:
        if self.done < 3:
            return ""
        seconds = (now - self._began) / self.done * (self.total - self.done)
        return f"  about {seconds / 60:.0f} min left" if seconds > 90 else f"  {seconds:.0f} s left"


class Stages:
    """Shows the progress of a task with several stages."""

    def __init__(self) -> None:
        self._stage = ""
        self._progress = Progress(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.clear()

    def at(self, stage: str, done: int, total: int) -> None:
        """Show a stage, and how much of it is done."""
        if stage != self._stage:
            self._progress.clear()
            self._stage, self._progress = stage, Progress(total)
        self._progress.reached(done)
        if done < total:
            self._progress.at(stage)


def each_file(
    paths: Sequence[str],
    lines: OutputWriter,
    work: Callable[[str], Iterable[Mapping[str, Any]]],
    phase: str = "reading",
) -> None:
    """Print the result of `work` for each file in order; a failed file does not stop the next.

    Args:
        phase: what `work` does, for the progress.
    """
    with Progress(len(paths), phase) as progress:
        for path in paths:
            progress.at(path)
            for line in _with_errors(path, work):
                progress.clear()
                lines.result(line)
            progress.step()


def _with_errors(
    path: str, work: Callable[[str], Iterable[Mapping[str, Any]]]
) -> Iterator[Mapping[str, Any]]:

    try:
        yield from work(path)
    except (OutputClosed, CannotStart):
        raise  # not this file's fault: every other would fail as well
    except Exception as error:  # noqa: BLE001 - one bad file must not cost the others
        yield error_line(path, error)
