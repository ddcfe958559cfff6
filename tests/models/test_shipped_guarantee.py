"""The committed figures of a stated risk follow from the calibration set that ships."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models.clauses import recall_target
from models.clauses.risk_proof import PROMISED, bounds, proof
from models.files import folder_of, read_json
from services.extraction.routing.recall_target import MOST_ANSWERS
from shared.inference.adapters import GUARANTEE_FILE, newest_version
from shared.policy.risk_control import Calibration, read_calibration
from tests.support import ROOT

MODELS = ROOT / "models"
NAME = "contract-clauses"
CARELESS = "the same threshold rule without a margin"


def figures() -> dict[str, Any]:
    """The committed report."""
    found: dict[str, Any] = read_json(folder_of(NAME) / "guarantee.json")
    return found


@pytest.fixture(scope="module")
def known() -> Calibration:
    """The calibration set that ships, of out-of-fold predictions."""
    folder = newest_version(MODELS / "artefacts", NAME)
    return read_calibration((folder / GUARANTEE_FILE).read_bytes())


def test_the_proof_is_that_of_the_set_that_ships(known: Calibration) -> None:
    report = figures()
    again = proof(known, known.belief, known.belief)
    compared = 0
    for one, line in zip(again, report["proof"], strict=True):
        assert (one["risk"], one["way"]) == (line["risk"], line["way"])
        if one["way"] in (PROMISED, CARELESS):
            compared += 1
            for part in ("drawn", "halves"):
                assert one[part] == pytest.approx(line[part], nan_ok=True), (line["risk"], part)
    assert compared == 10
    assert bounds(known) == report["bounds"]


@pytest.mark.slow
def test_a_company_counts_with_as_many_missed_clauses_as_keep_the_risk(
    known: Calibration, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With fewer, more than 5% of the draws exceed it."""
    exceeded = {}
    for answers in (10, 30, MOST_ANSWERS):
        monkeypatch.setattr(recall_target, "MOST_ANSWERS", answers)
        exceeded[answers] = max(
            one["drawn"]["exceeded"] for one in recall_target.proof_of_missed(known)
        )
    assert exceeded[10] > exceeded[30] > 0.05 >= exceeded[MOST_ANSWERS]
    of_each = np.bincount(known.answer_family, minlength=known.families)
    assert (of_each <= MOST_ANSWERS).mean() == pytest.approx(0.9, abs=0.02)


def test_the_calibration_set_is_small() -> None:
    folder = newest_version(MODELS / "artefacts", NAME)
    assert (folder / GUARANTEE_FILE).stat().st_size < 0.1e6
