"""The categories of CUAD stand in three places that import nothing of each other."""

import json

from services.extraction.domain import CATEGORIES as EXTRACTED
from services.review.categories import CATEGORIES as REVIEWED
from tests.support import ROOT


def test_extraction_review_and_the_specialist_have_the_same_categories() -> None:
    """All 41, verbatim and in one order: the model's labels, what REST answers, what pages show."""
    labels = json.loads((ROOT / "models/contract-clauses/labels.json").read_text("utf-8"))
    assert len(labels) == 41
    assert list(EXTRACTED) == labels
    assert list(REVIEWED) == labels
