"""Which models are installed, by their folders alone: nothing of them is loaded.

    <folder>/<name>/<version>/manifest.json

So a service that runs no model, and the help of a command, can name adapters. Models that are none
have a manifest of another name.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from shared.errors import SuiteError

T = TypeVar("T")

VERSION = re.compile(r"\d+\.\d+\.\d+")
MANIFEST_FILE = "manifest.json"
TRAINING_FILE = "training.json"
"""How long the trainings took of which a version came, and on what machine: what it has cost."""


def adapter_names(*folders: Path) -> list[str]:
    """Return the names of all adapters in some folders, which need not be there."""
    found = (path for folder in folders for path in folder.glob(f"*/*/{MANIFEST_FILE}"))
    return sorted({path.parent.parent.name for path in found})


class NoModel(SuiteError):
    """There is no model of that name among the artefacts."""

    code = "no_model"


def newest(artefacts: Path, name: str, manifest: str) -> Path:
    """Return the folder of the newest version of a model, by the names of the folders.

    Args:
        artefacts: where models lie.
        name: of the model.
        manifest: the file that every version has.

    Raises:
        NoModel: there is none.
    """
    found = [path.parent for path in (artefacts / name).glob(f"*/{manifest}")]
    versions = {
        tuple(map(int, folder.name.split("."))): folder
        for folder in found
        if VERSION.fullmatch(folder.name)
    }
    if not versions:
        raise NoModel(
            f"there is no model {name!r} in {artefacts}: point SMALLPRINT_ARTEFACTS to the folder "
            "that came with the release"
        )
    return versions[max(versions)]


def read_form(
    path: Path,
    form: Callable[..., T],
    version: int,
    error: type[SuiteError],
    lists: Sequence[str] = (),
) -> T:
    """Read the manifest of a model that is no adapter.

    Args:
        path: of the JSON object, whose `format` says which version it is.
        form: takes its fields by name.
        version: of the format that this release reads.
        error: of the model.
        lists: fields that are kept as tuples.

    Raises:
        SuiteError: `error`, for a file that is missing, not of that format, or not whole.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["format"] != version:
            raise error(
                f"{path} has format {values['format']!r}, this version reads {version}: "
                "install the release that it came with"
            )
        return form(**{**values, **{name: tuple(values[name]) for name in lists}})
    except (OSError, ValueError, KeyError, TypeError) as failure:
        raise error(f"{path} can't be read ({failure}); restore it from the release") from failure


def require_whole(
    folder: Path, names: Iterable[str], digests: Mapping[str, str], error: type[SuiteError]
) -> None:
    """See that files of a model are those that its manifest knows.

    Raises:
        SuiteError: `error`, for one that is missing, damaged, or unknown to the manifest.
    """
    for name in names:
        path = folder / name
        if not path.is_file() or sha256(path) != digests.get(name):
            raise error(f"{path} is missing or damaged; restore it from the release")


@dataclass(frozen=True)
class Training:
    """What the trainings of a model took together, as they were measured."""

    seconds: float
    machine: str
    """What they ran on, in words; empty where that was not kept."""


def training_of(artefacts: Path, name: str, version: str) -> Training | None:
    """Return what the trainings of a model took; None where nothing was kept of them."""
    try:
        kept = json.loads((artefacts / name / version / TRAINING_FILE).read_text("utf-8"))
        seconds = float(sum(one["seconds"] for one in kept["trainings"]))
        return Training(seconds, str(kept.get("machine", "")))
    except (OSError, ValueError, LookupError, TypeError):
        return None


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
