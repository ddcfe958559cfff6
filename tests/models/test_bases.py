"""Another encoder is tried as the base: it computes what transformers does, learns and predicts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.models.builders import run, write_specialist
from tests.models.conftest import CONFIG, INNER, LABELS, LAYERS, VOCABULARY, WIDTH
from tests.support import library

library("torch")

import torch
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from models.base import compare_bases
from models.evaluation.predict import read_predictions

pytestmark = pytest.mark.training

CLS, SEP = (VOCABULARY.index(token) for token in ("[CLS]", "[SEP]"))


@pytest.fixture
def encoder(model: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "encoder"
    torch.manual_seed(2)
    shape = {"hidden_size": WIDTH, "intermediate_size": INNER, "num_hidden_layers": LAYERS}
    BertModel(BertConfig(vocab_size=len(VOCABULARY), **shape)).save_pretrained(folder)
    shutil.copy(model / "tokenizer.json", folder)
    tokens = {"cls_token": "[CLS]", "sep_token": "[SEP]"}
    path = str(folder / "tokenizer.json")
    PreTrainedTokenizerFast(tokenizer_file=path, **tokens).save_pretrained(folder)
    return folder


def test_an_untrained_candidate_computes_its_encoder(encoder: Path) -> None:
    made = compare_bases.Candidacy(encoder, 4, 5, torch.float32)
    ids = torch.randint(110, len(VOCABULARY), (2, 9))
    whole = ids.clone()
    whole[:, 0], whole[:, -1] = CLS, SEP
    with torch.no_grad():
        hidden = BertModel.from_pretrained(encoder).eval()(whole).last_hidden_state
        torch.testing.assert_close(made(ids), made.head(hidden[:, 1:-1]))


def test_the_left_out_fold_is_predicted_after_the_training(
    encoder: Path, data: Path, tmp_path: Path
) -> None:
    write_specialist(tmp_path, CONFIG, LABELS)
    out = tmp_path / "found.jsonl.gz"
    given = ("--data", data, "--model", encoder, "--out", out, "--fold", 1, "--minutes", 0.1)
    run(compare_bases.main, tmp_path, *given)
    found = read_predictions(out)
    assert list(found) == ["c1"]
    assert {candidate.label for candidate in found["c1"]} == {0, 1}
