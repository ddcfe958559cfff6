"""From a request on the bus to an item in the queue: escalation and review on one SQLite bus."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.stand_in import Labels, StandIn
from services.escalation.bootstrap import build
from services.escalation.settings import Settings
from shared.events import EscalationRequested
from shared.events.questions import Question
from shared.runtime import Service, Worker
from shared.settings import load
from shared.storage import FileBlobs, Relay
from tests.unit.escalation.test_door import FOUND, POLICY, TEXT
from tests.unit.review.house import House, clause


@pytest.fixture
def review(tmp_path: Path) -> Iterator[House]:
    """Review, which has heard of one clause."""
    house = House(tmp_path, bus=f"sqlite:///{tmp_path / 'bus.db'}")
    house.read("doc_1", TEXT)
    house.extract("doc_1", [clause(TEXT, "the laws of the", "Governing Law", 0.5)])
    yield house
    house.close()


@pytest.fixture
def escalation(review: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """Escalation on the same bus and blobs, with a stand-in before its door."""
    monkeypatch.setenv("TEST_FRONTIER_KEY", "k")
    with StandIn(Labels([("Governing Law", FOUND)])) as stand_in:
        policy = tmp_path / "policy.toml"
        policy.write_text(POLICY.format(url=stand_in.url, day="1", mask='"parties"'))
        bus = f"sqlite:///{tmp_path / 'bus.db'}"
        settings = load(Settings, data=tmp_path, bus_url=bus, policy=policy)
        service = build(settings, keys=review.keys)
        service.store.migrate()
        yield service
        service.close()


def test_a_request_ends_as_a_proposal_in_the_queue(review: House, escalation: Service) -> None:
    """The clause that was asked about has the model's words beside it, and still waits; what was
    asked without one is queued, with the reason where there is no answer.
    """
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
        review.hear(
            EscalationRequested(
                document_id="doc_1", stage="extraction", result_id=result, question=kept
            )
        )
    parts = (escalation.store, escalation.bus)
    worker = Worker("escalation", *parts, escalation.handlers, escalation.settings)
    relay = Relay(*parts)
    while worker.run_until_idle() + relay.run_once():
        pass
    review.worker.run_until_idle()
    items = {i["result_id"]: i for i in review.client().get("/v1/items").json()["items"]}
    assert len(items) == 2
    proposal = items[known["result_id"]]["proposal"]
    assert [quote["text"] for quote in proposal["quotes"]] == [FOUND]
    assert proposal["stand_in"] is True
    assert items[known["result_id"]]["state"] == "waiting"
    refused = items["cl_other"]["proposal"]
    assert refused["verdict"] is None
    assert "may not leave the house" in refused["reason"]
