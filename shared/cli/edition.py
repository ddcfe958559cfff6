"""Where the full edition of a data folder is reached, for the commands of operators.

`make run-kafka` writes `suite.json` into its data folder: its bus, its address and the token of its
lock. What it says holds while the lock of the folder has that token; after that another suite may
listen where it listened. The file stays, so that nobody takes the folder for one with a bus of its
own, until the embedded edition works there.

Whoever reads it sends a key to where it leads. So it is believed only where nobody but its reader
and root could write it, and where it leads to this machine.
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

from shared.bus import Bus, file_of, open_bus
from shared.cli.lock import holder
from shared.cli.options import PORT, given
from shared.errors import SuiteError, Unavailable
from shared.settings import CommonSettings, load

NAME = "suite.json"
HERE = r"(127(\.\d{1,3}){3}|\[::1\]):\d{1,5}"
"""A port of the loopback interface, all that `make run-kafka` uses."""
T = TypeVar("T")
_OF_MAKE = "-kafka"
"""What `make run-kafka DATA=X` adds to X."""


class DoubtError(SuiteError):
    """What is written down is not to be believed."""


@dataclass(frozen=True)
class Edition:
    """A suite, and how it is reached."""

    bus: str
    """The URL of its bus, without a user or password: it is shown."""
    url: str
    """The address that browsers and clients use."""
    token: str
    """Of the lock of the data folder, while this is true (`FolderLock.token`)."""


def state(data: Path, edition: Edition) -> None:
    """Write down in a data folder how its suite is reached; its owner alone can read it."""
    note(data / NAME, asdict(edition))


def note(path: Path, line: Mapping[str, str]) -> None:
    """Write what a suite says of itself, which is there whole or not at all."""
    new = path.with_suffix(".partial")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(json.dumps(line) + "\n")
    new.replace(path)


def forget(data: Path) -> None:
    """Whoever has the lock of a data folder is no full edition: the commands of operators look at
    the folder itself from now on. Raises SuiteError if what is written down can't be removed.
    """
    path = data / NAME
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise SuiteError(
            f"{path} leads to a suite that worked there before, and can't be removed "
            f"({error.strerror}): remove it"
        ) from None


def running(data: Path, option: str) -> Edition | None:
    """How the full edition of a data folder is reached; None if none was the last to work there.

    Raises SuiteError if it does not run now, if another process works there, or if what it wrote
    down can't be read or believed.

    Args:
        option: by which the caller can name another, such as `--bus`.
    """
    path = data / NAME
    edition = believed(path, option, _edition)
    if edition is None:
        return None
    now = holder(data)
    was = f"at {edition.url}, with its broker at {edition.bus}"
    if now is None:
        raise SuiteError(
            f"the suite of {data} does not run: it was {was}. Start it first, where smallprint "
            f"lies: {_start(data, edition)}; or name another with {option}"
        )
    if now.token != edition.token:
        raise SuiteError(
            f"process {now.process} works on {data}, and {path} speaks of an earlier suite, which "
            f"was {was}: if it has just been started, try again; otherwise name what you mean with "
            f"{option}"
        )
    return edition


def _start(data: Path, edition: Edition) -> str:
    """The command that starts the full edition of a data folder again, at the address it had."""
    folder, port = str(data.resolve()), int(edition.url.rpartition(":")[2])
    if folder.endswith(_OF_MAKE) and folder == shlex.quote(folder):
        command = f"make run-kafka DATA={folder.removesuffix(_OF_MAKE)}"
        return command if port == PORT else f"{command} PORT={port}"
    where = shlex.join(["--data", folder, *([] if port == PORT else ["--port", str(port)])])
    return f".venv/bin/python -m infra.run_kafka {where}"


def believed(path: Path, option: str, parsed: Callable[[Any], T]) -> T | None:
    """What a suite wrote down of itself; None if nothing is.

    Raises SuiteError where another may have written it, or where it can't be read.

    Args:
        option: by which the caller can name another, such as `--bus`.
        parsed: makes something of its JSON. Raises DoubtError where it leads elsewhere, ValueError
            or TypeError where it is not what a suite writes.
    """
    try:
        return parsed(_read(path))
    except FileNotFoundError:
        return None
    except DoubtError as error:
        raise SuiteError(
            f"{path}, which says where the suite is, {error.message}: name what you mean with "
            f"{option}"
        ) from None
    except (OSError, ValueError, TypeError) as error:
        raise SuiteError(
            f"{path}, which says where the suite is, can't be read ({type(error).__name__}): name "
            f"what you mean with {option}"
        ) from None


def _read(path: Path) -> Any:
    """The JSON of a file. Raises DoubtError where another may have written it; OSError or
    ValueError where there is none.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode):
            raise DoubtError("is no file")
        if about.st_uid not in (0, os.geteuid()):
            raise DoubtError(f"belongs to another user (number {about.st_uid})")
        if about.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise DoubtError("can be written by other users")
        return json.loads(file.read().decode())


def _edition(line: Any) -> Edition:
    edition = Edition(**line)
    bus = re.fullmatch(rf"kafka://{HERE}(\?[\w.=&-]*)?", edition.bus)
    if not bus or not re.fullmatch(f"http://{HERE}", edition.url):
        raise DoubtError("leads to another machine")
    return edition


def settings_of(data: Path | None, bus_url: str | None) -> CommonSettings:
    """What options and environment say; where they name no bus, that of the folder's suite.

    Raises SuiteError if the folder is that of a suite with a broker, and does not run.
    """
    settings = load(CommonSettings, **given(data=data, bus_url=bus_url))
    suite = None if settings.bus_url else running(settings.data, "--bus")
    return settings.model_copy(update={"bus_url": suite.bus}) if suite else settings


@contextmanager
def opened(data: Path | None, bus_url: str | None) -> Iterator[tuple[CommonSettings, Bus]]:
    """The bus of a place, also beside a running suite. Raises SuiteError where there is none."""
    settings = settings_of(data, bus_url)
    if settings.bus.startswith("memory:"):
        raise SuiteError("a bus in memory is seen by its own process alone")
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
