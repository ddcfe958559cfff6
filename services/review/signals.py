"""Strong signals of triage as items of a kind of their own: unusual, though it adds up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from services.review.domain import Box, Document, Item, NamedCell, item_of_triage, read_results


class Spread(BaseModel):
    """What a number is held against: the bounds between which 19 of 20 companies lie."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    companies: int
    low: float
    median: float
    high: float
    distance: float


class Input(NamedCell):
    """A cell that a ratio is made of."""

    figure: str
    value: float


class Earlier(BaseModel):
    """A ratio in an earlier period."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    end: str
    value: float


class Signal(BaseModel):
    """A strong signal as triage announces it: a ratio that is far from what companies show."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    id: str = Field(min_length=1, max_length=64)
    filing: str | None = None
    signal: str = Field(min_length=1, max_length=200)
    title: str
    level: str
    distance: float
    value: float
    unit: str
    end: str
    quarters: int
    message: str
    formula: str
    source: str
    inputs: tuple[Input, ...] = ()
    history: tuple[Earlier, ...] = ()
    peers: Spread | None = None
    change: Spread | None = None
    page: int | None = None
    boxes: tuple[Box, ...] = ()

    def shown(self) -> dict[str, Any]:
        """What is shown of it, with the cell of its first input as that of a finding."""
        parts = self.model_dump(mode="json", exclude={"id", "boxes", "page", "message"})
        first = self.inputs[0] if self.inputs else None
        here = sorted({i.row for i in self.inputs if first and i.statement == first.statement})
        return {
            **parts,
            "cells": parts["inputs"],
            "statement": first and first.statement,
            "row": first and first.row,
            "column": first and first.column,
            "rows": here,
        }


UNDECIDED = 0.5
"""The confidence of a signal: nobody knows how often what is unusual is wrong."""


def read_signals(data: bytes, document: str) -> list[Signal]:
    """The signals in a blob. Raises BadResults."""
    return read_results(TypeAdapter(list[Signal]), data, "signals", document)


def items_of_signals(
    document: Document, signals: Sequence[Signal], *, attempt: int, now: datetime
) -> list[Item]:
    """One item for each signal."""
    return [
        item_of_triage(
            document,
            attempt=attempt,
            now=now,
            kind="signal",
            result_id=signal.id,
            category=signal.signal,
            confidence=UNDECIDED,
            text=signal.message,
            page=signal.page,
            boxes=signal.boxes,
            finding=signal.shown(),
        )
        for signal in signals
    ]
