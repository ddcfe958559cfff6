"""The service without a policy: requests are stored and answered, and cost nothing."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import insert

from services.escalation.bootstrap import build
from services.escalation.gateway import NO_PROVIDER
from services.escalation.ledger.store import ledger
from services.escalation.policy import PolicyNotes
from services.escalation.settings import Settings
from shared.events import BlobRef, DocumentDeleted, EscalationAnswered, EscalationRequested
from shared.settings import load
from tests.support.builders import AnyKey, RunningService


@pytest.fixture
def escalation(tmp_path: Path) -> Iterator[RunningService]:
    running = RunningService(build(load(Settings, data=tmp_path, bus_url="memory:"), keys=AnyKey()))
    yield running
    running.close()


def asked(number: int, tenant: str = "default") -> EscalationRequested:
    return EscalationRequested(
        id=f"{number:032x}",
        time=datetime(2026, 1, 1, 0, 0, number, tzinfo=UTC),
        tenant=tenant,
        document_id=f"doc_{number}",
        stage="extraction",
        result_id=f"cl_{number}",
        question=BlobRef(sha256="0" * 64, size=2),
    )


def test_without_a_provider_a_request_is_stored_and_answered(escalation: RunningService) -> None:
    request = asked(1)
    escalation.handle(request)
    (answer,) = escalation.announced(EscalationAnswered)
    assert (answer.answer, answer.reason) == (None, NO_PROVIDER)
    assert (answer.result_id, answer.stage, answer.cause) == ("cl_1", "extraction", request.id)
    (kept,) = escalation.client.get("/v1/escalations").json()["items"]
    assert (kept["state"], kept["reason"]) == ("unanswered", NO_PROVIDER)
    assert kept["document_id"] == "doc_1"


def test_requests_are_paged_newest_first(escalation: RunningService) -> None:
    escalation.handle(asked(1), asked(2), asked(3), asked(4, tenant="acme"))
    first = escalation.client.get("/v1/escalations", params={"limit": 2}).json()
    second = escalation.client.get(
        "/v1/escalations", params={"limit": 2, "cursor": first["next"]}
    ).json()
    seen = [item["document_id"] for item in (*first["items"], *second["items"])]
    assert seen == ["doc_3", "doc_2", "doc_1"]
    assert second["next"] is None
    for odd in ("es_x", "es_\0", "\U0001f600"):
        assert escalation.client.get("/v1/escalations", params={"cursor": odd}).status_code == 422


def test_requests_of_a_deleted_document_are_removed(escalation: RunningService) -> None:
    escalation.handle(asked(1), asked(2), DocumentDeleted(document_id="doc_1"))
    items = escalation.client.get("/v1/escalations").json()["items"]
    assert [item["document_id"] for item in items] == ["doc_2"]


def test_costs_are_computed_from_the_ledger(escalation: RunningService) -> None:
    body = escalation.client.get("/v1/costs").json()
    assert (body["calls"], body["usd"], body["items"], body["groups"]) == (0, 0, [], [])
    assert [budget["max_usd"] for budget in body["budgets"]] == [0, 0]
    entry = {
        "escalation_id": "es_1",
        "document_id": "doc_1",
        "kind": "contract",
        "provider": "example",
        "model": "m",
        "tokens_in": 10,
        "tokens_out": 2,
        "reserved_micro_usd": 9_000,
        "price_as_of": "2026-01-31",
        "content": "",
        "day": "2026-01-31",
        "time": datetime.now(UTC),
    }
    with escalation.service.store.write() as session:
        for number, (tenant, price, state) in enumerate(
            [
                ("default", 1250, "settled"),
                ("default", 250, "assumed"),
                ("default", 100, "reserved"),
                ("default", 0, "released"),
                ("acme", 999, "settled"),
            ]
        ):
            row = {**entry, "tenant": tenant, "micro_usd": price, "state": state}
            session.execute(insert(ledger).values(**row, call_id=f"ca_{number}"))
    body = escalation.client.get("/v1/costs").json()
    spend = {
        "calls": 3,
        "usd": 0.0016,
        "uncertain_usd": 0.00025,
        "reserved_usd": 0.0001,
        "tokens_in": 30,
        "tokens_out": 6,
    }
    assert (body["calls"], body["usd"]) == (3, 0.0016)
    assert body["items"] == [{"provider": "example", **spend}]
    [group] = body["groups"]
    assert {name: group[name] for name in ("key", *spend)} == {"key": "2026-01-31", **spend}
    for by, key in (("model", "m"), ("kind", "contract"), ("document", "doc_1")):
        [group] = escalation.client.get("/v1/costs", params={"by": by}).json()["groups"]
        assert {name: group[name] for name in ("key", *spend)} == {"key": key, **spend}
    assert escalation.client.get("/v1/costs", params={"by": "actor"}).status_code == 422


def test_without_a_policy_nothing_is_sent(escalation: RunningService) -> None:
    body = escalation.client.get("/v1/policy").json()
    assert (body["sends_text_out"], body["providers"], body["budget_usd"]) == (False, [], 0)
    assert body["summary"].startswith("No text is sent out.")
    assert (body["history"], body["label"], len(body["digest"])) == (None, "", 12)


def started(folder: Path, policy: str, tenant: str = "default") -> dict[str, Any]:
    """Escalation starts with a policy file of this text; what it says of it to a tenant."""
    path = folder / "policy.toml"
    path.write_text(policy, "utf-8")
    settings = load(Settings, data=folder, bus_url="memory:", policy=path)
    service = build(settings, keys=AnyKey())
    try:
        service.store.migrate()
        jobs = [make(None) for make in service.jobs]
        (notes,) = [job for job in jobs if isinstance(job, PolicyNotes)]
        for _ in range(2):
            notes.work(threading.Event())
        asker = TestClient(service.app, headers={"authorization": f"Bearer {tenant}"})
        answer = asker.get("/v1/policy", params={"history": True})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())
    finally:
        service.close()


def test_the_history_of_rules_is_kept_by_tenant(tmp_path: Path) -> None:
    began = datetime.now(UTC)
    first = started(tmp_path, "[tenants.default]\nmax_wrong = 0.05\n")
    assert [held["digest"] for held in first["history"]] == [first["digest"]]
    assert started(tmp_path, "# same\n[tenants.default]\nmax_wrong = 0.05\n") == first
    second = started(tmp_path, 'version = "two"\n[tenants.default]\nmax_wrong = 0.1\n')
    assert second["label"] == "two"
    assert second["digest"] != first["digest"]
    closed = started(tmp_path, "[tenants.acme]\n")
    back = started(tmp_path, "[tenants.default]\nmax_wrong = 0.05\n")
    assert [(held["digest"], held["label"]) for held in back["history"]] == [
        (first["digest"], ""),
        (closed["digest"], ""),
        (second["digest"], "two"),
        (first["digest"], ""),
    ]
    times = [datetime.fromisoformat(held["since"]) for held in back["history"]]
    assert sorted(times, reverse=True) == times
    assert began <= times[-1] <= times[0] <= datetime.now(UTC)
    risks = [json.loads(held["rules"])["tenant"]["max_wrong"] for held in back["history"]]
    assert risks == [0.05, None, 0.1, 0.05]
    assert started(tmp_path, "[tenants.default]\nmax_wrong = 0.05\n", "other")["history"] == []
    for held in back["history"]:
        assert hashlib.sha256(held["rules"].encode()).hexdigest()[:12] == held["digest"]
