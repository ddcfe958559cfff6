"""The command `smallprint serve`: the embedded edition."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from services.cli.deployment.lock import FolderLock
from services.cli.deployment.specialists import ADAPTER
from services.cli.options import PORT, data_option, given, load_settings, one_json
from services.cli.output.lines import plain, print_hint, to_json, write, write_rows
from shared.errors import SuiteError

if TYPE_CHECKING:
    from services.ingest.keys import KeyRing
    from shared.runtime import Service
    from shared.settings import CommonSettings


@click.command("serve")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=PORT,
    show_default=True,
    help="Port; 0: any free one.",
)
@data_option
@one_json
def up(port: int, data: Path | None, as_json: bool) -> int:
    """Run the whole suite on this machine until Ctrl-C.

    Prints the address and the file of the key. Other commands find the key there. A terminal also
    gets a link that signs in once. --json prints one line {"url", "key"}; it has the key only when
    it is new.

    \b
    Examples:
      smallprint serve
      smallprint serve --port 9000 --data ~/smallprint-data
    """

    from services.cli.deployment import owner_key

    def announce(suite: StartedSuite) -> None:
        if as_json:
            write(to_json({"url": suite.url, **given(key=suite.key if suite.key_is_new else None)}))
        else:
            write_rows(
                owner_key.start_lines(suite.ring, suite.key, suite.url, suite.data), whole=True
            )

    run_suite(load_settings(data), port, announce)
    _say("stopped; unfinished work continues at the next start")
    return 0


@dataclass(frozen=True)
class StartedSuite:
    """A suite that answers requests."""

    url: str
    data: Path
    ring: KeyRing
    key: str
    """The owner's key."""
    key_is_new: bool


def run_suite(
    settings: CommonSettings, port: int, announce: Callable[[StartedSuite], None]
) -> None:
    """Run all services in this process until Ctrl-C. `announce` is called once they answer."""
    from services.cli.deployment import address, deployment_file, owner_key
    from shared import tracing
    from shared.logs import configure_logs
    from shared.runtime.embedded import migrate_all, serve

    quiet = settings.log_level == "INFO" and sys.stderr.isatty()
    configure_logs("smallprint", "WARNING" if quiet else settings.log_level, settings.log_format)
    with (
        FolderLock(settings.data) as lock,
        address.address_removed_after(settings.data),
        tracing.collected(settings.traces),
    ):
        deployment_file.remove_deployment(settings.data)
        _warn_without_model(settings.artefacts_folder)
        services = build_services(settings.data)
        migrate_all(services)

        def started(real_port: int) -> None:
            host = "127.0.0.1" if settings.host in ("0.0.0.0", "::", "") else settings.host  # noqa: S104
            url = f"http://[{host}]:{real_port}" if ":" in host else f"http://{host}:{real_port}"
            address.write_address(settings.data, address.Served(url, lock.token))
            ring = services[0].app.state.keys
            key, is_new = owner_key.keep_owner_key(ring, settings.data)
            announce(StartedSuite(url, settings.data, ring, key, is_new))

        serve(
            services, settings.host, port, started, lambda: _say("finishing the current document …")
        )


def _say(text: str) -> None:
    with suppress(OSError):  # standard error may be closed
        click.echo(f"smallprint: {text}", err=True)


def _warn_without_model(artefacts: Path) -> None:
    """Warn if contracts will fail. Reports and review work without a model."""
    from shared.inference.adapters import base_folder, newest_version

    try:
        base_folder(artefacts)
        newest_version(artefacts, ADAPTER)
    except SuiteError as error:
        print_hint(f"smallprint: contracts will fail: {plain(error.message)}")


def build_services(data: Path | None = None, bus_url: str | None = None) -> list[Service]:
    """All services with real parts, for one process. Ingest, which owns the keys, comes first."""
    from services.escalation import bootstrap as escalation
    from services.escalation.settings import Settings as EscalationSettings
    from services.review import bootstrap as review
    from services.review.settings import Settings as ReviewSettings
    from shared.runtime.child import Children
    from shared.settings import load

    options = _options(data, bus_url)
    readers = build_readers(data, bus_url)
    keys = readers[0].app.state.keys
    children = Children(
        partial(build_readers, data, bus_url), [service.name for service in readers]
    )
    return [
        *(replace(service, children=children) for service in readers),
        review.build(load(ReviewSettings, **options), keys=keys),
        escalation.build(load(EscalationSettings, **options), keys=keys),
    ]


def build_readers(data: Path | None, bus_url: str | None) -> list[Service]:
    """The services that work on texts, with one base: ingest, extraction and triage."""
    from services.extraction import bootstrap as extraction
    from services.extraction.settings import Settings as ExtractionSettings
    from services.ingest import bootstrap as ingest
    from services.ingest.settings import Settings as IngestSettings
    from services.triage import bootstrap as triage
    from services.triage.settings import Settings as TriageSettings
    from shared.inference import lazy_specialists
    from shared.settings import load

    options, common = _options(data, bus_url), load_settings(data, bus_url)
    first = ingest.build(load(IngestSettings, **options))
    keys = first.app.state.keys
    base = lazy_specialists(
        common.artefacts_folder, common.threads, common.arithmetic, common.adapters_folder
    )
    return [
        first,
        extraction.build(load(ExtractionSettings, **options), keys=keys, specialists=base),
        triage.build(load(TriageSettings, **options), keys=keys, specialists=base),
    ]


def _options(data: Path | None, bus_url: str | None) -> dict[str, Any]:
    """The options of all services, beside their settings."""
    options = given(data=data, bus_url=bus_url)
    common = load_settings(data, bus_url)
    if "rate_requests" not in common.model_fields_set and common.is_local:
        options["rate_requests"] = 0  # the only user is the owner of this machine
    return options
