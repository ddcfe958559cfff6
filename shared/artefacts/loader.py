"""Find, read and verify the artefacts of models.

    <artefacts>/<name>/<version>/    a manifest, and the files whose digests it lists

Adapters have a `manifest.json`; manifests of other models have names of their own.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Self

from shared.errors import SuiteError

VERSION = re.compile(r"\d+\.\d+\.\d+")
ADAPTER_MANIFEST = "manifest.json"
TRAINING_FILE = "training.json"
"""File with the duration and the machine of a version's trainings."""

log = logging.getLogger(__name__)


class NoModel(SuiteError):
    """There is no model of that name among the artefacts."""

    code = "no_model"


@dataclass(frozen=True)
class Manifest:
    """Description of one version of a model, stored as JSON beside its files.

    Subclasses add fields in the order of the file, and the class variables below.
    """

    FILE: ClassVar[str]
    FORMAT: ClassVar[int] = 1
    """The version of the file format that this code reads."""
    ERROR: ClassVar[type[SuiteError]]
    """Raised for a missing or damaged file of the model."""
    REMEDY: ClassVar[str] = "restore it from the release"
    REQUIRED: ClassVar[tuple[str, ...]] = ()
    """Files that every version has; `digests` may list more."""

    format: int
    name: str
    version: str

    @property
    def digests(self) -> Mapping[str, str]:
        """SHA-256 of each file of the model."""
        raise NotImplementedError

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the manifest in the folder of a version. Raises `ERROR` if it is unusable."""
        path = folder / cls.FILE
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            if values["format"] == cls.FORMAT:
                tuples = {
                    field.name: _with_tuples(str(field.type), values[field.name])
                    for field in fields(cls)
                    if field.name in values
                }
                return cls(**{**values, **tuples})
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise cls.ERROR(f"{path} can't be read ({error}); {cls.REMEDY}") from error
        raise cls.ERROR(
            f"{path} has format {values['format']!r}, this version reads {cls.FORMAT}; "
            f"install the release that it came with, or {cls.REMEDY}"
        )

    @classmethod
    def open_newest(cls, artefacts: Path, name: str) -> tuple[Path, Self]:
        """Return the folder of the newest version of a model, and its manifest.

        Raises NoModel if there is no version, and `ERROR` for a missing or damaged file.
        """
        folder = newest(artefacts, name, cls.FILE)
        manifest = cls.read(folder)
        manifest.check_files(folder)
        return folder, manifest

    def check_files(self, folder: Path) -> None:
        """Raise `ERROR` for a file that is missing, damaged, or without a digest."""
        for name in dict.fromkeys((*self.REQUIRED, *self.digests)):
            path = folder / name
            if not path.is_file() or sha256(path) != self.digests.get(name):
                raise self.ERROR(f"{path} is missing or damaged; {self.REMEDY}")

    def write(self, folder: Path) -> None:
        """Write the manifest in one step, after the other files."""
        partial = folder / f"{self.FILE}.partial"
        partial.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
        partial.replace(folder / self.FILE)


@dataclass(frozen=True)
class DigestManifest(Manifest):
    """A manifest with a table of digests."""

    sha256: Mapping[str, str]

    @property
    def digests(self) -> Mapping[str, str]:
        """SHA-256 of each file of the model."""
        return self.sha256


def _with_tuples(annotation: str, value: Any) -> Any:
    """Convert the lists of a JSON value to tuples where its field's annotation has tuples."""
    if annotation.startswith("tuple["):
        return tuple(value)
    if "tuple[" in annotation:
        return {key: tuple(items) for key, items in value.items()}
    return value


class OptionalModel(ABC):
    """A model that a service can do without."""

    NAME: ClassVar[str]
    FALLBACK: ClassVar[str]
    """What the service does without it, for the log."""

    @classmethod
    @abstractmethod
    def load(cls, artefacts: Path) -> Self:
        """Load the newest version. Raises NoModel without one, or the model's own error."""

    @classmethod
    def load_if_installed(cls, artefacts: Path) -> Self | None:
        """Load the newest version. Without the model's folder, log a warning and return None."""
        folder = artefacts / cls.NAME
        if not folder.is_dir():
            log.warning("%s: there is no folder %s", cls.FALLBACK, folder)
            return None
        return cls.load(artefacts)


def adapter_names(*folders: Path) -> list[str]:
    """Return the names of the adapters in some folders, which may be missing."""
    paths = (path for folder in folders for path in folder.glob(f"*/*/{ADAPTER_MANIFEST}"))
    return sorted({path.parents[1].name for path in paths if VERSION.fullmatch(path.parent.name)})


def newest(artefacts: Path, name: str, manifest: str) -> Path:
    """Return the folder of the newest version of a model that has the file `manifest`.

    Raises NoModel if there is none.
    """
    versions = [
        path.parent
        for path in (artefacts / name).glob(f"*/{manifest}")
        if VERSION.fullmatch(path.parent.name)
    ]
    if not versions:
        raise NoModel(
            f"there is no model {name!r} in {artefacts}: point SMALLPRINT_ARTEFACTS to the folder "
            "that came with the release"
        )
    return max(versions, key=lambda folder: tuple(map(int, folder.name.split("."))))


@dataclass(frozen=True)
class Training:
    """Measured duration of the trainings of a model."""

    seconds: float
    machine: str
    """The machine in words; empty if unknown."""


def training_of(artefacts: Path, name: str, version: str) -> Training | None:
    """Return the total duration of a model's trainings; None if it was not recorded."""
    try:
        record = json.loads((artefacts / name / version / TRAINING_FILE).read_text("utf-8"))
        seconds = float(sum(training["seconds"] for training in record["trainings"]))
        return Training(seconds, str(record.get("machine", "")))
    except (OSError, ValueError, LookupError, TypeError):
        return None


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
