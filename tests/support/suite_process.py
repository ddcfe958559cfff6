"""The suite as a separate process, with its output, its child processes and its owner's key."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tests.support import ROOT

READY_SECONDS = 600.0
"""Time limit in seconds, far more than an idle machine needs."""
_STARTED = re.compile(r"(\S+) started \(process (\d+)\)")
_KEY = re.compile(r"^Key: +(\S.*)$", re.MULTILINE)


class NotStartedError(Exception):
    """The suite did not start; the message names its log."""


class SuiteProcess:
    """Runs `python -m COMMAND` without the SMALLPRINT settings of this process.

    Args:
        log: the file for its output.
        settings: its environment variables.
    """

    def __init__(self, log: Path, command: list[str], settings: Mapping[str, str]) -> None:
        self.log = log
        others = {k: v for k, v in os.environ.items() if not k.startswith("SMALLPRINT_")}
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=ROOT,
                env={**others, **settings},
                stdout=out,
                stderr=out,
            )

    def text(self) -> str:
        """Its output so far."""
        return self.log.read_text("utf-8", "replace")

    def started(self) -> list[tuple[str, int]]:
        """Name and id of each process that it started, in order."""
        return [(name, int(pid)) for name, pid in _STARTED.findall(self.text())]

    @property
    def pids(self) -> dict[str, int]:
        """The last process id of each name."""
        return dict(self.started())

    def key(self) -> str:
        """The owner's key, once its file is named. Raises NotStartedError."""
        until = time.monotonic() + READY_SECONDS
        while time.monotonic() < until and self.process.poll() is None:
            if key := owner_key(self.text()):
                return key
            time.sleep(0.2)
        raise NotStartedError(f"the suite does not start, see {self.log}: {self.text()[-2000:]}")

    def stop(self) -> int:
        """Stop it with SIGTERM. Returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(120)
        finally:
            self.process.kill()


def owner_key(output: str) -> str | None:
    """The key in the file that the output of a started suite names."""
    found = _KEY.search(output)
    return Path(found[1]).read_text("utf-8").strip() if found else None
