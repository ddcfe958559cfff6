"""The only record of money: reserve the worst case, call, settle."""

from services.escalation.ledger.domain import (
    AskedNow,
    BudgetSpent,
    Call,
    Caps,
    ProviderStopped,
    Stop,
    TooManyCalls,
)
from services.escalation.ledger.ledger import Ledger

__all__ = [
    "AskedNow",
    "BudgetSpent",
    "Call",
    "Caps",
    "Ledger",
    "ProviderStopped",
    "Stop",
    "TooManyCalls",
]
