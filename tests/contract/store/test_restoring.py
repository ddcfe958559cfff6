"""While a database of a server is restored, no other restore and no suite can start on it."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from shared.errors import Conflict, SettingsError
from shared.storage import Store
from shared.storage.restore_guard import refuse_while_restored, restoring
from tests.contract.store.conftest import MIGRATIONS
from tests.support.postgres import Servers


def test_nobody_else_restores_or_starts_meanwhile(servers: Servers) -> None:
    url = servers.database()
    store = Store(url, "extraction", MIGRATIONS)
    me = f"smallprint restore, process {os.getpid()} on "
    with restoring({"extraction": url}):
        with (
            pytest.raises(Conflict, match=f"database of extraction: {me}"),
            restoring({"extraction": url}),
        ):
            pass
        with pytest.raises(SettingsError, match=f"is being restored \\({me}"):
            store.migrate()
        store.migrate(restoring=True)
    store.migrate()
    with restoring({"extraction": url}):
        pass
    store.close()


def test_a_suite_that_brings_its_tables_up_to_date_is_no_restore(servers: Servers) -> None:
    url = servers.database()
    engine = create_engine(url)
    role = f"r{uuid.uuid4().hex[:12]}"
    administrator = create_engine(servers.as_administrator(url))
    with administrator.begin() as connection:
        connection.execute(text(f"CREATE ROLE {role} LOGIN PASSWORD '{role}'"))
        connection.execute(text(f"GRANT CONNECT ON DATABASE {engine.url.database} TO {role}"))
    administrator.dispose()
    other = make_url(url).set(username=role, password=role).render_as_string(hide_password=False)
    with engine.begin() as connection:
        refuse_while_restored(connection)
        it = f"smallprint migration, process {os.getpid()} on .*"
        for who, seen in ((url, "connected from"), (other, "by another user")):
            with (
                pytest.raises(
                    Conflict, match=f"suite is starting with the database of e .*: {it}{seen}"
                ),
                restoring({"e": who}),
            ):
                pass
    engine.dispose()
    with restoring({"e": url}):
        pass


def test_another_database_of_the_server_is_nobody_s_business(servers: Servers) -> None:
    with restoring({"extraction": servers.database()}):
        store = Store(servers.database(), "extraction", MIGRATIONS)
        store.migrate()
        store.close()


def test_files_need_no_such_lock(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'e.db'}", "extraction", MIGRATIONS)
    with restoring({}):
        store.migrate()
    store.close()
