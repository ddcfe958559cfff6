"""Comments of reviewers on items."""

from __future__ import annotations

from typing import Any

import pytest

from services.review import store
from shared.audit import chain
from shared.web.auth import Actor
from tests.unit.review.builders import ReviewService, clause

TEXT = "This Agreement is governed by the laws of Bavaria. It renews each year."
LAW = clause(TEXT, "the laws of Bavaria", "Governing Law", 0.4, 1)


@pytest.fixture
def item(review: ReviewService) -> str:
    """The only item of a document."""
    review.read("doc_1", TEXT)
    review.extract("doc_1", [LAW])
    return str(review.items()[0]["id"])


def comment(review: ReviewService, item: str, text: str, key: str = "key-ada") -> dict[str, Any]:
    answer = review.client(key).post(f"/v1/items/{item}/comments", json={"text": text})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def comments(review: ReviewService, item: str) -> list[tuple[str, str]]:
    found = review.client().get(f"/v1/items/{item}").json()["comments"]
    return [(one["author"], one["text"]) for one in found]


def test_open_and_decided_items_have_comments_newest_last(review: ReviewService, item: str) -> None:
    comment(review, item, "  Which schedule?\n")
    review.claim("key-ben")
    review.client("key-ben").post("/v1/decisions", json={"item": item, "verdict": "accept"})
    comment(review, item, "Schedule B.", "key-ben")
    assert comments(review, item) == [("ada", "Which schedule?"), ("ben", "Schedule B.")]


@pytest.mark.parametrize("text", ["", "  ", "a" * 2_001, "a\0b"])
def test_an_empty_or_long_text_is_refused(review: ReviewService, item: str, text: str) -> None:
    answer = review.client().post(f"/v1/items/{item}/comments", json={"text": text})
    assert answer.status_code == 422


def test_only_the_author_deletes_a_comment(review: ReviewService, item: str) -> None:
    at = f"/v1/items/{item}/comments/{comment(review, item, 'mine')['id']}"
    refused = review.client("key-ben").delete(at)
    assert (refused.status_code, refused.json()["type"].split(":")[-1]) == (403, "not_yours")
    assert review.client().delete(at).status_code == 204
    assert review.client().delete(at).status_code == 404
    assert comments(review, item) == []


def test_the_trail_has_comments_without_their_text(review: ReviewService, item: str) -> None:
    made = comment(review, item, "a secret word")
    review.client().delete(f"/v1/items/{item}/comments/{made['id']}")
    with review.service.store.read() as session:
        trail = list(chain.lines(session, subject="doc_1"))
    actions = [line["action"] for line in trail if line["object"] == item]
    assert actions == ["comment.create", "comment.delete"]
    assert "secret" not in str(trail)


def test_comments_go_with_their_document(review: ReviewService, item: str) -> None:
    comment(review, item, "a word")
    review.delete("doc_1")
    with review.service.store.read() as session:
        assert store.comments_of(session, "default", item) == []


def test_comments_on_open_items_go_when_the_document_is_processed_again(
    review: ReviewService, item: str
) -> None:
    comment(review, item, "a word")
    review.read("doc_1", TEXT, attempt=2)
    with review.service.store.read() as session:
        assert store.comments_of(session, "default", item) == []


def test_exports_and_reports_have_no_comments(review: ReviewService, item: str) -> None:
    comment(review, item, "zebra")
    for path in ("/v1/exports?columns=all", "/v1/documents/doc_1/report", "/v1/decisions"):
        assert "zebra" not in review.client().get(path).text


def test_an_accepted_result_can_be_commented_only_by_readers_of_results(
    review: ReviewService,
) -> None:
    """Otherwise the answer would tell which results were accepted without a person."""
    review.read("doc_1", TEXT)
    review.extract("doc_1", [{**LAW, "route": "accept"}])
    [one] = review.items(state="accepted")
    comment(review, one["id"], "fine")
    review.keys.actors["key-cara"] = Actor("default", "cara", "k9", scopes=frozenset({"review"}))
    analyst = review.client("key-cara")
    answer = analyst.post(f"/v1/items/{one['id']}/comments", json={"text": "fine"})
    assert answer.status_code == 404
