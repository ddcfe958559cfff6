"""The suite whose processes are replaced, one after the other, while it serves."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from infra.kafka.broker import fetch_jars
from infra.ports import free_port
from infra.postgres.cluster import Cluster
from infra.processes import Program, Supervisor
from infra.rolling.gateway import Gateway
from infra.rolling.release import Release
from infra.run_kafka import SERVICES, StartError, _listens
from shared.storage import Store
from shared.storage.migrate import current

READY_SECONDS = 300.0
GRACE = 55.0
"""Seconds that a process has to end: what `infra/kubernetes` gives it, without the pause before."""
PAUSE = 5.0
"""Seconds between the last new connection of a process and SIGTERM: its `preStop` there."""
SETTINGS = {
    "SMALLPRINT_LOG_LEVEL": "WARNING",
    "SMALLPRINT_RATE_REQUESTS": "0",
    "SMALLPRINT_THREADS": "1",
    "SMALLPRINT_INGEST_WEBHOOK_NETWORKS": "127.0.0.0/8",
    "SMALLPRINT_INGEST_WEBHOOK_HTTP": "true",
    "NO_PROXY": "127.0.0.1",
}
ORIGIN = "origin"
Tell = Callable[[str], None]


@dataclass
class Running:
    """One process that serves, or works for, a service."""

    name: str
    program: Program
    port: int
    """Where it answers probes, and requests if a gateway sends it any."""


@dataclass(frozen=True)
class Replaced:
    """What became of one process: seconds until its successor was ready, and until it had ended
    once it was asked; whether it did so by itself.
    """

    name: str
    ready: float
    ended: float
    by_itself: bool


@dataclass
class Edition:
    """All processes over one data folder.

    Args:
        together: whether api, worker and relay of a service are one process each.
    """

    data: Path
    cluster: Cluster
    tell: Tell
    together: bool = False
    died: list[str] = field(default_factory=list)
    """What ended without being asked, as the supervisor said it."""

    def __post_init__(self) -> None:
        self.kafka = free_port()
        self.bus_url = f"kafka://127.0.0.1:{self.kafka}"
        self.gateways = {name: Gateway(free_port()) for name in (*SERVICES, ORIGIN)}
        self.url = f"http://127.0.0.1:{self.gateways[ORIGIN].port}"
        self.running: dict[str, Running] = {}
        self.supervisor = Supervisor(self._hear)
        (self.data / "logs").mkdir(parents=True)

    def start(self, release: Release) -> None:
        """Start servers and processes of a release; return once all are ready. Raises StartError,
        ClusterError, BrokerError.
        """
        fetch_jars()
        for server, ready in self._servers():
            self.supervisor.start(server)
            self._wait(server.name, ready)
        fresh = [self._launch(name, release) for name in self.names()]
        for one in fresh:
            self._welcome(one)

    def names(self) -> Iterator[str]:
        """Of every process that is replaced, in the order in which that is done."""
        for service in SERVICES:
            yield service
            if not self.together:
                yield f"{service}-worker"
                yield f"{service}-relay"
        yield ORIGIN

    def migrate(self, release: Release) -> None:
        """Bring the databases that are not there yet to the head of a release, while whatever runs
        goes on.
        """
        heads = release.heads()
        running = {
            service: subprocess.Popen(
                [sys.executable, "-m", f"services.{service}", "migrate"],
                env={**os.environ, **self._environment(), **release.environment},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            for service, revision in self.revisions().items()
            if revision != heads[service]
        }
        said = {service: process.communicate()[1] for service, process in running.items()}
        for service, process in running.items():
            if process.returncode:
                last = (said[service].strip() or "it says nothing").splitlines()[-1]
                raise StartError(f"the database of {service} can't be brought on: {last}")

    def revisions(self) -> dict[str, str]:
        """The revision that each database is at."""
        found = {}
        for service in SERVICES:
            store = Store(self.cluster.url(service), service, Path())
            found[service] = current(store.engine) or ""
            store.close()
        return found

    def replace(self, release: Release, pause: float = PAUSE) -> Iterator[Replaced]:
        """Replace every process by one of a release, one after the other: the successor is ready
        first. Where there are few, all successors are started before the first is replaced.
        """
        fresh = {name: self._launch(name, release) for name in self.names() if self.together}
        for name in self.names():
            old = self.running[name]
            begun = time.monotonic()
            self._welcome(fresh.get(name) or self._launch(name, release))
            ready = time.monotonic() - begun
            if gateway := self.gateways.get(name):
                gateway.remove(old.port)
                self._watch(pause)
            asked = time.monotonic()
            by_itself = self.supervisor.end(old.program, GRACE)
            done = Replaced(name, ready, time.monotonic() - asked, by_itself)
            self.tell(f"{name}: ready after {ready:.1f} s, the old one ended in {done.ended:.1f} s")
            yield done

    def look(self) -> None:
        """Start again what has died; call this every fraction of a second."""
        self.supervisor.look()

    def key(self, release: Release, name: str) -> str:
        """A key for everything, made by the program that knows the database."""
        done = subprocess.run(
            [sys.executable, "-m", "services.cli", "keys", "new", name],
            env={**os.environ, **self._environment(), **release.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise StartError(f"no key can be made: {done.stderr.strip()}")
        return done.stdout.strip()

    def stop(self) -> None:
        """End everything."""
        self.supervisor.tell = lambda _line: None
        self.supervisor.stop()
        for gateway in self.gateways.values():
            gateway.close()

    def _environment(self) -> dict[str, str]:
        env = {
            **SETTINGS,
            "SMALLPRINT_DATA": str(self.data),
            "SMALLPRINT_HOST": "127.0.0.1",
            "SMALLPRINT_BUS_URL": self.bus_url,
        }
        for service in SERVICES:
            name = service.upper()
            env[f"SMALLPRINT_{name}_DATABASE_URL"] = self.cluster.url(service)
            env[f"SMALLPRINT_{name}_URL"] = f"http://127.0.0.1:{self.gateways[service].port}"
        return env

    def _servers(self) -> Iterator[tuple[Program, Callable[[], bool]]]:
        options = ("run", "--port", str(self.kafka), "--data", str(self.data / "kafka"))
        command = [sys.executable, "-m", "infra.kafka.broker", *options]
        log = self.data / "logs" / "kafka.log"
        yield Program("kafka", command, log=log), lambda: _listens(self.kafka)
        log = self.data / "logs" / "postgres.log"
        yield Program("postgres", self.cluster.command(), log=log), self.cluster.answers
        for service in SERVICES:
            self.cluster.create(service)

    def _launch(self, name: str, release: Release) -> Running:
        """Start one process of a release, on a port of its own."""
        port = free_port()
        service, _, role = name.partition("-")
        env = {**self._environment(), **release.environment}
        if name == ORIGIN:
            module, setting = ["infra.origin"], "SMALLPRINT_ORIGIN_PORT"
        elif role:
            module, setting = [f"services.{service}", role], "SMALLPRINT_HEALTH_PORT"
        else:
            module = [f"services.{service}", "all" if self.together else "api"]
            setting = f"SMALLPRINT_{service.upper()}_PORT"
        command = [sys.executable, "-m", *module]
        log = self.data / "logs" / f"{name}.log"
        program = Program(name, command, {**env, setting: str(port)}, log)
        self.supervisor.start(program)
        return Running(name, program, port)

    def _welcome(self, fresh: Running) -> None:
        """Wait until a process is ready, and have requests sent to it."""
        path = "/livez" if fresh.name == ORIGIN else "/readyz"
        self._wait(fresh.name, lambda: _answers(f"http://127.0.0.1:{fresh.port}{path}"))
        if gateway := self.gateways.get(fresh.name):
            gateway.add(fresh.port)
        self.running[fresh.name] = fresh

    def _wait(self, what: str, ready: Callable[[], bool]) -> None:
        until = time.monotonic() + READY_SECONDS
        while not ready():
            if time.monotonic() > until:
                raise StartError(
                    f"{what} is not ready after {READY_SECONDS:g} s: see {self.data / 'logs'}"
                )
            self._watch(0.2)

    def _watch(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.look()
            time.sleep(0.1)

    def _hear(self, line: str) -> None:
        if "starting again" in line:
            self.died.append(line)
            self.tell(line)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=10, trust_env=False).is_success
    except httpx.TransportError:
        return False
