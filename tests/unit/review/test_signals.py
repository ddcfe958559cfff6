"""Strong signals and strong narrative flags are items of separate kinds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.review.builders import FLAG, SIGNAL, ReviewService

BOTH = pytest.mark.parametrize(
    ("kind", "category", "message"),
    [
        ("signal", "sales_growth", "A signal can't be corrected"),
        ("flag", "going_concern", "A sentence can't be corrected"),
    ],
)


def find(review: ReviewService, kind: str, attempt: int = 1, **changed: Any) -> None:
    signals = [{**SIGNAL, **changed}] if kind == "signal" else []
    flags = [{**FLAG, **changed}] if kind == "flag" else []
    review.find("doc_1", [], signals=signals, flags=flags, attempt=attempt)


@BOTH
def test_clients_can_filter_it_among_findings(
    review: ReviewService, kind: str, category: str, message: str
) -> None:
    find(review, kind)
    (item,) = review.items()
    assert (item["kind"], item["about"], item["category"]) == ("finding", kind, category)
    assert (item["page"], item["boxes"]) == (3, FLAG["boxes"])
    assert review.items(kind=kind) == [item]
    assert review.items(kind="finding") == review.items(kind="clause") == []
    groups = review.client().get("/v1/items/counts").json()["kinds"]
    assert groups == [{"key": kind, "label": kind, "count": 1}]
    row = json.loads(review.client().get(f"/v1/exports?state=all&kind={kind}").text)
    assert (row["kind"], row["category"]) == (kind, category)


@BOTH
def test_once_decided_it_is_not_asked_again_unless_it_changes(
    review: ReviewService, kind: str, category: str, message: str
) -> None:
    find(review, kind)
    (item,) = review.items()
    assert message in review.decide(item["id"], "correct", 422)["detail"]
    decision = review.decide(item["id"], "reject")["decision"]
    assert (decision["kind"], decision["verdict"]) == ("finding", "reject")
    find(review, kind, attempt=2)
    assert review.items() == []
    find(review, kind, attempt=3, message="Growth of sales 900.0%.", text="They raise doubt.")
    assert len(review.items()) == 1


def test_a_signal_has_the_cell_of_its_first_input(review: ReviewService) -> None:
    find(review, "signal")
    (item,) = review.items()
    finding = item["finding"]
    assert (finding["statement"], finding["row"], finding["column"]) == ("income", 4, 0)
    assert finding["cells"][0]["place"]["page"] == 3
    assert (finding["formula"], finding["source"]) == (SIGNAL["formula"], SIGNAL["source"])


def test_a_flag_has_its_sentence(review: ReviewService) -> None:
    find(review, "flag")
    (item,) = review.items()
    assert (item["text"], item["start"], item["end"]) == (FLAG["text"], 4, 69)
    assert item["finding"]["title"] == FLAG["title"]
