"""The specialist that tells contracts from reports: its card, its figures, and what ships."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest

from models.kinds.card import card
from models.kinds.letters import papers, patterns
from models.kinds.scores import asked, calibration, read, recall, said, sides, thresholds
from models.kinds.scores import kinds_of as numbers_of
from services.ingest.judging import Judge
from shared.artefacts import newest
from shared.linear import DATA_FILE, MANIFEST_FILE, read_manifest
from tests.samples import contract
from tests.support import ROOT

FOLDER = ROOT / "models" / "document-kind"
SHIPPED = newest(ROOT / "models" / "artefacts", "document-kind", MANIFEST_FILE)
REPORT = """Consolidated Balance Sheets (in millions, except par value)
Total current assets 1,210 1,100   Property and equipment, net 700 650   Total assets 1,910 1,750
Accounts payable 300 280   Long-term debt 400 410   Total liabilities 700 690
Total stockholders' equity 1,210 1,060   Total liabilities and stockholders' equity 1,910 1,750
Net income for the fiscal year was $150 million; cash provided by operating activities increased.
"""


@pytest.fixture(scope="module")
def scores() -> dict[str, Any]:
    """What is committed of the figures."""
    return dict(json.loads((FOLDER / "scores.json").read_text("utf-8")))


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    """How it is made."""
    return tomllib.loads((FOLDER / "config.toml").read_text("utf-8"))


def test_the_card_says_what_was_measured(scores: dict[str, Any], config: dict[str, Any]) -> None:
    """It is written by the program, from the figures that are committed."""
    template = (FOLDER / "CARD.in.md").read_text("utf-8")
    pages = json.loads((FOLDER / "pages.json").read_text("utf-8"))
    size = (SHIPPED / DATA_FILE).stat().st_size
    manifest = read_manifest(SHIPPED / MANIFEST_FILE)
    text = card(template, config, manifest, size, scores, pages)
    assert text == (FOLDER / "CARD.md").read_text("utf-8")


def test_the_figures_follow_from_the_predictions(
    scores: dict[str, Any], config: dict[str, Any]
) -> None:
    """What was predicted of each document is committed, and so is where the line is drawn."""
    found = read(FOLDER / "predictions.json.gz")
    assert found is not None
    records = found["documents"]
    sure = {**thresholds(records, config["sure"]["wrong"]), **config["sure"]["least"]}
    assert sure == scores["thresholds"] == read_manifest(SHIPPED / MANIFEST_FILE).thresholds
    for side, some in sides(records).items():
        assert len({record["group"] for record in some}) > 5
        assert asked(some, "whole", sure) == scores["asked"][side]["whole"]
        kinds = numbers_of(some)
        for way, figures in scores["figures"][side]["whole"].items():
            if way != "difference":
                right = said(some, way, "whole").argmax(1) == kinds
                assert recall(right, kinds) == pytest.approx(figures["mean_recall"])


def test_nothing_alike_is_on_both_sides() -> None:
    """What a fold after the development has, no family, company or book of these has."""
    found = read(FOLDER / "predictions.json.gz")
    assert found is not None
    groups = [
        {(record["kind"], record["group"]) for record in some}
        for some in sides(found["documents"]).values()
    ]
    assert len(groups) == 3
    assert not groups[0] & groups[1]
    assert not groups[0] & groups[2]


def test_what_ships_tells_contracts_from_reports() -> None:
    """The model that is committed, as ingest asks it."""
    judge = Judge.load(ROOT / "models" / "artefacts")
    a_contract, a_report = judge(contract().decode(), "text/plain"), judge(REPORT, "text/plain")
    assert a_contract is not None
    assert (a_contract.kind, a_contract.unsure) == ("contract", False)
    assert a_report is not None
    assert (a_report.kind, a_report.unsure) == ("report", False)


def test_a_text_in_another_language_is_asked_about() -> None:
    """Whatever it is, the model was not shown it."""
    text = (
        "Der Vermieter vermietet dem Mieter die im Erdgeschoss gelegenen Räume zum Betrieb einer "
        "Bäckerei. Das Mietverhältnis beginnt am ersten März und läuft auf unbestimmte Zeit. "
        "Änderungen dieses Vertrages bedürfen der Schriftform. Gerichtsstand ist Bremen. "
    )
    guess = Judge.load(ROOT / "models" / "artefacts")(text * 2, "text/plain")
    assert guess is not None
    assert (guess.kind, guess.unsure) == ("contract", True)


def test_papers_are_the_same_each_time_and_leave_nothing_open() -> None:
    """Every choice is made and every slot is filled; sorts of the unseen folds are of no other."""
    made = list(papers())
    assert [text for _, _, text in made] == [text for _, _, text in papers()]
    assert len(made) == 24 * len(patterns())
    assert not [text for _, _, text in made if set("{}<") & set(text)]
    assert {pattern.fold for pattern in patterns()} == set(range(6))


def test_what_chances_are_worth_is_that_of_the_predictions(scores: dict[str, Any]) -> None:
    """Counted again it is the same; every form of every document counts once."""
    predicted = read(FOLDER / "predictions.json.gz")
    assert predicted is not None
    found = calibration(predicted["documents"])
    assert json.loads(json.dumps(found)) == scores["calibration"]
    counts = [one["judged"] for one in found["sides"].values()]
    assert sum(counts) == 3 * len(predicted["documents"])
