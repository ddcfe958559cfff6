"""The books of all tenants together, for whoever holds them against a provider's bills."""

from services.escalation.audit.store import Moment, Tenant, moment, outcomes, tenants

__all__ = ["Moment", "Tenant", "moment", "outcomes", "tenants"]
