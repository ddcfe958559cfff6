"""Store taught specialists.

    <adapters>/<name>/<version>/   adapter.onnx_adapter, manifest.json, report.json

An unfinished one is in a folder `.teaching-…`, where no adapter is loaded from.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from services.extraction.teaching.cross_validation import Choice
from services.extraction.teaching.logistic_regression import Head
from shared.artefacts.loader import adapter_names, sha256
from shared.errors import Conflict, InvalidRequest, NotFound, SuiteError
from shared.inference.adapters import ADAPTER_FILE, VIEWS, AdapterManifest, newest_version
from shared.inference.session import Adapter, write_adapter

REPORT_FILE = "report.json"
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
RESERVED = (
    "contract-clauses",
    "document-kind",
    "line-concepts",
    "narrative-flags",
    "nda-review",
    "review-priority",
    "triage-breaks",
    "triage-identities",
    "triage-peers",
    "triage-signals",
    "unfair-terms",
)
"""Names that are reserved for specialists of the suite."""
PREFIX = ".teaching-"
LEFTOVER_SECONDS = 86_400.0
"""Seconds after which an unfinished folder is a leftover of a killed process."""


def check_name(name: str, artefacts: Path, adapters: Path, *, replace: bool) -> None:
    """Check that a specialist may be taught under a name.

    Raises InvalidRequest for an invalid or reserved name, Conflict for an existing specialist, or
    NotFound if there is none to replace.
    """
    if not NAME.fullmatch(name):
        raise InvalidRequest(
            f"{name!r} is not a valid name: use at most 64 small letters, digits and hyphens"
        )
    if name in RESERVED or name.startswith("base-") or name in adapter_names(artefacts):
        raise InvalidRequest(f"{name} is a reserved name; choose another")
    there = name in adapter_names(adapters)
    if there and not replace:
        raise Conflict(
            f"there is already a specialist {name} in {adapters}: use --replace for a new version, "
            f"or `smallprint teach remove {name}` to remove it"
        )
    if replace and not there:
        raise NotFound(f"There is no taught specialist {name!r} to replace.")


def next_version(name: str, adapters: Path) -> str:
    """Return 1.0.0 for a new name, otherwise the next major version."""
    if name not in adapter_names(adapters):
        return "1.0.0"
    newest = AdapterManifest.read(newest_version(adapters, name))
    return f"{int(newest.version.split('.')[0]) + 1}.0.0"


def write_taught(
    folder: Path,
    name: str,
    version: str,
    head: Head,
    choice: Choice,
    parent: Path,
    taught: Mapping[str, Any],
) -> None:
    """Write an adapter with its parent's encoder and a new head to `<folder>/<name>/<version>`.

    Args:
        name: of the specialist, and of its only label.
        parent: folder of the parent adapter.
    """
    known = AdapterManifest.read(parent)
    adapter = Adapter(parent / ADAPTER_FILE)  # the parameters are views of its memory
    parameters = {k: v for k, v in adapter.parameters().items() if not k.startswith("head.")}
    parameters["head.weight"] = head.weight[:, None]
    parameters["head.bias"] = head.weight.dtype.type(head.bias).reshape(1)
    target = folder / name / version
    target.mkdir(parents=True)
    write_adapter(target / ADAPTER_FILE, parameters, int(version.split(".")[0]))
    decoding = {k: v for k, v in known.decoding.items() if k != "entities"}
    manifest = AdapterManifest(
        format=AdapterManifest.FORMAT,
        name=name,
        version=version,
        base_sha256=known.base_sha256,
        adapter_sha256=sha256(target / ADAPTER_FILE),
        rank=known.rank,
        parameters={key: tuple(value.shape) for key, value in sorted(parameters.items())},
        labels=(name,),
        window_length=known.window_length,
        window_stride=known.window_stride,
        licence=f"{name}: that of the owner of the examples; {known.name}, its encoder: "
        f"{known.licence}",
        decoding={
            **decoding,
            "entities": {name: []} if choice.option.by_words else {},
            "merge": choice.option.merge,
        },
        calibration=choice.knots,
        thresholds={"best_f1": choice.threshold},
        views=VIEWS[:1],
        taught=taught,
    )
    manifest.write(target)


@contextmanager
def temporary_folder(adapters: Path) -> Iterator[Path]:
    """A folder that is removed at the end; also removes leftovers of killed processes.

    Raises SuiteError if the folder of adapters can't be written.
    """
    try:
        adapters.mkdir(parents=True, exist_ok=True)
        for leftover in adapters.glob(f"{PREFIX}*"):
            if time.time() - leftover.stat().st_mtime > LEFTOVER_SECONDS:
                shutil.rmtree(leftover, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=adapters))
    except OSError as error:
        raise SuiteError(
            f"the folder of adapters {adapters} can't be used ({error.strerror}): set "
            "SMALLPRINT_ADAPTERS to one that can"
        ) from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def install(folder: Path, adapters: Path, name: str, version: str) -> Path:
    """Move a finished version into place in one step, and remove older ones.

    Raises Conflict if another process was faster.
    """
    target = adapters / name / version
    target.parent.mkdir(exist_ok=True)
    try:
        (folder / name / version).rename(target)
    except OSError as error:
        raise Conflict(
            f"{target} can't be written ({error.strerror}): does another process teach it?"
        ) from None
    for older in target.parent.iterdir():
        if older != target:
            shutil.rmtree(older, ignore_errors=True)
    return target


def taught_adapters(adapters: Path) -> list[dict[str, Any]]:
    """Return name, version and figures of each taught specialist, by name."""
    lines = []
    for name in adapter_names(adapters):
        folder = newest_version(adapters, name)
        report = folder / REPORT_FILE
        stored = json.loads(report.read_text(encoding="utf-8")) if report.is_file() else {}
        manifest = AdapterManifest.read(folder)
        figures = {key: stored[key]["value"] for key in ("f1", "aupr") if key in stored}
        lines.append({"name": name, "version": manifest.version, **manifest.taught, **figures})
    return lines


def remove_taught(name: str, adapters: Path) -> None:
    """Remove all versions of a taught specialist. Raises NotFound."""
    if not NAME.fullmatch(name) or name not in adapter_names(adapters):
        taught = ", ".join(adapter_names(adapters)) or "none"
        raise NotFound(f"There is no taught specialist {name!r}. Taught here: {taught}.")
    with temporary_folder(adapters) as folder:  # in one step, so that it is never half removed
        (adapters / name).rename(folder / name)
