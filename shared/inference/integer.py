"""Convert INT4 weights to INT8 in memory: widen, add an adapter, quantise the sum.

Each row of a matrix (an output of the layer) has one scale, and codes from -127 to 127. Processors
without VNNI add pairs of products u8 * s8 in 16 bits, which overflow. `session.overflows` detects
them, and u8 * u8 is used instead, so all processors get the same integers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from shared.inference.weights import Array, Floats

LARGEST = 127
"""The largest INT8 code of a weight."""

FIXED = re.compile(
    r"words\.codes|words\.zero_points|positions\.all"
    r"|(embeddings\.norm|layers\.\d+\.(first|second))\.(weight|bias)"
)
"""Weights that the INT8 graph takes as on disk."""

LINEAR = re.compile(r"(layers\.\d+\.\w+)\.codes")
"""The codes of a linear map."""

STACKED = ("query", "key", "value")
"""The parts of the matrix `qkv` on disk."""


def unpacked(nibbles: Array) -> Array:
    """Return 4-bit codes [..., 2 n] from bytes [..., n], the first in the low half."""
    halves = np.stack([nibbles & 15, nibbles >> 4], axis=-1)
    return halves.reshape(*nibbles.shape[:-1], -1)


def widened(stored: Mapping[str, Array], name: str) -> Floats:
    """Return a matrix [rows, columns] from its 4-bit codes, scales and zero points."""
    codes = unpacked(stored[f"{name}.codes"]).astype(np.float32)  # [rows, blocks, block]
    rows, blocks, _ = codes.shape
    codes -= unpacked(stored[f"{name}.zero_points"]).reshape(rows, blocks, 1)
    codes *= stored[f"{name}.scales.half"].reshape(rows, blocks, 1).astype(np.float32)
    return codes.reshape(rows, -1)


def narrowed(matrix: Floats) -> tuple[Array, Floats]:
    """Quantise a matrix [rows, columns]: codes [columns, rows] in INT8, and scales [rows]."""
    scales = np.maximum(np.abs(matrix).max(1), np.float32(1e-12)) / np.float32(LARGEST)
    codes = np.rint(matrix / scales[:, None]).astype(np.int8)
    return np.ascontiguousarray(codes.T), scales


def fixed_weights(stored: Mapping[str, Array]) -> dict[str, Array]:
    """Return the weights that no adapter changes: embeddings and layer norms."""
    fixed = {
        name: value.copy()  # for alignment
        for name, value in stored.items()
        if FIXED.fullmatch(name)
    }
    return {**fixed, "words.scales": stored["words.scales.half"].astype(np.float32)}


def merged_weights(
    stored: Mapping[str, Array], parameters: Mapping[str, Floats]
) -> dict[str, Array]:
    """Return the linear maps in INT8 with an adapter added: W + (A B) transposed.

    Only one matrix at a time is in memory at full width.

    Args:
        stored: the weights of `base.onnx`.
        parameters: of an adapter, by name; missing ones add nothing.
    """
    result: dict[str, Array] = {}
    for name in (linear[1] for linear in map(LINEAR.fullmatch, stored) if linear):
        layer, part = name.rsplit(".", 1)
        parts = STACKED if part == "qkv" else (part,)
        matrices = np.split(widened(stored, name), len(parts))
        biases = np.split(stored[f"{name}.bias"], len(parts))
        for part_name, matrix, bias in zip(parts, matrices, biases, strict=True):
            path = f"{layer}.{part_name}"
            if f"{path}.A" in parameters:
                matrix += (parameters[f"{path}.A"] @ parameters[f"{path}.B"]).T
            result[f"{path}.codes"], result[f"{path}.scales"] = narrowed(matrix)
            result[f"{path}.bias"] = np.array(bias)
    return result


def adapter_inputs(stored: Mapping[str, Array]) -> dict[str, tuple[int | str, ...]]:
    """Return the inputs for an adapter with shapes; open sizes are names.

    In the file these are weights with an axis of size zero: the rank, or the labels of the head.
    """
    return {
        name: tuple(
            size or ("labels" if name.startswith("head.") else "rank") for size in value.shape
        )
        for name, value in stored.items()
        if 0 in value.shape
    }
