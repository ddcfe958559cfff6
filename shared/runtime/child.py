"""Workers in a child process, where a time limit can end them.

A thread can't be interrupted while it searches a text, and Python lets no other thread run until
then. So a hostile text could stop a whole suite. Services that share a child share one base there.
The child handles one event of each service at a time. Its parent claims the events, renews their
leases and kills the child if necessary. The other events in it then start again.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from shared import metrics, tracing
from shared.documents.confinement import allow_processor_time, hide_memory, processor_seconds
from shared.errors import SuiteError, Unavailable
from shared.logs import configure_logs, logs_as_here
from shared.messaging import Inbox, Lease, TakesLong
from shared.messaging.inbox import Queue

if TYPE_CHECKING:
    from shared.runtime.service import Service

REST_SECONDS = 60.0
"""Idle seconds after which the child for large events ends, since it needs memory."""
START_SECONDS = 120.0
BYTES = 1_000_000
"""Bytes of a document for which an event may take its seconds of computing once more."""
_ROOT = Path(__file__).resolve().parents[2]
_START = """
import sys
sys.path.insert(0, sys.argv[1])
from shared.runtime.child import serve
serve(int(sys.argv[2]), [int(number) for number in sys.argv[3:]])
"""


class TookTooLong(SuiteError):
    """The work on the text of this document takes too long."""

    code = "took_too_long"


class ChildEnded(Exception):
    """The child process ended during its work."""


class Children:
    """The child processes of some services, one for each queue and number of a worker.

    Args:
        build: builds the services again, in a child; it is pickled.
        names: of these services.
    """

    def __init__(self, build: Callable[[], Sequence[Service]], names: Sequence[str]) -> None:
        self._build = build
        self._names = tuple(names)
        self._shared: dict[tuple[Queue, int], _SharedChild] = {}

    def worker(
        self, name: str, queue: Queue, number: int, owner: str, announced: Callable[[], None]
    ) -> ChildWorker:
        """Return the part of a child that handles the events of one service.

        Args:
            owner: the name in the leases.
            announced: called when the child has committed events.
        """
        shared = self._shared.get((queue, number))
        if shared is None:
            shared = _SharedChild((self._build, self._names, queue, owner), len(self._names))
            self._shared[queue, number] = shared
        return ChildWorker(shared, self._names.index(name), queue, announced)


class ChildWorker:
    """The events of one service in a child process. It starts with the first event."""

    def __init__(
        self, shared: _SharedChild, line: int, queue: Queue, announced: Callable[[], None]
    ) -> None:
        self.queue = queue
        self._shared = shared
        self._line = line
        self._announced = announced
        shared.users += 1

    def handle(self, lease: Lease, seconds: float, quick: float) -> None:
        """Handle a claimed event, and store its end.

        Args:
            seconds: most seconds of computing.
            quick: most seconds, unless the queue is that of large events.

        Raises TakesLong after `quick` seconds, TookTooLong, ChildEnded after another death, and
        Unavailable if no child can be started or it ended because of another event.
        """
        child = self._shared.running(self._line)
        channel = child.channels[self._line]
        until = time.monotonic() + quick if self.queue == "main" else None
        try:
            channel.send((lease, seconds))
            while True:
                left = until and max(0.0, until - time.monotonic())
                if not channel.poll(left):
                    child.kill(self._line)
                    raise TakesLong
                message = channel.recv()
                if isinstance(message, dict):
                    break
                if message is None:
                    self._announced()
                else:
                    child.deadlines[self._line] = message
        except (EOFError, OSError) as error:
            raise child.death(self._line, seconds) from error
        finally:
            self._shared.finished(self._line)
        metrics.add_counts(message)
        self._announced()

    def rest(self) -> None:
        """End a child for large events that was not needed for a while."""
        if self.queue == "large":
            self._shared.rest()

    def close(self) -> None:
        """End the child with its last worker."""
        self._shared.users -= 1
        if not self._shared.users:
            self._shared.end()


class _SharedChild:
    """The child process of several workers, which start and end it."""

    def __init__(self, start_with: tuple[object, ...], lines: int) -> None:
        self.users = 0
        self._start_with = start_with
        self._lines = lines
        self._lock = threading.Lock()
        self._busy: set[int] = set()
        self._used = 0.0
        self._child: _Child | None = None

    def running(self, line: int) -> _Child:
        """Return the running child, for an event of a line. Raises Unavailable."""
        with self._lock:
            if self._child is None or self._child.process.poll() is not None:
                self._child = _Child(self._start_with, self._lines)
            self._busy.add(line)
            return self._child

    def finished(self, line: int) -> None:
        with self._lock:
            self._busy.discard(line)
            self._used = time.monotonic()
            if self._child is not None:
                self._child.deadlines.pop(line, None)

    def rest(self) -> None:
        with self._lock:
            idle = not self._busy and time.monotonic() - self._used > REST_SECONDS
        if idle:
            self.end()

    def end(self) -> None:
        """End the child at once, even while it works."""
        with self._lock:
            if self._child is not None:
                self._child.kill(None)
            self._child = None


class _Child:
    """A child process, and a channel for each service in it."""

    def __init__(self, start_with: tuple[object, ...], lines: int) -> None:
        """Start the process. Raises Unavailable or ChildEnded if it does not become ready."""
        hide_memory()  # from the reading process that the child may start
        self.deadlines: dict[int, float] = {}
        """Processor seconds of the child at which the event of a line is too late."""
        self._killed_for: int | None = None
        self._lock = threading.Lock()
        pipes = [Pipe() for _ in range(lines)]
        self.channels = [ours for ours, _ in pipes]
        numbers = [theirs.fileno() for _, theirs in pipes]
        command = [sys.executable, "-c", _START, str(_ROOT), str(os.getpid())]
        try:
            self.process = subprocess.Popen(
                [*command, *map(str, numbers)],
                pass_fds=numbers,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the parent
            )
        except OSError as error:
            raise Unavailable(f"a child process did not start: {error.strerror}") from error
        finally:
            for _, theirs in pipes:
                theirs.close()
        first = self.channels[0]
        try:
            first.send((*start_with, logs_as_here()))
            if not first.poll(START_SECONDS):
                self.process.kill()
            first.recv()  # it is ready
        except (EOFError, OSError) as error:
            raise self.death(0, 0.0) from error

    def kill(self, line: int | None) -> None:
        """End it, because of the event of a line."""
        with self._lock:
            if self._killed_for is None:
                self._killed_for = line
        self.process.kill()
        self.process.wait()

    def death(self, line: int, seconds: float) -> Exception:
        """Return what the death of the child means for the event of a line."""
        try:
            status = self.process.wait(5.0)
        except subprocess.TimeoutExpired:
            status = 0
            self.process.kill()
        late = status == -signal.SIGXCPU
        with self._lock:
            if self._killed_for is None and late and self.deadlines:
                self._killed_for = min(self.deadlines, key=self.deadlines.__getitem__)
        if self._killed_for not in (None, line):
            return Unavailable("a child process ended because of another document")
        if late:
            return TookTooLong(
                f"the work on its text took more than {seconds:.0f} seconds of computing (setting "
                "SMALLPRINT_TEXT_SECONDS)"
            )
        return ChildEnded(f"the child process ended with status {status}")


def serve(parent: int, descriptors: Sequence[int]) -> None:
    """Run the child: handle events until the parent hangs up."""
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    channels = [Connection(number) for number in descriptors]
    build, names, queue, owner, logs = channels[0].recv()
    configure_logs(**logs)
    services = {service.name: service for service in build()}
    tracing.configure(next(iter(services.values())).settings.traces)
    accounts = _Accounts()
    threads = [
        threading.Thread(target=_serve, args=(services[name], channel, queue, owner, accounts))
        for name, channel in zip(names, channels, strict=True)
    ]
    for thread in threads:
        thread.start()
    channels[0].send("ready")
    for thread in threads:
        thread.join()
    for service in services.values():
        service.close()
    tracing.close()


def _serve(
    service: Service, channel: Connection, queue: Queue, owner: str, accounts: _Accounts
) -> None:
    """Handle the events of one service."""
    from shared.runtime.worker import Worker

    service.store.outbox_filled = _Announcement(channel)
    settings = service.settings
    inbox = Inbox(service.store, owner, settings.bus_lease, settings.retry_delay_most)
    worker = Worker(service.name, inbox, service.handlers, settings, queue)
    while True:
        try:
            lease, seconds = channel.recv()
            channel.send(accounts.begin(channel.fileno(), seconds))
            worker.work(lease)
            channel.send(accounts.end(channel.fileno()))
        except (EOFError, OSError):
            return


class _Accounts:
    """What the events in this process may use, and what they have counted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._deadlines: dict[int, float] = {}
        self._reported = metrics.counts()

    def begin(self, line: int, seconds: float) -> float:
        """Allow an event more processor time. Returns until when, in processor seconds."""
        with self._lock:
            self._deadlines[line] = processor_seconds() + seconds
            allow_processor_time(min(self._deadlines.values()))
            return self._deadlines[line]

    def end(self, line: int) -> metrics.Counts:
        """Forget an event. Returns what was counted and not returned before."""
        with self._lock:
            del self._deadlines[line]
            allow_processor_time(min(self._deadlines.values(), default=None))
            news = metrics.counts_since(self._reported)
            self._reported = metrics.counts()
            return news


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
