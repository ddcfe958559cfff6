"""The command `smallprint costs`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from services.cli.printing import moment, write_rows
from services.cli.status import no_suite
from services.cli.stores import escalation_store
from shared.cli.lines import plain, to_json, write
from shared.cli.options import data_option, key_option, url_option
from shared.errors import SuiteError

if TYPE_CHECKING:
    from shared.client import Client, Spend


@click.command()
@click.option(
    "--by",
    type=click.Choice(["provider", "model", "day", "kind", "document", "adapter", "tenant"]),
    default="day",
    show_default=True,
    help="What is added up.",
)
@click.option(
    "--model", help="Whose price says what it would have cost had a frontier model read it all."
)
@click.option(
    "--all-tenants", is_flag=True, help="Of every tenant, from the data folder, without a key."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line.")
@url_option
@key_option
@click.option(
    "--resume",
    metavar="PROVIDER",
    help="Let a stopped provider go on, in the data folder, once you have looked at its own bill.",
)
@data_option
def costs(
    by: Any,
    model: str | None,
    all_tenants: bool,
    as_json: bool,
    url: str | None,
    key: str | None,
    resume: str | None,
    data: Path | None,
) -> int:
    """What the work of a running suite cost, and what it would have cost at a frontier model.

    Calls to frontier models are those of the ledger: they count with their worst case until the
    provider has told its bill; what may have been billed, but was never told, counts so for good.
    Specialists cost the time that they took, at the price of the machine's hour.

    \b
    Examples:
      smallprint costs
      smallprint costs --by document --json
      smallprint costs --by adapter --model claude-sonnet-5
      smallprint costs --all-tenants --data var/data
      smallprint costs --resume claude
    """
    from smallprint import ApiError, Client

    from shared.cli import tables
    from shared.cli.address import reached

    if resume:
        _resume(resume, data)
        return 0
    if all_tenants:
        _costs_of_tenants(data, as_json=as_json)
        return 0
    where, key = reached(url, key, data)
    try:
        with Client(where, key) as client:
            found = client.costs(by, model)
            names = _names(client, found.groups) if by == "document" else None
            failed = sum(1 for _ in client.documents(outcome="failed"))
    except ApiError as error:
        raise no_suite(error, where) from None
    if as_json:
        stopped = [{**asdict(stop), "since": moment(stop.since)} for stop in found.stopped]
        groups = [
            {**asdict(one), **({"name": names.get(one.key)} if names is not None else {})}
            for one in found.groups
        ]
        told = {**asdict(found), "groups": groups, "stopped": stopped, "failed_documents": failed}
        write(to_json(told))
    else:
        write_rows(tables.costs(found, by, names, failed))
    return 0


def _names(client: Client, groups: Sequence[Spend]) -> dict[str, str]:
    """The names of documents by their ids, as far as these are there still."""
    wanted, names = {one.key for one in groups}, dict[str, str]()
    for document in client.documents() if wanted else ():
        if document.id in wanted:
            names[document.id] = document.name
        if len(names) == len(wanted):
            break
    return names


def _costs_of_tenants(data: Path | None, *, as_json: bool) -> None:
    """What each tenant cost, which only whoever has the database may know."""
    from services.escalation.audit import tenants
    from services.escalation.settings import Settings
    from shared.cli import tables
    from shared.settings import load

    hour = float(load(Settings).escalation_machine_hour)
    with escalation_store(data) as store, store.read() as session:
        lines = [
            {
                "tenant": one.tenant,
                "calls": one.calls,
                "usd": one.micro_usd / 1e6,
                "documents": one.work.documents,
                "seconds": one.work.seconds,
                "machine_usd": one.work.seconds * hour / 3600,
            }
            for one in tenants(session)
        ]
    if as_json:
        write(to_json({"tenants": lines, "hour_usd": hour}))
    else:
        rows = tables.costs_of_tenants(lines, hour)
        write_rows(rows)


def _resume(provider: str, data: Path | None) -> None:
    """Take a provider off the list of the stopped ones. Raises SuiteError if it is not there."""
    from services.escalation.ledger import Ledger

    with escalation_store(data) as store:
        stop = Ledger(store).resume(provider)
    if stop is None:
        raise SuiteError(f"{plain(provider)} is not stopped: smallprint costs lists who is")
    since = f"{stop.since:%Y-%m-%d %H:%M} UTC"
    click.echo(
        f"{plain(provider)} may be asked again; it was stopped since {since}, by its bill for the "
        f"call {plain(stop.call_id)}, which the log of escalation and the ledger name so",
        err=True,
    )
