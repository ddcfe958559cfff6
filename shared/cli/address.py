"""Where a suite answers, for the commands that ask it with a key.

`make run-kafka` says it in `suite.json` of its data folder (shared/cli/edition.py), `smallprint up`
in `served.json`, for as long as it serves there. The latter is a file of its own: the commands that
read the folder itself need not believe it, and work as well where the suite is another user's.

Whoever reads either sends a key to where it leads: it is believed under the same conditions.
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

from shared.cli.edition import HERE, DoubtError, believed, note, running
from shared.cli.lock import FolderLock, holder
from shared.cli.options import INSIDE, URL, given
from shared.errors import SuiteError
from shared.settings import CommonSettings, load

NAME = "served.json"


@dataclass(frozen=True)
class Served:
    """An embedded edition that serves."""

    url: str
    token: str
    """Of the lock of the data folder, while this is true (`FolderLock.token`)."""


def state(data: Path, served: Served) -> None:
    """Write down in a data folder where it is served, if that is on this machine alone."""
    if re.fullmatch(f"http://{HERE}", served.url):
        with suppress(OSError):  # it is served all the same
            note(data / NAME, asdict(served))


@contextmanager
def forgotten(data: Path) -> Iterator[None]:
    """After the block nothing is served there any more."""
    try:
        yield
    finally:
        with suppress(OSError):  # what is left says nothing: its lock is gone
            (data / NAME).unlink(missing_ok=True)


def reached(url: str | None, key: str | None, data: Path | None) -> tuple[str, str]:
    """Where a suite answers, and a key of it. Raises SuiteError if either is not known.

    Args:
        url: that was named, before which nothing else counts, not even SMALLPRINT_URL.
        key: that was given.
        data: a data folder that was named; its suite has to run.
    """
    url = url or told(data)
    if not key:
        raise SuiteError(_unreached(url, data))
    return url or address(data), key


def told(data: Path | None) -> str:
    """The address that SMALLPRINT_URL names, which counts before all but an option. Raises
    SettingsError.
    """
    return "" if data else load(CommonSettings).url.rstrip("/")


def address(data: Path | None) -> str:
    """Where the suite of a data folder answers, as it says itself; the usual address where neither
    an option nor SMALLPRINT_DATA names a folder, and the usual one says nothing. Raises SuiteError
    if that of a named one does not run, or does not say where it is.
    """
    settings = load(CommonSettings, **given(data=data))
    folder, named = settings.data, "data" in settings.model_fields_set
    full = running(folder, "--url")
    if full:
        return full.url
    now = holder(folder)
    if now and (url := _served(folder, now.token, named=named)):
        return url
    if not named:
        return URL
    if now:
        raise SuiteError(
            f"process {now.process} works on {folder}, and does not say where it answers: name its "
            "address with --url"
        )
    raise SuiteError(_silent(folder))


def _silent(folder: Path) -> str:
    """That no suite is seen to run on a folder, and what to do: nobody who may listen at the usual
    address by now gets a key sent.
    """
    lock = FolderLock(folder).path
    if os.access(lock, os.R_OK):
        return _stopped(folder)
    if os.access(lock, os.F_OK):
        return (
            f"whether a suite runs on {folder} can't be seen, for {lock} can't be read: name its "
            "address with --url"
        )
    return (
        f"nothing in {folder} says that a suite runs there: name its folder with --data, or its "
        f"address with --url (of containers usually {URL}, and inside of them {INSIDE})"
    )


def _stopped(folder: Path) -> str:
    """That no suite runs on a data folder, and how one is started."""
    start = shlex.join(["smallprint", "up", "--data", str(folder)])
    return f"no suite runs on {folder}: start it ({start}), or name another with --url"


def _served(folder: Path, token: str, *, named: bool) -> str | None:
    """Where the holder of a folder's lock is served; None if it does not say. Raises SuiteError if
    what is written there can't be believed and the folder was named; else the usual address goes
    on as if there were nothing.
    """
    try:
        served = believed(folder / NAME, "--url", _parsed)
    except SuiteError:
        if named:
            raise
        return None
    return served.url if served and served.token == token else None


def _parsed(line: Any) -> Served:
    served = Served(**line)
    if not re.fullmatch(f"http://{HERE}", served.url):
        raise DoubtError("leads to another machine")
    return served


def _unreached(url: str | None, data: Path | None) -> str:
    """All that whoever has no key lacks, at once: also the suite, where that of the folder does not
    run.
    """
    keyless = _keyless(url, data)
    if url:
        return keyless
    folder = load(CommonSettings, **given(data=data)).data
    try:
        address(data)
    except SuiteError as error:
        return f"{error.message}. Besides, {keyless}"
    if os.access(FolderLock(folder).path, os.R_OK) and not holder(folder):
        return f"{_stopped(folder)}. Besides, {keyless}"
    return keyless


def _keyless(url: str | None, data: Path | None) -> str:
    """Why a key is needed, and how one is made."""
    why = (
        "a key is needed, which says whose documents you may see: give --key, or set "
        "SMALLPRINT_KEY. To make one"
    )
    if url:
        return f"{why}, where the suite at {url} has its data: smallprint keys new NAME"
    folder = load(CommonSettings, **given(data=data)).data
    return f"{why}: {shlex.join(['smallprint', 'keys', 'new', 'NAME', '--data', str(folder)])}"
