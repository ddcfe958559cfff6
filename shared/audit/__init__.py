"""The audit trail: who did what, when and from where, as a hash chain for each tenant."""

from shared.audit.trail import Action, operator, prune, record, tenants

__all__ = ["Action", "operator", "prune", "record", "tenants"]
