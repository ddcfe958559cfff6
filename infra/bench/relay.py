"""How long an event waits in the outbox on PostgreSQL: `python -m infra.bench.relay [EVENTS]`.

Two processes of a service are one database and two stores here. One commits events, at moments
that have nothing to do with the other's interval; the other's relay sends them. Time runs from the
end of the commit to the relay's call of the bus, which takes none itself. Once the relay hears of
commits, once it only looks at its interval, as it does on SQLite.
"""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from infra.ports import free_port
from infra.postgres.cluster import Cluster, missing
from services.extraction.store import MIGRATIONS
from shared.bus import Message
from shared.bus.memory import MemoryBus
from shared.events import DocumentDeleted
from shared.settings import CommonSettings
from shared.storage import Relay, Store, UnitOfWork
from shared.storage.listening import Listening

EVENTS = 200
INTERVAL: float = CommonSettings.model_fields["relay_interval"].default


class Clock(MemoryBus):
    """A bus that notes when it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.called = 0.0
        self.calls = threading.Semaphore(0)

    def publish(self, *messages: Message) -> None:
        """Note the time, and take nothing."""
        del messages
        self.called = time.perf_counter()
        self.calls.release()


class Deaf(Listening):
    """Hears nothing."""

    def start(self) -> None:
        """Do not begin."""


@contextmanager
def server() -> Iterator[Cluster]:
    """A durable PostgreSQL in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="smallprint-bench-") as folder:
        cluster = Cluster(Path(folder), free_port())
        cluster.initialise()
        with subprocess.Popen(
            cluster.command(), cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                while not cluster.answers():
                    time.sleep(0.1)
                yield cluster
            finally:
                process.terminate()


def delays(url: str, events: int, *, hearing: bool) -> list[float]:
    """Milliseconds from each commit to the call of the bus."""
    bus, stop, found = Clock(), threading.Event(), []
    with ExitStack() as stack:
        here, there = (Store(url, "extraction", MIGRATIONS) for _ in range(2))
        stack.callback(here.close)
        stack.callback(there.close)
        here.migrate()
        ears = (Listening if hearing else Deaf)(here.engine, here.outbox_filled.set)
        here.listening = lambda: ears  # type: ignore[method-assign]
        thread = threading.Thread(target=Relay(here, bus, INTERVAL).run, args=(stop,))
        thread.start()
        while hearing and not ears.hears:
            time.sleep(0.01)
        for _ in range(events):
            time.sleep(random.uniform(0.05, 0.05 + INTERVAL))
            with UnitOfWork(there) as uow:
                uow.publish(DocumentDeleted(document_id="d"))
            committed = time.perf_counter()
            bus.calls.acquire()
            found.append(max(0.0, bus.called - committed) * 1000)
        stop.set()
        here.outbox_filled.set()
        thread.join()
    return found


def main(arguments: list[str]) -> int:
    """Print the table."""
    events = int(arguments[0]) if arguments else EVENTS
    if lacking := missing():
        print(lacking, file=sys.stderr)
        return 1
    print(f"{events} events, from the commit in one process to the bus in another, in ms")
    print(f"{'the relay':32}{'p50':>8}{'p95':>8}{'p99':>8}{'most':>8}")
    with server() as cluster:
        for name, hearing in (("hears of commits", True), (f"looks each {INTERVAL} s", False)):
            database = f"bench_{'hears' if hearing else 'looks'}"
            cluster.create(database)
            found = delays(cluster.url(database), events, hearing=hearing)
            cuts = statistics.quantiles(found, n=100)
            row = (cuts[49], cuts[94], cuts[98], max(found))
            print(f"{name:32}" + "".join(f"{value:8.1f}" for value in row), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
