"""The two editions under load, each in a separate folder.

python -m tests.load.edition FOLDER PORT CLUSTER DATABASE_PORT PASSWORD (the full one)
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from infra.run_kafka import StartError, until_ended
from infra.servers.ports import free_port
from infra.servers.postgres import Cluster, missing
from infra.servers.supervisor import Program, Supervisor
from tests.support.postgres_suite import PostgresSuite
from tests.support.suite_process import owner_key

READY = 300.0  # seconds that a start may take
ROOM = 40  # documents that may be in work
SETTINGS = {
    "SMALLPRINT_INGEST_MAX_IN_WORK": f"{ROOM}",
    "SMALLPRINT_RATE_REQUESTS": "0",
    "SMALLPRINT_LOG_LEVEL": "WARNING",
}
COMMAND = Path(sys.executable).parent / "smallprint"


@dataclass(frozen=True)
class Running:
    """A running edition. `process` is its first process and the ancestor of all others."""

    url: str
    key: str
    process: int


@contextmanager
def running(name: str, folder: Path) -> Iterator[Running]:
    """Run an edition, `embedded` or `full`, until the block ends.

    Raises StartError or ClusterError if it can't start.
    """
    port = free_port()
    log = folder / f"{name}.log"
    log.touch()
    supervisor = Supervisor(lambda _line: None)  # the edition ends with this process
    with _command(name, folder, port) as command, _without_settings():
        program = Program(name, command, SETTINGS, log)
        try:
            supervisor.start(program)
            url = f"http://127.0.0.1:{port}"
            _wait(program, url, log)
            assert program.process is not None
            yield Running(url, owner_key(log.read_text()) or "", program.process.pid)
        finally:
            supervisor.stop()


@contextmanager
def _command(name: str, folder: Path, port: int) -> Iterator[list[str]]:
    """The command that starts an edition. The database cluster is removed with the block."""
    if name == "embedded":
        data = str(folder / "embedded")
        yield [str(COMMAND), "serve", "--port", str(port), "--data", data]
        return
    if why := missing():
        raise StartError(why)
    place = Path(tempfile.mkdtemp(prefix="smallprint-load-postgres-"))
    try:
        cluster = Cluster(place, free_port())
        cluster.initialise()
        where = (str(cluster.folder), str(cluster.port), cluster.password)
        data = str(folder / "full")
        yield [sys.executable, "-m", "tests.load.edition", data, str(port), *where]
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def _without_settings() -> Iterator[None]:
    """Remove the suite's settings from the environment: no real database or bucket is used."""
    there = {name: os.environ.pop(name) for name in list(os.environ) if "SMALLPRINT" in name}
    try:
        yield
    finally:
        os.environ.update(there)


def _wait(program: Program, url: str, log: Path) -> None:
    until = time.monotonic() + READY
    assert program.process is not None
    while program.process.poll() is None and time.monotonic() < until:
        try:
            if httpx.get(url + "/readyz", timeout=10, trust_env=False).is_success and owner_key(
                log.read_text()
            ):
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    raise StartError(f"the edition does not start: {log.read_text()[-500:]}")


def main(arguments: Sequence[str]) -> int:
    """Run the full edition until SIGTERM. Returns the exit code."""
    data, port, folder, database, password = arguments
    cluster = Cluster(Path(folder), int(database), password=password)
    return until_ended("load", lambda: PostgresSuite(Path(data), int(port), cluster))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
