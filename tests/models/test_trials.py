"""Trials differ in what they say, and are made once."""

from __future__ import annotations

import gzip
import json
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.models.conftest import CONFIG, LAW
from tests.support import library

library("torch")

import torch
from safetensors.torch import load_file, save_file

from models import trials
from models.borrowed import borrowed
from models.encoder import Tagger
from models.keep import keep
from models.train import read_contracts
from models.trials import Trial
from shared.inference.tokeniser import Tokeniser

pytestmark = pytest.mark.training


def test_a_share_is_of_families(base: tuple[Path, Path], tmp_path: Path) -> None:
    """A larger share holds the smaller one, and what is of one family stays together."""
    with gzip.open(tmp_path / "contracts.jsonl.gz", "wt", encoding="utf-8") as out:
        for i in range(80):
            text = f"{LAW} {'x ' * (i // 2)}"  # two contracts a family, told by their length
            record = {"id": f"c{i}", "fold": 0, "family": f"f{i // 2}", "text": text}
            out.write(json.dumps(record | {"annotations": []}) + "\n")
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
    """Every trial has a row with its figures; the second time nothing is left to do."""
    (tmp_path / "config.toml").write_text(f"{CONFIG}\n[decoding]\n", encoding="utf-8")
    (tmp_path / "labels.json").write_text('["Law", "Pay"]', encoding="utf-8")
    chosen = {"as it is": Trial(), "0.5 epochs": Trial(epochs=0.5), "two seeds": Trial(seeds=1)}
    monkeypatch.setattr(trials, "TRIALS", chosen)
    given = {"--data": data, "--base": base[1], "--work": tmp_path / "work", "--threads": 1}
    line = [str(part) for pair in given.items() for part in pair]
    monkeypatch.setattr(sys, "argv", ["trials", str(tmp_path), *line])
    trials.main()
    first = capsys.readouterr()
    *_, long, short, both = first.out.splitlines()
    assert long.startswith("| as it is | ")
    assert short.startswith("| 0.5 epochs | ")
    assert both.startswith("| two seeds | ")
    assert float(long.split("|")[2].split()[0]) > float(short.split("|")[2].split()[0])
    trials.main()
    again = capsys.readouterr()
    assert again.out == first.out
    assert "step" in first.err
    assert "step" not in again.err

    work = tmp_path / "work"
    usual = tomllib.loads(CONFIG)["training"]
    whole = work / f"100-{usual['epochs']:g}-epochs-seed{usual['seed']}"
    keep(whole, tmp_path / "runs" / "fold0")
    shutil.rmtree(work)
    trials.main()
    assert capsys.readouterr().out == first.out, "the kept adapter is the recipe as it is"
    assert not whole.exists()

    changed = f"{CONFIG}\n[decoding]\n".replace("rank = ", "rank = 1")
    (tmp_path / "config.toml").write_text(changed, encoding="utf-8")
    with pytest.raises(SystemExit, match=r"fold0 was trained by another recipe"):
        trials.main()
    shutil.rmtree(tmp_path / "runs")
    with pytest.raises(SystemExit, match=r"epochs-seed.* was trained by another recipe"):
        trials.main()


def test_an_average_lies_between(base: tuple[Path, Path], tmp_path: Path) -> None:
    """Of two adapters the mean probability is served: 0.2 and 0.6 make 0.4."""
    config = tomllib.loads(CONFIG)
    rank = config["adapter"]["rank"]
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


def test_only_new_and_relevant_clauses_are_borrowed(tmp_path: Path) -> None:
    """What our contracts say already, and what was rated low, stays where it is."""
    files: dict[str, list[dict[str, Any]]] = {
        "ours.jsonl.gz": [{"text": "1. The Insurance shall be KEPT. 2. Else."}],
        "acord_clauses.jsonl.gz": [
            {"id": "a", "text": "the insurance shall be kept"},
            {"id": "b", "text": "Insure the goods."},
            {"id": "c", "text": "Hold the code in escrow."},
        ],
        "acord_queries_train_valid.jsonl.gz": [
            {"query": "Insurance", "relevant": [{"clause": i, "score": 3} for i in "ab"]},
            {"query": "Source Code Escrow", "relevant": [{"clause": "c", "score": 2}]},
            {"query": "something else", "relevant": [{"clause": "c", "score": 4}]},
        ],
    }
    for name, lines in files.items():
        with gzip.open(tmp_path / name, "wt", encoding="utf-8") as out:
            out.writelines(json.dumps(line) + "\n" for line in lines)
    record, counts = borrowed(tmp_path, "ours.jsonl.gz")
    assert counts == {"Insurance": (2, 1)}
    (note,) = record["annotations"]
    assert note["category"] == "Insurance"
    assert record["text"][note["start"] : note["end"]] == "Insure the goods."
