"""The address of a suite, for the commands that ask it with a key.

`make run-kafka` writes it to `suite.json` of its data folder
(services/cli/deployment/deployment_file.py), `smallprint serve` to `served.json` while it serves.
These are two files because only commands that need an address have to trust the second one.

A command sends a key to that address. So it trusts both files only under the same conditions.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from services.cli.deployment.deployment_file import (
    HERE,
    UntrustedFile,
    read_trusted,
    running_deployment,
    write_json,
)
from services.cli.deployment.lock import FolderLock, holder
from services.cli.deployment.owner_key import read_owner_key
from services.cli.options import INSIDE, URL, load_settings
from services.cli.output.lines import program
from shared.errors import SuiteError

NAME = "served.json"


@dataclass(frozen=True)
class Served:
    """The address of a running embedded edition."""

    url: str
    token: str  # valid while the lock of the data folder has this token


def write_address(data: Path, served: Served) -> None:
    """Write the address to the data folder, if it is on this machine."""
    if re.fullmatch(f"http://{HERE}", served.url):
        with suppress(OSError):  # serving does not need the file
            write_json(data / NAME, asdict(served))


@contextmanager
def address_removed_after(data: Path) -> Iterator[None]:
    """Remove the address when the block ends."""
    try:
        yield
    finally:
        with suppress(OSError):  # without the lock the file is ignored
            (data / NAME).unlink(missing_ok=True)


def address_and_key(url: str | None, key: str | None, data: Path | None) -> tuple[str, str]:
    """The address of a suite, and its key. Raises SuiteError if either is unknown.

    The owner's key in the data folder is used for the suite of that folder and for no other.

    Args:
        url: from an option; it comes before SMALLPRINT_URL.
        key: from an option or the environment.
        data: a data folder from an option; its suite has to run.
    """
    named = url or configured_url(data)
    if named and key:
        return named, key
    why = "a key is needed: give --key, or set SMALLPRINT_KEY. To make one"
    make = ["keys", "new", "NAME"]
    if named:
        raise SuiteError(
            f"{why}, run on the machine of the suite at {named}: smallprint {shlex.join(make)}"
        )
    where, folder = folder_address(data), load_settings(data).data
    key = key or (read_owner_key(folder) if where else None)
    if key:
        return where or URL, key
    if not where:
        folder = folder.resolve()
        start = shlex.join([program(), "serve", "--data", str(folder)])
        raise SuiteError(
            f"no suite is running on {folder}: start it ({start}), or name its folder with --data. "
            f"For another suite at {URL} set SMALLPRINT_KEY"
        )
    raise SuiteError(f"{why}: {shlex.join([program(), *make, '--data', str(folder)])}")


def configured_url(data: Path | None) -> str:
    """The address in SMALLPRINT_URL, unless an option names a data folder. Raises SettingsError."""
    return "" if data else load_settings().url.rstrip("/")


def address(data: Path | None) -> str:
    """The address of the suite of a data folder, or the usual address; see `folder_address`."""
    return folder_address(data) or URL


def folder_address(data: Path | None) -> str | None:
    """The address of the suite of a data folder, from its files.

    None without a named folder, and without an address in the usual one.
    Raises SuiteError if the suite of a named folder does not run, or has not written its address.
    """
    settings = load_settings(data)
    folder, named = settings.data, "data" in settings.model_fields_set
    if full := running_deployment(folder, "--url"):
        return full.url
    now = holder(folder)
    if now and (url := _served(folder, now.token, named=named)):
        return url
    if not named:
        return None
    if now:
        raise SuiteError(
            f"process {now.process} uses {folder}, but has not written its address there: "
            "name it with --url"
        )
    if os.access(FolderLock(folder).path, os.R_OK):
        folder = folder.resolve()
        start = shlex.join([program(), "serve", "--data", str(folder)])
        raise SuiteError(
            f"no suite is running on {folder}: start it ({start}), or name another with --url"
        )
    # No key is sent to the usual address: another program may listen there.
    raise SuiteError(
        f"no suite seems to run on {folder}: name its folder with --data, or its address with "
        f"--url (for containers usually {URL}, inside them {INSIDE})"
    )


def _served(folder: Path, token: str, *, named: bool) -> str | None:
    """The address that the holder of a folder's lock has written; None if there is none. Raises
    SuiteError if the file can't be trusted and the folder was named.
    """
    try:
        served = read_trusted(folder / NAME, "--url", _parsed)
    except SuiteError:
        if named:
            raise
        return None
    return served.url if served and served.token == token else None


def _parsed(line: Any) -> Served:
    served = Served(**line)
    if not re.fullmatch(f"http://{HERE}", served.url):
        raise UntrustedFile("leads to another machine")
    return served
