"""Which policy held when: the version of a tenant's rules, and the history of them."""

from services.escalation.rules.domain import Held, Version, version_of
from services.escalation.rules.store import PolicyHistory, note_policies

__all__ = ["Held", "PolicyHistory", "Version", "note_policies", "version_of"]
