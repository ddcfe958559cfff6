"""A frontier model reads labelled documents by itself, within a budget, to be compared."""

from services.escalation.comparing.batched import BatchReader
from services.escalation.comparing.reader import (
    Answered,
    Asked,
    Ended,
    Found,
    FrontierReader,
    Left,
    Unread,
    open_ledger,
)
from services.escalation.comparing.store import Cost

__all__ = [
    "Answered",
    "Asked",
    "BatchReader",
    "Cost",
    "Ended",
    "Found",
    "FrontierReader",
    "Left",
    "Unread",
    "open_ledger",
]
