"""What people have decided meanwhile: a projection of `review.decided.v1`, beside the requests."""

from services.escalation.decided.hearing import GROUP, Hearing
from services.escalation.decided.store import Decided, decided

__all__ = ["GROUP", "Decided", "Hearing", "decided"]
