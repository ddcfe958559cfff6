"""The databases of all services of a deployment, also while it runs."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

from services.cli.documents.files import missing_database, require_database
from services.cli.options import given
from services.cli.output.lines import plain, program
from shared.errors import SettingsError

if TYPE_CHECKING:
    from services.ingest.keys import KeyRing
    from shared.settings import CommonSettings
    from shared.storage import Store

SERVICES = ("ingest", "extraction", "triage", "review", "escalation")


def urls(settings: CommonSettings) -> dict[str, str]:
    """The URL of each service's database: from its setting, or of its file in the data folder."""
    return {name: settings.database(name, _set_url(settings, name)) for name in SERVICES}


def migrations() -> dict[str, Path]:
    """The folder of each service's migrations."""
    return {name: import_module(f"services.{name}.store").MIGRATIONS for name in SERVICES}


def has_database(settings: CommonSettings, service: str) -> bool:
    """Whether a service has a database: its setting names one, or its file exists."""
    return bool(_set_url(settings, service)) or (settings.data / f"{service}.db").is_file()


def require_all(settings: CommonSettings) -> None:
    """Check that the databases of all services are known here.

    Raises SettingsError if two services share a database, or if one has neither a URL nor a file.
    A container of one service knows no other database.
    """
    chosen = {name: _set_url(settings, name) for name in SERVICES}
    owners: dict[str, str] = {}
    for name, url in chosen.items():
        if url and (other := owners.setdefault(url, name)) != name:
            raise SettingsError(
                f"{other} and {name} name the same database: each service needs its own "
                f"(SMALLPRINT_{name.upper()}_DATABASE_URL)"
            )
    servers = [name for name, url in chosen.items() if url and not url.startswith("sqlite:")]
    missing = [name for name in SERVICES if not has_database(settings, name)]
    if missing and not servers:
        raise missing_database(settings.data / f"{missing[0]}.db")
    if missing:
        variables = ", ".join(f"SMALLPRINT_{name.upper()}_DATABASE_URL" for name in missing)
        raise SettingsError(
            f"only {', '.join(servers)} has a PostgreSQL URL here, and {settings.data} has no "
            f"files of the other services: set {variables}, or run the command where all are set "
            "(`docker compose run --rm upkeep …`, the job `upkeep` on Kubernetes)"
        )


def sqlite_files(settings: CommonSettings) -> dict[str, Path]:
    """The SQLite databases of a deployment by service; that of the bus is `bus`."""
    from shared.bus import file_of

    files = {
        name: Path(url.removeprefix("sqlite:///"))
        for name, url in urls(settings).items()
        if url.startswith("sqlite:///")
    }
    if settings.bus.startswith("sqlite:///"):
        files["bus"] = Path(file_of(settings.bus))
    return files


@contextmanager
def open_store(settings: CommonSettings, service: str, *, migrate: bool = False) -> Iterator[Store]:
    """The database of one service.

    Args:
        migrate: bring its tables up to date first, during a restore.

    Raises SettingsError if there is none, and SuiteError if it is of another version.
    """
    from shared.storage import Store

    if not has_database(settings, service):
        raise missing_database(settings.data / f"{service}.db")
    url = settings.database(service, _set_url(settings, service))
    with closing(Store(url, service, migrations()[service])) as store:
        if migrate:
            store.migrate(restoring=True)
        store.must_be_current()
        yield store


@contextmanager
def open_stores(settings: CommonSettings, *, migrate: bool = False) -> Iterator[dict[str, Store]]:
    """The databases of all services by name; see `open_store`."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(open_store(settings, name, migrate=migrate))
            for name in SERVICES
        }


@contextmanager
def escalation_store(data: Path | None) -> Iterator[Store]:
    """The database of escalation, brought up to date. Raises SuiteError without one."""
    from services.escalation.bootstrap import open_store as open_escalation
    from services.escalation.settings import Settings
    from shared.settings import load

    settings = load(Settings, **given(data=data))
    if not settings.escalation_database_url:
        require_database(settings.data / "escalation.db", create=False)
    with closing(open_escalation(settings)) as store:
        store.migrate()
        yield store


@contextmanager
def key_ring(data: Path | None, *, create: bool = False) -> Iterator[KeyRing]:
    """The keys of a data folder, which standard error names.

    Args:
        create: make the database if the folder has none, and say on standard error that it is new.

    Raises SuiteError for a folder without keys.
    """
    from services.ingest.keys import KeyRing
    from services.ingest.settings import Settings
    from services.ingest.store import MIGRATIONS
    from shared.settings import load
    from shared.storage import Store

    settings = load(Settings, **given(data=data))
    url = settings.database("ingest", settings.ingest_database_url)
    if settings.ingest_database_url:
        where = "the database that SMALLPRINT_INGEST_DATABASE_URL names"
    else:
        where = str(settings.data.absolute())
        require_database(settings.data / "ingest.db", create=create)
    click.echo(f"keys of {plain(where)}", err=True)
    if not has_database(settings, "ingest"):
        start = plain(shlex.join([program(), "serve", "--data", where]))
        click.echo(
            f"this folder is new: its keys only work for a suite that you start there ({start})",
            err=True,
        )
    with closing(Store(url, "ingest", MIGRATIONS)) as store:
        store.migrate()
        yield KeyRing(store, settings.ingest_session)


def _set_url(settings: CommonSettings, service: str) -> str:
    """The URL in the setting of a service; empty for a file of the data folder."""
    from shared.settings import load

    own = load(import_module(f"services.{service}.settings").Settings, data=settings.data)
    return str(getattr(own, f"{service}_database_url"))
