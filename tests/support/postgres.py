"""A private PostgreSQL for tests: its own cluster in a temporary folder, its own port, no fsync.

`with server() as postgres: url = postgres.database()` gives the URL of an empty database. Needs
the programs of Debian's `postgresql` package; without them a test is skipped on a laptop and
fails in CI.
"""

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from infra.servers.ports import free_port
from infra.servers.postgres import Cluster, missing
from tests.support import require


class Postgres(Cluster):
    """A running cluster for tests."""

    def database(self) -> str:
        """The SQLAlchemy URL of a new empty database, whose owner is no superuser."""
        name = f"test_{secrets.token_hex(6)}"
        role = f"CREATE ROLE {name} LOGIN PASSWORD '{self.password}'"
        where = ("-h", "127.0.0.1", "-p", str(self.port), "-U", self.user, "-d", "postgres")
        self.run("psql", *where, "-c", role, "-c", f"CREATE DATABASE {name} OWNER {name}")
        return self.url(name, user=name)

    def start(self) -> None:
        """Start it on loopback, without durability."""
        quick = "-c fsync=off -c full_page_writes=off -c synchronous_commit=off"
        where = f"-c listen_addresses=127.0.0.1 -c unix_socket_directories='' -p {self.port}"
        self.run("pg_ctl", "start", "-w", "-D", "data", "-l", "log", "-o", f"{where} {quick}")

    def stop(self) -> None:
        """Stop it at once."""
        self.run("pg_ctl", "stop", "-D", "data", "-m", "immediate")


class Servers:
    """Starts one PostgreSQL for all tests, when the first test needs it.

    Args:
        stack: stops it.
    """

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._postgres: Postgres | None = None

    def database(self) -> str:
        """The URL of an empty database."""
        if self._postgres is None:
            self._postgres = self._stack.enter_context(server())
        return self._postgres.database()

    def as_administrator(self, url: str) -> str:
        """The URL of the same database for a superuser."""
        assert self._postgres is not None
        return self._postgres.url(url.rpartition("/")[2])

    @property
    def folder(self) -> Path:
        """The folder of the running cluster."""
        assert self._postgres is not None
        return self._postgres.folder


@contextmanager
def server() -> Iterator[Postgres]:
    """A cluster until the block ends."""
    lacking = missing()
    require(lacking is None, lacking or "")
    folder = Path(tempfile.mkdtemp(prefix="smallprint-postgres-"))
    postgres = Postgres(folder, free_port())
    try:
        postgres.initialise()
        postgres.start()
        try:
            yield postgres
        finally:
            postgres.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
