"""The command `smallprint migrate`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shared.cli.lines import plain, to_json, write
from shared.cli.options import data_option
from shared.cli.options import given as _given
from shared.errors import SuiteError

if TYPE_CHECKING:
    from shared.settings import CommonSettings


@click.command()
@click.option("--service", help="The database of this service alone.")
@click.option("--to", "revision", help="Forward or back to this revision; goes with --service.")
@data_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines, one a service.")
def migrate(service: str | None, revision: str | None, data: Path | None, as_json: bool) -> int:
    """Bring the tables of all services up to date before an upgrade, or those of one back.

    Whatever starts does the same, but is not given any time for it: a database that has many rows
    is brought up to date by this command of the new program first. The processes of the release
    before go on meanwhile, on PostgreSQL; a data folder with files of SQLite must be nobody's.

    With --to a service goes back: what the later revisions added is lost, so make a backup first.
    Stop its processes before, and start the older program after it, for every start of this one
    brings the tables up to date again.

    \b
    Examples:
      smallprint migrate
      smallprint migrate --service ingest --to 0016
    """
    from services.cli import databases
    from shared.settings import CommonSettings, load

    if revision is not None and service is None:
        raise click.UsageError("--to goes with --service: revisions are counted by service")
    settings = load(CommonSettings, **_given(data=data))
    databases.require_all(settings)
    known = databases.urls(settings)
    if service is not None and service not in known:
        raise click.UsageError(f"there is no service {plain(service)}: {', '.join(known)}")
    for line in _moved(settings, [service] if service else list(known), revision):
        write(to_json(line) if as_json else f"{_told(line)}\n".encode())
    return 0


def _moved(
    settings: CommonSettings, services: list[str], revision: str | None
) -> Iterator[dict[str, str | None]]:
    """Move some databases: the service, and the revisions before and after. Raises SuiteError."""
    from services.cli.databases import migrations, urls
    from shared.cli.lock import FolderLock
    from shared.storage import Store
    from shared.storage.migrate import current, revisions

    chosen, folders = {name: urls(settings)[name] for name in services}, migrations()
    files = [url.removeprefix("sqlite:///") for url in chosen.values() if _is_file(url)]
    for file in map(Path, files):
        if not file.is_file():
            raise SuiteError(
                f"no suite has worked in {settings.data}: there is no {file.name}; name its data "
                "folder with --data"
            )
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


def _is_file(url: str) -> bool:
    return url.startswith("sqlite:///")


def _told(line: dict[str, str | None]) -> str:
    if line["before"] == line["after"]:
        return f"{line['service']}: at {line['after']}"
    return f"{line['service']}: {line['before'] or 'empty'} -> {line['after']}"
