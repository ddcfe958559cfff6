"""`smallprint migrate`: all tables are brought up to date, and those of one service back.

Most tests give each service one more revision, as the next release will.
"""

from __future__ import annotations

import shutil
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click import UsageError
from sqlalchemy import create_engine, insert, inspect, select, text

from services.cli.deployment.lock import FolderInUse, FolderLock
from services.cli.deployment.stores import migrations
from shared.errors import SettingsError, SuiteError
from shared.messaging.tables import relay_lease
from shared.storage import Store
from shared.storage.migrate import _LOCK, current, migrate, revisions
from tests.support.postgres import Servers
from tests.system.operations.suite import NAMES, Suite, environment
from tests.system.operations.test_backup import run

MIGRATIONS = migrations()
LAST = {name: revisions(folder)[-1] for name, folder in MIGRATIONS.items()}
NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{last}"


def upgrade() -> None:
    op.add_column("relay_lease", sa.Column("note", sa.Text))


def downgrade() -> None:
    op.drop_column("relay_lease", "note")
"""


@pytest.fixture
def old(databases: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of this release, of which the commands are those of the next."""
    data = tmp_path / "data"
    Suite(data).close()
    newer = {name: tmp_path / "next" / name for name in NAMES}
    for name in NAMES:
        with closing(_store(name, databases, data)) as store, store.write() as session:
            lease = {"name": "test", "owner": name, "until": datetime.now(UTC)}
            session.execute(insert(relay_lease).values(**lease))
        shutil.copytree(MIGRATIONS[name], newer[name])
        (newer[name] / "versions" / "9999_note.py").write_text(NEXT.replace("{last}", LAST[name]))
    monkeypatch.setattr("services.cli.deployment.stores.migrations", lambda: newer)
    return data


def _store(name: str, databases: dict[str, str], data: Path) -> Store:
    return Store(databases.get(name) or f"sqlite:///{data / name}.db", name, MIGRATIONS[name])


def _owner(store: Store) -> str:
    with store.read() as session:
        query = select(relay_lease.c.owner).where(relay_lease.c.name == "test")
        return str(session.execute(query).scalar_one())


def test_all_go_forward_and_one_goes_back(databases: dict[str, str], old: Path) -> None:
    moved = [{"service": name, "before": LAST[name], "after": "9999"} for name in NAMES]
    assert run("migrate", "--data", old) == moved
    assert [one["before"] for one in run("migrate", "--data", old)] == ["9999"] * len(NAMES)
    for number, name in enumerate(NAMES):
        (moved_back,) = run("migrate", "--service", name, "--to", LAST[name], "--data", old)
        assert moved_back == {"service": name, "before": "9999", "after": LAST[name]}
        with closing(_store(name, databases, old)) as store:
            assert "note" not in {
                c["name"] for c in inspect(store.engine).get_columns("relay_lease")
            }
            assert _owner(store) == name
        for other in NAMES[number + 1 :]:
            with closing(_store(other, databases, old)) as store:
                assert current(store.engine) == "9999"


def test_a_service_goes_back_to_the_first_release(databases: dict[str, str], old: Path) -> None:
    for name in NAMES:
        (moved,) = run("migrate", "--service", name, "--to", "0001", "--data", old)
        assert moved == {"service": name, "before": LAST[name], "after": "0001"}
        with closing(_store(name, databases, old)) as store:
            store.migrate()
            assert current(store.engine) == LAST[name]


def test_an_empty_server_gets_its_tables(
    servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment(monkeypatch, {name: servers.database() for name in NAMES})
    moved = run("migrate", "--data", tmp_path)
    assert [(one["service"], one["before"]) for one in moved] == [(name, None) for name in NAMES]
    assert [one["after"] for one in moved] == [LAST[name] for name in NAMES]
    assert list(tmp_path.iterdir()) == []


def test_what_means_nothing_changes_nothing(databases: dict[str, str], old: Path) -> None:
    for revision in ("0999", "base", "head", "000", ""):
        with pytest.raises(SuiteError, match=r"triage has no revision .*: it has 0001 to 9999"):
            run("migrate", "--service", "triage", "--to", revision, "--data", old)
    with pytest.raises(UsageError, match="unknown service billing: ingest, extraction"):
        run("migrate", "--service", "billing", "--data", old)
    with pytest.raises(UsageError, match="--to needs --service"):
        run("migrate", "--to", "0001", "--data", old)
    for name in NAMES:
        with closing(_store(name, databases, old)) as store:
            assert current(store.engine) == LAST[name]


def test_files_that_somebody_works_on_are_left(tmp_path: Path) -> None:
    for name in NAMES:
        with closing(_store(name, {}, tmp_path)) as store:
            store.migrate()
    with FolderLock(tmp_path), pytest.raises(FolderInUse):
        run("migrate", "--data", tmp_path)
    with pytest.raises(
        SuiteError, match=r"is not the data folder of a suite: it has no ingest\.db"
    ):
        run("migrate", "--data", tmp_path / "nothing")
    assert not (tmp_path / "nothing" / "ingest.db").exists()


@pytest.mark.parametrize("command", [["backup", "TO"], ["verify"], ["migrate"]])
def test_a_container_of_one_service_is_no_place_for_it(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment(monkeypatch, {"ingest": "postgresql+psycopg://nobody@127.0.0.1:1/ingest"})
    bus = [] if command == ["migrate"] else ["--bus", "kafka://127.0.0.1:1"]
    with pytest.raises(SettingsError, match="only ingest has a PostgreSQL URL here") as caught:
        run(*command, *bus, "--data", tmp_path)
    for name in NAMES:
        named = f"SMALLPRINT_{name.upper()}_DATABASE_URL" in str(caught.value)
        assert named == (name != "ingest")
    assert "docker compose run --rm upkeep" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_two_services_with_one_database_are_refused(
    servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = {name: servers.database() for name in NAMES}
    environment(monkeypatch, {**urls, "review": urls["triage"]})
    with pytest.raises(SettingsError, match="triage and review name the same database"):
        run("migrate", "--data", tmp_path)


def test_who_is_up_to_date_does_not_wait_for_a_newer_program(
    databases: dict[str, str], old: Path
) -> None:
    if not databases:
        return  # files of SQLite have no such lock
    store = _store("review", databases, old)
    with store.engine.begin() as held:
        held.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        again = create_engine(store.engine.url, connect_args={"options": "-c lock_timeout=2s"})
        migrate(again, MIGRATIONS["review"])
        again.dispose()
    store.close()
