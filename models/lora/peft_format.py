"""Convert an adapter to the format of `peft` on BERT of `transformers`, and back.

    python -m models.lora.peft_format --run var/fold0 --base var/base --out FOLDER

writes `adapter_config.json` and `adapter_model.safetensors` for `PeftModel.from_pretrained` with a
`BertForTokenClassification` on the de-quantised base. `models.lora.export --run FOLDER` ships an
adapter that was trained with these two libraries. docs/explanation/decisions/int4-base.md says why
`models.lora.train` has its own loop.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from peft import LoraConfig, TaskType, get_peft_model
from safetensors.torch import load_file
from transformers import BertConfig, BertForTokenClassification

from models.files import WEIGHTS_FILE, command, read_json
from models.lora.encoder import shape_of

Floats = NDArray[np.float32]

PLACES = {
    "query": ("qkv", 0, "attention.self.query"),
    "key": ("qkv", 1, "attention.self.key"),
    "value": ("qkv", 2, "attention.self.value"),
    "attention_out": ("attention_out", 0, "attention.output.dense"),
    "inner": ("inner", 0, "intermediate.dense"),
    "outer": ("outer", 0, "output.dense"),
}
"""Each linear map of a layer: our module, its part of the stack, and BERT's name."""


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
    """Put a trained adapter (the state of `models.lora.encoder.Tagger`) into a `PeftModel`."""
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
            for module, part, name in PLACES.values():
                lora = inside.get_submodule(f"bert.encoder.layer.{layer}.{name}")
                for matrix, weight in (("a", lora.lora_A), ("b", lora.lora_B)):
                    value = state[f"layers.{layer}.{module}.{matrix}"][part]
                    weight["default"].weight.copy_(torch.from_numpy(value))
        head = inside.classifier.modules_to_save["default"]
        head.weight.copy_(torch.from_numpy(state["head.weight"]))
        head.bias.copy_(torch.from_numpy(state["head.bias"]))
    return model.eval()


def from_peft(folder: Path) -> dict[str, Floats]:
    """Read an adapter saved by `peft`, as the state of `models.lora.encoder.Tagger`.

    Raises:
        ValueError: it is not LoRA on every linear map with a head, or it has a scaling that the
            served graph lacks (`lora_alpha` other than the rank is folded in).
    """
    config = read_json(folder / "adapter_config.json")
    if config["peft_type"] != "LORA" or config.get("use_dora") or config.get("use_rslora"):
        raise ValueError(f"{folder} is not a plain LoRA adapter")
    scale = config["lora_alpha"] / config["r"]
    saved = load_file(folder / "adapter_model.safetensors")
    prefix = "base_model.model."
    result = {name.removeprefix(prefix): value.float().numpy() for name, value in saved.items()}
    layers = 1 + max(int(n.split(".")[3]) for n in result if n.startswith("bert.encoder.layer."))
    state = {"head.weight": result["classifier.weight"], "head.bias": result["classifier.bias"]}
    for layer in range(layers):
        for module in dict.fromkeys(module for module, _, _ in PLACES.values()):
            places = [place for m, _, place in PLACES.values() if m == module]
            for matrix, times in (("A", 1.0), ("B", scale)):
                names = [f"bert.encoder.layer.{layer}.{p}.lora_{matrix}.weight" for p in places]
                if missing := [name for name in names if name not in result]:
                    raise ValueError(f"{folder} lacks {missing[0]}: LoRA on every linear map")
                value = np.stack([result[name] for name in names]) * np.float32(times)
                state[f"layers.{layer}.{module}.{matrix.lower()}"] = value
    return state


def main() -> None:
    """Read the command line and write the folder."""
    parser = command(__doc__, "--base")
    parser.add_argument("--run", type=Path, required=True, help="folder of a training")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    state = load_file(arguments.run / "adapter.safetensors")
    weights = load_file(arguments.base / WEIGHTS_FILE)
    to_peft({name: value.numpy() for name, value in state.items()}, weights).save_pretrained(
        arguments.out
    )
    print(arguments.out)


if __name__ == "__main__":
    main()
