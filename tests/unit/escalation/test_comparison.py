"""A frontier model reads labelled documents within its budget."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from services.escalation.comparison import (
    Ended,
    FrontierReader,
    Left,
    ProviderReading,
    ReadingRequest,
    Unread,
    open_ledger,
)
from services.escalation.comparison.prompts import question
from services.escalation.comparison.reader import windows
from services.escalation.ledger import Ledger
from services.escalation.masking.masking import mask
from services.escalation.policy.policy import Policies, read_policies
from services.escalation.providers import Provider
from services.escalation.providers.provider import DIALECTS
from services.escalation.providers.transport import Post
from services.extraction.categories import known_definitions
from shared.errors import SettingsError
from shared.policy.prices import Price
from tests.fakes.provider import Fault, Labels, StandIn
from tests.fakes.provider.injections import FORTY
from tests.fakes.provider.protocols import ModelRequest

LAW = "This Agreement is governed by the laws of Delaware."
TERM = "It lasts for two years."
TEXTS = [f"{n}. Term. {TERM}\n{n}. Law. {LAW}\nAcme {n} pays US$ {n}00 a year." for n in range(6)]
LABELS = Labels([("Governing Law", LAW), ("Renewal Term", TERM)])
CATEGORIES = {"Governing Law": "Whose law?", "Renewal Term": "What follows?", "Insurance": "Any?"}
POST = Post()
Read = Callable[..., list[ProviderReading | Unread]]


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
        asking = ReadingRequest(**{"categories": CATEGORIES, "patience": 5.0, **asked})
        micro = int(budget * 1_000_000)
        sleep = sleep or self.waited.append
        return FrontierReader(provider, self.ledger, micro, asking, sleep=sleep)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Table]]:
    with ExitStack() as stack:

        def made(**options: Any) -> Table:
            stand_in = stack.enter_context(StandIn(LABELS, **options))
            folder = tmp_path / str(len(list(tmp_path.iterdir())))
            return Table(folder, stand_in, stack)

        yield made


def faults(*first: Fault) -> Callable[[ModelRequest], Fault]:
    left = list(first)
    return lambda _request: left.pop(0) if left else "none"


def test_every_window_masks_short_names_of_parties(serve: Callable[..., Table]) -> None:
    head = 'Between Zorbex Mining, Inc. (the "ZBX") and Jane Roe. '
    table = serve()
    reader = table.reader(hidden=frozenset({"parties"}), window=1_000)
    reader.read(head + "ZBX pays what Zorbex owes. " * 200)
    turns = [turn for request in table.stand_in.requests for turn in request.turns]
    assert len(turns) > 1
    assert not [turn for turn in turns if "ZBX" in turn or "Zorbex" in turn]


@pytest.mark.parametrize("protocol", sorted(DIALECTS))
def test_every_protocol_reads_all_categories_in_one_question(
    serve: Callable[..., Table], protocol: str
) -> None:
    table = serve()
    reader = table.reader(protocol=protocol)
    (answered,) = reader.read_all(TEXTS[:1])
    assert isinstance(answered, ProviderReading)
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


def test_half_a_dollar_suffices_for_a_call(serve: Callable[..., Table]) -> None:
    every = known_definitions()
    text = "The laws of Delaware govern this agreement. " * 500
    reader = serve().reader(0.5, "anthropic", most=8_000, categories=every)
    room = reader.room([text])
    assert room.worst > 0.12 * 1e6
    assert room.enough, room.missing


def test_the_budget_holds_and_a_later_run_continues(serve: Callable[..., Table]) -> None:
    table = serve()
    one = table.reader().provider
    worst = one.price.of(one.worst_case(_prompt(table)))
    budget = 1.1 * worst / 1e6
    first = table.reader(budget)
    came = list(first.read_all(TEXTS, workers=4))
    read = [answer for answer in came if isinstance(answer, ProviderReading)]
    assert 0 < len(read) < len(TEXTS)
    assert all(isinstance(answer, ProviderReading | Left) for answer in came)
    assert first.ended is not None
    assert "the budget of US$" in first.ended
    assert first.spent().micro_usd <= budget * 1e6
    second = table.reader()
    assert all(isinstance(answer, ProviderReading) for answer in second.read_all(TEXTS, workers=4))
    third = table.reader()
    assert all(isinstance(answer, ProviderReading) for answer in third.read_all(TEXTS, workers=4))
    assert len(table.stand_in.bills) == len(TEXTS)
    assert second.spent().calls == len(TEXTS)


def test_equal_windows_of_several_documents_are_asked_once(serve: Callable[..., Table]) -> None:
    table = serve(think_seconds=1.0)
    same = f"Law. {LAW} {'The parties agree. ' * 8}\n\n"
    texts = [f"{same}{text}" for text in (TEXTS[0], TEXTS[1], TEXTS[1])]
    reader = table.reader(sleep=time.sleep, window=len(same) + 10, patience=30.0)
    answers = list(reader.read_all(texts, workers=3))
    assert all(isinstance(answer, ProviderReading) and answer.found for answer in answers)
    asked = [json.loads(request.turns[0])["passage"] for request in table.stand_in.requests]
    assert len(asked) == len(set(asked)) == 3


def test_a_repeated_document_costs_once(serve: Callable[..., Table]) -> None:
    table = serve()
    reader = table.reader()
    texts = [TEXTS[0], TEXTS[0], TEXTS[1]]
    assert all(isinstance(answer, ProviderReading) for answer in reader.read_all(texts))
    assert reader.cost(texts) == reader.spent()
    assert reader.cost(texts).calls == 2


def test_a_lost_call_counts_in_full_and_is_repeated(serve: Callable[..., Table]) -> None:
    table = serve()
    reader = table.reader()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ledger, "settle", _die)
        with pytest.raises(KeyboardInterrupt):
            reader.read(TEXTS[0])
    again = table.reader()
    assert isinstance(again.read(TEXTS[0]), ProviderReading)
    first, second = table.stand_in.bills
    assert first.input == second.input
    worst = reader.provider.price.of(reader.provider.worst_case(_prompt(table)))
    assert again.spent().micro_usd == worst + 3 * second.input + 15 * second.output


def _die(*_: object) -> None:
    raise KeyboardInterrupt


def _prompt(table: Table) -> Any:
    return question(table.reader().asked.categories, mask(TEXTS[0], frozenset()))


@pytest.mark.parametrize("fault", ["invent", "alter"])
def test_unknown_quotes_are_rejected(serve: Callable[..., Table], fault: Fault) -> None:
    reader = serve(choose=faults(fault)).reader()
    answered = reader.read(TEXTS[0])
    assert answered.found == []
    assert answered.rejected == len(CATEGORIES)


def test_unknown_categories_are_rejected(serve: Callable[..., Table]) -> None:
    content = {"clauses": [{"category": "Weather", "quote": LAW}]}
    reader = serve(speak=lambda _request, _fault: json.dumps(content)).reader()
    answered = reader.read(TEXTS[0])
    assert (answered.found, answered.rejected) == ([], 1)


def test_a_broken_answer_is_repaired_once(serve: Callable[..., Table]) -> None:
    mended = serve(choose=faults("break_json")).reader().read(TEXTS[0])
    assert (len(mended.found), mended.unusable) == (2, 0)
    broken = serve(choose=faults("break_json", "break_json")).reader().read(TEXTS[0])
    assert (broken.found, broken.unusable) == ([], 1)
    declined = serve(choose=faults("decline")).reader().read(TEXTS[0])
    assert (declined.found, declined.unusable) == ([], 1)


def test_a_cut_answer_is_asked_again_in_halves(serve: Callable[..., Table]) -> None:
    table = serve(choose=faults("cut"))
    assert len(table.reader().read(TEXTS[0]).found) == 2
    asked = [json.loads(request.turns[0])["categories"] for request in table.stand_in.requests]
    assert [len(names) for names in asked] == [3, 1, 2]


def test_a_busy_provider_is_retried_within_the_patience(serve: Callable[..., Table]) -> None:
    table = serve(choose=faults("busy", "overloaded"))
    assert len(table.reader().read(TEXTS[0]).found) == 2
    assert len(table.waited) == 2
    dead = serve(choose=lambda _request: "busy").reader(patience=0.0)
    with pytest.raises(Ended, match="busy"):
        dead.read(TEXTS[0])


def test_an_excessive_bill_ends_the_comparison(serve: Callable[..., Table]) -> None:
    reader = serve(choose=faults("overbill")).reader()
    answers = list(reader.read_all(TEXTS[:3]))
    assert [type(answer) for answer in answers[1:]] == [Left, Left]
    assert reader.ended is not None
    assert "billed more" in reader.ended


def test_a_document_with_instructions_is_not_sent(serve: Callable[..., Table]) -> None:
    table = serve()
    hostile = f"{TEXTS[0]}\n{FORTY[0]}"
    answers = list(table.reader().read_all([hostile, TEXTS[1]]))
    assert isinstance(answers[0], Unread)
    assert not isinstance(answers[0], Left)
    assert isinstance(answers[1], ProviderReading)
    assert len(table.stand_in.requests) == 1


def test_amounts_are_masked_and_come_back_in_quotes(serve: Callable[..., Table]) -> None:
    def speak(request: ModelRequest, _fault: Fault) -> str:
        passage = json.loads(request.turns[0])["passage"]
        line = passage.splitlines()[-1]
        return json.dumps({"clauses": [{"category": "Insurance", "quote": line}]})

    table = serve(speak=speak)
    answered = table.reader(hidden=frozenset({"amounts"})).read(TEXTS[3])
    assert "300" not in table.stand_in.requests[0].turns[0]
    assert [f.text for f in answered.found] == ["Acme 3 pays US$ 300 a year."]


@pytest.mark.parametrize("most", [40, 200, 10_000])
def test_windows_cover_the_text_without_overlap(most: int) -> None:
    text = "\n\n".join(TEXTS) + "x" * 90
    cut = list(windows(text, most))
    assert "".join(text[start:end] for start, end in cut) == text
    assert all(0 < end - start <= most for start, end in cut)


def test_questions_share_their_beginning() -> None:
    one, other = (question(CATEGORIES, mask(text, frozenset())) for text in TEXTS[:2])
    assert one.shared == other.shared > 100
    assert one.turns[0][: one.shared] == other.turns[0][: other.shared]
    assert set(json.loads(one.turns[0])) == {"categories", "passage"}


def test_the_expected_cost_is_near_the_bill(serve: Callable[..., Table]) -> None:
    table = serve()
    reader = table.reader()
    expected = reader.expected(TEXTS, len(TEXTS) * len(LAW + TERM))
    list(reader.read_all(TEXTS))
    paid = reader.cost(TEXTS)
    assert expected.calls == paid.calls
    assert 0.5 * paid.tokens_out < expected.tokens_out < 2 * paid.tokens_out
    assert expected.micro_usd > 0


def _policies(tmp_path: Path, external_kinds: Sequence[str]) -> Policies:
    file = tmp_path / "policy.toml"
    file.write_text(
        '[providers.stand-in]\nprotocol = "own"\nmodel = "m"\nurl = "http://127.0.0.1:1"\n'
        'price = { input = "3", output = "15", as_of = 2026-01-31 }\n'
        '[tenants.default]\nproviders = ["stand-in"]\n'
        f"external_kinds = {json.dumps(external_kinds)}\n"
    )
    return read_policies(file)


def test_comparison_needs_a_provider_that_may_see_contracts(tmp_path: Path) -> None:
    open_door = _policies(tmp_path, ["contract"]).of("default")
    assert open_door.to_compare("stand-in", 900).most == 900
    with pytest.raises(SettingsError, match=r"Allowed: stand-in\."):
        open_door.to_compare("other", 900)
    with pytest.raises(SettingsError, match="may not go to external providers"):
        _policies(tmp_path, []).of("default").to_compare("stand-in", 900)
    with pytest.raises(SettingsError, match="Allowed: none"):
        Policies().of("default").to_compare("stand-in", 900)
