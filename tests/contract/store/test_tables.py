"""The tables in the queries of each service are those of its migrations, on each database."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData

from services.cli.deployment.stores import migrations
from services.escalation import decisions as decided
from services.escalation import store as escalation
from services.escalation.costs import store as costs
from services.escalation.ledger import store as ledger
from services.escalation.policy import store as rules
from services.extraction import store as extraction
from services.extraction.monitoring.store import MonitoringStore as OfClauses
from services.ingest import store as ingest
from services.ingest.idempotency import store as idempotency
from services.ingest.resumable import store as resumable
from services.ingest.retention import store as retention
from services.ingest.search import store as search
from services.ingest.users import store as users
from services.ingest.webhooks import store as webhooks
from services.review import store as review
from services.triage import store as triage
from services.triage.monitoring.store import MonitoringStore as OfFindings
from shared.audit import trail as audit
from shared.messaging import tables as messages
from shared.storage import Store, secret
from shared.storage.tenant_isolation import ACROSS

TABLES: dict[str, list[MetaData]] = {
    "ingest": [
        one.metadata
        for one in (ingest, idempotency, resumable, retention, search, users, webhooks, secret)
    ],
    "extraction": [extraction.metadata, OfClauses.tables.checks.metadata, secret.metadata],
    "triage": [triage.metadata, OfFindings.tables.checks.metadata, secret.metadata],
    "review": [review.metadata, secret.metadata],
    "escalation": [one.metadata for one in (escalation, costs, decided, ledger, rules)],
}


@pytest.mark.parametrize("service", sorted(TABLES))
def test_the_migrations_make_the_tables_of_the_queries(url: str, service: str) -> None:
    with closing(Store(url, service, migrations()[service])) as store:
        store.migrate()
        dialect = store.engine.dialect.name

        def of_this_database(table: Any, _name: Any, kind: str, *_: Any) -> bool:
            return kind != "table" or table.info.get("dialect") in (None, dialect)

        options = {
            "compare_type": True,
            "compare_server_default": True,
            "include_object": of_this_database,
        }
        catalogue = store.engine.execution_options(**{ACROSS: "alembic reads the catalogue"})
        with catalogue.connect() as connection:
            context = MigrationContext.configure(connection, opts=options)
            wanted = {*TABLES[service], messages.metadata, audit.metadata}
            # alembic takes several, though its type names one
            found = compare_metadata(context, list(wanted))  # type: ignore[arg-type]
    if dialect == "postgresql":  # it can't tell an index of SQLite alone
        found = [one for one in found if getattr(one[1], "name", "") != "passages_fulltext_table"]
    assert found == []
