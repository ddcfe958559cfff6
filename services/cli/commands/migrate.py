"""The command `smallprint migrate`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from services.cli.deployment import stores
from services.cli.deployment.lock import FolderLock
from services.cli.documents.files import missing_database
from services.cli.options import data_option, load_settings
from services.cli.output.lines import plain, print_line
from shared.errors import SuiteError

if TYPE_CHECKING:
    from shared.settings import CommonSettings


@click.command()
@click.option("--service", help="Only the database of this service.")
@click.option("--to", "revision", help="Migrate to this revision; needs --service.")
@data_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines, one a service.")
def migrate(service: str | None, revision: str | None, data: Path | None, as_json: bool) -> int:
    """Bring the databases of an older version up to date.

    Every start does the same, but has little time for it. So before an upgrade migrate large
    databases with this command of the new version. On PostgreSQL the processes of the old version
    may go on; with SQLite no process may use the data folder.

    --to migrates a service back. That loses what the later revisions added, so make a backup first.
    Stop the processes of the service, and then start the older version: every start of this version
    migrates forward again.

    \b
    Examples:
      smallprint migrate
      smallprint migrate --service ingest --to 0016
    """

    if revision is not None and service is None:
        raise click.UsageError("--to needs --service: each service has its own revisions")
    settings = load_settings(data)
    stores.require_all(settings)
    databases = stores.urls(settings)
    if service is not None and service not in databases:
        raise click.UsageError(f"unknown service {plain(service)}: {', '.join(databases)}")
    for line in _moved(settings, [service] if service else list(databases), revision):
        print_line(line, [_row(line)], as_json=as_json)
    return 0


def _moved(
    settings: CommonSettings, services: list[str], revision: str | None
) -> Iterator[dict[str, str | None]]:
    """Migrate databases. Yields the revisions before and after. Raises SuiteError."""
    from shared.storage import Store
    from shared.storage.migrate import current, revisions

    urls, folders = stores.urls(settings), stores.migrations()
    chosen = {name: urls[name] for name in services}
    prefix = "sqlite:///"
    files = [Path(url.removeprefix(prefix)) for url in chosen.values() if url.startswith(prefix)]
    for file in files:
        if not file.is_file():
            raise missing_database(file)
    for name in services:
        had = revisions(folders[name])
        if revision is not None and revision not in had:
            raise SuiteError(
                f"{name} has no revision {plain(revision)}: it has {had[0]} to {had[-1]}"
            )
    with ExitStack() as stack:
        if files:
            stack.enter_context(FolderLock(settings.data))
        for name, url in chosen.items():
            store = Store(url, name, folders[name])
            stack.callback(store.close)
            store.ready()
            before = current(store.engine)
            store.migrate(revision or "head")
            yield {"service": name, "before": before, "after": current(store.engine)}


def _row(line: dict[str, str | None]) -> str:
    if line["before"] == line["after"]:
        return f"{line['service']}: at {line['after']}"
    return f"{line['service']}: {line['before'] or 'empty'} -> {line['after']}"
