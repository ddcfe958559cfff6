"""Which adapters there are, and whether each is whole and made for this base.

onnxruntime accepts a wrong version, an incomplete adapter or a foreign one without a word, so
everything is checked here against the `manifest.json` beside the adapter:

    artefacts/
      base-<first 12 hex digits of the graph's sha256>/   base.onnx, int8.onnx, tokenizer.json, …
      <name>/<version>/                                   adapter.onnx_adapter, manifest.json,
                                                          perhaps guarantee.npz and more

Those that were taught on this machine (`smallprint teach`) lie in a folder of their own, the same
way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from shared.artefacts import MANIFEST_FILE as MANIFEST_FILE
from shared.artefacts import VERSION, require_whole, sha256
from shared.artefacts import adapter_names as adapter_names
from shared.inference.engines import GRAPH_FILE as GRAPH_FILE
from shared.inference.engines import INTEGER_FILE as INTEGER_FILE
from shared.inference.errors import AdapterError, BaseError, MissingAdapter
from shared.inference.session import Adapter

FORMAT = 1
"""The version of the manifest that this code reads."""

ADAPTER_FILE = "adapter.onnx_adapter"
GUARANTEE_FILE = "guarantee.npz"
"""The calibration set, from which thresholds for a stated risk are taken."""
TOKENISER_FILE, PROVENANCE_FILE = "tokenizer.json", "provenance.json"
VIEWS = ("inside", "opening", "closing")
"""What a head may say of each label at a token: inside a passage, its first token, its last."""


@dataclass(frozen=True)
class Manifest:
    """What an adapter is, and how its numbers are to be read."""

    format: int
    name: str
    version: str
    base_sha256: str
    adapter_sha256: str
    rank: int
    parameters: Mapping[str, tuple[int, ...]]  # exact names and shapes
    labels: tuple[str, ...]
    window_length: int  # tokens, with the two special ones
    window_stride: int  # tokens
    licence: str
    decoding: Mapping[str, Any] = field(default_factory=dict)
    calibration: Mapping[str, Any] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)
    forests: Mapping[str, str] = field(default_factory=dict)  # name to sha256 of <name>.onnx
    columns: tuple[str, ...] = ()  # what the forests are told
    views: tuple[str, ...] = VIEWS[:1]  # what the head says of each label, in this order
    taught: Mapping[str, Any] = field(default_factory=dict)  # on what, by how many examples
    guarantee_sha256: str = ""  # of the calibration set, if it came with one
    files: Mapping[str, str] = field(default_factory=dict)  # name to sha256 of what else is needed


def read_manifest(path: Path) -> Manifest:
    """Read a manifest.

    Raises:
        AdapterError: it is missing, not JSON, of another format, or lacks a field.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise AdapterError(f"{path} is missing; export the adapter again") from None
    except (OSError, ValueError) as error:
        raise AdapterError(f"{path} can't be read ({error}); export the adapter again") from error
    found = values.get("format") if isinstance(values, dict) else None
    if found != FORMAT:
        raise AdapterError(
            f"{path} has format {found!r}, this version reads {FORMAT}; "
            "install the release that the adapter came with, or export it again"
        )
    try:
        values["parameters"] = {name: tuple(shape) for name, shape in values["parameters"].items()}
        values["labels"] = tuple(values["labels"])
        for name in ("columns", "views"):
            if name in values:
                values[name] = tuple(values[name])
        return Manifest(**values)
    except (KeyError, TypeError, AttributeError) as error:
        raise AdapterError(f"{path} is incomplete ({error}); export the adapter again") from error


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write a manifest so that a stop leaves a whole one or none."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(json.dumps(asdict(manifest), indent=1) + "\n", encoding="utf-8")
    partial.replace(path)


def base_folder(artefacts: Path) -> Path:
    """Return the folder of the one base among the artefacts.

    Raises:
        BaseError: there is none, or more than one.
    """
    found = sorted(path.parent for path in artefacts.glob(f"base-*/{GRAPH_FILE}"))
    if not found:
        raise BaseError(
            f"no base model in {artefacts} (expected base-<hash>/{GRAPH_FILE}); "
            "point SMALLPRINT_ARTEFACTS to the folder that came with the release"
        )
    if len(found) > 1:
        names = ", ".join(folder.name for folder in found)
        raise BaseError(f"more than one base model in {artefacts} ({names}); leave one of them")
    return found[0]


def labels_in(*folders: Path) -> frozenset[str]:
    """Return the labels of the adapters in some folders, which need not be there."""
    newest = [newest_version(f, name) for f in folders for name in adapter_names(f)]
    return frozenset(
        label for folder in newest for label in read_manifest(folder / MANIFEST_FILE).labels
    )


def newest_version(artefacts: Path, name: str) -> Path:
    """Return the folder of the newest version of an adapter.

    Raises:
        AdapterError: there is no adapter of that name, or two folders hold the same version.
    """
    folders = sorted(path.parent for path in (artefacts / name).glob(f"*/{MANIFEST_FILE}"))
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name) or not folders:
        known = ", ".join(adapter_names(artefacts)) or "none"
        raise AdapterError(f"there is no adapter named {name!r} in {artefacts}; there is: {known}")
    versions: dict[tuple[int, ...], Path] = {}
    for folder in folders:
        version = read_manifest(folder / MANIFEST_FILE).version
        if not VERSION.fullmatch(version):
            raise AdapterError(
                f"{folder}: version {version!r} is not of the form 1.2.3; export it again"
            )
        number = tuple(map(int, version.split(".")))
        if number in versions:
            raise AdapterError(
                f"{folder} and {versions[number]} both claim to be {name} {version}; remove one"
            )
        versions[number] = folder
    return versions[max(versions)]


def find_adapter(folders: Sequence[Path], name: str) -> Path:
    """Return the folder of the newest version of an adapter that lies in one of some folders.

    Raises:
        MissingAdapter: none has one of that name.
        AdapterError: more than one has, or two hold the same version.
    """
    having = [folder for folder in folders if name in adapter_names(folder)]
    if len(having) > 1:
        places = " and ".join(str(folder / name) for folder in having)
        raise AdapterError(
            f"two adapters claim the name {name!r}: {places}; remove the one that was taught here "
            f"with `smallprint teach --remove {name}`, and teach it under another name"
        )
    if having:
        return newest_version(having[0], name)
    known = ", ".join(adapter_names(*folders)) or "none"
    places = " or ".join(map(str, folders))
    raise MissingAdapter(f"there is no adapter named {name!r} in {places}; there is: {known}")


def load_adapter(
    folder: Path, base_sha256: str, doors: Mapping[str, tuple[int | str, ...]]
) -> tuple[Manifest, Adapter]:
    """Load the adapter in a folder, once everything about it has been verified.

    Args:
        folder: holds the adapter and its manifest, as `<name>/<version>`.
        base_sha256: of the base graph that is in memory.
        doors: the inputs of that graph which an adapter fills, with their shapes.

    Raises:
        AdapterError: it is damaged, incomplete, misnamed, or made for another base.
    """
    manifest = read_manifest(folder / MANIFEST_FILE)
    path = folder / ADAPTER_FILE
    if manifest.name != folder.parent.name:
        raise AdapterError(
            f"{folder} holds an adapter named {manifest.name!r}: two adapters would claim one "
            "name; move it to the folder of its own name"
        )
    if manifest.version != folder.name:
        raise AdapterError(
            f"{folder} holds version {manifest.version!r}; rename the folder or export it again"
        )
    if manifest.base_sha256 != base_sha256:
        raise AdapterError(
            f"{manifest.name} {manifest.version} was made for base {manifest.base_sha256[:12]}, "
            f"here is base {base_sha256[:12]}; train and export it on this base"
        )
    if not path.is_file():
        raise AdapterError(f"{path} is missing; export {manifest.name} again")
    if sha256(path) != manifest.adapter_sha256:
        raise AdapterError(f"{path} differs from what its manifest says; export it again")
    _check_shapes(manifest, doors)
    digests = {f"{name}.onnx": digest for name, digest in manifest.forests.items()}
    digests |= manifest.files
    if manifest.guarantee_sha256:
        digests[GUARANTEE_FILE] = manifest.guarantee_sha256
    require_whole(folder, digests, digests, AdapterError)
    adapter = Adapter(path)
    if adapter.shapes != dict(manifest.parameters):
        wrong = sorted(set(adapter.shapes.items()) ^ set(manifest.parameters.items()))
        raise AdapterError(f"{path} and its manifest disagree on {wrong[0][0]}; export it again")
    return manifest, adapter


def _check_shapes(manifest: Manifest, doors: Mapping[str, tuple[int | str, ...]]) -> None:
    """Compare the parameters, by name and shape, with what the base leaves open."""
    name = f"{manifest.name} {manifest.version}"
    missing, unknown = doors.keys() - manifest.parameters, manifest.parameters.keys() - doors.keys()
    if missing:
        raise AdapterError(f"{name} is incomplete: no {min(missing)}; export it again")
    if unknown:
        raise AdapterError(f"{name} has {min(unknown)}, which the base doesn't; export it again")
    sizes = {"rank": manifest.rank, "labels": len(manifest.labels) * len(manifest.views)}
    for door, shape in doors.items():
        expected = tuple(size if isinstance(size, int) else sizes[size] for size in shape)
        if manifest.parameters[door] != expected:
            raise AdapterError(
                f"{name}: {door} has shape {manifest.parameters[door]}, the base takes {expected}; "
                "export it again"
            )
