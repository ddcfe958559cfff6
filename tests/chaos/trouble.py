"""Troubles: kills, stops, network failures, full disks, and a pulled plug.

They reach processes by signals and limits, and the network by the proxies in front of the servers.
"""

from __future__ import annotations

import os
import resource
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.disk import lose_unsynced
from tests.chaos.plan import EVERYTHING, Trouble
from tests.chaos.proxy import Proxy
from tests.chaos.run_folder import RunFolder
from tests.support.suite_process import SuiteProcess

ALIVE_SECONDS = 60.0
"""Seconds for which a target may be down; it is restarted within half a minute."""
FULL_SECONDS = 20.0
"""Further seconds for which a disk stays full until its server has reported it."""


@dataclass(frozen=True)
class PastTrouble:
    """A past trouble, with its beginning and end in monotonic seconds."""

    kind: str
    target: str
    begin: float
    end: float


class Troubles:
    """Makes trouble in a running edition, and ends it.

    Args:
        proxies: the proxies in front of the servers, by server.
    """

    def __init__(
        self, running: SuiteProcess, run_folder: RunFolder, proxies: dict[str, Proxy]
    ) -> None:
        self.running = running
        self.run_folder = run_folder
        self.proxies = proxies
        self.made: Counter[str] = Counter()
        """How often each trouble hit each target."""
        self.hits: list[PastTrouble] = []
        """All past troubles."""
        self.emptied = 0
        """Files that a pulled plug emptied or removed."""
        self._timers: list[threading.Thread] = []

    def kill(self, name: str) -> bool:
        """Kill a process, or pull the plug on everything, which also drops unsynced data.

        Returns whether it worked. Waits for a process that is down; nothing is counted if it stays
        down.
        """
        begin = time.monotonic()
        if name == EVERYTHING:
            self._pull_the_plug()
        else:
            pid = self._alive(name)
            begin = time.monotonic()
            if pid is None or not _signal(pid, signal.SIGKILL):
                return False
        self.hits.append(PastTrouble("kill -9", name, begin, time.monotonic()))
        self.made[f"kill -9 {name}"] += 1
        return True

    def make(self, trouble: Trouble) -> bool:
        """Start a trouble that ends after a time. Returns whether it worked, as `kill` does."""
        begin: dict[str, Callable[[Trouble], Callable[[], None] | None]] = {
            "stop": self._stop,
            "drop": self._drop,
            "delay": self._delay,
            "full": self._fill,
        }
        end = begin[trouble.kind](trouble)
        if end is None:
            return False
        self.made[f"{trouble.kind} {trouble.target}"] += 1
        began = time.monotonic()

        def later() -> None:
            time.sleep(trouble.seconds)
            end()
            self.hits.append(PastTrouble(trouble.kind, trouble.target, began, time.monotonic()))

        self._timers.append(threading.Thread(target=later, daemon=True))
        self._timers[-1].start()
        return True

    def settle(self) -> None:
        """Wait until all trouble has ended."""
        for timer in self._timers:
            timer.join()

    def _alive(self, name: str) -> int | None:
        """The process with this name; None if it is down for too long."""
        until = time.monotonic() + ALIVE_SECONDS
        while time.monotonic() < until:
            pid = self.running.pids[name]
            if _is_alive(pid):
                return pid
            time.sleep(0.05)
        return None

    def _stop(self, trouble: Trouble) -> Callable[[], None] | None:
        pid = self._alive(trouble.target)
        if pid is None or not _signal(pid, signal.SIGSTOP):
            return None

        def go_on() -> None:
            _signal(pid, signal.SIGCONT)

        return go_on

    def _drop(self, trouble: Trouble) -> Callable[[], None]:
        proxy = self.proxies[trouble.target]
        proxy.away = True
        proxy.drop()
        return lambda: setattr(proxy, "away", False)

    def _delay(self, trouble: Trouble) -> Callable[[], None]:
        proxy = self.proxies[trouble.target]
        proxy.delay = 0.05
        return lambda: setattr(proxy, "delay", 0.0)

    def _fill(self, trouble: Trouble) -> Callable[[], None] | None:
        """Fill a server's file system, or forbid a process to write. Returns a function that undoes
        it.
        """
        run_folder = self.run_folder
        if volume := run_folder.volumes.get(trouble.target):
            before = run_folder.refusals(trouble.target)
            volume.fill()

            def free() -> None:
                until = time.monotonic() + FULL_SECONDS
                while run_folder.refusals(trouble.target) == before and time.monotonic() < until:
                    time.sleep(0.2)
                volume.free()

            return free
        pid = self._alive(trouble.target)
        if pid is None:
            return None
        limit(pid, 0)
        return lambda: limit(pid, resource.RLIM_INFINITY)

    def _pull_the_plug(self) -> None:
        """Kill all processes at once, and drop unsynced data before anything starts again."""
        supervisor = self.running.process.pid
        _signal(supervisor, signal.SIGSTOP)
        try:
            pids = self.running.pids.values()
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
            for pid in pids:
                _wait_for_end(pid)
            self.emptied += lose_unsynced(self.run_folder.data, self.run_folder.blobs)
        finally:
            _signal(supervisor, signal.SIGCONT)


def _signal(pid: int, number: signal.Signals) -> bool:
    """Send a signal. Returns whether the process exists."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def limit(pid: int, most: int) -> None:
    """Limit the size in bytes of the files that a process writes; nothing if it has ended."""
    with suppress(ProcessLookupError):
        hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, hard))


def _wait_for_end(pid: int, seconds: float = 10.0) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and _is_alive(pid):
        time.sleep(0.02)


def _is_alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"
