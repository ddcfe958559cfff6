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
from infra.rolling.people import Crowd
from infra.rolling.release import taken, today
from infra.rolling.report import Report
from infra.run_kafka import StartError

WARM = 3
"""Documents that are complete before the upgrade begins."""
SETTLE_SECONDS = 300.0
"""For which nothing new comes in the end before it is given up."""


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
        key = edition.key(old)
        reader = Reader(edition.url, key, Answers())
        hook = reader.ask("POST", "/v1/webhooks", json={"url": receiver.url}).json()["id"]
        second = reader.ask("POST", "/v1/keys", json={"name": "second"}).json()["secret"]
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
        _until(edition, lambda: not any(_left(reader, hook)), "everything ends")
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


def _left(reader: Reader, webhook: str) -> tuple[int, int]:
    """Documents that have not ended, and webhooks that have yet to be sent."""
    states = ("received", "read", "processing")
    documents = sum(
        len(list(reader.all(f"/v1/documents?limit=200&state={state}"))) for state in states
    )
    pending = f"/v1/webhooks/{webhook}/deliveries?limit=100&state=pending"
    return documents, len(list(reader.all(pending)))


def _until(edition: Edition, true: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + SETTLE_SECONDS
    while not true():
        if time.monotonic() > until:
            raise StartError(f"in vain was it waited for: {what}; see {edition.data / 'logs'}")
        edition.look()
        time.sleep(0.3)
