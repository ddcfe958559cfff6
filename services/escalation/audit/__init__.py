"""The books of all tenants together, for whoever holds them against a provider's bills."""

from services.escalation.audit.store import Moment, moment, outcomes

__all__ = ["Moment", "moment", "outcomes"]
