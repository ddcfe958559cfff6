"""`smallprint migrate` on the place that the last release has filled: all tables are brought up to
date, and those of one service back.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from click import UsageError
from click.testing import CliRunner
from sqlalchemy import create_engine, text

from services.cli import cli
from shared.cli.lock import FolderInUse, FolderLock
from shared.errors import SettingsError, SuiteError
from shared.storage import Store
from shared.storage.migrate import _LOCK, current, migrate, revisions
from tests.postgres import Servers
from tests.upkeep.house import NAMES, environment
from tests.upkeep.released import MIGRATIONS, columns_of, facts, rows_of, unpack
from tests.upkeep.test_backup import run


@pytest.fixture
def old(databases: dict[str, str], tmp_path: Path) -> Path:
    """The data folder as the release left it."""
    return unpack(tmp_path, databases)


def _store(name: str, databases: dict[str, str], data: Path) -> Store:
    return Store(databases.get(name) or f"sqlite:///{data / name}.db", name, MIGRATIONS[name])


def test_all_go_forward_and_one_goes_back(databases: dict[str, str], old: Path) -> None:
    """Each service says from where to where; one that goes back has the rows that it had."""
    had = facts()["revisions"]
    newest = {name: revisions(MIGRATIONS[name])[-1] for name in NAMES}
    assert any(had[name] != newest[name] for name in NAMES)
    stores = {name: _store(name, databases, old) for name in NAMES}
    columns = {name: columns_of(store.engine) for name, store in stores.items()}
    before = {name: rows_of(store.engine, columns[name]) for name, store in stores.items()}
    assert sum(len(rows) for found in before.values() for rows in found.values()) > 10

    moved = [{"service": one, "before": had[one], "after": newest[one]} for one in NAMES]
    assert run("migrate", "--data", old) == moved
    assert [one["before"] for one in run("migrate", "--data", old)] == list(newest.values())
    for name, store in stores.items():
        (told,) = run("migrate", "--service", name, "--to", had[name], "--data", old)
        assert told == {"service": name, "before": newest[name], "after": had[name]}
        assert current(store.engine) == had[name]
        assert rows_of(store.engine, columns[name]) == before[name]
        others = NAMES[NAMES.index(name) + 1 :]
        assert [current(stores[one].engine) for one in others] == [newest[one] for one in others]
        store.close()


def test_a_backup_says_which_tables_are_older_than_the_program(
    databases: dict[str, str], old: Path, tmp_path: Path
) -> None:
    """And copies them; of those that are up to date nothing is said."""
    run("migrate", "--data", old)
    assert "older" not in _backup(tmp_path / "new", old)
    newest, before = revisions(MIGRATIONS["review"])[-1], revisions(MIGRATIONS["review"])[-2]
    run("migrate", "--service", "review", "--to", before, "--data", old)
    told = _backup(tmp_path / "older", old)
    assert f"older version than this program: review (at {before}, not {newest}). " in told
    store = _store("review", databases, old)
    assert current(store.engine) == before
    store.close()


def _backup(target: Path, data: Path) -> str:
    """Make a backup. Returns what is said of it beside its line."""
    done = CliRunner().invoke(
        cli, ["backup", str(target), "--data", str(data)], standalone_mode=False
    )
    assert (done.exception, done.return_value) == (None, 0)
    assert (target / "manifest.json").is_file()
    return done.stderr


def test_an_empty_server_gets_its_tables(
    servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the command as by the first start; nothing is looked for in a data folder."""
    environment(monkeypatch, {name: servers.database() for name in NAMES})
    moved = run("migrate", "--data", tmp_path)
    assert [(one["service"], one["before"]) for one in moved] == [(name, None) for name in NAMES]
    assert [one["after"] for one in moved] == [revisions(MIGRATIONS[name])[-1] for name in NAMES]
    assert list(tmp_path.iterdir()) == []


def test_what_means_nothing_changes_nothing(databases: dict[str, str], old: Path) -> None:
    """Revisions that there are not, a service that there is not, and a revision of none of them."""
    for revision in ("0999", "base", "head", "000", ""):
        with pytest.raises(SuiteError, match=r"triage has no revision .*: it has 0001 to 00\d\d"):
            run("migrate", "--service", "triage", "--to", revision, "--data", old)
    with pytest.raises(UsageError, match="no service billing: ingest, extraction"):
        run("migrate", "--service", "billing", "--data", old)
    with pytest.raises(UsageError, match="--to goes with --service"):
        run("migrate", "--to", "0001", "--data", old)
    for name in NAMES:
        store = _store(name, databases, old)
        assert current(store.engine) == facts()["revisions"][name]
        store.close()


def test_files_that_somebody_works_on_are_left(tmp_path: Path) -> None:
    """A suite has its tables as it knows them until it ends; and where there is none, none is
    made.
    """
    old = unpack(tmp_path, {})
    with FolderLock(old), pytest.raises(FolderInUse):
        run("migrate", "--data", old)
    with pytest.raises(SuiteError, match=r"no suite has worked in .*: there is no ingest\.db"):
        run("migrate", "--data", tmp_path / "nothing")
    assert not (tmp_path / "nothing" / "ingest.db").exists()


@pytest.mark.parametrize("command", [["backup", "TO"], ["verify"], ["migrate"]])
def test_a_container_of_one_service_is_no_place_for_it(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It knows one database of PostgreSQL, and would take files that nobody has for the others: one
    line says which are unknown, and where all are known.
    """
    environment(monkeypatch, {"ingest": "postgresql+psycopg://nobody@127.0.0.1:1/ingest"})
    bus = [] if command == ["migrate"] else ["--bus", "kafka://127.0.0.1:1"]
    with pytest.raises(SettingsError, match="PostgreSQL is named for ingest alone") as said:
        run(*command, *bus, "--data", tmp_path)
    for name in NAMES:
        named = f"SMALLPRINT_{name.upper()}_DATABASE_URL" in str(said.value)
        assert named == (name != "ingest")
    assert "docker compose run --rm upkeep" in str(said.value)
    assert list(tmp_path.iterdir()) == []


def test_two_services_with_one_database_are_refused(
    servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both count their revisions from one, and would take those of the other for their own."""
    urls = {name: servers.database() for name in NAMES}
    environment(monkeypatch, {**urls, "review": urls["triage"]})
    with pytest.raises(SettingsError, match="triage and review name the same database"):
        run("migrate", "--data", tmp_path)


def test_who_is_up_to_date_does_not_wait_for_a_newer_program(
    databases: dict[str, str], old: Path
) -> None:
    """That holds the lock of all migrations for as long as it has rows to change."""
    run("migrate", "--data", old)
    if not databases:
        return  # files of SQLite have no such lock
    store = _store("review", databases, old)
    with store.engine.begin() as held:
        held.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        again = create_engine(store.engine.url, connect_args={"options": "-c lock_timeout=2s"})
        migrate(again, MIGRATIONS["review"])
        again.dispose()
    store.close()
