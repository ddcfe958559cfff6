"""An escalation from its request to the review queue, on one SQLite bus."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.escalation.bootstrap import build
from services.escalation.settings import Settings
from shared.blobs import FileBlobs
from shared.events import EscalationRequested
from shared.events.questions import Question
from shared.messaging import Relay
from shared.runtime import Service
from shared.settings import load
from tests.fakes.provider import Labels, StandIn
from tests.support.queue import HandWorker
from tests.unit.escalation.builders import FOUND, TEXT, policy_text
from tests.unit.review.builders import ReviewService, clause


@pytest.fixture
def review(tmp_path: Path) -> Iterator[ReviewService]:
    house = ReviewService(tmp_path, bus=f"sqlite:///{tmp_path / 'bus.db'}")
    house.read("doc_1", TEXT)
    house.extract("doc_1", [clause(TEXT, "the laws of the", "Governing Law", 0.5)])
    yield house
    house.close()


@pytest.fixture
def escalation(
    review: ReviewService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Service]:
    monkeypatch.setenv("TEST_FRONTIER_KEY", "k")
    with StandIn(Labels([("Governing Law", FOUND)])) as stand_in:
        policy = tmp_path / "policy.toml"
        policy.write_text(policy_text(stand_in.url, day="1", mask=["parties"]))
        bus = f"sqlite:///{tmp_path / 'bus.db'}"
        settings = load(Settings, data=tmp_path, bus_url=bus, policy=policy, retry_delay=0.1)
        service = build(settings, keys=review.keys)
        service.store.migrate()
        yield service
        service.close()


def test_a_request_ends_as_a_proposal_in_the_queue(
    review: ReviewService, escalation: Service
) -> None:
    extraction = FileBlobs(escalation.settings.blobs, "extraction")
    text = review.blobs.put("default", TEXT.encode())
    (known,) = review.client().get("/v1/items").json()["items"]
    for result, kind in ((known["result_id"], "contract"), ("cl_other", "report")):
        question = Question(
            kind=kind,
            text=text,
            start=0,
            end=len(TEXT),
            category="Governing Law",
            definition="Which law?",
        )
        kept = extraction.put("default", question.model_dump_json().encode())
        review.publish(
            EscalationRequested(
                document_id="doc_1", stage="extraction", result_id=result, question=kept
            )
        )
    parts = (escalation.store, escalation.bus)
    worker = HandWorker("escalation", *parts, escalation.handlers, escalation.settings)
    relay = Relay(*parts)
    # A busy machine may exceed the provider's time limit: the requests are then retried in order.
    deadline = time.monotonic() + 60
    items: dict[str, Any] = {}
    while not items.get("cl_other", {}).get("proposal") and time.monotonic() < deadline:
        if not worker.run_until_idle() + relay.run_once() + review.worker.run_until_idle():
            time.sleep(0.05)
        items = {i["result_id"]: i for i in review.client().get("/v1/items").json()["items"]}
    assert len(items) == 2
    proposal = items[known["result_id"]]["proposal"]
    assert [quote["text"] for quote in proposal["quotes"]] == [FOUND]
    assert proposal["stand_in"] is True
    assert items[known["result_id"]]["state"] == "waiting"
    refused = items["cl_other"]["proposal"]
    assert refused["verdict"] is None
    assert "may not go to external providers" in refused["reason"]
