"""Checks whose findings have a fixed confidence. The classifier was not trained on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from services.triage.checks.implied_shares import unit_findings
from services.triage.domain import Finding
from services.triage.relations.relations import Views

CHECKS: Mapping[str, Callable[[Views], Iterator[Finding]]] = {"implied_shares": unit_findings}
"""Checks by id. Each yields its findings about a filing."""


def fixed_findings(views: Views) -> list[Finding]:
    """The findings of all checks with a fixed confidence."""
    return [finding for check in CHECKS.values() for finding in check(views)]
