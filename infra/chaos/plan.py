"""What happens in a run, and when: all of it follows from the seed.

Each turn has some documents, a pause, at the most one trouble beside, and a kill. Kills are dealt
like cards, so that every run, however short, kills a service, a worker, a relay, the broker and
the database, and pulls the plug on everything once.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["stop", "drop", "delay", "full"]
EVERYTHING = "everything"
SERVERS = ("kafka", "postgres")
WRITERS = ("ingest", "ingest-worker", "ingest-worker-2", "extraction-worker", "triage-worker")
"""Processes that write blobs; the disk is full for one of them."""
GROWS = (4.0, 8.0)
"""Seconds for which the disk of a server is full: until what is there has no room for more."""
PAUSE = 2.5
"""Seconds before a kill, at the most."""
STOPPED = (7.0, 14.0)
"""Seconds for which a process is stopped: longer than the leases of its work."""
SHARES: dict[Kind, float] = {"stop": 0.08, "drop": 0.15, "delay": 0.08, "full": 0.1}
"""How many troubles of a kind there are for each kill; one at the least."""
PLUGS = 100
"""Kills for each of which the plug is pulled once."""


@dataclass(frozen=True)
class Trouble:
    """Something that goes wrong without a kill, for a while."""

    kind: Kind
    target: str
    seconds: float


@dataclass(frozen=True)
class Turn:
    """One turn of a run: documents, trouble after a while, a kill after another."""

    documents: range
    before: float
    """Seconds before the trouble."""
    trouble: Trouble | None
    pause: float
    """Seconds before the kill."""
    kill: str


def plan(
    seed: int, documents: int, kills: int, processes: Sequence[str], full: Sequence[str] = WRITERS
) -> Iterator[Turn]:
    """The turns of a run.

    Args:
        processes: the names of all that can be killed.
        full: of those whose disk can be full.
    """
    chance = random.Random(seed)
    deck = _kills(chance, kills, processes)
    troubles = _troubles(chance, kills, processes, full)
    for number, kill in enumerate(deck):
        first, last = number * documents // kills, (number + 1) * documents // kills
        before, pause = (chance.uniform(0.1, PAUSE / 2) for _ in range(2))
        yield Turn(range(first, last), before, troubles[number], pause, kill)


def _kills(chance: random.Random, kills: int, processes: Sequence[str]) -> list[str]:
    services = [name for name in processes if name not in SERVERS]
    groups = [[EVERYTHING], ["kafka"], ["postgres"]]
    groups += [[n for n in services if n.split("-")[1:2] == [role]] for role in ("worker", "relay")]
    groups += [[name for name in services if "-" not in name]]
    deck = [chance.choice(group) for group in groups]
    deck += [EVERYTHING] * (kills // PLUGS - 1)
    deck += [chance.choice(sorted(processes)) for _ in range(kills - len(deck))]
    deck = deck[:kills]
    chance.shuffle(deck)
    return deck


def _troubles(
    chance: random.Random, kills: int, processes: Sequence[str], full: Sequence[str]
) -> list[Trouble | None]:
    """One place a turn; more troubles than turns are left out."""
    found: list[Trouble | None] = [
        _trouble(chance, kind, processes, full)
        for kind, share in SHARES.items()
        for _ in range(max(1, round(share * kills)))
    ]
    found = found[:kills] + [None] * (kills - len(found))
    chance.shuffle(found)
    return found


def _trouble(
    chance: random.Random, kind: Kind, processes: Sequence[str], full: Sequence[str]
) -> Trouble:
    if kind == "stop":
        stoppable = sorted(set(processes) - {"origin", "postgres"})
        return Trouble(kind, chance.choice(stoppable), chance.uniform(*STOPPED))
    if kind == "full":
        target = chance.choice(sorted(full))
        return Trouble(kind, target, chance.uniform(*(GROWS if target in SERVERS else (1.0, 4.0))))
    return Trouble(kind, chance.choice(SERVERS), chance.uniform(0.5, 4.0))
