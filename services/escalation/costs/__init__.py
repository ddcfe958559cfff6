"""What the work cost: of specialists on one's own machine, of frontier models by the ledger, and
what it would have cost if a frontier model had read everything.
"""

from services.escalation.costs.domain import (
    QUOTED,
    Group,
    Payback,
    Rates,
    Reading,
    Work,
    joined,
    payback,
)
from services.escalation.costs.store import Readings

__all__ = [
    "QUOTED",
    "Group",
    "Payback",
    "Rates",
    "Reading",
    "Readings",
    "Work",
    "joined",
    "payback",
]
