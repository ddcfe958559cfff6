"""The last forest learns only from lists of other folds, and is served as it was measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from tests.models.builders import FOREST, run, toml, write_specialist
from tests.support import library

library("lightgbm")

from models.clauses import reranking
from models.evaluation.predict import Candidate, read_predictions, write_predictions
from models.files import write_lines
from models.forest import predict
from services.extraction.pipeline import search
from services.extraction.pipeline.candidates import SOURCES, Candidates
from services.extraction.pipeline.ranking import MIN_SCORE, Ranking, RankingFeatures, column_names
from services.extraction.pipeline.reranking import (
    BUCKETS,
    MIN_RERANKED,
    WORDS_FILE,
    WordModel,
    hash_buckets,
    list_rows,
    read_word_model,
)
from shared.inference import AdapterManifest, Specialist, TokenScores
from shared.inference.session import Forest

pytestmark = pytest.mark.training

WHOLE = {"trees": 40, "seed": 1, "seeds": 2, "share_of_columns": 1.0, "share_of_rows": 1.0}
CONFIG = {
    "data": {"training": "contracts.jsonl.gz"},
    "reranking": FOREST | WHOLE,
    "word_model": {"least": 10, "strength": 2.0, "share": 2.0},
}
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


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A specialist with ranked predictions, reranked, and its forests."""
    folder = tmp_path_factory.mktemp("reranking")
    specialist = write_specialist(folder / "small", toml(**CONFIG), LABELS)
    ranked, out = folder / "ranked", folder / "forests"
    ranked.mkdir()
    records = [record(number) for number in range(30)]
    write_lines(folder / "contracts.jsonl.gz", records)
    for fold in range(5):
        found = [(r["id"], candidates()) for r in records if r["fold"] == fold]
        write_predictions(ranked / f"predictions-fold{fold}.jsonl.gz", found)
    run(reranking.main, specialist, "--data", folder, "--ranked", ranked, "--out", out)
    return specialist, out


def lists_of(made: Callable[[int], dict[str, Any]] = record) -> list[reranking.RankedList]:
    return [reranking.ranked_list(made(n), candidates(), LABELS) for n in range(30)]


def words_of(lists: list[reranking.RankedList]) -> reranking.Words:
    return reranking.Words(lists, len(LABELS), CONFIG["word_model"])


def test_the_list_distinguishes_what_the_ranking_cannot(folders: tuple[Path, Path]) -> None:
    found = read_predictions(folders[0] / "predictions-fold3.jsonl.gz")
    assert sorted(found) == ["c13", "c18", "c23", "c28", "c3", "c8"]
    scores = np.array([c.score for c in found["c3"]])
    assert scores[1:20:2].min() > 0.8 > 0.2 > scores[0:20:2].max()
    assert scores[20] == pytest.approx(0.01)


def test_the_served_forest_is_the_one_that_was_learned(folders: tuple[Path, Path]) -> None:
    lists = lists_of()
    words = words_of(lists)
    forest = reranking.learn(lists, words, [], CONFIG["reranking"])
    served = read_word_model((folders[1] / WORDS_FILE).read_bytes())
    rows = lists[0].features(served)
    assert np.array_equal(rows, lists[0].features(words.without()))
    assert np.allclose(Forest(folders[1] / "list.onnx")(rows), predict(forest, rows), atol=1e-5)
    assert len(rows) == 20


def test_the_served_path_gives_the_measured_predictions(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    ranked, lists = candidates(), lists_of()
    words = words_of(lists)
    forest = reranking.learn(lists, words, [], CONFIG["reranking"])
    measured = dict(reranking.last(lists, words.without(), forest))
    label = np.array([c.label for c in ranked])
    spans, zero = np.array([(c.start, c.end) for c in ranked]), np.zeros(len(ranked), np.int64)
    sources = np.zeros((len(ranked), SOURCES), bool)
    found = Candidates(label, spans[:, 0], spans[:, 1], zero, zero, sources)
    rows = np.zeros((len(ranked), 1), np.float32)

    def seen(text: str, *_: object) -> RankingFeatures:
        return RankingFeatures(text, found, spans, ("highest",), rows, len(text))

    def scores(*_: object) -> np.ndarray:
        return np.array([c.score for c in ranked], np.float32)

    monkeypatch.setattr(search, "describe_candidates", seen)
    monkeypatch.setattr(Ranking, "scores", scores)
    manifest = SimpleNamespace(
        name="small",
        version="1.0.0",
        labels=tuple(LABELS),
        columns=column_names(("highest",)),
        decoding={},
        calibration={},
        thresholds={},
    )
    last = Forest(folders[1] / "list.onnx")
    served = Specialist(
        cast("AdapterManifest", manifest),
        cast("Any", None),
        cast("Any", None),
        {"first": last, "winners": last, "losers": last, "list": last},
        files={WORDS_FILE: (folders[1] / WORDS_FILE).read_bytes()},
    )
    for number in (0, 3):
        text = record(number)["text"]
        every = np.column_stack([np.arange(len(text)), np.arange(len(text)) + 1])
        tokens = TokenScores(every, np.zeros((len(text), len(LABELS)), np.float32))
        clauses = search.search_scores(text, tokens, served, least=MIN_SCORE).clauses
        got = {(LABELS.index(c.category), c.start, c.end): c.confidence for c in clauses}
        wanted = {(c.label, c.start, c.end): c.score for c in measured[f"c{number}"]}
        assert got == pytest.approx(wanted, abs=1e-5)
        assert len(got) == 21
        assert max(got.values()) > 0.8 > 0.2 > min(got.values())


def test_words_add_to_the_ranking() -> None:
    wording = words_of(lists_of(worded_record)).without(0)
    good, bad = hash_buckets("pay the penny"), hash_buckets("pay the pound")
    odds = wording.log_odds([0, 0, 1], [good, bad, good])
    assert odds[0] > 0.3 > -0.3 > odds[1]
    assert odds[2] == 0, "too few candidates of that label"


def test_no_list_is_scored_by_words_that_learned_from_it() -> None:
    lists = lists_of(worded_record)
    turned = [
        replace(one, words=replace(one.words, right=~one.words.right)) if one.fold == 2 else one
        for one in lists
    ]
    one, other = words_of(lists), words_of(turned)
    assert np.array_equal(one.without(2).weights, other.without(2).weights)
    assert np.array_equal(one.without(2, 4).weights, other.without(2, 4).weights)
    assert not np.array_equal(one.without(4).weights, other.without(4).weights)
    forests = [
        reranking.learn([p for p in some if p.fold != 2], words, [2], CONFIG["reranking"])
        for some, words in ((lists, one), (turned, other))
    ]
    rows = lists[2].features(one.without(2))
    first, second = (predict(forest, rows) for forest in forests)
    assert np.array_equal(first, second)


def test_repetitions_are_not_learned() -> None:
    text = record(0)
    twice = [Candidate(0, STEP, 2 * STEP, 0.9), Candidate(0, STEP, 2 * STEP - 1, 0.4)]
    some = reranking.ranked_list(text, [*twice, Candidate(0, 0, STEP, MIN_RERANKED / 2)], LABELS)
    assert some.places.tolist() == [0, 1]
    assert some.words.right.tolist() == [True, True]
    assert some.words.repeated.tolist() == [False, True]
    spans = [(c.start, c.end) for c in twice]
    wording = WordModel(np.ones((2, BUCKETS), np.float16))
    rows = list_rows(text["text"], LABELS, [0, 0], spans, some.scores[:2].tolist(), wording)
    assert np.array_equal(some.features(wording), rows)
