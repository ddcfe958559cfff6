"""Checks of a machine: what `smallprint doctor` looks at, and how to mend what is wrong."""

from __future__ import annotations

import os
import platform
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from importlib import metadata
from pathlib import Path
from typing import Literal

from shared.documents.ocr import NEEDS, engine
from shared.version import VERSION

ROOT = Path(__file__).resolve().parent.parent.parent
LEAST_PYTHON = (3, 11)
LEAST_FREE = 2_000_000_000
"""Bytes of disk below which a batch of documents would soon run out."""
OPTIONAL = {
    "kafka-python": "the bus kafka://… of separate processes",
    "psycopg": "databases on PostgreSQL",
}
PROBE = """SUPPLY AGREEMENT
This Supply Agreement (the "Agreement") is made as of March 1, 2024 (the "Effective Date")
by and between Northwind Mills, Inc., a Delaware corporation ("Supplier"),
and Contoso Bakeries LLC, a New York limited liability company ("Buyer").
1. Term. This Agreement begins on the Effective Date and continues for two (2) years.
2. Renewal. It renews for successive periods of one (1) year unless either party gives ninety
days' written notice of non-renewal.
3. Assignment. Neither party may assign this Agreement without the other's written consent.
4. Governing Law. This Agreement shall be governed by the laws of the State of New York.
5. Insurance. Supplier shall maintain commercial general liability insurance of $1,000,000.
"""
"""Ten lines of a contract, of our own making."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. `note` is good to know, `wrong` must be mended."""

    name: str
    state: Literal["good", "note", "wrong"]
    found: str
    mend: str = ""


def from_source(root: Path = ROOT) -> bool:
    """Whether this runs from a checkout, whose Makefile installs; a laptop has a field bundle."""
    return (root / "Makefile").is_file()


def install_again(target: str = "setup", root: Path = ROOT) -> str:
    """What installs the packages anew, here."""
    if from_source(root):
        return f"run `make {target}` in {root}"
    return f"unpack the field bundle again, and there run `./install.sh {sys.prefix}`"


def restore_models() -> str:
    """What brings the models back, here."""
    first = "restore models/artefacts from the release" if from_source() else install_again()
    return f"{first}, or set SMALLPRINT_ARTEFACTS"


def python() -> Check:
    """The interpreter is new enough."""
    found = f"{platform.python_implementation()} {platform.python_version()} on {sys.platform}"
    if sys.version_info < LEAST_PYTHON:
        return Check("python", "wrong", found, f"install Python 3.11 or later; {install_again()}")
    return Check("python", "good", found)


def packages(name: str = "smallprint") -> Check:
    """Everything that the package needs is installed."""
    try:
        needed = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return Check("packages", "wrong", f"{name} itself is not installed", install_again())
    missing, found = [], 0
    for line in needed:
        if "extra ==" in line:
            continue
        package = re.split(r"[\s\[<>=!~;(]", line, maxsplit=1)[0]
        try:
            metadata.version(package)
            found += 1
        except metadata.PackageNotFoundError:
            missing.append(package)
    if missing:
        return Check("packages", "wrong", f"missing: {', '.join(missing)}", install_again())
    return Check("packages", "good", f"{name} {VERSION} and {found} packages")


def optional_packages() -> Iterator[Check]:
    """What a laptop may lack, and what it would be for."""
    for package, purpose in OPTIONAL.items():
        try:
            yield Check(package, "good", f"{metadata.version(package)}: {purpose}")
        except metadata.PackageNotFoundError:
            mend = f"{install_again('setup-kafka')}, if you want it" if from_source() else ""
            yield Check(package, "note", f"not installed; only needed for {purpose}", mend)


def recognition() -> Check:
    """The program that reads pages which are pictures."""
    program = engine()
    if program is None:
        found = "tesseract is not installed; only needed for scans and photos of pages"
        return Check("recognition", "note", found, NEEDS)
    return Check("recognition", "good", f"{program}: scans and photos of pages")


def network() -> Check:
    """What reads documents can be kept from every network; tried in a process of its own."""
    root = str(Path(__file__).resolve().parents[2])
    code = (
        f"import sys; sys.path.insert(0, {root!r})\n"
        "from shared.documents.confinement import leave_network\n"
        "sys.exit(0 if leave_network() else 1)"
    )
    if subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode:
        found = "this system has no filter of system calls: what reads documents could open sockets"
        return Check(
            "network", "note", found, "let containers use seccomp, or give them no network"
        )
    return Check("network", "good", "what reads documents can open no connection")


def data_folder(folder: Path) -> Check:
    """The data folder can be written, and SQLite's write-ahead log works there.

    One that is not there yet is made for the probe, and removed again.
    """
    where = os.path.abspath(folder)  # noqa: PTH100 - resolve() fails for impossible names
    mend = "choose a folder of your own on a local disk: --data FOLDER or SMALLPRINT_DATA"
    missing = [path for path in (folder, *folder.parents) if not os.path.lexists(path)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory(dir=folder, prefix=".doctor-") as scratch,
            closing(sqlite3.connect(Path(scratch) / "probe.db")) as database,
        ):
            (mode,) = database.execute("PRAGMA journal_mode=WAL").fetchone()
            database.execute("CREATE TABLE probe (x)")
            database.commit()
    except (OSError, sqlite3.Error) as error:
        return Check("data folder", "wrong", f"{where} can't be used: {error}", mend)
    finally:
        for path in missing:
            with suppress(OSError):  # whatever somebody put into it meanwhile stays
                path.rmdir()
    if mode != "wal":
        return Check("data folder", "wrong", f"{where}: SQLite's WAL mode does not work", mend)
    return Check("data folder", "good", where)


def disk(folder: Path) -> Check:
    """There is room for documents and results."""
    whole = Path(os.path.abspath(folder))  # noqa: PTH100 - resolve() fails for impossible names
    existing = next(p for p in (whole, *whole.parents) if os.path.exists(p))  # noqa: PTH110
    free = shutil.disk_usage(existing).free
    found = f"{free / 1e9:.1f} GB free at {existing}"
    if free < LEAST_FREE:
        return Check("disk", "wrong", found, f"free {LEAST_FREE / 1e9:.0f} GB, or choose --data")
    return Check("disk", "good", found)


def port(number: int, host: str = "127.0.0.1") -> Check:
    """`smallprint up` can listen, or listens already."""
    name = f"port {number}"
    try:
        socket.create_server((host, number)).close()
    except OSError as error:
        if _is_ours(host, number):
            return Check(name, "good", "smallprint answers there already")
        found = f"can't be listened on: {error.strerror or error}"
        return Check(name, "wrong", found, "stop what runs there, or choose: up --port N")
    return Check(name, "good", f"free on {host}")


def _is_ours(host: str, number: int) -> bool:
    with closing(HTTPConnection(host, number, timeout=2)) as connection:
        try:
            connection.request("GET", "/version")
            return b'"service"' in connection.getresponse().read(1000)
        except (OSError, HTTPException):
            return False


def content(checks: Sequence[Check]) -> bool:
    """Whether nothing has to be mended."""
    return all(check.state != "wrong" for check in checks)


def ending(checks: Sequence[Check]) -> str:
    """The last line for a person."""
    wrong = [check.name for check in checks if check.state == "wrong"]
    return f"To be mended: {', '.join(wrong)}." if wrong else "All is well."


def shown(checks: Sequence[Check]) -> Iterator[str]:
    """The checks as lines for a person."""
    marks = {"good": "ok  ", "note": "note", "wrong": "MEND"}
    width = max(len(check.name) for check in checks)
    for check in checks:
        yield f"{marks[check.state]}  {check.name:<{width}}  {check.found}"
        if check.mend:
            yield f"      {'':<{width}}  -> {check.mend}"
