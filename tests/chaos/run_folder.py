"""Where one run takes place: its folder and its ports, known to the driver and to the edition."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from infra.servers.ports import free_ports
from infra.servers.postgres import Cluster, ClusterError
from tests.chaos.plan import SERVERS
from tests.chaos.volume import Volume, volume

FILE = "chaos.json"
"""In the data folder: without it nothing of this package starts there."""

FULL = (os.strerror(errno.ENOSPC), "unsafe memory access operation")
"""Messages of a server about a full disk. The second is Java's for a memory-mapped file that can't
grow (SIGBUS).
"""


@dataclass(frozen=True)
class RunFolder:
    """The folders and ports of one run."""

    data: Path
    cluster: Path
    """Of PostgreSQL, which belongs to another user."""
    password: str
    origin: int
    broker: int
    broker_proxy: int
    database: int
    database_proxy: int
    broken: str = ""
    """The protection that is taken away, if any."""
    small: tuple[str, ...] = ()
    """Servers with a separate file system."""

    @classmethod
    def make(cls, broken: str) -> Self:
        """New folders, an empty cluster, and ports that are free. Raises ClusterError."""
        data = Path(tempfile.mkdtemp(prefix="smallprint-chaos-"))
        folder = Path(tempfile.mkdtemp(prefix="smallprint-chaos-postgres-"))
        ports = free_ports(random.randrange(12_000, 25_000), 5)
        database, database_proxy, broker, broker_proxy, origin = ports
        (data / "kafka").mkdir()
        folders = {"kafka": data / "kafka", "postgres": folder}
        small = tuple(name for name in SERVERS if volume(folders[name]))
        cluster = Cluster(folder, database)
        try:
            cluster.initialise()
        except ClusterError:
            for name in small:
                Volume(folders[name]).unmount()
            raise
        run_folder = cls(
            data=data,
            cluster=folder,
            password=cluster.password,
            origin=origin,
            broker=broker,
            broker_proxy=broker_proxy,
            database=database,
            database_proxy=database_proxy,
            broken=broken,
            small=small,
        )
        (data / FILE).write_text(json.dumps(asdict(run_folder), default=str))
        return run_folder

    @classmethod
    def load(cls, data: Path) -> Self:
        """The place that was made there. Raises FileNotFoundError if none was."""
        known = json.loads((data / FILE).read_text())
        paths = {name: Path(known[name]) for name in ("data", "cluster")}
        return cls(**{**known, **paths, "small": tuple(known["small"])})

    @property
    def postgres(self) -> Cluster:
        """The cluster in it."""
        return Cluster(self.cluster, self.database, password=self.password)

    @property
    def blobs(self) -> Path:
        """The folder of the services' blobs."""
        return self.data / "blobs"

    @property
    def volumes(self) -> dict[str, Volume]:
        """The file systems of servers, by their names; empty where none could be mounted."""
        folders = {"kafka": self.data / "kafka", "postgres": self.cluster}
        return {name: Volume(folders[name]) for name in self.small}

    def refusals(self, server: str) -> int:
        """Lines of a server's log that say that its disk is full."""
        log = self.data / "logs" / f"{server}.log"
        if not log.exists():
            return 0
        with log.open(errors="replace") as lines:
            return sum(any(words in line for words in FULL) for line in lines)

    @property
    def policy(self) -> Path:
        """The file that opens the door to the frontier."""
        return self.data / "policy.toml"

    @property
    def bus_url(self) -> str:
        """The bus, through the proxy."""
        return f"kafka://127.0.0.1:{self.broker_proxy}?partitions=6&timeout=10"

    def remove(self) -> None:
        """Leave nothing behind. Raises VolumeError."""
        for one in self.volumes.values():
            one.unmount()
        shutil.rmtree(self.data, ignore_errors=True)
        shutil.rmtree(self.cluster, ignore_errors=True)
