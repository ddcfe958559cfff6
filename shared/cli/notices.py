"""Waiting until something changes below a folder: by inotify, or for a time where that is blind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

EVENTS: list[type[FileSystemEvent]] = [
    *(FileClosedEvent, FileCreatedEvent, FileMovedEvent),
    *(DirCreatedEvent, DirMovedEvent),
]
"""What may make a file whole that was not; reading one is no event."""

STOP_SECONDS = 0.5
"""How soon a wait ends that is to stop."""


class Notices(FileSystemEventHandler):
    """Ends a wait early when a file is made, closed after writing, or moved here.

    What another machine does on a network folder is not noticed; the wait then lasts its time.

    Args:
        without: folders whose changes do not count.
        tell: hears why nothing is noticed, if the system can't.
    """

    def __init__(self, folder: Path, *without: Path, tell: Callable[[str], None]) -> None:
        self._without = [path.resolve() for path in without]
        self._changed = threading.Event()
        self._observer = Observer()
        try:
            self._observer.schedule(
                self, str(folder.resolve()), recursive=True, event_filter=EVENTS
            )
            self._observer.start()
        except OSError as error:
            tell(f"{folder} is only looked at now and then: {error.strerror or error}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._observer.is_alive():
            self._observer.stop()
            self._observer.join()

    def on_any_event(self, event: FileSystemEvent) -> None:
        """See watchdog."""
        paths = [Path(str(path)) for path in (event.src_path, event.dest_path) if path]
        if not all(any(p.is_relative_to(w) for w in self._without) for p in paths):
            self._changed.set()

    def wait(self, seconds: float, stop: Callable[[], bool]) -> None:
        """Return after a change since the last wait, after so many seconds, or soon after `stop`
        says so.
        """
        end = time.monotonic() + seconds
        while not stop() and (left := end - time.monotonic()) > 0:
            if self._changed.wait(min(left, STOP_SECONDS)):
                break
        self._changed.clear()
