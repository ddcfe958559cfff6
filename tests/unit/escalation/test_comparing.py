"""A frontier model reads labelled documents: within its budget, once, and only words that stand."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from infra.stand_in import Fault, Labels, StandIn
from infra.stand_in.injected import FORTY
from infra.stand_in.protocols import Said
from services.escalation.comparing import (
    Answered,
    Asked,
    Ended,
    FrontierReader,
    Left,
    Unread,
    open_ledger,
)
from services.escalation.comparing.prompts import question
from services.escalation.comparing.reader import windows
from services.escalation.hearing import call
from services.escalation.ledger import BudgetSpent, Ledger
from services.escalation.masking import mask
from services.escalation.policy import Policies, read_policies
from services.escalation.providers import Provider
from services.escalation.providers.post import Post
from services.escalation.providers.provider import DIALECTS
from services.extraction.definitions import known_definitions
from shared.errors import SettingsError
from shared.prices import Price
from tests.support import ROOT

LAW = "This Agreement is governed by the laws of Delaware."
TERM = "It lasts for two years."
TEXTS = [f"{n}. Term. {TERM}\n{n}. Law. {LAW}\nAcme {n} pays US$ {n}00 a year." for n in range(6)]
LABELS = Labels([("Governing Law", LAW), ("Renewal Term", TERM)])
CATEGORIES = {"Governing Law": "Whose law?", "Renewal Term": "What follows?", "Insurance": "Any?"}
POST = Post()
Read = Callable[..., list[Answered | Unread]]


class Table:
    """A stand-in, and readers that share the ledger of one folder."""

    def __init__(self, folder: Path, stand_in: StandIn, stack: ExitStack) -> None:
        self.stand_in = stand_in
        self.ledger = stack.enter_context(open_ledger(folder))
        self.waited: list[float] = []

    def reader(
        self,
        budget: float = 10.0,
        protocol: Any = "own",
        most: int = 500,
        sleep: Callable[[float], None] | None = None,
        **asked: Any,
    ) -> FrontierReader:
        """One that has so many dollars."""
        provider = Provider(
            name="stand-in",
            protocol=protocol,
            model="stand-in",
            origin=self.stand_in.url,
            price=Price(Decimal(3), Decimal(15), "2026-01-31"),
            key=str,
            seconds=5.0,
            most=most,
            post=POST,
        )
        asking = Asked(**{"categories": CATEGORIES, "patience": 5.0, **asked})
        micro = int(budget * 1_000_000)
        sleep = sleep or self.waited.append
        return FrontierReader(provider, self.ledger, micro, asking, sleep=sleep)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Table]]:
    """Makes tables, each with a stand-in of its own."""
    with ExitStack() as stack:

        def made(**options: Any) -> Table:
            stand_in = stack.enter_context(StandIn(LABELS, **options))
            folder = tmp_path / str(len(list(tmp_path.iterdir())))
            return Table(folder, stand_in, stack)

        yield made


def faults(*first: Fault) -> Callable[[Said], Fault]:
    """Those, one a call, and then none."""
    left = list(first)
    return lambda _said: left.pop(0) if left else "none"


def test_every_window_hides_what_the_document_calls_its_parties(
    serve: Callable[..., Table],
) -> None:
    """Also windows that lack the place where a short name is given."""
    head = 'Between Zorbex Mining, Inc. (the "ZBX") and Jane Roe. '
    table = serve()
    reader = table.reader(hidden=frozenset({"parties"}), window=1_000)
    reader.read(head + "ZBX pays what Zorbex owes. " * 200)
    turns = [turn for said in table.stand_in.said for turn in said.turns]
    assert len(turns) > 1
    assert not [turn for turn in turns if "ZBX" in turn or "Zorbex" in turn]


@pytest.mark.parametrize("protocol", sorted(DIALECTS))
def test_every_protocol_reads_all_categories_in_one_question(
    serve: Callable[..., Table], protocol: str
) -> None:
    """What was quoted has the document's own words and offsets, and its price is the bill's."""
    table = serve()
    reader = table.reader(protocol=protocol)
    (answered,) = reader.read_all(TEXTS[:1])
    assert isinstance(answered, Answered)
    assert {(f.category, f.text) for f in answered.found} == {
        ("Governing Law", LAW),
        ("Renewal Term", TERM),
    }
    assert all(TEXTS[0][f.start : f.end] == f.text for f in answered.found)
    assert answered.seconds > 0
    (bill,) = table.stand_in.bills
    cost = reader.cost(TEXTS[:1])
    assert (cost.calls, cost.tokens_in, cost.tokens_out) == (1, bill.input, bill.output)
    assert cost.micro_usd == 3 * bill.input + 15 * bill.output
    assert reader.ended is None


def test_the_budget_of_the_trial_in_the_readme_has_room_for_a_call(
    serve: Callable[..., Table],
) -> None:
    """Whole windows with every category that came along, at US$ 3 and 15, by default else."""
    readme = (ROOT / "README.md").read_text("utf-8")
    told = re.search(r"`smallprint compare --provider claude --budget ([\d.]+) ", readme)
    assert told
    every = known_definitions()
    text = "The laws of Delaware govern this agreement. " * 500
    reader = serve().reader(float(told[1]), "anthropic", most=8_000, categories=every)
    room = reader.room([text])
    assert room.worst > 0.12 * 1e6
    assert room.enough, room.missing


def test_the_budget_is_never_passed_and_the_rest_goes_on_another_time(
    serve: Callable[..., Table],
) -> None:
    """Several workers stop before the worst case of a call would not fit; with more money nothing
    is asked twice.
    """
    table = serve()
    one = table.reader().provider
    worst = one.price.of(one.worst_case(_prompt(table)))
    budget = 1.1 * worst / 1e6
    first = table.reader(budget)
    came = list(first.read_all(TEXTS, workers=4))
    read = [answer for answer in came if isinstance(answer, Answered)]
    assert 0 < len(read) < len(TEXTS)
    assert all(isinstance(answer, Answered | Left) for answer in came)
    assert first.ended is not None
    assert "the budget of US$" in first.ended
    assert first.spent().micro_usd <= budget * 1e6
    second = table.reader()
    assert all(isinstance(answer, Answered) for answer in second.read_all(TEXTS, workers=4))
    third = table.reader()
    assert all(isinstance(answer, Answered) for answer in third.read_all(TEXTS, workers=4))
    assert len(table.stand_in.bills) == len(TEXTS)
    assert second.spent().calls == len(TEXTS)


def test_a_budget_that_the_last_call_in_hand_gave_back_is_tried_again(
    serve: Callable[..., Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that had no room while another was in hand looks again once that has its bill, also
    where it hears of it late.
    """
    table = serve(think_seconds=0.2)
    one = table.reader().provider
    worst = one.price.of(one.worst_case(_prompt(table)))
    reader = table.reader(1.5 * worst / 1e6, sleep=time.sleep)
    refused: list[bool] = []

    def late(ledger: Ledger, *asked: Any) -> Any:
        try:
            return call(ledger, *asked)
        except BudgetSpent:
            refused.append(True)
            until = time.monotonic() + 10
            while not table.stand_in.bills and time.monotonic() < until:
                time.sleep(0.01)
            time.sleep(0.3)
            raise

    monkeypatch.setattr("services.escalation.comparing.reader.call", late)
    answers = list(reader.read_all(TEXTS[:2], workers=2))
    assert refused, "both had room at once: nothing was tried"
    assert all(isinstance(answer, Answered) for answer in answers)
    assert reader.ended is None


def test_the_same_words_in_several_documents_are_asked_once(serve: Callable[..., Table]) -> None:
    """Documents that are read at the same time wait for each other's answer, also where one of
    them is there twice; none is left unread for it.
    """
    table = serve(think_seconds=1.0)
    same = f"Law. {LAW} {'The parties agree. ' * 8}\n\n"
    texts = [f"{same}{text}" for text in (TEXTS[0], TEXTS[1], TEXTS[1])]
    reader = table.reader(sleep=time.sleep, window=len(same) + 10, patience=30.0)
    answers = list(reader.read_all(texts, workers=3))
    assert all(isinstance(answer, Answered) and answer.found for answer in answers)
    asked = [json.loads(said.turns[0])["passage"] for said in table.stand_in.said]
    assert len(asked) == len(set(asked)) == 3


def test_a_text_that_stands_twice_costs_once(serve: Callable[..., Table]) -> None:
    """It is asked once, so what several documents cost is what was paid."""
    table = serve()
    reader = table.reader()
    texts = [TEXTS[0], TEXTS[0], TEXTS[1]]
    assert all(isinstance(answer, Answered) for answer in reader.read_all(texts))
    assert reader.cost(texts) == reader.spent()
    assert reader.cost(texts).calls == 2


def test_what_was_on_its_way_when_it_died_counts_in_full_and_is_asked_again(
    serve: Callable[..., Table],
) -> None:
    """The answer is lost, and its worst case stays spent beside the price of the second."""
    table = serve()
    reader = table.reader()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ledger, "settle", _die)
        with pytest.raises(KeyboardInterrupt):
            reader.read(TEXTS[0])
    again = table.reader()
    assert isinstance(again.read(TEXTS[0]), Answered)
    first, second = table.stand_in.bills
    assert first.input == second.input
    worst = reader.provider.price.of(reader.provider.worst_case(_prompt(table)))
    assert again.spent().micro_usd == worst + 3 * second.input + 15 * second.output


def _die(*_: object) -> None:
    raise KeyboardInterrupt


def _prompt(table: Table) -> Any:
    return question(table.reader().asked.categories, mask(TEXTS[0], frozenset()))


@pytest.mark.parametrize("fault", ["invent", "alter"])
def test_words_that_do_not_stand_are_rejected(serve: Callable[..., Table], fault: Fault) -> None:
    """Invented and altered quotes are counted, and are no clauses."""
    reader = serve(choose=faults(fault)).reader()
    answered = reader.read(TEXTS[0])
    assert answered.found == []
    assert answered.rejected == len(CATEGORIES)


def test_a_category_that_was_not_asked_is_rejected(serve: Callable[..., Table]) -> None:
    """A model can't add categories of its own."""
    said = {"clauses": [{"category": "Weather", "quote": LAW}]}
    reader = serve(speak=lambda _said, _fault: json.dumps(said)).reader()
    answered = reader.read(TEXTS[0])
    assert (answered.found, answered.rejected) == ([], 1)


def test_a_broken_answer_is_repaired_once(serve: Callable[..., Table]) -> None:
    """A second try counts; when it is broken too, the question has no usable answer."""
    mended = serve(choose=faults("break_json")).reader().read(TEXTS[0])
    assert (len(mended.found), mended.unusable) == (2, 0)
    broken = serve(choose=faults("break_json", "break_json")).reader().read(TEXTS[0])
    assert (broken.found, broken.unusable) == ([], 1)
    declined = serve(choose=faults("decline")).reader().read(TEXTS[0])
    assert (declined.found, declined.unusable) == ([], 1)


def test_an_answer_that_is_too_long_is_asked_in_halves(serve: Callable[..., Table]) -> None:
    """Each half of the categories gets an answer of its own."""
    table = serve(choose=faults("cut"))
    assert len(table.reader().read(TEXTS[0]).found) == 2
    asked = [json.loads(said.turns[0])["categories"] for said in table.stand_in.said]
    assert [len(names) for names in asked] == [3, 1, 2]


def test_a_busy_provider_is_waited_for_and_a_dead_one_ends_it(
    serve: Callable[..., Table],
) -> None:
    """As long as patience has it; the document is left for another time."""
    table = serve(choose=faults("busy", "overloaded"))
    assert len(table.reader().read(TEXTS[0]).found) == 2
    assert len(table.waited) == 2
    dead = serve(choose=lambda _said: "busy").reader(patience=0.0)
    with pytest.raises(Ended, match="busy"):
        dead.read(TEXTS[0])


def test_who_bills_too_much_is_asked_no_more(serve: Callable[..., Table]) -> None:
    """The first such bill ends the comparison; documents in hand are left."""
    reader = serve(choose=faults("overbill")).reader()
    answers = list(reader.read_all(TEXTS[:3]))
    assert [type(answer) for answer in answers[1:]] == [Left, Left]
    assert reader.ended is not None
    assert "billed more" in reader.ended


def test_a_document_that_speaks_to_machines_is_not_sent(serve: Callable[..., Table]) -> None:
    """It is named, and the others are read."""
    table = serve()
    hostile = f"{TEXTS[0]}\n{FORTY[0]}"
    answers = list(table.reader().read_all([hostile, TEXTS[1]]))
    assert isinstance(answers[0], Unread)
    assert not isinstance(answers[0], Left)
    assert isinstance(answers[1], Answered)
    assert len(table.stand_in.said) == 1


def test_what_the_policy_hides_is_hidden(serve: Callable[..., Table]) -> None:
    """Amounts leave as placeholders, and quotes with them come back as the document has them."""

    def speak(said: Said, _fault: Fault) -> str:
        passage = json.loads(said.turns[0])["passage"]
        line = passage.splitlines()[-1]
        return json.dumps({"clauses": [{"category": "Insurance", "quote": line}]})

    table = serve(speak=speak)
    answered = table.reader(hidden=frozenset({"amounts"})).read(TEXTS[3])
    assert "300" not in table.stand_in.said[0].turns[0]
    assert [f.text for f in answered.found] == ["Acme 3 pays US$ 300 a year."]


@pytest.mark.parametrize("most", [40, 200, 10_000])
def test_windows_have_the_whole_text_between_them(most: int) -> None:
    """No character is lost or sent twice, and no window is too large."""
    text = "\n\n".join(TEXTS) + "x" * 90
    cut = list(windows(text, most))
    assert "".join(text[start:end] for start, end in cut) == text
    assert all(0 < end - start <= most for start, end in cut)


def test_every_question_begins_with_the_same_categories() -> None:
    """As many characters as are said to be shared, whatever the passage is."""
    one, other = (question(CATEGORIES, mask(text, frozenset())) for text in TEXTS[:2])
    assert one.shared == other.shared > 100
    assert one.turns[0][: one.shared] == other.turns[0][: other.shared]
    assert set(json.loads(one.turns[0])) == {"categories", "passage"}


def test_the_expected_cost_is_near_the_bill(serve: Callable[..., Table]) -> None:
    """What the estimate says of tokens in, the stand-in counts without the instructions."""
    table = serve()
    reader = table.reader()
    told = reader.expected(TEXTS, len(TEXTS) * len(LAW + TERM))
    list(reader.read_all(TEXTS))
    paid = reader.cost(TEXTS)
    assert told.calls == paid.calls
    assert 0.5 * paid.tokens_out < told.tokens_out < 2 * paid.tokens_out
    assert told.micro_usd > 0


def _policies(tmp_path: Path, leaves: Sequence[str]) -> Policies:
    file = tmp_path / "policy.toml"
    file.write_text(
        '[providers.stand-in]\nprotocol = "own"\nmodel = "m"\nurl = "http://127.0.0.1:1"\n'
        'price = { input = "3", output = "15", as_of = 2026-01-31 }\n'
        f'[tenants.default]\nproviders = ["stand-in"]\nleaves = {json.dumps(leaves)}\n'
    )
    return read_policies(file)


def test_only_a_provider_that_may_see_contracts_is_compared(tmp_path: Path) -> None:
    """The door's policy counts for comparisons as well."""
    open_door = _policies(tmp_path, ["contract"]).of("default")
    assert open_door.to_compare("stand-in", 900).most == 900
    with pytest.raises(SettingsError, match="no provider other: there is stand-in"):
        open_door.to_compare("other", 900)
    with pytest.raises(SettingsError, match="may not leave the house"):
        _policies(tmp_path, []).of("default").to_compare("stand-in", 900)
    with pytest.raises(SettingsError, match="none at all"):
        Policies().of("default").to_compare("stand-in", 900)
