"""The client reads what escalation answers, from its own application."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import smallprint
from starlette.testclient import TestClient

from tests.fakes.provider import Labels, StandIn
from tests.unit.escalation.builders import FOUND, EscalationService


def test_escalations_proposals_and_costs_are_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_FRONTIER_KEY", "k")
    with StandIn(Labels([("Governing Law", FOUND)])) as stand_in:
        escalation = EscalationService(tmp_path, stand_in)
        escalation.say(escalation.request(1), escalation.request(2, kind="report"))
        web = TestClient(escalation.service.app)

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
        assert "may not go to external providers" in open_one.reason
        assert open_one.requested <= datetime.now(UTC)
        costs = client.costs(by="kind")
        assert [group.key for group in costs.groups] == ["contract"]
        assert costs.usd == proposal.usd > 0
        assert [budget.max_usd for budget in costs.budgets] == [1, 100]
        assert costs.stopped == ()
        escalation.service.close()
