"""A place that the last release has filled is opened by this program: nothing is lost, and work
that was under way ends. The rows of each service go forward and back again.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect, text

from shared.errors import Unavailable
from shared.storage import Store
from tests.postgres import Servers
from tests.upkeep.house import NAMES, Suite
from tests.upkeep.released import MIGRATIONS, columns_of, facts, rows_of, unpack
from tests.upkeep.test_verify import verify

BREAKING = {"extraction": ["adapter", "adapter_version", "searched"]}
"""Columns of `extractions` that revision 0004 took away before there was a release: extraction is
stopped for that upgrade. Nothing is to be added here: a column goes one release after the last
program that writes it.
"""


BEGIN = text(
    "INSERT INTO inbox (event_id, starts, failures, first_seen)"
    " VALUES (:id, 1, 0, CURRENT_TIMESTAMP)"
)
SAY = text(
    "INSERT INTO outbox (event_id, key, value, created)"
    " VALUES (:id, 'default/doc_1', :value, CURRENT_TIMESTAMP)"
)
END = text("UPDATE inbox SET handled = CURRENT_TIMESTAMP WHERE event_id = :id")
"""What a process of the release says, word for word: it knows no column that came later."""


@pytest.fixture
def old(databases: dict[str, str], tmp_path: Path) -> Path:
    """The data folder as the release left it."""
    return unpack(tmp_path, databases)


def test_the_place_of_the_last_release_is_served(old: Path) -> None:
    """Documents, results, decisions, rules and tombstones are all there, what was under way ends,
    new documents go the whole road, and everything agrees.
    """
    told = facts()
    suite = Suite(old)
    try:
        assert [suite.state(one)["outcome"] for one in told["ended"]] == ["complete"] * 3
        suite.ended(told["waiting"])
        get = {name: client.get for name, client in suite.clients.items()}
        for document, count in told["clauses"].items():
            found: Any = get["extraction"](f"/v1/documents/{document}/clauses").json()["items"]
            assert len(found) == count
        for document, count in told["findings"].items():
            found = get["triage"](f"/v1/documents/{document}/findings").json()["items"]
            assert len(found) == count
        items: Any = get["review"]("/v1/items?state=decided").json()["items"]
        assert told["decided"] in [one["id"] for one in items]
        assert get["ingest"](f"/v1/documents/{told['deleted']}").status_code == 404
        assert get["ingest"](f"/v1/deletions/{told['deleted']}").json()["removed"]
        rules: Any = get["ingest"]("/v1/retention").json()["items"]
        assert rules == [{"kind": "other", "days": 3650}]
        fresh = suite.upload(77)
        suite.ended(fresh)
        suite.work()
        faults, counts = verify(suite, "--stuck", "0", code=0)
        assert faults == []
        assert counts["documents"] == 6
    finally:
        suite.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, name: str, servers: Servers, tmp_path: Path) -> str:
    """The database of one service as the release left it."""
    urls = {name: servers.database()} if request.param == "postgresql" else {}
    data = unpack(tmp_path, urls)
    return urls.get(name) or f"sqlite:///{data / name}.db"


@contextmanager
def store_of(name: str, url: str) -> Iterator[Store]:
    """A program at work on it."""
    store = Store(url, name, MIGRATIONS[name])
    try:
        yield store
    finally:
        store.close()


@pytest.mark.parametrize("name", NAMES)
def test_rows_go_forward_and_back(name: str, url: str) -> None:
    """All that the release has kept is there after the way up, down and up again."""
    with store_of(name, url) as store:
        columns = columns_of(store.engine)
        before = rows_of(store.engine, columns)
        assert sum(map(len, before.values())) >= 2
        store.migrate()
        store.must_be_current()
        store.migrate(facts()["revisions"][name])
        assert columns_of(store.engine) == columns
        assert rows_of(store.engine, columns) == before
        store.migrate()
        store.must_be_current()


def _persist(store: Store, revision: str) -> None:
    """Migrate; whom a deadlock hits tries again, as whoever starts processes does."""
    for _ in range(20):
        with suppress(Unavailable):
            store.migrate(revision)
            return
    raise AssertionError("the migration was never let through")


@pytest.mark.parametrize("name", NAMES)
def test_others_write_while_tables_change(name: str, url: str) -> None:
    """A process of the release says and hears events while the tables go up, down and up: each of
    its transactions waits, or is tried again where PostgreSQL ends a deadlock by it, as a worker
    does with whatever is away. None fails otherwise, and none is lost.
    """
    with store_of(name, url) as store, store_of(name, url) as other:
        stop = threading.Event()
        failures: list[BaseException] = []
        handled: list[str] = []

        def work() -> None:
            try:
                while not stop.is_set():
                    event = f"event_{len(handled)}"
                    try:
                        with other.write() as session:
                            session.execute(BEGIN, {"id": event})
                            session.execute(SAY, {"id": f"said_{event}", "value": b"{}"})
                            session.execute(END, {"id": event})
                    except Unavailable:
                        continue
                    handled.append(event)
            except BaseException as error:  # noqa: BLE001 - raised again below
                failures.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            for revision in ("head", facts()["revisions"][name], "head"):
                count = len(handled)
                _persist(store, revision)
                while len(handled) < count + 3 and not failures:
                    stop.wait(0.01)
        finally:
            stop.set()
            thread.join()
        if failures:
            raise failures[0]
        with store.read() as session:
            kept = set(session.execute(text("SELECT event_id FROM inbox")).scalars())
        assert set(handled) <= kept
        store.must_be_current()


@pytest.mark.parametrize("name", NAMES)
def test_an_older_process_can_write_to_newer_tables(name: str, url: str) -> None:
    """Expand, then contract: a row as the release writes it goes into the tables of today, but for
    the columns that are named here, of revisions before the first release.
    """
    with store_of(name, url) as store:
        before = columns_of(store.engine)
        store.migrate()
        broken = []
        described = inspect(store.engine)
        for table, columns in before.items():
            now = {one["name"]: one for one in described.get_columns(table)}
            broken += [f"{table}.{one} is gone" for one in columns if one not in now]
            broken += [
                f"{table}.{one['name']} is asked for"
                for one in now.values()
                if one["name"] not in columns and not one["nullable"] and one["default"] is None
            ]
        known = [f"extractions.{one} is gone" for one in BREAKING.get(name, [])]
        assert sorted(broken) == known
