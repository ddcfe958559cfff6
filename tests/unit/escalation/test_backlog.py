"""What waited too long for its turn goes with a batch, where the policy says so, and ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from infra.stand_in import Labels, StandIn
from services.escalation import handlers
from services.escalation.asking import DECIDED, NO_PROVIDER
from services.escalation.backlog.rounds import NO_ANSWER, BatchRounds
from services.escalation.backlog.store import Backlog, backlog
from services.escalation.batches.store import batches
from services.escalation.hearing import TooLate
from services.escalation.ledger import Caps, Ledger
from services.escalation.ledger.store import disagreements, exchanges, ledger
from services.escalation.policy import Policies, read_policies
from services.escalation.providers import Provider
from services.escalation.providers.base import Lost
from services.escalation.providers.provider import BATCHES
from services.escalation.store import escalations
from shared.errors import SettingsError, SuiteError
from shared.events import DocumentDeleted
from shared.events.questions import Proposal
from shared.storage import UnitOfWork
from shared.storage.deletion import mark_cancelled, mark_deleted
from tests.contract.ledger.calls import call
from tests.unit.escalation.test_decided import decision, hear
from tests.unit.escalation.test_door import FOUND, OTHER, POLICY
from tests.unit.escalation.test_service import House

PROTOCOLS = sorted(BATCHES)
BATCHED = POLICY.replace('"own"', '"anthropic"').replace(
    "[tenants.strict]", 'batch = "backlog"\n\n[tenants.strict]'
)


class Late(House):
    """A house whose requests all come too late to be asked one by one."""

    def __post_init__(self) -> None:
        super().__post_init__()
        policy = self.folder / "policy.toml"
        policy.write_text(BATCHED.format(url=self.stand_in.url, day="1", mask=""))
        self.door = next(
            job for job in (make(None) for make in self.service.jobs) if job.name == "batches"
        ).door  # type: ignore[attr-defined]
        self.door.policies = read_policies(policy)
        self.door.oldest = timedelta(days=-1)  # its clock stands still while ours goes on
        self.now: datetime = self.door.clock()
        self.door.clock = lambda: self.now
        self.door.ledger.clock = self.door.clock

    def rounds(self) -> BatchRounds:
        """The job of a process."""
        return BatchRounds(self.service.store, self.service.blobs, self.door, 300.0)

    def round(self, rounds: BatchRounds | None = None) -> None:
        """A round, five minutes after the last."""
        self.now += timedelta(minutes=5)
        (rounds or self.rounds()).work(threading.Event())

    def answers(self) -> dict[str, Any]:
        """What was answered, by result."""
        return {one.result_id: one for one in self.say()}

    def states(self) -> list[str]:
        """Of the calls; the sums are held against them."""
        with self.service.store.read() as session:
            assert disagreements(session) == []
        return [row.state for row in self.rows(ledger)]


@pytest.fixture
def late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Late]:
    """With a stand-in that makes no mistakes of its own."""
    monkeypatch.setenv("TEST_FRONTIER_KEY", "k")
    labels = Labels([("Governing Law", FOUND), ("Governing Law", OTHER)])
    with StandIn(labels) as stand_in:
        made = Late(tmp_path, stand_in)
        yield made
        made.service.close()


def test_what_is_late_goes_with_a_batch(late: Late) -> None:
    """All that waits in one batch, at half the price; each answer comes when it is there."""
    assert late.say(late.request(1), late.request(2)) == []
    assert {row.state for row in late.rows(escalations)} == {"waiting"}
    assert late.stand_in.said == []
    late.round()
    assert late.states() == ["reserved", "reserved"]
    assert late.answers() == {}
    late.round()
    answers = late.answers()
    assert set(answers) == {"cl_1", "cl_2"}
    proposal = Proposal.model_validate_json(late.originals.get("default", answers["cl_1"].answer))
    assert [quote.text for quote in proposal.quotes] == [FOUND]
    assert late.states() == ["settled", "settled"]
    (batch,) = late.rows(batches)
    assert (batch.state, batch.requests) == ("ended", 2)
    bills = [bill.input * 3 + bill.output * 15 for bill in late.stand_in.bills]
    spent = sum(row.micro_usd for row in late.rows(ledger))
    assert sum(bills) / 2 <= spent <= sum(bills) / 2 + len(bills)
    assert late.rows(backlog) == []


def test_without_the_policy_nothing_waits(late: Late) -> None:
    """A person has it, as before."""
    default = replace(late.door.policies.of("default"), batch="never")
    late.door.policies = Policies({"default": default})
    (answer,) = late.say(late.request())
    assert answer.reason == TooLate.message
    assert late.rows(backlog) == []


def test_a_remembered_answer_does_not_wait(late: Late) -> None:
    """It costs nothing, however late it is."""
    late.say(late.request(1))
    late.round()
    late.round()
    late.say()
    again = late.request(1, result_id="cl_9")
    (answer,) = late.say(again)
    assert answer.answer
    assert len(late.stand_in.bills) == 1


@pytest.mark.parametrize("fault", ["hang", "fail", "drop", "break_json", "decline"])
def test_what_a_batch_does_not_answer_goes_to_a_person(late: Late, fault: Any) -> None:
    """It is not handed in twice, and nothing is repaired."""
    late.faults = [fault]
    late.say(late.request())
    late.round()
    late.round()
    (answer,) = late.answers().values()
    assert answer.answer is None
    said = {"break_json": "too late to ask again", "decline": "declined"}.get(fault, NO_ANSWER)
    assert said in answer.reason
    assert late.rows(backlog) == []
    late.round()
    assert len(late.rows(batches)) == 1


def test_a_batch_that_never_ends_holds_up_nobody(late: Late) -> None:
    """After a day and two hours a person is asked, and what it may have cost counts in full."""
    late.stand_in.batches.faults = frozenset({"never"})
    late.say(late.request())
    late.round()
    late.round()
    assert late.answers() == {}
    late.now += timedelta(hours=26)
    late.round()
    (answer,) = late.answers().values()
    assert answer.reason == NO_ANSWER
    assert late.states() == ["assumed"]


def speaking(late: Late, protocol: Any) -> None:
    """Let the provider speak another protocol, or ask none at all."""
    default = late.door.policies.of("default")
    spoken = replace(default.providers[0], protocol=protocol)
    late.door.policies = Policies({"default": replace(default, providers=(spoken,))})


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("how", ["stuck", "never", "stopped", "expired", "deleted"])
def test_a_batch_that_is_given_up_leaves_nothing_open(late: Late, protocol: Any, how: str) -> None:
    """Each question ends: by its answer where there is one, else with a person. The worst case
    counts only where the provider has not said that nothing is billed.
    """
    speaking(late, protocol)
    desk = late.stand_in.batches
    desk.faults = frozenset({"stuck"} if how == "stuck" else {"never"} if how == "never" else set())
    desk.looks = 2
    late.say(late.request(1), late.request(2))
    late.round()
    (held,) = desk.held.values()
    if how == "stopped":  # by somebody with the provider's own pages
        held.stopped = True
    elif how == "expired":
        late.faults = ["hang", "hang"]
    elif how == "deleted":
        desk.held.clear()
    late.round()
    for hours in (9, 9, 7, 0, 2):  # the third is in the last hour, the last one beyond it
        late.now += timedelta(hours=hours)
        late.round()
    answers = late.answers()
    assert set(answers) == {"cl_1", "cl_2"}
    there = sorted(bool(one.answer) for one in answers.values())
    assert there == ([False, True] if how == "stuck" else [False, False])
    assert {one.reason for one in answers.values() if not one.answer} == {NO_ANSWER}
    unknown = how in ("never", "deleted")
    released = ["released", "settled" if how == "stuck" else "released"]
    assert sorted(late.states()) == (["assumed"] * 2 if unknown else released)
    assert [row.state for row in late.rows(batches)] == ["lost" if unknown else "ended"]
    assert late.rows(backlog) == []


def test_a_batch_is_stopped_while_there_is_time_to_fetch_what_it_has(late: Late) -> None:
    """An hour before it is over, and once."""
    late.stand_in.batches.faults = frozenset({"stuck"})
    late.say(late.request(1), late.request(2))
    late.round()
    (held,) = late.stand_in.batches.held.values()
    late.now += timedelta(hours=24, minutes=50)
    late.round()
    assert not held.stopped
    late.round()
    late.round()
    assert held.stopped
    late.round()
    assert sorted(late.states()) == ["released", "settled"]
    assert sum(bool(one.answer) for one in late.answers().values()) == 1


@pytest.mark.parametrize("gone", ["tenant", "batch"])
def test_answers_of_who_is_asked_no_more_are_fetched(late: Late, gone: str) -> None:
    """The provider is in the file still, though no tenant hands in to it any more."""
    late.say(late.request(1), late.request(2))
    late.round()
    default = late.door.policies.of("default")
    left = replace(default, batch="never") if gone == "batch" else replace(default, providers=())
    late.door.policies = replace(late.door.policies, tenants={"default": left})
    late.round()
    assert late.states() == ["settled", "settled"]
    assert [row.state for row in late.rows(batches)] == ["ended"]
    answers = late.answers()
    assert set(answers) == {"cl_1", "cl_2"}
    assert {bool(one.answer) for one in answers.values()} == {gone == "batch"}
    assert gone == "batch" or {one.reason for one in answers.values()} == {NO_PROVIDER}
    assert late.rows(backlog) == []


@pytest.mark.parametrize("gone", ["provider", "key"])
def test_who_can_t_be_asked_any_more_holds_up_nobody(
    late: Late, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, gone: str
) -> None:
    """The log says so in each round; after a day and two hours a person is asked, and what the
    batch may have cost counts in full. One that comes back before is asked.
    """
    late.say(late.request(1), late.request(2))
    late.round()
    before = late.door.policies
    if gone == "key":
        monkeypatch.delenv("TEST_FRONTIER_KEY")
    else:
        late.door.policies = Policies()
    late.round()
    assert late.answers() == {}
    (said,) = [r for r in caplog.records if r.message == "a batch is looked at later"]
    word = "TEST_FRONTIER_KEY" if gone == "key" else "stand-in is gone from the policy"
    assert word in said.__dict__["reason"]
    late.now += timedelta(hours=27)
    late.door.ledger.recover()
    assert late.states() == ["reserved", "reserved"], "its batch ends them"
    late.door.policies = Policies() if gone == "provider" else before
    late.round()
    assert late.states() == ["assumed", "assumed"]
    assert [row.state for row in late.rows(batches)] == ["lost"]
    assert "a batch is given up" in caplog.text
    answers = late.answers()
    assert set(answers) == {"cl_1", "cl_2"}
    assert not any(one.answer for one in answers.values())
    assert late.rows(backlog) == []


def test_what_was_not_billed_is_free_again_however_late_that_is_heard(late: Late) -> None:
    """All processes were down for two days; calls without an end are counted before the batch is
    looked at.
    """
    late.faults = ["hang"]
    late.say(late.request(1), late.request(2))
    late.round()
    late.now += timedelta(hours=48)
    late.door.ledger.recover()
    late.round()
    assert sorted(late.states()) == ["released", "settled"]
    assert sum(bool(one.answer) for one in late.answers().values()) == 1


def test_who_takes_no_batches_any_more_holds_up_nobody(late: Late) -> None:
    """The provider went out of the policy while it had one."""
    late.stand_in.batches.faults = frozenset({"never"})
    late.say(late.request(1), late.request(2))
    late.round()
    default = replace(late.door.policies.of("default"), batch="never")
    late.door.policies = Policies({"default": default})
    late.say(late.request(3))
    late.now += timedelta(hours=27)
    late.round()
    assert {one.reason for one in late.answers().values()} == {NO_ANSWER}
    with late.service.store.write() as session:
        Backlog(session).keep(late.request(4), late.now)
    late.round()
    assert late.rows(backlog) == []


def test_who_may_not_see_a_document_gets_it_in_no_batch(late: Late) -> None:
    """Words of its kind may leave for a provider inside the house alone, which takes none."""
    takes = late.door.policies.of("default").providers[0]
    inside = replace(takes, name="stand-in-inside", protocol="own", inside=True)
    mixed = replace(late.door.policies.of("default"), providers=(inside, takes), leaves=frozenset())
    late.door.policies = Policies({"default": mixed})
    (answer,) = late.say(late.request())
    assert answer.reason == TooLate.message
    late.round()
    assert late.rows(batches) == late.rows(backlog) == []
    assert mixed.batch_provider("contract") is None
    open_ = replace(mixed, leaves=frozenset({"contract"}))
    assert open_.batch_provider("contract") == takes
    assert open_.batch_provider("contract", "report") is None


def test_a_spent_budget_sends_it_to_a_person(late: Late) -> None:
    """With the reason, when it has waited for money as long as a call would."""
    default = replace(late.door.policies.of("default"), day_micro_usd=10)
    late.door.policies = Policies({"default": default})
    late.say(late.request())
    late.round()
    assert late.answers() == {}
    late.now += timedelta(minutes=10)
    late.round()
    (answer,) = late.answers().values()
    assert "budget" in answer.reason
    assert late.states() == []


def test_a_provider_that_is_away_is_tried_for_a_while(late: Late) -> None:
    """Until the patience is over, as with a call; whoever came later waits longer."""
    provider = replace(late.door.policies.of("default").providers[0], origin="http://127.0.0.1:1")
    away = replace(late.door.policies.of("default"), providers=(provider,))
    late.door.policies = Policies({"default": away})
    late.say(late.request(1))
    late.round()
    assert late.answers() == {}
    late.now += timedelta(minutes=10)
    late.say(late.request(2))
    late.round()
    answers = late.answers()
    assert set(answers) == {"cl_1"}
    assert "can't be reached" in answers["cl_1"].reason
    assert len(late.rows(backlog)) == 1


def test_what_was_asked_too_often_is_not_handed_in(late: Late) -> None:
    """It has had all of its calls; the others go."""
    request = late.request(1)
    for number in range(4):
        one = call(number, 3, time=late.now, until=late.now, escalation_id=f"es_{request.id}")
        late.door.ledger.reserve(one, Caps(10_000, 10_000))
        late.door.ledger.assume(one.id)
    late.say(request, late.request(2))
    late.round()
    answers = late.answers()
    assert set(answers) == {"cl_1"}
    assert "without a usable answer" in answers["cl_1"].reason
    late.round()
    assert late.answers()["cl_2"].answer


def test_what_is_deleted_meanwhile_leaves_nothing(late: Late) -> None:
    """Neither what waits nor what comes back; a cancelled one is ended without a word."""
    late.say(late.request(1), late.request(2), late.request(3))
    late.say(DocumentDeleted(document_id="doc_3"))
    assert sorted(row.document_id for row in late.rows(backlog)) == ["doc_1", "doc_2"]
    late.round()
    mark_deleted(late.originals, "default", "doc_1")
    mark_cancelled(late.originals, "default", "doc_2", 1)
    late.round()
    assert late.answers() == {}
    assert {row.document_id for row in late.rows(exchanges)} == {"doc_2"}
    assert {row.document_id for row in late.rows(escalations)} == {"doc_2"}
    assert late.rows(backlog) == []


def test_what_is_deleted_while_others_are_reserved_does_not_leave(
    late: Late, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its money is free again, and the batch goes without it."""
    reserve = Ledger.reserve

    def meanwhile(self: Ledger, *args: Any, **more: Any) -> None:
        reserve(self, *args, **more)
        mark_deleted(late.originals, "default", "doc_1")

    monkeypatch.setattr(Ledger, "reserve", meanwhile)
    late.say(late.request(1), late.request(2))
    late.round()
    (batch,) = late.rows(batches)
    assert batch.requests == 1
    assert sorted(late.states()) == ["released", "reserved"]
    (held,) = late.stand_in.batches.held.values()
    assert len(held.requests) == 1
    late.round()
    assert set(late.answers()) == {"cl_2"}
    assert late.rows(backlog) == []


def test_a_lost_batch_leaves_no_words_of_what_is_deleted(
    late: Late, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some of its answers had come, and their document went meanwhile."""
    lines = Provider.lines

    def breaking_off(self: Provider, remote: Any) -> Iterator[Any]:
        yield next(lines(self, remote))
        raise Lost("it broke off")

    monkeypatch.setattr(Provider, "lines", breaking_off)
    late.say(late.request(1), late.request(2))
    late.round()
    mark_deleted(late.originals, "default", "doc_1")
    mark_deleted(late.originals, "default", "doc_2")
    late.round()
    assert len(late.rows(exchanges)) == 1
    late.now += timedelta(hours=27)
    late.round()
    assert [row.state for row in late.rows(batches)] == ["lost"]
    assert late.rows(exchanges) == []
    assert sorted(late.states()) == ["assumed", "settled"]


def test_what_nobody_can_make_sense_of_holds_up_nobody(
    late: Late, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes to a person, and those behind it to the provider."""
    left_to_ask, answer_request = handlers.left_to_ask, handlers.answer_request

    def breaking(whole: Any) -> Any:
        def broken(event: Any, *args: Any) -> Any:
            if event.document_id == "doc_1":
                raise ValueError("a bug")
            return whole(event, *args)

        return broken

    late.say(late.request(1), late.request(2))
    monkeypatch.setattr(handlers, "left_to_ask", breaking(left_to_ask))
    monkeypatch.setattr(handlers, "answer_request", breaking(answer_request))
    several(late)
    answers = late.answers()
    assert answers["cl_1"].answer is None
    assert answers["cl_2"].answer
    assert late.rows(backlog) == []


def test_what_a_person_decides_before_is_not_handed_in(late: Late) -> None:
    """What is handed in is paid, and its answer stands beside the decision."""
    late.say(late.request(1), late.request(2))
    hear(late, decision(1))
    late.round()
    assert len(late.rows(ledger)) == 1
    hear(late, decision(2, document=2))
    late.round()
    answers = late.answers()
    assert answers["cl_1"].reason == DECIDED
    assert answers["cl_2"].answer


def several(late: Late) -> None:
    """As many rounds as a question needs, and one more."""
    for _ in range(3):
        late.round()


class Died(BaseException):
    """The process was killed."""


@pytest.mark.parametrize("step", ["hand_in", "look", "answer_request", "done"])
def test_a_killed_process_loses_nothing_and_pays_nothing_twice(
    late: Late, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Whatever step it dies at, another round goes on."""
    of: Any = {"hand_in": BatchRounds, "answer_request": handlers}.get(step, Backlog)
    name = {"hand_in": "_hand_in"}.get(step, step)
    if step == "look":
        of, name = BatchRounds, "_look"
    whole = getattr(of, name)

    def step_and_die(*args: Any, **more: Any) -> Any:
        whole(*args, **more)
        raise Died

    late.say(late.request(1), late.request(2))
    monkeypatch.setattr(of, name, step_and_die)
    with pytest.raises(Died):
        several(late)
    monkeypatch.undo()
    monkeypatch.setenv("TEST_FRONTIER_KEY", "k")
    several(late)
    answers = late.answers()
    assert set(answers) == {"cl_1", "cl_2"}
    assert all(one.answer for one in answers.values())
    assert len(late.stand_in.bills) == 2
    assert late.states() == ["settled", "settled"]
    assert late.rows(backlog) == []


def test_two_processes_hand_in_once(late: Late) -> None:
    """What one has reserved the other finds on its way."""
    late.say(late.request(1), late.request(2))
    first, second = late.rounds(), late.rounds()
    hand_in = first._hand_in

    def both(provider: Any, rows: Any) -> None:
        hand_in(provider, rows)
        second._hand_in(provider, rows)

    first._hand_in = both  # type: ignore[method-assign]
    late.round(first)
    assert late.states() == ["reserved", "reserved"]
    assert len(late.stand_in.batches.held) == 1
    late.round(second)
    assert len(late.answers()) == 2


def test_what_can_t_be_ended_by_its_answers_is_ended_all_the_same(
    late: Late, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing waits for ever, whatever is wrong with it."""
    late.say(late.request())

    def broken(*_: Any) -> None:
        raise SuiteError("something is wrong")

    late.round()
    monkeypatch.setattr(handlers, "answer_request", broken)
    late.round()
    (answer,) = late.answers().values()
    assert answer.reason == NO_ANSWER
    assert late.rows(backlog) == []


def test_a_request_that_comes_again_is_kept_once(late: Late) -> None:
    """The bus delivers at least once."""
    request = late.request()
    for _ in range(2):
        handlers.answer_request(
            request, UnitOfWork(late.service.store, request), late.service.blobs, late.door
        )
    assert len(late.rows(backlog)) == 1


def test_a_policy_with_batches_needs_somebody_who_takes_them(tmp_path: Path) -> None:
    """The start says so."""
    policy = tmp_path / "policy.toml"
    text = BATCHED.replace('"anthropic"', '"own"').format(
        url="http://127.0.0.1:1", day="1", mask=""
    )
    policy.write_text(text)
    with pytest.raises(SettingsError, match="asks nobody who takes them"):
        read_policies(policy)
