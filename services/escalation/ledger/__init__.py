"""The ledger of paid calls: reserve the worst case, call, settle."""

from services.escalation.ledger.domain import (
    AskedNow,
    BudgetSpent,
    Call,
    Caps,
    ProviderStopped,
    Stop,
    TooManyCalls,
)
from services.escalation.ledger.ledger import Ledger, Recovery

__all__ = [
    "AskedNow",
    "BudgetSpent",
    "Call",
    "Caps",
    "Ledger",
    "ProviderStopped",
    "Recovery",
    "Stop",
    "TooManyCalls",
]
