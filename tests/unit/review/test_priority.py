"""The order of the queue, calculated by hand."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.review.priority import (
    FOREST_FILE,
    MOST,
    NAME,
    Order,
    Priority,
    PriorityError,
    PriorityManifest,
    seconds_of,
)
from services.review.results import ClauseItem
from shared.artefacts.loader import NoModel
from shared.features.clause_list import COLUMNS, FAR, NONE, Floats, rows_of, words_of
from tests.support import ROOT
from tests.unit.review.builders import ReviewService, clause
from tests.unit.review.test_domain import an_item

ARTEFACTS = ROOT / "models" / "artefacts"
TEXT = (
    "SUPPLY AGREEMENT\nbetween Alpha GmbH and Beta Inc. (Beta).\n"
    "Alpha GmbH pays Beta Inc. within 30 days. Alpha pays no interest."
)
NUMBERS = {"Parties": 0, "Cap On Liability": 1}


def found(quote: str, category: str, confidence: float, at: int = 0) -> ClauseItem:
    start = TEXT.index(quote, at)
    return ClauseItem(
        id=f"cl_{start}",
        category=category,
        text=quote,
        start=start,
        end=start + len(quote),
        confidence=confidence,
        adapter="contract-clauses",
    )


ALPHA = found("Alpha GmbH", "Parties", 0.9)
AGAIN = found("Alpha GmbH pays", "Parties", 0.4, TEXT.index("\nAlpha"))
CAP = found("pays Beta Inc. within 30 days.", "Cap On Liability", 0.6)


def described(rows: Floats, place: int) -> dict[str, float]:
    return dict(zip(COLUMNS, rows[place].tolist(), strict=True))


def test_a_clause_is_described_by_itself_its_like_and_its_neighbours() -> None:
    rows = rows_of(TEXT, [ALPHA, AGAIN, CAP], NUMBERS)
    assert rows.shape == (3, len(COLUMNS))
    first, again, cap = (described(rows, i) for i in range(3))
    assert again["confidence"] == pytest.approx(0.4)
    assert (again["category"], cap["category"]) == (0, 1)
    # Two words of its three are those of the surer one, which has just the two.
    assert again["likeness"] == pytest.approx(2 / 3)
    assert again["confidence_of_like"] == pytest.approx(0.9)
    assert (again["share_of_like"], again["words_of_like"]) == (1, 2)
    assert again["share_of_own"] == pytest.approx(2 / 3)
    assert again["confidence_contained"] == pytest.approx(0.9)
    assert again["confidence_around"] == 0
    assert again["surest_alike"] == pytest.approx(0.9)
    # The first is the surest, and as similar to the second as the second is to it.
    assert (first["likeness"], first["confidence_of_like"], first["surer"]) == (0, 0, 0)
    assert first["likeness_of_less_sure"] == pytest.approx(2 / 3)
    assert (again["others"], again["surer"]) == (1, 1)
    # "pays" is in both, so that the cap overlaps the party, and not the first one.
    assert (again["overlapping"], again["category_of_overlapping"]) == (1, 1)
    assert again["surest_of_overlapping"] == pytest.approx(0.6)
    assert (first["overlapping"], first["category_of_overlapping"]) == (0, NONE)
    assert again["log_distance_of_other"] == 0
    assert first["log_distance_of_other"] == pytest.approx(np.log1p(CAP.start - ALPHA.end))
    # Neighbours in the text: the first has none before it, the last none after it.
    assert (first["confidence_before"], first["category_before"]) == (NONE, NONE)
    assert first["confidence_after"] == pytest.approx(0.4)
    assert (again["category_before"], again["category_after"]) == (0, 1)
    assert (cap["confidence_after"], cap["category_after"]) == (NONE, NONE)


def test_a_clause_is_described_by_its_letters_and_its_place() -> None:
    first, _, cap = (described(rows_of(TEXT, [ALPHA, AGAIN, CAP], NUMBERS), i) for i in range(3))
    assert first["times_in_text"] == 2
    assert first["place"] == pytest.approx(ALPHA.start / len(TEXT))
    assert first["capitals"] == pytest.approx(3 / 10)
    assert (first["opens_capital"], first["closes_stop"], first["digits"]) == (1, 0, 0)
    assert (cap["opens_capital"], cap["closes_stop"]) == (0, 1)
    assert cap["digits"] == pytest.approx(2 / len(CAP.text))
    assert first["log_words"] == pytest.approx(np.log1p(2))
    assert (first["clauses"], first["categories"]) == (3, 2)
    assert first["doubts"] == pytest.approx(0.1 + 0.6 + 0.4)
    assert first["least_confidence"] == pytest.approx(0.4)


def test_a_clause_alone_has_no_neighbours_and_nothing_near() -> None:
    alone = described(rows_of(TEXT, [CAP], NUMBERS), 0)
    assert alone["log_distance"] == alone["log_distance_of_other"] == pytest.approx(np.log1p(FAR))
    assert (alone["others"], alone["surest"], alone["same_text"]) == (0, 0, 1)
    assert rows_of(TEXT, [], NUMBERS).shape == (0, len(COLUMNS))


@pytest.mark.parametrize(
    ("value", "stated"),
    [(None, NONE), ({"status": "stated"}, 1), ({"status": "redacted"}, 0), ({}, 0)],
)
def test_a_row_says_whether_a_value_was_read(value: Any, stated: float) -> None:
    valued = ALPHA.model_copy(update={"value": value})
    assert described(rows_of(TEXT, [valued], NUMBERS), 0)["stated"] == stated


def test_words_are_compared_without_case_and_stops() -> None:
    assert words_of("Beta Inc. and\nBETA, inc") == {"beta", "inc", "and"}


def order_of(chances: list[float], **more: Any) -> Order:
    forest = lambda rows: np.array(chances[: len(rows)], np.float32)  # noqa: E731
    return Order(Priority(forest, "contract-clauses", NUMBERS, "1.2.3"), **more)


def test_urgency_is_chance_times_weight() -> None:
    weights = {"Cap On Liability": 5.0}
    order = order_of([0.7, 0.2], weights=lambda tenant: weights if tenant == "acme" else {})
    items = [
        an_item(tenant="acme", category=c.category, text=c.text, confidence=c.confidence)
        for c in (AGAIN, CAP)
    ]
    party, cap = order.place_clauses(items, [AGAIN, CAP], TEXT)
    assert [party.urgency, cap.urgency] == pytest.approx([0.7, 1.0])
    assert party.ordered_by == "review-priority 1.2.3"
    assert party.chance == pytest.approx(0.7)
    (other,) = order.place_clauses([replace(items[1], tenant="other")], [CAP], TEXT)
    assert other.urgency == pytest.approx(0.7)


def test_unknown_items_are_ordered_by_confidence() -> None:
    order = order_of([0.05])
    other = ALPHA.model_copy(update={"adapter": "unfair-terms"})
    unknown = ALPHA.model_copy(update={"category": "Escrow"})
    items = [an_item(confidence=0.9)] * 3
    placed = order.place_clauses(items, [other, unknown, ALPHA], TEXT)
    assert [item.ordered_by for item in placed] == [*["confidence"] * 2, "review-priority 1.2.3"]
    assert [item.urgency for item in placed] == pytest.approx([0.1, 0.1, 0.05])
    (blind,) = order.place_clauses(items[:1], [ALPHA], None)
    assert blind.chance is None
    assert blind.urgency == pytest.approx(0.1)
    finding = order.place(an_item(kind="finding", category="income_sums", confidence=0.75))
    assert finding.urgency == pytest.approx(0.25)
    assert Order().place_clauses(items, [ALPHA] * 3, TEXT)[0].ordered_by == "confidence"


def test_by_time_a_long_item_comes_later() -> None:
    long, short = an_item(text="word " * 119, confidence=0.2), an_item(text="", confidence=0.5)
    assert (seconds_of(long), seconds_of(short)) == (40.0, 10.0)
    order = Order(by_time=True)
    assert order.place(long).urgency == pytest.approx(0.8 / 40)
    assert order.place(short).urgency == pytest.approx(0.5 / 10)


def test_the_shipped_artefact_knows_the_clauses_of_its_adapter() -> None:
    priority = Priority.load(ARTEFACTS)
    chances = priority.chances(TEXT, [ALPHA, AGAIN, CAP])
    assert all(chance is not None and 0 < chance < 1 for chance in chances)
    assert chances == priority.chances(TEXT, [ALPHA, AGAIN, CAP])
    assert chances[1] != priority.chances(TEXT, [AGAIN])[0]
    assert priority.chances(TEXT, []) == []


def test_too_many_clauses_are_ordered_by_confidence() -> None:
    def never(rows: Floats) -> Floats:
        raise AssertionError("the rows of so many are not made")

    priority = Priority(never, "contract-clauses", NUMBERS)
    assert priority.chances(TEXT, [ALPHA] * (MOST + 1)) == [None] * (MOST + 1)


def copy_of(folder: Path) -> Path:
    (version,) = shutil.copytree(ARTEFACTS / NAME, folder / NAME).iterdir()
    return Path(version)


def test_without_the_artefact_confidence_orders(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert Priority.load_if_installed(tmp_path) is None
    assert "confidence alone" in caplog.text
    (tmp_path / NAME).mkdir()
    with pytest.raises(NoModel, match=NAME):
        Priority.load_if_installed(tmp_path)


def test_a_damaged_artefact_is_refused_by_name(tmp_path: Path) -> None:
    version = copy_of(tmp_path)
    manifest = json.loads((version / PriorityManifest.FILE).read_text())
    (version / PriorityManifest.FILE).write_text(json.dumps(manifest | {"columns": ["confidence"]}))
    with pytest.raises(PriorityError, match="other columns"):
        Priority.load_if_installed(tmp_path)
    (version / PriorityManifest.FILE).write_text(json.dumps(manifest | {"format": 99}))
    with pytest.raises(PriorityError, match="format 99"):
        Priority.load_if_installed(tmp_path)
    (version / PriorityManifest.FILE).write_text(json.dumps(manifest))
    (version / FOREST_FILE).write_bytes(b"another")
    with pytest.raises(PriorityError, match=FOREST_FILE):
        Priority.load_if_installed(tmp_path)


def test_the_queue_comes_by_what_was_learned(review: ReviewService) -> None:
    known = clause(TEXT, "Alpha GmbH", "Parties", 0.9, 1, adapter="contract-clauses")
    other = clause(TEXT, "30 days", "Notice Period To Terminate Renewal", 0.5, 2)
    review.read("doc_1", TEXT)
    review.extract("doc_1", [known, other])
    items = review.client().get("/v1/items").json()["items"]
    by_id = {item["result_id"]: item for item in items}
    chance = Priority.load(ARTEFACTS).chances(TEXT, [ClauseItem.model_validate(known)])[0]
    learned, plain = by_id[known["id"]], by_id[other["id"]]
    (version,) = (ARTEFACTS / NAME).iterdir()
    assert (learned["chance"], learned["ordered_by"]) == (chance, f"{NAME} {version.name}")
    assert learned["urgency"] == chance
    assert (plain["chance"], plain["ordered_by"], plain["urgency"]) == (None, "confidence", 0.5)
    assert [item["urgency"] for item in items] == sorted(
        (item["urgency"] for item in items), reverse=True
    )
    first = review.client().post("/v1/items/claim", json={}).json()
    assert first["id"] == items[0]["id"]


def test_the_weights_of_the_policy_count_in_the_queue(tmp_path: Path) -> None:
    policy = '[tenants.default.weights]\n"Audit Rights" = 5'
    rights = clause(TEXT, "30 days", "Audit Rights", 0.7, 1)
    party = clause(TEXT, "Alpha GmbH", "Parties", 0.4, 2)
    for given, expected in (
        ("", ["Parties", "Audit Rights"]),
        (policy, ["Audit Rights", "Parties"]),
    ):
        review = ReviewService(tmp_path / f"policy-{bool(given)}", policy=given)
        review.read("doc_1", TEXT)
        review.extract("doc_1", [rights, party])
        items = review.client().get("/v1/items").json()["items"]
        assert [item["category"] for item in items] == expected
        review.close()
    assert [item["urgency"] for item in items] == pytest.approx([5 * 0.3, 0.6])
