"""The commands `smallprint keys`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from services.cli.deployment.stores import key_ring
from services.cli.options import data_option, one_json, tenant_option
from services.cli.output.lines import (
    minute,
    moment,
    plain,
    print_hint,
    to_json,
    write,
    write_rows,
)
from services.cli.output.terminal import table
from shared.web.scopes import ALL, SCOPES, sort_scopes

if TYPE_CHECKING:
    from services.ingest.domain import Key


@click.group()
def keys() -> None:
    """Make, list and revoke the keys of a data folder.

    A key lets a person or program use the suite. The owner's key is made at the first start.

    \b
    Examples:
      smallprint keys new alice
      smallprint keys list --data ~/smallprint-data
      smallprint keys revoke 0123456789abcdef
    """


@keys.command("new")
@click.argument("name")
@tenant_option("Tenant of the key.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(list(SCOPES)),
    help="What the key may do; may be repeated. By default all.",
)
@data_option
@one_json
def keys_new(
    name: str, tenant: str, scopes: tuple[str, ...], data: Path | None, as_json: bool
) -> None:
    """Make a key for a person or program named NAME.

    Prints the key once: keep it. All that is done with it is logged under NAME. Without --scope the
    key may do everything.

    \b
    Scopes:
      documents:read   documents, their text, pages and statements, and search
      documents:write  upload, delete, cancel, change the kind, reprocess
      results:read     clauses, findings and other results, escalations and costs
      review           the queue, decisions and exports
      admin            keys, webhooks and retention

    An analyst needs documents:read and review. With results:read an analyst could recognise the
    hidden samples of accepted results.
    """
    with key_ring(data, create=True) as ring:
        new = ring.create(tenant, name, scopes=scopes or None)
    if as_json:
        shown = {
            "id": new.key.id,
            "name": new.key.name,
            "tenant": new.key.tenant,
            "scopes": sort_scopes(new.key.scopes),
        }
        write(to_json({**shown, "key": new.secret}))
    else:
        write(f"{new.secret}\n".encode())
        click.echo(f"Keep it: it is never shown again. Its id is {new.key.id}.", err=True)


@keys.command("list")
@click.option("--tenant", help="Only keys of this tenant.")
@data_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines, one a key.")
def keys_list(tenant: str | None, data: Path | None, as_json: bool) -> None:
    """List the keys without their secrets, oldest first."""
    with key_ring(data) as ring:
        keys = ring.list(tenant)
    if not keys:
        print_hint("no keys yet. `smallprint keys new NAME` makes one")
    if not as_json:
        heads = ("id", "tenant", "name", "used", "scopes")
        write_rows(table([_cells(key) for key in keys], heads=heads, indent=0))
    for key in keys:
        if as_json:
            line = {
                "id": key.id,
                "name": key.name,
                "tenant": key.tenant,
                "scopes": sort_scopes(key.scopes),
                "created": moment(key.created),
                "last_used": moment(key.last_used),
                "revoked": moment(key.revoked),
            }
            write(to_json(line))


def _cells(key: Key) -> tuple[str, ...]:
    state = "revoked" if key.revoked else minute(key.last_used) if key.last_used else "never"
    may = "all" if key.scopes == ALL else " ".join(sort_scopes(key.scopes))
    return key.id, plain(key.tenant), plain(key.name), state, may


@keys.command("revoke")
@click.argument("key_id", metavar="ID")
@data_option
def keys_revoke(key_id: str, data: Path | None) -> None:
    """Revoke a key and its sessions.

    Other processes notice within a minute.
    """
    with key_ring(data) as ring:
        ring.revoke(key_id)
    click.echo(f"{plain(key_id)} is revoked", err=True)
