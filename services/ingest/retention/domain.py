"""Rules of how long documents are kept, and what is left of a deleted one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import get_args

from shared.events import Kind


@dataclass(frozen=True)
class Rules:
    """Days after its upload that a document is kept, by kind; None is every kind without a rule."""

    days: Mapping[str | None, int] = field(default_factory=dict)

    def each_kind(self) -> dict[str, int]:
        """The days of each kind that is not kept for ever."""
        every = {kind: self.days.get(kind, self.days.get(None)) for kind in get_args(Kind)}
        return {kind: days for kind, days in every.items() if days is not None}

    def over(self, kind: str, created: datetime, now: datetime) -> bool:
        """Whether the time of such a document is over."""
        days = self.each_kind().get(kind)
        return days is not None and created < now - timedelta(days=days)


@dataclass(frozen=True)
class Tombstone:
    """That there was a document, who deleted it and when; `removed` is when nothing was left."""

    id: str
    deleted: datetime
    deleted_by: str
    removed: datetime | None
