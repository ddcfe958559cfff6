"""Questions that nobody waits for, handed in together at half the price."""

from services.escalation.batches.batches import Batches, HandedIn
from services.escalation.batches.domain import Batch

__all__ = ["Batch", "Batches", "HandedIn"]
