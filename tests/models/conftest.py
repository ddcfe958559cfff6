"""A small encoder and two small contracts of our own, to train on in seconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.files import write_lines
from tests.models.builders import note, toml
from tests.support import library

WIDTH, INNER, LAYERS = 192, 384, 2
LETTERS = "abcdefghijklmnopqrstuvwxyz"
SPECIAL = ["[PAD]", *(f"[unused{i}]" for i in range(99)), "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCABULARY = [*SPECIAL, *LETTERS, *(f"##{letter}" for letter in LETTERS), *"0123456789.,;:()"]

LAW = (
    "Jazz quiz zax jux quiz zax."  # letters that the filler lacks, so that little has to be learned
)
PAY = "77 88 99 coins 77 88 99."
FILLER = "Then the other part says little of note."

SETTINGS: dict[str, dict[str, Any]] = {
    "data": {"training": "contracts.jsonl.gz", "licence": "ours"},
    "windows": {"length": 34, "stride": 24, "empty": 0.5},
    "adapter": {"rank": 4},
    "training": {
        "epochs": 12.0, "batch": 2, "learning_rate": 4.0e-3, "warmup": 0.1, "dropout": 0.1,
        "positive_weight": 3.0, "edges": 1.0, "edge_positive_weight": 10.0, "clip": 1.0,
        "number_type": "float32", "checkpoint_every": 0, "seed": 1,
    },
    "decoding": {},
}  # fmt: skip
CONFIG = toml(**SETTINGS)
LABELS = ["Law", "Pay"]


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random BERT of two layers and a tokeniser of single letters."""
    safetensors = library("safetensors.numpy")
    folder = tmp_path_factory.mktemp("model")
    draw = np.random.default_rng(0)

    def normal(*shape: int) -> np.ndarray:
        return draw.normal(0, 0.08, shape).astype(np.float32)

    weights = {
        "embeddings.word_embeddings.weight": normal(len(VOCABULARY), WIDTH),
        "embeddings.position_embeddings.weight": normal(64, WIDTH),
        "embeddings.token_type_embeddings.weight": normal(2, WIDTH),
        "embeddings.LayerNorm.weight": 1 + normal(WIDTH),
        "embeddings.LayerNorm.bias": normal(WIDTH),
    }
    shapes = {
        "attention.self.query": (WIDTH, WIDTH),
        "attention.self.key": (WIDTH, WIDTH),
        "attention.self.value": (WIDTH, WIDTH),
        "attention.output.dense": (WIDTH, WIDTH),
        "intermediate.dense": (INNER, WIDTH),
        "output.dense": (WIDTH, INNER),
    }
    for path in (f"encoder.layer.{layer}" for layer in range(LAYERS)):
        for name, shape in shapes.items():
            weights[f"{path}.{name}.weight"] = normal(*shape)
            weights[f"{path}.{name}.bias"] = normal(shape[0])
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            weights[f"{path}.{name}.weight"] = 1 + normal(WIDTH)
            weights[f"{path}.{name}.bias"] = normal(WIDTH)
    safetensors.save_file(weights, folder / "model.safetensors")
    tokeniser: dict[str, object] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": None,
        "decoder": None,
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {token: i for i, token in enumerate(VOCABULARY)},
        },
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokeniser), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two contracts in two folds, written by ourselves."""
    folder = tmp_path_factory.mktemp("data")
    filler = " ".join([FILLER] * 12)
    records = []
    for fold, text in enumerate(
        (f"{filler} {LAW} {filler} {PAY}", f"{PAY} {filler} {LAW} {filler}")
    ):
        notes = [note("Law", text, LAW), note("Pay", text, PAY)]
        record = {"id": f"c{fold}", "fold": fold, "family": f"f{fold}", "text": text}
        records.append(record | {"annotations": notes})
    write_lines(folder / "contracts.jsonl.gz", records)
    return folder


@pytest.fixture(scope="session")
def base(model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The small base: (artefacts folder with its graph, folder of the training weights)."""
    library("onnx")
    from models.base.build import write_base

    folder = tmp_path_factory.mktemp("base")
    write_base(model, folder / "artefacts", folder / "training")
    return folder / "artefacts", folder / "training"
