"""What operators do with a whole place: dead letters, backups, and whether all of it agrees.

The commands of `smallprint` that reach into every service at once. Like those in cli they import
what they need when they run.
"""

from __future__ import annotations

import getpass
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shared.cli.lines import plain, to_json, write
from shared.cli.options import data_option, given
from shared.errors import SuiteError

if TYPE_CHECKING:
    from shared.bus import Bus
    from shared.settings import CommonSettings
    from shared.storage import Store
    from shared.upkeep.backup import Place as WholePlace
    from shared.upkeep.verify import Place

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
bus_option = click.option(
    "--bus",
    "bus_url",
    help="`kafka://host:port` or `sqlite:///path` (SMALLPRINT_BUS_URL, or that of the data folder: "
    "a file in it, or the broker of the suite that runs on it).",
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
      smallprint dlq ls --data var/data-kafka
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
    from shared.cli import edition, letters

    with edition.opened(data, bus_url) as (_, bus):
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
    from shared.cli import edition, letters

    with edition.opened(data, bus_url) as (_, bus):
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
    from shared.cli import edition, letters

    if every == bool(letter_ids):
        raise click.UsageError("name letters by their ids, or say --all")
    if letter_ids and (service or document):
        raise click.UsageError("--service and --document go with --all")
    with edition.opened(data, bus_url) as (settings, bus):
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
    from shared.cli import edition, letters

    with edition.opened(data, bus_url) as (settings, bus):
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


# Whether all of it agrees


@click.command()
@click.option("--repair", "mend", is_flag=True, help="Put right what can be.")
@click.option("--quick", is_flag=True, help="Only whether blobs are there, not what is in them.")
@click.option(
    "--orphans",
    "orphan_minutes",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    help="Minutes of age from which on a blob that no row names is a fault.",
)
@click.option(
    "--stuck",
    "stuck_minutes",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    help="Minutes without news after which a document that has not ended is a fault.",
)
@click.option(
    "--settle",
    type=click.FloatRange(min=0),
    default=5.0,
    show_default=True,
    help="Seconds between two looks; what only one of them finds was on its way.",
)
@bus_option
@data_option
@as_json
def verify(
    mend: bool,
    quick: bool,
    orphan_minutes: float,
    stuck_minutes: float,
    settle: float,
    bus_url: str | None,
    data: Path | None,
    as_json: bool,
) -> int:
    """Check that the rows, blobs and events of all services agree, and put right what can be.

    The suite may be running or not. What is announced once more is done while it runs. Exits with 0
    if nothing is wrong or everything was put right, 1 if something is left that --repair puts
    right, 3 if something is left that it can't, and 2 if it could not look. With --json one line a
    fault (`kind`, `service`, `tenant`, `document`, `blob`, `detail`, `repair`, `repaired`), and a
    last one with the counts, also of events yet to be sent and to be handled and of the documents
    that they are about (`moving`), which Kafka can't tell: meanwhile it looks at blobs alone. Where
    a database of SQLite is damaged it looks at nothing else, and the counts are null.

    \b
    Examples:
      smallprint verify
      smallprint verify --repair
      smallprint verify --quick --json --data ~/smallprint-data
    """
    from services.cli.databases import require_all
    from shared.cli import edition, verified
    from shared.upkeep import verify as looking

    settings = edition.settings_of(data, bus_url)
    require_all(settings)
    rules = looking.Rules(
        orphan=orphan_minutes * 60,
        stuck=stuck_minutes * 60,
        hashes=not quick,
    )
    files = dict(files_of(settings))
    there = {name: path for name, path in files.items() if path.is_file()}
    if broken := list(looking.check_files(there)):
        looked, done = looking.unlooked(broken), [False] * len(broken)
    else:
        with _place(data, bus_url) as (_, place):
            looked = looking.verify(place, rules, settle)
            done = [False] * len(looked.faults)
            if mend:
                done = looking.repair(place, looked.faults, rules.orphan)
    for line in verified.lines(looked, done):
        rows = verified.table(line)
        write(to_json(line) if as_json else "".join(f"{row}\n" for row in rows).encode())
    return verified.exit_code(looked, done)


def files_of(settings: CommonSettings) -> Iterator[tuple[str, Path]]:
    """The SQLite files of a place by the service that has them, the bus included."""
    from services.cli.databases import urls
    from shared.bus import file_of

    for name, url in urls(settings).items():
        if url.startswith("sqlite:///"):
            yield name, Path(url.removeprefix("sqlite:///"))
    if settings.bus.startswith("sqlite:///"):
        yield "bus", Path(file_of(settings.bus))


@contextmanager
def stores_of(settings: CommonSettings, *, migrate: bool = False) -> Iterator[dict[str, Store]]:
    """All databases, brought up to date for who restores them. Raises SuiteError if one is missing,
    or not of this version.
    """
    from services.cli.databases import migrations, urls
    from shared.storage import Store

    folders = migrations()
    stores: dict[str, Store] = {}
    try:
        for name, url in urls(settings).items():
            path = Path(url.removeprefix("sqlite:///"))
            if url.startswith("sqlite:///") and not path.is_file():
                raise SuiteError(
                    f"no suite has worked in {settings.data}: there is no {path.name}; name its "
                    "data folder with --data"
                )
            stores[name] = Store(url, name, folders[name])
            if migrate:
                stores[name].migrate(restoring=True)
            stores[name].must_be_current()
        yield stores
    finally:
        for store in stores.values():
            store.close()


@contextmanager
def _place(data: Path | None, bus_url: str | None) -> Iterator[tuple[CommonSettings, Place]]:
    """All that `verify` looks at."""
    from shared.cli import edition

    with edition.opened(data, bus_url) as (settings, bus), stores_of(settings) as stores:
        yield settings, place_of(settings, stores, bus)


def place_of(settings: CommonSettings, stores: dict[str, Store], bus: Bus) -> Place:
    """Databases, blobs and bus as `verify` looks at them."""
    from functools import partial

    from services.escalation.store import holdings as escalation
    from services.extraction.store import holdings as extraction
    from services.ingest.mending import Mender
    from services.ingest.store import holdings as ingest
    from services.review.store import holdings as review
    from services.triage.store import holdings as triage
    from shared.storage import open_blobs
    from shared.upkeep.verify import House, Place

    held = {
        "extraction": extraction,
        "triage": triage,
        "review": review,
        "escalation": escalation,
    }
    blobs = partial(open_blobs, settings.blobs_url, settings.blobs)
    return Place(
        ingest=stores["ingest"],
        known=ingest,
        houses=[House(name, stores[name], one) for name, one in held.items()],
        blobs=blobs,
        listed=lambda: blobs("").aged(),
        bus=bus,
        mender=Mender(stores["ingest"], blobs("")),
    )


# Backups


@click.command()
@click.argument("target", metavar="TO", type=click.Path(path_type=Path))
@click.option(
    "--dated",
    is_flag=True,
    help="Into a folder in TO that is named by the time (UTC), such as 2026-01-31-0200.",
)
@bus_option
@data_option
@as_json
def backup(target: Path, dated: bool, bus_url: str | None, data: Path | None, as_json: bool) -> int:
    """Copy the whole place into the new folder TO, while the suite works or not.

    Databases (SQLite, or PostgreSQL by `pg_dump`), the bus where it is a file, blobs (of a folder
    or of a bucket) and adapters, all as of one moment, each file with its hash. Settings, the
    policy file and the topics of a Kafka broker are not in it. A backup holds the words of
    documents: keep it as you keep them. One that breaks off leaves the blobs it has in TO.partial,
    and the same command goes on from there; with --dated, the next one of that folder. Exits with 1
    if blobs were damaged before they were copied (`smallprint verify` names them), or if there are
    documents, and no blob at all.

    \b
    Examples:
      smallprint backup /backups/2026-01-31
      smallprint backup /backups --dated
      smallprint backup /backups/2026-01-31 --data ~/smallprint-data --json
    """
    from contextlib import ExitStack
    from dataclasses import asdict
    from datetime import UTC, datetime

    from services.cli.databases import require_all
    from shared.cli import edition
    from shared.upkeep import backup as backups
    from shared.upkeep import partial

    settings = edition.settings_of(data, bus_url)
    require_all(settings)
    place = _whole(settings)
    with ExitStack() as stack:
        broker = None
        if place.bus is None:
            _, broker = stack.enter_context(edition.opened(data, bus_url))
        if dated:
            target = stack.enter_context(partial.dated(target, datetime.now(UTC)))
        made = backups.backup(place, target, broker)
    if as_json:
        write(to_json({"backup": str(target), **asdict(made)}))
    else:
        kept = f"{len(made.databases)} databases, {made.blobs} blobs ({made.bytes} bytes)"
        write(f"{target}: {kept}, as of {made.moment}\n".encode())
    _warn_of_older(settings)
    for name in made.damaged:
        click.echo(f"smallprint: blob {name} was damaged before it was copied", err=True)
    if empty := not made.blobs and _has_documents(settings):
        why = "mount the disk of the folder, or name the bucket in SMALLPRINT_BLOBS_URL"
        click.echo(f"smallprint: documents are there, and none of their blobs: {why}", err=True)
    return 1 if made.damaged or empty else 0


def _warn_of_older(settings: CommonSettings) -> None:
    """Say which tables are older than this program; their copies are, too."""
    from services.cli.databases import older

    found: dict[str, tuple[str, str]] = {}
    with suppress(SuiteError):  # one that is away now was copied before
        found = older(settings)
    if found:
        said = ", ".join(f"{name} (at {at}, not {last})" for name, (at, last) in found.items())
        click.echo(
            f"smallprint: tables of an older version than this program: {said}. They are copied as "
            "they are; a restore, `smallprint migrate` and any start bring them up to date",
            err=True,
        )


def _has_documents(settings: CommonSettings) -> bool:
    """Whether any lives here, as far as this version can tell."""
    from services.ingest.store import holdings

    with suppress(SuiteError), stores_of(settings) as stores, stores["ingest"].read() as session:
        return any(one.living for one in holdings(session))
    return False


@click.command()
@click.argument("source", metavar="FROM", type=click.Path(exists=True, path_type=Path))
@bus_option
@data_option
@as_json
def restore(source: Path, bus_url: str | None, data: Path | None, as_json: bool) -> int:
    """Bring a backup into an empty place, and check that all of it agrees.

    The data folder is new or empty; databases of PostgreSQL, as the settings name them, have no
    tables; a Kafka topic, as the URL names it, has no messages. Until it has ended nobody else
    restores there, and no suite starts on the folder or on these databases: whoever tries is told
    which process has them. Blobs go to the data folder or to the bucket that the settings name,
    wherever they came from; of a bucket nothing is removed: name one of its own, or a new prefix,
    for a trial. Nobody holds a lease in what is restored. Where the bus is a broker, all that the
    outboxes still have is sent once more. Older tables are brought up to date. Exits with 0, or as
    `smallprint verify` does.

    \b
    Examples:
      smallprint restore /backups/2026-01-31 --data ~/restored
      smallprint restore /backups/2026-01-31 --bus 'kafka://broker:9092?topic=documents-2'
    """
    from contextlib import ExitStack
    from dataclasses import asdict, replace

    from shared.bus import open_bus
    from shared.cli import verified
    from shared.errors import Conflict
    from shared.settings import CommonSettings, load
    from shared.storage.blobs import key_of
    from shared.upkeep import backup as backups
    from shared.upkeep import verify as looking
    from shared.upkeep.manifest import Manifest

    settings = load(CommonSettings, **given(data=data, bus_url=bus_url))
    place = _whole(settings)
    for name, path in files_of(settings):
        if path.resolve().parent != place.data:
            raise SuiteError(
                f"{path} is not in the data folder: what is restored to SQLite lies there, so "
                f"leave the setting that names it for {name} empty"
            )
    rules = looking.Rules(orphan=0.0)

    def settle(folder: Path, manifest: Manifest, put: backups.Put) -> looking.Looked:
        """Let go of leases, send once more what has to be, and look whether all of it agrees."""
        there = settings.model_copy(update={"data": folder})
        file = folder / backups.BUS if place.bus is not None else None
        with ExitStack() as stack:
            if file is not None:
                there = there.model_copy(update={"bus_url": f"sqlite:///{file}"})
            stores = stack.enter_context(stores_of(there, migrate=True))
            backups.let_go(stores, file if manifest.bus else None)
            if file is None or manifest.bus is None:
                backups.send_again(stores)
            bus = open_bus(there.bus, lease=settings.bus_lease)
            stack.callback(bus.close)
            where = place_of(there, stores, bus)
            looked = looking.verify(where, rules)
            orphans = [fault for fault in looked.faults if fault.kind == "orphan"]
            # Nobody works here: half a work, which comes again. A bucket may be others' too.
            mine = [
                one
                for one in orphans
                if not there.blobs_url or (one.blob and key_of(one.tenant, one.blob) in put)
            ]
            looking.repair(where, mine, rules.orphan)
            faults = [fault for fault in looked.faults if fault.kind != "orphan"]
            return replace(looked, faults=faults)

    if place.bus is None:
        bus = open_bus(settings.bus, lease=settings.bus_lease)
        try:
            if count := bus.lag("restore"):
                raise Conflict(
                    f"the topic has {count} messages already, which are not of this backup: name "
                    "one of its own, kafka://host:port?topic=NAME, and start the suite with it"
                )
        finally:
            bus.close()
    manifest, looked = backups.restore(source, place, settle)
    done = [False] * len(looked.faults)
    if as_json:
        write(to_json({"restored": str(settings.data), **asdict(manifest)}))
    else:
        write(f"{settings.data}: restored as of {manifest.moment}\n".encode())
    for line in verified.lines(looked, done):
        rows = verified.table(line)
        write(to_json(line) if as_json else "".join(f"{row}\n" for row in rows).encode())
    return verified.exit_code(looked, done)


def _whole(settings: CommonSettings) -> WholePlace:
    """A place as backups see it."""
    from services.cli.databases import urls
    from shared.bus import file_of
    from shared.upkeep.backup import Place

    if settings.bus.startswith("memory:"):
        raise SuiteError("a bus in memory can't be kept")
    on_file = settings.bus.startswith("sqlite:///")
    return Place(
        data=settings.data.resolve(),
        databases=urls(settings),
        bus=Path(file_of(settings.bus)) if on_file else None,
        bucket=settings.blobs_url,
    )


COMMANDS: tuple[click.Command, ...] = (dlq, verify, backup, restore)
"""What cli adds to `smallprint`."""
