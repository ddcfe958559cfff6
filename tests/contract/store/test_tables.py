"""The tables in the queries of each service are those of its migrations, on each database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import MetaData, Table, inspect

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
from services.ingest.webhooks import store as webhooks
from services.review import store as review
from services.triage import store as triage
from services.triage.monitoring.store import MonitoringStore as OfFindings
from shared.messaging import tables as messages
from shared.storage import Store, secret

TABLES: dict[str, list[MetaData]] = {
    "ingest": [
        one.metadata for one in (ingest, idempotency, resumable, retention, search, webhooks)
    ],
    "extraction": [extraction.metadata, OfClauses.tables.checks.metadata, secret.metadata],
    "triage": [triage.metadata, OfFindings.tables.checks.metadata, secret.metadata],
    "review": [review.metadata, secret.metadata],
    "escalation": [one.metadata for one in (escalation, costs, decided, ledger, rules)],
}


def tables(service: str, dialect: str) -> Iterator[Table]:
    for metadata in {*TABLES[service], messages.metadata}:
        for table in metadata.tables.values():
            if table.info.get("dialect") in (None, dialect):
                yield table


@pytest.mark.parametrize("service", sorted(TABLES))
def test_the_tables_are_those_of_the_revision(url: str, service: str) -> None:
    with closing(Store(url, service, migrations()[service])) as store:
        store.migrate()
        there = inspect(store.engine)
        dialect = store.engine.dialect.name
        named = {table.name: table for table in tables(service, dialect)}
        assert set(there.get_table_names()) == {*named, "alembic_version"}
        for name, table in named.items():
            columns = {one["name"]: one for one in there.get_columns(name)}
            assert set(columns) == {one.name for one in table.columns}, name
            for column in table.columns:
                assert columns[column.name]["nullable"] == column.nullable, column
            key = there.get_pk_constraint(name)["constrained_columns"]
            assert key == [one.name for one in table.primary_key], name
            indexes = {one["name"]: one["column_names"] for one in there.get_indexes(name)}
            for index in table.indexes:
                if dialect == "sqlite" or index.name != "passages_fulltext_table":
                    assert indexes[index.name] == [one.name for one in index.columns], index.name
