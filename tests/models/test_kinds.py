"""The specialist that distinguishes contracts and reports: card, figures and artefact."""

from __future__ import annotations

import json
from typing import Any

import pytest

from models.document_kind.letters import papers, patterns
from models.document_kind.scores import (
    WAYS,
    calibration,
    decisions,
    predictions_of,
    read,
    recall,
    sides,
    thresholds,
)
from models.document_kind.scores import kinds_of as numbers_of
from models.files import folder_of, read_config, read_json
from services.ingest.classifier import DocumentClassifier
from shared.artefacts.loader import newest
from shared.features.linear import LinearManifest
from tests.support import ROOT
from tests.support.samples import contract

FOLDER = folder_of("document-kind")
SHIPPED = newest(ROOT / "models" / "artefacts", "document-kind", LinearManifest.FILE)
REPORT = """Consolidated Balance Sheets (in millions, except par value)
Total current assets 1,210 1,100   Property and equipment, net 700 650   Total assets 1,910 1,750
Accounts payable 300 280   Long-term debt 400 410   Total liabilities 700 690
Total stockholders' equity 1,210 1,060   Total liabilities and stockholders' equity 1,910 1,750
Net income for the fiscal year was $150 million; cash provided by operating activities increased.
"""
GERMAN = (
    "Der Vermieter vermietet dem Mieter die im Erdgeschoss gelegenen Räume zum Betrieb einer "
    "Bäckerei. Das Mietverhältnis beginnt am ersten März und läuft auf unbestimmte Zeit. "
    "Änderungen dieses Vertrages bedürfen der Schriftform. Gerichtsstand ist Bremen. "
)


@pytest.fixture(scope="module")
def records() -> Any:
    """The committed predictions."""
    found = read(FOLDER / "predictions.json.gz")
    assert found is not None
    return found["documents"]


@pytest.fixture(scope="module")
def scores() -> Any:
    """The committed figures."""
    return read_json(FOLDER / "scores.json")


def test_the_figures_follow_from_the_predictions(scores: Any, records: Any) -> None:
    config = read_config(FOLDER)["sure"]
    sure = {**thresholds(records, config["wrong"]), **config["least"]}
    assert sure == scores["thresholds"] == LinearManifest.read(SHIPPED).thresholds
    for side, some in sides(records).items():
        assert len({record["group"] for record in some}) > 5
        assert decisions(some, "whole", sure) == scores["asked"][side]["whole"]
        kinds = numbers_of(some)
        for way in WAYS:
            right = predictions_of(some, way, "whole").argmax(1) == kinds
            figures = scores["figures"][side]["whole"][way]
            assert recall(right, kinds) == pytest.approx(figures["mean_recall"])


def test_no_group_is_on_both_sides(records: Any) -> None:
    first, *others = (
        {(record["kind"], record["group"]) for record in some} for some in sides(records).values()
    )
    assert len(others) == 2
    assert not any(first & other for other in others)


@pytest.mark.parametrize(
    ("text", "kind", "unsure"),
    [
        (contract().decode(), "contract", False),
        (REPORT, "report", False),
        (2 * GERMAN, "contract", True),
    ],
    ids=["contract", "report", "another language"],
)
def test_the_shipped_model_knows_kinds_and_asks_about_another_language(
    text: str, kind: str, unsure: bool
) -> None:
    guess = DocumentClassifier.load(ROOT / "models" / "artefacts")(text, "text/plain")
    assert guess is not None
    assert (guess.kind, guess.unsure) == (kind, unsure)


def test_papers_are_reproducible_and_complete() -> None:
    made = list(papers())
    assert [text for _, _, text in made] == [text for _, _, text in papers()]
    assert len(made) == 24 * len(patterns())
    assert not [text for _, _, text in made if set("{}<") & set(text)]
    assert {pattern.fold for pattern in patterns()} == set(range(6))


def test_the_calibration_is_that_of_the_predictions(scores: Any, records: Any) -> None:
    found = calibration(records)
    assert json.loads(json.dumps(found)) == scores["calibration"]
    assert sum(one["judged"] for one in found["sides"].values()) == 3 * len(records)
