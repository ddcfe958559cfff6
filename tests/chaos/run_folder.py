"""The folder and the ports of one run, which the driver and the edition share."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

from infra.servers.ports import free_ports
from infra.servers.postgres import Cluster, ClusterError
from tests.chaos.plan import SERVERS
from tests.chaos.volume import Volume, volume

FILE = "chaos.json"
"""A file in the data folder; without it nothing of this package starts there."""

FULL = (os.strerror(errno.ENOSPC), "unsafe memory access operation")
"""Messages of a server about a full disk. The second is Java's for a memory-mapped file that can't
grow (SIGBUS).
"""


@dataclass(frozen=True)
class RunFolder:
    """The folders and ports of one run."""

    data: Path
    postgres: Cluster
    """Its folder belongs to another user."""
    origin: int
    broker: int
    broker_proxy: int
    database_proxy: int
    broken: str = ""
    """The removed protection, if any."""
    small: tuple[str, ...] = ()
    """Servers with a separate file system."""

    @classmethod
    def make(cls, broken: str) -> Self:
        """Create the folders and an empty cluster, and choose free ports. Raises ClusterError."""
        data = Path(tempfile.mkdtemp(prefix="smallprint-chaos-"))
        folder = Path(tempfile.mkdtemp(prefix="smallprint-chaos-postgres-"))
        ports = free_ports(random.randrange(12_000, 25_000), 5)
        database, database_proxy, broker, broker_proxy, origin = ports
        (data / "kafka").mkdir()
        cluster = Cluster(folder, database)
        run_folder = cls(data, cluster, origin, broker, broker_proxy, database_proxy, broken)
        small = tuple(name for name in SERVERS if volume(run_folder.folder(name)))
        run_folder = replace(run_folder, small=small)
        try:
            run_folder.postgres.initialise()
        except ClusterError:
            run_folder.remove()
            raise
        (data / FILE).write_text(json.dumps(asdict(run_folder), default=str))
        return run_folder

    @classmethod
    def load(cls, data: Path) -> Self:
        """The stored run folder. Raises FileNotFoundError without one."""
        known = json.loads((data / FILE).read_text())
        postgres = known["postgres"]
        cluster = Cluster(**{**postgres, "folder": Path(postgres["folder"])})
        return cls(**{**known, "data": data, "postgres": cluster, "small": tuple(known["small"])})

    @property
    def blobs(self) -> Path:
        """The folder of the services' blobs."""
        return self.data / "blobs"

    @property
    def volumes(self) -> dict[str, Volume]:
        """The file systems of servers by name; empty if none could be mounted."""
        return {name: Volume(self.folder(name)) for name in self.small}

    def folder(self, server: str) -> Path:
        """The folder with a server's data."""
        return self.data / "kafka" if server == "kafka" else self.postgres.folder

    def refusals(self, server: str) -> int:
        """Number of lines in a server's log about a full disk."""
        log = self.data / "logs" / f"{server}.log"
        if not log.exists():
            return 0
        with log.open(errors="replace") as lines:
            return sum(any(words in line for words in FULL) for line in lines)

    @property
    def policy(self) -> Path:
        """The policy file, which allows the stand-in provider."""
        return self.data / "policy.toml"

    @property
    def bus_url(self) -> str:
        """The URL of the bus through the proxy."""
        return f"kafka://127.0.0.1:{self.broker_proxy}?partitions=6&timeout=10"

    def remove(self) -> None:
        """Remove all folders. Raises VolumeError."""
        for one in self.volumes.values():
            one.unmount()
        shutil.rmtree(self.data, ignore_errors=True)
        shutil.rmtree(self.postgres.folder, ignore_errors=True)
