"""What is shipped, the card, the figures and the predictions of triage-breaks are of one making."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import numpy as np
import pytest

from models.triage.card import card
from models.triage.corrections import CORRECTED
from models.triage.curve import FILE, SHOWN, Prediction, at, drawing_of, read_baselines
from models.triage.scores import FOLDER, figures, predictions, risk, threshold
from services.triage.risk import MANIFEST_FILE, NAME, Manifest, read_manifest
from tests.support import ROOT


@pytest.fixture(scope="module")
def every() -> list[Prediction]:
    """The committed predictions."""
    return predictions(FOLDER)


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    """The recipe."""
    return tomllib.loads((FOLDER / "config.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def scores() -> dict[str, Any]:
    """The committed figures."""
    found: dict[str, Any] = json.loads((FOLDER / "scores.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def shipped() -> Manifest:
    """Of the one artefact."""
    (path,) = (ROOT / "models" / "artefacts" / NAME).glob(f"*/{MANIFEST_FILE}")
    manifest = read_manifest(path)
    assert manifest.version == path.parent.name
    return manifest


def test_the_card_is_the_one_that_the_figures_make(
    scores: dict[str, Any], config: dict[str, Any]
) -> None:
    """The committed card is not stale: written again, it comes out the same."""
    text = (FOLDER / "CARD.md").read_text(encoding="utf-8")
    assert text == card(scores, read_baselines(FOLDER), config["version"]), (
        "run python -m models.triage.scores"
    )


def test_the_figures_are_those_of_the_predictions(
    every: list[Prediction], scores: dict[str, Any], config: dict[str, Any]
) -> None:
    """Counted again they are the same, also of errors that companies corrected later."""
    parts = {"own", "headlines", "corrected", "development", "finverbench"}
    assert {p["set"] for p in every} == parts
    share = config["operation"]["false_alarms"]
    assert json.loads(json.dumps(figures(FOLDER, every, share))) == scores


def test_every_fact_that_was_corrected_is_in_the_card(scores: dict[str, Any]) -> None:
    """Each pair of filings once, each with what told which side was wrong."""
    known = json.loads((FOLDER / CORRECTED).read_text(encoding="utf-8"))
    facts = scores["corrected"]["facts"]
    assert sum(facts.values()) == sum(pair["rows"] for pair in known["pairs"]) == 186
    shown = {pair[pair["wrong"]] for pair in known["pairs"] if pair["seen"] == "page"}
    assert shown == {one["filing"] for one in known["filings"]}
    card_text = (FOLDER / "CARD.md").read_text(encoding="utf-8")
    assert all(f"| {pair['company']} |" in card_text for pair in known["pairs"])


def test_the_curve_is_drawn_from_the_figures() -> None:
    """The committed drawing is not stale, and the card shows it."""
    assert (FOLDER / FILE).read_text(encoding="utf-8") == drawing_of(FOLDER)
    assert SHOWN in (FOLDER / "CARD.md").read_text(encoding="utf-8")


def test_the_card_does_not_say_that_the_goal_is_surely_reached(scores: dict[str, Any]) -> None:
    """Its lower end is below the goal; what the interval is made of is what is counted at 2%."""
    value, low, high = at(scores["curves"]["own"]["learned"], 0.02)
    assert value == pytest.approx(scores["found"]["learned"]["2%"], abs=1e-4)
    text = " ".join((FOLDER / "CARD.md").read_text(encoding="utf-8").split())
    assert ("not surely reached" in text) is (low < 0.85 <= value)
    assert f"Found are {value:.1%} [{low:.1%}, {high:.1%}]" in text


def test_what_is_shipped_flags_and_shows_as_the_recipe_says(
    every: list[Prediction], scores: dict[str, Any], config: dict[str, Any], shipped: Manifest
) -> None:
    """Version, licence and thresholds are those of the config on the committed predictions."""
    assert {p["version"] for p in every} == {shipped.version} == {config["version"]}
    assert shipped.licence == config["data"]["licence"]
    operation = config["operation"]
    sound = np.array([risk(p) for p in every if p["set"] == "own" and p["type"] is None])
    assert shipped.flagged == threshold(sound, operation["false_alarms"])
    assert shipped.shown == threshold(sound, operation["shown"])
    assert shipped.unbelieved == operation["unbelieved"]
    headlines = [risk(p) for p in every if p["set"] == "headlines" and p["type"] is None]
    share = sum(r >= shipped.flagged for r in headlines) / len(headlines)
    assert share == pytest.approx(operation["false_alarms_of_headlines"], abs=0.004)
    # Served is flagged from `flagged` on, and counted is what lies above the threshold.
    assert int((sound >= shipped.flagged).sum()) == int((sound > scores["threshold"]).sum())
    assert int((sound >= shipped.flagged).sum()) <= operation["false_alarms"] * len(sound)
