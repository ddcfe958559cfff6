"""A private PostgreSQL for tests: its own cluster in a temporary folder, its own port, no fsync.

`with server() as postgres: url = postgres.database()` gives the URL of an empty database. Needs
the programs of Debian's `postgresql` package; without them a test is skipped on a laptop and
fails in CI.
"""

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from infra.ports import free_port
from tests.support import require

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))


@dataclass
class Postgres:
    """A running cluster, and how to reach it."""

    programs: Path
    folder: Path
    port: int
    password: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)

    def run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs as the cluster's owner. Raises with its output."""
        done = subprocess.run(
            [*_as_owner(), str(self.programs / program), *arguments],
            cwd=self.folder,
            env={**os.environ, "PGPASSWORD": self.password, "LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stdout}{done.stderr}")

    def database(self) -> str:
        """The SQLAlchemy URL of a new empty database."""
        name = f"test_{secrets.token_hex(6)}"
        self.run("createdb", *self._address(), name)
        return f"postgresql+psycopg://tester:{self.password}@127.0.0.1:{self.port}/{name}"

    def initialise(self) -> None:
        """Make the cluster's files."""
        secret = self.folder / "password"
        secret.write_text(self.password)
        secret.chmod(0o600)
        _give_to_owner(secret)
        options = ["--auth-host=scram-sha-256", "--auth-local=reject", "--no-sync", "-E", "UTF8"]
        self.run("initdb", "-D", "data", "-U", "tester", "--pwfile=password", *options)

    def start(self) -> None:
        """Listen on loopback, without the safety that only a power cut would need."""
        quick = "-c fsync=off -c full_page_writes=off -c synchronous_commit=off"
        where = f"-c listen_addresses=127.0.0.1 -c unix_socket_directories='' -p {self.port}"
        self.run("pg_ctl", "start", "-w", "-D", "data", "-l", "log", "-o", f"{where} {quick}")

    def stop(self) -> None:
        """End at once."""
        self.run("pg_ctl", "stop", "-D", "data", "-m", "immediate")

    def _address(self) -> Sequence[str]:
        return ("-h", "127.0.0.1", "-p", str(self.port), "-U", "tester")


class Servers:
    """Starts PostgreSQL at the first test that asks for it, once for all of them.

    Args:
        stack: ends it.
    """

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._postgres: Postgres | None = None

    def database(self) -> str:
        """The URL of an empty database."""
        if self._postgres is None:
            self._postgres = self._stack.enter_context(server())
        return self._postgres.database()

    @property
    def folder(self) -> Path:
        """Where its files lie, once it is started."""
        assert self._postgres is not None
        return self._postgres.folder


@contextmanager
def server() -> Iterator[Postgres]:
    """A cluster for the time of the block."""
    require(
        PROGRAMS, "PostgreSQL: no programs in /usr/lib/postgresql (Debian: apt install postgresql)"
    )
    require(find_spec("psycopg"), "the package psycopg: make setup-dev")
    folder = Path(tempfile.mkdtemp(prefix="smallprint-postgres-"))
    _give_to_owner(folder)
    postgres = Postgres(PROGRAMS[-1], folder, free_port())
    try:
        postgres.initialise()
        postgres.start()
        try:
            yield postgres
        finally:
            postgres.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _owner() -> str | None:
    """PostgreSQL refuses to run as root; the package has made a user for it."""
    if os.geteuid() != 0:
        return None
    names = {user.pw_name for user in pwd.getpwall()}
    require("postgres" in names, "a user `postgres`, for PostgreSQL does not run as root")
    return "postgres"


def _as_owner() -> Sequence[str]:
    owner = _owner()
    return ("setpriv", f"--reuid={owner}", f"--regid={owner}", "--init-groups") if owner else ()


def _give_to_owner(path: Path) -> None:
    if owner := _owner():
        shutil.chown(path, owner, owner)
