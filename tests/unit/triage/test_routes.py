"""Which findings of a running suite wait for nobody: none without a stated risk and share."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from services.triage.risk import NAME, Judge
from services.triage.watch.store import Watches
from shared.events import FindingsFound
from tests.support import artefacts
from tests.unit.triage.filings import bent, record
from tests.unit.triage.house import House

FINDINGS = "/v1/documents/{}/findings"
POLICY = """
[tenants.default]
sample_share = {share}

[tenants.default.findings]
{rules}
"""


def wrong() -> dict[str, object]:
    """A filing with an altered total."""
    return {**bent("balance_sheet", "Total current assets", 1, 4509), "id": "wrong"}


def house_with(folder: Path, rules: str, share: float = 0.0) -> House:
    """Triage with a policy for findings."""
    policy = folder / "policy.toml"
    policy.write_text(POLICY.format(rules=rules, share=share))
    return House(folder, policy=policy)


def counted(route: str) -> float:
    """What the metric counts of a route."""
    return REGISTRY.get_sample_value("smallprint_findings_total", {"route": route}) or 0.0


@pytest.mark.parametrize(
    ("rules", "share", "route", "sampled"),
    [
        ("", 0.0, "review", False),
        ("max_wrong = 0.2", 0.0, "review", False),
        ("broken = 0.5", 0.0, "review", False),
        ("max_wrong = 0.2\nbroken = 0.01", 0.0, "review", False),
        ("max_wrong = 0.2\nbroken = 0.5", 0.0, "accept", False),
        ("max_wrong = 0.2\nbroken = 0.5", 1.0, "review", True),
    ],
)
def test_a_finding_is_accepted_only_for_a_stated_risk_and_share(
    tmp_path: Path, rules: str, share: float, route: str, sampled: bool
) -> None:
    """Not where one of the two is missing, or too few filings are broken; a check is a review."""
    house = house_with(tmp_path, rules, share)
    before = counted(route)
    house.say(house.read("doc_1", record(), wrong()))
    (found,) = house.client.get(FINDINGS.format("doc_1")).json()["items"]
    assert found["route"] == route
    (event,) = house.heard(FindingsFound)
    (told,) = json.loads(house.service.blobs.get("default", event.findings))
    assert told["route"] == route
    assert (event.count, event.accepted) == (1, int(route == "accept"))
    assert event.sampled == ((found["id"],) if sampled else ())
    assert counted(route) == before + 1
    house.close()


def test_another_tenant_s_policy_is_another_s(tmp_path: Path) -> None:
    """A tenant that the file does not name has a person look at all."""
    house = house_with(tmp_path, "max_wrong = 0.2\nbroken = 0.5")
    house.say(house.read("doc_1", wrong(), tenant="other"))
    (found,) = house.client_of("other").get(FINDINGS.format("doc_1")).json()["items"]
    assert found["route"] == "review"
    house.close()


def test_nothing_is_accepted_while_it_is_not_sure_that_it_is_a_report(tmp_path: Path) -> None:
    """It is once a person has said so, and the document was checked again; a warning says why."""
    house = house_with(tmp_path, "max_wrong = 0.2\nbroken = 0.5")
    house.say(house.read("doc_1", wrong(), kind_confidence=0.4, kind_unsure=True))
    answer = house.client.get(FINDINGS.format("doc_1")).json()
    assert [found["route"] for found in answer["items"]] == ["review"]
    assert "of what kind the document is, is not sure" in answer["warnings"][-1]
    with house.service.store.read() as session:
        assert Watches(session, "default").asked(NAME, Judge.load(artefacts()).version) == []
    house.say(house.read("doc_1", wrong(), attempt=2))
    answer = house.client.get(FINDINGS.format("doc_1")).json()
    assert [found["route"] for found in answer["items"]] == ["accept"]
    assert answer["warnings"] == []
    house.close()
