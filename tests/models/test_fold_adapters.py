"""The adapters of the folds are stored, so that their scores can be computed again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.files import folder_of
from tests.support import ROOT, library

library("safetensors")
library("onnx")

from safetensors.numpy import load_file, save_file

from models.clauses.fold_adapters import keep
from models.lora.export import TRAINED_FILE, note_training, trained_state
from shared.artefacts.loader import TRAINING_FILE
from shared.inference.adapters import newest_version

pytestmark = pytest.mark.training


def test_a_stored_adapter_is_the_trained_one_in_16_bits(tmp_path: Path) -> None:
    run, target = tmp_path / "run", tmp_path / "runs" / "fold0"
    run.mkdir()
    weights = {"head.weight": np.random.default_rng(1).normal(size=(3, 5)).astype(np.float32)}
    save_file(weights, run / TRAINED_FILE)
    (run / "run.json").write_text('{"fold": 0}', encoding="utf-8")
    keep(run, target)
    assert load_file(target / TRAINED_FILE)["head.weight"].dtype == np.float16
    read = trained_state(target)["head.weight"]
    assert read.dtype == np.float32
    assert read == pytest.approx(weights["head.weight"], rel=1e-3)
    assert (target / "run.json").read_text(encoding="utf-8") == '{"fold": 0}'


def test_an_unfinished_training_is_not_stored(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no finished training"):
        keep(tmp_path, tmp_path / "target")
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize("name", ["contract-clauses", "nda-review", "unfair-terms"])
def test_the_artefact_has_time_and_machine_of_its_trainings(name: str, tmp_path: Path) -> None:
    note_training(folder_of(name), tmp_path)
    shipped = newest_version(ROOT / "models" / "artefacts", name) / TRAINING_FILE
    assert (tmp_path / TRAINING_FILE).read_text("utf-8") == shipped.read_text("utf-8")
