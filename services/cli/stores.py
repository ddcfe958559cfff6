"""Databases of services in a data folder, also beside a running suite."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shared.cli.lines import plain
from shared.cli.options import given as _given

if TYPE_CHECKING:
    from services.ingest.keys import KeyRing
    from shared.settings import CommonSettings
    from shared.storage import Store


@contextmanager
def stored(settings: CommonSettings, service: str, url: str, migrations: Path) -> Iterator[Store]:
    """The database of a service, to be read. Raises SettingsError if it is not there."""
    from shared.errors import SettingsError
    from shared.storage import Store

    if not url and not (settings.data / f"{service}.db").is_file():
        raise SettingsError(
            f"no suite has worked in {settings.data}: there is no {service}.db; name its data "
            "folder with --data"
        )
    store = Store(settings.database(service, url), service, migrations)
    try:
        store.must_be_current()
        yield store
    finally:
        store.close()


@contextmanager
def escalation_store(data: Path | None) -> Iterator[Store]:
    """The database of escalation, also beside a running suite. Raises SuiteError without one."""
    from services.escalation.bootstrap import open_store
    from services.escalation.settings import Settings
    from shared.cli.files import require_database
    from shared.settings import load

    settings = load(Settings, **_given(data=data))
    if not settings.escalation_database_url:
        require_database(settings.data / "escalation.db", create=False)
    store = open_store(settings)
    try:
        store.migrate()
        yield store
    finally:
        store.close()


@contextmanager
def key_ring(data: Path | None, *, create: bool = False) -> Iterator[KeyRing]:
    """The keys of a data folder; works beside a running `smallprint up`.

    Raises SuiteError for a folder that has none, unless they are to be made there: then a folder in
    which no suite has worked is told of on standard error.
    """
    from services.ingest.keys import KeyRing
    from services.ingest.settings import Settings
    from services.ingest.store import MIGRATIONS
    from shared.cli.files import require_database
    from shared.settings import load
    from shared.storage import Store

    settings = load(Settings, **_given(data=data))
    url = settings.database("ingest", settings.ingest_database_url)
    if settings.ingest_database_url:
        where = "the database that SMALLPRINT_INGEST_DATABASE_URL names"
    else:
        where = str(settings.data)
        require_database(settings.data / "ingest.db", create=create)
    click.echo(f"keys of {plain(where)}", err=True)
    if not settings.ingest_database_url and not (settings.data / "ingest.db").is_file():
        start = plain(shlex.join(["smallprint", "up", "--data", where]))
        click.echo(
            "this folder is new: no suite has worked in it, and a key of it opens none but the one "
            f"that is started there ({start})",
            err=True,
        )
    store = Store(url, "ingest", MIGRATIONS)
    try:
        store.migrate()
        yield KeyRing(store, settings.ingest_session)
    finally:
        store.close()
