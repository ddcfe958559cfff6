"""Who of a Kafka group serves which partitions, so that nobody is interrupted in his work.

Every member reports the partitions it serves and keeps them. Free ones go to who has least; who
has too many is told how many to give up, finishes what is in hand there, and only then reports
fewer. So a partition is never served by two members, however long the work takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Share:
    """What one member serves from now on, and how many of these it should give up."""

    partitions: frozenset[int]
    give_up: int


def share(partitions: Iterable[int], served: Mapping[str, Iterable[int]]) -> dict[str, Share]:
    """Divide partitions among the members, given what each of them serves already."""
    partitions = sorted(partitions)
    members = sorted(served)
    kept = _keep(partitions, {member: served[member] for member in members})
    taken = set().union(*kept.values())
    for partition in partitions:
        if partition not in taken:
            poorest = min(members, key=lambda member: (len(kept[member]), member))
            kept[poorest].add(partition)
    counts = _even_out({member: len(kept[member]) for member in members})
    return {
        member: Share(frozenset(kept[member]), max(0, len(kept[member]) - counts[member]))
        for member in members
    }


def _keep(partitions: list[int], served: Mapping[str, Iterable[int]]) -> dict[str, set[int]]:
    """What each member keeps; of two that report the same partition, the first does."""
    left = set(partitions)
    kept: dict[str, set[int]] = {}
    for member, reported in served.items():
        kept[member] = left & set(reported)
        left -= kept[member]
    return kept


def _even_out(counts: dict[str, int]) -> dict[str, int]:
    """The counts after moving as few as possible, so that no two differ by more than one."""
    counts = dict(counts)
    while True:
        richest = max(counts, key=lambda member: (counts[member], member))
        poorest = min(counts, key=lambda member: (counts[member], member))
        if counts[richest] - counts[poorest] <= 1:
            return counts
        counts[richest] -= 1
        counts[poorest] += 1
