"""The address of a full edition, for the commands of operators.

`make run-kafka` writes `suite.json` into its data folder: its bus, address and lock token. The file
is valid while the lock of the folder has that token; later another suite may listen at that
address. It stays until an embedded edition uses the folder, so that nobody assumes a bus in the
folder.

A command sends a key to the address. So it trusts the file only if it leads to this machine, and if
only its reader and root could write it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from services.cli.deployment.lock import holder
from services.cli.options import load_settings
from shared.bus import Bus, file_of, open_bus
from shared.errors import SuiteError, Unavailable
from shared.settings import CommonSettings

NAME = "suite.json"
HERE = r"(127(\.\d{1,3}){3}|\[::1\]):\d{1,5}"
"""A port of the loopback interface; `make run-kafka` uses no others."""
T = TypeVar("T")


class UntrustedFile(SuiteError):
    """The file can't be trusted."""


@dataclass(frozen=True)
class Deployment:
    """A running suite and its address."""

    bus: str  # URL of its bus, without user and password, since it is printed
    url: str  # the address for browsers and clients
    token: str  # token of the lock of the data folder, while this is valid (`FolderLock.token`)


def write_deployment(data: Path, edition: Deployment) -> None:
    """Write `suite.json`; only its owner can read it."""
    write_json(data / NAME, asdict(edition))


def write_json(path: Path, line: Mapping[str, str]) -> None:
    """Write a small JSON file atomically; only its owner can read it."""
    write_private(path, json.dumps(line))


def write_private(path: Path, line: str) -> None:
    """Write a line to a file atomically; only its owner can read it."""
    new = path.with_suffix(".partial")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{line}\n")
    new.replace(path)


def remove_deployment(data: Path) -> None:
    """Remove `suite.json`: the process that has the lock is no full edition. Raises SuiteError."""
    path = data / NAME
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise SuiteError(
            f"{path} is left from an earlier suite and can't be removed ({error.strerror}): "
            "remove it yourself"
        ) from None


def running_deployment(data: Path, option: str) -> Deployment | None:
    """The full edition that used a data folder last; None if an embedded edition did.

    Raises SuiteError if it does not run now, if another process uses the folder, or if the file
    can't be read or trusted.

    Args:
        option: names another suite, such as `--bus`; for the message.
    """
    path = data / NAME
    edition = read_trusted(path, option, _edition)
    if edition is None:
        return None
    now = holder(data)
    was = f"at {edition.url}, with its broker at {edition.bus}"
    if now is None:
        raise SuiteError(
            f"the suite of {data} is not running: it was {was}. Start it in the folder of "
            f"smallprint ({_start(data, edition)}), or name another with {option}"
        )
    if now.token != edition.token:
        raise SuiteError(
            f"process {now.process} uses {data}, but {path} is left from an earlier suite, which "
            f"was {was}: try again if the process has just started; otherwise name the suite with "
            f"{option}"
        )
    return edition


def _start(data: Path, edition: Deployment) -> str:
    """The command that starts the full edition of a data folder again, at the same address."""
    where = ["--data", str(data.resolve()), "--port", edition.url.rpartition(":")[2]]
    return f".venv/bin/python -m infra.run_kafka {shlex.join(where)}"


def read_trusted(path: Path, option: str, parsed: Callable[[Any], T]) -> T | None:
    """The parsed content of a file that a suite wrote; None without a file.

    Raises SuiteError if it can't be read, or if other users can write it.

    Args:
        option: names another suite, such as `--bus`; for the message.
        parsed: makes an object of its JSON. Raises UntrustedFile if it leads to another machine,
            ValueError or TypeError if it has another form.
    """
    try:
        return parsed(json.loads(read_private(path)))
    except FileNotFoundError:
        return None
    except UntrustedFile as error:
        raise SuiteError(
            f"{path}, the address of the suite, {error.message}: name the suite with {option}"
        ) from None
    except (OSError, ValueError, TypeError) as error:
        raise SuiteError(
            f"{path}, the address of the suite, can't be read ({type(error).__name__}): name the "
            f"suite with {option}"
        ) from None


def read_private(path: Path) -> str:
    """The text of a file. Raises UntrustedFile if other users can write it, OSError, ValueError."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode):
            raise UntrustedFile("is not a file")
        if about.st_uid not in (0, os.geteuid()):
            raise UntrustedFile(f"belongs to another user (number {about.st_uid})")
        if about.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise UntrustedFile("can be written by other users")
        return file.read().decode()


def _edition(line: Any) -> Deployment:
    edition = Deployment(**line)
    bus = re.fullmatch(rf"kafka://{HERE}(\?[\w.=&-]*)?", edition.bus)
    if not bus or not re.fullmatch(f"http://{HERE}", edition.url):
        raise UntrustedFile("leads to another machine")
    return edition


def settings_of(data: Path | None, bus_url: str | None) -> CommonSettings:
    """The settings with the options. Without a bus in them, the bus of the folder's suite.

    Raises SuiteError if that suite has a broker and does not run.
    """
    settings = load_settings(data, bus_url)
    suite = None if settings.bus_url else running_deployment(settings.data, "--bus")
    return settings.model_copy(update={"bus_url": suite.bus}) if suite else settings


@contextmanager
def deployment_bus(data: Path | None, bus_url: str | None) -> Iterator[tuple[CommonSettings, Bus]]:
    """The settings and the bus of a deployment, whether it runs or not. Raises SuiteError without
    one.
    """
    settings = settings_of(data, bus_url)
    if settings.bus.startswith("memory:"):
        raise SuiteError("a bus in memory is only visible to its own process")
    if settings.bus.startswith("sqlite:///") and not Path(file_of(settings.bus)).is_file():
        raise SuiteError(
            f"there is no bus {settings.bus}: name its data folder with --data, or its URL with "
            "--bus"
        )
    try:
        bus = open_bus(settings.bus, lease=settings.bus_lease)
    except Unavailable as error:
        raise SuiteError(f"{error.message} (--bus names another)") from error
    try:
        yield settings, bus
    finally:
        bus.close()
