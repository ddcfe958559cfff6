"""Find adapters, and verify that each is complete and made for this base.

onnxruntime accepts a wrong version, an incomplete adapter or a foreign one without an error, so
everything is checked against the manifest:

    artefacts/
      base-<first 12 hex digits of the graph's sha256>/   base.onnx, int8.onnx, tokenizer.json, …
      <name>/<version>/                                   adapter.onnx_adapter, manifest.json,
                                                          perhaps guarantee.npz and more

Adapters taught on this machine (`smallprint teach`) are in another folder with the same layout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.artefacts.loader import ADAPTER_MANIFEST, Manifest, adapter_names, newest
from shared.inference.engines import GRAPH_FILE as GRAPH_FILE
from shared.inference.engines import INTEGER_FILE as INTEGER_FILE
from shared.inference.errors import AdapterError, BaseError, MissingAdapter
from shared.inference.session import Adapter

ADAPTER_FILE = "adapter.onnx_adapter"
GUARANTEE_FILE = "guarantee.npz"
"""The calibration set for thresholds of a stated risk."""
TOKENISER_FILE, PROVENANCE_FILE = "tokenizer.json", "provenance.json"
VIEWS = ("inside", "opening", "closing")
"""Outputs of a head for each label at a token: inside a passage, its first token, its last."""


@dataclass(frozen=True)
class AdapterManifest(Manifest):
    """Description of an adapter."""

    FILE = ADAPTER_MANIFEST
    ERROR = AdapterError
    REMEDY = "export the adapter again"

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
    columns: tuple[str, ...] = ()  # inputs of the forests
    views: tuple[str, ...] = VIEWS[:1]  # outputs of the head for each label, in this order
    taught: Mapping[str, Any] = field(default_factory=dict)  # facts about the examples
    guarantee_sha256: str = ""  # of the calibration set, if there is one
    files: Mapping[str, str] = field(default_factory=dict)  # name to sha256 of other files

    @property
    def digests(self) -> Mapping[str, str]:
        guarantee = {GUARANTEE_FILE: self.guarantee_sha256} if self.guarantee_sha256 else {}
        forests = {f"{name}.onnx": digest for name, digest in self.forests.items()}
        return {ADAPTER_FILE: self.adapter_sha256, **forests, **self.files, **guarantee}


def base_folder(artefacts: Path) -> Path:
    """Return the folder of the only base. Raises BaseError if there is none, or more than one."""
    folders = sorted(path.parent for path in artefacts.glob(f"base-*/{GRAPH_FILE}"))
    if not folders:
        raise BaseError(
            f"no base model in {artefacts} (expected base-<hash>/{GRAPH_FILE}); "
            "point SMALLPRINT_ARTEFACTS to the folder that came with the release"
        )
    if len(folders) > 1:
        names = ", ".join(folder.name for folder in folders)
        raise BaseError(f"more than one base model in {artefacts} ({names}); leave one of them")
    return folders[0]


def labels_in(*folders: Path) -> frozenset[str]:
    """Return the labels of the adapters in some folders, which may be missing."""
    versions = [newest_version(f, name) for f in folders for name in adapter_names(f)]
    return frozenset(label for folder in versions for label in AdapterManifest.read(folder).labels)


def newest_version(artefacts: Path, name: str) -> Path:
    """Return the folder of the newest version of an adapter. Raises MissingAdapter."""
    return find_adapter([artefacts], name)


def find_adapter(folders: Sequence[Path], name: str) -> Path:
    """Return the folder of the newest version of an adapter, searched in some folders.

    Raises:
        MissingAdapter: no folder has it.
        AdapterError: two folders have it.
    """
    places = [folder for folder in folders if name in adapter_names(folder)]
    if len(places) > 1:
        both = " and ".join(str(folder / name) for folder in places)
        raise AdapterError(
            f"two adapters claim the name {name!r}: {both}; remove the one that was taught here "
            f"with `smallprint teach remove {name}`, and teach it under another name"
        )
    if places:
        return newest(places[0], name, AdapterManifest.FILE)
    names = ", ".join(adapter_names(*folders)) or "none"
    raise MissingAdapter(f"There is no specialist {name!r}. Installed: {names}.")


def load_adapter(
    folder: Path, base_sha256: str, adapter_inputs: Mapping[str, tuple[int | str, ...]]
) -> tuple[AdapterManifest, Adapter]:
    """Verify and load the adapter in a folder.

    Args:
        folder: `<name>/<version>` with the adapter and its manifest.
        base_sha256: of the base graph in memory.
        adapter_inputs: inputs of that graph for an adapter, with shapes.

    Raises:
        AdapterError: it is damaged, incomplete, misnamed, or made for another base.
    """
    manifest = AdapterManifest.read(folder)
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
    manifest.check_files(folder)
    _check_shapes(manifest, adapter_inputs)
    path = folder / ADAPTER_FILE
    adapter = Adapter(path)
    if adapter.shapes != dict(manifest.parameters):
        wrong = sorted(set(adapter.shapes.items()) ^ set(manifest.parameters.items()))
        raise AdapterError(f"{path} and its manifest disagree on {wrong[0][0]}; export it again")
    return manifest, adapter


def _check_shapes(
    manifest: AdapterManifest, adapter_inputs: Mapping[str, tuple[int | str, ...]]
) -> None:
    """Compare the parameters, by name and shape, with the inputs of the base."""
    name = f"{manifest.name} {manifest.version}"
    missing, unknown = (
        adapter_inputs.keys() - manifest.parameters,
        manifest.parameters.keys() - adapter_inputs.keys(),
    )
    if missing:
        raise AdapterError(f"{name} is incomplete: no {min(missing)}; export it again")
    if unknown:
        raise AdapterError(f"{name} has {min(unknown)}, which the base doesn't; export it again")
    sizes = {"rank": manifest.rank, "labels": len(manifest.labels) * len(manifest.views)}
    for input_name, shape in adapter_inputs.items():
        expected = tuple(size if isinstance(size, int) else sizes[size] for size in shape)
        if manifest.parameters[input_name] != expected:
            raise AdapterError(
                f"{name}: {input_name} has shape {manifest.parameters[input_name]}, the base takes "
                f"{expected}; export it again"
            )
