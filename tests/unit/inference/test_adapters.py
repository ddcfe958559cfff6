"""An adapter that is incomplete, misnamed or for another base is refused with a clear message."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from shared.inference import AdapterError, Specialists
from shared.inference.session import write_adapter

NAME = "contract-clauses"


def get(copied: Path) -> None:
    Specialists(copied.parents[1], threads=1).get(NAME)


def fields(copied: Path) -> dict[str, object]:
    values: dict[str, object] = json.loads((copied / "manifest.json").read_text(encoding="utf-8"))
    return values


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "format 2, this version reads 1"),
        ({"base_sha256": "f" * 64}, "was made for base ffffffffffff"),
        ({"adapter_sha256": "0" * 64}, r"adapter\.onnx_adapter is missing or damaged"),
        ({"name": "another"}, "two adapters would claim one name"),
        ({"version": "1.0"}, "rename the folder"),
        ({"version": "77.0.0"}, "rename the folder"),
        ({"labels": ["One"]}, "has shape"),
        ({"rank": 3}, "has shape"),
        ({"unknown": 1}, "unexpected keyword argument 'unknown'"),
    ],
)
def test_a_wrong_manifest_is_refused(
    copied: Path, rewrite: Callable[..., None], change: dict[str, object], message: str
) -> None:
    rewrite(**change)
    with pytest.raises(AdapterError, match=message):
        get(copied)


def test_a_missing_field_is_named(copied: Path) -> None:
    values = fields(copied)
    del values["labels"]
    (copied / "manifest.json").write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(AdapterError, match="labels"):
        get(copied)


def test_a_manifest_that_is_not_json_is_refused(copied: Path) -> None:
    path = copied / "manifest.json"
    path.write_text(path.read_text(encoding="utf-8")[:100], encoding="utf-8")
    with pytest.raises(AdapterError, match="can't be read"):
        get(copied)


def test_an_incomplete_adapter_is_refused(copied: Path, rewrite: Callable[..., None]) -> None:
    shapes = dict(fields(copied)["parameters"])  # type: ignore[call-overload]
    del shapes["head.bias"]
    rewrite(parameters=shapes)
    with pytest.raises(AdapterError, match=r"incomplete: no head\.bias"):
        get(copied)


def test_an_adapter_with_a_foreign_parameter_is_refused(
    copied: Path, rewrite: Callable[..., None]
) -> None:
    shapes = dict(fields(copied)["parameters"])  # type: ignore[call-overload]
    rewrite(parameters=shapes | {"layers.77.outer.A": [1, 1]})
    with pytest.raises(AdapterError, match=r"layers\.77\.outer\.A, which the base doesn't"):
        get(copied)


def test_a_file_that_lacks_what_its_manifest_promises_is_refused(
    copied: Path, rewrite: Callable[..., None]
) -> None:
    path = copied / "adapter.onnx_adapter"
    write_adapter(path, {"head.bias": np.zeros(41, np.float32)}, version=1)
    rewrite(adapter_sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(AdapterError, match="disagree"):
        get(copied)


def test_a_missing_file_is_refused(copied: Path) -> None:
    (copied / "adapter.onnx_adapter").unlink()
    with pytest.raises(AdapterError, match=r"adapter\.onnx_adapter is missing"):
        get(copied)


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"words")])
def test_what_else_an_adapter_needs_is_verified(
    copied: Path, damage: Callable[[Path], object]
) -> None:
    assert "words.npz" in Specialists(copied.parents[1], threads=1).get(NAME).files
    damage(copied / "words.npz")
    with pytest.raises(AdapterError, match=r"words\.npz"):
        get(copied)


def test_a_folder_that_is_not_a_version_is_ignored(copied: Path) -> None:
    get(copied)
    shutil.copytree(copied, copied.with_name("copy"))
    get(copied)


@pytest.mark.parametrize("name", ["nobody", "../contract-clauses", ""])
def test_an_unknown_name_lists_the_known_ones(copied: Path, name: str) -> None:
    with pytest.raises(AdapterError, match=f"Installed: {NAME}"):
        Specialists(copied.parents[1], threads=1).get(name)
