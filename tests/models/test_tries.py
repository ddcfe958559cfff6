"""Several ways to predict are compared on the same contracts, in pairs."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from models.metric import THRESHOLDS, count
from models.tries import difference, main

ANSWERS = ["the laws of Utah"]


def test_the_difference_is_resampled_in_pairs() -> None:
    """Nothing lies between a way and itself; right beside wrong gains in every draw."""
    right = np.stack([count("Law", [("the laws of Utah", 0.9)], ANSWERS)] * 4)
    wrong = np.stack([count("Law", [("the laws of Utah", 0.4), ("x", 0.9)], ANSWERS)] * 4)
    answers, families = np.ones(4, np.int64), ["a", "a", "b", "c"]
    assert difference(right, right, answers, families) == (0.0, 0.0, 0.0)
    gain, low, high = difference(wrong, right, answers, families)
    # alike contracts: each draw is as all of them; the wrong one has precision 1/2 at any recall
    assert gain == low == high == pytest.approx(0.5)
    assert right.shape == (4, len(THRESHOLDS), 2)


def test_only_contracts_that_every_file_has_are_scored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table with one row a file; the first gains nothing on itself."""
    text = "the laws of Utah"
    note = {"category": "Law", "start": 0, "end": len(text)}
    with gzip.open(tmp_path / "corpus.jsonl.gz", "wt", encoding="utf-8") as out:
        for name in ("a", "b"):
            out.write(json.dumps({"id": name, "text": text, "annotations": [note]}) + "\n")
    (tmp_path / "config.toml").write_text('[data]\ntraining = "corpus.jsonl.gz"\n')
    (tmp_path / "labels.json").write_text('["Law"]')
    paths = []
    for name, contracts, score in (("first", "ab", 0.2), ("second", "a", 0.9)):
        paths.append(tmp_path / f"{name}.jsonl.gz")
        with gzip.open(paths[-1], "wt", encoding="utf-8") as out:
            for contract in contracts:
                spans = [[0, 0, len(text), score], [0, 0, 3, 0.5]]
                out.write(json.dumps({"id": contract, "spans": spans}) + "\n")
    given = ["tries", str(tmp_path), "--data", str(tmp_path), *map(str, paths)]
    monkeypatch.setattr(sys, "argv", given)
    main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "1 contracts, 1 answers"
    first, second = (line.split(" | ") for line in lines[-2:])
    assert first[0] == "| first"
    assert first[-1].startswith("+0.000")
    assert second[-1].startswith("+0.500 [+0.500, +0.500]")
