"""The books of all tenants together, for whoever holds them against a provider's bills."""

from services.escalation.audit.store import (
    Booked,
    Moment,
    Tenant,
    booked,
    moment,
    outcomes,
    tenants,
)

__all__ = ["Booked", "Moment", "Tenant", "booked", "moment", "outcomes", "tenants"]
