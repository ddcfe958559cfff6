"""Costs of specialists, and of frontier models beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from services.escalation.bootstrap import build
from services.escalation.costs import Rates, Work, payback
from services.escalation.costs.api import QUOTED
from services.escalation.ledger import Caps, Ledger
from services.escalation.policy.policy import TenantPolicy
from services.escalation.providers import Provider
from services.escalation.settings import Settings
from shared.artefacts.loader import Training, training_of
from shared.events import AdapterVersion, BlobRef, ClausesExtracted, FindingsFound
from shared.policy.prices import Price, Usage
from shared.settings import load
from tests.contract.ledger.calls import call
from tests.support.builders import AnyKey, RunningService

CLAUSES = BlobRef(sha256="0" * 64, size=2)
RATES = Rates(Decimal("0.36"), Decimal(3), "m", Price(Decimal(5), Decimal(25), "2026-01-31"))


def an_hour(_adapter: str, _version: str) -> Training:
    return Training(3600.0, "")


def extracted(number: int, tenant: str = "default", **changed: Any) -> ClausesExtracted:
    values: dict[str, Any] = {
        "tenant": tenant,
        "document_id": f"doc_{number}",
        "name": "lease.pdf",
        "clauses": CLAUSES,
        "count": 1,
        "adapter": "contract-clauses",
        "adapter_version": "1.0.0",
        "adapters": (
            AdapterVersion(
                name="contract-clauses", version="1.0.0", seconds=10.0, tokens=50_000, quoted=4_000
            ),
            AdapterVersion(name="mine", version="1.0.0", seconds=2.0, tokens=50_000, quoted=0),
        ),
        "time": datetime(2026, 1, 30 + number % 2, 12, tzinfo=UTC),
        **changed,
    }
    return ClausesExtracted(**values)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RunningService]:
    folder = tmp_path / "artefacts" / "contract-clauses" / "1.0.0"
    folder.mkdir(parents=True)
    trainings = [{"fold": "none", "seconds": 3600}, {"fold": "0", "seconds": 7200}]
    kept = {"machine": "two processor cores", "trainings": trainings}
    (folder / "training.json").write_text(json.dumps(kept))
    settings = load(
        Settings,
        data=tmp_path,
        bus_url="memory:",
        artefacts=tmp_path / "artefacts",
        escalation_machine_hour=Decimal("0.36"),
        escalation_training_hour=Decimal(3),
    )
    service = RunningService(build(settings, keys=AnyKey()))
    yield service
    service.close()


def get_costs(service: RunningService, tenant: str = "default", **query: str) -> Any:
    return service.client_of(tenant).get("/v1/costs", params=query)


def found(number: int, tenant: str = "default", **changed: Any) -> FindingsFound:
    took = AdapterVersion(
        name="triage-breaks", version="1.2.0", seconds=0.5, tokens=80_000, quoted=200
    )
    values: dict[str, Any] = {
        "tenant": tenant,
        "document_id": f"rep_{number}",
        "name": "10-k.html",
        "findings": CLAUSES,
        "count": 2,
        "flagged": True,
        "risk": 0.9,
        "model": "triage-breaks 1.2.0",
        "adapters": (took,),
        "time": datetime(2026, 1, 31, 12, tzinfo=UTC),
        **changed,
    }
    return FindingsFound(**values)


def test_without_readings_there_are_no_figures(service: RunningService) -> None:
    body = get_costs(service).json()
    assert body["specialists"]["tokens_per_second"] is None
    assert body["specialists"]["usd_per_million"] is None
    assert (body["groups"], body["training"], body["frontier"]["usd"]) == ([], [], 0)
    assert body["quoted"]["frontier_million"] == QUOTED.frontier_million


def test_readings_are_measured_and_priced(service: RunningService) -> None:
    unmeasured = extracted(4, adapters=(AdapterVersion(name="mine", version="1.0.0"),))
    service.handle(extracted(1), extracted(2), extracted(1), extracted(3, "other"), unmeasured)
    body = get_costs(service).json()
    work = body["specialists"]
    assert (work["documents"], work["seconds"], work["tokens_read"]) == (2, 24.0, 200_000)
    assert work["usd"] == pytest.approx(24 * 0.36 / 3600)
    assert work["tokens_per_second"] == pytest.approx(200_000 / 24)
    assert work["usd_per_million"] == pytest.approx(24 * 0.36 / 3600 * 5)
    other = body["frontier"]
    assert (other["model"], other["input_usd"], other["output_usd"]) == ("claude-opus-5", 5, 25)
    assert other["read_usd"] == pytest.approx(0.5)
    assert other["quoted_usd"] == pytest.approx(0.2)
    assert [group["key"] for group in body["groups"]] == ["2026-01-31", "2026-01-30"]
    assert sum(group["frontier_usd"] for group in body["groups"]) == pytest.approx(0.7)
    assert get_costs(service, "other").json()["specialists"]["documents"] == 1


@pytest.mark.parametrize(
    ("by", "keys"),
    [
        ("document", ["doc_1", "doc_2"]),
        ("kind", ["contract"]),
        ("adapter", ["contract-clauses", "mine"]),
        ("tenant", ["default"]),
        ("provider", []),
        ("model", []),
    ],
)
def test_work_is_grouped_by_its_keys(service: RunningService, by: str, keys: list[str]) -> None:
    service.handle(extracted(1), extracted(2))
    assert [group["key"] for group in get_costs(service, by=by).json()["groups"]] == keys


def test_reports_are_grouped_beside_contracts(service: RunningService) -> None:
    again = found(2, adapters=())
    service.handle(extracted(1), found(1), found(2), found(1), again, found(3, adapters=()))
    body = get_costs(service, by="kind").json()
    contract, report = body["groups"]
    assert (contract["key"], report["key"]) == ("contract", "report")
    assert (report["documents"], report["seconds"]) == (2, 1.0)
    assert (report["tokens_read"], report["tokens_quoted"]) == (160_000, 400)
    assert report["machine_usd"] == pytest.approx(0.36 / 3600)
    assert report["frontier_usd"] == pytest.approx(0.16 * 5 + 0.0004 * 25)
    assert contract["tokens_read"] == 100_000
    groups = get_costs(service, by="adapter").json()["groups"]
    assert [group["key"] for group in groups] == ["contract-clauses", "mine", "triage-breaks"]
    documents = get_costs(service, by="document").json()["groups"]
    assert [group["key"] for group in documents] == ["doc_1", "rep_1", "rep_2"]
    assert get_costs(service, by="day").json()["groups"][0]["documents"] == 3


def test_each_kind_has_its_own_speed_and_price(service: RunningService) -> None:
    service.handle(extracted(1), found(1))
    work = get_costs(service).json()["specialists"]
    assert (work["documents"], work["tokens_read"], work["seconds"]) == (2, 180_000, 12.5)
    contract, report = work["kinds"]
    assert (contract["kind"], report["kind"]) == ("contract", "report")
    assert contract["tokens_per_second"] == pytest.approx(100_000 / 12)
    assert report["tokens_per_second"] == pytest.approx(160_000)
    assert report["usd_per_million"] == pytest.approx(0.5 * 0.36 / 3600 / 0.08)
    assert contract["usd_per_million"] == pytest.approx(12 * 0.36 / 3600 / 0.1)
    assert work["usd"] == pytest.approx(contract["usd"] + report["usd"])


def test_an_unknown_training_time_has_no_payback(service: RunningService) -> None:
    service.handle(found(1))
    (line,) = get_costs(service).json()["training"]
    assert (line["adapter"], line["hours"], line["after_documents"]) == (
        "triage-breaks",
        None,
        None,
    )
    assert line["saved_per_document_usd"] == pytest.approx(
        0.08 * 5 + 0.0002 * 25 - 0.5 * 0.36 / 3600
    )


def test_another_model_has_its_own_price(service: RunningService) -> None:
    service.handle(extracted(1))
    cheap = get_costs(service, model="gemini-2.5-flash-lite").json()["frontier"]
    assert cheap["usd"] == pytest.approx(0.05 * 0.10 + 0.004 * 0.40)
    refused = get_costs(service, model="nobody-1")
    assert refused.status_code == 422
    assert "claude-opus-5" in refused.json()["detail"]


def test_training_is_paid_back_after_a_number_of_documents(service: RunningService) -> None:
    service.handle(extracted(1), extracted(2))
    first, second = get_costs(service).json()["training"]
    saved = 0.05 / 2 * 5 + 0.004 * 25 - 10 * 0.36 / 3600
    assert (first["adapter"], first["hours"], first["usd"]) == ("contract-clauses", 3.0, 9.0)
    assert (first["machine"], first["hour_usd"]) == ("two processor cores", 3.0)
    assert first["saved_per_document_usd"] == pytest.approx(saved)
    assert first["after_documents"] == -(-9.0 // saved)
    assert (second["adapter"], second["hours"], second["after_documents"]) == ("mine", None, None)
    assert second["machine"] is None


def pay(
    service: RunningService, number: int, micro_usd: int, tenant: str = "default", **more: Any
) -> None:
    book = Ledger(service.service.store)
    one = call(number, micro_usd, tenant=tenant, document_id=f"doc_{number}", **more)
    book.reserve(one, Caps(10**9, 10**9))
    book.settle(one.id, Usage(4_000, 200), micro_usd, {})


def test_payments_to_frontier_models_reduce_the_saving(service: RunningService) -> None:
    service.handle(extracted(1), extracted(2), extracted(3, "other"))
    pay(service, 1, 60_000)
    pay(service, 2, 20_000)
    pay(service, 3, 500_000, "other")
    pay(service, 4, 700_000)
    first, second = get_costs(service).json()["training"]
    assert first["paid_per_document_usd"] == second["paid_per_document_usd"] == pytest.approx(0.02)
    saved = 0.05 / 2 * 5 + 0.004 * 25 - 10 * 0.36 / 3600 - 0.02
    assert first["saved_per_document_usd"] == pytest.approx(saved)
    assert first["after_documents"] == -(-9.0 // saved) == 45


def test_costs_of_stand_ins_are_listed_apart(service: RunningService) -> None:
    pay(service, 1, 60_000)
    assert get_costs(service).json()["stand_in_usd"] == 0
    pay(service, 2, 20_000, provider="stand-in-2")
    body = get_costs(service).json()
    assert (body["usd"], body["stand_in_usd"]) == (0.08, 0.02)


def test_two_attempts_share_the_payments_of_a_document(service: RunningService) -> None:
    service.handle(extracted(1), extracted(1, attempt=2))
    pay(service, 1, 60_000)
    for one in get_costs(service).json()["training"]:
        assert one["paid_per_document_usd"] == pytest.approx(0.03)


def test_a_repeated_reading_counts_its_text_once(service: RunningService) -> None:
    anew = *(found(1, attempt=n) for n in (2, 3)), extracted(1, attempt=2)
    service.handle(found(1), extracted(1), *anew, found(1, "other"), extracted(1, "other"))
    again = get_costs(service, by="document").json()
    once = get_costs(service, "other", by="document").json()
    for before, after in zip(once["groups"], again["groups"], strict=True):
        assert after["frontier_usd"] == before["frontier_usd"] > 0
        assert after["tokens_read"] == before["tokens_read"]
    assert again["frontier"] == once["frontier"]
    assert once["specialists"]["seconds"] == 12.5
    assert again["specialists"]["seconds"] == 12.5 + 2 * 0.5 + 12.0


@pytest.mark.parametrize(
    ("work", "paid", "saved"),
    [
        (Work("a", documents=1, tokens=1_000), Decimal("0.0051"), -0.0001),  # of US$ 0.0050
        (Work("a", documents=1, seconds=36_000.0, tokens=10), Decimal(0), -3.59995),
    ],
)
def test_training_that_saves_nothing_is_never_paid_back(
    work: Work, paid: Decimal, saved: float
) -> None:
    (line,) = payback([("a", "1.0.0", work)], an_hour, RATES, {("a", "1.0.0"): paid})
    assert line.saved_per_document_usd == pytest.approx(saved)
    assert line.after_documents is None


def test_the_first_real_model_of_a_tenant_is_the_default() -> None:
    assert Rates.of(Decimal(1), Decimal(1), TenantPolicy(), None).model == "claude-opus-5"
    assert Rates.of(Decimal(1), Decimal(1), TenantPolicy(), "gpt-4.1").price.output == 8
    names = {"stand-in-1": "stand-in", "claude": "claude-haiku-4-5", "acme": "acme-1"}
    asked = [
        Provider(name, "own", model, "http://a", RATES.price, key=str)
        for name, model in names.items()
    ]
    both, alone = TenantPolicy(tuple(asked)), TenantPolicy(tuple(asked[:1]))
    assert Rates.of(Decimal(1), Decimal(1), both, None).model == "claude-haiku-4-5"
    assert Rates.of(Decimal(1), Decimal(1), alone, None).model == "claude-opus-5"
    assert Rates.of(Decimal(1), Decimal(1), alone, "stand-in").model == "stand-in"


def test_a_stand_in_does_not_change_the_price_of_a_model() -> None:
    free = Price(Decimal(0), Decimal(0), "2026-01-31")
    acting = Provider("stand-in", "own", "claude-opus-5", "http://a", free, key=str)
    rates = Rates.of(Decimal(1), Decimal(1), TenantPolicy((acting,)), None)
    assert rates == Rates.of(Decimal(1), Decimal(1), TenantPolicy(), None)
    assert rates.price.output > 0


@pytest.mark.parametrize(
    ("content", "found"),
    [
        *(("", None), ("[]", None), ("{}", None), ('{"trainings": [{}]}', None), (None, None)),
        ('{"trainings": [{"fold": "none", "seconds": 7}]}', Training(7.0, "")),
    ],
)
def test_unreadable_training_times_are_unknown(
    tmp_path: Path, content: str | None, found: Training | None
) -> None:
    folder = tmp_path / "a" / "1.0.0"
    folder.mkdir(parents=True)
    if content is not None:
        (folder / "training.json").write_text(content)
    assert training_of(tmp_path, "a", "1.0.0") == found
