"""The main queries use indexes on a filled PostgreSQL, by its own query plans."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import JSON, Boolean, Column, Float, Integer, LargeBinary, Table, event, text
from sqlalchemy.orm import Session

from services.extraction import store as extraction
from services.extraction.monitoring.store import MonitoringStore
from services.ingest import store as ingest
from services.ingest.limits import QueueLimit
from services.ingest.search import store as search
from services.ingest.webhooks import store as webhooks
from services.review import store as review
from services.review.blinding import store as looks
from services.review.domain import Document
from services.triage import store as triage
from services.triage.monitoring.store import MonitoringStore as OfFindings
from shared.bus.memory import MemoryBus
from shared.events import DocumentDeleted
from shared.messaging import Relay, UnitOfWork, relay
from shared.messaging.tables import Time, inbox, outbox
from shared.storage import Store
from tests.support.postgres import Servers
from tests.support.queue import begin

ROWS = 50_000
TENANT = "t3"
"""One of twenty, each with as many rows."""
NOW = datetime.now(UTC)

Call = Callable[[Session], Any]


def value_of(column: Column[Any]) -> str:
    kind = column.type
    if column.name == "tenant":
        return "'t' || i % 20"
    if column.nullable and not column.primary_key:
        return "NULL"
    if isinstance(kind, JSON):
        return "'[]'"
    if isinstance(kind, Boolean):
        return "false"
    if isinstance(kind, Time):
        return "now() - i * interval '1 minute'"
    if isinstance(kind, LargeBinary):
        return r"'\x7b7d'"
    if isinstance(kind, Float):
        return "random()"
    if isinstance(kind, Integer):
        return "i"
    return "'x' || i"


def fill(store: Store, table: Table, rows: int = ROWS, **given: str) -> None:
    columns = {column.name: value_of(column) for column in table.columns if column.computed is None}
    columns |= given
    names = ", ".join(f'"{name}"' for name in columns)
    values = ", ".join(columns.values())
    with store.write() as session:
        series = f"SELECT {values} FROM generate_series(1, {rows}) AS i"
        session.execute(text(f'INSERT INTO "{table.name}" ({names}) {series}'.replace(":", r"\:")))
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f'ANALYZE "{table.name}"'))


@contextmanager
def service(servers: Servers, name: str, module: Any) -> Iterator[Store]:
    store = Store(servers.database(), name, module.MIGRATIONS)
    store.migrate()
    yield store
    store.close()


class Caught:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.statements: list[tuple[str, Any]] = []

    def during(self, call: Callable[[], Any]) -> list[tuple[str, Any]]:
        def note(
            _c: Any, _cursor: Any, statement: str, parameters: Any, _x: Any, many: bool
        ) -> None:
            if statement.split()[0] in ("SELECT", "UPDATE", "DELETE", "WITH"):
                self.statements.append((statement, parameters[0] if many else parameters))

        event.listen(self.store.engine, "before_cursor_execute", note)
        try:
            call()
        except (AttributeError, KeyError, TypeError, ValueError):
            pass  # a made row is none of the service's
        finally:
            event.remove(self.store.engine, "before_cursor_execute", note)
        return self.statements


def scans(plan: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    if "Relation Name" in plan or "Index Name" in plan:
        yield plan["Node Type"], plan.get("Relation Name", ""), plan.get("Index Name", "")
    for inner in plan.get("Plans", ()):
        yield from scans(inner)


def large(store: Store) -> set[str]:
    with store.read() as session:
        rows = session.execute(
            text("SELECT relname FROM pg_class WHERE relkind = 'r' AND reltuples >= 10000")
        )
        return {row.relname for row in rows}


def read_whole(store: Store, statements: list[tuple[str, Any]]) -> list[str]:
    tables, found, looked = large(store), [], 0
    assert tables
    for statement, parameters in statements:
        for node, table, _index in planned(store, statement, parameters):
            looked += 1
            if node == "Seq Scan" and table in tables:
                found.append(f"{table} is read whole for: {statement}")
    assert looked, f"no table is read by {statements}"
    return found


def planned(store: Store, statement: str, parameters: Any) -> list[tuple[str, str, str]]:
    with store.read() as session:
        explained = session.connection().exec_driver_sql(
            f"EXPLAIN (FORMAT JSON) {statement}", parameters
        )
        answer = explained.scalar_one()
    plans = json.loads(answer) if isinstance(answer, str) else answer
    return list(scans(plans[0]["Plan"]))


def check(store: Store, calls: dict[str, Call]) -> None:
    wrong = []
    for name, call in calls.items():

        def run(call: Call = call) -> None:
            with store.write() as session:
                call(session)

        statements = Caught(store).during(run)
        assert statements, f"{name} asks nothing"
        wrong += [f"{name}: {line}" for line in read_whole(store, statements)]
    assert not wrong, "\n".join(wrong)


def test_a_query_without_an_index_fails(servers: Servers) -> None:
    with service(servers, "extraction", extraction) as store:
        fill(store, extraction.clauses)
        asked: list[tuple[str, Any]] = [("SELECT * FROM clauses WHERE category = 'x'", {})]
        assert len(read_whole(store, asked)) == 1


def _end(store: Store, cause: DocumentDeleted) -> None:
    with UnitOfWork(store, cause):
        pass


def test_outbox_and_inbox(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "PRUNE_BATCH", 50)
    with service(servers, "extraction", extraction) as store:
        sent_at = "now() - i * interval '12.5 seconds'"
        fill(store, outbox, sent=f"CASE WHEN i <= {ROWS} - 20 THEN {sent_at} END")
        fill(
            store,
            inbox,
            number=f"i - {ROWS + 1}",
            queue="'main'",
            state="'done'",
            ended="now() - i * interval '53 seconds'",
        )
        with store.read() as session:
            old = session.execute(
                text("SELECT count(*) FROM outbox WHERE sent < now() - interval '7 days'")
            ).scalar_one()
        assert 1000 < old < 5000
        sender = Relay(store, MemoryBus(), outbox_days=7, inbox_days=30)
        sent: list[int] = []
        statements = Caught(store).during(lambda: sent.append(sender.run_once()))
        assert sent == [20]
        assert len(statements) >= 7
        wrong = read_whole(store, statements)
        gone = DocumentDeleted(document_id="x1")
        wrong += read_whole(store, Caught(store).during(lambda: begin(store, gone)))

        wrong += read_whole(store, Caught(store).during(lambda: _end(store, gone)))
        assert not wrong, "\n".join(wrong)


def test_ingest(servers: Servers) -> None:
    filters = ingest.Filters
    with service(servers, "ingest", ingest) as store:
        fill(
            store,
            ingest.documents,
            original_sha256="'h' || i",
            text_sha256="'h' || i",
            state="CASE WHEN i % 50 = 0 THEN 'processing' ELSE 'ended' END",
            change=f"CASE WHEN i <= {ROWS} - 50 THEN i END",
        )
        fill(store, ingest.links)
        fill(store, ingest.keys)

        fill(store, search.passages, category="CASE WHEN i % 9 = 0 THEN 'x' || i % 50 END")

        def mine(session: Session) -> ingest.Documents:
            return ingest.Documents(session, TENANT)

        def index(session: Session) -> search.Passages:
            return search.Passages(session, TENANT)

        cursor = ingest.encode_cursor(NOW - timedelta(minutes=ROWS // 2), "x9")
        check(
            store,
            {
                "get": lambda s: mine(s).get("x3"),
                "of_bytes": lambda s: mine(s).get_by_hash("h3"),
                "page": lambda s: mine(s).page(filters(), limit=50),
                "page behind": lambda s: mine(s).page(filters(), limit=50, cursor=cursor),
                "page by words": lambda s: mine(s).page(filters(words=("x3",)), limit=50),
                "page by tag": lambda s: mine(s).page(filters(tag="x3"), limit=50),
                "page by assignee": lambda s: mine(s).page(filters(assignee="x3"), limit=50),
                "page by name": lambda s: mine(s).page(filters(), limit=50, sort="name"),
                "page by pages": lambda s: mine(s).page(filters(), limit=50, sort="-pages"),
                "page by state": lambda s: mine(s).page(filters(), limit=50, sort="state"),
                "page of a parent": lambda s: mine(s).page(filters(parent="x3"), limit=50),
                "lies in": lambda s: mine(s).ancestors("x3"),
                "families": lambda s: mine(s).families(["x3", "x23"]),
                "waiting": lambda s: ingest.Changes(s, TENANT).waiting(),
                "number": lambda s: ingest.Changes(s, TENANT).number(),
                "after": lambda s: list(ingest.Changes(s, TENANT).after(ROWS - 500)),
                "key": lambda s: ingest.KeyRows(s).find("x3"),
                "category": lambda s: index(s).has_category("x3"),
                "clauses": lambda s: index(s).find(None, search.Filters(categories=("x3", "x"))),
                "room": lambda s: QueueLimit(10_000, 50_000).require(mine(s), more=1),
            },
        )


def test_webhooks(servers: Servers) -> None:
    with service(servers, "ingest", ingest) as store:
        fill(store, webhooks.webhooks, 40)
        fill(store, webhooks.messages, created="now() - i * interval '52.5 seconds'")
        fill(
            store,
            webhooks.deliveries,
            webhook_id="'x' || 1 + i % 40",
            message_id="'x' || i",
            created="now() - i * interval '52.5 seconds'",
            state="CASE WHEN i % 500 = 0 THEN 'pending' ELSE 'delivered' END",
            due="CASE WHEN i % 500 = 0 THEN now() - interval '1 minute' END",
        )
        queue = webhooks.Queue(store, timedelta(seconds=10))
        statements = Caught(store).during(lambda: queue.claim("me", NOW, 10))
        wrong = read_whole(store, statements)
        assert not wrong, "\n".join(wrong)


def accepted(store: Store) -> dict[str, int]:
    with store.read() as session:
        return MonitoringStore(session, TENANT).count_accepted()


def test_extraction(servers: Servers) -> None:
    with service(servers, "extraction", extraction) as store:
        fill(store, extraction.extractions)
        routes = "CASE WHEN i % 50 = 0 THEN 'accept' ELSE 'review' END"
        fill(
            store, extraction.clauses, document_id="'x' || i / 20", position="i % 20", route=routes
        )

        def mine(session: Session) -> extraction.Extractions:
            return extraction.Extractions(session, TENANT)

        check(
            store,
            {
                "get": lambda s: mine(s).get("x3"),
                "find": lambda s: mine(s).find("x3", "x63"),
                "all": lambda s: mine(s).all_clauses("x3"),
                "valued": lambda s: mine(s).valued("x3"),
                "accepted": lambda s: MonitoringStore(s, TENANT).count_accepted(),
            },
        )
        (asked,) = Caught(store).during(lambda: accepted(store))
        assert "clauses_accepted" in {index for _, _, index in planned(store, *asked)}


def test_triage(servers: Servers) -> None:
    with service(servers, "triage", triage) as store:
        fill(store, triage.reports, state="'done'")
        routes = "CASE WHEN i % 50 = 0 THEN 'accept' ELSE 'review' END"
        fill(store, triage.findings, document_id="'x' || i / 10", position="i % 10", route=routes)
        fill(store, triage.dismissals)
        fill(store, triage.filers)
        fill(store, OfFindings.tables.checks)

        def mine(session: Session) -> triage.Reports:
            return triage.Reports(session, TENANT)

        check(
            store,
            {
                "get": lambda s: mine(s).get("x3", lock=True),
                "finding": lambda s: mine(s).finding("x3", "x33"),
                "all findings": lambda s: mine(s).all_findings("x3"),
                "dismissals": lambda s: mine(s).dismissals("x3"),
                "folded": lambda s: mine(s).folded_by("x3"),
                "accepted": lambda s: OfFindings(s, TENANT).count_accepted(),
                "forget": lambda s: OfFindings(s, TENANT).delete_undecided("x3"),
                "found": lambda s: OfFindings(s, TENANT).find("x3"),
            },
        )


def test_review(servers: Servers) -> None:
    with service(servers, "review", review) as store:
        fill(
            store,
            review.items,
            document_id="'x' || i / 10",
            verdict="CASE WHEN i % 10 > 0 THEN 'accept' END",
            stage="'extraction'",
            kind="'clause'",
        )
        fill(store, review.documents)
        fill(store, review.decisions)
        filters = review.Filters()
        check(
            store,
            {
                "next": lambda s: review.next_waiting(s, TENANT, filters, [], NOW),
                "list": lambda s: review.list_items(s, TENANT, filters, NOW, limit=50),
                "words": lambda s: review.list_items(
                    s, TENANT, review.Filters(words=("x1", "x2"), assignee="x"), NOW, limit=50
                ),
                "least sure": lambda s: review.list_items(
                    s, TENANT, filters, NOW, limit=50, sort="confidence"
                ),
                "assigned": lambda s: review.assign(s, TENANT, ["x3", "x23"], "x"),
                "open": lambda s: review.open_items(s, TENANT, "x3"),
                "waiting": lambda s: review.waiting_item(s, TENANT, "x3", "x33", NOW),
                "decided": lambda s: review.decided_items(s, TENANT, "x3"),
                "decision": lambda s: review.find_decision(s, TENANT, "x3"),
                "ages": lambda s: review.count_ages(s, TENANT, NOW),
                "decisions of a period": lambda s: review.decisions_between(
                    s, TENANT, NOW - timedelta(days=1), None
                ),
            },
        )


def test_sampled_checks_use_indexes(servers: Servers) -> None:
    with service(servers, "review", review) as store:
        fill(
            store,
            review.items,
            document_id="'doc_' || i / 10",
            stage="'extraction'",
            kind="'clause'",
            category="'c' || i % 40",
            adapter=f"CASE WHEN i > {ROWS} - 200 THEN 'few' ELSE 'many' END",
            route="CASE WHEN i % 40 < 30 THEN 'accept' ELSE 'review' END",
            origin="'model'",
        )
        here = Document(TENANT, "x", "", "contract")

        def run(adapter: str) -> None:
            sort = looks.Sort("clause", adapter, None)
            with store.read() as session:
                looks.unsure(session, here, sort, b"key")
                list(looks.least_sure(session, here, "clause", adapter))

        def used(adapter: str) -> set[str]:
            asked = Caught(store).during(lambda: run(adapter))
            return {index for one in asked for _, _, index in planned(store, *one)} - {""}

        for adapter in ("few", "many"):
            assert used(adapter) == {"items_unsure", "items_sure"}
