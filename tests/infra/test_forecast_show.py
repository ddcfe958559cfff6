"""How steady a forecast of further companies is: the program that decision 41 quotes."""

from __future__ import annotations

import numpy as np

from infra.forecast_show import measured
from services.triage.risk import Judge
from tests.support import artefacts


def test_two_looks_one_after_another_say_about_the_same() -> None:
    """Both ends of the range move less than the number that decisions alone make, and stand where
    that comes and goes; the range has what came out.
    """
    data = Judge.load(artefacts()).guarantee
    assert data is not None
    row = measured(data, (0.1, 1.0, 0.5), 50, 2000, 12)
    alone, least, most = (
        np.quantile(one.jumps, (0.5, 0.9)) for one in (row.alone, row.least, row.most)
    )
    assert (alone > (1.15, 1.6)).all()
    assert (least < (1.1, 1.3)).all()
    assert (most < alone).all()
    assert row.least.turns < row.alone.turns / 3
    assert row.within > 0.8 * row.looks


def test_the_range_reckons_with_chance_in_what_is_to_come() -> None:
    """Most where few would do, as at a risk of 20%: by how sure the share is alone, the range had
    what came out in half of these looks.
    """
    data = Judge.load(artefacts()).guarantee
    assert data is not None
    row = measured(data, (0.2, 0.2, 0.5), 50, 1500, 12)
    assert row.within > 0.65 * row.looks > 60
