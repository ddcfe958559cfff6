"""The last forest learns from lists of other folds alone, and what it writes is served the same."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from tests.support import library

library("lightgbm")

from models import listing
from models.forest import predict
from models.predict import Candidate, read_predictions, write_predictions
from services.extraction import pipeline
from services.extraction.candidates import SOURCES, Candidates
from services.extraction.listing import LEAST_LISTED, list_rows
from services.extraction.ranking import LEAST, Ranking, Seen, told
from services.extraction.wording import (
    PLACES,
    WORDS_FILE,
    Wording,
    places_of,
    read_wording,
)
from shared.inference import Manifest, Specialist, TokenScores
from shared.inference.session import Forest

pytestmark = pytest.mark.training

CONFIG = """
[data]
training = "contracts.jsonl.gz"
[listing]
threads = 1
seeds = 2
seed = 1
trees = 40
leaves = 8
learning_rate = 0.2
least_rows = 5
share_of_columns = 1.0
share_of_rows = 1.0
ridge = 1.0
bins = 63
[wording]
least = 10
strength = 2.0
share = 2.0
"""
LABELS = ["Pay", "Ship"]
STEP = 40


def record(number: int) -> dict[str, Any]:
    """Twenty sentences, every other one an answer: those that begin with a capital."""
    pieces = [
        f"{'P' if i % 2 else 'p'}ay a{i} b{i} c{number}{i} d{i}".ljust(STEP - 1) + "."
        for i in range(20)
    ]
    spans = [(i * STEP, (i + 1) * STEP) for i in range(1, 20, 2)]
    notes = [{"category": "Pay", "start": start, "end": end} for start, end in spans]
    head = {"id": f"c{number}", "title": f"t{number}", "family": f"f{number}", "fold": number % 5}
    return head | {"text": "".join(pieces), "annotations": notes}


def candidates() -> list[Candidate]:
    """Every sentence, one as sure as the other, and one that is hopeless."""
    sure = [Candidate(0, i * STEP, (i + 1) * STEP, 0.5) for i in range(20)]
    return [*sure, Candidate(1, 0, STEP, 0.01)]


def worded_record(number: int) -> dict[str, Any]:
    """Twenty sentences that differ in one word: the answers speak of a penny, not of a pound."""
    pieces = [
        f"pay the {'penny' if i % 2 else 'pound'} n{number}x{i}".ljust(STEP - 1) + "."
        for i in range(20)
    ]
    return record(number) | {"text": "".join(pieces)}


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A specialist with ranked predictions, after models.listing ran on them, and its forests."""
    records = [record(number) for number in range(30)]
    specialist, ranked, out = tmp_path / "small", tmp_path / "ranked", tmp_path / "forests"
    specialist.mkdir()
    ranked.mkdir()
    (specialist / "config.toml").write_text(CONFIG, encoding="utf-8")
    (specialist / "labels.json").write_text(json.dumps(LABELS), encoding="utf-8")
    for fold in range(5):
        found = [(r["id"], candidates()) for r in records if r["fold"] == fold]
        write_predictions(ranked / f"predictions-fold{fold}.jsonl.gz", found)

    def read(_: Path, __: Any, folds: Sequence[int]) -> list[dict[str, Any]]:
        return [r for r in records if r["fold"] in folds]

    monkeypatch.setattr(listing, "read_records", read)
    given = ["--data", tmp_path, "--ranked", ranked, "--out", out]
    monkeypatch.setattr(sys, "argv", ["listing", str(specialist), *map(str, given)])
    listing.main()
    return specialist, out


def test_what_the_ranking_could_not_tell_is_told_apart(folders: tuple[Path, Path]) -> None:
    """On contracts that were not learned from; what was not judged again keeps its score."""
    found = read_predictions(folders[0] / "predictions-fold3.jsonl.gz")
    assert sorted(found) == ["c13", "c18", "c23", "c28", "c3", "c8"]
    scores = np.array([c.score for c in found["c3"]])
    assert scores[1:20:2].min() > 0.8 > 0.2 > scores[0:20:2].max()
    assert scores[20] == pytest.approx(0.01)


def test_the_served_forest_is_the_one_that_was_learned(folders: tuple[Path, Path]) -> None:
    """The graph gives the chances of the trees, up to rounding, and the words are the same."""
    lists = [listing.listing(record(n), candidates(), LABELS) for n in range(30)]
    config = tomllib.loads(CONFIG)
    words = listing.Words(lists, len(LABELS), config["wording"])
    forest = listing.learn(lists, words, [], config["listing"])
    served = read_wording((folders[1] / WORDS_FILE).read_bytes())
    rows = lists[0].told(served)
    assert np.array_equal(rows, lists[0].told(words.without()))
    assert np.allclose(Forest(folders[1] / "list.onnx")(rows), predict(forest, rows), atol=1e-5)
    assert len(rows) == 20


def test_what_is_served_is_what_was_measured(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the ranking says the same, `search_scores` gives the passages and the scores of the
    predictions that the figures are of, by the files that were written.
    """
    config, ranked = tomllib.loads(CONFIG), candidates()
    lists = [listing.listing(record(n), ranked, LABELS) for n in range(30)]
    words = listing.Words(lists, len(LABELS), config["wording"])
    forest = listing.learn(lists, words, [], config["listing"])
    measured = dict(listing.last(lists, words.without(), forest))
    label = np.array([c.label for c in ranked])
    spans, zero = np.array([(c.start, c.end) for c in ranked]), np.zeros(len(ranked), np.int64)
    sources = np.zeros((len(ranked), SOURCES), bool)
    found = Candidates(label, spans[:, 0], spans[:, 1], zero, zero, sources)
    rows = np.zeros((len(ranked), 1), np.float32)

    def seen(text: str, *_: object) -> Seen:
        return Seen(text, found, spans, ("highest",), rows, len(text))

    def scores(*_: object) -> np.ndarray:
        return np.array([c.score for c in ranked], np.float32)

    monkeypatch.setattr(pipeline, "look", seen)
    monkeypatch.setattr(Ranking, "scores", scores)
    manifest = SimpleNamespace(
        name="small",
        version="1.0.0",
        labels=tuple(LABELS),
        columns=told(("highest",)),
        decoding={},
        calibration={},
        thresholds={},
    )
    last = Forest(folders[1] / "list.onnx")
    served = Specialist(
        cast("Manifest", manifest),
        cast("Any", None),
        cast("Any", None),
        {"first": last, "winners": last, "losers": last, "list": last},
        files={WORDS_FILE: (folders[1] / WORDS_FILE).read_bytes()},
    )
    for number in (0, 3):
        text = record(number)["text"]
        every = np.column_stack([np.arange(len(text)), np.arange(len(text)) + 1])
        tokens = TokenScores(every, np.zeros((len(text), len(LABELS)), np.float32))
        clauses = pipeline.search_scores(text, tokens, served, least=LEAST).clauses
        got = {(LABELS.index(c.category), c.start, c.end): c.confidence for c in clauses}
        wanted = {(c.label, c.start, c.end): c.score for c in measured[f"c{number}"]}
        assert got == pytest.approx(wanted, abs=1e-5)
        assert len(got) == 21
        assert max(got.values()) > 0.8 > 0.2 > min(got.values())


def test_words_tell_what_the_ranking_does_not() -> None:
    """A word that only the right ones have speaks for its label, and for no other."""
    lists = [listing.listing(worded_record(n), candidates(), LABELS) for n in range(30)]
    words = listing.Words(lists, len(LABELS), tomllib.loads(CONFIG)["wording"])
    wording = words.without(0)
    good, bad = places_of("pay the penny"), places_of("pay the pound")
    said = wording.said([0, 0, 1], [good, bad, good])
    assert said[0] > 0.3 > -0.3 > said[1]
    assert said[2] == 0, "too few candidates of that label"


def test_no_list_is_judged_by_words_that_learned_from_it() -> None:
    """Answers of the left-out fold, turned round, change nothing that is said without it."""
    lists = [listing.listing(worded_record(n), candidates(), LABELS) for n in range(30)]
    turned = [
        replace(one, words=replace(one.words, right=~one.words.right)) if one.fold == 2 else one
        for one in lists
    ]
    settings = tomllib.loads(CONFIG)["wording"]
    one, other = (listing.Words(some, len(LABELS), settings) for some in (lists, turned))
    assert np.array_equal(one.without(2).weights, other.without(2).weights)
    assert np.array_equal(one.without(2, 4).weights, other.without(2, 4).weights)
    assert not np.array_equal(one.without(4).weights, other.without(4).weights)
    forests = [
        listing.learn(
            [part for part in some if part.fold != 2], words, [2], tomllib.loads(CONFIG)["listing"]
        )
        for some, words in ((lists, one), (turned, other))
    ]
    rows = lists[2].told(one.without(2))
    first, second = (predict(forest, rows) for forest in forests)
    assert np.array_equal(first, second)


def test_what_only_repeats_is_no_lesson() -> None:
    """The second of two that match one answer is left out, and so is what is not listed."""
    text = record(0)
    twice = [Candidate(0, STEP, 2 * STEP, 0.9), Candidate(0, STEP, 2 * STEP - 1, 0.4)]
    some = listing.listing(text, [*twice, Candidate(0, 0, STEP, LEAST_LISTED / 2)], LABELS)
    assert some.places.tolist() == [0, 1]
    assert some.words.right.tolist() == [True, True]
    assert some.words.repeated.tolist() == [False, True]
    spans = [(c.start, c.end) for c in twice]
    wording = Wording(np.ones((2, PLACES), np.float16))
    rows = list_rows(text["text"], LABELS, [0, 0], spans, some.scores[:2].tolist(), wording)
    assert np.array_equal(some.told(wording), rows)
