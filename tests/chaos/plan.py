"""The plan of a run, made from its seed.

Each turn has some documents, a pause, at most one trouble, and a kill. Every run, however short,
kills a service, a worker, a relay, the broker and the database, and pulls the plug once. Full disks
have turns without other trouble; without support for them the rest of the plan is the same.
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
"""Processes that write blobs."""
PAUSE = 2.5
"""Most seconds before a kill."""
STOPPED = (7.0, 14.0)
"""Seconds for which a process is stopped: longer than the leases of its work."""
SHARES: dict[Kind, float] = {"stop": 0.08, "drop": 0.15, "delay": 0.08, "full": 0.1}
"""Number of troubles of each kind for each kill; at least one."""
SHARE_OF_SERVER = 0.02
"""Number of full disks of each server for each kill; at least one."""
GROWS = (4.0, 8.0)
"""Seconds for which a server's disk is full: until its files have no room."""
PLUGS = 100
"""The plug is pulled once for so many kills."""


@dataclass(frozen=True)
class Trouble:
    """A temporary fault without a kill."""

    kind: Kind
    target: str
    seconds: float


@dataclass(frozen=True)
class Turn:
    """One turn of a run: documents, then a trouble, then a kill."""

    documents: range
    before: float
    """Seconds before the trouble."""
    trouble: Trouble | None
    pause: float
    """Seconds before the kill."""
    kill: str


def plan(
    seed: int, documents: int, kills: int, processes: Sequence[str], small: Sequence[str] = ()
) -> Iterator[Turn]:
    """The turns of a run.

    Args:
        processes: names of all processes that can be killed.
        small: names of servers whose disk can be full.
    """
    chance = random.Random(seed)
    deck = _kills(chance, kills, processes)
    troubles = _troubles(chance, kills, processes)
    _fill(random.Random(f"{seed} full"), troubles, small)
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


def _troubles(chance: random.Random, kills: int, processes: Sequence[str]) -> list[Trouble | None]:
    """The trouble of each turn, or None. Surplus troubles are left out."""
    found: list[Trouble | None] = [
        _trouble(chance, kind, processes)
        for kind, share in SHARES.items()
        for _ in range(max(1, round(share * kills)))
    ]
    found = found[:kills] + [None] * (kills - len(found))
    chance.shuffle(found)
    return found


def _fill(chance: random.Random, troubles: list[Trouble | None], small: Sequence[str]) -> None:
    """Add full disks of servers to turns without trouble, as far as there are any."""
    free = [number for number, one in enumerate(troubles) if one is None]
    chance.shuffle(free)
    each = max(1, round(SHARE_OF_SERVER * len(troubles)))
    for number, target in zip(free, [*small] * each, strict=False):
        troubles[number] = Trouble("full", target, chance.uniform(*GROWS))


def _trouble(chance: random.Random, kind: Kind, processes: Sequence[str]) -> Trouble:
    if kind == "stop":
        stoppable = sorted(set(processes) - {"origin", "postgres"})
        return Trouble(kind, chance.choice(stoppable), chance.uniform(*STOPPED))
    if kind == "full":
        return Trouble(kind, chance.choice(WRITERS), chance.uniform(1.0, 4.0))
    return Trouble(kind, chance.choice(SERVERS), chance.uniform(0.5, 4.0))
