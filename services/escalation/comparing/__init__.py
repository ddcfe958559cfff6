"""A frontier model reads labelled documents by itself, within a budget, to be compared."""

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
    "Cost",
    "Ended",
    "Found",
    "FrontierReader",
    "Left",
    "Unread",
    "open_ledger",
]
