"""What is counted in the end, and the line of the table that one promise becomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from infra.chaos.events import Seen
from infra.chaos.facts import Facts
from infra.chaos.frontier import Books
from infra.chaos.people import Told
from infra.chaos.receiver import Heard
from infra.chaos.trouble import Hit


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
    shown: set[str]
    """Items that there were before everything was delivered twice."""
    ended: set[str]
    """Documents that had ended then: what was lost comes back by being delivered again."""
    billed: Books
    """By the frontier provider."""

    @property
    def kinds(self) -> dict[str, str]:
        """The kind of every document that somebody was told is accepted, by id."""
        return {paper.id: paper.kind for paper in self.told.papers}


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
