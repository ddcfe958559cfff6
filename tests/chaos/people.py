"""Clients that use REST, retry without an answer, and record all answers in `ClientRecord`."""

from __future__ import annotations

import json
import queue
import random
import secrets
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.chaos.documents import SentDocument
from tests.support.patient_client import GivenUpError, PatientClient


@dataclass
class Claim:
    """A claimed item. Times are monotonic, from the answer until the decision."""

    item: str
    actor: str
    begin: float
    end: float


@dataclass
class ClientRecord:
    """All answers to clients."""

    sent: list[SentDocument] = field(default_factory=list)
    """Accepted documents."""
    refused: list[str] = field(default_factory=list)
    """Unexpected answers, in words."""
    claims: list[Claim] = field(default_factory=list)
    decisions: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    """Item, verdict and actor of every answered decision, by its id."""
    attempted: set[str] = field(default_factory=set)
    """Ids of decisions that were sent, answered or not."""
    states: dict[str, list[tuple[int, str]]] = field(default_factory=lambda: defaultdict(list))
    """Attempt and state of each document, in the order in which they were streamed."""
    spent: dict[str, float] = field(default_factory=dict)
    """The most reported spending, in US$, by day and month."""
    caps: set[float] = field(default_factory=set)
    """All reported caps, in US$."""
    answers: Counter[str] = field(default_factory=Counter)
    """How often requests got each answer, or none."""


class Client(PatientClient):
    """Sends requests with one key, and records the answers."""

    def __init__(self, url: str, key: str, record: ClientRecord) -> None:
        super().__init__(url, key)
        self.record = record
        self.answers = record.answers

    def ask_once(self, path: str) -> bool:
        """Whether a single request to a path succeeds."""
        try:
            return self.http.get(path).is_success
        except httpx.TransportError:
            return False


class Uploader(threading.Thread):
    """Uploads the documents of a queue, each until it is accepted. None ends it."""

    def __init__(self, client: Client, waiting: queue.SimpleQueue[SentDocument | None]) -> None:
        super().__init__(name="uploader", daemon=True)
        self.client = client
        self.waiting = waiting

    def run(self) -> None:
        """Upload until None comes."""
        while (paper := self.waiting.get()) is not None:
            while not self._sent(paper):
                pass  # it gave up, and starts again

    def _sent(self, paper: SentDocument) -> bool:
        try:
            self.upload(paper)
        except GivenUpError:
            return False
        return True

    def upload(self, paper: SentDocument) -> None:
        """Upload a document until it is accepted, and store its id."""
        answer = self.client.ask(
            "POST",
            "/v1/documents",
            files={"file": (paper.name, paper.data)},
            data={"kind": paper.kind},
        )
        record = self.client.record
        if answer.status_code not in (200, 202):
            record.refused.append(f"{paper.name}: {answer.status_code} {answer.text[:200]}")
            return
        paper.id = answer.json()["id"]
        record.sent.append(paper)


class Analyst(threading.Thread):
    """Claims and decides items until a number of decisions is reached."""

    def __init__(self, client: Client, name: str, enough: int, seed: int) -> None:
        super().__init__(name=name, daemon=True)
        self.client = client
        self.short = enough
        """Decisions still to make."""
        self.over = threading.Event()
        self._chance = random.Random(f"{name} {seed}")

    def run(self) -> None:
        """Decide until `over` is set or all is done."""
        while self.short and not self.over.is_set():
            with suppress(GivenUpError):
                self.short -= self.decide()
            self.over.wait(self._chance.uniform(0.0, 1.0))

    def decide(self) -> bool:
        """Decide one item. Returns whether there was one."""
        record = self.client.record
        answer = self.client.ask("POST", "/v1/items/claim", json={})
        if answer.status_code != 200:
            if answer.status_code != 204:
                record.refused.append(f"a claim: {answer.status_code} {answer.text[:200]}")
            return False
        item = answer.json()["id"]
        claim = Claim(item, self.name, time.monotonic(), time.monotonic())
        wish = {
            "item": item,
            "verdict": self._chance.choice(("accept", "reject")),
            "id": f"de_{secrets.token_hex(16)}",
        }
        time.sleep(self._chance.uniform(0.0, 0.5))
        claim.end = time.monotonic()
        record.claims.append(claim)
        record.attempted.add(wish["id"])
        answer = self.client.ask("POST", "/v1/decisions", json=wish)
        if answer.status_code in (200, 201):
            record.decisions[wish["id"]] = (item, wish["verdict"], self.name)
        else:
            record.refused.append(
                f"decision about {item}: {answer.status_code} {answer.text[:200]}"
            )
        return True


class Bookkeeper(threading.Thread):
    """Polls the costs, and records the highest spending."""

    def __init__(self, client: Client) -> None:
        super().__init__(name="bookkeeper", daemon=True)
        self.client = client
        self.over = threading.Event()

    def run(self) -> None:
        """Poll until `over` is set."""
        while not self.over.wait(1.0):
            with suppress(GivenUpError):
                self.record_costs(self.client.get("/v1/costs"))

    def record_costs(self, costs: dict[str, Any]) -> None:
        """Record spending and caps."""
        spent = self.client.record.spent
        for budget in costs["budgets"]:
            spent[budget["period"]] = max(spent.get(budget["period"], 0.0), budget["usd"])
            self.client.record.caps.add(budget["max_usd"])


class Listener(threading.Thread):
    """Streams every change of a document, and resumes after a break."""

    def __init__(self, client: Client) -> None:
        super().__init__(name="listener", daemon=True)
        self.client = client
        self.over = threading.Event()
        self._last = "0"

    def run(self) -> None:
        """Listen until `over` is set."""
        while not self.over.is_set():
            with suppress(httpx.TransportError):
                self._listen()
            self.over.wait(0.5)

    def _listen(self) -> None:
        path = f"/v1/documents/events?after={self._last}"
        with self.client.http.stream("GET", path, timeout=30.0) as stream:
            number = self._last
            for line in stream.iter_lines() if stream.status_code == 200 else ():
                name, _, value = line.partition(": ")
                if name == "id":
                    number = value
                elif name == "data":
                    self._hear(json.loads(value))
                    self._last = number
                if self.over.is_set():
                    return

    def _hear(self, document: dict[str, Any]) -> None:
        if "state" in document:
            states = self.client.record.states[document["id"]]
            states.append((document["attempt"], document["state"]))


def wait_until(ready: Callable[[], bool], seconds: float) -> bool:
    """Poll until `ready` is true. Returns false after so many seconds."""
    until = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > until:
            return False
        time.sleep(1.0)
    return True
