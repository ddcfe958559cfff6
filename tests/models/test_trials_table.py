"""Several ways to predict are compared on the same contracts, in pairs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.clauses.trials_table import difference, main
from models.files import write_lines
from services.extraction.evaluation.metric import THRESHOLDS, count
from tests.models.builders import note, run, toml, write_specialist

ANSWERS = ["the laws of Utah"]


def test_the_difference_is_resampled_in_pairs() -> None:
    right = np.stack([count("Law", [("the laws of Utah", 0.9)], ANSWERS)] * 4)
    wrong = np.stack([count("Law", [("the laws of Utah", 0.4), ("x", 0.9)], ANSWERS)] * 4)
    answers, families = np.ones(4, np.int64), ["a", "a", "b", "c"]
    assert difference(right, right, answers, families) == (0.0, 0.0, 0.0)
    gain, low, high = difference(wrong, right, answers, families)
    # all contracts are the same, so each draw is; the wrong file has precision 1/2 at any recall
    assert gain == low == high == pytest.approx(0.5)
    assert right.shape == (4, len(THRESHOLDS), 2)


def test_only_contracts_that_every_file_has_are_scored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "the laws of Utah"
    about = {"text": text, "annotations": [note("Law", text, text)]}
    write_lines(tmp_path / "corpus.jsonl.gz", [{"id": name, **about} for name in "ab"])
    write_specialist(tmp_path, toml(data={"training": "corpus.jsonl.gz"}), ["Law"])
    paths = []
    for name, contracts, score in (("first", "ab", 0.2), ("second", "a", 0.9)):
        paths.append(tmp_path / f"{name}.jsonl.gz")
        spans = [[0, 0, len(text), score], [0, 0, 3, 0.5]]
        write_lines(paths[-1], [{"id": contract, "spans": spans} for contract in contracts])
    run(main, tmp_path, "--data", tmp_path, *paths)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "1 contracts, 1 answers"
    first, second = (line.split(" | ") for line in lines[-2:])
    assert first[0] == "| first"
    assert first[-1].startswith("+0.000")
    assert second[-1].startswith("+0.500 [+0.500, +0.500]")
