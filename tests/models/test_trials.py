"""Trials differ in what they say, and are made once."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.models.builders import run, write_specialist
from tests.models.conftest import CONFIG, LABELS, LAW, SETTINGS
from tests.support import library

library("torch")

import torch
from safetensors.torch import load_file, save_file

from models.clauses import trials
from models.clauses.fold_adapters import keep
from models.clauses.trials import Trial
from models.files import write_lines
from models.lora.encoder import Tagger
from models.lora.train import read_contracts
from shared.inference.tokeniser import Tokeniser

pytestmark = pytest.mark.training


def test_a_share_is_of_families(base: tuple[Path, Path], tmp_path: Path) -> None:
    records = [  # two contracts a family, recognised by their length
        {"id": f"c{i}", "fold": 0, "family": f"f{i // 2}", "text": f"{LAW} {'x ' * (i // 2)}"}
        for i in range(80)
    ]
    write_lines(tmp_path / "contracts.jsonl.gz", [r | {"annotations": []} for r in records])
    tokenise = Tokeniser(base[1] / "tokenizer.json")
    settings = {"training": "contracts.jsonl.gz"}

    def lengths(share: float) -> list[int]:
        chosen = read_contracts(tmp_path, settings | {"share": share}, tokenise, [], "none")
        return [len(contract.ids) for contract in chosen]

    quarter, half, whole = lengths(0.25), lengths(0.5), lengths(1.0)
    assert len(whole) == 80
    assert 5 < len(quarter) < len(half) < 60
    assert set(quarter) < set(half) < set(whole)
    assert all(half.count(length) == 2 for length in half)


def test_trials_are_a_table_and_none_is_made_twice(
    base: tuple[Path, Path],
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_specialist(tmp_path, CONFIG, LABELS)
    chosen = {"as it is": Trial(), "0.5 epochs": Trial(epochs=0.5), "two seeds": Trial(seeds=1)}
    monkeypatch.setattr(trials, "TRIALS", chosen)
    work = tmp_path / "work"
    given = (tmp_path, "--data", data, "--base", base[1], "--work", work, "--threads", 1)
    run(trials.main, *given)
    first = capsys.readouterr()
    *_, long, short, both = first.out.splitlines()
    assert long.startswith("| as it is | ")
    assert short.startswith("| 0.5 epochs | ")
    assert both.startswith("| two seeds | ")
    assert float(long.split("|")[2].split()[0]) > float(short.split("|")[2].split()[0])
    run(trials.main, *given)
    again = capsys.readouterr()
    assert again.out == first.out
    assert "step" in first.err
    assert "step" not in again.err

    usual = SETTINGS["training"]
    whole = work / f"100-{usual['epochs']:g}-epochs-seed{usual['seed']}"
    keep(whole, tmp_path / "runs" / "fold0")
    shutil.rmtree(work)
    run(trials.main, *given)
    assert capsys.readouterr().out == first.out, "the kept adapter is the recipe as it is"
    assert not whole.exists()

    write_specialist(tmp_path, CONFIG.replace("rank = ", "rank = 1"), LABELS)
    with pytest.raises(SystemExit, match=r"fold0 has another recipe"):
        run(trials.main, *given)
    shutil.rmtree(tmp_path / "runs")
    with pytest.raises(SystemExit, match=r"epochs-seed.* has another recipe"):
        run(trials.main, *given)


def test_an_average_is_between_its_parts(base: tuple[Path, Path], tmp_path: Path) -> None:
    rank = SETTINGS["adapter"]["rank"]
    weights = load_file(base[1] / "dequantised.safetensors")
    runs = []
    for name, chance in (("low", 0.2), ("high", 0.6)):
        tagger = Tagger(weights, rank, 3)
        with torch.no_grad():
            tagger.head.weight.zero_()
            tagger.head.bias.fill_(float(np.log(chance / (1 - chance))))
        runs.append(tmp_path / name)
        runs[-1].mkdir()
        save_file(tagger.state_dict(), runs[-1] / "adapter.safetensors")
    model = trials.averaged(runs, base[1], rank)
    shares = model(torch.ones(1, 8, dtype=torch.long)).sigmoid()
    assert shares.shape == (1, 6, 3)
    assert torch.allclose(shares, torch.full_like(shares, 0.4), atol=0.01)
