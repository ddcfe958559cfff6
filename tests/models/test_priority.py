"""What `review-priority` learns from and is measured by, by hand; and that what ships is of one
making.
"""

from __future__ import annotations

import json
import tomllib
from typing import Any

import numpy as np
import pytest

from models.predict import Candidate
from models.priority.card import ON_STATES, card
from models.priority.scores import (
    FOLDER,
    caught,
    caught_by_time,
    differences,
    figures,
    items_of,
    ordered,
    predictions,
)
from models.priority.simulation import decided, queue_of
from services.review.priority import MANIFEST_FILE, NAME, Manifest, read_manifest
from shared.listed import COLUMNS
from tests.support import ROOT

TEXT = "Alpha insures the goods against all risks. Beta pays the premium. Gamma does nothing."
LABELS = ["Insurance", "Parties"]
SCORES = {
    "thresholds": {"best_f1": 0.3},
    "calibration": {"scores": [0.2, 0.8], "confidences": [0.1, 0.9]},
}
TIME = {"seconds": 10.0, "words_a_minute": 60.0}


def span(quote: str) -> tuple[int, int]:
    """Where a quote stands."""
    return TEXT.index(quote), TEXT.index(quote) + len(quote)


def test_a_reviewer_accepts_corrects_and_rejects_by_the_labels() -> None:
    """Half the words match; a part that is too small is corrected; another place is rejected."""
    answer = span("Alpha insures the goods against all risks.")
    record = {
        "id": "c1",
        "family": "alpha",
        "fold": 2,
        "text": TEXT,
        "annotations": [{"category": "Insurance", "start": answer[0], "end": answer[1]}],
    }
    said = [
        ("Alpha insures the goods against all risks", 0, 0.8),  # but for the stop: all its words
        ("insures the goods against", 0, 0.6),  # four of seven words: it matches
        ("all risks", 0, 0.5),  # two of seven: it lies over the answer
        ("Beta pays the premium", 0, 0.4),
        ("Alpha", 1, 0.7),  # nobody asked for parties
        ("Gamma", 0, 0.2),  # a confidence of 0.1: it is not shown
    ]
    candidates = [Candidate(label, *span(quote), score) for quote, label, score in said]
    queue = queue_of(record, candidates, LABELS, SCORES, "contract-clauses")
    assert queue.decisions == ["accept", "accept", "correct", "reject", "reject"]
    assert queue.exact.tolist() == [True, False, False, False, False]
    assert queue.changed.tolist() == [False, False, True, True, True]
    assert queue.words.tolist() == [7, 4, 2, 4, 1]
    assert queue.rows.shape == (5, len(COLUMNS))
    assert queue.rows[:, COLUMNS.index("category")].tolist() == [0, 0, 0, 0, 1]
    assert queue.rows[0, 0] == pytest.approx(0.9)
    assert (queue.family, queue.fold) == ("alpha", 2)
    assert {clause.adapter for clause in queue.clauses} == {"contract-clauses"}


def test_what_repeats_an_answer_is_accepted() -> None:
    """Two places with the words of one answer are both right; the order of clauses is kept."""
    record = {
        "id": "c1",
        "family": "alpha",
        "fold": 0,
        "text": "Alpha and Alpha",
        "annotations": [{"category": "Parties", "start": 0, "end": 5}],
    }
    some = [Candidate(1, 0, 5, 0.9), Candidate(1, 10, 15, 0.5)]
    queue = queue_of(record, some, LABELS, SCORES, "contract-clauses")
    assert queue.decisions == ["accept", "accept"]
    assert queue.exact.tolist() == [True, True]
    assert decided([], {}, TEXT)[0] == []


def line(family: str, *clauses: tuple[float, float, str, int]) -> dict[str, Any]:
    """The prediction of a contract: confidence, chance, decision and words of each clause."""
    confidence, chance, decision, words = (list(part) for part in zip(*clauses, strict=True))
    return {
        "id": family,
        "family": family,
        "spans": [[0, 0, 1]] * len(clauses),
        "confidence": confidence,
        "words": words,
        "decision": decision,
        "exact": [name == "accept" for name in decision],
        "learned": chance,
        "linear": chance,
        "told_less": [1 - value for value in confidence],
    }


LINES = [
    line(
        "alpha",
        (0.4, 0.1, "accept", 0),
        (0.5, 0.9, "reject", 10),
        (0.6, 0.2, "accept", 0),
        (0.7, 0.8, "correct", 30),
        (0.8, 0.3, "accept", 0),
    ),
    line(
        "beta",
        (0.45, 0.15, "accept", 0),
        (0.55, 0.25, "accept", 0),
        (0.65, 0.05, "reject", 50),
        (0.75, 0.7, "reject", 20),
        (0.85, 0.4, "accept", 0),
    ),
]
"""Ten clauses, four of them changed, of which the forest puts one last."""


def test_mistakes_are_counted_in_the_first_part_of_the_queue() -> None:
    """By hand: 10%, 20% and 50% of ten items are one, two and five of them."""
    items = items_of(LINES, TIME)
    draw = np.random.default_rng(0)
    by_chance = ordered(items.chances["learned"], draw)
    assert caught(by_chance, items.changed) == [0.25, 0.5, 0.75]
    # 0.4, 0.45 | 0.5, 0.55, 0.6: one mistake, the third.
    assert caught(ordered(1 - items.confidence, draw), items.changed) == [0.0, 0.0, 0.25]


def test_mistakes_are_counted_in_the_first_hours() -> None:
    """Ten items of 10 seconds, and 110 words at one a second: 210 seconds."""
    items = items_of(LINES, TIME)
    order = ordered(items.chances["learned"], np.random.default_rng(0))
    assert items.seconds.sum() == pytest.approx(210)
    # 21 s: the first (20 s) and not the second (40 s); 42 s: as much; 105 s: also the second (60)
    # and the third (90), and one of 10.
    assert caught_by_time(order, items.changed, items.seconds) == [0.25, 0.25, 0.75]


def test_equal_urgencies_come_in_any_order() -> None:
    """No order is flattered by how the items happen to lie."""
    draw = np.random.default_rng(0)
    first = {int(ordered(np.zeros(10), draw)[0]) for _ in range(200)}
    assert len(first) == 10


def test_an_order_gains_nothing_over_itself() -> None:
    """The interval of a difference holds zero where there is none, and lies above it for a gain."""
    many = [{**LINES[0], "family": f"f{n}"} for n in range(40)]
    items = items_of(many, TIME)
    urgency = items.chances["learned"] + np.arange(len(items.changed)) * 1e-6  # no equals
    same = differences(items, urgency, urgency, items.changed)
    assert same == {"10%": [0, 0], "20%": [0, 0], "50%": [0, 0]}
    gained = differences(items, items.chances["learned"], 1 - items.confidence, items.changed)
    assert gained["20%"][0] > 0


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    """The recipe."""
    return tomllib.loads((FOLDER / "config.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def shipped() -> Manifest:
    """Of the one artefact."""
    (path,) = (ROOT / "models" / "artefacts" / NAME).glob(f"*/{MANIFEST_FILE}")
    manifest = read_manifest(path)
    assert manifest.version == path.parent.name
    return manifest


def test_figures_and_card_are_those_of_the_predictions(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted again they are the same, but for the intervals, which take minutes."""
    committed = json.loads((FOLDER / "scores.json").read_text(encoding="utf-8"))
    monkeypatch.setattr("models.priority.scores.differences", lambda *_: None)
    again = json.loads(json.dumps(figures(predictions(FOLDER), config["time"])))
    drawn = {name: committed[name] for name in ("gains", "beside_learned")}
    assert again | drawn == committed
    text = (FOLDER / "CARD.md").read_text(encoding="utf-8")
    assert text == card(committed, config), "run python -m models.priority.scores"
    whole = (FOLDER.parent / config["data"]["adapter"] / "guarantee.json").read_text(
        encoding="utf-8"
    )
    elsewhere, decisions = json.loads(whole), committed["decisions"]
    assert elsewhere["shown"] == committed["clauses"]
    more = elsewhere["wrong"] - decisions["correct"] - decisions["reject"]
    assert (more, "counts two more as wrong" in text) == (2, True)


def test_what_ships_is_better_than_confidence() -> None:
    """The interval of what it catches more in the first fifth lies above zero."""
    scores = json.loads((FOLDER / "scores.json").read_text(encoding="utf-8"))
    low, high = scores["gains"]["learned"]["20%"]
    gain = scores["caught"]["learned"]["20%"] - scores["caught"]["confidence"]["20%"]
    assert 0 < low < gain < high


def test_no_head_on_the_base_surely_beats_what_ships() -> None:
    """All that are tried are measured beside it, and the card says what came of it."""
    scores = json.loads((FOLDER / "scores.json").read_text(encoding="utf-8"))
    assert scores["beside_learned"].keys() == ON_STATES.keys() <= scores["caught"].keys()
    assert all(found["20%"][0] <= 0 for found in scores["beside_learned"].values())
    text = (FOLDER / "CARD.md").read_text(encoding="utf-8")
    assert "None of them surely catches more in the first fifth" in text


def test_a_head_that_surely_catches_more_is_named(config: dict[str, Any]) -> None:
    """The card doesn't keep silent about it; one that was not tried is not told of."""
    scores = json.loads((FOLDER / "scores.json").read_text(encoding="utf-8"))
    better = {"states": {"10%": [0.0, 0.1], "20%": [0.01, 0.1], "50%": [0.0, 0.1]}}
    text = card(scores | {"beside_learned": better}, config)
    assert "Surely more in the first fifth catches: a linear head on the base's states" in text
    assert "shared base" not in card(scores | {"beside_learned": {}}, config)


def test_what_ships_was_learned_of_the_adapter_that_ships(
    config: dict[str, Any], shipped: Manifest
) -> None:
    """Another version of the adapter is another training: run `make review-priority`."""
    adapter = config["data"]["adapter"]
    recipe = tomllib.loads((ROOT / "models" / adapter / "config.toml").read_text(encoding="utf-8"))
    labels = json.loads((ROOT / "models" / adapter / "labels.json").read_text(encoding="utf-8"))
    assert (shipped.adapter, shipped.adapter_version) == (adapter, recipe["version"])
    assert shipped.categories == tuple(labels)
    assert shipped.licence == config["data"]["licence"]
    assert {line["version"] for line in predictions(FOLDER)} == {shipped.version}
    assert shipped.version == config["version"]
