"""The commands `smallprint keys`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from services.cli.deployment.stores import key_ring
from services.cli.options import Duration, data_option, load_settings, one_json, tenant_option
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
from shared.errors import SuiteError
from shared.web.scopes import ALL, SCOPES, sort_scopes

if TYPE_CHECKING:
    from services.ingest.domain import Key
    from services.ingest.keys import NewKey


@click.group()
def keys() -> None:
    """Make, list, rotate and revoke keys, and end sessions.

    A key of a data folder lets a person or program use its suite. The owner's key is made at the
    first start. Sessions are those of keys and of users.

    \b
    Examples:
      smallprint keys new alice
      smallprint keys new nightly --expires 90d --address 10.1.0.0/16
      smallprint keys list --data ~/smallprint-data
      smallprint keys rotate 0123456789abcdef
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
@click.option(
    "--expires",
    type=Duration(),
    help="Time until it stops working: 90d, 12h or 30m. By default never.",
)
@click.option(
    "--address",
    "addresses",
    multiple=True,
    help="Address or network from which it works, such as 10.1.0.0/16; may be repeated. By "
    "default any.",
)
@data_option
@one_json
def keys_new(
    name: str,
    tenant: str,
    scopes: tuple[str, ...],
    expires: timedelta | None,
    addresses: tuple[str, ...],
    data: Path | None,
    as_json: bool,
) -> None:
    """Make a key for a person or program named NAME.

    Prints the key once: keep it. Everything that it does is logged under NAME. Without --scope the
    key may do everything, so give a program only the scopes that it needs.

    \b
    Scopes:
      documents:read   documents, their text, pages and statements, and search
      documents:write  upload, delete, cancel, change the kind, reprocess
      results:read     clauses, findings and other results, error rates and costs
      review           the queue, decisions and exports
      admin            users, keys, sessions, webhooks and retention

    An analyst needs documents:read and review. With results:read an analyst could recognise the
    hidden samples of accepted results.
    """
    with key_ring(data, create=True) as ring:
        new = ring.create(
            tenant, name, scopes=scopes or None, expires=_end(expires), addresses=addresses
        )
    _show_new(new, as_json=as_json)


def _end(after: timedelta | None) -> datetime | None:
    return None if after is None else datetime.now(UTC) + after


def _show_new(new: NewKey, *, as_json: bool) -> None:
    if as_json:
        shown = {
            "id": new.key.id,
            "name": new.key.name,
            "tenant": new.key.tenant,
            "scopes": sort_scopes(new.key.scopes),
            "expires": moment(new.key.expires),
            "addresses": list(new.key.addresses),
        }
        write(to_json({**shown, "key": new.secret}))
    else:
        write(f"{new.secret}\n".encode())
        click.echo(f"Keep it: it is never shown again. Its id is {new.key.id}.", err=True)


@keys.command("rotate")
@click.argument("key_id", metavar="ID")
@click.option(
    "--overlap",
    type=Duration(),
    default="1d",
    show_default=True,
    help="Time for which the old secret works, too. 0: not at all, for a stolen key.",
)
@click.option(
    "--expires",
    type=Duration(),
    help="Time until it stops working: 90d, 12h or 30m. By default its end stays.",
)
@click.option(
    "--address",
    "addresses",
    multiple=True,
    help="Another address or network from which it works; may be repeated. By default they stay.",
)
@data_option
@one_json
def keys_rotate(
    key_id: str,
    overlap: timedelta,
    expires: timedelta | None,
    addresses: tuple[str, ...],
    data: Path | None,
    as_json: bool,
) -> None:
    """Replace the secret of a key.

    Prints the new secret once. The key keeps its id, name and scopes. It also keeps its end and its
    addresses, unless you give --expires or --address. Open sessions end with the old secret.
    """
    with key_ring(data) as ring:
        new = ring.rotate(
            key_id, overlap=overlap, expires=_end(expires), addresses=addresses or None
        )
    _show_new(new, as_json=as_json)


@keys.command("link")
@data_option
def keys_link(data: Path | None) -> None:
    """Print a link that signs a browser in once, as the owner.

    It works for an hour, while the suite of the data folder runs.
    """
    from services.cli.deployment.address import address
    from services.cli.deployment.owner_key import read_owner_key, sign_in_link

    settings = load_settings(data)
    key = read_owner_key(settings.data)
    if key is None:
        raise SuiteError(
            f"{plain(str(settings.data))} has no key of an owner: use `smallprint keys new`"
        )
    with key_ring(data) as ring:
        write_rows([sign_in_link(ring, key, settings.public_url or address(data))], whole=True)


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
        heads = ("id", "tenant", "name", "used", "expires", "scopes")
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
                "expires": moment(key.expires),
                "addresses": list(key.addresses),
                "old_secret_until": moment(key.old_secret_until),
            }
            write(to_json(line))


def _cells(key: Key) -> tuple[str, ...]:
    state = "revoked" if key.revoked else minute(key.last_used) if key.last_used else "never"
    may = "all" if key.scopes == ALL else " ".join(sort_scopes(key.scopes))
    expires = minute(key.expires) if key.expires else "never"
    return key.id, plain(key.tenant), plain(key.name), state, expires, may


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


@keys.command("sessions")
@click.option("--tenant", help="Only sessions of this tenant.")
@click.option("--key", "key_id", metavar="ID", help="Only sessions of this key.")
@data_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines, one a session.")
def keys_sessions(tenant: str | None, key_id: str | None, data: Path | None, as_json: bool) -> None:
    """List the open sessions of browsers, oldest first."""
    with key_ring(data) as ring:
        sessions = ring.sessions(tenant, key_id)
    if not sessions:
        print_hint("no sessions are open")
    elif not as_json:
        heads = ("id", "tenant", "name", "opened", "used", "address", "browser")
        write_rows(table([_session_cells(one) for one in sessions], heads=heads, indent=0))
    for one in sessions if as_json else ():
        line = {
            "id": one.id,
            "key": one.parent,
            "name": one.name,
            "tenant": one.tenant,
            "created": moment(one.created),
            "expires": moment(one.expires),
            "last_used": moment(one.last_used),
            "address": one.address,
            "user_agent": one.user_agent,
        }
        write(to_json(line))


def _session_cells(session: Key) -> tuple[str, ...]:
    used = minute(session.last_used) if session.last_used else "never"
    texts = (session.address or "", session.user_agent or "")
    return (
        session.id,
        plain(session.tenant),
        plain(session.name),
        minute(session.created),
        used,
        *map(plain, texts),
    )


@keys.command("end")
@click.argument("session_id", metavar="ID")
@click.option("--all", "all_of_key", is_flag=True, help="ID is a key: end all its sessions.")
@data_option
def keys_end(session_id: str, all_of_key: bool, data: Path | None) -> None:
    """End a session, or all sessions of a key.

    Other processes notice within a minute. The key still works.
    """
    with key_ring(data) as ring:
        if all_of_key:
            number = ring.end_sessions(session_id)
        else:
            ring.end_session(session_id)
            number = 1
    click.echo(f"ended {number} session{'s' if number != 1 else ''}", err=True)
