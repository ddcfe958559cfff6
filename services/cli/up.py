"""The command `smallprint up`: the embedded edition."""

from __future__ import annotations

import shlex
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from services.cli.specialists import ADAPTER
from shared.cli.lines import plain, to_json, write
from shared.cli.options import PORT, data_option, one_json
from shared.cli.options import given as _given
from shared.errors import SuiteError
from shared.version import VERSION

if TYPE_CHECKING:
    from shared.runtime import Service


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="0: any."
)
@data_option
@one_json
def up(port: int, data: Path | None, as_json: bool) -> int:
    """Serve everything in this one process, on this machine alone, until Ctrl-C.

    Prints the address, and at the first start of a data folder its first key, which is shown only
    this once. With --json that is one JSON line {"url", "key"} and nothing else.

    \b
    Examples:
      smallprint up
      smallprint up --port 9000 --data ~/smallprint-data
    """
    from shared import tracing
    from shared.cli import address, edition
    from shared.cli.lock import FolderLock
    from shared.logs import configure_logs
    from shared.runtime.embedded import migrate_all, serve
    from shared.settings import CommonSettings, load

    settings = load(CommonSettings, **_given(data=data))
    quiet = settings.log_level == "INFO" and sys.stderr.isatty()
    configure_logs("smallprint", "WARNING" if quiet else settings.log_level)
    with (
        FolderLock(settings.data) as lock,
        address.forgotten(settings.data),
        tracing.collected(settings.traces),
    ):
        edition.forget(settings.data)
        _warn_without_model(settings.artefacts_folder)
        services = build_services(data)
        migrate_all(services)

        def started(real_port: int) -> None:
            # Only now: a first key that was made before nobody could listen would be lost.
            keys = services[0].app.state.keys
            first = keys.first_key()
            key = first.secret if first else None
            host = "127.0.0.1" if settings.host in ("0.0.0.0", "::", "") else settings.host  # noqa: S104
            url = f"http://[{host}]:{real_port}" if ":" in host else f"http://{host}:{real_port}"
            address.state(settings.data, address.Served(url, lock.token))
            try:
                _announce(url, key, settings.data, as_json=as_json)
            except BaseException:
                if first:
                    keys.unmake(first.key.id)  # nobody has seen it: the next start makes another
                raise

        serve(
            services, settings.host, port, started, lambda: _say("finishing the document in hand …")
        )
    _say("stopped; whatever is still in work goes on at the next start")
    return 0


def _say(text: str) -> None:
    with suppress(OSError):  # nobody need be there to read it
        click.echo(f"smallprint: {text}", err=True)


def _warn_without_model(artefacts: Path) -> None:
    """Reports and review work without a model; contracts will end as failed."""
    from shared.inference.adapters import base_folder, newest_version

    try:
        base_folder(artefacts)
        newest_version(artefacts, ADAPTER)
    except SuiteError as error:
        click.echo(f"smallprint: contracts will fail: {plain(error.message)}", err=True)


def build_services(data: Path | None = None) -> list[Service]:
    """All services with real parts, for one process; ingest, which owns the keys, comes first."""
    from services.escalation import bootstrap as escalation
    from services.escalation.settings import Settings as EscalationSettings
    from services.extraction import bootstrap as extraction
    from services.extraction.settings import Settings as ExtractionSettings
    from services.ingest import bootstrap as ingest
    from services.ingest.settings import Settings as IngestSettings
    from services.review import bootstrap as review
    from services.review.settings import Settings as ReviewSettings
    from services.triage import bootstrap as triage
    from services.triage.settings import Settings as TriageSettings
    from shared.inference import lazily
    from shared.settings import CommonSettings, load

    given = _given(data=data)
    common = load(CommonSettings, **given)
    if "rate_requests" not in common.model_fields_set:
        given["rate_requests"] = 0  # whoever asks here is the machine's own user
    first = ingest.build(load(IngestSettings, **given))
    keys = first.app.state.keys
    base = lazily(
        common.artefacts_folder, common.threads, common.arithmetic, common.adapters_folder
    )
    return [
        first,
        extraction.build(load(ExtractionSettings, **given), keys=keys, specialists=base),
        triage.build(load(TriageSettings, **given), keys=keys, specialists=base),
        review.build(load(ReviewSettings, **given), keys=keys),
        escalation.build(load(EscalationSettings, **given), keys=keys),
    ]


def _announce(url: str, key: str | None, data: Path, *, as_json: bool) -> None:
    from shared.cli.tables import DISCLAIMER

    if as_json:
        write(to_json({"url": url, **_given(key=key)}))
        return
    rows = [f"smallprint {VERSION} serves at {url} (Ctrl-C stops it)"]
    if key:
        rows.append(f"the first key, shown only this once: {key}")
    else:
        where = shlex.join(["--data", str(data)])
        rows.append(f"sign in with a key you have, or make one: smallprint keys new NAME {where}")
    write("".join(f"{row}\n" for row in [*rows, DISCLAIMER]).encode())
