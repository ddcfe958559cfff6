"""The checker notices each broken guarantee, and nothing else."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from services.escalation.policy.policy import read_policies
from tests.chaos.checker import check
from tests.chaos.documents import make_documents
from tests.chaos.events import SeenEvent
from tests.chaos.evidence import Evidence
from tests.chaos.frontier import PRICE_OUT, Bills, cap, stand_in, write_policy
from tests.chaos.people import Claim
from tests.chaos.receiver import ReceivedMessage
from tests.chaos.report import Report
from tests.unit.programs.chaos.builders import TEXT, again, sound


def _report(evidence: Evidence) -> None:
    """Make the document a report, of which a webhook says how risky it is."""
    evidence.record.sent[0].kind = "report"
    cell = {"statement": "balance_sheet", "row": 2, "column": 0}
    finding = {"id": "cl_1", "filing": "filing-1", "check": "sum", **cell, "message": "1 is not 2"}
    evidence.facts.results["doc_1"] = [finding]
    row = {"document_id": "doc_1", "flagged": True, "risk": 0.5}
    evidence.facts.reports.append(row)
    link = "/v1/documents/doc_1"
    links = {"document": link, "findings": f"{link}/findings"}
    data = {**evidence.messages[1].data, **row, "links": links}
    evidence.messages[1] = replace(evidence.messages[1], type="findings.found", data=data)


def _lose_report_text(evidence: Evidence) -> None:
    _report(evidence)
    evidence.facts.texts.update(doc_1="")


def _send_another_risk(evidence: Evidence) -> None:
    """REST and a webhook differ in the risk of a report."""
    _report(evidence)
    evidence.facts.reports[0].update(risk=0.9)


def _find_again(evidence: Evidence) -> None:
    """A report has a finding twice, under two ids, and both wait."""
    _report(evidence)
    (finding,), items = evidence.facts.results["doc_1"], evidence.facts.items
    evidence.facts.results["doc_1"] = [finding, {**finding, "id": "cl_2"}]
    items.append({**items[0], "id": "it_2", "result_id": "cl_2"})
    evidence.before.items.add("it_2")
    evidence.messages[1].data.update(count=2)


def _pay(evidence: Evidence, usd: float) -> None:
    """So much is billed and in the ledger; what is held against the cap says less."""
    costs, written = evidence.facts.costs, round(usd * 1e6) // PRICE_OUT
    costs["usd"] = usd
    for one in (*costs["items"], *costs["groups"]):
        one.update(usd=usd, tokens_in=0, tokens_out=written)
    evidence.billed = Bills(calls=1, tokens_in=0, tokens_out=written)


def _serve_nobody(evidence: Evidence) -> None:
    """An item waits, and somebody who asked got none."""
    _ask_once(evidence)
    evidence.facts.items[1].update(state="waiting")
    evidence.before.items.add("it_2")
    evidence.short = {"ann": 0, "bob": 1}


def _ask_about_nothing(evidence: Evidence) -> None:
    """An item of a document that was not sent."""
    _ask_once(evidence)
    evidence.facts.items[1].update(document_id="doc_2")


def _says(number: int, **changed: object) -> Callable[[Evidence], None]:
    def change(evidence: Evidence) -> None:
        evidence.messages[number].data.update(changed)

    return change


def _ask_twice(evidence: Evidence) -> None:
    """The document has two items that ask of what kind it is."""
    asks = {**evidence.facts.items[0], "about": "question", "result_id": "doc_1"}
    evidence.facts.items += [{**asks, "id": "it_2"}, {**asks, "id": "it_3"}]


def _ask_once(evidence: Evidence) -> None:
    """The document has an item that asks of what kind it is."""
    _ask_twice(evidence)
    evidence.facts.items.pop()


def _another(evidence: Evidence, name: str, of: str, **changed: object) -> None:
    """A copy of an event with another id."""
    old = evidence.seen[of]
    evidence.seen = {**evidence.seen, name: SeenEvent(**{**vars(old), "id": name, **changed})}


BROKEN: dict[str, dict[str, Callable[[Evidence], object]]] = {
    "every accepted": {
        "a document never ends": lambda e: e.facts.documents[0].update(
            state="processing", outcome=None
        ),
        "a document is found again": lambda e: e.before.ended.clear(),
        "a document is not there": lambda e: e.facts.documents.clear(),
        "a decision is refused": lambda e: e.record.refused.append("404"),
    },
    "one document": {
        "a document is there twice": lambda e: e.facts.documents.append(e.facts.documents[0]),
    },
    "uploaded bytes": {
        "a text is not the one that was read": lambda e: e.seen["2"].data.update(
            text={"sha256": "0", "size": 1}
        ),
        "a report's text is lost": _lose_report_text,
        "a layout is lost": lambda e: e.facts.pages.update(doc_1=[]),
        "a layout is of another text": lambda e: e.facts.pages["doc_1"][0].update(
            end=len(TEXT) + 1
        ),
        "a layout leaves words out": lambda e: e.facts.pages["doc_1"][0].update(start=9),
        "other bytes come back": lambda e: e.facts.originals.update(doc_1="0"),
        "a quote is not the text's": lambda e: e.facts.results["doc_1"][0].update(text="other"),
    },
    "every clause and finding": {
        "a clause is there twice": lambda e: e.facts.results["doc_1"].append(
            e.facts.results["doc_1"][0]
        ),
        "a finding is there twice under two ids": _find_again,
    },
    "each result has one review item": {
        "a result has no item": lambda e: e.facts.results["doc_1"].append(
            {"id": "cl_2", **_place(9)}
        ),
        "an item is of no result": lambda e: e.facts.items.append(
            {**e.facts.items[0], "id": "it_2", "result_id": "cl_2"}
        ),
        "a document is asked about twice": _ask_twice,
        "an item is of no document": _ask_about_nothing,
        "an item has become another": lambda e: e.before.items.add("it_0"),
    },
    "each decision": {
        "a decision is lost": lambda e: e.facts.decisions.clear(),
        "a decision is unknown": lambda e: e.record.attempted.clear(),
    },
    "claimed by one": {
        "two hold an item": lambda e: e.record.claims.append(Claim("it_1", "bob", 1.5, 3.0)),
    },
    "a request for an item": {
        "no analyst gets a waiting item": _serve_nobody,
    },
    "repeated delivery": {
        "an item comes late": lambda e: e.before.items.clear(),
        "a webhook comes late": lambda e: e.before.webhooks.remove("msg_2"),
        "a reading is booked late": lambda e: e.before.booked.clear(),
        "a question is answered late": lambda e: e.before.events.remove("a"),
    },
    "one webhook for each": {
        "a webhook is missing": lambda e: e.messages.pop(),
        "a change is sent twice": lambda e: e.messages.append(
            ReceivedMessage("msg_9", "document.ended", {"document_id": "doc_1"})
        ),
        "a webhook says that a complete document failed": _says(0, outcome="failed"),
        "a webhook counts otherwise": _says(1, count=2),
        "a webhook leads elsewhere": _says(1, links={}),
        "a webhook has another risk": _send_another_risk,
        "a webhook has another document": _says(2, document_id="doc_2"),
        "a webhook has another verdict": _says(2, verdict="reject"),
        "a webhook has another actor": _says(2, actor="bob"),
    },
    "webhooks of a document are in order": {
        "webhooks come in reverse order": lambda e: e.messages.reverse(),
    },
    "sent again": {
        "a message is sent again without trouble": lambda e: again(e, 30.0),
    },
    "no cap is exceeded": {
        "a reading is booked twice": lambda e: e.facts.costs["groups"][0].update(tokens_read=100),
        "a cap is passed": lambda e: e.facts.costs["budgets"][0].update(usd=1.0),
        "a cap was passed for a moment": lambda e: e.record.spent.update({"2026-01": 0.6}),
        "the provider billed more than the cap, and the budget says less": lambda e: _pay(e, 0.6),
        "what is billed does not count": lambda e: _pay(e, 0.45),
        "the cap is another": lambda e: e.facts.costs["budgets"][0].update(max_usd=0.6),
        "the cap was another for a moment": lambda e: e.record.caps.add(0.6),
    },
    "question": {
        "a question has no answer": lambda e: setattr(
            e, "seen", {k: v for k, v in e.seen.items() if k != "b"}
        ),
        "a question has two answers": lambda e: _another(e, "c", "b"),
        "an answer is to no question": lambda e: _another(e, "c", "b", data={"result_id": "cl_3"}),
    },
    "every bill of the provider": {
        "a bill is not in the ledger": lambda e: setattr(
            e, "billed", Bills(calls=2, tokens_in=2000, tokens_out=200)
        ),
        "a call is settled that was not billed": lambda e: setattr(
            e, "billed", Bills(calls=0, tokens_in=0, tokens_out=0)
        ),
        "a call is settled with another sum": lambda e: e.facts.costs["items"][0].update(usd=0.006),
        "a document has more calls than were billed": lambda e: e.facts.costs["groups"][0].update(
            calls=9
        ),
        "there are more calls than were billed": lambda e: [
            e.facts.costs[one][0].update(calls=9) for one in ("groups", "items")
        ],
        "a bill of nothing is in no ledger": lambda e: setattr(
            e, "billed", Bills(calls=2, tokens_in=1000, tokens_out=100)
        ),
        "money is left set aside": lambda e: e.facts.costs["items"][0].update(
            reserved_usd=0.001, usd=0.0055
        ),
        "documents have other sums than providers": lambda e: e.facts.costs["groups"][0].update(
            usd=0.009
        ),
    },
    "every event has its cause": {
        "an event has no cause": lambda e: _another(e, "5", "2", cause="nobody"),
        "an event has two sequels": lambda e: _another(e, "5", "2"),
    },
    "its end is streamed": {
        "an event comes late": lambda e: _another(e, "5", "2", cause="4"),
        "a state goes back": lambda e: e.record.states["doc_1"].append((1, "received")),
        "a document is never streamed": lambda e: e.record.states.clear(),
        "an end is not streamed": lambda e: e.record.states["doc_1"].pop(),
        "the end of another attempt is streamed": lambda e: e.facts.documents[0].update(attempt=2),
    },
}
"""Ways to break each guarantee, by words of the guarantee."""


def _place(start: int) -> dict[str, object]:
    return {
        "category": "Parties",
        "start": start,
        "end": start + 1,
        "text": TEXT[start : start + 1],
    }


def test_nothing_is_wrong_if_every_guarantee_holds() -> None:
    checks = check(sound())
    assert all(one.checked for one in checks)
    assert not [wrong for one in checks for wrong in one.wrong]


@pytest.mark.parametrize(
    ("guarantee", "what"),
    [(guarantee, what) for guarantee, ways in BROKEN.items() for what in ways],
)
def test_each_broken_guarantee_is_noticed(guarantee: str, what: str) -> None:
    evidence = sound()
    BROKEN[guarantee][what](evidence)
    assert any(guarantee in one.guarantee for one in check(evidence) if one.wrong)


def test_what_a_frontier_model_proposed_waits_too() -> None:
    evidence = sound()
    evidence.facts.items.append({**evidence.facts.items[0], "id": "it_2", "result_id": "cl_2"})
    evidence.before.items.add("it_2")
    evidence.seen["b"].data["answer"] = {"key": "b"}
    assert not [one for one in check(evidence) if one.wrong]


def test_a_report_is_booked_as_a_contract_is() -> None:
    evidence = sound()
    found = replace(evidence.seen["3"], type="findings.found.v1")
    guarantee = "the ledger has each reading once, and no cap is exceeded"
    for event, tokens, wrong in ((found, 50, 0), (found, 49, 1)):
        seen = {**evidence.seen, "3": event}
        evidence.facts.costs["groups"][0]["tokens_read"] = tokens
        (one,) = (one for one in check(replace(evidence, seen=seen)) if one.guarantee == guarantee)
        assert len(one.wrong) == wrong


def test_calls_that_may_not_have_been_billed_are_in_the_ledger_with_their_worst_case() -> None:
    for more, wrong in ((1, 0), (2, 1)):
        evidence = sound()
        costs = evidence.facts.costs
        costs["usd"] = 0.0115
        for one in (*costs["items"], *costs["groups"]):
            one.update(calls=1 + more, usd=0.0115, uncertain_usd=0.007)
        costs["budgets"][0]["usd"] = 0.0115
        assert len([one for one in check(evidence) if one.wrong]) == wrong


def test_what_a_reading_leaves_unsure_waits_too() -> None:
    evidence = sound()
    _ask_once(evidence)
    evidence.before.items.add("it_2")
    assert not [one for one in check(evidence) if one.wrong]


def test_the_last_line_says_good_or_bad() -> None:
    report = Report(
        seed=7,
        broken="",
        wanted_kills=2,
        documents=1,
        wanted=1,
        ended_meanwhile=1,
        made=Counter({"kill -9 kafka": 2, "drop kafka": 1}),
        doubled=3,
        emptied=0,
        refused=Counter(),
        answers=Counter({"200": 9}),
        checks=check(sound()),
        money="nothing",
        seconds=1.0,
    )
    assert report.good
    assert "      1  documents ended before the last kill" in report.table()
    assert list(report.table())[-1] == (
        "GOOD: seed 7, 2 of 2 kills, 1 other troubles, 1 of 1 documents accepted,"
        " 0 violations, 0 guarantees not checked, 1 s"
    )
    made, report.made = report.made, Counter()
    assert not report.good
    assert report.last_line().startswith("BAD: ")
    report.made, report.doubled = made, 0
    assert not report.good
    report.doubled = 3
    assert report.good
    report.documents = report.wanted = 100
    assert not report.good
    report.ended_meanwhile = 50
    assert report.good
    report.made["full postgres"] = report.made["full kafka"] = 1
    report.refused = Counter({"postgres": 0, "kafka": 5})
    assert not report.good
    report.refused["postgres"] = 2
    assert report.good
    assert "      2  lines of postgres about a full disk" in report.table()
    report.checks[3].checked = 0
    assert not report.good
    assert "1 guarantees not checked" in report.last_line()


def test_documents_are_what_they_say() -> None:
    report = next(one for one in make_documents(5, 10) if one.kind == "report")
    rows = {row["label"]: row["values"] for row in json.loads(report.data)["statements"][0]["rows"]}
    first, second = rows["Total assets"]
    assert (first - second, rows["Total liabilities and stockholders' equity"]) == (
        9_000,
        [second, second],
    )


def test_a_cap_is_in_force_that_few_questions_exhaust(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    with stand_in(seed=1) as provider:
        write_policy(path, provider.url, 100)
    policy = read_policies(path).of("default")
    assert [one.name for one in policy.providers] == ["stand-in"]
    assert policy.day_micro_usd == policy.month_micro_usd == cap(100) == 400_000
    assert cap(1) == 25_000
