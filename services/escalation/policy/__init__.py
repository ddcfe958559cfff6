"""Versions of a tenant's rules, and their history."""

from services.escalation.policy.store import (
    PolicyHistory,
    PolicyNotes,
    PolicyVersion,
    Version,
    note_policies,
    version_of,
)

__all__ = [
    "PolicyHistory",
    "PolicyNotes",
    "PolicyVersion",
    "Version",
    "note_policies",
    "version_of",
]
