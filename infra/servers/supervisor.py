"""Starts, watches, restarts and ends a set of processes.

Each process leads a session, so that its children end with it. A small watchdog process reads the
list of processes from a pipe. When this process ends in any way, the pipe closes and the watchdog
ends the others. So `kill -9` leaves no orphans.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0
"""Seconds before a process that died is started again; doubled each time."""
HEALTHY = 60.0  # seconds after which an old failure no longer counts
GRACE = 30.0
"""Seconds until a process that was asked to end is killed. A service ends within 20 seconds, even
with work in progress.
"""

WATCHDOG = """
import os, signal, sys, time
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
alive = set()
for line in sys.stdin:
    word, pid = line.split()
    (alive.add if word == "started" else alive.discard)(int(pid))
for number in (signal.SIGTERM, signal.SIGKILL):
    for pid in list(alive):
        try:
            os.killpg(pid, number)
        except ProcessLookupError:
            alive.discard(pid)
    if alive and number == signal.SIGTERM:
        time.sleep(3)
"""


@dataclass
class Program:
    """One process that should run."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    log: Path | None = None  # where its output goes; None: to ours

    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0
    due: float = 0.0  # the time of its next start


class Supervisor:
    """Runs programs until it is stopped. Used from one thread."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self.report = report
        self.programs: list[Program] = []
        self._watchdog = _start_watchdog()

    def start(self, program: Program) -> None:
        """Start a program and keep it running."""
        self.programs.append(program)
        self._launch(program)

    def look(self) -> None:
        """Restart dead processes. Call this several times a second."""
        now = time.monotonic()
        for program in self.programs:
            if program.process is None:
                if now >= program.due:
                    self._launch(program)
            elif _has_ended(program.process.pid):
                code = self._buried(program)
                program.failures = 1 if now - program.started > HEALTHY else program.failures + 1
                delay = min(FIRST_DELAY * 2 ** (program.failures - 1), LONGEST_DELAY)
                program.due = now + delay
                where = f"; see {program.log}" if program.log else ""
                self.report(f"{program.name} {_ended(code)}, starting again in {delay:g} s{where}")

    def end(self, program: Program, grace: float = GRACE) -> bool:
        """Ask a program to end like a container runtime, which only signals its first process.
        Returns whether it ended within `grace` seconds.
        """
        assert program.process is not None
        self.programs.remove(program)
        with suppress(ProcessLookupError):
            os.kill(program.process.pid, signal.SIGTERM)
        until = time.monotonic() + grace
        while not (ended := _has_ended(program.process.pid)) and time.monotonic() < until:
            self.look()
            time.sleep(0.05)
        self._buried(program)
        return ended

    def stop(self) -> None:
        """End all programs, the first last because the others need it, and the watchdog."""
        for programs in (self.programs[1:], self.programs[:1]):
            for program in reversed(programs):
                self._signal(program, signal.SIGTERM)
            self._wait(programs)
        with suppress(OSError):  # it may have been killed
            self._watchdog.communicate()  # closes the pipe

    def _launch(self, program: Program) -> None:
        output = program.log.open("ab") if program.log else None
        try:
            program.process = subprocess.Popen(
                program.command,
                env={**os.environ, **program.env},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT if output else None,
                start_new_session=True,
            )
        finally:
            if output:
                output.close()
        program.started = time.monotonic()
        self._note("started", program.process.pid)
        self.report(f"{program.name} started (process {program.process.pid})")

    def _buried(self, program: Program) -> int:
        """Reap an ended process and kill its remaining children. Returns its exit code."""
        assert program.process is not None
        self._signal(program, signal.SIGKILL)
        code = program.process.wait()
        ended, program.process = program.process.pid, None
        self._note("ended", ended)
        return code

    def _note(self, word: str, pid: int) -> None:
        """Tell the watchdog of a process. A new one replaces a dead one, and hears of all."""
        try:
            self._tell_watchdog(word, pid)
        except OSError:
            self.report("the watchdog ended, starting another")
            with suppress(OSError):
                self._watchdog.communicate()
            self._watchdog = _start_watchdog()
            for program in self.programs:
                if program.process is not None:
                    self._tell_watchdog("started", program.process.pid)

    def _tell_watchdog(self, word: str, pid: int) -> None:
        assert self._watchdog.stdin is not None
        self._watchdog.stdin.write(f"{word} {pid}\n")
        self._watchdog.stdin.flush()

    def _wait(self, programs: Iterable[Program]) -> None:
        until = time.monotonic() + GRACE
        for program in programs:
            if program.process is None:
                continue
            while not _has_ended(program.process.pid) and time.monotonic() < until:
                time.sleep(0.05)
            if not _has_ended(program.process.pid):
                self.report(f"{program.name} did not stop: killed")
            self._buried(program)

    @staticmethod
    def _signal(program: Program, number: signal.Signals) -> None:
        if program.process is not None:
            with suppress(ProcessLookupError):  # the whole process group has ended
                os.killpg(program.process.pid, number)


def _start_watchdog() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WATCHDOG], stdin=subprocess.PIPE, start_new_session=True, text=True
    )


def _has_ended(pid: int) -> bool:
    """Whether a child process has ended. It is not reaped, so its process id is not reused."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _ended(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
