"""The service with a policy and a stand-in for a provider."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.escalation import handlers
from services.escalation.bootstrap import build
from services.escalation.domain import Escalation, Outcome
from services.escalation.ledger import Caps, Ledger, Recovery
from services.escalation.ledger.store import disagreements, exchanges, ledger
from services.escalation.settings import Settings
from services.escalation.store import escalations
from shared.blobs.markers import is_deleted, mark_cancelled, mark_deleted
from shared.events import DocumentDeleted
from shared.events.questions import Proposal
from shared.messaging import UnitOfWork
from shared.metrics import exposition
from shared.settings import load
from tests.contract.ledger.calls import call
from tests.fakes.provider import Fault
from tests.fakes.provider.protocols import ModelRequest
from tests.support.builders import AnyKey
from tests.support.killed import Killed, KilledAfterCommit, KilledAfterPut, blobs_below
from tests.unit.escalation.builders import FOUND, TEXT, EscalationService, policy_text


def test_a_request_becomes_a_proposal(escalation: EscalationService) -> None:
    request = escalation.request(attempt=3)
    (answered,) = escalation.say(request)
    assert (answered.result_id, answered.attempt, answered.reason) == ("cl_1", 3, None)
    assert (answered.question, answered.cause) == (request.question, request.id)
    assert answered.answer
    assert answered.answer.owner == "escalation"
    proposal = Proposal.model_validate_json(escalation.originals.get("default", answered.answer))
    assert [quote.text for quote in proposal.quotes] == [FOUND]

    (listed,) = escalation.get("/v1/escalations/proposals")["items"]
    assert (listed["verdict"], listed["category"]) == ("present", "Governing Law")
    assert listed["quotes"][0]["text"] == FOUND
    assert (listed["stand_in"], listed["provider"]) == (True, "stand-in")
    assert escalation.get("/v1/escalations")["items"] == []
    costs = escalation.get("/v1/costs?by=document")
    assert costs["usd"] == pytest.approx(listed["usd"])
    assert costs["usd"] > 0
    assert [group["key"] for group in costs["groups"]] == ["doc_1"]
    assert costs["items"][0]["tokens_in"] == escalation.stand_in.bills[0].input
    assert costs["budgets"][0]["usd"] == pytest.approx(costs["usd"])
    assert [budget["max_usd"] for budget in costs["budgets"]] == [1, 100]
    policy = escalation.get("/v1/policy")
    assert (policy["sends_text_out"], policy["external_kinds"]) == (True, ["contract"])
    assert (policy["budget_usd"], policy["day_usd"]) == (100, 1)


@pytest.mark.parametrize("fault", ["invent", "decline", "break_json"])
def test_an_unusable_answer_goes_to_a_person(escalation: EscalationService, fault: Fault) -> None:
    escalation.faults = [fault, fault]
    (answered,) = escalation.say(escalation.request())
    assert answered.answer is None
    assert answered.reason
    (listed,) = escalation.get("/v1/escalations")["items"]
    assert (listed["state"], listed["reason"]) == ("unanswered", answered.reason)
    assert escalation.get("/v1/escalations/proposals")["items"] == []


@pytest.mark.parametrize("key", ["a\0b", "k" * 300_000], ids=["unkept", "long"])
def test_an_invented_key_is_not_part_of_the_reason(escalation: EscalationService, key: str) -> None:
    answer = json.dumps({"verdict": "absent", "quotes": [], "why": "", key: 1})
    escalation.stand_in.speak = lambda _request, _fault: answer
    (answered,) = escalation.say(escalation.request())
    assert answered.answer is None
    assert answered.reason
    assert "it is not by the schema" in answered.reason
    assert "extra_forbidden" in answered.reason
    assert answered.reason.isprintable()
    assert len(answered.reason) < 200


@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        ("a\0b\ud800c\udfff", "a\ufffdb\ufffdc\ufffd"),
        ("x" * 2_000, "x" * 2_000),
        ("x" * 2_001, "x" * 1_999 + "…"),
    ],
)
def test_a_reason_is_storable_and_bounded(
    escalation: EscalationService, reason: str, kept: str
) -> None:
    (one,) = Escalation.each(escalation.request())
    assert one.with_outcome(Outcome(None, reason)).reason == kept


def test_without_a_network_a_question_goes_to_a_person(escalation: EscalationService) -> None:
    escalation.faults = ["busy"] * 3
    for number, (minutes, why) in enumerate([(60, "waited too long"), (12, "is busy (429)")]):
        old = escalation.request(number, time=datetime.now(UTC) - timedelta(minutes=minutes))
        (answered,) = escalation.say(old)
        assert answered.answer is None
        assert why in (answered.reason or "")
        assert len(escalation.stand_in.requests) == number
    assert escalation.get("/v1/costs")["calls"] == 0


def test_the_budget_holds_for_unbilled_calls(escalation: EscalationService) -> None:
    requests = [escalation.request(n, text=f"{TEXT}{'word ' * 3_000}") for n in range(1, 60)]
    escalation.faults = ["no_bill"] * 60
    answers = escalation.say(*requests)
    assert len(answers) == len(requests)
    reasons = [answer.reason for answer in answers if answer.answer is None]
    assert reasons
    assert all("which exceeds the budget for" in (reason or "") for reason in reasons)
    assert len(escalation.stand_in.bills) == len(requests) - len(reasons)
    assert escalation.get("/v1/costs")["usd"] <= 1


def test_an_unreadable_question_goes_to_a_person(escalation: EscalationService) -> None:
    blob = escalation.asked.put("default", b'{"kind": "contract"}')
    (answered,) = escalation.say(escalation.request(question=blob))
    assert answered.answer is None
    assert "the question can't be read: text" in (answered.reason or "")


def test_nothing_is_asked_about_deleted_or_cancelled_documents(
    escalation: EscalationService,
) -> None:
    mark_deleted(escalation.originals, "default", "doc_1")
    mark_cancelled(escalation.originals, "default", "doc_2", 1)
    assert escalation.say(escalation.request(1), escalation.request(2)) == []
    assert escalation.stand_in.requests == []
    (answered,) = escalation.say(escalation.request(2, attempt=2))
    assert answered.answer


def test_a_deletion_removes_all_text(escalation: EscalationService, tmp_path: Path) -> None:
    (answered,) = escalation.say(escalation.request(1))
    escalation.say(escalation.request(2, category="Parties"))
    assert answered.answer
    before = escalation.get("/v1/costs")["usd"]
    assert answered.answer.sha256 in blobs_below(tmp_path)
    escalation.say(DocumentDeleted(document_id="doc_1"))
    assert answered.answer.sha256 not in blobs_below(tmp_path)
    assert is_deleted(escalation.originals, "default", "doc_1")
    assert {row.document_id for row in escalation.rows(exchanges)} == {"doc_2"}
    assert [row["document_id"] for row in escalation.get("/v1/escalations/proposals")["items"]] == [
        "doc_2"
    ]
    assert escalation.get("/v1/costs")["usd"] == before


@pytest.mark.parametrize("fault", ["none", "decline"])
def test_a_deletion_during_a_call_removes_all_text(
    escalation: EscalationService, tmp_path: Path, fault: Fault
) -> None:
    speak = escalation.stand_in.speak
    gone = DocumentDeleted(document_id="doc_1")

    def delete_and_speak(request: ModelRequest, fault: Fault) -> str:
        escalation.call_handler(gone, UnitOfWork(escalation.service.store, gone))
        return speak(request, fault)

    escalation.stand_in.speak = delete_and_speak
    escalation.faults = [fault]
    assert escalation.say(escalation.request()) == []
    assert [row.state for row in escalation.rows(ledger)] == ["settled"]
    assert escalation.rows(exchanges) == escalation.rows(escalations) == []
    assert blobs_below(tmp_path / "blobs" / "default" / "escalation") == set()


@pytest.mark.parametrize("noticed", ["before", "at the missing blob"])
def test_answers_about_a_deleted_document_are_removed_late(
    escalation: EscalationService, monkeypatch: pytest.MonkeyPatch, noticed: str
) -> None:
    request = escalation.request()
    with pytest.raises(Killed):
        escalation.call_handler(request, KilledAfterPut(escalation.service.store, request))
    assert len(escalation.rows(exchanges)) == 1
    mark_deleted(escalation.originals, "default", "doc_1")
    if noticed != "before":
        monkeypatch.setattr(handlers, "is_void", lambda *_: False)
        escalation.asked.delete("default", request.question)
    assert escalation.say(request) == []
    assert escalation.rows(exchanges) == escalation.rows(escalations) == []


def test_a_cancelled_attempt_keeps_its_answers(escalation: EscalationService) -> None:
    request = escalation.request()
    with pytest.raises(Killed):
        escalation.call_handler(request, KilledAfterPut(escalation.service.store, request))
    mark_cancelled(escalation.originals, "default", "doc_1", 1)
    assert escalation.say(request) == []
    assert len(escalation.rows(exchanges)) == 1


@pytest.mark.parametrize("death", [KilledAfterCommit, KilledAfterPut])
def test_a_killed_process_pays_once_and_leaves_no_blob(
    escalation: EscalationService, tmp_path: Path, death: type[UnitOfWork]
) -> None:
    request = escalation.request()
    with pytest.raises(Killed):
        escalation.call_handler(request, death(escalation.service.store, request))
    assert len(escalation.stand_in.requests) == 1
    escalation.say(request)
    assert len(escalation.stand_in.requests) == 1
    assert len(escalation.rows(ledger)) == 1
    escalation.say(DocumentDeleted(document_id="doc_1"))
    own = blobs_below(tmp_path / "blobs" / "default" / "escalation")
    assert own == set()


def test_equal_documents_pay_once(escalation: EscalationService) -> None:
    first = escalation.request(1, definition="the same")
    second = escalation.request(2, definition="the same")
    one, two = escalation.say(first, second)
    assert one.answer != two.answer
    assert len(escalation.stand_in.requests) == 1
    costs = {
        i["document_id"]: i["usd"] for i in escalation.get("/v1/escalations/proposals")["items"]
    }
    assert costs["doc_1"] > 0
    assert costs["doc_2"] == 0
    escalation.say(DocumentDeleted(document_id="doc_1"))
    assert two.answer
    assert escalation.originals.get("default", two.answer)


def test_the_number_of_workers_follows_the_setting(
    escalation: EscalationService, tmp_path: Path
) -> None:
    assert escalation.service.workers == 4
    shut = build(load(Settings, data=tmp_path, bus_url="memory:"), keys=AnyKey())
    assert shut.workers == 1
    shut.close()


def test_calls_of_crashed_processes_are_recovered(escalation: EscalationService) -> None:
    make, *_ = escalation.service.jobs
    job = make(None)
    assert isinstance(job, Recovery)
    past = datetime.now(UTC) - timedelta(minutes=5)
    book = Ledger(escalation.service.store, lambda: past)
    for number in range(130):
        one = call(number, 3, time=past, until=past + timedelta(seconds=1))
        book.reserve(one, Caps(10_000, 10_000))
    job.work(threading.Event())
    assert {row.state for row in escalation.rows(ledger)} == {"assumed"}
    with escalation.service.store.read() as session:
        assert disagreements(session) == []
    costs = escalation.get("/v1/costs")
    assert costs["items"][0]["uncertain_usd"] == costs["usd"] == 390 / 1e6


def test_a_stopped_provider_is_listed_without_the_call(escalation: EscalationService) -> None:
    escalation.faults = ["overbill"]
    escalation.say(escalation.request(1), escalation.request(2))
    (stop,) = escalation.get("/v1/costs")["stopped"]
    assert stop["provider"] == "stand-in"
    assert "smallprint costs --resume stand-in" in stop["reason"]
    (listed,) = escalation.get("/v1/escalations")["items"]
    assert "stand-in is stopped" in listed["reason"]
    (bill,) = escalation.rows(ledger)
    for tenant, stops in (("strict", [stop]), ("another", [])):  # another has no provider
        assert escalation.client_of(tenant).get("/v1/costs").json()["stopped"] == stops
    assert bill.call_id not in stop["reason"] + listed["reason"]
    assert "US$" not in stop["reason"] + listed["reason"]


def test_spending_metrics_start_at_zero(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_FRONTIER_KEY", "key")
    policy = tmp_path / "policy.toml"
    policy.write_text(policy_text("http://127.0.0.1:9", name="newcomer"))
    settings = load(Settings, data=tmp_path, bus_url="memory:", policy=policy)
    service = build(settings, keys=AnyKey())
    zero = 'smallprint_escalation_spend_usd_total{provider="newcomer"} 0.0'
    assert zero not in exposition().decode()
    jobs = [make("me") for make in service.jobs]
    assert jobs
    assert zero in exposition().decode().splitlines()
    service.bus.close()
    service.store.close()
