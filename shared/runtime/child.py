"""A worker in a child process, where a time limit can end it.

A thread can't be interrupted while it searches a text, and Python lets no other thread run until
then. So a hostile text could stop a whole suite. The child handles one event at a time, and its
parent claims it, renews its lease and kills the child if necessary.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from shared import metrics, tracing
from shared.documents.confinement import allow_seconds, hide_memory
from shared.errors import SuiteError, Unavailable
from shared.events import Event
from shared.logs import configure_logs, logs_as_here
from shared.messaging import Inbox, Lease, TakesLong
from shared.messaging.inbox import Queue

if TYPE_CHECKING:
    from shared.runtime.service import Service

REST_SECONDS = 60.0
"""Idle seconds after which the child for large events ends, since it needs memory."""
START_SECONDS = 120.0
BYTES = 200_000
"""Bytes of a document for which an event may take its seconds of computing once more."""
_ROOT = Path(__file__).resolve().parents[2]
_START = """
import sys
sys.path.insert(0, sys.argv[1])
from shared.runtime.child import serve
serve(int(sys.argv[2]), int(sys.argv[3]))
"""


class TookTooLong(SuiteError):
    """The work on the text of this document takes too long."""

    code = "took_too_long"


class ChildEnded(Exception):
    """The child process ended during its work."""


class ChildWorker:
    """The child process of one worker. It starts with the first event.

    Args:
        build: builds the service again, in the child; it is pickled.
        types: the events that it handles.
        owner: the name in the leases.
        announced: called when the child has committed events.
    """

    def __init__(
        self,
        build: Callable[[], Service],
        types: Collection[type[Event]],
        queue: Queue,
        owner: str,
        announced: Callable[[], None],
    ) -> None:
        self.types = types
        self.queue = queue
        self._start_with = (build, queue, owner)
        self._announced = announced
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Connection | None = None
        self._used = 0.0

    def handle(self, lease: Lease, seconds: float, quick: float) -> None:
        """Handle a claimed event, and store its end.

        Args:
            seconds: most seconds of computing.
            quick: most seconds, unless the queue is that of large events.

        Raises TakesLong after `quick` seconds, TookTooLong, ChildEnded after another death, and
        Unavailable if no child can be started.
        """
        channel = self._running()
        until = time.monotonic() + quick if self.queue == "main" else None
        try:
            channel.send((lease, seconds))
            while True:
                left = until and max(0.0, until - time.monotonic())
                if not channel.poll(left):
                    self.close()
                    raise TakesLong
                if (counts := channel.recv()) is not None:
                    break
                self._announced()
        except (EOFError, OSError) as error:
            raise self._end(seconds) from error
        metrics.add_counts(counts)
        self._announced()
        self._used = time.monotonic()

    def rest(self) -> None:
        """End a child for large events that was not needed for a while."""
        if self.queue == "large" and time.monotonic() - self._used > REST_SECONDS:
            self.close()

    def close(self) -> None:
        """End the child at once, even while it works."""
        if self._process is not None and self._channel is not None:
            self._process.kill()
            self._process.wait()
            self._channel.close()
        self._process = self._channel = None

    def _running(self) -> Connection:
        if self._channel is not None and self._process is not None and self._process.poll() is None:
            return self._channel
        self.close()
        hide_memory()  # from the reading process that the child may start
        self._channel, theirs = Pipe()
        with theirs:
            number = theirs.fileno()
            command = [sys.executable, "-c", _START, str(_ROOT), str(number), str(os.getpid())]
            try:
                self._process = subprocess.Popen(
                    command,
                    pass_fds=(number,),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    start_new_session=True,  # Ctrl-C is for the parent
                )
            except OSError as error:
                raise Unavailable(f"a child process did not start: {error.strerror}") from error
        try:
            self._channel.send((*self._start_with, logs_as_here()))
            if not self._channel.poll(START_SECONDS):
                self._process.kill()
            self._channel.recv()  # it is ready
        except (EOFError, OSError) as error:
            raise self._end() from error
        return self._channel

    def _end(self, seconds: float = 0.0) -> Exception:
        """Clean up after the child's death. Returns the reason of its death."""
        assert self._process is not None
        try:
            status = self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            status = 0
        self.close()
        if status == -signal.SIGXCPU:
            return TookTooLong(
                f"the work on its text took more than {seconds:.0f} seconds of computing (setting "
                "SMALLPRINT_TEXT_SECONDS)"
            )
        return ChildEnded(f"the child process ended with status {status}")


def serve(descriptor: int, parent: int) -> None:
    """Run the child: handle events until the parent hangs up."""
    from shared.runtime.worker import Worker

    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    channel = Connection(descriptor)
    build, queue, owner, logs = channel.recv()
    configure_logs(**logs)
    service = build()
    tracing.configure(service.settings.traces)
    service.store.outbox_filled = _Announcement(channel)
    settings = service.settings
    inbox = Inbox(service.store, owner, settings.bus_lease, settings.retry_delay_most)
    worker = Worker(service.name, inbox, service.handlers, settings, queue)
    channel.send("ready")
    try:
        while True:
            lease, seconds = channel.recv()
            allow_seconds(seconds)
            before = metrics.counts()
            worker.work(lease)
            channel.send(metrics.counts_since(before))
    except EOFError:
        service.close()
        tracing.close()


class _Announcement(threading.Event):
    """Tells the parent, whose relay sends the committed events."""

    def __init__(self, channel: Connection) -> None:
        super().__init__()
        self._channel = channel

    def set(self) -> None:
        self._channel.send(None)


def _end_with(parent: int) -> None:
    """End this process soon after its parent."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
