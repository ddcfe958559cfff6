"""The door: every request is kept, answered at once with nothing, and costs nothing."""

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
from sqlalchemy import insert, inspect, text

from infra.schemas import openapi_of
from services.escalation.asking import NO_PROVIDER
from services.escalation.bootstrap import build
from services.escalation.ledger import Caps, Ledger
from services.escalation.ledger.store import exchanges, ledger
from services.escalation.providers import Usage
from services.escalation.rules.noting import PolicyNotes
from services.escalation.settings import Settings
from shared.events import (
    BlobRef,
    DocumentDeleted,
    EscalationAnswered,
    EscalationRequested,
    Event,
    decode,
)
from shared.runtime import Service, Worker
from shared.settings import load
from shared.storage import Relay, UnitOfWork
from shared.web.auth import Actor
from tests.contract.ledger.calls import call
from tests.support import ROOT


class AnyKey:
    """A key is the name of its tenant."""

    def check(self, secret: str) -> Actor | None:
        """See Keys."""
        return Actor(tenant=secret, name="tester", key_id="k1")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """Escalation on SQLite."""
    service = build(load(Settings, data=tmp_path, bus_url="memory:"), keys=AnyKey())
    service.store.migrate()
    yield service
    service.close()


@pytest.fixture
def client(service: Service) -> TestClient:
    """A client of the default tenant."""
    return TestClient(service.app, headers={"authorization": "Bearer default"})


def say(service: Service, *events: Event) -> list[Any]:
    """Events on the bus, handled; what was answered."""
    listener = service.bus.consumer("listener")
    with UnitOfWork(service.store) as uow:
        for event in events:
            uow.publish(event)
    worker = Worker("escalation", service.store, service.bus, service.handlers, service.settings)
    relay = Relay(service.store, service.bus)
    while relay.run_once() + worker.run_until_idle():
        pass
    heard = []
    while delivery := listener.receive(0):
        heard.append(decode(delivery.message.value))
        listener.ack(delivery)
    listener.close()
    return [event for event in heard if isinstance(event, EscalationAnswered)]


def asked(number: int, tenant: str = "default") -> EscalationRequested:
    """A request about one clause."""
    return EscalationRequested(
        id=f"{number:032x}",
        time=datetime(2026, 1, 1, 0, 0, number, tzinfo=UTC),
        tenant=tenant,
        document_id=f"doc_{number}",
        stage="extraction",
        result_id=f"cl_{number}",
        question=BlobRef(sha256="0" * 64, size=2),
    )


def test_a_request_is_kept_and_answered_with_nothing(service: Service, client: TestClient) -> None:
    """Nobody waits: the answer says that there is no provider."""
    request = asked(1)
    (answer,) = say(service, request)
    assert (answer.answer, answer.reason) == (None, NO_PROVIDER)
    assert (answer.result_id, answer.stage, answer.cause) == ("cl_1", "extraction", request.id)
    (kept,) = client.get("/v1/escalations").json()["items"]
    assert (kept["state"], kept["reason"]) == ("unanswered", NO_PROVIDER)
    assert kept["document_id"] == "doc_1"


def test_requests_are_listed_newest_first_and_go_on_at_the_cursor(
    service: Service, client: TestClient
) -> None:
    """Page by page gives every request once, and only the tenant's own."""
    say(service, asked(1), asked(2), asked(3), asked(4, tenant="acme"))
    first = client.get("/v1/escalations", params={"limit": 2}).json()
    second = client.get("/v1/escalations", params={"limit": 2, "cursor": first["next"]}).json()
    seen = [item["document_id"] for item in (*first["items"], *second["items"])]
    assert seen == ["doc_3", "doc_2", "doc_1"]
    assert second["next"] is None
    for odd in ("es_x", "es_\0", "\U0001f600"):
        assert client.get("/v1/escalations", params={"cursor": odd}).status_code == 422


def test_a_deleted_document_s_requests_go(service: Service, client: TestClient) -> None:
    """What was asked about it is forgotten; other documents' requests stay."""
    say(service, asked(1), asked(2), DocumentDeleted(document_id="doc_1"))
    items = client.get("/v1/escalations").json()["items"]
    assert [item["document_id"] for item in items] == ["doc_2"]


def test_costs_are_computed_from_the_ledger(service: Service, client: TestClient) -> None:
    """Nothing was spent; what another tenant might have spent is not ours."""
    body = client.get("/v1/costs").json()
    assert (body["calls"], body["usd"], body["items"], body["groups"]) == (0, 0, [], [])
    assert [budget["most_usd"] for budget in body["budgets"]] == [0, 0]
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
    with service.store.write() as session:
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
    body = client.get("/v1/costs").json()
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
        [group] = client.get("/v1/costs", params={"by": by}).json()["groups"]
        assert {name: group[name] for name in ("key", *spend)} == {"key": key, **spend}
    assert client.get("/v1/costs", params={"by": "actor"}).status_code == 422


def test_the_policy_is_that_nothing_leaves(client: TestClient) -> None:
    """No provider, no budget, in words."""
    body = client.get("/v1/policy").json()
    assert (body["leaves_the_house"], body["providers"], body["budget_usd"]) == (False, [], 0)
    assert body["summary"].startswith("Nothing leaves the house")


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


def test_which_rules_held_when_is_kept(tmp_path: Path) -> None:
    """Each change once, with the rules as text; a start with the same file is none."""
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
    for held in back["history"]:
        assert hashlib.sha256(held["rules"].encode()).hexdigest()[:12] == held["digest"]


def test_a_tenant_sees_the_history_of_its_own_rules(tmp_path: Path) -> None:
    """Not those of others, whose changes are none of its own."""
    text = "[tenants.default]\nmax_wrong = 0.05\n[tenants.acme]\nmax_wrong = 0.2\n"
    started(tmp_path, text)
    started(tmp_path, text.replace("0.05", "0.07"))
    acme = started(tmp_path, text, "acme")
    (held,) = acme["history"]
    assert json.loads(held["rules"])["tenant"]["max_wrong"] == 0.2
    assert started(tmp_path, text, "nobody")["history"] == []


def test_the_history_is_told_to_who_asks_for_it(client: TestClient) -> None:
    """Without the parameter there is the version alone."""
    body = client.get("/v1/policy").json()
    assert (body["history"], body["label"], len(body["digest"])) == (None, "", 12)


@pytest.mark.parametrize(
    "path", ["/v1/escalations", "/v1/escalations/proposals", "/v1/costs", "/v1/policy"]
)
def test_without_a_key_nothing_is_told(service: Service, path: str) -> None:
    """Every route asks for a key."""
    assert TestClient(service.app).get(path).status_code == 401


def test_the_migration_goes_up_and_down(service: Service) -> None:
    """Down to nothing and up again."""
    service.store.migrate("base")
    assert set(inspect(service.store.engine).get_table_names()) <= {"alembic_version"}
    service.store.migrate()
    tables = set(inspect(service.store.engine).get_table_names())
    assert {"escalations", "ledger", "outbox"} <= tables


def test_the_openapi_file_is_the_application_s() -> None:
    """`make schemas` has been run since the last change."""
    path = ROOT / "services" / "escalation" / "openapi.json"
    assert path.read_text("utf-8") == openapi_of("escalation")


def test_answers_survive_the_column_of_their_provider(service: Service) -> None:
    """Going back, it has what the ledger says of the call, or nothing; going on, it is gone."""
    book, one = Ledger(service.store), call(1)
    book.reserve(one, Caps(1_000, 1_000))
    book.settle(one.id, Usage(1, 1), 5, {"text": "yes"})
    with service.store.write() as session:
        (kept,) = session.execute(exchanges.select()).all()
        session.execute(exchanges.insert().values(**{**kept._mapping, "call_id": "ca_lost"}))
    service.store.migrate("0005")
    with service.store.read() as session:
        before = session.execute(text("SELECT call_id, provider FROM exchanges")).all()
    assert set(map(tuple, before)) == {(one.id, "acme"), ("ca_lost", "")}
    service.store.migrate()
    columns = {column["name"] for column in inspect(service.store.engine).get_columns("exchanges")}
    assert "provider" not in columns
    with service.store.read() as session:
        after = session.execute(exchanges.select()).all()
    assert {row.call_id for row in after} == {one.id, "ca_lost"}
    assert kept in after
