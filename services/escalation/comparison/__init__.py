"""Comparison: a frontier model reads labelled documents within a budget."""

from services.escalation.comparison.reader import (
    Ended,
    Found,
    FrontierReader,
    Left,
    ProviderReading,
    ReadingRequest,
    Unread,
    open_ledger,
)
from services.escalation.comparison.store import Cost

__all__ = [
    "Cost",
    "Ended",
    "Found",
    "FrontierReader",
    "Left",
    "ProviderReading",
    "ReadingRequest",
    "Unread",
    "open_ledger",
]
