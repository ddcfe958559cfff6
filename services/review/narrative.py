"""Strong narrative flags of triage as items of a kind of their own: sentences about the filer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from services.review.domain import Box, Document, Item, item_of_triage, read_results
from shared.web.values import Natural


class Flag(BaseModel):
    """A strong narrative flag as triage announces it."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    id: str = Field(min_length=1, max_length=64)
    family: str = Field(min_length=1, max_length=200)
    title: str
    text: str
    start: Natural
    end: Natural
    page: int | None = None
    boxes: tuple[Box, ...] = ()
    confidence: float = Field(ge=0, le=1)
    level: str
    filer: str | None = None

    def shown(self) -> dict[str, Any]:
        """What is shown of it beside the sentence."""
        return self.model_dump(mode="json", include={"family", "title", "level", "filer"})


def read_flags(data: bytes, document: str) -> list[Flag]:
    """The flags in a blob. Raises BadResults."""
    return read_results(TypeAdapter(list[Flag]), data, "narrative flags", document)


def items_of_flags(
    document: Document, flags: Sequence[Flag], *, attempt: int, now: datetime
) -> list[Item]:
    """One item for each flag."""
    return [
        item_of_triage(
            document,
            attempt=attempt,
            now=now,
            kind="flag",
            result_id=flag.id,
            category=flag.family,
            confidence=flag.confidence,
            text=flag.text,
            start=flag.start,
            end=flag.end,
            page=flag.page,
            boxes=flag.boxes,
            finding=flag.shown(),
        )
        for flag in flags
    ]
