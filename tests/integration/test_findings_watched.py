"""What people decide about checks goes the whole road: uploaded, drawn, rejected, and less is
accepted by itself, on the embedded store and bus.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from services.review import bootstrap as review
from services.review.settings import Settings as ReviewSettings
from shared.messaging import Relay
from shared.settings import load
from tests.integration.test_triage import Road
from tests.support.queue import HandWorker
from tests.unit.triage.filings import bent

POLICY = """
[tenants.default]
sample_share = 1.0

[tenants.default.findings]
max_wrong = 0.2
broken = 0.5
"""


class Suite(Road):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        asks = review.build(load(ReviewSettings, data=folder), keys=self.services[0].app.state.keys)
        asks.store.migrate()
        self.services.append(asks)
        self.loops.append(
            (Relay(asks.store, asks.bus), HandWorker("review", asks.store, asks.bus, asks.handlers,
                                                 asks.settings))
        )  # fmt: skip
        self.review = TestClient(asks.app, headers=dict(self.ingest.headers))

    def decide(self, verdict: str) -> int:
        """Decide about every item that waits; how many these were."""
        items: Any = self.review.get("/v1/items?limit=200").json()["items"]
        for item in items:
            self.review.post("/v1/items/claim", json={"item": item["id"]})
            wish = {"item": item["id"], "verdict": verdict}
            assert self.review.post("/v1/decisions", json=wish).status_code == 201
        self.work()
        return len(items)

    def work(self) -> None:
        while sum(relay.run_once() + worker.run_until_idle() for relay, worker in self.loops):
            pass


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Suite]:
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY)
    monkeypatch.setenv("SMALLPRINT_POLICY", str(policy))
    one = Suite(tmp_path)
    yield one
    for service in one.services:
        service.close()


def filing(number: int) -> bytes:
    bad = bent("balance_sheet", "Total current assets", 1, 4509)
    return json.dumps({**bad, "id": f"f{number}", "company": f"Company {number}"}).encode()


def test_rejected_checks_end_what_is_accepted_and_the_alert_says_why(suite: Suite) -> None:
    for number in range(5):
        suite.send(f"{number}.json", filing(number))
        assert suite.decide("reject") >= 1
    told: Any = suite.triage.get("/v1/watch/findings").json()
    (item,) = told["items"]
    assert (item["adapter"], item["step"], item["belief_now"]) == ("triage-breaks", 4, None)
    assert "were wrong" in told["notices"][0]["text"]
    rates: Any = suite.review.get("/v1/decisions/error-rates").json()["items"]
    assert {(one["checked"], one["wrong"]) for one in rates if one["category"] is None} >= {(3, 3)}
