"""The commands `smallprint keys`."""

from __future__ import annotations

from pathlib import Path

import click

from services.cli.printing import moment
from services.cli.stores import key_ring
from shared.cli.lines import plain, to_json, write
from shared.cli.options import data_option, one_json
from shared.web.scopes import ALL, SCOPES, ordered


@click.group()
def keys() -> None:
    """Make, list and revoke the keys of a data folder, which standard error names.

    \b
    Examples:
      smallprint keys new alice
      smallprint keys list --data ~/smallprint-data
      smallprint keys revoke 0123456789abcdef
    """


@keys.command("new")
@click.argument("name")
@click.option("--tenant", default="default", show_default=True, help="Whose documents it opens.")
@click.option(
    "--scope", "scopes", multiple=True, type=click.Choice(list(SCOPES)), help="All, by default."
)
@data_option
@one_json
def keys_new(
    name: str, tenant: str, scopes: tuple[str, ...], data: Path | None, as_json: bool
) -> None:
    """Make a key for NAME, the actor of what is done with it; it can't be shown again.

    Standard error says so where the data folder is new: no suite has worked in it yet.

    \b
    Scopes, of which one option each:
      documents:read   documents, their text, pages and statements, and search
      documents:write  upload, delete, cancel, give another kind, have read again
      results:read     clauses, findings and all else that was found, asked and spent
      review           the queue, decisions and exports
      admin            keys, webhooks, and how long documents are kept
    An analyst needs documents:read and review. Without results:read nobody can tell which items
    are there to check what was accepted without a person.
    """
    with key_ring(data, create=True) as ring:
        new = ring.create(tenant, name, scopes=scopes or None)
    if as_json:
        shown = {
            "id": new.key.id,
            "name": new.key.name,
            "tenant": new.key.tenant,
            "scopes": ordered(new.key.scopes),
        }
        write(to_json({**shown, "key": new.secret}))
    else:
        write(f"{new.secret}\n".encode())
        click.echo("Keep it: it can't be shown again.", err=True)


@keys.command("list")
@click.option("--tenant", help="Of this tenant alone.")
@data_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines, one a key.")
def keys_list(tenant: str | None, data: Path | None, as_json: bool) -> None:
    """List the keys, oldest first; never their secrets."""
    with key_ring(data) as ring:
        found = ring.list(tenant)
    for key in found:
        if as_json:
            line = {
                "id": key.id,
                "name": key.name,
                "tenant": key.tenant,
                "scopes": ordered(key.scopes),
                "created": moment(key.created),
                "last_used": moment(key.last_used),
                "revoked": moment(key.revoked),
            }
            write(to_json(line))
        else:
            state = "revoked" if key.revoked else f"last used {moment(key.last_used) or 'never'}"
            may = "" if key.scopes == ALL else f"  {' '.join(ordered(key.scopes))}"
            row = f"{key.id}  {plain(key.tenant)}  {plain(key.name)}  {state}{may}\n"
            write(row.encode("utf-8", "replace"))


@keys.command("revoke")
@click.argument("key_id", metavar="ID")
@data_option
def keys_revoke(key_id: str, data: Path | None) -> None:
    """End a key and its sessions; other processes notice within a minute."""
    with key_ring(data) as ring:
        ring.revoke(key_id)
    click.echo(f"{plain(key_id)} is revoked", err=True)
