"""What operators do with a whole place: dead letters, backups, and whether all of it agrees.

The commands of `smallprint` that reach into every service at once. Like those in cli.py they import
what they need when they run.
"""

from __future__ import annotations

import getpass
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shared.cli.lines import plain, to_json, write
from shared.cli.options import data_option, given
from shared.errors import SuiteError

if TYPE_CHECKING:
    from shared.bus import Bus
    from shared.settings import CommonSettings

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
bus_option = click.option(
    "--bus",
    "bus_url",
    help="`kafka://host:port` or `sqlite:///path` (SMALLPRINT_BUS_URL, or the data folder's own).",
)
by_option = click.option("--by", "actor", help="Who does it; by default whoever is logged in here.")


# Dead letters


@click.group()
def dlq() -> None:
    """List, show, replay and drop dead letters: events that a service has given up.

    The document of a dead letter has ended as failed. Once the cause is mended, a replay gives the
    event once more to the service that gave it up, and a success supersedes the failure. What is
    done with a letter is noted in dead-letters.jsonl of the data folder.

    \b
    Examples:
      smallprint dlq ls
      smallprint dlq show 0123abcd
      smallprint dlq replay 0123abcd
      smallprint dlq replay --all --service extraction
      smallprint dlq drop 0123abcd --reason "a test upload of ours"
      smallprint dlq ls --bus kafka://broker:9092
    """


service_option = click.option("--service", help="Only what this service has given up.")
document_option = click.option("--document", help="Only of the document with this id.")


@dlq.command("ls")
@service_option
@document_option
@bus_option
@data_option
@as_json
def dlq_ls(
    service: str | None,
    document: str | None,
    bus_url: str | None,
    data: Path | None,
    as_json: bool,
) -> None:
    """List dead letters, the oldest first; with --json one line a letter."""
    from shared.cli import letters

    with _open_bus(data, bus_url) as (_, bus):
        lines = letters.listed(bus, service, document)
    for line in lines:
        rows = letters.table([line])
        write(to_json(line) if as_json else "".join(f"{row}\n" for row in rows).encode())
    if not lines:
        click.echo("there are no dead letters", err=True)


@dlq.command("show")
@click.argument("letter_id", metavar="ID")
@bus_option
@data_option
@as_json
def dlq_show(letter_id: str, bus_url: str | None, data: Path | None, as_json: bool) -> None:
    """Show one whole: its event, and where in the code the error came from.

    ID may be cut short after six characters. The message of an error in our own code is left out
    here, since it may quote the document: the log of the service has it, under the event's id.
    """
    from shared.cli import letters

    with _open_bus(data, bus_url) as (_, bus):
        line = letters.whole(letters.find(bus, letter_id))
    rows = letters.shown(line)
    write(to_json(line) if as_json else "".join(f"{row}\n" for row in rows).encode())


@dlq.command("replay")
@click.argument("letter_ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All that are listed, or those of --service.")
@service_option
@document_option
@click.option("--reason", help="Why, for the note of it.")
@by_option
@bus_option
@data_option
@as_json
def dlq_replay(
    letter_ids: Sequence[str],
    every: bool,
    service: str | None,
    document: str | None,
    reason: str | None,
    actor: str | None,
    bus_url: str | None,
    data: Path | None,
    as_json: bool,
) -> None:
    """Give events once more to the service that gave them up, once the cause is mended.

    The suite may be running or not. Whatever has taken effect meanwhile takes none a second time.
    """
    from shared.cli import letters

    if every == bool(letter_ids):
        raise click.UsageError("name letters by their ids, or say --all")
    if letter_ids and (service or document):
        raise click.UsageError("--service and --document go with --all")
    with _open_bus(data, bus_url) as (settings, bus):
        desk = letters.Desk(bus, settings.data, actor or getpass.getuser())
        if every:
            chosen = [line["id"] for line in letters.listed(bus, service, document)]
        else:
            chosen = [letters.find(bus, one).id for one in letter_ids]
        for one in dict.fromkeys(chosen):
            _tell(desk.replay(letters.find(bus, one), reason), as_json=as_json)
    if not chosen:
        click.echo("there are no dead letters to replay", err=True)


@dlq.command("drop")
@click.argument("letter_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--reason", required=True, help="Why, for the note of it.")
@by_option
@bus_option
@data_option
@as_json
def dlq_drop(
    letter_ids: Sequence[str],
    reason: str,
    actor: str | None,
    bus_url: str | None,
    data: Path | None,
    as_json: bool,
) -> None:
    """Forget dead letters that need no replay; their documents stay as they ended."""
    from shared.cli import letters

    with _open_bus(data, bus_url) as (settings, bus):
        desk = letters.Desk(bus, settings.data, actor or getpass.getuser())
        chosen = [letters.find(bus, one).id for one in letter_ids]
        for one in dict.fromkeys(chosen):
            _tell(desk.drop(letters.find(bus, one), reason), as_json=as_json)


def _tell(line: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        write(to_json(line))
        return
    what = f"{line['done']}: {line['id']} ({line['service']}, {line['type'] or 'no event'})"
    write(f"{plain(what)}\n".encode())


@contextmanager
def _open_bus(data: Path | None, url: str | None) -> Iterator[tuple[CommonSettings, Bus]]:
    """The bus of a place, also beside a running suite. Raises SuiteError where there is none."""
    from shared.bus import open_bus
    from shared.settings import CommonSettings, load

    settings = load(CommonSettings, **given(data=data, bus_url=url))
    if settings.bus.startswith("memory:"):
        raise SuiteError("a bus in memory is seen by its own process alone")
    if settings.bus.startswith("sqlite:///"):
        from shared.bus import file_of

        if not Path(file_of(settings.bus)).is_file():
            raise SuiteError(
                f"there is no bus {settings.bus}: name its data folder with --data, or its URL "
                "with --bus"
            )
    bus = open_bus(settings.bus, lease=settings.bus_lease)
    try:
        yield settings, bus
    finally:
        bus.close()


COMMANDS: tuple[click.Command, ...] = (dlq,)
"""What cli.py adds to `smallprint`."""
