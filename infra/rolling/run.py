"""One upgrade from its beginning to its report."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count as numbers
from pathlib import Path

from infra.chaos.facts import gather
from infra.chaos.papers import Paper, papers
from infra.chaos.people import Client as Reader
from infra.chaos.people import Told as Answers
from infra.chaos.receiver import Receiver
from infra.ports import free_port
from infra.postgres.cluster import Cluster
from infra.rolling.checker import count, ended
from infra.rolling.edition import PAUSE, Edition, Tell
from infra.rolling.people import NAMES, Crowd
from infra.rolling.release import taken, today
from infra.rolling.report import Report
from infra.run_kafka import SERVICES, StartError
from shared.bus import Bus, open_bus
from shared.errors import Unavailable

WARM = 3
"""Documents that are complete before the upgrade begins."""
SETTLE_SECONDS = 300.0
"""For which anything is waited for before it is given up."""
QUIET = 4
"""Looks in a row at which nothing may be left: what an outbox still has is on no bus yet."""


def upgrade(
    commit: str,
    seed: int,
    documents: int,
    *,
    together: bool = False,
    pause: float = PAUSE,
    pace: float = 0.0,
    tell: Tell = partial(print, flush=True),
) -> Report:
    """Run one upgrade in a new place, of which nothing is left if all was good.

    Args:
        commit: whose program serves first.
        documents: that are sent at least; people go on until the upgrade has ended.
        together: whether api, worker and relay of a service are one process.
        pause: seconds between the last new connection of a process and SIGTERM.
        pace: seconds between two things that anybody does, if that is longer than usual.

    Raises:
        NoHistoryError, ClusterError, BrokerError, StartError: it could not be run.
    """
    began = time.monotonic()
    with ExitStack() as stack:
        place = Path(tempfile.mkdtemp(prefix="smallprint-rolling-"))
        old = taken(commit, place / "program")
        edition = Edition(place / "data", stack.enter_context(_cluster()), tell, together)
        stack.callback(edition.stop)
        receiver = Receiver()
        stack.callback(receiver.close)
        edition.start(old)
        tell(f"{old.name} serves, after {time.monotonic() - began:.0f} s")
        key = edition.key(old, NAMES[0])
        reader = Reader(edition.url, key, Answers())
        hook = reader.ask("POST", "/v1/webhooks", json={"url": receiver.url}).json()["id"]
        second = reader.ask("POST", "/v1/keys", json={"name": NAMES[1]}).json()["secret"]
        crowd = Crowd(edition.url, (key, second), _papers(seed), seed, pace)
        crowd.start()
        _until(edition, lambda: len(ended(receiver.heard)) >= WARM, "the first documents end")
        before, begun = edition.revisions(), time.monotonic()
        edition.migrate(today())
        after, migrated = edition.revisions(), time.monotonic()
        tell(f"databases migrated in {migrated - begun:.1f} s")
        replaced = list(edition.replace(today(), pause))
        upgraded = time.monotonic()
        _until(edition, lambda: len(crowd.told.accepted) >= documents, "documents are accepted")
        crowd.end()
        lag = stack.enter_context(_bus(edition)).lag
        _until(edition, lambda: not any(left(reader, hook, lag)), "everything ends", QUIET)
        report = Report(
            seed=seed,
            release=old.name,
            before=before,
            after=after,
            begun=begun,
            migrated=migrated,
            upgraded=upgraded,
            replaced=replaced,
            died=edition.died,
            told=crowd.told,
            counted=count(crowd.told, gather(reader, hook), receiver.heard),
            upload_ended=crowd.upload_ended,
            seconds=time.monotonic() - began,
        )
    if report.good:
        shutil.rmtree(place)
    else:
        tell(f"what is left of it: {place}")
    return report


@contextmanager
def _cluster() -> Iterator[Cluster]:
    folder = Path(tempfile.mkdtemp(prefix="smallprint-rolling-postgres-"))
    try:
        cluster = Cluster(folder, free_port())
        cluster.initialise()
        yield cluster
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _papers(seed: int) -> Iterator[Paper]:
    """Without end, no two of the same bytes."""
    for first in numbers(0, 100):
        yield from papers(seed, first + 100)[first:]


def left(reader: Reader, webhook: str, lag: Callable[[str], int]) -> tuple[int, int, int]:
    """Documents that have not ended, webhooks that have yet to be sent, and events that a service
    has yet to work on, by its `lag`: review hears of results apart from ingest, which ends their
    document.
    """
    states = ("received", "read", "processing")
    documents = sum(
        len(list(reader.all(f"/v1/documents?limit=200&state={state}"))) for state in states
    )
    pending = f"/v1/webhooks/{webhook}/deliveries?limit=100&state=pending"
    webhooks = len(list(reader.all(pending)))
    try:
        events = sum(map(lag, SERVICES))
    except Unavailable:
        events = -1
    return documents, webhooks, events


@contextmanager
def _bus(edition: Edition) -> Iterator[Bus]:
    bus = open_bus(edition.bus_url)
    try:
        yield bus
    finally:
        bus.close()


def _until(edition: Edition, true: Callable[[], bool], what: str, times: int = 1) -> None:
    """Wait until something is true so many times in a row. Raises StartError."""
    until, seen = time.monotonic() + SETTLE_SECONDS, 0
    while (seen := seen + 1 if true() else 0) < times:
        if time.monotonic() > until:
            raise StartError(f"in vain was it waited for: {what}; see {edition.data / 'logs'}")
        edition.look()
        time.sleep(0.3)
