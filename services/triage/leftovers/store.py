"""The query of what is left of reports that are gone, of whichever tenant."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, Table, or_, select, union
from sqlalchemy.orm import Session

from services.triage.past.store import filings
from services.triage.store import reports
from services.triage.watch.store import Watches
from shared.storage.tenants import across_tenants

GONE = ("deleted", "withdrawn")
"""States of a report of which nothing is kept but that, and what was decided of a deleted one."""


def left(session: Session) -> list[tuple[str, str]]:
    """Tenants and ids of reports that are gone, of which something is left."""
    checks = Watches.tables.checks
    kept = checks.c.wrong.is_(None), checks.c.family.is_not(None), reports.c.state == "withdrawn"
    query = union(_gone(filings), _gone(checks).where(or_(*kept)))
    rows = session.execute(across_tenants(query, "what older programs have left"))
    return [(row.tenant, row.document_id) for row in rows]


def _gone(table: Table) -> Select[Any]:
    """Reports that are gone and have rows in a table."""
    return select(reports.c.tenant, reports.c.document_id).where(
        reports.c.state.in_(GONE),
        table.c.tenant == reports.c.tenant,
        table.c.document_id == reports.c.document_id,
    )
