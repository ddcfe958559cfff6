"""The checks of `smallprint doctor`, and how to fix faults."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from packaging.requirements import Requirement

from services.cli.deployment.specialists import ADAPTER, all_specialists
from services.cli.deployment.stores import SERVICES, has_database, open_store
from services.cli.documents.reading import open_reader
from services.cli.output.lines import count
from shared.audit.chain import missing_triggers
from shared.documents.confinement import offered
from shared.documents.pages.tesseract import NEEDS, Program, engine
from shared.errors import SuiteError
from shared.settings import ROOT, is_checkout
from shared.version import VERSION

if TYPE_CHECKING:
    from shared.inference import Specialists
    from shared.settings import CommonSettings

LEAST_PYTHON = (3, 11)
LEAST_FREE = 2_000_000_000  # with fewer bytes of disk space a batch may fail
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
"""Ten lines of a contract that we wrote."""


@dataclass(frozen=True)
class Check:
    """One check. `note` is information, `wrong` has to be fixed."""

    name: str
    state: Literal["good", "note", "wrong"]
    found: str
    mend: str = ""


def install_again(target: str = "setup", root: Path = ROOT) -> str:
    """How to install the packages again."""
    if is_checkout(root):
        return f"run `make {target}` in {root}"
    return (
        "install smallprint again: `pipx install --force WHEEL`, or in the unpacked field bundle "
        f"`./install.sh {sys.prefix}`"
    )


def restore_models() -> str:
    """How to restore the models."""
    first = "restore models/artefacts from the release" if is_checkout() else install_again()
    return f"{first}, or set SMALLPRINT_ARTEFACTS"


def python() -> Check:
    """Check that the interpreter is new enough."""
    found = f"{platform.python_implementation()} {platform.python_version()} on {sys.platform}"
    if sys.version_info < LEAST_PYTHON:
        return Check("python", "wrong", found, f"install Python 3.11 or later; {install_again()}")
    return Check("python", "good", found)


def packages() -> Check:
    """Check that all required packages are installed."""
    try:
        needed = metadata.requires("smallprint") or []
    except metadata.PackageNotFoundError:
        return Check("packages", "wrong", "smallprint itself is not installed", install_again())
    missing, found = [], 0
    for line in needed:
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            metadata.version(requirement.name)
            found += 1
        except metadata.PackageNotFoundError:
            missing.append(requirement.name)
    if missing:
        return Check("packages", "wrong", f"missing: {', '.join(missing)}", install_again())
    return Check("packages", "good", f"smallprint {VERSION} and {found} packages")


def optional_packages() -> Iterator[Check]:
    """List optional packages and their purpose."""
    for package, purpose in OPTIONAL.items():
        try:
            yield Check(package, "good", f"{metadata.version(package)}: {purpose}")
        except metadata.PackageNotFoundError:
            fix = f"{install_again('setup-kafka')}, if you want it" if is_checkout() else ""
            yield Check(package, "note", f"not installed; only needed for {purpose}", fix)


def recognition() -> Check:
    """Check the engine for scanned pages."""
    found = engine()
    if found is None:
        why = "tesseract is not installed; only needed for scans and photos of pages"
        return Check("recognition", "note", why, NEEDS)
    if isinstance(found, Program) and offered().filter:
        why = "the package tesserocr lacks its engine; only needed for scans and photos of pages"
        return Check("recognition", "note", why, install_again())
    return Check("recognition", "good", f"{found}: scans and photos of pages")


def confinement(*, required: bool) -> Iterator[Check]:
    """Check what keeps the document reader from networks and files."""
    here = offered()
    lacking: Literal["note", "wrong"] = "wrong" if required else "note"
    if here.filter:
        found = "the document reader can't open connections, start programs or write files"
        yield Check("network", "good", found)
    else:
        found = "this system can't filter system calls, so the document reader could open sockets"
        fix = "allow seccomp in containers, or give them no network"
        yield Check("network", lacking, found, fix)
    if here.landlock:
        found = f"the document reader can only read its program (Landlock {here.landlock})"
        yield Check("files", "good", found)
    else:
        found = "this system has no Landlock, so the document reader could read other files"
        fix = "use Linux 5.13 or later, and allow Landlock in containers"
        yield Check("files", lacking, found, fix)


def specialists(settings: CommonSettings) -> Iterator[Check]:
    """Check the hashes of base and adapters, then read ten lines of a contract."""
    from shared.artefacts.loader import adapter_names

    try:
        loaded = all_specialists(settings)
        for name in adapter_names(settings.artefacts_folder):
            yield check_adapter(loaded, name)
    except SuiteError as error:
        yield Check("models", "wrong", error.message, restore_models())
        return
    for name in adapter_names(settings.adapters_folder):
        try:
            yield check_adapter(loaded, name)
        except SuiteError as error:
            again = (
                f"`smallprint teach {name} EXAMPLES --replace` or `smallprint teach remove {name}`"
            )
            yield Check("adapter", "wrong", error.message, again)
    yield Check("base", "good", f"{loaded.base.sha256[:12]}, hash agrees")
    yield _probe(loaded)


def check_adapter(loaded: Specialists, name: str) -> Check:
    """Check the hashes of one specialist. Raises SuiteError if it is missing or damaged."""
    from services.extraction.pipeline.search import require_ranking

    specialist = loaded.get(name)
    require_ranking(specialist)
    manifest = specialist.manifest
    labels = count(len(manifest.labels), "label")
    return Check("adapter", "good", f"{name} {manifest.version}, {labels}, hashes agree")


def _probe(loaded: Specialists) -> Check:
    from services.extraction.pipeline.search import find_clauses

    fix = "restore models/artefacts from the release; if that does not help, report this line"
    began = time.monotonic()
    try:
        with open_reader() as reader:
            reading = reader.read(PROBE.encode(), name="probe.txt")
        clauses = find_clauses(reading.text, loaded.get(ADAPTER))
    except SuiteError as error:
        return Check("probe", "wrong", error.message, fix)
    seconds = time.monotonic() - began
    if not clauses or any(PROBE[c.start : c.end] != c.text for c in clauses):
        return Check("probe", "wrong", f"{len(clauses)} clauses in ten lines", fix)
    categories = ", ".join(sorted({clause.category for clause in clauses}))
    return Check("probe", "good", f"ten lines in {seconds:.2f} s: {categories}")


def optional_models(artefacts: Path) -> Iterator[Check]:
    """Check the optional models."""
    from services.review.priority import Priority
    from services.triage.checks.classifier import BreakClassifier
    from services.triage.concepts.linear import LinearLabeller
    from services.triage.narrative.model import FlagModel
    from services.triage.signals.peers import Peers

    models: dict[str, type[BreakClassifier | FlagModel | LinearLabeller | Peers | Priority]] = {
        "triage": BreakClassifier,
        "review": Priority,
        "signals": Peers,
        "sentences": FlagModel,
        "names": LinearLabeller,
    }
    for name, model in models.items():
        try:
            loaded = model.load_if_installed(artefacts)
        except SuiteError as error:
            yield Check(name, "wrong", error.message, restore_models())
            continue
        if loaded is None:
            yield Check(name, "note", f"no {model.NAME}: {model.FALLBACK}", restore_models())
            continue
        version = loaded.model.version if isinstance(loaded, LinearLabeller) else loaded.version
        yield Check(name, "good", f"{model.NAME} {version}, hashes agree")


def data_folder(folder: Path) -> Check:
    """Check that the data folder is writable and has SQLite's write-ahead log.

    A missing folder is made for the test and removed again.
    """
    where = os.path.abspath(folder)  # noqa: PTH100 - resolve() fails for impossible names
    fix = "choose a folder of your own on a local disk: --data FOLDER or SMALLPRINT_DATA"
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
        return Check("data folder", "wrong", f"{where} can't be used: {error}", fix)
    finally:
        for path in missing:
            with suppress(OSError):  # keep files that somebody put into it meanwhile
                path.rmdir()
    if mode != "wal":
        return Check("data folder", "wrong", f"{where}: SQLite's WAL mode does not work", fix)
    return Check("data folder", "good", where)


def audit_triggers(settings: CommonSettings) -> Iterator[Check]:
    """Check that the databases refuse changes to the audit trail. There is nothing to check in a
    new data folder.
    """
    missing, found = list[str](), list[str]()
    try:
        for name in SERVICES:
            if has_database(settings, name):
                with open_store(settings, name) as store, store.read() as session:
                    missing += [f"{one} of {name}" for one in missing_triggers(session)]
                found.append(name)
    except SuiteError as error:
        yield Check("audit trail", "note", f"not checked: {error.message}")
        return
    if missing:
        fix = "find out who dropped them, then `smallprint audit verify --against EXPORT`"
        text = f"triggers are missing or disabled: {', '.join(missing)}"
        yield Check("audit trail", "wrong", text, fix)
    elif found:
        yield Check("audit trail", "good", f"protected by triggers: {', '.join(found)}")


def disk(folder: Path) -> Check:
    """Check the disk space for documents and results."""
    absolute = Path(os.path.abspath(folder))  # noqa: PTH100 - resolve() fails for impossible names
    existing = next(p for p in (absolute, *absolute.parents) if os.path.exists(p))  # noqa: PTH110
    free = shutil.disk_usage(existing).free
    found = f"{free / 1e9:.1f} GB free at {existing}"
    if free < LEAST_FREE:
        return Check("disk", "wrong", found, f"free {LEAST_FREE / 1e9:.0f} GB, or choose --data")
    return Check("disk", "good", found)


def port(number: int) -> Check:
    """Check that `smallprint serve` can use the port, or already does."""
    name, host = f"port {number}", "127.0.0.1"
    try:
        socket.create_server((host, number)).close()
    except OSError as error:
        if _is_ours(host, number):
            return Check(name, "good", "smallprint answers there already")
        found = f"can't be listened on: {error.strerror or error}"
        return Check(name, "wrong", found, "stop that program, or choose a port: serve --port N")
    return Check(name, "good", f"free on {host}")


def _is_ours(host: str, number: int) -> bool:
    with closing(HTTPConnection(host, number, timeout=2)) as connection:
        try:
            connection.request("GET", "/version")
            return b'"service"' in connection.getresponse().read(1000)
        except (OSError, HTTPException):
            return False


def content(checks: Sequence[Check]) -> bool:
    """Whether no check is `wrong`."""
    return all(check.state != "wrong" for check in checks)


def check_rows(checks: Sequence[Check]) -> Iterator[str]:
    """The checks as lines for a person, with the fixes."""
    marks = {"good": "ok  ", "note": "note", "wrong": "MEND"}
    width = max(len(check.name) for check in checks)
    for check in checks:
        yield f"{marks[check.state]}  {check.name:<{width}}  {check.found}"
        if check.mend:
            yield f"      {'':<{width}}  -> {check.mend}"
    wrong = [check.name for check in checks if check.state == "wrong"]
    yield f"To fix: {', '.join(wrong)}." if wrong else "All is well."
