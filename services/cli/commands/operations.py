"""The commands `dead-letters`, `verify`, `backup` and `restore`, for all services together."""

from __future__ import annotations

import getpass
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from services.cli.deployment.stores import open_stores, require_all, sqlite_files, urls
from services.cli.groups import AliasedGroup
from services.cli.options import data_option, load_settings
from services.cli.output.event_names import event_name
from services.cli.output.lines import count, minute, plain, print_hint, print_line
from shared.errors import SuiteError

if TYPE_CHECKING:
    from services.cli.operations.backup import BackedUpDeployment
    from services.cli.operations.dead_letters import DeadLetterCommands
    from services.cli.operations.verify import VerificationResult
    from shared.settings import CommonSettings

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
bus_option = click.option(
    "--bus",
    "bus_url",
    help="`kafka://host:port` or `sqlite:///path` (SMALLPRINT_BUS_URL, or the bus of the data "
    "folder or of its running suite).",
)
by_option = click.option("--by", "actor", help="Your name for the log; by default your login.")
service_option = click.option("--service", help="Only dead letters of this service.")
document_option = click.option("--document", help="Only dead letters of the document with this id.")

# Dead letters


@contextmanager
def _dead_letters(data: Path | None, actor: str | None = None) -> Iterator[DeadLetterCommands]:
    """The dead letters of a deployment, also while it runs."""
    from services.cli.operations.dead_letters import DeadLetterCommands

    settings = load_settings(data)
    with open_stores(settings) as stores:
        yield DeadLetterCommands(stores, settings.data, actor or getpass.getuser())


@click.group("dead-letters", cls=AliasedGroup, aliases={"ls": "list"})
def dead_letters() -> None:
    """Retry or drop work that failed for good.

    A dead letter is an event that a service has given up. Its document has ended as failed. Fix the
    cause, and replay the dead letter: the service then tries it again. The file dead-letters.jsonl
    of the data folder logs all actions.

    \b
    Examples:
      smallprint dead-letters list
      smallprint dead-letters show 0123abcd
      smallprint dead-letters replay 0123abcd
      smallprint dead-letters replay --all --service extraction
      smallprint dead-letters drop 0123abcd --reason "a test upload of ours"
      smallprint dead-letters list --data ~/smallprint-data
    """


@dead_letters.command("list")
@service_option
@document_option
@data_option
@as_json
def dead_letters_list(
    service: str | None,
    document: str | None,
    data: Path | None,
    as_json: bool,
) -> None:
    """List dead letters, the oldest first."""
    from services.cli.operations import dead_letters as letters

    with _dead_letters(data) as commands:
        lines = letters.listed(commands.stores, service, document)
    for line in lines:
        print_line(line, letters.table(line), as_json=as_json)
    if not lines:
        click.echo("there are no dead letters", err=True)


@dead_letters.command("show")
@click.argument("dead_letter_id", metavar="ID")
@data_option
@as_json
def dead_letters_show(dead_letter_id: str, data: Path | None, as_json: bool) -> None:
    """Show a dead letter with its event and its error.

    Shows where in the code the error occurred. Six characters of the ID are enough if they are
    unique. The message of an unexpected error is left out, since it may quote the document. Find it
    in the log of the service by the event's id.
    """
    from services.cli.operations import dead_letters as letters

    with _dead_letters(data) as commands:
        line = letters.details(letters.find(commands.stores, dead_letter_id))
    print_line(line, letters.shown(line), as_json=as_json)


@dead_letters.command("replay")
@click.argument("dead_letter_ids", metavar="[ID]...", nargs=-1)
@click.option(
    "--all", "all_listed", is_flag=True, help="All of them, or those of --service and --document."
)
@service_option
@document_option
@click.option("--reason", help="Reason, for the log.")
@by_option
@data_option
@as_json
def dead_letters_replay(
    dead_letter_ids: Sequence[str],
    all_listed: bool,
    service: str | None,
    document: str | None,
    reason: str | None,
    actor: str | None,
    data: Path | None,
    as_json: bool,
) -> None:
    """Give dead letters to their services again.

    Fix the cause first. The suite may be running. An event takes effect only once.
    """
    from services.cli.operations import dead_letters as letters

    if all_listed == bool(dead_letter_ids):
        raise click.UsageError("give ids, or use --all")
    if dead_letter_ids and (service or document):
        raise click.UsageError("--service and --document need --all")
    with _dead_letters(data, actor) as commands:
        stores = commands.stores
        if all_listed:
            chosen = [line["id"] for line in letters.listed(stores, service, document)]
        else:
            chosen = [letters.find(stores, one).id for one in dead_letter_ids]
        for one in dict.fromkeys(chosen):
            _print_action(commands.replay(letters.find(stores, one), reason), as_json=as_json)
    if not chosen:
        click.echo("there are no dead letters to replay", err=True)


@dead_letters.command("drop")
@click.argument("dead_letter_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--reason", required=True, help="Reason, for the log.")
@by_option
@data_option
@as_json
def dead_letters_drop(
    dead_letter_ids: Sequence[str],
    reason: str,
    actor: str | None,
    data: Path | None,
    as_json: bool,
) -> None:
    """Drop dead letters that need no replay.

    Their documents stay failed.
    """
    from services.cli.operations import dead_letters as letters

    with _dead_letters(data, actor) as commands:
        stores = commands.stores
        chosen = [letters.find(stores, one).id for one in dead_letter_ids]
        for one in dict.fromkeys(chosen):
            _print_action(commands.drop(letters.find(stores, one), reason), as_json=as_json)


def _print_action(line: dict[str, Any], *, as_json: bool) -> None:
    what = f"{line['done']}: {line['id']} ({line['service']}, {event_name(line['type'])})"
    print_line(line, [plain(what)], as_json=as_json)


# Verify


@click.command()
@click.option("--repair", "repair", is_flag=True, help="Repair the faults that can be repaired.")
@click.option(
    "--quick", is_flag=True, help="Check the presence of stored files, not their content."
)
@click.option(
    "--orphans",
    "orphan_minutes",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    help="Minutes after which a blob without a row is a fault.",
)
@click.option(
    "--stuck",
    "stuck_minutes",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    help="Minutes without a change after which an unfinished document is a fault.",
)
@click.option(
    "--settle",
    type=click.FloatRange(min=0),
    default=5.0,
    show_default=True,
    help="Seconds between two checks; a fault has to be in both.",
)
@bus_option
@data_option
@as_json
def verify(
    repair: bool,
    quick: bool,
    orphan_minutes: float,
    stuck_minutes: float,
    settle: float,
    bus_url: str | None,
    data: Path | None,
    as_json: bool,
) -> int:
    """Check that all stored data is complete and undamaged.

    Compares the databases, stored files and events of all services. The suite may be running. Some
    repairs of --repair need it to run.

    Exit codes: 0 no fault is left, 1 --repair can repair all faults that are left, 3 it can't
    repair some, 2 the check failed.

    With --json it prints one line a fault (`kind`, `service`, `tenant`, `document`, `blob`,
    `detail`, `repair`, `repaired`), and then one with the counts. These include events that are not
    sent or not handled yet, and their documents (`in_progress`). Kafka can't tell these documents;
    until all events are handled it then only checks stored files. If an SQLite database is damaged,
    nothing else is checked and the counts are null.

    \b
    Examples:
      smallprint verify
      smallprint verify --repair
      smallprint verify --quick --json --data ~/smallprint-data
    """
    from services.cli.deployment import deployment_file
    from services.cli.operations import verify as checks

    settings = deployment_file.settings_of(data, bus_url)
    require_all(settings)
    rules = checks.Rules(orphan_minutes * 60, stuck_minutes * 60, hashes=not quick)
    files = {name: path for name, path in sqlite_files(settings).items() if path.is_file()}
    if broken := list(checks.check_files(files)):
        result, done = checks.unchecked(broken), [False] * len(broken)
    else:
        with (
            deployment_file.deployment_bus(data, bus_url) as (settings, bus),
            open_stores(settings) as stores,
        ):
            deployment = checks.VerifiedDeployment.of(settings, stores, bus)
            result = checks.verify(deployment, rules, settle)
            done = [False] * len(result.faults)
            if repair:
                done = checks.repair(deployment, result.faults, rules.orphan)
    return _print_result(result, done, as_json=as_json)


def _print_result(result: VerificationResult, done: Sequence[bool], *, as_json: bool) -> int:
    """Print the result of a verification. Returns the exit code."""
    from services.cli.operations import verification_report

    for line in verification_report.lines(result, done):
        print_line(line, verification_report.table(line), as_json=as_json)
    return verification_report.exit_code(result, done)


# Backups


@click.command()
@click.argument("target", metavar="TO", type=click.Path(path_type=Path))
@click.option(
    "--dated",
    is_flag=True,
    help="Make a new folder in TO, named by the time in UTC, such as 2026-01-31-0200.",
)
@bus_option
@data_option
@as_json
def backup(target: Path, dated: bool, bus_url: str | None, data: Path | None, as_json: bool) -> int:
    """Back up all data into a new folder.

    The suite may be running. The backup has the databases (SQLite, or PostgreSQL by `pg_dump`), the
    bus if it is a file, stored files (of a folder or bucket) and adapters, all as of one moment and
    with hashes. It does not have settings, the policy file, or topics of a Kafka broker. It
    contains the text of documents: protect it as you protect them.

    A failed backup leaves its files in TO.partial, and the same command continues; with --dated the
    next one in that folder does. Exits with 1 if files were damaged before (`smallprint verify`
    names them), or if there are documents but no stored files.

    \b
    Examples:
      smallprint backup /backups/2026-01-31
      smallprint backup /backups --dated
      smallprint backup /backups/2026-01-31 --data ~/smallprint-data --json
    """
    from contextlib import ExitStack
    from dataclasses import asdict
    from datetime import UTC, datetime

    from services.cli.deployment import deployment_file
    from services.cli.operations import backup as backups
    from services.cli.operations import partial_backup

    settings = deployment_file.settings_of(data, bus_url)
    require_all(settings)
    deployment = _backed_up_deployment(settings)
    with ExitStack() as stack:
        if dated:
            target = stack.enter_context(partial_backup.dated(target, datetime.now(UTC)))
        manifest = backups.backup(deployment, target)
    files = f"{count(manifest.blobs, 'stored file')} ({manifest.bytes:,} bytes)"
    when = minute(datetime.fromisoformat(manifest.moment))
    row = f"{target}: {count(len(manifest.databases), 'database')}, {files}, as of {when}"
    print_line({"backup": str(target), **asdict(manifest)}, [row], as_json=as_json)
    for name in manifest.damaged:
        click.echo(f"smallprint: stored file {name} was damaged before it was copied", err=True)
    if empty := not manifest.blobs and _has_documents(settings):
        why = "mount the disk of the folder, or set SMALLPRINT_BLOBS_URL to the bucket"
        click.echo(f"smallprint: there are documents, but no stored files: {why}", err=True)
    return 1 if manifest.damaged or empty else 0


def _has_documents(settings: CommonSettings) -> bool:
    """Whether there are documents, as far as this version can tell."""
    from services.ingest.store import holdings

    with suppress(SuiteError), open_stores(settings) as stores, stores["ingest"].read() as session:
        return any(one.living for one in holdings(session))
    return False


@click.command()
@click.argument("source", metavar="FROM", type=click.Path(exists=True, path_type=Path))
@bus_option
@data_option
@as_json
def restore(source: Path, bus_url: str | None, data: Path | None, as_json: bool) -> int:
    """Restore a backup into an empty data folder, and verify it.

    The data folder must be new or empty. PostgreSQL databases must have no tables, and a Kafka
    topic no messages. No suite can use them before the end. Stored files go to the data folder, or
    to the bucket in the settings. Nothing is removed from a bucket: use a new bucket or prefix for
    a trial.

    All leases are released, and older tables are migrated. With a broker, the outboxes send their
    events again. Exits with 0, or as `smallprint verify` does.

    \b
    Examples:
      smallprint restore /backups/2026-01-31 --data ~/restored
      smallprint restore /backups/2026-01-31 --bus 'kafka://broker:9092?topic=documents-2'
    """
    from contextlib import ExitStack
    from dataclasses import asdict, replace

    from services.cli.operations import backup as backups
    from services.cli.operations import verify as checks
    from services.cli.operations.backup_manifest import BackupManifest
    from shared.blobs.protocol import key_of
    from shared.bus import open_bus
    from shared.errors import Conflict

    settings = load_settings(data, bus_url)
    deployment = _backed_up_deployment(settings)
    for name, path in sqlite_files(settings).items():
        if path.resolve().parent != deployment.data:
            raise SuiteError(
                f"{path} is not in the data folder, and SQLite is only restored there: leave the "
                f"database setting of {name} empty"
            )
    rules = checks.Rules(orphan=0.0)

    def settle(
        folder: Path, manifest: BackupManifest, put: backups.PutKeys
    ) -> checks.VerificationResult:
        """Release leases, send events again, and verify the restored deployment."""
        restored = settings.model_copy(update={"data": folder})
        file = folder / backups.BUS if deployment.bus is not None else None
        with ExitStack() as stack:
            if file is not None:
                restored = restored.model_copy(update={"bus_url": f"sqlite:///{file}"})
            stores = stack.enter_context(open_stores(restored, migrate=True))
            backups.release_leases(stores)
            if file is None or manifest.bus is None:
                backups.send_again(stores)
            bus = open_bus(restored.bus, lease=settings.bus_lease)
            stack.callback(bus.close)
            restored_deployment = checks.VerifiedDeployment.of(restored, stores, bus)
            result = checks.verify(restored_deployment, rules)
            orphans = [fault for fault in result.faults if fault.kind == "orphan"]
            # No suite works here, so these are unfinished writes that will be repeated. A bucket
            # may also have blobs of others.
            unfinished = [
                one
                for one in orphans
                if not restored.blobs_url or (one.blob and key_of(one.tenant, one.blob) in put)
            ]
            checks.repair(restored_deployment, unfinished, rules.orphan)
            faults = [fault for fault in result.faults if fault.kind != "orphan"]
            return replace(result, faults=faults)

    if deployment.bus is None:
        bus = open_bus(settings.bus, lease=settings.bus_lease)
        try:
            if count := bus.lag({}):
                raise Conflict(
                    f"the topic has {count} messages already: name a new one, "
                    "kafka://host:port?topic=NAME, and start the suite with it"
                )
        finally:
            bus.close()
    manifest, result = backups.restore(source, deployment, settle)
    line = {"restored": str(settings.data), **asdict(manifest)}
    row = f"{settings.data}: restored as of {manifest.moment}"
    print_line(line, [row], as_json=as_json)
    click.echo("the settings and the policy file are not part of a backup", err=True)
    print_hint(
        "the keys of the backup work, also those revoked after it. `smallprint serve` makes one "
        "more for the owner: `smallprint keys list` lists all"
    )
    return _print_result(result, [False] * len(result.faults), as_json=as_json)


def _backed_up_deployment(settings: CommonSettings) -> BackedUpDeployment:
    from services.cli.operations.backup import BackedUpDeployment
    from shared.bus import file_of

    if settings.bus.startswith("memory:"):
        raise SuiteError("a bus in memory can't be backed up")
    on_file = settings.bus.startswith("sqlite:///")
    return BackedUpDeployment(
        data=settings.data.resolve(),
        databases=urls(settings),
        bus=Path(file_of(settings.bus)) if on_file else None,
        bucket=settings.blobs_url,
    )
