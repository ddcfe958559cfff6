"""What is counted in the end, and the line of the table that one promise becomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from infra.chaos.events import Seen
from infra.chaos.facts import Facts, Row
from infra.chaos.frontier import Books
from infra.chaos.people import Told
from infra.chaos.receiver import Heard
from infra.chaos.trouble import Hit

Booking = tuple[str, int, int]
"""A document's line in the ledger: its id, readings and tokens."""


@dataclass
class Before:
    """What there was, all at rest, before everything was delivered once more: what somebody lost
    comes back by that, so whatever comes only then was lost.
    """

    items: set[str]
    ended: set[str]
    """Documents."""
    webhooks: set[str]
    """Ids of messages that were heard."""
    booked: set[Booking]
    events: set[str]


@dataclass
class Evidence:
    """Everything that is counted."""

    told: Told
    facts: Facts
    heard: list[Heard]
    """Webhooks, as they came."""
    seen: Mapping[str, Seen]
    """Events by id, each document's in the order of the bus."""
    hits: list[Hit]
    """What went wrong, and when."""
    before: Before
    billed: Books
    """By the frontier provider."""
    cap: int
    """What the policy of the run lets be spent in a day and in a month, in millionths of a US$."""
    short: Mapping[str, int]
    """How many decisions each analyst had not got to when all was at rest."""

    @property
    def kinds(self) -> dict[str, str]:
        """The kind of every document that somebody was told is accepted, by id."""
        return {paper.id: paper.kind for paper in self.told.papers}

    @property
    def booked(self) -> set[Booking]:
        """The ledger's line of each document of which readings are booked."""
        return bookings(self.facts.costs)


def bookings(costs: Row) -> set[Booking]:
    """The lines of documents in an answer of `/v1/costs?by=document`, but for those that have calls
    to a provider alone.
    """
    return {
        (one["key"], one["documents"], one["tokens_read"])
        for one in costs["groups"]
        if one["documents"] or one["tokens_read"] or not one.get("calls")
    }


@dataclass
class Check:
    """One promise: at how many things was looked, and which of them broke it."""

    promise: str
    looked_at: int = 0
    wrong: list[str] = field(default_factory=list)

    def look(self, good: object, what: str) -> None:
        """Look at one more thing."""
        self.looked_at += 1
        if not good:
            self.wrong.append(what)

    def once(self, things: Iterable[object], where: str) -> None:
        """Look at things each of which may be there once."""
        for thing, times in Counter(things).items():
            self.look(times == 1, f"{where}: {thing} {times} times")
