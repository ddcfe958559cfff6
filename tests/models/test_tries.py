"""Several ways to predict are compared on the same contracts, in pairs."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from models.alike import likeness, shingles
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


def words(first: int, last: int) -> str:
    """Return so many different words."""
    return " ".join(f"word{i}" for i in range(first, last))


def test_a_contract_that_repeats_one_of_another_fold_is_known() -> None:
    """What lies in the own fold does not count, and a part is told from a whole."""
    records = [
        {"id": "form", "fold": 0, "text": words(0, 2000)},
        {"id": "filled in", "fold": 1, "text": f"{words(0, 2000).upper()} {words(9000, 9020)}"},
        {"id": "half", "fold": 2, "text": f"{words(0, 1000)} {words(5000, 6000)}"},
        {"id": "own", "fold": 3, "text": words(7000, 9000)},
        {"id": "of the same fold", "fold": 3, "text": words(7000, 9000)},
        {"id": "short", "fold": 4, "text": "word1 word2"},
    ]
    shares = likeness(records)
    assert shares["form"] == 1
    assert 0.95 < shares["filled in"] <= 1
    assert 0.3 < shares["half"] < 0.7
    assert shares["own"] == shares["of the same fold"] == shares["short"] == 0
    assert len(shingles(words(0, 2000))) > 60


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


def test_contracts_alike_are_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of three contracts are one form in two folds."""
    note = {"category": "Law", "start": 0, "end": 5}
    texts = {"a": words(0, 900), "b": words(0, 900), "c": words(2000, 2900)}
    corpus, found = tmp_path / "corpus.jsonl.gz", tmp_path / "found.jsonl.gz"
    with gzip.open(corpus, "wt", encoding="utf-8") as out, gzip.open(found, "wt") as raw:
        for fold, (name, text) in enumerate(texts.items()):
            record = {"id": name, "fold": fold, "text": text, "annotations": [note]}
            out.write(json.dumps(record) + "\n")
            raw.write(json.dumps({"id": name, "spans": [[0, 0, 5, 0.9]]}) + "\n")
    (tmp_path / "config.toml").write_text('[data]\ntraining = "corpus.jsonl.gz"\n')
    (tmp_path / "labels.json").write_text('["Law"]')
    for given, contracts in (([], 3), (["--alike", "0.5"], 1)):
        line = ["tries", str(tmp_path), "--data", str(tmp_path), *given, str(found)]
        monkeypatch.setattr(sys, "argv", line)
        main()
        assert capsys.readouterr().out.startswith(f"{contracts} contracts, {contracts} answers\n")
