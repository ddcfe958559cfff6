"""The calibration set and its proof: made of what was not seen, and of the artefact that ships."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest

from models.clauses.recall_target import proof_of_missed
from models.clauses.risk_control import Rows, calibration_of, cross_fitted, rows_of
from models.clauses.risk_proof import LEVEL, AcceptanceRule
from models.evaluation.calibration import MAPS, error_of
from models.evaluation.judging import judge
from models.evaluation.predict import Candidate
from models.files import folder_of, read_json
from services.extraction.routing.recall_target import recall_threshold
from shared.inference.adapters import (
    GUARANTEE_FILE,
    AdapterManifest,
    newest_version,
)
from shared.policy.risk_control import control_risk, read_calibration, thresholds_of
from tests.models.builders import note
from tests.support import ROOT

LABELS = ("Parties", "Governing Law")
MODELS = ROOT / "models"


def manifest() -> AdapterManifest:
    """One whose confidence is half the score, up to 0.8."""
    return AdapterManifest(
        1, "a", "1.0.0", "", "", 1, {}, LABELS, 256, 192, "none",
        calibration={"scores": [0.8], "confidences": [0.4]},
    )  # fmt: skip


def test_a_clause_has_the_confidence_that_is_served_and_is_wrong_by_the_legal_metric() -> None:
    text = "Acme Corp. shall pay. The law of Ohio governs this Agreement."
    answers = {"Parties": "Acme Corp.", "Governing Law": "The law of Ohio governs this Agreement."}
    notes = [note(name, text, answer) for name, answer in answers.items()]
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
    of_clauses = family, family % 5, label, confidence, confidence, right
    return Rows(LABELS, families, *of_clauses, family, confidence, contract=family)


@pytest.mark.parametrize("name", MAPS)
def test_no_belief_depends_on_the_results_of_its_own_fold(name: str) -> None:
    known = rows()
    before = cross_fitted(known, name)
    turned = known.right.copy()
    turned[known.fold == 0] = 1 - turned[known.fold == 0]
    after = cross_fitted(replace(known, right=turned), name)
    assert np.array_equal(before[known.fold == 0], after[known.fold == 0])
    assert (name == "none") == np.array_equal(before, after)


def test_maps_by_category_fit_better_than_a_pooled_one() -> None:
    known = rows(600)
    errors = {}
    for name in MAPS:
        belief, parts = cross_fitted(known, name), [known.label == one for one in (0, 1)]
        errors[name] = sum(error_of(belief[part], known.right[part]) for part in parts)
    for kind in ("isotonic", "Platt", "beta"):
        assert errors[f"{kind}, by category"] < errors[f"{kind}, pooled"] < errors["none"]


def test_the_proof_tests_the_served_guarantee() -> None:
    known = calibration_of(rows(), cross_fitted(rows(), "Platt, by category"))
    for risk in (0.1, 0.2):
        way = AcceptanceRule.of(known, known.belief, thresholds_of(risk))
        (kept,) = way.tested(np.ones((known.families, 1)), risk)
        made = control_risk(known, risk, LEVEL)
        assert made.belief is not None
        assert way.thresholds[kept - 1] == made.belief


@pytest.mark.parametrize("name", ["contract-clauses", "nda-review", "unfair-terms"])
def test_the_set_that_ships_is_the_one_of_the_report(name: str) -> None:
    folder = newest_version(MODELS / "artefacts", name)
    known = read_calibration((folder / GUARANTEE_FILE).read_bytes())
    shipped = AdapterManifest.read(folder)
    report = read_json(folder_of(name) / "guarantee.json")
    assert known.labels == shipped.labels
    assert (known.families, len(known.label)) == (report["families"], report["shown"])
    for line in report["promises"]:
        made = asdict(control_risk(known, line["max_wrong"], line["level"]))
        assert made.pop("belief") == pytest.approx(line.pop("belief"))
        assert made == line
    unshown = read_json(folder_of(name) / "missed.json")
    for line in unshown["shares"]:
        promised = recall_threshold(known, line["share"], unshown["level"])
        assert (promised.above, promised.missed) == (line["above"], line["missed"])


@pytest.mark.parametrize("name", ["contract-clauses", "nda-review", "unfair-terms"])
def test_more_is_missed_in_no_more_draws_than_the_level_says(name: str) -> None:
    folder = newest_version(MODELS / "artefacts", name)
    known = read_calibration((folder / GUARANTEE_FILE).read_bytes())
    unshown = read_json(folder_of(name) / "missed.json")
    found = proof_of_missed(known)
    assert all(one["drawn"]["exceeded"] <= 1 - LEVEL for one in found)
    for one, line in zip(found, unshown["shares"], strict=True):
        assert one["drawn"] == pytest.approx(line["drawn"])
