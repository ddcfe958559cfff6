"""Linear models on hashed words: the same places everywhere, whole or refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.features import linear
from shared.features.linear import Linear, LinearError, met_bits, place_of, vector, words_of

PLACES = 64
MANIFEST: dict[str, Any] = {
    "name": "fruit",
    "version": "1.0.0",
    "places": PLACES,
    "reads": 40,
    "labels": ("apple", "pear"),
    "licence": "ours",
    "telling": {"pear": ["pear", "stalk"]},
}


def written(folder: Path, version: str = "1.0.0") -> Path:
    """A model that labels a text with the word pear as a pear."""
    weight = np.zeros((PLACES, 2), np.float32)
    weight[place_of("pear", PLACES), 1] = 50
    bias = np.array([1, 0], np.float32)
    manifest = {**MANIFEST, "version": version}
    linear.write(folder / "fruit" / version, manifest, weight, bias, met_bits(["pear"], 1 << 16))
    return folder / "fruit" / version


def test_words_are_cut_as_they_were_learned() -> None:
    assert words_of("Total £1,210 don't ÜBER x_y") == [
        *("total", "£", "#5", "don't", "über", "x", "y")
    ]


def test_a_piece_falls_into_the_same_place_everywhere() -> None:
    assert [place_of(word, 1 << 14) for word in ("pear", "a pear", "über")] == [
        crc % (1 << 14) for crc in (0xC68A3CBD, 0x5465B1F9, 0xD2E10488)
    ]


def test_a_vector_counts_words_and_neighbours_and_has_length_one() -> None:
    places, values = vector(["a", "b", "a", "b"], 1 << 20)
    assert sorted(places.tolist()) == sorted(
        place_of(piece, 1 << 20) for piece in ("a", "b", "a b", "b a")
    )
    assert float(np.linalg.norm(values)) == pytest.approx(1.0)
    assert vector([], PLACES)[1].tolist() == []


def test_a_model_says_what_it_learned(tmp_path: Path) -> None:
    model = Linear.load(written(tmp_path))
    prediction = model("a pear")
    assert prediction.label == "pear"
    assert sum(prediction.chances.values()) == pytest.approx(1.0)
    assert (prediction.words, prediction.known, prediction.telling) == (2, 0.5, {"pear": 0.5})
    assert model("x" * 50 + " pear").label == "apple"
    assert model("").label == "apple"
    assert model("").known == 0.0


@pytest.mark.parametrize("damage", ["format", "gone", "cut", "json"])
def test_what_is_not_whole_is_refused(tmp_path: Path, damage: str) -> None:
    folder = written(tmp_path)
    manifest = folder / linear.LinearManifest.FILE
    if damage == "format":
        values = json.loads(manifest.read_text("utf-8"))
        manifest.write_text(json.dumps({**values, "format": 2}), "utf-8")
    elif damage == "gone":
        (folder / linear.DATA_FILE).unlink()
    elif damage == "cut":
        (folder / linear.DATA_FILE).write_bytes((folder / linear.DATA_FILE).read_bytes()[:-9])
    else:
        manifest.write_text("{", "utf-8")
    with pytest.raises(LinearError, match=r"linear\.(npz|json)"):
        Linear.load(folder)
