"""While a database of a server is restored nobody else restores it, or starts on it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shared.errors import Conflict, SettingsError
from shared.storage import Store
from shared.storage.restoring import restoring
from tests.contract.store.conftest import MIGRATIONS
from tests.postgres import Servers


def test_nobody_else_restores_or_starts_meanwhile(servers: Servers) -> None:
    """Both are told who it is; who restores goes on, and afterwards all may again."""
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


def test_another_database_of_the_server_is_nobody_s_business(servers: Servers) -> None:
    """The lock is of one database."""
    with restoring({"extraction": servers.database()}):
        store = Store(servers.database(), "extraction", MIGRATIONS)
        store.migrate()
        store.close()


def test_files_need_no_such_lock(tmp_path: Path) -> None:
    """Their data folder has one."""
    store = Store(f"sqlite:///{tmp_path / 'e.db'}", "extraction", MIGRATIONS)
    with restoring({}):
        store.migrate()
    store.close()
