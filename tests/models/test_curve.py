"""The points of a learning curve differ in what they say, and are trained once."""

from __future__ import annotations

import gzip
import json
import shutil
import sys
import tomllib
from pathlib import Path

import pytest

from tests.models.conftest import CONFIG, LAW
from tests.support import library

library("torch")

from models import curve
from models.keep import keep
from models.train import read_contracts
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


def test_the_curve_is_a_table_and_no_point_is_trained_twice(
    base: tuple[Path, Path],
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every point has a row with its figures; the second time nothing is left to do."""
    (tmp_path / "config.toml").write_text(f"{CONFIG}\n[decoding]\n", encoding="utf-8")
    (tmp_path / "labels.json").write_text('["Law", "Pay"]', encoding="utf-8")
    monkeypatch.setattr(curve, "SHARES", (1.0,))
    monkeypatch.setattr(curve, "EPOCHS", (0.5,))
    given = {"--data": data, "--base": base[1], "--work": tmp_path / "work", "--threads": 1}
    line = [str(part) for pair in given.items() for part in pair]
    monkeypatch.setattr(sys, "argv", ["curve", str(tmp_path), *line])
    curve.main()
    first = capsys.readouterr()
    *_, long, short = first.out.splitlines()
    usual = tomllib.loads(CONFIG)["training"]["epochs"]
    assert long.startswith(f"| 100% of the families, {usual:g} epochs | ")
    assert short.startswith("| 100% of the families, 0.5 epochs | ")
    assert float(long.split("|")[2].split()[0]) > float(short.split("|")[2].split()[0])
    curve.main()
    again = capsys.readouterr()
    assert again.out == first.out
    assert "step" in first.err
    assert "step" not in again.err

    work = tmp_path / "work"
    whole = next(path for path in work.iterdir() if f"-{usual:g}-" in path.name)
    kept = tmp_path / "runs" / "fold0"
    keep(whole, kept)
    shutil.rmtree(work)
    curve.main()
    assert capsys.readouterr().out == first.out, "the kept adapter is the longest point"
    assert not (work / whole.name / "checkpoint.pt").exists()
    assert not (work / whole.name / "adapter.safetensors").exists()
