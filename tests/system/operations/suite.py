"""A complete suite for tests of operations: five services in this process, run by hand or in the
background. Only the specialist is fake: it finds keywords.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from services.cli.operations.backup import BackedUpDeployment
from services.cli.operations.partial_backup import BLOBS
from services.escalation import bootstrap as escalation
from services.escalation.settings import Settings as EscalationSettings
from services.extraction import bootstrap as extraction
from services.extraction.settings import Settings as ExtractionSettings
from services.ingest import bootstrap as ingest
from services.ingest.settings import Settings as IngestSettings
from services.review import bootstrap as review
from services.review.settings import Settings as ReviewSettings
from services.triage import bootstrap as triage
from services.triage.settings import Settings as TriageSettings
from shared.blobs.files import MARKER
from shared.messaging import Relay
from shared.runtime.embedded import at_work
from shared.settings import load
from tests.support.queue import HandWorker
from tests.support.samples import contract, report
from tests.unit.extraction.builders import KeywordSpecialists
from tests.unit.ingest.builders import InProcessReader

PATIENCE = 120.0
NAMES = ("ingest", "extraction", "triage", "review", "escalation")


def environment(patch: pytest.MonkeyPatch, databases: Mapping[str, str], bus: str = "") -> None:
    """Have every process and command use these databases and this bus."""
    for name, url in databases.items():
        patch.setenv(f"SMALLPRINT_{name.upper()}_DATABASE_URL", url)
    if bus:
        patch.setenv("SMALLPRINT_BUS_URL", bus)


class Suite:
    """The five services on one data folder, configured by the environment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        specialists = KeywordSpecialists()
        chosen: dict[str, Any] = {"data": folder, "rate_requests": 0, "retry_delay": 0.05}
        first = ingest.build(load(IngestSettings, **chosen), reader=InProcessReader())
        keys = first.app.state.keys
        self.services = [
            first,
            extraction.build(
                load(ExtractionSettings, **chosen), keys=keys, specialists=lambda: specialists
            ),
            triage.build(load(TriageSettings, **chosen), keys=keys),
            review.build(load(ReviewSettings, **chosen), keys=keys),
            escalation.build(load(EscalationSettings, **chosen), keys=keys),
        ]
        for service in self.services:
            service.store.migrate()
        self.keys = keys
        self.secret = keys.create("default", f"tester {uuid.uuid4().hex[:8]}").secret
        self.clients = dict(zip(NAMES, map(self._client, range(5)), strict=True))
        self.loops = [
            (Relay(s.store, s.bus), HandWorker(s.name, s.store, s.bus, s.handlers, s.settings))
            for s in self.services
        ]

    def _client(self, number: int) -> TestClient:
        headers = {"authorization": f"Bearer {self.secret}"}
        return TestClient(self.services[number].app, headers=headers)

    def store(self, name: str) -> Any:
        return self.services[NAMES.index(name)].store

    def upload(self, number: int, kind: str = "contract") -> str:
        """Send a document of our own making. Returns its id."""
        data = contract(number) if kind == "contract" else report(f"acme-{number}", offset=number)
        name = f"{number}.txt" if kind == "contract" else f"{number}.json"
        answer: Any = self.clients["ingest"].post(
            "/v1/documents", files={"file": (name, data)}, data={"kind": kind}
        )
        assert answer.status_code in (200, 202), answer.text
        return str(answer.json()["id"])

    def state(self, document: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.clients["ingest"].get(f"/v1/documents/{document}").json()
        return answer

    def work(self, true: Callable[[], bool] = lambda: True) -> None:
        """Let everybody work until nothing waits, and something is true."""
        end = time.monotonic() + PATIENCE
        while True:
            busy = sum(relay.run_once() + worker.run_until_idle() for relay, worker in self.loops)
            if not busy and true():
                return
            assert time.monotonic() < end, "worked in vain"

    def ended(self, *documents: str) -> None:
        """Let everybody work until these have ended complete."""
        self.work(lambda: all(self.state(one)["state"] == "ended" for one in documents))
        assert {self.state(one)["outcome"] for one in documents} <= {"complete"}

    @contextmanager
    def running(self) -> Iterator[None]:
        """Everybody at work in the background; the services are closed at the end."""
        services, self.services = self.services, []
        with at_work(services):
            yield

    def close(self) -> None:
        """Give everything back; again is as good as once."""
        services, self.services = self.services, []
        for service in services:
            service.close()


@contextmanager
def under_load(suite: Suite, first: int) -> Iterator[list[str]]:
    """Documents are uploaded, worked on and deleted in the background for the time of the block.
    The services are closed at its end; what failed there is raised.

    Args:
        first: of how many it begins.

    Yields:
        Their ids; two at least are never deleted.
    """
    accepted: list[str] = []
    failures: list[BaseException] = []
    stop = threading.Event()

    def load() -> None:
        try:
            for number in count(100):
                if stop.is_set():
                    return
                accepted.append(suite.upload(number))
                if number % 3 == 2 and len(accepted) > 2:
                    gone = accepted.pop(2)  # two stay, however long it takes
                    suite.clients["ingest"].delete(f"/v1/documents/{gone}").raise_for_status()
        except BaseException as error:  # noqa: BLE001 - raised again below
            failures.append(error)

    with suite.running():
        loading = threading.Thread(target=load)
        loading.start()
        try:
            end = time.monotonic() + PATIENCE
            while len(accepted) < first and not failures:
                assert time.monotonic() < end, "too few were accepted"
                time.sleep(0.02)
            yield list(accepted)
        finally:
            stop.set()
            loading.join()
    if failures:
        raise failures[0]


def place_of(folder: Path, blobs: int) -> BackedUpDeployment:
    """A place with one database and so many blobs."""
    for number in range(blobs):
        data = b"%d" % number
        sha256 = hashlib.sha256(data).hexdigest()
        path = folder / BLOBS / "default" / sha256[:2] / sha256
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (folder / BLOBS / MARKER).touch()
    with closing(sqlite3.connect(folder / "one.db")) as made:
        made.execute("CREATE TABLE rows (id INTEGER)")
    return BackedUpDeployment(folder, {"one": f"sqlite:///{folder / 'one.db'}"}, None)
