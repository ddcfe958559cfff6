"""A specialist in the format of `peft`, on the BERT of `transformers`: to take out and bring in.

    python -m models.peft_format --run var/fold0 --base var/base --out FOLDER

writes `adapter_config.json` and `adapter_model.safetensors`, which `PeftModel.from_pretrained` puts
on a `BertForTokenClassification` that carries the de-quantised base. The other way round,
`models.export --run FOLDER` ships an adapter that was trained with these two libraries. The loop of
`models.train` computes the same function; why it is our own is in infra/decisions.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from peft import LoraConfig, TaskType, get_peft_model
from safetensors.torch import load_file
from transformers import BertConfig, BertForTokenClassification

from models.encoder import shape_of

Floats = NDArray[np.float32]

PLACES = {
    "query": ("qkv", 0, "attention.self.query"),
    "key": ("qkv", 1, "attention.self.key"),
    "value": ("qkv", 2, "attention.self.value"),
    "attention_out": ("attention_out", 0, "attention.output.dense"),
    "inner": ("inner", 0, "intermediate.dense"),
    "outer": ("outer", 0, "output.dense"),
}
"""Each linear map of a layer: our module, its part of the stack, and the name that BERT has."""


def bert(weights: dict[str, torch.Tensor], labels: int) -> BertForTokenClassification:
    """Put the weights of a base (names as in `transformers`) into BERT with an empty head."""
    shape = shape_of(weights)
    words, positions = (
        weights[f"embeddings.{kind}_embeddings.weight"].shape[0] for kind in ("word", "position")
    )
    model = BertForTokenClassification(
        BertConfig(
            vocab_size=words,
            hidden_size=shape.width,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            intermediate_size=shape.inner,
            max_position_embeddings=positions,
            num_labels=labels,
        )
    )
    missing, unknown = model.bert.load_state_dict(weights, strict=False)
    if unknown or any("position_ids" not in name for name in missing):
        raise ValueError(f"not the weights of a BERT encoder: {[*missing, *unknown][:3]}")
    return model.eval()


def to_peft(state: dict[str, Floats], weights: dict[str, torch.Tensor]) -> Any:
    """Put a trained adapter (the state of `models.encoder.Tagger`) into a `PeftModel`."""
    rank = state["layers.0.qkv.a"].shape[1]
    model = get_peft_model(
        bert(weights, len(state["head.bias"])),
        LoraConfig(
            task_type=TaskType.TOKEN_CLS,
            r=rank,
            lora_alpha=rank,
            lora_dropout=0.0,
            target_modules=["query", "key", "value", "dense"],
        ),
    )
    inside = model.base_model.model
    with torch.no_grad():
        for layer in range(shape_of(weights).layers):
            for module, part, place in PLACES.values():
                lora = inside.get_submodule(f"bert.encoder.layer.{layer}.{place}")
                for matrix, weight in (("a", lora.lora_A), ("b", lora.lora_B)):
                    value = state[f"layers.{layer}.{module}.{matrix}"][part]
                    weight["default"].weight.copy_(torch.from_numpy(value))
        head = inside.classifier.modules_to_save["default"]
        head.weight.copy_(torch.from_numpy(state["head.weight"]))
        head.bias.copy_(torch.from_numpy(state["head.bias"]))
    return model.eval()


def from_peft(folder: Path) -> dict[str, Floats]:
    """Read an adapter that `peft` saved, as the state of `models.encoder.Tagger`.

    Raises:
        ValueError: it is not LoRA on every linear map with a head, or it scales in a way that the
            served graph does not (`lora_alpha` other than the rank is folded in).
    """
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    if config["peft_type"] != "LORA" or config.get("use_dora") or config.get("use_rslora"):
        raise ValueError(f"{folder} is not a plain LoRA adapter")
    scale = config["lora_alpha"] / config["r"]
    saved = load_file(folder / "adapter_model.safetensors")
    prefix = "base_model.model."
    found = {name.removeprefix(prefix): value.float().numpy() for name, value in saved.items()}
    layers = 1 + max(int(n.split(".")[3]) for n in found if n.startswith("bert.encoder.layer."))
    state = {
        "head.weight": found["classifier.weight"],
        "head.bias": found["classifier.bias"],
    }
    for layer in range(layers):
        for module in dict.fromkeys(module for module, _, _ in PLACES.values()):
            places = [place for m, _, place in PLACES.values() if m == module]
            try:
                both = [
                    [found[f"bert.encoder.layer.{layer}.{p}.lora_{m}.weight"] for p in places]
                    for m in ("A", "B")
                ]
            except KeyError as error:
                raise ValueError(f"{folder} lacks {error}: LoRA on every linear map") from None
            state[f"layers.{layer}.{module}.a"] = np.stack(both[0])
            state[f"layers.{layer}.{module}.b"] = np.stack(both[1]) * np.float32(scale)
    return state


def main() -> None:
    """Read the command line and write the folder."""
    parser = argparse.ArgumentParser(description="Write a trained adapter as peft does.")
    parser.add_argument("--run", type=Path, required=True, help="folder written by models.train")
    parser.add_argument("--base", type=Path, required=True, help="training weights of the base")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    state = {
        name: value.numpy()
        for name, value in load_file(arguments.run / "adapter.safetensors").items()
    }
    weights = load_file(arguments.base / "dequantised.safetensors")
    to_peft(state, weights).save_pretrained(arguments.out)
    print(arguments.out)


if __name__ == "__main__":
    main()
