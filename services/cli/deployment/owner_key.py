"""The key of the person who runs a suite, kept in its data folder.

Its readers can read the databases beside it, too, so the file gives them nothing new. With it,
commands on this machine need no key.
"""

from __future__ import annotations

import secrets
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from services.cli.deployment.deployment_file import UntrustedFile, read_private, write_private
from shared.errors import Conflict, SuiteError
from shared.version import VERSION

if TYPE_CHECKING:
    from services.ingest.keys import KeyRing

NAME = "owner.key"
OWNER = "owner"
"""The actor of what is done with this key."""


def keep_owner_key(ring: KeyRing, data: Path) -> tuple[str, bool]:
    """The owner's key, and whether it is new.

    A new key is made and written to the file if the file is missing, or if its key was revoked.
    Raises OSError if it can't be written.
    """
    kept = read_owner_key(data)
    if kept and ring.check(kept):
        return kept, False
    try:
        new = ring.create("default", OWNER)
    except Conflict:  # the file is gone, its key is not
        new = ring.create("default", f"{OWNER} {secrets.token_hex(2)}")
    write_private(data / NAME, new.secret)
    return new.secret, True


def read_owner_key(data: Path) -> str | None:
    """The key in the file, if any. Raises SuiteError if it can't be read or trusted."""
    path = data / NAME
    try:
        return read_private(path).strip()
    except FileNotFoundError:
        return None
    except UntrustedFile as error:
        raise SuiteError(f"{path} {error.message}: remove it, then start the suite again") from None
    except (OSError, ValueError) as error:
        raise SuiteError(f"{path} can't be read ({type(error).__name__}): remove it") from None


def start_lines(ring: KeyRing, key: str, url: str, data: Path) -> list[str]:
    """The lines that a started suite prints: address, link to sign in, key file and shell line.

    Only a terminal gets the link: other output may be a log.
    """
    sign_in = f"run `smallprint keys link --data {shlex.quote(str(data.resolve()))}`"
    if sys.stdout.isatty():
        sign_in = f"{sign_in_link(ring, key, url)}  (works once, for an hour)"
    return [
        f"smallprint {VERSION} is ready at {url} (Ctrl-C stops it)",
        f"Sign in:  {sign_in}",
        f"Key:      {data.resolve() / NAME}",
        f"Shell:    {shell_line(data)}",
    ]


def sign_in_link(ring: KeyRing, key: str, url: str) -> str:
    """Make a link that signs a browser in once, within an hour. Raises SuiteError for a bad key."""
    owner = ring.check(key)
    if owner is None:
        raise SuiteError("the owner's key is not valid any more: start the suite again to make one")
    return f"{url}/#sign-in={ring.open_link(owner).secret}"


def shell_line(data: Path) -> str:
    """The line for a shell in which commands find the program and the suite of a data folder."""
    programs, folder = Path(sys.executable).parent, data.resolve()
    return (
        f"export PATH={shlex.quote(str(programs))}:$PATH SMALLPRINT_DATA={shlex.quote(str(folder))}"
    )
