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

from models.base.quantise import encoder_weights
from models.lora.encoder import Tagger
from models.lora.export import trained_state
from models.lora.peft_format import bert, from_peft, to_peft

pytestmark = pytest.mark.training

LABELS, RANK = 3, 4


@pytest.fixture
def weights(model: Path) -> dict[str, Any]:
    """Those of a small base."""
    return {name: torch.from_numpy(value) for name, value in encoder_weights(model).items()}


@pytest.fixture
def tagger(weights: dict[str, Any]) -> Tagger:
    """A tagger whose adapter does something."""
    torch.manual_seed(2)
    made = Tagger(weights, RANK, LABELS)
    with torch.no_grad():
        for name, value in made.named_parameters():
            if name.endswith(".b"):
                value.normal_(std=0.2)
    return made


def state_of(tagger: Tagger) -> dict[str, Any]:
    return {name: value.numpy() for name, value in tagger.state_dict().items()}


def test_peft_and_transformers_compute_the_same(
    weights: dict[str, Any], tagger: Tagger, tmp_path: Path
) -> None:
    to_peft(state_of(tagger), weights).save_pretrained(tmp_path)
    theirs = peft.PeftModel.from_pretrained(bert(weights, LABELS), tmp_path).eval()
    ids = torch.randint(0, 100, (4, 12), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        ours = tagger(ids)
        assert torch.allclose(ours, theirs(ids).logits, atol=1e-5)
        plain = bert(weights, LABELS)(ids).logits
    assert not torch.allclose(ours, plain, atol=0.1)  # the adapter matters


def test_an_adapter_of_peft_comes_back(
    weights: dict[str, Any], tagger: Tagger, tmp_path: Path
) -> None:
    state = state_of(tagger)
    to_peft(state, weights).save_pretrained(tmp_path)
    for read in (from_peft(tmp_path), trained_state(tmp_path)):
        assert read.keys() == state.keys()
        assert all(np.array_equal(read[name], state[name]) for name in state)


def test_another_kind_of_adapter_is_refused(weights: dict[str, Any], tmp_path: Path) -> None:
    model = peft.get_peft_model(
        bert(weights, LABELS),
        peft.LoraConfig(task_type="TOKEN_CLS", r=2, lora_alpha=2, target_modules=["query"]),
    )
    model.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"lacks .*LoRA on every linear map"):
        from_peft(tmp_path)
