"""The categories of CUAD are listed in two modules that do not import each other."""

import json

from shared.categories import CATEGORIES, SUBJECTS, TITLES
from tests.support import ROOT


def test_review_and_the_specialist_have_the_same_categories() -> None:
    """All 41, verbatim and in one order: the model's labels, and what pages show."""
    labels = json.loads((ROOT / "models/clauses/contract-clauses/labels.json").read_text("utf-8"))
    assert len(labels) == 41
    assert list(CATEGORIES) == labels


def test_each_category_has_one_subject() -> None:
    listed = [name for names in SUBJECTS.values() for name in names]
    assert sorted(listed) == sorted(CATEGORIES)
    assert set(TITLES) <= set(CATEGORIES)
