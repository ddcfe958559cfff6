"""How many companies a calibration of findings needs: the program that decision 60 quotes."""

from __future__ import annotations

from infra.refit_show import counted
from services.triage.risk import Judge
from tests.support import artefacts


def test_more_companies_show_a_smaller_risk_and_what_is_shown_holds() -> None:
    """At 20% few are enough; at 10% many are wanted, and no rule of these runs breaks it."""
    data = Judge.load(artefacts()).guarantee
    assert data is not None
    few, _ = counted(data, 60, 8, 1.0)
    some, broke = counted(data, 300, 8, 1.0)
    many, broke_of_many = counted(data, 1500, 8, 1.0)
    assert few == [0, 0]
    assert some[0] < 8
    assert some[1] >= 6
    assert many == [8, 8]
    assert broke == broke_of_many == [0, 0]
