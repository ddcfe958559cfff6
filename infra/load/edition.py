"""The two editions that are put under load, each in a folder of its own.

python -m infra.load.edition FOLDER PORT CLUSTER DATABASE_PORT PASSWORD    (the full one)
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from infra.kafka.broker import BrokerError
from infra.ports import free_port
from infra.postgres.cluster import Cluster, ClusterError, missing
from infra.processes import Program
from infra.run_kafka import SERVICES, StartError, Suite, interrupt

READY = 300.0
"""Seconds that a start may take."""
ROOM = "SMALLPRINT_INGEST_MAX_IN_WORK"
COMMAND = Path(sys.executable).parent / "smallprint"


@dataclass(frozen=True)
class Running:
    """An edition that serves: its first process, of which all others are children."""

    url: str
    key: str
    process: int


class Full(Suite):
    """What `make run-kafka` starts, on PostgreSQL: every service as its own processes."""

    def __init__(self, data: Path, port: int, cluster: Cluster) -> None:
        self.cluster = cluster
        super().__init__(data, port)

    def _environment(self) -> dict[str, str]:
        databases = {
            f"SMALLPRINT_{service.upper()}_DATABASE_URL": self.cluster.url(service)
            for service in SERVICES
        }
        return {**super()._environment(), **databases}

    def _servers(self) -> Iterator[tuple[Program, Callable[[], bool]]]:
        yield from super()._servers()
        log = self.data / "logs" / "postgres.log"
        yield Program("postgres", self.cluster.command(), log=log), self.cluster.answers
        for service in SERVICES:
            self.cluster.create(service)


@contextmanager
def running(name: str, folder: Path, settings: dict[str, str]) -> Iterator[Running]:
    """An edition, `embedded` or `full`, until the block ends.

    Raises StartError or ClusterError if it can't start.

    Args:
        settings: environment variables beside the defaults.
    """
    port = free_port()
    log = folder / f"{name}.log"
    with _command(name, folder, port) as command, log.open("w") as output:
        process = subprocess.Popen(
            command, env={**_environment(), **settings}, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            url = f"http://127.0.0.1:{port}"
            _wait(process, url, log)
            yield Running(url, _key(log), process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def _command(name: str, folder: Path, port: int) -> Iterator[list[str]]:
    """How an edition is started. Its database cluster is removed with the block."""
    if name == "embedded":
        data = str(folder / "embedded")
        yield [str(COMMAND), "up", "--port", str(port), "--data", data, "--json"]
        return
    if why := missing():
        raise StartError(why)
    place = Path(tempfile.mkdtemp(prefix="smallprint-load-postgres-"))
    try:
        cluster = Cluster(place, free_port())
        cluster.initialise()
        where = (str(cluster.folder), str(cluster.port), cluster.password)
        data = str(folder / "full")
        yield [sys.executable, "-m", "infra.load.edition", data, str(port), *where]
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _environment() -> dict[str, str]:
    """That of this process without settings of a suite: no database or bucket of anybody's."""
    kept = {name: value for name, value in os.environ.items() if "SMALLPRINT" not in name}
    return {**kept, "SMALLPRINT_RATE_REQUESTS": "0", "SMALLPRINT_LOG_LEVEL": "WARNING"}


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + READY
    while process.poll() is None and time.monotonic() < until:
        try:
            if httpx.get(url + "/readyz", timeout=10, trust_env=False).is_success and _key(log):
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    raise StartError(f"the edition does not start: {log.read_text()[-500:]}")


def _key(log: Path) -> str:
    """The first key, which each edition prints in its own way."""
    words = log.read_text().replace('"', " ").split()
    return next((word for word in words if word.startswith("sp_")), "")


def main(arguments: Sequence[str]) -> int:
    """Run the full edition until SIGTERM. Returns the exit code."""
    data, port, folder, database, password = arguments
    signal.signal(signal.SIGTERM, interrupt)
    try:
        Full(Path(data), int(port), Cluster(Path(folder), int(database), password=password)).run()
    except (StartError, BrokerError, ClusterError) as error:
        print(f"load: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
