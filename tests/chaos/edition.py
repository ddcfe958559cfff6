"""The suite under test: `python -m tests.chaos.edition FOLDER`.

Like `make run-kafka`, with PostgreSQL, two of some workers and relays, and a proxy in front of both
servers. Waits are short, so that a run recovers in seconds.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from infra.run_kafka import until_ended
from infra.servers.supervisor import Program
from tests.chaos.run_folder import RunFolder
from tests.support.postgres_suite import PostgresSuite

SECOND = ("ingest-worker", "extraction-worker", "ingest-relay")
"""Processes that run twice: one takes over from the other, and both compete for work."""
LEASE = 6.0
"""Seconds: the shortest session that a broker allows by default."""
SETTINGS = {
    "SMALLPRINT_BUS_LEASE": f"{LEASE:g}",
    "SMALLPRINT_LOG_LEVEL": "WARNING",
    "SMALLPRINT_RETRY_DELAY": "0.5",
    "SMALLPRINT_RETRY_DELAY_MOST": "4",
    "SMALLPRINT_RATE_REQUESTS": "0",
    "SMALLPRINT_THREADS": "1",
    "SMALLPRINT_INGEST_WEBHOOK_NETWORKS": "127.0.0.0/8",
    "SMALLPRINT_INGEST_WEBHOOK_HTTP": "true",
    "SMALLPRINT_INGEST_WEBHOOK_SECONDS": "2",
    "SMALLPRINT_INGEST_WEBHOOK_CONNECT_SECONDS": "2",
    "SMALLPRINT_INGEST_WEBHOOK_RETRIES": ",".join(["2"] * 30),
    "SMALLPRINT_INGEST_WEBHOOK_REST": "0.2",
    "SMALLPRINT_ESCALATION_RECOVERY": "1",
    "SMALLPRINT_ESCALATION_PATIENCE": "60",
}


class Edition(PostgresSuite):
    """The processes of one run."""

    def __init__(self, run_folder: RunFolder) -> None:
        self.run_folder = run_folder
        data, cluster = run_folder.data, run_folder.postgres
        super().__init__(data, run_folder.origin, cluster, run_folder.database_proxy)
        self.ports["kafka"] = run_folder.broker

    def _names(self) -> list[str]:
        return [*super()._names(), *(f"{name}-2" for name in SECOND)]

    def _environment(self) -> dict[str, str]:
        bus = {"SMALLPRINT_BUS_URL": self.run_folder.bus_url}
        door = {"SMALLPRINT_POLICY": str(self.run_folder.policy), "NO_PROXY": "127.0.0.1"}
        return {**super()._environment(), **SETTINGS, **bus, **door}

    def _broker(self, *options: str) -> Program:
        return super()._broker("--advertised", str(self.run_folder.broker_proxy), *options)

    def _programs(self) -> Iterator[Program]:
        yield from super()._programs()
        for name in SECOND:
            service, role = name.split("-")
            yield self._program(f"{name}-2", f"services.{service}", role)

    def _program(self, name: str, module: str, *arguments: str) -> Program:
        if module.startswith("services."):
            module, arguments = "tests.chaos.inside", (module, *arguments)
        return super()._program(name, module, *arguments)


def main(arguments: Sequence[str]) -> int:
    """Run until SIGTERM. Returns the exit code."""
    return until_ended("chaos", lambda: Edition(RunFolder.load(Path(arguments[0]))))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
