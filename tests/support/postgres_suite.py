"""The suite of `make run-kafka` on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from infra.run_kafka import SERVICES, Suite
from infra.servers.postgres import Cluster
from infra.servers.supervisor import Program


class PostgresSuite(Suite):
    """All processes over one data folder and one cluster.

    Args:
        database_port: of a proxy in front of the cluster, if there is one.
    """

    def __init__(
        self, data: Path, port: int, cluster: Cluster, database_port: int | None = None
    ) -> None:
        self.cluster = cluster
        self.database_port = database_port
        super().__init__(data, port)

    def _environment(self) -> dict[str, str]:
        databases = {
            f"SMALLPRINT_{service.upper()}_DATABASE_URL": self.cluster.url(
                service, self.database_port, user=service
            )
            for service in SERVICES
        }
        return {**super()._environment(), **databases}

    def _servers(self) -> Iterator[tuple[Program, Callable[[], bool]]]:
        yield from super()._servers()
        log = self.data / "logs" / "postgres.log"
        yield Program("postgres", self.cluster.command(), log=log), self.cluster.answers
        self.cluster.create_services(SERVICES)
