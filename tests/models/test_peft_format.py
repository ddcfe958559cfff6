"""A specialist goes out to `peft` and comes back, and answers the same on either side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support import library

torch = library("torch")
peft = library("peft")
library("transformers")

from models.encoder import Tagger
from models.export import trained_state
from models.peft_format import bert, from_peft, to_peft

pytestmark = pytest.mark.training

WORDS, WIDTH, INNER, LABELS, RANK = 50, 24, 48, 3, 4


def weights() -> dict[str, Any]:
    """A tiny base of two layers, drawn at random."""
    generator = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> Any:
        return torch.randn(*shape, generator=generator) * 0.2

    tiny = {
        "embeddings.word_embeddings.weight": draw(WORDS, WIDTH),
        "embeddings.position_embeddings.weight": draw(16, WIDTH),
        "embeddings.token_type_embeddings.weight": draw(2, WIDTH),
        "embeddings.LayerNorm.weight": 1 + draw(WIDTH),
        "embeddings.LayerNorm.bias": draw(WIDTH),
    }
    for i in range(2):
        layer = f"encoder.layer.{i}."
        sizes = {
            "attention.self.query": (WIDTH, WIDTH),
            "attention.self.key": (WIDTH, WIDTH),
            "attention.self.value": (WIDTH, WIDTH),
            "attention.output.dense": (WIDTH, WIDTH),
            "intermediate.dense": (INNER, WIDTH),
            "output.dense": (WIDTH, INNER),
        }
        for name, (rows, columns) in sizes.items():
            tiny[f"{layer}{name}.weight"] = draw(rows, columns)
            tiny[f"{layer}{name}.bias"] = draw(rows)
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            tiny[f"{layer}{name}.weight"] = 1 + draw(WIDTH)
            tiny[f"{layer}{name}.bias"] = draw(WIDTH)
    return tiny


def trained(base: dict[str, Any]) -> Tagger:
    """A tagger whose adapter does something."""
    torch.manual_seed(2)
    tagger = Tagger(base, RANK, LABELS)
    with torch.no_grad():
        for name, value in tagger.named_parameters():
            if name.endswith(".b"):
                value.normal_(std=0.2)
    return tagger


def test_peft_and_transformers_compute_what_is_trained(tmp_path: Path) -> None:
    """Saved by peft and loaded by peft, the adapter gives our logits to five digits."""
    base = weights()
    tagger = trained(base)
    state = {name: value.numpy() for name, value in tagger.state_dict().items()}
    to_peft(state, base).save_pretrained(tmp_path)
    theirs = peft.PeftModel.from_pretrained(bert(base, LABELS), tmp_path).eval()
    ids = torch.randint(0, WORDS, (4, 12), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        ours = tagger(ids)
        assert torch.allclose(ours, theirs(ids).logits, atol=1e-5)
        plain = bert(base, LABELS)(ids).logits
    assert not torch.allclose(ours, plain, atol=0.1)  # the adapter matters


def test_an_adapter_of_peft_comes_back(tmp_path: Path) -> None:
    """What peft saved is read to the same matrices, also by `models.export`."""
    base = weights()
    state = {name: value.numpy() for name, value in trained(base).state_dict().items()}
    to_peft(state, base).save_pretrained(tmp_path)
    for read in (from_peft(tmp_path), trained_state(tmp_path)):
        assert read.keys() == state.keys()
        assert all(np.array_equal(read[name], state[name]) for name in state)


def test_another_kind_of_adapter_is_refused(tmp_path: Path) -> None:
    """LoRA on fewer maps than the graph has doors for is named, not half shipped."""
    base = weights()
    model = peft.get_peft_model(
        bert(base, LABELS),
        peft.LoraConfig(task_type="TOKEN_CLS", r=2, lora_alpha=2, target_modules=["query"]),
    )
    model.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"lacks .*LoRA on every linear map"):
        from_peft(tmp_path)
