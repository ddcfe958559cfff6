"""Coverage against cost, on the committed predictions and the real contracts."""

from __future__ import annotations

from argparse import Namespace

import numpy as np
import pytest

from models.files import folder_of, read_json
from shared.inference.adapters import GUARANTEE_FILE, newest_version
from shared.policy.risk_control import read_calibration
from tests.evaluate import cascade
from tests.models.test_shipped_guarantee import MODELS, NAME
from tests.support import data_folder

BUDGETS = [2.0, 5.0, 10.0]


@pytest.mark.slow
def test_the_cascade_starts_from_what_ships_and_asking_more_leaves_fewer_errors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The specialist's part is that of its calibration set; no budget is passed."""
    monkeypatch.setattr(cascade, "measured", lambda *_: 1.0)
    asked = Namespace(point="Claude Opus 4.8", budget=BUDGETS, measure=0, call_seconds=5.0)
    ways = cascade.evaluate(data_folder("legal"), asked)
    known = read_calibration(
        (newest_version(MODELS / "artefacts", NAME) / GUARANTEE_FILE).read_bytes()
    )
    shown, likely, *cascades, frontier = ways
    missed, guarantee = (read_json(folder_of(NAME) / f"{n}.json") for n in ("missed", "guarantee"))
    assert shown["wrong"] == known.wrong.sum()
    assert shown["missed"] == (known.answer_confidence <= missed["usual"]).sum()
    assert likely["wrong"] == known.wrong[known.belief > 0.5].sum()
    promises = {str(one["max_wrong"]): one for one in guarantee["promises"]}
    for risk, covered in shown["accepted"].items():
        assert covered["clauses"] == promises[risk]["accepted"]
        assert covered["wrong"] == promises[risk]["wrong"]
    assert np.all(np.diff([likely["errors"], *(way["errors"] for way in cascades)]) < 0)
    assert all(way["usd"] <= most for way, most in zip(cascades, BUDGETS, strict=False))
    assert cascades[-1]["usd"] < frontier["usd"]
