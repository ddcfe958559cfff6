"""Measurements of an edition."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, inf
from typing import Any


@dataclass(frozen=True)
class Phase:
    """The results at one share of the capacity.

    Times are in seconds, sizes in bytes. `took` is from the first byte sent to the answer that a
    document has ended; `answered` until its upload was accepted.
    """

    share: float
    rate: float
    seconds: float
    sent: int
    statuses: dict[int, int]
    outcomes: dict[str, int]
    took: list[float]
    answered: list[float]
    lost: int  # accepted documents that did not end in time
    memory: tuple[int, int, int]  # at the beginning, at most, at the end
    course: tuple[int, ...] = ()
    """The median of each twelfth of a long phase."""
    by_part: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """The same for each part of the suite."""
    retry_after: tuple[float, ...] = ()
    """Retry-After of refused uploads in seconds; infinite without one."""
    reasons: tuple[str, ...] = ()  # why documents are not complete

    @property
    def without_retry_after(self) -> int:
        """Number of refused uploads without a Retry-After."""
        return self.retry_after.count(inf)

    @property
    def good(self) -> bool:
        """Whether all accepted documents ended, and all refused uploads got a Retry-After."""
        return not self.lost and not self.without_retry_after


@dataclass(frozen=True)
class EditionResult:
    """The measurements of an edition: documents per second, processor seconds for each by part,
    phases, and processor time per second when idle.
    """

    capacity: float
    parts: Mapping[str, float]
    phases: Sequence[Phase]
    idle: Mapping[str, float]

    @property
    def processor(self) -> float:
        """Processor seconds for one document, over all parts."""
        return sum(self.parts.values())


def percentile(values: Iterable[float], share: float) -> float | None:
    """The least value with at least this share of all up to it; None without any."""
    found = sorted(values)
    return found[max(0, ceil(share * len(found) - 1e-9) - 1)] if found else None


def joined(lines: Iterable[str]) -> list[dict[str, Any]]:
    """The record of each upload in order: its answer, and its end if there is one."""
    uploads: list[dict[str, Any]] = []
    by_id: dict[str, dict[str, Any]] = {}
    for line in lines:
        record = json.loads(line)
        if "status" in record:
            uploads.append(record)
            by_id |= {record["id"]: record} if "id" in record else {}
        else:
            by_id[record["id"]] |= record
    return uploads
