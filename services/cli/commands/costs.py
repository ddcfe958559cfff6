"""The command `smallprint costs`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from services.cli.deployment.stores import escalation_store
from services.cli.options import data_option, key_option, one_json, url_option
from services.cli.output import tables
from services.cli.output.lines import minute, moment, plain, print_line
from shared.errors import SuiteError

if TYPE_CHECKING:
    from shared.client import Client, Spend


@click.command()
@click.option(
    "--by",
    type=click.Choice(["provider", "model", "day", "kind", "document", "adapter", "tenant"]),
    default="day",
    show_default=True,
    help="Sum the costs by this.",
)
@click.option("--model", help="Frontier model whose price the work is compared with.")
@click.option(
    "--all-tenants", is_flag=True, help="Show every tenant, from the data folder, without a key."
)
@one_json
@url_option
@key_option
@click.option(
    "--resume",
    metavar="PROVIDER",
    help="Allow a stopped provider again, in the data folder, after you have checked its bill.",
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
    """Show what a running suite has cost.

    Also shows the price of its work at a frontier model. Calls to frontier models come from the
    ledger. They count with their worst case until the provider reports the bill; an unknown bill
    keeps its worst case. Specialists cost their time, at the price of the machine's hour.

    \b
    Examples:
      smallprint costs
      smallprint costs --by document --json
      smallprint costs --by adapter --model claude-sonnet-5
      smallprint costs --all-tenants --data var/data
      smallprint costs --resume claude
    """
    from services.cli.deployment.connection import connect

    if resume:
        _resume(resume, data)
        return 0
    if all_tenants:
        _costs_of_tenants(data, as_json=as_json)
        return 0
    with connect(url, key, data) as client:
        costs = client.costs(by, model)
        names = _names(client, costs.groups) if by == "document" else None
        failed = sum(1 for _ in client.documents(outcome="failed"))
    stopped = [{**asdict(stop), "since": moment(stop.since)} for stop in costs.stopped]
    groups = [
        {**asdict(one), **({"name": names.get(one.key)} if names is not None else {})}
        for one in costs.groups
    ]
    line = {**asdict(costs), "groups": groups, "stopped": stopped, "failed_documents": failed}
    print_line(line, tables.costs(costs, by, names, failed), as_json=as_json)
    return 0


def _names(client: Client, groups: Sequence[Spend]) -> dict[str, str]:
    """The names of existing documents by id."""
    wanted, names = {one.key for one in groups}, dict[str, str]()
    for document in client.documents() if wanted else ():
        if document.id in wanted:
            names[document.id] = document.name
        if len(names) == len(wanted):
            break
    return names


def _costs_of_tenants(data: Path | None, *, as_json: bool) -> None:
    from services.escalation.costs import costs_of_tenants
    from services.escalation.settings import Settings
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
            for one in costs_of_tenants(session)
        ]
    line = {"tenants": lines, "hour_usd": hour}
    print_line(line, tables.costs_of_tenants(lines, hour), as_json=as_json)


def _resume(provider: str, data: Path | None) -> None:
    """Allow a stopped provider again. Raises SuiteError if it is not stopped."""
    from services.escalation.ledger import Ledger

    with escalation_store(data) as store:
        stop = Ledger(store).resume(provider)
    if stop is None:
        raise SuiteError(
            f"{plain(provider)} is not stopped: `smallprint costs` lists the stopped ones"
        )
    since = minute(stop.since)
    click.echo(
        f"{plain(provider)} may be used again; it was stopped since {since} because of its bill "
        f"for call {plain(stop.call_id)} (see the ledger and the log of escalation)",
        err=True,
    )
