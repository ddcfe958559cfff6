"""The calibration set of triage-breaks, and the risks that it can keep."""

from __future__ import annotations

import numpy as np
import pytest

from models.triage_breaks.guarantee import ARTEFACTS, calibration_of, table
from services.triage.checks.classifier import GUARANTEE_FILE, NAME, BreaksManifest
from services.triage.routing.risk_control import Calibration, read_calibration
from shared.artefacts.loader import newest


@pytest.fixture(scope="module")
def known() -> Calibration:
    """The calibration of the committed predictions."""
    return calibration_of()


def test_a_risk_is_attainable_only_where_half_of_the_filings_are_broken(
    known: Calibration,
) -> None:
    rows = [[cell.strip() for cell in line.split("|")[2:-1]] for line in table(known).splitlines()]
    assert rows[0][0] == "50% broken"
    thresholds = [float(row[0]) for row in rows[2:]]
    assert thresholds == sorted(thresholds, reverse=True)
    assert {cell for row in rows[2:] for cell in row[1:]} == {"not attainable"}


def test_the_set_that_ships_is_that_of_the_predictions(known: Calibration) -> None:
    ships = read_calibration(
        (newest(ARTEFACTS, NAME, BreaksManifest.FILE) / GUARANTEE_FILE).read_bytes()
    )
    assert (ships.companies, len(ships.risk)) == (known.companies, len(known.risk))
    assert ships.risk == pytest.approx(known.risk, abs=1e-6)
    assert np.array_equal(ships.broken, known.broken)
    assert np.array_equal(ships.right, known.right)
