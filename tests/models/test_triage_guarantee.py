"""The set of what is known of the judge's mistakes, and the table that decision 47 shows of it."""

from __future__ import annotations

import numpy as np
import pytest

from models.triage.guarantee import ARTEFACTS, calibration_of, table
from services.triage.guarantee import Calibration, read_calibration
from services.triage.risk import GUARANTEE_FILE, MANIFEST_FILE, NAME
from shared.artefacts import newest
from tests.support import ROOT


@pytest.fixture(scope="module")
def known() -> Calibration:
    """Of the committed predictions."""
    return calibration_of()


def test_decision_47_shows_what_the_program_prints(known: Calibration) -> None:
    """Row by row, and of how many filings and companies."""
    text = (ROOT / "infra/decisions/0047-findings-without-a-person.md").read_text("utf-8")
    assert table(known) in text
    words = " ".join(text.split())
    assert (
        f"the surest doubt of {len(known.risk):,} filings of {known.companies} companies" in words
    )


def test_the_set_that_ships_is_that_of_the_predictions(known: Calibration) -> None:
    """Every filing of every company, as it was judged by who had not learned from it."""
    ships = read_calibration((newest(ARTEFACTS, NAME, MANIFEST_FILE) / GUARANTEE_FILE).read_bytes())
    assert (ships.companies, len(ships.risk)) == (known.companies, len(known.risk))
    assert ships.risk == pytest.approx(known.risk, abs=1e-6)
    assert np.array_equal(ships.broken, known.broken)
    assert np.array_equal(ships.right, known.right)
