"""A private PostgreSQL cluster in a folder, on loopback, without Docker.

It needs the programs of Debian's `postgresql` package. They refuse to run as root, so root runs
them as the user `postgres`, who gets the folder.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

DATABASES = Path(__file__).parents[1] / "postgres" / "databases.sh"
PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
OWNER = "postgres"


class ClusterError(Exception):
    """The cluster can't be made or started; the message says why."""


def missing() -> str | None:
    """A message about a missing requirement, or None."""
    if not PROGRAMS:
        return "PostgreSQL: no programs in /usr/lib/postgresql (Debian: apt install postgresql)"
    if find_spec("psycopg") is None:
        return "PostgreSQL: the package psycopg is not installed (make setup-dev)"
    if _is_root() and OWNER not in {user.pw_name for user in pwd.getpwall()}:
        return f"PostgreSQL does not run as root, and there is no user `{OWNER}`"
    return None


@dataclass
class Cluster:
    """A cluster in `folder`, with the login of its owner."""

    folder: Path
    port: int
    user: str = "smallprint"
    password: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)

    def initialise(self) -> None:
        """Create the cluster's files. Raises ClusterError."""
        give_to_owner(self.folder)
        secret = self.folder / "password"
        secret.write_text(self.password)
        secret.chmod(0o600)
        give_to_owner(secret)
        options = ["--auth-host=scram-sha-256", "--auth-local=reject", "--no-sync", "-E", "UTF8"]
        self.run("initdb", "-D", "data", "-U", self.user, "--pwfile=password", *options)

    def command(self) -> list[str]:
        """The command that starts a durable server in the foreground."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "300",
            "recovery_init_sync_method": "syncfs",
        }
        options = [part for one in settings.items() for part in ("-c", "=".join(one))]
        return [*self.program("postgres"), "-D", str(self._data), "-p", str(self.port), *options]

    def create(self, database: str) -> None:
        """Make an empty database. Raises ClusterError."""
        self.run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", self.user, database)

    def create_services(self, services: Iterable[str]) -> None:
        """Make the database and the role of each service, as Docker Compose does.

        The roles have the password of the cluster's owner. Raises ClusterError.
        """
        where = {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": self.user}
        passwords = {f"POSTGRES_{name.upper()}_PASSWORD": self.password for name in services}
        self._run([str(DATABASES)], where | passwords)

    def url(self, database: str, port: int | None = None, user: str = "") -> str:
        """The SQLAlchemy URL of a database.

        Args:
            port: of a proxy, if there is one.
            user: the role of a service; the cluster's owner by default.
        """
        where = f"127.0.0.1:{port or self.port}"
        return f"postgresql+psycopg://{user or self.user}:{self.password}@{where}/{database}"

    def answers(self) -> bool:
        """Whether the server takes connections."""
        try:
            self.run("pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port))
        except ClusterError:
            return False
        return True

    def run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs as the owner. Raises ClusterError with its output."""
        self._run([*self.program(program), *arguments])

    def program(self, name: str) -> list[str]:
        """The command of one of PostgreSQL's programs."""
        return [*_as_owner(), str(PROGRAMS[-1] / name)]

    def _run(self, command: Sequence[str], more: Mapping[str, str] | None = None) -> None:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, "PGPASSWORD": self.password, "LC_ALL": "C.UTF-8", **(more or {})},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ClusterError(f"{' '.join(command)} failed: {done.stdout}{done.stderr}")

    @property
    def _data(self) -> Path:
        return self.folder / "data"


def give_to_owner(path: Path) -> None:
    """Make the owner of clusters the owner of a file or folder."""
    if _is_root():
        shutil.chown(path, OWNER, OWNER)


def _as_owner() -> Sequence[str]:
    if not _is_root():
        return ()
    return ("setpriv", f"--reuid={OWNER}", f"--regid={OWNER}", "--init-groups")


def _is_root() -> bool:
    return os.geteuid() == 0
