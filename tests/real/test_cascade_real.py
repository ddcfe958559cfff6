"""The table of decision 33, made again of the committed predictions and the real contracts."""

from __future__ import annotations

from argparse import Namespace

import pytest

from infra import evaluate_cascade
from tests.models.test_decided_figures import CALL_SECONDS, table_of_ways
from tests.support import data_folder


@pytest.mark.slow
def test_what_asking_would_buy_is_what_decision_33_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """All but the seconds of the specialist, which hang on the machine."""
    ways = table_of_ways()
    own = ways["specialist alone, as it is shown"]["seconds"]
    monkeypatch.setattr(evaluate_cascade, "measured", lambda *_: own)
    asked = Namespace(
        point="Claude Opus 4.8", budget=[2.0, 5.0, 10.0], measure=0, call_seconds=CALL_SECONDS
    )
    report = evaluate_cascade.evaluate(data_folder("legal"), asked)
    assert len(report["ways"]) == len(ways)
    for way, (name, row) in zip(report["ways"], ways.items(), strict=True):
        assert way["way"].startswith(name)
        for key, ours in (
            ("asked", "asked"),
            ("calls", "calls"),
            ("wrong", "wrong"),
            ("missed", "missed"),
        ):
            assert way[key] == pytest.approx(row[ours], abs=0.51), (name, key)
        assert way["usd"] == pytest.approx(row["usd"], abs=0.0051), name
        covered = [(one["clauses"], one["wrong"]) for one in way["accepted"].values()]
        for found, said in zip(covered, row["accepted"], strict=False):
            assert found == pytest.approx(said, abs=0.51), name
