"""Extraction's tables of monitoring: clauses in contracts."""

from __future__ import annotations

from sqlalchemy import func, select

from services.extraction.store import accepted, clauses, metadata
from shared.monitoring import store


class MonitoringStore(store.MonitoringStore):
    """Monitoring of one tenant's clauses."""

    tables = store.Tables.of(metadata, "clause_id", "document_id")

    def count_accepted(self) -> dict[str, int]:
        """The number of accepted clauses in stored documents, by specialist."""
        query = select(clauses.c.adapter, func.count()).where(
            clauses.c.tenant == self.tenant, accepted
        )
        rows = self.session.execute(query.group_by(clauses.c.adapter))
        return {adapter: int(many) for adapter, many in rows}
