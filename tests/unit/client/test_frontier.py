"""The client reads what escalation answers, from its own application."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import smallprint
from starlette.testclient import TestClient

from infra.stand_in import Labels, StandIn
from tests.unit.escalation.test_door import FOUND
from tests.unit.escalation.test_service import House


def test_escalations_proposals_and_costs_are_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each field of REST is there, times are aware, lists are tuples."""
    monkeypatch.setenv("TEST_FRONTIER_KEY", "k")
    with StandIn(Labels([("Governing Law", FOUND)])) as stand_in:
        house = House(tmp_path, stand_in)
        house.say(house.request(1), house.request(2, kind="report"))
        web = TestClient(house.service.app)

        def answer(request: httpx.Request) -> httpx.Response:
            found = web.get(str(request.url), headers=dict(request.headers))
            return httpx.Response(found.status_code, json=found.json())

        transport = httpx.MockTransport(answer)
        client = smallprint.Client("http://testserver", "default", transport=transport)
        (proposal,) = client.proposals()
        assert (proposal.verdict, proposal.document_id) == ("present", "doc_1")
        assert proposal.quotes[0] == smallprint.Quote(
            FOUND, proposal.quotes[0].start, proposal.quotes[0].end
        )
        assert proposal.stand_in
        (open_one,) = client.escalations()
        assert "may not leave the house" in open_one.reason
        assert open_one.requested <= datetime.now(UTC)
        costs = client.costs(by="kind")
        assert [group.key for group in costs.groups] == ["contract"]
        assert costs.usd == proposal.usd > 0
        assert [budget.most_usd for budget in costs.budgets] == [1, 100]
        assert costs.stopped == ()
        house.service.close()
