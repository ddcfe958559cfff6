"""The quantised numbers: near the original, and the same on paper, in torch and in the graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support import library

library("safetensors")
library("torch")
library("onnx")

import torch

from models.base.quantise import dequantised_weights, encoder_weights, quantise, quantised_weights
from tests.models.conftest import INNER, LAYERS, VOCABULARY, WIDTH

pytestmark = pytest.mark.training


def test_codes_are_four_bits_and_near() -> None:
    """Every code fits 4 bits, and the error is that of 16 levels over three standard deviations."""
    matrix = np.random.default_rng(0).normal(0, 1, (64, 96)).astype(np.float32)
    quantised = quantise(matrix)
    assert quantised.codes.max() <= 15
    assert quantised.scales.shape == (64, 3)
    error = np.sqrt(np.mean((quantised.dequantised() - matrix) ** 2))
    assert 0.02 < error < 0.1


def test_a_block_of_zeros_stays_zero() -> None:
    assert not quantise(np.zeros((2, 64), np.float32)).dequantised().any()


def test_the_graph_answers_like_transformers(model: Path, base: tuple[Path, Path]) -> None:
    """Hidden states of the bare INT4 graph equal BertModel's with the de-quantised weights."""
    transformers = library("transformers")
    from shared.inference.adapters import base_folder
    from shared.inference.session import Session

    weights = dequantised_weights(quantised_weights(encoder_weights(model)))
    shape = transformers.BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        intermediate_size=INNER,
        max_position_embeddings=64,
    )
    bert = transformers.BertModel(shape, add_pooling_layer=False).eval()
    state = {name: torch.from_numpy(value) for name, value in weights.items()}
    missing = bert.load_state_dict(state, strict=False)
    assert not missing.unexpected_keys
    assert not [name for name in missing.missing_keys if "position_ids" not in name]

    ids = torch.randint(0, len(VOCABULARY), (3, 40), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = bert(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
    session = Session(base_folder(base[0]) / "base.onnx", threads=1)
    (hidden,) = session.run(["hidden"], ids.numpy())
    assert np.abs(hidden - expected.numpy()).max() < 1e-4
