"""Run every service as separate processes on a real Kafka broker, without Docker (`make
run-kafka`).

Starts the broker, then api, worker and relay of each service, and the proxy in front of them, all
on the loopback interface. Restarts processes that die. Ctrl-C or kill -9 ends all of them. The logs
are in the data folder, one file a process.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path

import httpx

from infra.servers.kafka import BrokerError, fetch_jars
from infra.servers.ports import free_ports
from infra.servers.postgres import ClusterError
from infra.servers.supervisor import Program, Supervisor
from services.cli.deployment.deployment_file import Deployment, write_deployment
from services.cli.deployment.lock import FolderLock
from services.cli.deployment.owner_key import keep_owner_key, start_lines
from services.ingest.keys import KeyRing
from services.ingest.store import MIGRATIONS
from shared.errors import SuiteError
from shared.settings import CommonSettings, load
from shared.storage import Store

SERVICES = ("ingest", "extraction", "triage", "review", "escalation")
READY_SECONDS = 600.0  # seconds; a busy machine may need minutes, and failures are reported at once
SAY_SECONDS = 10.0  # seconds between two lines about processes that are not ready yet
SAY_NAMES = 5  # processes that such a line names


class StartError(Exception):
    """The suite can't be started; the message says why, in one line."""


def main(arguments: list[str] | None = None) -> int:
    """Run until Ctrl-C or SIGTERM. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m infra.run_kafka", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--port", type=int, default=8400, help="of the origin (%(default)s)")
    parser.add_argument(
        "--data", type=Path, default=Path("var/data-kafka"), help="folder (%(default)s)"
    )
    options = parser.parse_args(arguments)
    return until_ended("run-kafka", lambda: Suite(options.data.resolve(), options.port))


def until_ended(name: str, suite: Callable[[], Suite]) -> int:
    """Run a suite until Ctrl-C or SIGTERM, and print start errors. Returns the exit code."""
    signal.signal(signal.SIGTERM, interrupt)
    try:
        suite().run()
    except (StartError, BrokerError, ClusterError, SuiteError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


class Suite:
    """All processes of the suite over one data folder."""

    def __init__(self, data: Path, port: int) -> None:
        self.data = data
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        names = self._names()
        self.ports = dict(zip(names, free_ports(port + 1, len(names)), strict=True))
        self.env = self._environment()

    def run(self) -> None:
        """Start everything, print the address, and keep it running until interrupted.

        Raises SuiteError if another suite uses the data folder.
        """
        if _listens(self.port):
            raise StartError(f"something listens on port {self.port} already: choose another PORT")
        with FolderLock(self.data) as lock:
            write_deployment(
                self.data, Deployment(self.env["SMALLPRINT_BUS_URL"], self.url, lock.token)
            )
            self._run()

    def _run(self) -> None:
        (self.data / "logs").mkdir(parents=True, exist_ok=True)
        print_line("fetching the broker's jars, where they are missing")
        fetch_jars()
        supervisor = Supervisor(print_line)
        try:
            for server, ready in self._servers():
                supervisor.start(server)
                self._wait(supervisor, server.name, ready)
                print_line(f"{server.name} answers")
            self._migrate()
            for program in self._programs():
                supervisor.start(program)
            self._wait(supervisor, "the suite", self._is_ready, self._unready)
            self._announce()
            while True:
                supervisor.look()
                time.sleep(0.2)
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            print_line("ending all processes")
            supervisor.stop()
            print_line("stopped; unfinished work continues at the next start")

    def _names(self) -> list[str]:
        """Everything with a separate port, except the proxy."""
        return ["kafka", *SERVICES, *(f"{s}-{r}" for s in SERVICES for r in ("worker", "relay"))]

    def _environment(self) -> dict[str, str]:
        env = {
            "SMALLPRINT_DATA": str(self.data),
            "SMALLPRINT_HOST": "127.0.0.1",
            "SMALLPRINT_TRUSTED_PROXIES": "127.0.0.1",  # our own; the origin has the user's setting
            "SMALLPRINT_BUS_URL": f"kafka://127.0.0.1:{self.ports['kafka']}",
            "SMALLPRINT_ORIGIN_PORT": str(self.port),
            "SMALLPRINT_ORIGIN_PROBES": ",".join(
                f"http://127.0.0.1:{port}" for name, port in self.ports.items() if "-" in name
            ),
        }
        for service in SERVICES:
            env[f"SMALLPRINT_{service.upper()}_PORT"] = str(self.ports[service])
            env[f"SMALLPRINT_{service.upper()}_URL"] = f"http://127.0.0.1:{self.ports[service]}"
        return env

    def _servers(self) -> Iterator[tuple[Program, Callable[[], bool]]]:
        """The servers that the services need, each with a test of readiness."""
        yield self._broker(), lambda: _listens(self.ports["kafka"])

    def _broker(self, *options: str) -> Program:
        port, folder = str(self.ports["kafka"]), str(self.data / "kafka")
        options = ("--port", port, "--data", folder, *options)
        return self._program("kafka", "infra.servers.kafka", *options)

    def _programs(self) -> Iterator[Program]:
        for service in SERVICES:
            for role in ("api", "worker", "relay"):
                yield self._program(
                    service if role == "api" else f"{service}-{role}", f"services.{service}", role
                )
        yield self._program("origin", "services.proxy")

    def _program(self, name: str, module: str, *arguments: str) -> Program:
        env = dict(self.env)
        if "-" in name:
            env["SMALLPRINT_HEALTH_PORT"] = str(self.ports[name])
        if name == "origin":
            env["SMALLPRINT_TRUSTED_PROXIES"] = os.environ.get("SMALLPRINT_TRUSTED_PROXIES", "")
        log = self.data / "logs" / f"{name}.log"
        return Program(name, [sys.executable, "-m", module, *arguments], env, log)

    def _migrate(self) -> None:
        """Create the tables first, so that the processes of a service don't race to create them."""
        print_line(f"making or updating the databases of {', '.join(SERVICES)}")
        running = {
            service: subprocess.Popen(
                [sys.executable, "-m", f"services.{service}", "migrate"],
                env={**os.environ, **self.env},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
            )
            for service in SERVICES
        }
        failed: dict[str, str] = {}
        for service, process in running.items():
            _, output = process.communicate()
            if process.returncode:
                failed[service] = (output.strip() or "it says nothing").splitlines()[-1]
            else:
                print_line(f"database of {service} ready")
        if failed:
            service, last = next(iter(failed.items()))
            raise StartError(f"the database of {service} can't be prepared: {last}")
        print_line("databases ready")

    def _wait(
        self,
        supervisor: Supervisor,
        what: str,
        ready: Callable[[], bool],
        missing: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        """Wait until something is ready.

        Args:
            missing: returns its parts that are not ready, if known.
        """
        began = reported = time.monotonic()
        while not ready():
            now = time.monotonic()
            if now - began > READY_SECONDS:
                raise StartError(
                    f"{what} is not ready after {READY_SECONDS:g} s: see {self.data / 'logs'}"
                )
            if now - reported >= SAY_SECONDS:
                print_line(
                    f"still waiting for {', '.join(missing()) or what} ({now - began:.0f} s)"
                )
                reported = now
            supervisor.look()
            time.sleep(0.2)

    def _readiness(self) -> httpx.Response | None:
        with suppress(httpx.TransportError):
            return httpx.get(self.url + "/readyz", timeout=10, trust_env=False)
        return None

    def _is_ready(self) -> bool:
        answer = self._readiness()
        return answer is not None and answer.is_success

    def _unready(self) -> Sequence[str]:
        """The names of processes that do not answer yet, according to the proxy."""
        answer = self._readiness()
        if answer is None:
            return ["origin"]
        late = [name for name, port in self.ports.items() if re.search(rf":{port}\b", answer.text)]
        more = len(late) - SAY_NAMES
        return late if more <= 0 else [*late[:SAY_NAMES], f"{more} more"]

    def _announce(self) -> None:
        chosen = {**os.environ, **self.env}.get("SMALLPRINT_INGEST_DATABASE_URL", "")
        url = load(CommonSettings, data=self.data).database("ingest", chosen)
        with closing(Store(url, "ingest", MIGRATIONS)) as store:
            ring = KeyRing(store)
            key, _ = keep_owner_key(ring, self.data)
            lines = start_lines(ring, key, self.url, self.data)
        print(*lines, f"Logs:     {self.data.resolve() / 'logs'}", sep="\n", flush=True)


def print_line(line: str) -> None:
    """Print one line with the time."""
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def interrupt(*_: object) -> None:
    """Stop like Ctrl-C; a signal handler."""
    raise KeyboardInterrupt


def _listens(port: int) -> bool:
    with closing(socket.socket()) as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    sys.exit(main())
