"""Quantise a BERT encoder to INT4, for training adapters and for serving.

Every linear weight and the word embeddings become 4-bit codes in blocks of 32 along the input
dimension. Each block has a scale (rounded to fp16) and a 4-bit zero point. Biases, norms, position
and type embeddings stay in fp32.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

BLOCK = 32
LEVELS = 16
SHRINKAGES = np.linspace(1.0, 0.6, 17)  # how far the range of a block is narrowed, at most

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Quantised:
    """A matrix [rows, columns] as 4-bit codes: value = (code - zero_point) * scale, by block."""

    codes: NDArray[np.uint8]  # [rows, columns], 0 to 15
    scales: NDArray[np.float16]  # [rows, columns / BLOCK]
    zero_points: NDArray[np.uint8]  # [rows, columns / BLOCK], 0 to 15

    def dequantised(self) -> Floats:
        """Return the served matrix [rows, columns] in fp32."""
        rows, columns = self.codes.shape
        codes = self.codes.reshape(rows, -1, BLOCK).astype(np.float32)
        centred = codes - self.zero_points[:, :, None].astype(np.float32)
        values: Floats = centred * self.scales[:, :, None].astype(np.float32)
        return values.reshape(rows, columns)


def quantise(matrix: Floats) -> Quantised:
    """Quantise a matrix [rows, columns] with the least squared error for each block.

    A slightly narrower range clips the outermost value and makes all others finer. The best of a
    few ranges is chosen for each block.
    """
    rows, columns = matrix.shape
    blocks = matrix.reshape(rows, columns // BLOCK, BLOCK).astype(np.float32)
    low, high = np.minimum(blocks.min(2), 0.0), np.maximum(blocks.max(2), 0.0)
    best = np.full(low.shape, np.inf, dtype=np.float32)
    codes = np.zeros(blocks.shape, np.uint8)
    scales, zero_points = np.zeros(low.shape, np.float16), np.zeros(low.shape, np.uint8)
    for shrinkage in SHRINKAGES:
        scale = np.maximum((high - low) * shrinkage / (LEVELS - 1), 1e-6).astype(np.float16)
        step = scale.astype(np.float32)
        zero = np.clip(np.round(-low * shrinkage / step), 0, LEVELS - 1).astype(np.uint8)
        shifted = np.round(blocks / step[:, :, None]) + zero[:, :, None]
        code = np.clip(shifted, 0, LEVELS - 1).astype(np.uint8)
        restored = (code.astype(np.float32) - zero[:, :, None]) * step[:, :, None]
        error = ((restored - blocks) ** 2).sum(2)
        better = error < best
        best[better] = error[better]
        codes[better] = code[better]
        scales[better], zero_points[better] = scale[better], zero[better]
    return Quantised(codes.reshape(rows, columns), scales, zero_points)


def is_quantised(name: str) -> bool:
    """Return whether the weight of this name has 4 bits."""
    return name == "embeddings.word_embeddings.weight" or (
        name.startswith("encoder.layer.") and name.endswith(".weight") and "LayerNorm" not in name
    )


def encoder_weights(folder: Path) -> dict[str, Floats]:
    """Read the encoder's weights (no pooler) from `model.safetensors` in a folder."""
    weights = load_file(folder / "model.safetensors")
    return {
        name: np.asarray(value, dtype=np.float32)
        for name, value in weights.items()
        if name.startswith(("embeddings.", "encoder.")) and value.dtype.kind == "f"
    }


def quantised_weights(weights: Mapping[str, Floats]) -> dict[str, Floats | Quantised]:
    """Quantise the large weights and return the others unchanged."""
    return {
        name: quantise(value) if is_quantised(name) else value for name, value in weights.items()
    }


def dequantised_weights(weights: Mapping[str, Floats | Quantised]) -> dict[str, Floats]:
    """Return the served weights in fp32."""
    return {
        name: np.ascontiguousarray(value.dequantised() if isinstance(value, Quantised) else value)
        for name, value in weights.items()
    }
