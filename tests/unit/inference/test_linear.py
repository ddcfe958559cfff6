"""Linear models on hashed words: the same places everywhere, whole or refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared import linear
from shared.linear import Linear, LinearError, met_bits, place_of, vector, words_of

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
    """A model that takes a text with the word pear in it for a pear."""
    weight = np.zeros((PLACES, 2), np.float32)
    weight[place_of("pear", PLACES), 1] = 50
    bias = np.array([1, 0], np.float32)
    manifest = {**MANIFEST, "version": version}
    linear.write(folder / "fruit" / version, manifest, weight, bias, met_bits(["pear"], 1 << 16))
    return folder / "fruit" / version


def test_words_are_cut_as_they_were_learned() -> None:
    """Case and figures do not matter but for their length; signs of money do."""
    assert words_of("Total £1,210 don't ÜBER x_y") == [
        *("total", "£", "#5", "don't", "über", "x", "y"),
    ]


def test_a_piece_falls_into_the_same_place_everywhere() -> None:
    """A model that was made on one machine is read on another."""
    assert [place_of(word, 1 << 14) for word in ("pear", "a pear", "über")] == [
        crc % (1 << 14) for crc in (0xC68A3CBD, 0x5465B1F9, 0xD2E10488)
    ]


def test_a_vector_counts_words_and_neighbours_and_has_length_one() -> None:
    """A long text is no surer than a short one of the same words."""
    places, values = vector(["a", "b", "a", "b"], 1 << 20)
    assert sorted(places.tolist()) == sorted(
        place_of(piece, 1 << 20) for piece in ("a", "b", "a b", "b a")
    )
    assert float(np.linalg.norm(values)) == pytest.approx(1.0)
    assert vector([], PLACES)[1].tolist() == []


def test_a_model_says_what_it_learned(tmp_path: Path) -> None:
    """By what stands at the beginning of a text alone, and with how much of it it has met."""
    model = Linear.load(written(tmp_path))
    said = model("a pear")
    assert said.label == "pear"
    assert sum(said.chances.values()) == pytest.approx(1.0)
    assert (said.words, said.known, said.telling) == (2, 0.5, {"pear": 0.5})
    assert model("x" * 50 + " pear").label == "apple"
    assert model("").label == "apple"
    assert model("").known == 0.0


@pytest.mark.parametrize("damage", ["format", "gone", "cut", "json"])
def test_what_is_not_whole_is_refused(tmp_path: Path, damage: str) -> None:
    """With the file's name, and what to do."""
    folder = written(tmp_path)
    manifest = folder / linear.MANIFEST_FILE
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
