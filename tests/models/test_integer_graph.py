"""The INT8 graph of a small base: written beside it, and near to the INT4 graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support import library

library("safetensors")
library("onnx")

from models.base.integer_graph import build_integer, sizes_of
from models.files import read_json
from shared.artefacts.loader import sha256
from shared.inference.adapters import base_folder
from shared.inference.engines import Int4, Int8
from shared.inference.session import PRODUCT, Adapter, write_adapter
from shared.inference.weights import read_weights

pytestmark = pytest.mark.training


def adapter_for(folder: Path, path: Path) -> Adapter:
    """An adapter of rank 2 and three labels, drawn at random, for the base in a folder."""
    draw = np.random.default_rng(3)
    sizes = {"rank": 2, "labels": 3}
    parameters = {
        name: draw.normal(0, 0.1, [n if isinstance(n, int) else sizes[n] for n in shape]).astype(
            np.float32
        )
        for name, shape in Int8(folder, threads=1).adapter_inputs.items()
    }
    write_adapter(path, parameters, version=1)
    return Adapter(path)


def test_int8_answers_like_int4_with_the_adapter_apart(
    base: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = base_folder(base[0])
    adapter = adapter_for(folder, tmp_path / "adapter")
    ids = np.random.default_rng(4).integers(5, 120, (3, 40))
    outputs = ["logits", "hidden"]
    expected = Int4(folder, threads=1).specialise(adapter)(outputs, ids)
    found = Int8(folder, threads=2).specialise(adapter)(outputs, ids)
    for one, other in zip(expected, found, strict=True):
        assert one.shape == other.shape
        assert np.abs(one - other).mean() < 0.05 * one.std()


def test_weights_are_read_as_onnx_reads_them(base: tuple[Path, Path]) -> None:
    """Every weight that is not 4-bit, bit for bit."""
    onnx = library("onnx")
    path = base_folder(base[0]) / "base.onnx"
    stored = read_weights(path)
    tensors = onnx.load(path).graph.initializer
    assert stored.keys() == {tensor.name for tensor in tensors}
    for tensor in tensors:
        if tensor.data_type != onnx.TensorProto.UINT4:
            expected = onnx.numpy_helper.to_array(tensor)
            assert np.array_equal(stored[tensor.name], expected)
            assert stored[tensor.name].dtype == expected.dtype


def test_the_graph_is_small_and_its_hash_is_noted(base: tuple[Path, Path]) -> None:
    folder = base_folder(base[0])
    path = folder / "int8.onnx"
    sizes = sizes_of(read_weights(folder / "base.onnx"))
    assert (sizes.layers, sizes.width, sizes.inner) == (2, 192, 384)
    assert path.stat().st_size < 30_000
    assert path.read_bytes() == build_integer(sizes).SerializeToString(deterministic=True)
    assert read_json(folder / "provenance.json")["int8_sha256"] == sha256(path)


def test_the_product_that_finds_overflow_is_the_graph_of_onnx() -> None:
    helper = library("onnx").helper
    values = [
        helper.make_tensor_value_info(name, kind, shape)
        for name, kind, shape in (("a", 2, [1, 8]), ("b", 3, [8, 1]), ("y", 6, [1, 1]))
    ]
    node = helper.make_node("MatMulInteger", ["a", "b"], ["y"])
    model = helper.make_model(
        helper.make_graph([node], "g", values[:2], values[2:]),
        opset_imports=[helper.make_opsetid("", 21)],
        ir_version=10,
    )
    assert model.SerializeToString(deterministic=True) == PRODUCT
