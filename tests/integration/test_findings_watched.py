"""Rejected checks of findings, from their upload through review back to triage."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.ingest import bootstrap as ingest
from services.ingest.settings import Settings as IngestSettings
from services.review import bootstrap as review
from services.review.settings import Settings as ReviewSettings
from services.triage import bootstrap as triage
from services.triage.settings import Settings as TriageSettings
from shared.settings import load
from tests.support.builders import Chain
from tests.unit.ingest.builders import InProcessReader
from tests.unit.triage.filings import wrong

POLICY = """
[tenants.default]
sample_share = 1.0

[tenants.default.findings]
max_wrong = 0.2
broken = 0.5
"""


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    """Every finding that could be accepted is checked."""
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY)
    common = {"data": tmp_path, "policy": policy}
    first = ingest.build(load(IngestSettings, **common), reader=InProcessReader())
    keys = first.app.state.keys
    chain = Chain(
        first,
        triage.build(load(TriageSettings, **common), keys=keys),
        review.build(load(ReviewSettings, **common), keys=keys),
    )
    yield chain
    chain.close()


def test_rejected_checks_end_what_is_accepted_and_the_alert_says_why(chain: Chain) -> None:
    reviewer, findings = chain.clients["review"], chain.clients["triage"]
    for number in range(5):
        filing = wrong(id=f"f{number}", company=f"Company {number}")
        chain.upload(f"{number}.json", json.dumps(filing).encode(), kind="report")
        chain.work()
        items = reviewer.get("/v1/items?limit=200").json()["items"]
        assert items
        for item in items:
            reviewer.post("/v1/items/claim", json={"item": item["id"]})
            decision = {"item": item["id"], "verdict": "reject"}
            assert reviewer.post("/v1/decisions", json=decision).status_code == 201
        chain.work()
    monitored = findings.get("/v1/watch/findings").json()
    (item,) = monitored["items"]
    assert (item["adapter"], item["step"], item["belief_now"]) == ("triage-breaks", 4, None)
    # The equal risks of the filings also give a notice of drift.
    texts = {notice["kind"]: notice["text"] for notice in monitored["notices"]}
    assert len(monitored["notices"]) == len(texts)
    assert set(texts) == {"drift", "risk"}
    assert "were wrong" in texts["risk"]
    rates = reviewer.get("/v1/decisions/error-rates").json()["items"]
    assert {(one["checked"], one["wrong"]) for one in rates if one["category"] is None} >= {(3, 3)}
