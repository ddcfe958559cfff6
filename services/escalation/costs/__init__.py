"""Costs: of specialists, of frontier models, and of a frontier model that reads everything."""

from services.escalation.costs.domain import Group, Rates, Reading, Work, joined, payback
from services.escalation.costs.store import Readings, costs_of_tenants

__all__ = ["Group", "Rates", "Reading", "Readings", "Work", "costs_of_tenants", "joined", "payback"]
