"""Requests that wait for a batch: none is held back by others, none is handed in twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event

from infra.stand_in.protocols import Said
from services.escalation.backlog import rounds as backlog_rounds
from services.escalation.backlog.rounds import NO_ANSWER, BatchRounds
from services.escalation.backlog.store import Backlog, backlog
from services.escalation.batches import Batches
from services.escalation.batches.batches import APPEARS
from services.escalation.batches.store import batches
from services.escalation.handlers import FOR_A_BATCH
from services.escalation.ledger import Caps, Ledger
from services.escalation.policy import Policies
from services.escalation.providers import Provider
from shared.events import DocumentDeleted
from shared.metrics import exposition
from shared.storage import begin_try
from shared.storage.journal import heard
from shared.storage.messages import inbox
from tests.contract.ledger.calls import call
from tests.unit.escalation.test_backlog import PROTOCOLS, Died, Late, late, speaking

__all__ = ["late"]

ENDS = ["answered", "half answered", "expired", "stopped", "missing", "failed"]
STEPS = {"arrived": (Provider, "hand_in"), "noted": (Batches, "hand_in")}
"""Behind which the process dies: the provider has the batch, and that is written down."""
CASES = [
    (protocol, how, step)
    for protocol in PROTOCOLS
    for how in ENDS
    for step in STEPS
    if (protocol, how) != ("anthropic", "failed")
    and (protocol, how, step) != ("anthropic", "missing", "arrived")
]
"""Anthropic refuses a batch before it takes it, or never; one without answers has its own test.
"""


def few(monkeypatch: pytest.MonkeyPatch, many: int = 2) -> None:
    """Let a round look at so many requests."""
    monkeypatch.setattr(backlog_rounds, "ROWS_MOST", many)


def test_what_is_in_open_batches_holds_back_nobody(
    late: Late, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as a round looks at wait for their provider; who came behind them is asked."""
    few(monkeypatch)
    late.stand_in.batches.faults = frozenset({"never"})
    late.say(late.request(1), late.request(2))
    late.round()
    late.stand_in.batches.faults = frozenset()
    late.say(late.request(3))
    late.round()
    assert [row.requests for row in late.rows(batches)] == [2, 1]
    late.round()
    assert set(late.answers()) == {"cl_3"}


def test_what_can_t_be_handed_in_holds_back_no_answer(
    late: Late, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as a round looks at wait for money, longer than what a batch has answered."""
    few(monkeypatch)
    late.say(late.request(1))
    late.round()
    default = replace(late.door.policies.of("default"), day_micro_usd=10)
    late.door.policies = Policies({"default": default})
    late.door.patience = timedelta(days=1)
    late.say(late.request(2), late.request(3))
    with late.service.store.write() as session:
        older = late.now - timedelta(hours=1)
        session.execute(backlog.update().where(backlog.c.document_id != "doc_1").values(kept=older))
    late.round()
    answers = late.answers()
    assert set(answers) == {"cl_1"}
    assert answers["cl_1"].answer
    assert sorted(row.document_id for row in late.rows(backlog)) == ["doc_2", "doc_3"]


def test_each_look_finds_its_requests_by_an_index(late: Late) -> None:
    """On SQLite; `tests/integration/test_plans.py` asks PostgreSQL. The way back has one."""
    store = late.service.store
    asked: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    event.listen(store.engine, "before_cursor_execute", note)
    with store.read() as session:
        waiting = Backlog(session)
        waiting.without(9)
        waiting.batches()
        waiting.with_batch("ba_1", 9)
        first, names, of_one = [one for one in asked if "backlog" in one[0]]
    event.remove(store.engine, "before_cursor_execute", note)

    def plan(statement: str, parameters: Any) -> list[str]:
        with store.read() as session:
            rows = session.connection().exec_driver_sql(
                f"EXPLAIN QUERY PLAN {statement}", parameters
            )
            return [row.detail for row in rows]

    assert plan(*first) == ["SCAN backlog USING INDEX backlog_without"]
    assert plan(*names) == ["SEARCH backlog USING COVERING INDEX backlog_batch (batch>?)"]
    assert plan(*of_one) == ["SEARCH backlog USING INDEX backlog_batch (batch=?)"]
    store.migrate("0011")
    assert plan(*first)[0] == "SCAN backlog USING INDEX backlog_oldest"
    store.migrate()
    assert plan(*first) == ["SCAN backlog USING INDEX backlog_without"]


def age(late: Late) -> float:
    """How old the oldest event is that somebody should worry about."""
    late.relay._measure_at = 0.0
    late.relay.measure()
    lines = exposition().decode().splitlines()
    name = 'smallprint_queue_age_seconds{service="escalation"} '
    (line,) = [line for line in lines if line.startswith(name)]
    return float(line.removeprefix(name))


def begun(late: Late, hours: float) -> None:
    """Let requests have come so long ago."""
    since = datetime.now(UTC) - timedelta(hours=hours)
    with late.service.store.write() as session:
        session.execute(inbox.update().values(first_seen=since))


def test_what_waits_for_its_batch_is_no_old_event(late: Late) -> None:
    """Nobody is woken for it; `smallprint status` says why it waits, and until when at most."""
    late.stand_in.batches.faults = frozenset({"never"})
    request = late.request()
    late.say(request)
    begun(late, hours=20)
    assert age(late) == 0
    late.round()
    assert age(late) == 0
    (stands,) = heard(late.service.store, request.key)
    assert (stands.standing, stands.error, stands.worker) == ("retrying", FOR_A_BATCH, "")
    assert stands.next_try
    assert timedelta(hours=28) < stands.next_try - datetime.now(UTC) < timedelta(hours=55)
    late.now += timedelta(hours=27)
    late.round()
    assert late.answers()["cl_1"].reason == NO_ANSWER
    (stands,) = heard(late.service.store, request.key)
    assert (stands.standing, stands.error) == ("done", None)


def test_what_waits_longer_than_a_batch_may_is_an_old_event(late: Late) -> None:
    """Nobody looks after it, it seems."""
    late.say(late.request())
    begun(late, hours=40)
    with late.service.store.write() as session:
        session.execute(inbox.update().values(next_try=datetime.now(UTC) - timedelta(hours=9)))
    assert age(late) > 39 * 3600


def test_a_deletion_ends_what_waits_for_its_batch(late: Late) -> None:
    """Nothing of it is left to be tried again, however often the bus delivers it."""
    first, second = late.request(1), late.request(2)
    late.say(first, second)
    late.round()
    late.say(DocumentDeleted(document_id="doc_1"))
    begun(late, hours=40)
    with late.service.store.write() as session:
        session.execute(
            inbox.update()
            .values(next_try=datetime.now(UTC) - timedelta(hours=9))
            .where(inbox.c.event_id == first.id)
        )
    assert age(late) == 0
    assert begin_try(late.service.store, first) is None
    assert [one.standing for one in heard(late.service.store, second.key)] == ["retrying"]
    late.round()
    assert set(late.answers()) == {"cl_2"}


def end(late: Late, how: str) -> None:
    """How the next batch ends."""
    faults: dict[str, list[Any]] = {
        "half answered": ["hang"],
        "expired": ["hang"] * 2,
        "missing": ["drop"] * 2,
    }
    late.faults = faults.get(how, [])
    desk = late.stand_in.batches
    desk.faults = frozenset({"failed"} if how == "failed" else set())
    desk.looks = 3 if how == "stopped" else 1


def die_in(monkeypatch: pytest.MonkeyPatch, of: Any, name: str) -> None:
    """Die behind a step."""
    whole = getattr(of, name)

    def step(*args: Any, **more: Any) -> Any:
        whole(*args, **more)
        raise Died

    monkeypatch.setattr(of, name, step)


def killed(late: Late, monkeypatch: pytest.MonkeyPatch, of: Any, name: str) -> None:
    """A round in which the process dies behind a step."""
    with monkeypatch.context() as dying:
        die_in(dying, of, name)
        with pytest.raises(Died):
            late.round()


@pytest.mark.parametrize(("protocol", "how", "step"), CASES)
def test_a_batch_that_ended_while_nobody_was_there_is_no_reason_to_ask_again(
    late: Late, monkeypatch: pytest.MonkeyPatch, protocol: Any, how: str, step: str
) -> None:
    """The process died when it had handed in and not noted it. What was answered is used and paid;
    what was not goes to a person, and nothing stays reserved.
    """
    speaking(late, protocol)
    end(late, how)
    asked: list[Said] = []
    choose = late.stand_in.choose
    late.stand_in.choose = lambda said: asked.append(said) or choose(said)  # type: ignore[func-returns-value]
    late.say(late.request(1), late.request(2))
    killed(late, monkeypatch, *STEPS[step])
    if how == "stopped":  # by somebody with the provider's own pages
        for held in late.stand_in.batches.held.values():
            held.stopped = True
    for _ in range(4):
        late.round()
    answers = late.answers()
    assert set(answers) == {"cl_1", "cl_2"}
    there = {"answered": 2, "half answered": 1}.get(how, 0)
    assert sum(bool(one.answer) for one in answers.values()) == there
    assert {one.reason for one in answers.values() if not one.answer} <= {NO_ANSWER}
    assert len(asked) == (0 if how in ("stopped", "failed") else 2)
    (batch,) = late.rows(batches)
    assert (batch.state, batch.requests) == ("refused" if how == "failed" else "ended", 2)
    left = "assumed" if how == "missing" else "released"  # nobody said that it is not billed
    assert sorted(late.states()) == sorted(["settled"] * there + [left] * (2 - there))
    assert len(late.stand_in.bills) == (2 if how == "missing" else there)
    assert late.rows(backlog) == []


def test_a_batch_that_may_be_ours_and_says_nothing_counts_in_full(
    late: Late, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its provider has no place for a mark, and it has no answers to be known by: it is not taken
    for one that never arrived.
    """
    speaking(late, "anthropic")
    end(late, "missing")
    late.say(late.request(1), late.request(2))
    killed(late, monkeypatch, *STEPS["arrived"])
    late.now += APPEARS
    late.round()
    assert late.states() == ["reserved", "reserved"]
    late.now += timedelta(hours=26)
    late.round()
    assert {one.reason for one in late.answers().values()} == {NO_ANSWER}
    assert late.states() == ["assumed", "assumed"]
    assert [row.state for row in late.rows(batches)] == ["lost"]
    assert len(late.stand_in.bills) == 2
    assert late.rows(backlog) == []


def test_what_never_left_is_handed_in_when_that_is_known(
    late: Late, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process died while it reserved: half an hour later nothing is set aside any more, and
    all of it goes with another batch.
    """
    late.say(late.request(1), late.request(2))
    killed(late, monkeypatch, Ledger, "reserve")
    late.round()
    assert late.answers() == {}
    late.now += APPEARS
    late.round()
    late.round()
    answers = late.answers()
    assert set(answers) == {"cl_1", "cl_2"}
    assert all(one.answer for one in answers.values())
    assert "reserved" not in late.states()
    assert len(late.stand_in.bills) == 2
    assert late.rows(backlog) == []


def test_what_was_noted_and_never_left_is_handed_in_too(
    late: Late, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process died when a request was noted, before anything left the house."""
    late.say(late.request(1), late.request(2))
    killed(late, monkeypatch, BatchRounds, "_goes")
    (batch,) = late.rows(batches)
    assert sorted(row.batch or "" for row in late.rows(backlog)) == ["", batch.id]
    late.now += APPEARS
    late.round()
    late.round()
    answers = late.answers()
    assert set(answers) == {"cl_1", "cl_2"}
    assert all(one.answer for one in answers.values())
    assert sorted(late.states()) == ["released", "released", "settled", "settled"]
    assert late.rows(backlog) == []


def test_who_is_slow_hands_in_nothing_that_another_has(late: Late) -> None:
    """It read what waits before the other handed that in, and goes on when that batch is over."""
    late.faults = ["hang", "hang"]
    late.say(late.request(1), late.request(2))
    first, second = late.rounds(), late.rounds()
    kept: list[Any] = []
    hand_in = first._hand_in

    def remembered(provider: Any, rows: Any) -> None:
        kept.append((provider, rows))
        hand_in(provider, rows)

    first._hand_in = remembered  # type: ignore[method-assign]
    late.round(first)
    second.batches.look(kept[0][0], second.batches.open()[0])
    second._hand_in(*kept[0])
    assert late.states() == ["released"] * 4
    late.round()
    assert {one.reason for one in late.answers().values()} == {NO_ANSWER}
    second._hand_in(*kept[0])
    assert late.states() == ["released"] * 6
    assert late.answers() == {}
    assert late.stand_in.bills == []
    assert [row.requests for row in late.rows(batches)] == [2, 0, 0]


def test_a_batch_that_broke_off_and_never_arrived_leaves_it_to_people(late: Late) -> None:
    """What is known half an hour later is too late for another try, as with a call."""
    late.stand_in.batches.faults = frozenset({"vanish"})
    late.say(late.request())
    late.round()
    late.now += APPEARS
    late.round()
    (answer,) = late.answers().values()
    assert "it never arrived" in answer.reason
    assert late.states() == ["released"]
    assert late.rows(backlog) == []


def test_a_provider_that_refuses_is_asked_again_for_a_while(late: Late) -> None:
    """What it refused was noted before it left, and waits on without a batch."""
    default = late.door.policies.of("default")
    there = late.door.policies
    closed = replace(default.providers[0], origin=f"{late.stand_in.url}/elsewhere")
    late.door.policies = Policies({"default": replace(default, providers=(closed,))})
    late.say(late.request())
    late.round()
    assert [row.batch for row in late.rows(backlog)] == [None]
    late.door.policies = there
    late.round()
    late.round()
    (answer,) = late.answers().values()
    assert answer.answer
    assert late.states() == ["released", "settled"]


def test_a_slow_process_leaves_nothing_reserved_that_was_given_up(
    late: Late, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was taken for dead between two questions, and reserves nothing for the second."""
    late.say(late.request(1), late.request(2))
    reserve = Ledger.reserve
    looked: list[str] = []

    def slow(self: Ledger, *args: Any, **more: Any) -> None:
        reserve(self, *args, **more)
        if not looked:
            late.now += APPEARS + timedelta(minutes=1)
            other = late.rounds().batches
            (batch,) = other.open()
            looked.append(other.look(None, batch).state)

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "reserve", slow)
        late.round()
    assert looked == ["refused"]
    assert late.states() == ["released"]
    assert {row.batch for row in late.rows(backlog)} == {None}
    late.round()
    late.round()
    assert all(one.answer for one in late.answers().values())
    assert len(late.stand_in.bills) == 2


def test_what_an_earlier_version_left_reserved_is_freed(
    late: Late, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process reserved for a batch that was given up, and was killed: a round ends that."""
    late.say(late.request())
    killed(late, monkeypatch, Ledger, "reserve")
    late.now += APPEARS
    late.round()
    gone = next(row for row in late.rows(batches) if row.state == "refused")
    late.door.ledger.reserve(call(7, 100, batch=gone.id), Caps(10**9, 10**9))
    assert late.states().count("reserved") == 2, "that, and what went with another batch"
    late.round()
    assert sorted(late.states()) == ["released", "released", "settled"]
