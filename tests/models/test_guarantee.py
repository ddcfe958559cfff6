"""The calibration set and its proof: made of what was not seen, and of the artefact that ships."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from models.calibrations import MAPS, error_of, reliability
from models.evaluate import judge
from models.guarantee import Rows, calibration_of, cross_fitted, rows_of
from models.missed import proof_of_missed
from models.predict import Candidate
from models.proof import LEVEL, PROMISED, RISKS, Way, proof
from models.risk_card import risk_text
from services.extraction.guarantee import shown_for
from shared.guarantee import promise, read_calibration, thresholds_of
from shared.inference import Manifest
from shared.inference.adapters import (
    GUARANTEE_FILE,
    MANIFEST_FILE,
    newest_version,
    read_manifest,
)
from tests.support import ROOT

LABELS = ("Parties", "Governing Law")
MODELS = ROOT / "models"


def manifest() -> Manifest:
    """One whose confidence is half the score, up to 0.8."""
    return Manifest(
        1, "a", "1.0.0", "", "", 1, {}, LABELS, 256, 192, "none",
        calibration={"scores": [0.8], "confidences": [0.4]},
    )  # fmt: skip


def test_a_clause_has_the_confidence_that_is_served_and_is_wrong_by_the_legal_metric() -> None:
    """One that matches, one that doesn't, one nobody is shown; an answer knows its surest match."""
    text = "Acme Corp. shall pay. The law of Ohio governs this Agreement."
    answers = {"Parties": "Acme Corp.", "Governing Law": "The law of Ohio governs this Agreement."}
    notes = [
        {"category": name, "start": text.index(said), "end": text.index(said) + len(said)}
        for name, said in answers.items()
    ]
    record = {"id": "1", "family": "acme", "text": text, "annotations": notes}
    found = [Candidate(0, 0, 9, 0.8), Candidate(1, 0, 20, 0.4), Candidate(1, 22, 61, 0.08)]
    rows = rows_of([judge(record, found, LABELS)], [3], manifest())
    assert rows.confidence.tolist() == pytest.approx([0.4, 0.2])
    assert (rows.right.tolist(), rows.label.tolist()) == ([1.0, 0.0], [0, 1])
    assert (rows.fold.tolist(), rows.families) == ([3, 3], 1)
    assert rows.answer_confidence.tolist() == pytest.approx([0.4, 0.04])


def rows(families: int = 150, seed: int = 5) -> Rows:
    """Companies of eight clauses whose second label is right more often than its confidence."""
    draw = np.random.default_rng(seed)
    family = np.repeat(np.arange(families), 8)
    confidence = 0.999 - 0.6 * draw.random(len(family)) ** 3
    label = draw.integers(0, 2, len(family))
    chance = np.where(label == 0, confidence, confidence**0.3)
    right = (draw.random(len(family)) < chance).astype(np.float64)
    fold = family % 5
    return Rows(
        LABELS,
        families,
        family,
        fold,
        label,
        confidence,
        confidence,
        right,
        family,
        confidence,
        contract=family,
    )


@pytest.mark.parametrize("name", MAPS)
def test_no_belief_hangs_on_what_its_own_fold_got_right(name: str) -> None:
    """Turning the first fold's results around changes the beliefs of the others alone."""
    known = rows()
    before = cross_fitted(known, name)
    turned = known.right.copy()
    turned[known.fold == 0] = 1 - turned[known.fold == 0]
    after = cross_fitted(Rows(**{**known.__dict__, "right": turned}), name)
    assert np.array_equal(before[known.fold == 0], after[known.fold == 0])
    assert (name == "none") == np.array_equal(before, after)


def test_maps_by_category_learn_what_a_pooled_one_cannot() -> None:
    """Two categories of different luck: the error by category is the smaller one."""
    known = rows(600)
    errors = {name: _error_by_label(known, cross_fitted(known, name)) for name in MAPS}
    for kind in ("isotonic", "Platt", "beta"):
        assert errors[f"{kind}, by category"] < errors[f"{kind}, pooled"] < errors["none"]


def _error_by_label(known: Rows, belief: np.ndarray) -> float:
    parts = [known.label == one for one in (0, 1)]
    return sum(error_of(belief[part], known.right[part]) for part in parts)


def test_reliability_is_counted_by_bins() -> None:
    """Two bins: one says 0.15 and is right half of the time, one says 0.9 and always is."""
    belief, right = np.array([0.1, 0.19, 0.9]), np.array([0.0, 1.0, 1.0])
    (low, high) = reliability(belief, right)
    assert low == pytest.approx((2, 0.145, 0.5))
    assert high == pytest.approx((1, 0.9, 1.0))
    assert error_of(belief, right) == pytest.approx((2 * (0.5 - 0.145) + 0.1) / 3)


def test_the_proof_tests_what_serving_promises() -> None:
    """Every family once is the set itself."""
    known = calibration_of(rows(), cross_fitted(rows(), "Platt, by category"))
    for risk in (0.1, 0.2):
        way = Way.of(known, known.belief, thresholds_of(risk))
        (kept,) = way.tested(np.ones((known.families, 1)), risk)
        made = promise(known, risk, LEVEL)
        assert made.belief is not None
        assert way.thresholds[kept - 1] == made.belief


def test_in_the_proof_a_promise_is_exceeded_as_rarely_as_it_says() -> None:
    """And the same rule without a margin in about half of the draws."""
    known = rows()
    found = proof(calibration_of(known, known.confidence), known.confidence, known.score)
    promised = [one["drawn"] for one in found if one["way"] == PROMISED]
    assert len(promised) == len(RISKS)
    assert all(one["exceeded"] <= 1 - LEVEL for one in promised)
    assert promised[-1]["attained"] > 0.9
    careless = [one["drawn"]["exceeded"] for one in found if "without a margin" in one["way"]]
    assert max(careless) > 0.3


@pytest.mark.parametrize("name", ["contract-clauses", "nda-review", "unfair-terms"])
def test_the_set_that_ships_is_the_one_of_the_report(name: str) -> None:
    """Its manifest vouches for it, and every promise of the report is what serving answers."""
    folder = newest_version(MODELS / "artefacts", name)
    known = read_calibration((folder / GUARANTEE_FILE).read_bytes())
    shipped = read_manifest(folder / MANIFEST_FILE)
    report = json.loads((MODELS / name / "guarantee.json").read_text("utf-8"))
    assert known.labels == shipped.labels
    assert (known.families, len(known.label)) == (report["families"], report["shown"])
    for line in report["promises"]:
        made = asdict(promise(known, line["max_wrong"], line["level"]))
        assert made.pop("belief") == pytest.approx(line.pop("belief"))
        assert made == line
    unshown = json.loads((MODELS / name / "missed.json").read_text("utf-8"))
    for line in unshown["shares"]:
        promised = shown_for(known, line["share"], unshown["level"])
        assert (promised.above, promised.missed) == (line["above"], line["missed"])
    assert risk_text(report, unshown) in (MODELS / name / "CARD.md").read_text("utf-8")


@pytest.mark.parametrize("name", ["contract-clauses", "nda-review", "unfair-terms"])
def test_more_is_missed_in_no_more_draws_than_the_level_says(name: str) -> None:
    """The figures of the card, by the set that ships."""
    folder = newest_version(MODELS / "artefacts", name)
    known = read_calibration((folder / GUARANTEE_FILE).read_bytes())
    unshown = json.loads((MODELS / name / "missed.json").read_text("utf-8"))
    found = proof_of_missed(known)
    assert all(one["drawn"]["exceeded"] <= 1 - LEVEL for one in found)
    for one, line in zip(found, unshown["shares"], strict=True):
        assert one["drawn"] == pytest.approx(line["drawn"])


def test_a_specialist_without_figures_says_so() -> None:
    """Nothing is claimed that nobody measured."""
    assert risk_text(None) == "Not measured for this version."
