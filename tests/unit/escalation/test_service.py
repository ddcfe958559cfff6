"""The service with a policy: a request is asked, answered, kept, paid, and forgotten."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from infra.stand_in import Fault, Labels, StandIn
from infra.stand_in.protocols import Said
from services.escalation import handlers
from services.escalation.bootstrap import build
from services.escalation.domain import Escalation
from services.escalation.ledger import Caps, Ledger
from services.escalation.ledger.store import disagreements, exchanges, ledger
from services.escalation.recovering import Recovery
from services.escalation.settings import Settings
from services.escalation.store import escalations
from shared.events import (
    BlobRef,
    DocumentDeleted,
    EscalationAnswered,
    EscalationRequested,
    Event,
    decode,
)
from shared.events.questions import Proposal, Question
from shared.metrics import exposition
from shared.runtime import Worker
from shared.settings import load
from shared.storage import FileBlobs, Relay, UnitOfWork, begin_try
from shared.storage.deletion import is_deleted, mark_cancelled, mark_deleted
from tests.contract.ledger.calls import call
from tests.killed import Killed, KilledAfterCommit, KilledAfterPut, blobs_below
from tests.unit.escalation.test_door import FOUND, OTHER, POLICY, TEXT
from tests.unit.escalation.test_escalation import AnyKey


@dataclass
class House:
    """Escalation with a stand-in before its door, and what the other services would tell it."""

    folder: Path
    stand_in: StandIn
    faults: list[Fault] = field(default_factory=list)

    def __post_init__(self) -> None:
        policy = self.folder / "policy.toml"
        policy.write_text(POLICY.format(url=self.stand_in.url, day="1", mask=""))
        settings = load(
            Settings,
            data=self.folder,
            bus_url="memory:",
            policy=policy,
            retry_delay=0.01,
            retry_delay_most=0.01,
        )
        self.service = build(settings, keys=AnyKey())
        self.service.store.migrate()
        self.originals = FileBlobs(settings.blobs)
        self.asked = FileBlobs(settings.blobs, "extraction")
        self.stand_in.choose = lambda _said: self.faults.pop(0) if self.faults else "none"
        self.client = TestClient(self.service.app, headers={"authorization": "Bearer default"})
        self.listener = self.service.bus.consumer("listener")
        parts = (self.service.store, self.service.bus)
        self.relay = Relay(*parts)
        self.worker = Worker("escalation", *parts, self.service.handlers, settings)

    def request(self, number: int = 1, text: str = TEXT, **changed: Any) -> EscalationRequested:
        """What extraction asks of a document."""
        kept = self.originals.put("default", text.encode())
        values: dict[str, Any] = {
            "kind": "contract",
            "text": kept,
            "start": 0,
            "end": len(text),
            "category": "Governing Law",
            "definition": f"Which law governs? ({number})",
        }
        options = {name: changed.pop(name) for name in values.keys() & changed.keys()}
        question = Question(**{**values, **options})
        blob = self.asked.put("default", question.model_dump_json().encode())
        event: dict[str, Any] = {
            "document_id": f"doc_{number}",
            "stage": "extraction",
            "result_id": f"cl_{number}",
            "question": blob,
            **changed,
        }
        return EscalationRequested(**event)

    def say(self, *events: Event) -> list[EscalationAnswered]:
        """Events on the bus, handled until nothing waits; what was answered."""
        with UnitOfWork(self.service.store) as uow:
            for event in events:
                uow.publish(event)
        while self.relay.run_once() + self.worker.run_until_idle():
            pass
        heard: list[Any] = []
        while delivery := self.listener.receive(0):
            heard.append(decode(delivery.message.value))
            self.listener.ack(delivery)
        return [event for event in heard if isinstance(event, EscalationAnswered)]

    def handle(self, event: Event, uow: UnitOfWork) -> None:
        """Call the handler, as a worker does that may be killed in it."""
        begin_try(self.service.store, event)
        self.service.handlers[type(event)](event, uow)

    def rows(self, table: Any) -> Sequence[Any]:
        """All rows of a table."""
        with self.service.store.read() as session:
            return session.execute(table.select()).all()

    def get(self, path: str) -> Any:
        """An answer of REST."""
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """A house with a stand-in that makes no mistakes of its own."""
    monkeypatch.setenv("TEST_FRONTIER_KEY", "k")
    labels = Labels([("Governing Law", FOUND), ("Governing Law", OTHER)])
    with StandIn(labels, hang_seconds=30) as stand_in:
        made = House(tmp_path, stand_in)
        yield made
        made.service.close()


def test_a_request_becomes_a_proposal(house: House) -> None:
    """Told by an event with a blob, listed by REST, paid in the ledger."""
    request = house.request(attempt=3)
    (answered,) = house.say(request)
    assert (answered.result_id, answered.attempt, answered.reason) == ("cl_1", 3, None)
    assert (answered.question, answered.cause) == (request.question, request.id)
    assert answered.answer
    assert answered.answer.owner == "escalation"
    proposal = Proposal.model_validate_json(house.originals.get("default", answered.answer))
    assert [quote.text for quote in proposal.quotes] == [FOUND]

    (listed,) = house.get("/v1/escalations/proposals")["items"]
    assert (listed["verdict"], listed["category"]) == ("present", "Governing Law")
    assert listed["quotes"][0]["text"] == FOUND
    assert (listed["stand_in"], listed["provider"]) == (True, "stand-in")
    assert house.get("/v1/escalations")["items"] == []
    costs = house.get("/v1/costs?by=document")
    assert costs["usd"] == pytest.approx(listed["usd"])
    assert costs["usd"] > 0
    assert [group["key"] for group in costs["groups"]] == ["doc_1"]
    assert costs["items"][0]["tokens_in"] == house.stand_in.bills[0].input
    assert costs["budgets"][0]["usd"] == pytest.approx(costs["usd"])
    assert [budget["most_usd"] for budget in costs["budgets"]] == [1, 100]
    policy = house.get("/v1/policy")
    assert (policy["leaves_the_house"], policy["leaves"]) == (True, ["contract"])
    assert (policy["budget_usd"], policy["day_usd"]) == (100, 1)


@pytest.mark.parametrize("fault", ["invent", "decline", "break_json"])
def test_what_can_t_be_used_goes_to_a_person(house: House, fault: Fault) -> None:
    """The event says why; REST lists it as unanswered."""
    house.faults = [fault, fault]
    (answered,) = house.say(house.request())
    assert answered.answer is None
    assert answered.reason
    (listed,) = house.get("/v1/escalations")["items"]
    assert (listed["state"], listed["reason"]) == ("unanswered", answered.reason)
    assert house.get("/v1/escalations/proposals")["items"] == []


@pytest.mark.parametrize("key", ["a\0b", "k" * 300_000], ids=["unkept", "long"])
def test_a_key_that_the_model_made_up_does_not_keep_the_item_from_a_person(
    house: House, key: str
) -> None:
    """The reason names the fault, not the key."""
    answer = json.dumps({"verdict": "absent", "quotes": [], "why": "", key: 1})
    house.stand_in.speak = lambda _said, _fault: answer
    (answered,) = house.say(house.request())
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
def test_a_reason_is_what_databases_and_events_take(house: House, reason: str, kept: str) -> None:
    """No NUL, no half character, no end without measure."""
    assert Escalation.of(house.request()).unanswered(reason).reason == kept


def test_without_a_network_nobody_waits_for_ever(house: House) -> None:
    """A request that was tried long enough goes to a person; one of an hour ago is not tried."""
    house.faults = ["busy"] * 3
    for number, (minutes, why) in enumerate([(60, "waited too long"), (12, "is busy (429)")]):
        old = house.request(number, time=datetime.now(UTC) - timedelta(minutes=minutes))
        (answered,) = house.say(old)
        assert answered.answer is None
        assert why in (answered.reason or "")
        assert len(house.stand_in.said) == number
    assert house.get("/v1/costs")["calls"] == 0


def test_without_a_budget_nobody_waits_either(house: House) -> None:
    """One request uses it up, by the worst case of a provider that does not tell its bills."""
    requests = [house.request(n, text=f"{TEXT}{'word ' * 3_000}") for n in range(1, 60)]
    house.faults = ["no_bill"] * 60
    answers = house.say(*requests)
    assert len(answers) == len(requests)
    reasons = [answer.reason for answer in answers if answer.answer is None]
    assert reasons
    assert all("which the budget for" in (reason or "") for reason in reasons)
    assert len(house.stand_in.bills) == len(requests) - len(reasons)
    assert house.get("/v1/costs")["usd"] <= 1


def test_a_question_that_is_none_goes_to_a_person(house: House) -> None:
    """A service that asks nonsense fails no document."""
    blob = house.asked.put("default", b'{"kind": "contract"}')
    (answered,) = house.say(house.request(question=blob))
    assert answered.answer is None
    assert "the question can't be read: text" in (answered.reason or "")


def test_nothing_is_asked_about_what_is_deleted_or_cancelled(house: House) -> None:
    """The blob store knows it before the event comes."""
    mark_deleted(house.originals, "default", "doc_1")
    mark_cancelled(house.originals, "default", "doc_2", 1)
    assert house.say(house.request(1), house.request(2)) == []
    assert house.stand_in.said == []
    (answered,) = house.say(house.request(2, attempt=2))
    assert answered.answer


def test_a_deletion_leaves_no_words(house: House, tmp_path: Path) -> None:
    """Rows, remembered answers and blobs go; what it cost stays."""
    (answered,) = house.say(house.request(1))
    house.say(house.request(2, category="Parties"))
    assert answered.answer
    before = house.get("/v1/costs")["usd"]
    assert answered.answer.sha256 in blobs_below(tmp_path)
    house.say(DocumentDeleted(document_id="doc_1"))
    assert answered.answer.sha256 not in blobs_below(tmp_path)
    assert is_deleted(house.originals, "default", "doc_1")
    assert {row.document_id for row in house.rows(exchanges)} == {"doc_2"}
    assert [row["document_id"] for row in house.get("/v1/escalations/proposals")["items"]] == [
        "doc_2"
    ]
    assert house.get("/v1/costs")["usd"] == before


@pytest.mark.parametrize("fault", ["none", "decline"])
def test_a_deletion_during_a_call_leaves_no_words_either(
    house: House, tmp_path: Path, fault: Fault
) -> None:
    """The answer comes after the deletion was done, with a proposal or without."""
    speak = house.stand_in.speak
    gone = DocumentDeleted(document_id="doc_1")

    def delete_and_speak(said: Said, fault: Fault) -> str:
        house.handle(gone, UnitOfWork(house.service.store, gone))
        return speak(said, fault)

    house.stand_in.speak = delete_and_speak
    house.faults = [fault]
    assert house.say(house.request()) == []
    assert [row.state for row in house.rows(ledger)] == ["settled"]
    assert house.rows(exchanges) == house.rows(escalations) == []
    assert blobs_below(tmp_path / "blobs" / "default" / "escalation") == set()


@pytest.mark.parametrize("noticed", ["before", "at the missing blob"])
def test_what_was_answered_about_what_is_deleted_goes_when_that_is_noticed(
    house: House, monkeypatch: pytest.MonkeyPatch, noticed: str
) -> None:
    """A request that comes again after its document was deleted leaves no words of it."""
    request = house.request()
    with pytest.raises(Killed):
        house.handle(request, KilledAfterPut(house.service.store, request))
    assert len(house.rows(exchanges)) == 1
    mark_deleted(house.originals, "default", "doc_1")
    if noticed != "before":
        monkeypatch.setattr(handlers, "is_void", lambda *_: False)
        house.asked.delete("default", request.question)
    assert house.say(request) == []
    assert house.rows(exchanges) == house.rows(escalations) == []


def test_a_cancelled_attempt_is_no_deletion(house: House) -> None:
    """What was answered may serve others."""
    request = house.request()
    with pytest.raises(Killed):
        house.handle(request, KilledAfterPut(house.service.store, request))
    mark_cancelled(house.originals, "default", "doc_1", 1)
    assert house.say(request) == []
    assert len(house.rows(exchanges)) == 1


@pytest.mark.parametrize("death", [KilledAfterCommit, KilledAfterPut])
def test_a_killed_process_neither_pays_twice_nor_leaves_anything(
    house: House, tmp_path: Path, death: type[UnitOfWork]
) -> None:
    """What was answered before it died is used; a deletion finds the blob that it wrote."""
    request = house.request()
    with pytest.raises(Killed):
        house.handle(request, death(house.service.store, request))
    assert len(house.stand_in.said) == 1
    house.say(request)
    assert len(house.stand_in.said) == 1
    assert len(house.rows(ledger)) == 1
    house.say(DocumentDeleted(document_id="doc_1"))
    own = blobs_below(tmp_path / "blobs" / "default" / "escalation")
    assert own == set()


def test_two_documents_with_the_same_words_pay_once(house: House) -> None:
    """The answer to one serves the other, and outlives its deletion."""
    first = house.request(1, definition="the same")
    second = house.request(2, definition="the same")
    one, two = house.say(first, second)
    assert one.answer != two.answer
    assert len(house.stand_in.said) == 1
    costs = {i["document_id"]: i["usd"] for i in house.get("/v1/escalations/proposals")["items"]}
    assert costs["doc_1"] > 0
    assert costs["doc_2"] == 0
    house.say(DocumentDeleted(document_id="doc_1"))
    assert two.answer
    assert house.originals.get("default", two.answer)


def test_as_many_questions_are_asked_at_once_as_are_set(house: House, tmp_path: Path) -> None:
    """Calls wait for others, not for the processor; where the door is shut one worker is enough."""
    assert house.service.workers == 4
    shut = build(load(Settings, data=tmp_path, bus_url="memory:"), keys=AnyKey())
    assert shut.workers == 1
    shut.close()


def test_calls_of_dead_processes_are_recovered_by_a_job(house: House) -> None:
    """The service has the job, and a round of it leaves no reservation behind."""
    make, *_ = house.service.jobs
    job = make(None)
    assert isinstance(job, Recovery)
    past = datetime.now(UTC) - timedelta(minutes=5)
    book = Ledger(house.service.store, lambda: past)
    for number in range(130):
        one = call(number, 3, time=past, until=past + timedelta(seconds=1))
        book.reserve(one, Caps(10_000, 10_000))
    job.work(threading.Event())
    assert {row.state for row in house.rows(ledger)} == {"assumed"}
    with house.service.store.read() as session:
        assert disagreements(session) == []
    costs = house.get("/v1/costs")
    assert costs["items"][0]["uncertain_usd"] == costs["usd"] == 390 / 1e6


def test_a_stopped_provider_is_told(house: House) -> None:
    """By REST, with the reason and what to do."""
    house.faults = ["overbill"]
    house.say(house.request(1), house.request(2))
    (stop,) = house.get("/v1/costs")["stopped"]
    assert stop["provider"] == "stand-in"
    assert "smallprint costs --resume stand-in" in stop["reason"]
    (listed,) = house.get("/v1/escalations")["items"]
    assert "stand-in is stopped" in listed["reason"]
    (bill,) = house.rows(ledger)
    for tenant, told in (("strict", [stop]), ("another", [])):  # another's policy names nobody
        client = TestClient(house.service.app, headers={"authorization": f"Bearer {tenant}"})
        assert client.get("/v1/costs").json()["stopped"] == told
    assert bill.call_id not in stop["reason"] + listed["reason"]
    assert "US$" not in stop["reason"] + listed["reason"]


def test_a_question_s_blob_is_of_this_form() -> None:
    """What other services write is what is read here."""
    written = Question(
        kind="contract",
        text=BlobRef(sha256="0" * 64, size=3),
        start=0,
        end=3,
        category="Parties",
        definition="Who?",
    ).model_dump_json()
    assert json.loads(written)["subject"] == "clause"
    assert Question.model_validate_json(written).candidates == ()


def test_what_a_provider_was_given_is_told_from_zero_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rise from nothing is no rise to whoever watches: the first spending would not show."""
    monkeypatch.setenv("TEST_FRONTIER_KEY", "key")
    policy = tmp_path / "policy.toml"
    text = POLICY.format(url="http://127.0.0.1:9", day="1", mask="")
    policy.write_text(text.replace("stand-in", "newcomer"))
    settings = load(Settings, data=tmp_path, bus_url="memory:", policy=policy)
    service = build(settings, keys=AnyKey())
    zero = 'smallprint_escalation_spend_usd_total{provider="newcomer"} 0.0'
    assert zero not in exposition().decode()
    jobs = [make("me") for make in service.jobs]
    assert jobs
    assert zero in exposition().decode().splitlines()
    service.bus.close()
    service.store.close()
