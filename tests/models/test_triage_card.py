"""Artefact, card, figures and predictions of triage-breaks agree."""

from __future__ import annotations

import json

import numpy as np
import pytest

from models.files import read_config, read_json
from models.triage_breaks.corrections import CONTRADICTED, CORRECTED
from models.triage_breaks.curve import Prediction
from models.triage_breaks.filings import FOLDER
from models.triage_breaks.scores import figures, predictions, risk, threshold
from services.triage.checks.classifier import NAME, BreaksManifest
from tests.support import ROOT

CONFIG, SCORES = read_config(FOLDER), read_json(FOLDER / "scores.json")


@pytest.fixture(scope="module")
def every() -> list[Prediction]:
    """The committed predictions."""
    return predictions(FOLDER)


def test_the_figures_are_those_of_the_predictions(every: list[Prediction]) -> None:
    parts = {"own", "headlines", "corrected", "development", "finverbench"}
    assert {p["set"] for p in every} == parts
    share = CONFIG["operation"]["false_alarms"]
    assert json.loads(json.dumps(figures(FOLDER, every, share))) == SCORES


def test_every_fact_that_was_corrected_is_in_the_card(every: list[Prediction]) -> None:
    known = read_json(FOLDER / CORRECTED)
    facts = SCORES["corrected"]["facts"]
    assert sum(facts.values()) == sum(pair["rows"] for pair in known["pairs"]) == 186
    shown = {pair[pair["wrong"]] for pair in known["pairs"] if pair["seen"] == "page"}
    shown |= set(read_config(FOLDER / CONTRADICTED))
    assert shown == {one["filing"] for one in known["filings"]}
    assert shown == {p["id"] for p in every if p["set"] == "corrected"}
    assert not shown & {p["id"] for p in every if p["set"] in ("own", "headlines")}


def test_the_shipped_thresholds_are_those_of_the_recipe(every: list[Prediction]) -> None:
    (path,) = (ROOT / "models" / "artefacts" / NAME).glob(f"*/{BreaksManifest.FILE}")
    shipped = BreaksManifest.read(path.parent)
    versions = {p["version"] for p in every} | {CONFIG["version"], path.parent.name}
    assert versions == {shipped.version}
    assert shipped.licence == CONFIG["data"]["licence"]
    operation = CONFIG["operation"]
    sound = np.array([risk(p) for p in every if p["set"] == "own" and p["type"] is None])
    assert shipped.flagged == threshold(sound, operation["false_alarms"])
    assert shipped.shown == threshold(sound, operation["shown"])
    assert shipped.unbelieved == operation["unbelieved"]
    headlines = [risk(p) for p in every if p["set"] == "headlines" and p["type"] is None]
    share = sum(r >= shipped.flagged for r in headlines) / len(headlines)
    assert share == pytest.approx(operation["false_alarms_of_headlines"], abs=0.004)
    # The service flags from `flagged` on; the count is of risks above the threshold.
    assert int((sound >= shipped.flagged).sum()) == int((sound > SCORES["threshold"]).sum())
    assert int((sound >= shipped.flagged).sum()) <= operation["false_alarms"] * len(sound)
