"""Questions that are handed in as a batch: half the price, nothing lost, nothing billed unseen."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from infra.stand_in import Fault, Labels, StandIn
from infra.stand_in.batches import BatchFault
from services.escalation.batches import Batches
from services.escalation.batches.batches import APPEARS, GRACE
from services.escalation.batches.store import batches
from services.escalation.comparing import Answered, Asked, BatchReader, Left, Unread, open_ledger
from services.escalation.ledger import Ledger
from services.escalation.ledger.store import disagreements, exchanges, ledger
from services.escalation.providers import Provider, ProviderError, Unusable
from services.escalation.providers.batches import HOURS
from services.escalation.providers.post import Post
from services.escalation.providers.provider import BATCHES, DIALECTS
from shared.prices import Price
from tests.contract.ledger.calls import Clock
from tests.unit.escalation.shapes import BATCH_LINES, BATCH_OBJECTS

LAW = "This Agreement is governed by the laws of Delaware."
TERM = "It lasts for two years."
TEXTS = [f"{n}. Term. {TERM}\n{n}. Law. {LAW}\nAcme {n} pays US$ {n}00 a year." for n in range(6)]
CATEGORIES = {"Governing Law": "Whose law?", "Renewal Term": "What follows?", "Insurance": "Any?"}
PRICE = Price(Decimal(3), Decimal(15), "2026-01-31")
POST = Post()
PROTOCOLS = sorted(BATCHES)


class Died(BaseException):
    """The process was killed."""


@dataclass
class Desk:
    """A stand-in that takes batches, and readers that share a ledger and a clock."""

    stand_in: StandIn
    ledger: Ledger
    clock: Clock
    protocol: Any
    told: list[str] = field(default_factory=list)
    looks: list[Callable[[], None]] = field(default_factory=list)
    """What happens at each of the next pauses."""

    def provider(self, **changed: Any) -> Provider:
        """The stand-in, as a provider."""
        values: dict[str, Any] = {
            "name": "stand-in",
            "protocol": self.protocol,
            "model": "stand-in",
            "origin": self.stand_in.url,
            "price": PRICE,
            "key": str,
            "seconds": 5.0,
            "most": 500,
            "post": POST,
            **changed,
        }
        return Provider(**values)

    def reader(self, budget: float = 10.0, **changed: Any) -> BatchReader:
        """One that has so many dollars, and lets the clock run instead of waiting."""
        return BatchReader(
            self.provider(**changed),
            self.ledger,
            int(budget * 1_000_000),
            Asked(CATEGORIES),
            every=600.0,
            tell=self.told.append,
            sleep=self.pause,
        )

    def pause(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.move(seconds=seconds)
        if self.looks:
            self.looks.pop(0)()

    def read(self, texts: list[str] = TEXTS, **changed: Any) -> list[Answered | Unread]:
        """Read documents by a new reader."""
        return list(self.reader(**changed).read_all(texts))

    def rows(self, table: Any) -> list[Any]:
        """All rows of a table; the sums are held against the ledger."""
        with self.ledger.database.read() as session:
            assert disagreements(session) == []
            return list(session.execute(table.select()).all())

    def states(self) -> list[str]:
        """Of the batches, in their order."""
        return [row.state for row in sorted(self.rows(batches), key=lambda row: row.made)]

    def spent(self) -> int:
        """What counts, in millionths of a dollar."""
        return sum(row.micro_usd for row in self.rows(ledger))

    def billed(self) -> int:
        """What the stand-in has in its own books, at half the price, rounded up call by call."""
        return sum(math.ceil((b.input * 3 + b.output * 15) / 2) for b in self.stand_in.bills)

    def at_work(self, *faults: BatchFault) -> None:
        """How the batches misbehave that are handed in from now on."""
        self.stand_in.batches.faults = frozenset(faults)

    def faults(self, *faults: Fault) -> None:
        """What happens to the next questions."""
        left = list(faults)
        self.stand_in.choose = lambda _said: left.pop(0) if left else "none"


@pytest.fixture(params=PROTOCOLS)
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    """One for each protocol."""
    labels = Labels([("Governing Law", LAW), ("Renewal Term", TERM)])
    with ExitStack() as stack:
        stand_in = stack.enter_context(StandIn(labels))
        clock = Clock(datetime.now(UTC))
        book = stack.enter_context(open_ledger(tmp_path))
        book.clock = clock
        yield Desk(stand_in, book, clock, request.param)


def found(answers: list[Answered | Unread]) -> list[list[str]]:
    """What was quoted in each document."""
    assert all(isinstance(one, Answered) for one in answers), answers
    return [
        [one.text for one in answer.found] for answer in answers if isinstance(answer, Answered)
    ]


def test_documents_are_read_at_half_the_price(desk: Desk) -> None:
    """One batch for all of them; the answers are verified as others, and the words at the provider
    are deleted when they are here.
    """
    assert found(desk.read()) == [[LAW, TERM]] * len(TEXTS)
    assert desk.states() == ["ended"]
    assert desk.spent() == desk.billed() > 0
    assert len(desk.stand_in.bills) == len(TEXTS)
    held = desk.stand_in.batches
    assert held.files == {}
    assert desk.protocol == "openai" or held.held == {}
    assert held.deleted
    again = desk.reader()
    assert found(list(again.read_all(TEXTS))) == [[LAW, TERM]] * len(TEXTS)
    assert (len(desk.stand_in.bills), again.handed_in) == (len(TEXTS), 0)
    assert any("may be stopped" in line for line in desk.told)


def test_the_same_words_are_handed_in_once(desk: Desk) -> None:
    """Of two documents with the same text, and of two with the same window."""
    answers = desk.read([TEXTS[0], TEXTS[1], TEXTS[0]])
    assert found(answers) == [[LAW, TERM]] * 3
    assert len(desk.stand_in.bills) == 2


def test_what_was_asked_one_by_one_is_not_handed_in(desk: Desk) -> None:
    """The answers are the same whichever way they came."""
    desk.read(TEXTS[:2])
    row = desk.rows(exchanges)[0]
    assert json.loads(row.reply["text"])["clauses"]


def test_what_can_t_be_used_is_handed_in_again(desk: Desk) -> None:
    """A repair for what is not by the schema, halves for what was cut off, in a second batch."""
    desk.faults("break_json", "cut")
    assert found(desk.read(TEXTS[:3])) == [[LAW, TERM]] * 3
    assert desk.states() == ["ended", "ended"]
    turns = sorted(len(bill.turns) for bill in desk.stand_in.bills)
    assert turns == [1] * 5 + [3]  # three, two halves, and one repair
    assert desk.spent() == desk.billed()


@pytest.mark.parametrize("fault", ["fail", "busy", "hang"])
def test_what_failed_or_expired_costs_nothing_and_is_handed_in_again(
    desk: Desk, fault: Fault
) -> None:
    """Its reservation is free at once."""
    desk.faults(fault, fault)
    assert found(desk.read()) == [[LAW, TERM]] * len(TEXTS)
    assert desk.states() == ["ended", "ended"]
    assert sorted(row.state for row in desk.rows(ledger)) == ["released"] * 2 + ["settled"] * 6
    assert desk.spent() == desk.billed()


def test_when_nothing_is_answered_it_ends(desk: Desk) -> None:
    """And does not hand in for ever."""
    desk.stand_in.choose = lambda _said: "hang"
    answers = desk.read()
    assert all(isinstance(one, Left) for one in answers)
    assert "without a single answer" in str(answers[0])
    assert (desk.states(), desk.spent()) == (["ended"], 0)


def test_what_is_missing_or_has_no_bill_counts_in_full(desk: Desk) -> None:
    """Nobody knows what it cost; what is missing is asked once more."""
    desk.faults("drop", "no_bill")
    assert found(desk.read(TEXTS[:3])) == [[LAW, TERM]] * 3
    states = [row.state for row in desk.rows(ledger)]
    assert sorted(states) == ["assumed", "assumed", "settled", "settled"]
    full = [r for r in desk.rows(ledger) if r.state == "assumed"]
    assert all(row.micro_usd == row.reserved_micro_usd for row in full)
    assert desk.spent() > desk.billed()


def test_what_came_twice_or_was_not_asked_does_not_count(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """The first answer is settled; lines that are no answers are passed over."""
    desk.at_work("twice", "foreign", "broken")
    desk.stand_in.batches.looks = 3
    assert found(desk.read()) == [[LAW, TERM]] * len(TEXTS)
    assert [row.state for row in desk.rows(ledger)] == ["settled"] * len(TEXTS)
    assert len(desk.rows(exchanges)) == len(TEXTS)
    assert "answers to what was not asked" in caplog.text


def test_a_batch_that_never_ends_is_given_up(desk: Desk) -> None:
    """After a day and two hours: it is stopped, and what it may have cost counts in full."""
    desk.at_work("never")
    answers = desk.read(TEXTS[:2])
    assert all(isinstance(one, Left) for one in answers)
    assert "was not done in its time" in str(answers[0])
    assert desk.states() == ["lost"]
    (row,) = desk.rows(batches)
    assert desk.clock() - row.made <= HOURS + GRACE + timedelta(minutes=20)
    assert [r.state for r in desk.rows(ledger)] == ["assumed"] * 2
    (held,) = desk.stand_in.batches.held.values()
    assert held.stopped
    assert desk.stand_in.batches.files == {}, "what it asked does not stay where it can be deleted"


@pytest.mark.parametrize("desk", ["openai"], indirect=True)
def test_a_batch_that_is_refused_as_a_whole_costs_nothing(desk: Desk) -> None:
    """It says so, and nothing is handed in again. Anthropic's refuses before it takes a batch."""
    desk.at_work("failed")
    answers = desk.read()
    assert "refused it as a whole" in str(answers[0])
    assert (desk.states(), desk.spent(), desk.stand_in.bills) == (["refused"], 0, [])


@pytest.mark.parametrize("faults", [("drop",), ("drop", "late"), ("gateway",)])
def test_a_batch_that_arrived_though_nobody_said_so_is_found(
    desk: Desk, faults: tuple[BatchFault, ...]
) -> None:
    """By its mark, or by the ids of its answers, beside the batch of somebody else that is as long;
    it is not handed in twice.
    """
    other = desk.provider().at_batch_price()
    strange = {f"other-{n}": _prompt(desk, n) for n in range(len(TEXTS))}
    other.hand_in(strange, "another")
    desk.stand_in.batches.looks = 2
    desk.at_work(*faults)

    def appear() -> None:
        for held in desk.stand_in.batches.held.values():
            held.faults = frozenset()

    desk.looks = [appear]
    assert found(desk.read()) == [[LAW, TERM]] * len(TEXTS)
    assert desk.states() == ["ended"]
    assert len(desk.stand_in.bills) == 2 * len(TEXTS)
    assert desk.spent() * 2 == desk.billed()
    assert len(desk.rows(exchanges)) == len(TEXTS)
    assert any("looked for in the provider's list" in line for line in desk.told)


def _prompt(desk: Desk, number: int) -> Any:
    reader = desk.reader()
    list(reader._questions([TEXTS[number]]))
    return reader._to_ask[0][1]


def test_a_batch_that_never_arrived_is_handed_in_once_more(desk: Desk) -> None:
    """When it is sure: half an hour later, and nothing was billed."""
    desk.at_work("vanish")
    began = desk.clock()

    def mend() -> None:
        desk.at_work()

    desk.looks = [mend]
    assert found(desk.read()) == [[LAW, TERM]] * len(TEXTS)
    assert desk.states() == ["refused", "ended"]
    assert desk.clock() - began > APPEARS
    assert desk.spent() == desk.billed()
    assert len(desk.stand_in.bills) == len(TEXTS)


@pytest.mark.parametrize(
    "step", ["reserve", "hand_in", "handed in", "look", "settle", "forget", "ended"]
)
def test_a_killed_process_loses_nothing_and_pays_nothing_twice(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Whatever step it dies at: the same command goes on, and every bill is in the ledger."""
    if step in ("hand_in", "look", "forget"):
        _die_in(monkeypatch, Provider, step)
    elif step in ("reserve", "settle"):
        _die_in(monkeypatch, Ledger, step, after=2)
    else:
        _die_at_state(monkeypatch, step)
    with pytest.raises(Died):
        desk.read()
    monkeypatch.undo()
    assert found(desk.read()) == [[LAW, TERM]] * len(TEXTS)
    assert len(desk.stand_in.bills) == len(TEXTS)
    assert desk.spent() == desk.billed()
    assert all(row.state in ("ended", "refused") for row in desk.rows(batches))
    assert {row.state for row in desk.rows(ledger)} <= {"settled", "released"}


def _die_in(monkeypatch: pytest.MonkeyPatch, of: Any, name: str, after: int = 0) -> None:
    """Die behind a step, when it was done so often before."""
    whole, times = getattr(of, name), [0]

    def step(*args: Any, **more: Any) -> Any:
        came = whole(*args, **more)
        times[0] += 1
        if times[0] > after:
            raise Died
        return came

    monkeypatch.setattr(of, name, step)


def _die_at_state(monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    """Die before a state is written down."""
    change = Batches._change

    def changing(self: Batches, batch: Any, **values: Any) -> Any:
        if values.get("state") == state:
            raise Died
        return change(self, batch, **values)

    monkeypatch.setattr(Batches, "_change", changing)


def test_no_more_is_handed_in_than_the_budget_holds(desk: Desk) -> None:
    """What a batch did not use is there for the next one, until there is no room for a question;
    then it is said.
    """
    one = desk.reader()
    worst = one.provider.price.of(one.provider.worst_case(_prompt(desk, 0)))
    reader = desk.reader(budget=worst * 2.5 / 1e6)
    highest = []
    desk.looks = [lambda: highest.append(desk.spent())] * 20
    answers = list(reader.read_all(TEXTS))
    assert max(highest, default=0) <= worst * 2.5
    assert reader.handed_in > 1
    assert desk.spent() == desk.billed() <= worst * 2.5
    if reader.ended:
        assert "no room for the worst case" in reader.ended
        assert any(isinstance(answer, Left) for answer in answers)
    nothing = list(desk.reader(budget=0.0).read_all(["Another text."]))
    assert "no room for the worst case" in str(nothing[0])
    assert "the least that would do is US$ 0." in str(nothing[0])


def test_one_that_bills_too_much_is_stopped(desk: Desk) -> None:
    """At that bill; nothing is handed in to it any more."""
    desk.faults("overbill")
    desk.read(TEXTS[:1])
    with desk.ledger.database.read():
        assert [stop.provider for stop in desk.ledger.stops()] == ["stand-in"]
    answers = desk.read(TEXTS[1:])
    assert "is stopped" in str(answers[0])


def test_a_stand_in_answers_under_its_name_alone(desk: Desk) -> None:
    """Also where it takes batches, and what it took is not used."""
    reader = desk.reader(name="acme")
    (answer,) = reader.read_all(TEXTS[:1])
    assert "is a stand-in for tests" in str(answer)
    assert desk.rows(exchanges) == []


def test_a_key_that_is_not_taken_ends_it(desk: Desk) -> None:
    """What is refused was not handed in, and costs nothing."""
    reader = desk.reader(origin=f"{desk.stand_in.url}/elsewhere")
    (answer,) = reader.read_all(TEXTS[:1])
    assert "refused the request" in str(answer) or "knows no such" in str(answer)
    assert (desk.states(), desk.spent()) == (["refused"], 0)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("id_", ["../secrets", "a/b", "", "x" * 200, "a?b", 3, None])
def test_ids_of_a_provider_stay_in_their_place(protocol: str, id_: Any) -> None:
    """An id that would lead to another address is none."""
    speaks = BATCHES[protocol]  # type: ignore[index]
    for use in (speaks.look, speaks.cancel):
        with pytest.raises(ValueError, match="not an id"):
            use(id_)


def test_two_processes_look_one_at_a_time(desk: Desk) -> None:
    """Whoever took the look has it for a while; preparing ones are left alone for as long as
    somebody may be at it.
    """
    desk.at_work("never")
    reader = desk.reader()
    questions = reader._questions(TEXTS[:1])
    came = reader.batches.hand_in(reader.provider, questions)
    assert came.batch
    every = timedelta(minutes=1)
    assert reader.batches.take(came.batch, every)
    assert not reader.batches.take(came.batch, every)
    desk.clock.move(minutes=1)
    assert reader.batches.take(came.batch, every)
    preparing = replace(came.batch, state="preparing")
    assert reader.batches.look(reader.provider, preparing) == preparing
    desk.clock.now += APPEARS
    desk.clock.move(seconds=1)
    assert reader.batches.look(reader.provider, preparing).state == "handed in", "it went on"
    assert [row.state for row in desk.rows(ledger)] == ["reserved"]


def test_a_slow_process_hands_in_nothing_that_was_given_up(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reserves for too long is taken for dead: what it reserved is free, and stays here,
    also if it comes to life while it is given up.
    """
    reader, reserve, release = desk.reader(), Ledger.reserve, Ledger.release
    questions = reader._questions(TEXTS[:1])
    looked = []
    taken: list[bool] = []

    def slow(self: Ledger, *args: Any, **more: Any) -> None:
        reserve(self, *args, **more)
        desk.clock.now += APPEARS
        desk.clock.move(seconds=1)
        (batch,) = reader.batches.open(reader.provider.name)
        looked.append(reader.batches.look(reader.provider, batch))

    def releasing(self: Ledger, call_id: str) -> None:
        taken.extend(map(reader.batches._leaves, reader.batches.open(reader.provider.name)))
        release(self, call_id)

    monkeypatch.setattr(Ledger, "reserve", slow)
    monkeypatch.setattr(Ledger, "release", releasing)
    assert reader.batches.hand_in(reader.provider, questions).batch is None
    assert taken == [False]
    assert [batch.state for batch in looked] == desk.states() == ["refused"]
    assert (desk.stand_in.batches.held, desk.spent()) == ({}, 0)


def test_who_dies_while_giving_up_leaves_nothing_reserved(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next look finds that it never arrived."""
    _die_in(monkeypatch, Ledger, "reserve", after=1)
    with pytest.raises(Died):
        desk.read()
    monkeypatch.undo()
    desk.clock.now += APPEARS
    desk.clock.move(seconds=1)
    _die_in(monkeypatch, Ledger, "release")
    reader = desk.reader()
    (batch,) = reader.batches.open(reader.provider.name)
    with pytest.raises(Died):
        reader.batches.look(reader.provider, batch)
    monkeypatch.undo()
    batch = reader.batches.get(batch.id)
    assert reader.batches.look(reader.provider, batch).state == "refused"
    assert (desk.spent(), {row.state for row in desk.rows(ledger)}) == (0, {"released"})


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_batches_are_read_as_the_documentation_shows_them(protocol: Any) -> None:
    """Their state, how many requests they have, when they were made, and where answers lie."""
    for shape, state, results in BATCH_OBJECTS[protocol]:
        remote = BATCHES[protocol].read(shape)
        assert (remote.id, remote.state) == (shape["id"], state)
        assert remote.results == results
        assert remote.created.tzinfo is not None
        assert remote.requests == 3
        assert remote.mark == ("ba_1" if protocol == "openai" else "")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_lines_are_read_as_the_documentation_shows_them(protocol: Any) -> None:
    """What was answered, with its tokens, and what is not billed."""
    for shape, end, reason in BATCH_LINES[protocol]:
        line = BATCHES[protocol].line(shape, DIALECTS[protocol])
        assert (line.id, line.end, line.reason) == (shape["custom_id"], end, reason)
        assert (line.reply is not None) == (end == "answered")
        if line.reply:
            assert line.reply.text == '{"found": true}'
            assert line.reply.usage
            assert line.reply.usage.output == 10


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_requests_are_of_each_protocol(protocol: Any) -> None:
    """Address, ids, the whole of each question, and what names the batch."""
    speaks, asked = BATCHES[protocol], {"ca_1": {"model": "m-1"}, "ca_2": {"model": "m-1"}}
    uploaded = speaks.upload(asked, "ba_1")
    wanted = speaks.create(asked, "ba_1", {"id": "file-abc123"})
    body = json.loads(wanted.body)
    if protocol == "anthropic":
        assert uploaded is None
        assert (wanted.method, wanted.path) == ("POST", "/v1/messages/batches")
        assert body == {
            "requests": [
                {"custom_id": "ca_1", "params": {"model": "m-1"}},
                {"custom_id": "ca_2", "params": {"model": "m-1"}},
            ]
        }
        return
    assert uploaded
    assert (uploaded.method, uploaded.path) == ("POST", "/v1/files")
    assert b'name="purpose"\r\n\r\nbatch\r\n' in uploaded.body
    assert b'filename="smallprint-ba_1.jsonl"' in uploaded.body
    content = next(part for part in uploaded.body.split(b"\r\n") if b"custom_id" in part)
    first, _ = map(json.loads, content.splitlines())
    assert first == {
        "custom_id": "ca_1",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "m-1"},
    }
    assert (wanted.method, wanted.path) == ("POST", "/v1/batches")
    assert body == {
        "input_file_id": "file-abc123",
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
        "metadata": {"smallprint": "ba_1"},
    }


@pytest.mark.parametrize("what", ["look", "listed", "lines"])
def test_strange_answers_are_no_answers(desk: Desk, what: str) -> None:
    """Whatever a provider says, no other error comes of it than ours."""
    said: list[Any] = [[], 3, None, {"data": 3}, {"data": [3], "has_more": True}, {"id": "../x"}]
    provider = desk.provider()
    remote = provider.hand_in({"ca_1": _prompt(desk, 0)}, "mark")
    for one in said:
        desk.stand_in.batches.handle = lambda *_, one=one: (200, one)  # type: ignore[method-assign]
        if what == "lines":
            assert list(provider.lines(replace(remote, results=("/v1/files/x/content",)))) == []
            continue
        with pytest.raises(Unusable):
            provider.look(remote.id) if what == "look" else provider.listed(desk.clock())


def test_an_answer_is_read_at_the_provider_s_own_address(desk: Desk) -> None:
    """Not where an answer says that it lies: the key would go there. Nor does a list go on without
    end.
    """
    provider = desk.provider()
    remote = provider.hand_in({"ca_1": _prompt(desk, 0)}, "mark")
    ended = provider.look(remote.id)
    assert ended.state == "ended"
    assert all(path.startswith("/v1/") for path in ended.results)
    (line,) = provider.lines(ended)
    assert (line.id, line.end) == ("ca_1", "answered")
    shown = desk.stand_in.batches.handle("GET", _path(desk, remote.id), "", b"")[1]
    page = {"data": [shown], "has_more": True}
    desk.stand_in.batches.handle = lambda *_: (200, page)  # type: ignore[method-assign]
    with pytest.raises(Unusable, match="does not end"):
        provider.listed(desk.clock() - timedelta(days=9))


def _path(desk: Desk, remote: str) -> str:
    base = "/v1/messages/batches" if desk.protocol == "anthropic" else "/v1/batches"
    return f"{base}/{remote}"


def test_what_breaks_off_before_a_batch_costs_nothing(desk: Desk) -> None:
    """A file that did not arrive is none; whether a batch did may have to be found out."""
    provider, prompt = desk.provider(seconds=1.0), _prompt(desk, 0)

    def broken(method: str, target: str, kind: str, body: bytes) -> Any:
        return 500, {}

    desk.stand_in.batches.handle = broken  # type: ignore[method-assign]
    with pytest.raises(ProviderError, match=r"failed while it worked|can't be reached") as error:
        provider.hand_in({"ca_1": prompt}, "mark")
    assert error.value.may_be_billed == (desk.protocol == "anthropic")
