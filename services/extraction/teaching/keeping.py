"""Where a taught specialist is kept: written apart, tried out as it will be served, then put there.

    <adapters>/<name>/<version>/   adapter.onnx_adapter, manifest.json, report.json

What is not finished lies in a folder `.teaching-…` beside it, where nobody looks for adapters.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from services.extraction.teaching.learning import Head
from services.extraction.teaching.validation import Choice
from shared.artefacts import sha256
from shared.errors import Conflict, InvalidRequest, NotFound, SuiteError
from shared.inference.adapters import (
    ADAPTER_FILE,
    FORMAT,
    MANIFEST_FILE,
    VIEWS,
    Manifest,
    adapter_names,
    newest_version,
    read_manifest,
    write_manifest,
)
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
"""Names of specialists that come with the suite, now or later."""
PREFIX = ".teaching-"
FORGOTTEN = 86_400.0
"""Seconds after which an unfinished folder can only be what a kill left."""


def check_name(name: str, artefacts: Path, adapters: Path, *, replace: bool) -> None:
    """See that a specialist may be taught under a name.

    Raises:
        InvalidRequest: it is no name, or one of the suite's own.
        Conflict: there is one of that name.
        NotFound: none is there to be replaced.
    """
    if not NAME.fullmatch(name):
        raise InvalidRequest(
            f"{name!r} is no name of a specialist: small letters, digits and hyphens, at most 64"
        )
    if name in RESERVED or name.startswith("base-") or name in adapter_names(artefacts):
        raise InvalidRequest(f"{name} is a name of the suite's own; choose another")
    there = name in adapter_names(adapters)
    if there and not replace:
        raise Conflict(
            f"there is a specialist {name} already, in {adapters}; --replace puts a new version "
            f"in its place, `smallprint teach --remove {name}` removes it"
        )
    if replace and not there:
        raise NotFound(f"there is no specialist {name} in {adapters} to be replaced")


def next_version(name: str, adapters: Path) -> str:
    """Return 1.0.0 for a new name, else the next whole number."""
    if name not in adapter_names(adapters):
        return "1.0.0"
    newest = read_manifest(newest_version(adapters, name) / MANIFEST_FILE)
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
    """Write an adapter that is its parent's encoder with another head.

    Args:
        folder: where `<name>/<version>` comes.
        name: of the specialist, and of its only label.
        version: three numbers.
        head: what was learned.
        choice: how it decides.
        parent: folder of the adapter that the head stands on.
        taught: facts for the manifest.
    """
    known = read_manifest(parent / MANIFEST_FILE)
    adapter = Adapter(parent / ADAPTER_FILE)  # what it returns is part of its own memory
    parameters = {k: v for k, v in adapter.parameters().items() if not k.startswith("head.")}
    parameters["head.weight"] = head.weight[:, None]
    parameters["head.bias"] = head.weight.dtype.type(head.bias).reshape(1)
    target = folder / name / version
    target.mkdir(parents=True)
    write_adapter(target / ADAPTER_FILE, parameters, int(version.split(".")[0]))
    decoding = {k: v for k, v in known.decoding.items() if k != "entities"}
    manifest = Manifest(
        format=FORMAT,
        name=name,
        version=version,
        base_sha256=known.base_sha256,
        adapter_sha256=sha256(target / ADAPTER_FILE),
        rank=known.rank,
        parameters={key: tuple(value.shape) for key, value in sorted(parameters.items())},
        labels=(name,),
        window_length=known.window_length,
        window_stride=known.window_stride,
        licence=f"{name}: of whoever owns the examples; {known.name}, on which it stands: "
        f"{known.licence}",
        decoding={
            **decoding,
            "entities": {name: []} if choice.way.by_words else {},
            "merge": choice.way.merge,
        },
        calibration=choice.knots,
        thresholds={"best_f1": choice.threshold},
        views=VIEWS[:1],
        taught=taught,
    )
    write_manifest(target / MANIFEST_FILE, manifest)


@contextmanager
def unfinished(adapters: Path) -> Iterator[Path]:
    """A folder for what is not finished, gone at the end; what kills left is cleared away.

    Raises:
        SuiteError: the folder of adapters can't be written.
    """
    try:
        adapters.mkdir(parents=True, exist_ok=True)
        for left in adapters.glob(f"{PREFIX}*"):
            if time.time() - left.stat().st_mtime > FORGOTTEN:
                shutil.rmtree(left, ignore_errors=True)
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


def put_in_place(folder: Path, adapters: Path, name: str, version: str) -> Path:
    """Move a finished version to where it is found, in one step; older ones go.

    Raises:
        Conflict: somebody else was faster.
    """
    target = adapters / name / version
    target.parent.mkdir(exist_ok=True)
    try:
        (folder / name / version).rename(target)
    except OSError as error:
        raise Conflict(
            f"{target} can't be written ({error.strerror}): was it taught twice at once?"
        ) from None
    for older in target.parent.iterdir():
        if older != target:
            shutil.rmtree(older, ignore_errors=True)
    return target


def taught_adapters(adapters: Path) -> list[dict[str, Any]]:
    """Return name, version and figures of what was taught here, by name."""
    lines = []
    for name in adapter_names(adapters):
        folder = newest_version(adapters, name)
        report = folder / REPORT_FILE
        kept = json.loads(report.read_text(encoding="utf-8")) if report.is_file() else {}
        manifest = read_manifest(folder / MANIFEST_FILE)
        figures = {key: kept[key]["value"] for key in ("f1", "aupr") if key in kept}
        lines.append({"name": name, "version": manifest.version, **manifest.taught, **figures})
    return lines


def remove_taught(name: str, adapters: Path) -> None:
    """Remove a taught specialist with all its versions.

    Raises:
        NotFound: there is none of that name.
    """
    if not NAME.fullmatch(name) or name not in adapter_names(adapters):
        known: Sequence[str] = adapter_names(adapters)
        raise NotFound(
            f"there is no specialist {name!r} in {adapters}; there is: {', '.join(known) or 'none'}"
        )
    with unfinished(adapters) as folder:  # at once: nobody finds half of it
        (adapters / name).rename(folder / name)
