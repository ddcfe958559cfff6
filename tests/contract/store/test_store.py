"""The behaviour of a service's database, the same on SQLite and PostgreSQL."""

import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import Table, func, insert, inspect, select, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError, StatementError

from infra.servers.ports import free_port
from shared.errors import InvalidRequest, SettingsError, Unavailable
from shared.storage import Store
from shared.storage.migrate import current
from shared.storage.upsert import insert_new
from tests.support import ROOT

FOLDER = Path(__file__).parent


def _texts(store: Store, note: Table) -> list[str]:
    with store.read() as session:
        return list(session.execute(select(note.c.text).order_by(note.c.id)).scalars())


def test_migrations_go_up_and_down_and_up_again(empty_store: Store) -> None:
    assert current(empty_store.engine) is None
    empty_store.migrate()
    assert current(empty_store.engine) == "0002"
    empty_store.migrate("0001")
    assert current(empty_store.engine) == "0001"
    columns = {column["name"] for column in inspect(empty_store.engine).get_columns("note")}
    assert "colour" not in columns
    empty_store.migrate("base")
    assert current(empty_store.engine) is None
    assert set(inspect(empty_store.engine).get_table_names()) <= {"alembic_version"}
    empty_store.migrate()
    assert {"note", "outbox", "inbox", "relay_lease"} <= set(
        inspect(empty_store.engine).get_table_names()
    )


def test_migrating_twice_changes_nothing(store: Store, note: Table) -> None:
    with store.write() as session:
        session.execute(insert(note).values(text="kept"))
    store.migrate()
    assert _texts(store, note) == ["kept"]


def test_a_migration_that_fails_leaves_nothing_behind(url: str) -> None:
    store = Store(url, "extraction", FOLDER / "broken_migrations")
    with pytest.raises(RuntimeError, match="tripped"):
        store.migrate()
    assert not inspect(store.engine).has_table("half")
    store.close()
    mended = Store(url, "extraction", FOLDER / "migrations")
    mended.migrate()
    assert current(mended.engine) == "0002"
    mended.close()


def test_a_database_of_a_newer_program_is_refused(url: str, store: Store, note: Table) -> None:
    with store.write() as session:
        session.execute(insert(note).values(text="kept"))
        session.execute(text("UPDATE alembic_version SET version_num = '0009'"))
    with pytest.raises(SettingsError, match=r"newer than this program.*0009 .*0002") as caught:
        store.migrate()
    database = make_url(url)
    assert str(database.database) in caught.value.message
    assert not database.password or database.password not in caught.value.message
    assert _texts(store, note) == ["kept"]
    assert current(store.engine) == "0009"


def test_processes_that_start_at_once_migrate_once(url: str) -> None:
    program = (
        "import sys; from pathlib import Path; from shared.storage import Store\n"
        "store = Store(sys.argv[1], 'extraction', Path(sys.argv[2])); sys.stdin.readline()\n"
        "store.migrate(); store.close()"
    )
    command = [sys.executable, "-c", program, url, str(FOLDER / "migrations")]
    processes = [
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
        )
        for _ in range(3)
    ]
    ended = [process.communicate("\n", timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0] * 3, ended


def test_an_error_takes_back_what_was_written(store: Store, note: Table) -> None:
    with pytest.raises(ValueError, match="no"), store.write() as session:  # noqa: PT012
        session.execute(insert(note).values(text="lost"))
        raise ValueError("no")
    assert _texts(store, note) == []


def test_a_time_comes_back_as_the_same_moment_in_utc(store: Store, note: Table) -> None:
    given = datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=timezone(timedelta(hours=5)))
    with store.write() as session:
        session.execute(insert(note).values(text="now", made=given))
    with store.read() as session:
        found = session.execute(select(note.c.made)).scalar_one()
    assert found == given
    assert found.tzinfo is UTC


def test_a_time_without_a_zone_is_refused(store: Store, note: Table) -> None:
    with pytest.raises(StatementError, match="without a zone"), store.write() as session:
        session.execute(insert(note).values(text="when?", made=datetime(2026, 3, 1)))  # noqa: DTZ001


def test_a_value_that_can_not_be_kept_is_refused_for_good(store: Store, note: Table) -> None:
    """PostgreSQL takes no NUL and no text beyond its length: a lasting error in plain words."""
    if store.engine.dialect.name == "sqlite":
        with store.write() as session:
            session.execute(insert(note).values(text="a\0b"))
        assert _texts(store, note) == ["a\0b"]
        return
    for value in ("a\0secret", "secret" * 40):
        with (
            pytest.raises(InvalidRequest, match="can't be stored") as caught,
            store.write() as session,
        ):
            session.execute(insert(note).values(text=value))
        assert not caught.value.retryable
        assert "secret" not in caught.value.message
    assert _texts(store, note) == []


def test_errors_do_not_show_what_is_in_the_rows(store: Store, note: Table) -> None:
    with pytest.raises(IntegrityError) as caught, store.write() as session:  # noqa: PT012
        session.execute(insert(note).values(id=1, text="a"))
        session.execute(insert(note).values(id=1, text="a secret"))
    assert "a secret" not in str(caught.value)


def test_writers_wait_for_each_other(store: Store, note: Table) -> None:
    with store.write() as session:
        session.execute(insert(note).values(id=1, text="counter", number=0))
    errors: list[Exception] = []

    def count() -> None:
        try:
            for _ in range(20):
                with store.write() as session:
                    session.execute(update(note).values(number=note.c.number + 1))
        except Exception as error:  # noqa: BLE001 - shown by the assertion below
            errors.append(error)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.read() as session:
        assert session.execute(select(note.c.number)).scalar_one() == 80
    assert errors == []


def test_a_reader_does_not_wait_for_a_writer(store: Store, note: Table) -> None:
    with store.write() as writer:
        writer.execute(insert(note).values(text="not yet"))
        with store.read() as reader:
            assert reader.execute(select(func.count()).select_from(note)).scalar_one() == 0
    assert _texts(store, note) == ["not yet"]


def test_a_database_that_is_away_is_unavailable() -> None:
    url = f"postgresql+psycopg://nobody:x@127.0.0.1:{free_port()}/nothing"
    store = Store(url, "extraction", FOLDER / "migrations")
    with pytest.raises(Unavailable, match="database of extraction"):
        store.ready()
    store.close()


@pytest.mark.parametrize("wrong", ["", "nonsense", "oracle2://host/name"])
def test_a_wrong_url_is_a_settings_error(wrong: str) -> None:
    with pytest.raises(SettingsError, match="database URL of extraction"):
        Store(wrong, "extraction", FOLDER / "migrations")


def test_inserting_reports_whether_the_row_is_new(store: Store, note: Table) -> None:
    with store.write() as session:
        inserted = [insert_new(session, note, id=number, text="a") for number in (1, 1, 2)]
    assert inserted == [True, False, True]
