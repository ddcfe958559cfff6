"""The embedded edition as a separate process: `smallprint serve --json`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from infra.servers.ports import free_port
from tests.support import ROOT, artefacts


class Embedded:
    """`smallprint serve` on one data folder and one port; it can be started repeatedly.

    `folder` gets the data and the log.
    """

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / "log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.settings = {"SMALLPRINT_ARTEFACTS": str(artefacts()), **settings}
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> dict[str, Any]:
        """Start it and wait until it serves. Returns the line that it prints."""
        self.launch()
        return self.first_line()

    def launch(self) -> None:
        """Start it without waiting."""
        others = {k: v for k, v in os.environ.items() if not k.startswith("SMALLPRINT_")}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                cwd=ROOT,
                env={**others, **self.settings},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def command(self) -> list[str]:
        """The command that starts it."""
        command = [sys.executable, "-m", "services.cli", "serve", "--json"]
        return [*command, "--port", str(self.port), "--data", str(self.data)]

    def first_line(self) -> dict[str, Any]:
        """Wait for the line with its address."""
        assert self.process is not None
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"smallprint does not start: {self.tail()}")
        return dict(json.loads(line))

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end. Returns the exit code."""
        process, self.process = self.process, None
        if process is None:
            return 0
        process.send_signal(number)
        try:
            process.communicate(timeout=300)
        finally:
            process.kill()
        return process.returncode

    def tail(self, lines: int = 5) -> str:
        """The end of its log."""
        with suppress(OSError):
            return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-lines:])
        return "no log"
