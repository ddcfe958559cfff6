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
    """An item that somebody held: by the monotonic clock, from the answer until the decision."""

    item: str
    actor: str
    begin: float
    end: float


@dataclass
class ClientRecord:
    """All answers to clients."""

    sent: list[SentDocument] = field(default_factory=list)
    """Those that were accepted."""
    refused: list[str] = field(default_factory=list)
    """Unexpected answers, in words."""
    claims: list[Claim] = field(default_factory=list)
    decisions: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    """Item, verdict and actor of every decision that was answered, by its id."""
    attempted: set[str] = field(default_factory=set)
    """Ids of decisions that were sent, answered or not."""
    states: dict[str, list[tuple[int, str]]] = field(default_factory=lambda: defaultdict(list))
    """Attempt and state of each document, in the order in which they were streamed."""
    spent: dict[str, float] = field(default_factory=dict)
    """The most that ever counted as spent, in US$, by day and month."""
    caps: set[float] = field(default_factory=set)
    """Every cap that was ever said to be in force, in US$."""
    answers: Counter[str] = field(default_factory=Counter)
    """How often a request was answered so, or not."""


class Client(PatientClient):
    """Asks by REST with one key, and records the answers."""

    def __init__(self, url: str, key: str, record: ClientRecord) -> None:
        super().__init__(url, key)
        self.record = record
        self.answers = record.answers

    def ask_once(self, path: str) -> bool:
        """Whether a path answers, and well, at the first try."""
        try:
            return self.http.get(path).is_success
        except httpx.TransportError:
            return False


class Uploader(threading.Thread):
    """Sends what is put into its queue, each until it is accepted; None ends it."""

    def __init__(self, client: Client, waiting: queue.SimpleQueue[SentDocument | None]) -> None:
        super().__init__(name="uploader", daemon=True)
        self.client = client
        self.waiting = waiting

    def run(self) -> None:
        """Send until the queue says that it is over."""
        while (paper := self.waiting.get()) is not None:
            while not self._sent(paper):
                pass  # its patience is over, and it begins again

    def _sent(self, paper: SentDocument) -> bool:
        try:
            self.upload(paper)
        except GivenUpError:
            return False
        return True

    def upload(self, paper: SentDocument) -> None:
        """Send it until it is accepted, and remember as what."""
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
    """Takes an item from the queue, decides, and takes the next, until there were enough."""

    def __init__(self, client: Client, name: str, enough: int, seed: int) -> None:
        super().__init__(name=name, daemon=True)
        self.client = client
        self.short = enough
        """Decisions that are left of his share."""
        self.over = threading.Event()
        self._chance = random.Random(f"{name} {seed}")

    def run(self) -> None:
        """Decide until it is over."""
        while self.short and not self.over.is_set():
            with suppress(GivenUpError):
                self.short -= self.decide()
            self.over.wait(self._chance.uniform(0.0, 1.0))

    def decide(self) -> bool:
        """One item; whether there was one. That nothing waits is said by 204 alone."""
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
    """Looks again and again at what was spent, and remembers the most."""

    def __init__(self, client: Client) -> None:
        super().__init__(name="bookkeeper", daemon=True)
        self.client = client
        self.over = threading.Event()

    def run(self) -> None:
        """Look until it is over."""
        while not self.over.wait(1.0):
            with suppress(GivenUpError):
                self.look(self.client.get("/v1/costs"))

    def look(self, costs: dict[str, Any]) -> None:
        """Remember what an answer says."""
        spent = self.client.record.spent
        for budget in costs["budgets"]:
            spent[budget["period"]] = max(spent.get(budget["period"], 0.0), budget["usd"])
            self.client.record.caps.add(budget["max_usd"])


class Listener(threading.Thread):
    """Hears every change of a document, and goes on where the stream broke off."""

    def __init__(self, client: Client) -> None:
        super().__init__(name="listener", daemon=True)
        self.client = client
        self.over = threading.Event()
        self._last = "0"

    def run(self) -> None:
        """Listen until it is over."""
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
    """Look again and again; whether it came true within so many seconds."""
    until = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > until:
            return False
        time.sleep(1.0)
    return True
