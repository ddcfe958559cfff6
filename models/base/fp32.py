"""The reference for the served arithmetic: the base in fp32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from models.base.integer_graph import PARTS
from shared.artefacts.loader import sha256
from shared.inference.adapters import GRAPH_FILE, base_folder, load_adapter, newest_version
from shared.inference.engines import Int8
from shared.inference.integer import unpacked, widened
from shared.inference.weights import Array, read_weights


class PlainTagger(torch.nn.Module):
    """BertModel and a linear head: ids [windows, length] to logits [windows, length, labels]."""

    def __init__(self, bert: Any, head: Any) -> None:
        super().__init__()
        self.bert, self.head = bert, head

    def forward(self, ids: Any) -> Any:
        return self.head(self.bert(input_ids=ids).last_hidden_state)


def export_plain(artefacts: Path, name: str, path: Path) -> None:
    """Export the base and the newest adapter of a name in fp32 (`export_with`)."""
    folder = base_folder(artefacts)
    adapter_inputs = Int8(folder, threads=1).adapter_inputs
    adapter = newest_version(artefacts, name)
    _, loaded = load_adapter(adapter, sha256(folder / GRAPH_FILE), adapter_inputs)
    export_with(folder, loaded.parameters(), path)


def export_with(folder: Path, parameters: dict[str, Array], path: Path) -> None:
    """Export the base with an adapter in fp32, as BertModel with a linear head."""
    stored = read_weights(folder / GRAPH_FILE)
    state = plain_weights(stored, parameters)
    layers = 1 + max(int(name.split(".")[2]) for name in state if name.startswith("encoder."))
    words, width = state["embeddings.word_embeddings.weight"].shape
    bert = transformers.BertModel(
        transformers.BertConfig(
            vocab_size=words,
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=12,
            intermediate_size=state["encoder.layer.0.intermediate.dense.bias"].shape[0],
            max_position_embeddings=len(state["embeddings.position_embeddings.weight"]),
            layer_norm_eps=1e-12,
            attn_implementation="eager",
        ),
        add_pooling_layer=False,
    )
    bert.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()}, strict=False)
    head = torch.nn.Linear(width, parameters["head.bias"].shape[0])
    head.weight.data = torch.from_numpy(parameters["head.weight"].T.copy())
    head.bias.data = torch.from_numpy(parameters["head.bias"].copy())

    example = torch.randint(1000, 2000, (2, 256))
    with torch.no_grad():
        torch.onnx.export(
            PlainTagger(bert, head).eval(),
            (example,),
            str(path),
            dynamo=False,
            opset_version=17,
            input_names=["ids"],
            output_names=["logits"],
            dynamic_axes={"ids": {0: "windows", 1: "length"}},
        )


def plain_weights(stored: dict[str, Array], parameters: dict[str, Array]) -> dict[str, Array]:
    """Return the weights with the adapter in fp32, named as in transformers."""
    scales = stored["words.scales.half"].astype(np.float32)[..., None]
    rows, blocks, _ = scales.shape
    codes = unpacked(stored["words.codes"]).reshape(rows, blocks, -1).astype(np.float32)
    points = unpacked(stored["words.zero_points"]).reshape(rows, blocks, 1)
    positions = stored["positions.all"].copy()
    state: dict[str, Array] = {
        "embeddings.word_embeddings.weight": ((codes - points) * scales).reshape(rows, -1),
        "embeddings.position_embeddings.weight": positions,
        # the positions include the types
        "embeddings.token_type_embeddings.weight": np.zeros((2, positions.shape[1]), np.float32),
    }
    norms = {"first": "attention.output.LayerNorm", "second": "output.LayerNorm"}
    for name, value in stored.items():
        for kind in ("weight", "bias"):
            if name == f"embeddings.norm.{kind}":
                state[f"embeddings.LayerNorm.{kind}"] = value.copy()
            elif name.endswith((f".first.{kind}", f".second.{kind}")):
                _, layer, norm, _ = name.split(".")
                state[f"encoder.layer.{layer}.{norms[norm]}.{kind}"] = value.copy()
        if not (name.startswith("layers.") and name.endswith(".codes")):
            continue
        _, layer, part, _ = name.split(".")
        parts = ("query", "key", "value") if part == "qkv" else (part,)
        linear = name.removesuffix(".codes")
        matrices = np.split(widened(stored, linear), len(parts))
        biases = np.split(stored[f"{linear}.bias"], len(parts))
        for entry, matrix, bias in zip(parts, matrices, biases, strict=True):
            a, b = (parameters[f"layers.{layer}.{entry}.{door}"] for door in "AB")
            state[f"encoder.layer.{layer}.{PARTS[entry]}.weight"] = matrix + (a @ b).T
            state[f"encoder.layer.{layer}.{PARTS[entry]}.bias"] = bias.copy()
    return state
