"""The commands `smallprint users`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from services.cli.deployment.stores import key_ring
from services.cli.options import data_option, load_settings, one_json, tenant_option
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
from shared.web.scopes import Role

if TYPE_CHECKING:
    from services.ingest.keys import NewKey
    from services.ingest.users.commands import UserCommands
    from services.ingest.users.domain import User

role_option = click.option(
    "--role", type=click.Choice(get_args(Role)), required=True, help="What the user may do."
)


@click.group()
def users() -> None:
    """Add, list, change and disable people who sign in.

    A user has a role, and signs in with a password or at your OpenID provider. Programs use keys:
    `smallprint keys`. These commands open the database, so run them on the machine of the suite.

    \b
    Roles:
      viewer    reads documents and results
      uploader  also uploads and deletes documents
      analyst   reads documents and decides in the queue, but sees no results
      lead      all that a viewer, uploader and analyst may
      admin     all that a lead may, and changes users, keys, sessions and webhooks

    \b
    Examples:
      smallprint users add "Ada Byron" ada@example.com --role analyst
      smallprint users list
      smallprint users role ada@example.com lead
      smallprint users disable ada@example.com
    """


@users.command("add")
@click.argument("name")
@click.argument("email")
@role_option
@tenant_option("Tenant of the user.")
@data_option
@one_json
def users_add(
    name: str, email: str, role: Role, tenant: str, data: Path | None, as_json: bool
) -> None:
    """Add the person NAME with the address EMAIL.

    Prints a link. It opens the page on which the person chooses a password, once, within three
    days. smallprint sends no mail: send them the link yourself. Somebody who signs in at your
    OpenID provider does not need it.
    """
    with _commands(data, create=True) as commands:
        _print_invitation(*commands.add(tenant, name, email, role), data, as_json=as_json)


@users.command("invite")
@click.argument("email")
@data_option
@one_json
def users_invite(email: str, data: Path | None, as_json: bool) -> None:
    """Make a link with which a person chooses another password.

    The present password stays valid until then. Earlier links end.
    """
    with _commands(data) as commands:
        user = commands.with_email(email)
        _print_invitation(*commands.invite(user.id, None), data, as_json=as_json)


@users.command("list")
@click.option("--tenant", help="Only users of this tenant.")
@data_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines, one a user.")
def users_list(tenant: str | None, data: Path | None, as_json: bool) -> None:
    """List the users by name."""
    with _commands(data) as commands:
        found = commands.list(tenant)
    if not found:
        print_hint("no users yet. `smallprint users add NAME EMAIL --role ROLE` adds one")
    if not as_json:
        heads = ("name", "e-mail", "tenant", "role", "signed in")
        write_rows(table([_cells(user) for user in found], heads=heads, indent=0))
    for user in found:
        if as_json:
            write(to_json(_shown(user)))


@users.command("role")
@click.argument("email")
@click.argument("role", type=click.Choice(get_args(Role)), metavar="ROLE")
@data_option
def users_role(email: str, role: Role, data: Path | None) -> None:
    """Change the role of the person with the address EMAIL to ROLE.

    `smallprint users --help` lists the roles. Their sessions end; other processes notice within a
    minute.
    """
    with _commands(data) as commands:
        user = commands.change(commands.with_email(email).id, None, role=role)
    click.echo(f"{plain(user.name)} is {user.role}", err=True)


@users.command("disable")
@click.argument("email")
@click.option("--keys", is_flag=True, help="Also revoke the keys that the command lists.")
@data_option
def users_disable(email: str, keys: bool, data: Path | None) -> None:
    """End the access of the person with the address EMAIL.

    Their sessions and the open invitations that they made end; other processes notice within a
    minute. Their decisions keep their name. The command lists keys, users and webhooks that they,
    or those keys, made or changed. These go on working.
    """
    with _commands(data) as commands:
        user = commands.with_email(email)
        before = commands.resources(user.id, None)
        commands.change(user.id, None, disabled=True, revoke_keys=keys)
        after = commands.resources(user.id, None)
    name = plain(user.name)
    click.echo(f"{name} is disabled", err=True)
    for one in before:
        state = "goes on working" if one in after else "is revoked"
        click.echo(
            f"{one.kind} {one.id} ({plain(one.name)}), made or changed by {name}, {state}", err=True
        )
    if any(one.kind == "key" for one in after):
        print_hint(f"`smallprint users disable {plain(user.email)} --keys` revokes the keys")


@users.command("enable")
@click.argument("email")
@data_option
def users_enable(email: str, data: Path | None) -> None:
    """Let the person with the address EMAIL sign in again."""
    with _commands(data) as commands:
        user = commands.change(commands.with_email(email).id, None, disabled=False)
    click.echo(f"{plain(user.name)} is enabled", err=True)


@contextmanager
def _commands(data: Path | None, *, create: bool = False) -> Iterator[UserCommands]:
    from services.ingest.users.commands import UserCommands

    with key_ring(data, create=create) as ring:
        yield UserCommands(ring.store, ring)


def _print_invitation(user: User, invitation: NewKey, data: Path | None, *, as_json: bool) -> None:
    from services.cli.deployment.address import address

    origin = load_settings(data).public_url.rstrip("/")
    if not origin:
        with suppress(SuiteError):  # the suite of the data folder does not run
            origin = address(data)
    end = f"/#invitation={invitation.secret}"
    if as_json:
        write(to_json({**_shown(user), "link": f"{origin}{end}"}))
        return
    write(f"{origin}{end}\n".encode())
    where = "" if origin else " Put the address of the suite in front of it."
    click.echo(
        f"Send this link to {plain(user.name)}: it works once, until "
        f"{minute(invitation.key.expires or invitation.key.created)}.{where}",
        err=True,
    )


def _shown(user: User) -> dict[str, object]:
    return {
        "id": user.id,
        "name": user.name,
        "email": user.email,
        "tenant": user.tenant,
        "role": user.role,
        "created": moment(user.created),
        "last_used": moment(user.last_used),
        "disabled": moment(user.disabled),
    }


def _cells(user: User) -> tuple[str, ...]:
    invited = "never" if user.password or user.subject else "invited"
    state = "disabled" if user.disabled else minute(user.last_used) if user.last_used else invited
    return plain(user.name), plain(user.email), plain(user.tenant), user.role, state
