"""The data to check, and the result of one check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tests.chaos.events import SeenEvent
from tests.chaos.facts import Facts, Row
from tests.chaos.frontier import Bills
from tests.chaos.people import ClientRecord
from tests.chaos.receiver import ReceivedMessage
from tests.chaos.trouble import PastTrouble

Booking = tuple[str, int, int]
"""A document's line in the ledger: its id, readings and tokens."""


@dataclass
class StateAtRest:
    """The state at rest before everything was delivered again. A repeated delivery restores lost
    work, so anything that only appears afterwards was lost.
    """

    items: set[str]
    ended: set[str]
    """Ids of documents."""
    webhooks: set[str]
    """Ids of received messages."""
    booked: set[Booking]
    events: set[str]


@dataclass
class Evidence:
    """All data for the checks."""

    record: ClientRecord
    facts: Facts
    messages: list[ReceivedMessage]
    """Received webhooks, in order."""
    seen: Mapping[str, SeenEvent]
    """Events by id, each document's in the order of the bus."""
    hits: list[PastTrouble]
    """Troubles with their times."""
    before: StateAtRest
    billed: Bills
    """The bills of the stand-in provider."""
    cap: int
    """The cap in the policy for a day and a month, in millionths of a US$."""
    short: Mapping[str, int]
    """The decisions that each analyst still had to make when all was at rest."""

    @property
    def kinds(self) -> dict[str, str]:
        """The kind of every accepted document by id."""
        return {paper.id: paper.kind for paper in self.record.sent}

    @property
    def booked(self) -> set[Booking]:
        """The ledger's line of each document with booked readings."""
        return bookings(self.facts.costs)


def bookings(costs: Row) -> set[Booking]:
    """The documents in an answer of `/v1/costs?by=document`, except those with only calls to a
    provider.
    """
    return {
        (one["key"], one["documents"], one["tokens_read"])
        for one in costs["groups"]
        if one["documents"] or one["tokens_read"] or not one.get("calls")
    }


@dataclass
class Check:
    """One guarantee: how many things were checked, and which of them broke it."""

    guarantee: str
    checked: int = 0
    wrong: list[str] = field(default_factory=list)

    def expect(self, good: object, what: str) -> None:
        """Check one thing."""
        self.checked += 1
        if not good:
            self.wrong.append(what)

    def once(self, things: Iterable[object], where: str) -> None:
        """Check that each thing appears once."""
        for thing, times in Counter(things).items():
            self.expect(times == 1, f"{where}: {thing} {times} times")
