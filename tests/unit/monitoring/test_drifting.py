"""Documents that are like those before raise no alarm; others soon do."""

from __future__ import annotations

import json

import numpy as np
import pytest

from services.extraction.monitoring.drift_features import FIGURES, figures, reference
from shared.monitoring.drift import Drift, rank_of, stability_index
from shared.policy.risk_control import Calibration, read_calibration

LABELS = ("Governing Law", "Audit Rights")


def calibration() -> Calibration:
    """Two hundred contracts of one to five clauses, more of them governing laws."""
    draw = np.random.default_rng(5)
    document = np.repeat(np.arange(200), draw.integers(1, 6, 200))
    count = len(document)
    return Calibration(
        LABELS,
        200,
        np.array([[0.0, 1.0], [0.0, 1.0]]),
        document,
        (draw.random(count) < 0.3).astype(np.int64),
        draw.uniform(0.4, 0.99, count),
        np.zeros(count),
        document,
        np.full(count, 0.9),
        document,
    )


def test_the_figures_of_a_document_are_counted_by_hand() -> None:
    """One of a category with a belief of one half: even odds, its share, and the log of one."""
    known = calibration()
    found = figures(known, [("Governing Law", 0.5), ("Poetry", 0.9)])
    share = ((known.label == 0).sum() + 1) / (len(known.label) + 2)
    assert found == pytest.approx({"sureness": 0.0, "mix": np.log(share), "size": 0.0})
    assert figures(known, []) == {}


def test_the_reference_has_one_figure_a_contract_in_order() -> None:
    kept = read_calibration(calibration().to_bytes())
    found = reference(kept)
    assert set(found) == set(FIGURES)
    assert all(len(values) == 200 and (np.diff(values) >= 0).all() for values in found.values())
    assert reference(Calibration(*list(vars(calibration()).values())[:9])) == {}


def test_ranks_among_like_documents_are_uniform() -> None:
    draw = np.random.default_rng(1)
    ranks = []
    for _ in range(2000):
        values = draw.integers(0, 4, 20)
        below, same = (values[1:] < values[0]).sum(), (values[1:] == values[0]).sum()
        ranks.append(rank_of(int(below), int(same), 19, draw.random()))
    assert np.abs(np.histogram(ranks, 10, (0, 1))[0] / 2000 - 0.1).max() < 0.03


def test_like_documents_seldom_raise_an_alarm_and_others_soon_do() -> None:
    """A hundred runs of three hundred uniform ranks, then ranks at the lower end."""
    draw = np.random.default_rng(2)
    alarms, delays = 0, []
    for _ in range(100):
        drift, early = Drift.none(FIGURES), False
        for _ in range(300):
            drift = drift.after(dict.fromkeys(FIGURES, draw.random()))
            early = early or drift.detected
        alarms += early
        delays.append(0)
        while not drift.detected:
            drift = drift.after(dict.fromkeys(FIGURES, 0.05 * draw.random()))
            delays[-1] += 1
    assert alarms <= 5
    assert np.median(delays) < 15


def test_what_is_kept_is_read_again() -> None:
    drift = Drift.none(FIGURES).after({"mix": 0.4})
    assert drift.documents == {"sureness": 0, "mix": 1, "size": 0}
    assert Drift.of_json(json.loads(json.dumps(drift.to_json()))).log_capital == drift.log_capital


def test_the_stability_index_is_near_nothing_for_the_same_and_large_for_others() -> None:
    draw = np.random.default_rng(3)
    known, same = draw.normal(size=500), draw.normal(size=500)
    assert stability_index(known, same) < 0.1
    assert stability_index(known, same + 1) > 0.5
