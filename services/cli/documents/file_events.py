"""Wait for changes in a folder: by inotify, or for a fixed time where that does not work."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
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
    FileClosedEvent,
    FileCreatedEvent,
    FileMovedEvent,
    DirCreatedEvent,
    DirMovedEvent,
]
"""Events that may complete a file."""

STOP_SECONDS = 0.5  # seconds within which a wait reacts to a stop


class Notices(FileSystemEventHandler):
    """Ends a wait early when a file is created, closed after writing, or moved into the folder.

    Changes by other machines on a network folder are not noticed; then the wait lasts its full
    time.

    Args:
        without: folders whose changes do not count.
        tell: is called with the reason if the system can't watch.
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
            tell(f"{folder} is only checked from time to time: {error.strerror or error}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._observer.is_alive():
            self._observer.stop()
            self._observer.join()

    def on_any_event(self, event: FileSystemEvent) -> None:
        paths = [Path(str(path)) for path in (event.src_path, event.dest_path) if path]
        if not all(any(p.is_relative_to(w) for w in self._without) for p in paths):
            self._changed.set()

    def wait(self, seconds: float, stop: Callable[[], bool]) -> None:
        """Return after a change since the last wait, after so many seconds, or soon after `stop` is
        true.
        """
        end = time.monotonic() + seconds
        while not stop() and (remaining := end - time.monotonic()) > 0:
            if self._changed.wait(min(remaining, STOP_SECONDS)):
                break
        self._changed.clear()
