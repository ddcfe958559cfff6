"""Cross-validation: folds, choices out of fold, the metric, the learning curve."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from services.extraction.evaluation.metric import count
from services.extraction.pipeline.decoding import Decoding
from services.extraction.pipeline.search import calibrated, calibrated_all
from services.extraction.teaching.cross_validation import (
    FOLDS,
    crossed,
    false_alarms,
    figures_of,
    folds_of,
    misses,
    share_of,
    verdict,
)
from services.extraction.teaching.encoder_states import EncodedExample
from services.extraction.teaching.examples import Example
from services.extraction.teaching.logistic_regression import Strength
from services.extraction.teaching.scoring import (
    DecodingOption,
    Trial,
    TrialScorer,
    calibration_error,
    fit_calibration,
)

WAY = DecodingOption(Strength(1.0, 0.1), by_words=False, merge=0.7)


def examples(count: int, documents: int) -> list[Example]:
    return [
        Example(i + 1, f"Text {i}.", ((0, 4),) if i % documents % 2 else (), f"d{i % documents}")
        for i in range(count)
    ]


def trial(
    example: Sequence[int], scores: Sequence[float], right: Sequence[bool], answers: int
) -> Trial:
    places = np.array(example)
    pairs = [(i, places[i]) for i, is_right in enumerate(right) if is_right]
    return Trial(
        places,
        np.tile([0, 4], (len(places), 1)),
        np.array(scores),
        np.array(right),
        np.array(pairs, np.int64).reshape(-1, 2),
        np.arange(answers),
    )


def test_documents_stay_in_one_fold_and_every_fold_has_passages() -> None:
    made = examples(60, 10)
    folds = folds_of(made)
    of = {
        example.document: {*folds[[e.document == example.document for e in made]]}
        for example in made
    }
    assert all(len(one) == 1 for one in of.values())
    assert {int(f) for e, f in zip(made, folds, strict=True) if e.spans} == set(range(FOLDS))


def test_a_share_holds_whole_documents_with_and_without_examples() -> None:
    made = examples(40, 20)
    drawn = [share_of(made, range(40), 0.5, seed) for seed in range(2)]
    for chosen in drawn:
        documents = {made[i].document for i in chosen}
        assert len(documents) == 10
        assert sum(bool(made[i].spans) for i in chosen) == 10
        assert sorted(chosen) == [i for i in range(40) if made[i].document in documents]
    assert drawn[0] != drawn[1]


def test_trials_count_as_the_legal_metric_does() -> None:
    text = "One thing. Keep the data. One thing. Keep the data. Send it back soon."
    example = Example(1, text, ((11, 25), (52, 70)), "d")
    starts = [0, 11, 26, 37, 52]
    offsets = np.array([[s, text.index(".", s) + 1] for s in starts])
    read = EncodedExample(example, slice(0, 5), offsets, np.arange(6))
    probabilities = np.array([0.3, 0.9, 0.2, 0.6, 0.004], np.float32)
    found = TrialScorer("x", [read], Decoding()).trial(WAY, probabilities)
    texts = [text[start:end] for start, end in found.spans]
    assert len(texts) == len(set(texts))
    assert found.scores[texts.index("Keep the data.")] == pytest.approx(0.6)  # the later one
    counts, answers = found.counts(found.scores, 1)
    expected = count("x", list(zip(texts, found.scores, strict=True)), example.answers)
    assert np.array_equal(counts[0], expected)
    assert answers.tolist() == [2]
    assert found.curve(found.scores, np.array([True])).aupr > 0


def test_a_calibration_rises_and_is_read_as_it_is_served() -> None:
    draw = np.random.default_rng(2)
    scores = draw.uniform(0.02, 1, 400)
    right = draw.uniform(size=400) < scores**3
    knots = fit_calibration(scores, right)
    many = calibrated_all(np.linspace(0, 1, 500), knots)
    assert (np.diff(many) > 0).all()
    assert many[0] > 0
    assert many[-1] < 1
    assert [calibrated(float(s), knots) for s in scores] == pytest.approx(
        calibrated_all(scores, knots)
    )
    after = calibrated_all(scores, knots)
    assert calibration_error(after, right) < 0.5 * calibration_error(scores, right)


@pytest.mark.parametrize("right", [True, False])
def test_a_calibration_of_few_is_careful(right: bool) -> None:
    knots = fit_calibration(np.array([0.8, 0.7, 0.9]), np.array([right] * 3))
    sure = calibrated_all(np.array([0.8]), knots)[0]
    assert 0.05 < sure < 0.97
    assert bool(sure > 0.5) is right


def test_a_fold_is_scored_with_the_choice_of_the_others() -> None:
    folds = np.arange(20) % FOLDS
    plain = trial(range(20), [0.6] * 20, [i % 2 == 0 for i in range(20)], 20)
    is_zero = (folds == 0).tolist()
    lucky = trial(range(20), [0.9 if z else 0.4 for z in is_zero], is_zero, 20)
    other = DecodingOption(Strength(5.0, 0.1), by_words=False, merge=0.7)
    outcome, _ = crossed({WAY: plain, other: lucky}, folds)
    own = folds[outcome.example] == 0
    assert outcome.right[own].tolist() == [i % 2 == 0 for i in outcome.example[own]]
    assert sorted(outcome.example) == list(range(20))
    assert all(outcome.example[c] == a for c, a in outcome.pairs)


def test_figures_worked_out_by_hand() -> None:
    made = [Example(i, f"Text {i}.", ((0, 4),) if i < 4 else (), f"d{i}") for i in range(6)]
    found = trial([0, 1, 2, 3, 4, 5], [0.9, 0.8, 0.7, 0.2, 0.6, 0.1], [True] * 4 + [False] * 2, 4)
    figures = figures_of(found, found.scores > 0.5, made)
    assert figures["precision"]["value"] == pytest.approx(3 / 4)
    assert figures["recall"]["value"] == pytest.approx(3 / 4)
    assert figures["f1"]["value"] == pytest.approx(3 / 4)
    assert figures["best_f1"]["value"] == pytest.approx(2 * (4 / 5) * 1 / (9 / 5))
    assert figures["f1"]["low"] < 0.75 < figures["f1"]["high"]
    assert [one["line"] for one in misses(found, found.scores > 0.5, made)] == [3]
    assert [one["line"] for one in false_alarms(found, found.scores > 0.5, made)] == [4]


def test_without_an_error_the_interval_still_has_room() -> None:
    made = [Example(i, f"Text {i}.", ((0, 4),), f"d{i}") for i in range(5)]
    found = trial(range(5), [0.9] * 5, [True] * 5, 5)
    figures = figures_of(found, found.scores > 0.5, made)
    assert figures["recall"] == {"value": 1.0, "low": pytest.approx(0.4), "high": 1.0}


@pytest.mark.parametrize(
    ("gains", "answer"), [(0.95, "yes"), (0.9, "yes"), (0.5, "unclear"), (0.1, "no"), (0.0, "no")]
)
def test_more_examples_help_by_a_stated_rule(gains: float, answer: str) -> None:
    line = {"share": 0.5, "examples": 8, "aupr": 0.6, "best_f1": 0.6}
    result = verdict([line, {**line, "share": 1.0, "examples": 16, "aupr": 0.7, "gains": gains}])
    assert result["answer"] == answer
    assert "16 instead of 8" in result["reason"]
    assert "0.60 to 0.70" in result["reason"]
