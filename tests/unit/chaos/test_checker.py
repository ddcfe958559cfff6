"""The checker sees each promise broken, and nothing where all are kept."""

from __future__ import annotations

import copy
import hashlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from infra.chaos.checker import check
from infra.chaos.events import Seen
from infra.chaos.evidence import Evidence
from infra.chaos.facts import Facts
from infra.chaos.frontier import Books, cap, stand_in, write_policy
from infra.chaos.papers import papers
from infra.chaos.people import Claim, Told
from infra.chaos.receiver import Heard
from infra.chaos.report import Report
from infra.chaos.trouble import Hit
from services.escalation.policy import read_policies

PAPER = papers(1, 1)[0]
TEXT = PAPER.data.decode()
DECISION = ("it_1", "accept", "ann")
FURTHER = [{"result_id": "cl_2"}]


def sound() -> Evidence:
    """One contract with one clause, decided by one person, and everything as it should be."""
    paper = copy.deepcopy(PAPER)
    paper.id = "doc_1"
    told = Told(papers=[paper], attempted={"de_1"}, decisions={"de_1": DECISION})
    told.claims.append(Claim("it_1", "ann", 1.0, 2.0))
    told.states["doc_1"] = [(1, "received"), (1, "processing"), (1, "ended")]
    clause = {"id": "cl_1", "category": "Document Name", "start": 0, "end": 6, "text": TEXT[:6]}
    sha256 = hashlib.sha256(paper.data).hexdigest()
    item = {"id": "it_1", "document_id": "doc_1", "result_id": "cl_1", "about": "clause"}
    verdict = {
        "document_id": "doc_1",
        "item_id": "it_1",
        "stage": "extraction",
        "result_id": "cl_1",
        "verdict": "accept",
        "actor": "ann",
    }
    said_of_it = {"kind": "contract", "attempt": 1, "outcome": "complete", "pages": 1}
    document = {"id": "doc_1", "sha256": sha256, "state": "ended", **said_of_it}
    costs = {
        "usd": 0.0045,
        "items": [
            {
                "provider": "stand-in",
                "calls": 1,
                "usd": 0.0045,
                "uncertain_usd": 0.0,
                "reserved_usd": 0.0,
                "tokens_in": 1000,
                "tokens_out": 100,
            }
        ],
        "groups": [
            {
                "key": "doc_1",
                "documents": 1,
                "tokens_read": 50,
                "calls": 1,
                "usd": 0.0045,
                "uncertain_usd": 0.0,
                "reserved_usd": 0.0,
                "tokens_in": 1000,
                "tokens_out": 100,
            }
        ],
        "budgets": [{"period": "2026-01", "usd": 0.0045, "most_usd": 0.5}],
    }
    facts = Facts(
        documents=[{**document, "reasons": [], "failed_pages": []}],
        items=[{**item, "verdict": "accept"}],
        decisions=[{"id": "de_1", **verdict}],
        deliveries=[_delivery(number) for number in (3, 2, 1)],
        costs=costs,
        results={"doc_1": [clause]},
        originals={"doc_1": sha256},
        texts={"doc_1": TEXT},
        pages={"doc_1": [{"page": 1, "start": 0, "end": len(TEXT)}]},
    )
    link = "/v1/documents/doc_1"
    ended = {**said_of_it, "reasons": [], "failed_page_count": 0, "links": {"document": link}}
    links = {"document": link, "clauses": f"{link}/clauses"}
    read = {"document_id": "doc_1", "attempt": 1, "count": 1, "links": links}
    decided = {**verdict, "links": {"document": link, "item": "/v1/items/it_1"}}
    heard = [
        Heard("msg_1", "document.ended", {"document_id": "doc_1", **ended}, 1.0),
        Heard("msg_2", "clauses.extracted", read, 2.0),
        Heard("msg_3", "review.decided", {"decision_id": "de_1", **decided}, 3.0),
    ]
    text = {"sha256": sha256, "size": len(paper.data)}
    events = (
        _event("1", "document.ingested.v1", None),
        _event("2", "document.read.v1", "1", text=text, pages=1),
        _event("3", "clauses.extracted.v1", "2", adapters=[{"tokens": 50}]),
        _event("q", "escalation.requested.v1", "2", result_id="cl_1", further=FURTHER),
        _event("a", "escalation.answered.v1", "q", result_id="cl_1", answer={"key": "a"}),
        _event("b", "escalation.answered.v1", "q", result_id="cl_2", answer=None),
        _event("4", "review.decided.v1", None, decision_id="de_1"),
    )
    told.spent["2026-01"] = (0.0045, 0.5)
    billed = Books(calls=1, tokens_in=1000, tokens_out=100)
    return Evidence(
        told, facts, heard, {one.id: one for one in events}, [], {"it_1"}, {"doc_1"}, billed
    )


def _delivery(number: int) -> dict[str, object]:
    tries = [{"error": None}]
    message = {"id": f"dl_{number}", "message_id": f"msg_{number}", "attempts": tries}
    return {**message, "document_id": "doc_1", "type": "a type", "state": "delivered"}


def _report(evidence: Evidence) -> None:
    """Make the document a report, of which a webhook says how risky it is."""
    evidence.told.papers[0].kind = "report"
    row = {"document_id": "doc_1", "flagged": True, "risk": 0.5}
    evidence.facts.reports.append(row)
    link = "/v1/documents/doc_1"
    links = {"document": link, "findings": f"{link}/findings"}
    said = {**evidence.heard[1].data, **row, "links": links}
    evidence.heard[1] = replace(evidence.heard[1], type="findings.found", data=said)


def _lose_report_text(evidence: Evidence) -> None:
    """The text of a report is empty."""
    _report(evidence)
    evidence.facts.texts.update(doc_1="")


def _tell_another_risk(evidence: Evidence) -> None:
    """REST says another risk of a report than a webhook said."""
    _report(evidence)
    evidence.facts.reports[0].update(risk=0.9)


def _ask_about_nothing(evidence: Evidence) -> None:
    """An item is about a document that nobody sent."""
    _ask_once(evidence)
    evidence.facts.items[1].update(document_id="doc_2")


def _says(number: int, **changed: object) -> Callable[[Evidence], None]:
    """One of the webhooks says something else."""

    def change(evidence: Evidence) -> None:
        evidence.heard[number].data.update(changed)

    return change


def _ask_twice(evidence: Evidence) -> None:
    """The document has two items that ask of what kind it is."""
    asks = {**evidence.facts.items[0], "about": "question", "result_id": "doc_1"}
    evidence.facts.items += [{**asks, "id": "it_2"}, {**asks, "id": "it_3"}]


def _ask_once(evidence: Evidence) -> None:
    """The document has an item that asks of what kind it is."""
    _ask_twice(evidence)
    evidence.facts.items.pop()


def _event(name: str, kind: str, cause: str | None, **data: object) -> Seen:
    return Seen(name, kind, "default/doc_1", cause, data)


def _another(evidence: Evidence, name: str, of: str, **changed: object) -> None:
    """One more event, like another one but for its id."""
    old = evidence.seen[of]
    evidence.seen = {**evidence.seen, name: Seen(**{**vars(old), "id": name, **changed})}


BROKEN: dict[str, tuple[str, Callable[[Evidence], object]]] = {
    "a document never ends": (
        "every accepted document",
        lambda e: e.facts.documents[0].update(state="processing", outcome=None),
    ),
    "a document is found again": ("every accepted", lambda e: e.ended.clear()),
    "a document is not there": ("every accepted", lambda e: e.facts.documents.clear()),
    "a decision is refused": ("every accepted", lambda e: e.told.refused.append("404")),
    "a document is there twice": (
        "one document",
        lambda e: e.facts.documents.append(e.facts.documents[0]),
    ),
    "a text is not the one that was read": (
        "bytes come back",
        lambda e: e.seen["2"].data.update(text={"sha256": "0", "size": 1}),
    ),
    "a report's text is lost": ("bytes come back", _lose_report_text),
    "a layout is lost": ("bytes come back", lambda e: e.facts.pages.update(doc_1=[])),
    "a layout is of another text": (
        "bytes come back",
        lambda e: e.facts.pages["doc_1"][0].update(end=len(TEXT) + 1),
    ),
    "a layout leaves words out": (
        "bytes come back",
        lambda e: e.facts.pages["doc_1"][0].update(start=9),
    ),
    "other bytes come back": ("bytes come back", lambda e: e.facts.originals.update(doc_1="0")),
    "a quote is not the text's": (
        "bytes come back",
        lambda e: e.facts.results["doc_1"][0].update(text="other"),
    ),
    "a clause is there twice": (
        "clauses and findings",
        lambda e: e.facts.results["doc_1"].append(e.facts.results["doc_1"][0]),
    ),
    "a result has no item": (
        "each result waits once",
        lambda e: e.facts.results["doc_1"].append({"id": "cl_2", **_place(9)}),
    ),
    "an item is of no result": (
        "each result waits once",
        lambda e: e.facts.items.append({**e.facts.items[0], "id": "it_2", "result_id": "cl_2"}),
    ),
    "a document is asked about twice": ("each result waits once", _ask_twice),
    "an item is of no document": ("each result waits once", _ask_about_nothing),
    "an item has become another": ("each result waits once", lambda e: e.shown.add("it_0")),
    "a decision is lost": ("each decision", lambda e: e.facts.decisions.clear()),
    "nobody took a decision": ("each decision", lambda e: e.told.attempted.clear()),
    "two hold an item": (
        "in the hands of one",
        lambda e: e.told.claims.append(Claim("it_1", "bob", 1.5, 3.0)),
    ),
    "a webhook is missing": ("one webhook for each", lambda e: e.heard.pop()),
    "a thing is told twice": (
        "one webhook for each",
        lambda e: e.heard.append(Heard("msg_9", "document.ended", {"document_id": "doc_1"})),
    ),
    "a webhook says that a complete document failed": (
        "saying what REST",
        _says(0, outcome="failed"),
    ),
    "a webhook counts otherwise": ("saying what REST", _says(1, count=2)),
    "a webhook leads elsewhere": ("saying what REST", _says(1, links={})),
    "a webhook tells another risk": ("saying what REST", _tell_another_risk),
    "a webhook tells of another document": ("saying what REST", _says(2, document_id="doc_2")),
    "a webhook tells another verdict": ("saying what REST", _says(2, verdict="reject")),
    "a webhook tells another actor": ("saying what REST", _says(2, actor="bob")),
    "webhooks come in reverse order": ("in the order of", lambda e: e.heard.reverse()),
    "a message is sent again without trouble": ("sent again", lambda e: _again(e, 30.0)),
    "a reading is booked twice": (
        "ledger",
        lambda e: e.facts.costs["groups"][0].update(tokens_read=100),
    ),
    "a cap is passed": ("ledger", lambda e: e.facts.costs["budgets"][0].update(usd=1.0)),
    "a cap was passed for a moment": (
        "ledger",
        lambda e: e.told.spent.update({"2026-01": (0.6, 0.5)}),
    ),
    "a question has no answer": (
        "question",
        lambda e: setattr(e, "seen", {k: v for k, v in e.seen.items() if k != "b"}),
    ),
    "a question has two answers": ("question", lambda e: _another(e, "c", "b")),
    "an answer is to no question": (
        "question",
        lambda e: _another(e, "c", "b", data={"result_id": "cl_3"}),
    ),
    "a bill is not in the ledger": (
        "all that the provider billed",
        lambda e: setattr(e, "billed", Books(calls=2, tokens_in=2000, tokens_out=200)),
    ),
    "a call is settled that was not billed": (
        "all that the provider billed",
        lambda e: setattr(e, "billed", Books(calls=0, tokens_in=0, tokens_out=0)),
    ),
    "a call is settled with another sum": (
        "all that the provider billed",
        lambda e: e.facts.costs["items"][0].update(usd=0.006),
    ),
    "a document has more calls than were billed": (
        "all that the provider billed",
        lambda e: e.facts.costs["groups"][0].update(calls=9),
    ),
    "there are more calls than were billed": (
        "all that the provider billed",
        lambda e: [e.facts.costs[one][0].update(calls=9) for one in ("groups", "items")],
    ),
    "a bill of nothing is in no ledger": (
        "all that the provider billed",
        lambda e: setattr(e, "billed", Books(calls=2, tokens_in=1000, tokens_out=100)),
    ),
    "money is left set aside": (
        "all that the provider billed",
        lambda e: e.facts.costs["items"][0].update(reserved_usd=0.001, usd=0.0055),
    ),
    "documents have other sums than providers": (
        "all that the provider billed",
        lambda e: e.facts.costs["groups"][0].update(usd=0.009),
    ),
    "an event has no cause": (
        "without its cause",
        lambda e: _another(e, "5", "2", cause="nobody"),
    ),
    "an event has two sequels": ("without its cause", lambda e: _another(e, "5", "2")),
    "an event comes late": ("in order", lambda e: _another(e, "5", "2", cause="4")),
    "a state goes back": (
        "in order",
        lambda e: e.told.states["doc_1"].append((1, "received")),
    ),
}


def _place(start: int) -> dict[str, object]:
    return {
        "category": "Parties",
        "start": start,
        "end": start + 1,
        "text": TEXT[start : start + 1],
    }


def test_all_is_well_where_every_promise_is_kept() -> None:
    """Each promise is looked at, and none is found broken."""
    checks = check(sound())
    assert all(one.looked_at for one in checks)
    assert not [wrong for one in checks for wrong in one.wrong]


@pytest.mark.parametrize("what", BROKEN)
def test_each_promise_is_seen_broken(what: str) -> None:
    """One thing is put wrong, and the promise that it breaks says so."""
    promise, break_it = BROKEN[what]
    evidence = sound()
    break_it(evidence)
    assert any(promise in one.promise for one in check(evidence) if one.wrong), what


def test_what_a_frontier_model_proposed_waits_too() -> None:
    """Of a category in which nothing was found."""
    evidence = sound()
    evidence.facts.items.append({**evidence.facts.items[0], "id": "it_2", "result_id": "cl_2"})
    evidence.seen["b"].data["answer"] = {"key": "b"}
    assert not [one for one in check(evidence) if one.wrong]


def test_a_report_is_booked_as_a_contract_is() -> None:
    """Each reading once, whatever it is of."""
    evidence = sound()
    found = replace(evidence.seen["3"], type="findings.found.v1")
    promise = "the ledger has each reading once, and no cap is passed"
    for event, tokens, wrong in ((found, 50, 0), (found, 49, 1)):
        seen = {**evidence.seen, "3": event}
        evidence.facts.costs["groups"][0]["tokens_read"] = tokens
        (one,) = (one for one in check(replace(evidence, seen=seen)) if one.promise == promise)
        assert len(one.wrong) == wrong


def _again(evidence: Evidence, *times: float, of: int = 2) -> None:
    """A message comes again at some moments; the last one came for the first time at 3.0."""
    evidence.heard += [replace(evidence.heard[of], at=at) for at in times]


def _unexplained(evidence: Evidence) -> int:
    """How many repeats nothing explains."""
    (one,) = (one for one in check(evidence) if "sent again" in one.promise)
    others = [other for other in check(evidence) if other.wrong and other is not one]
    assert {other.promise for other in others} <= {one.promise}
    return len(one.wrong)


@pytest.mark.parametrize(
    ("hit", "wrong"),
    [
        (Hit("kill -9", "ingest-worker", 3.1, 3.1), 0),
        (Hit("kill -9", "everything", 4.0, 5.0), 0),
        (Hit("kill -9", "ingest-worker", 2.9, 2.9), 1),  # it had not been sent
        (Hit("kill -9", "ingest-worker-2", 9.0, 9.0), 1),  # it had long been written down
        (Hit("kill -9", "extraction-worker", 3.1, 3.1), 1),  # it sends none
        (Hit("drop", "kafka", 3.0, 4.0), 1),
        (Hit("delay", "postgres", 3.0, 4.0), 1),
        (Hit("stop", "ingest-worker-2", 2.0, 12.0), 0),
        (Hit("stop", "ingest-worker-2", 9.0, 19.0), 1),
        (Hit("drop", "postgres", 1.0, 2.0), 0),
        (Hit("kill -9", "postgres", 40.0, 40.0), 1),  # after the repeat
    ],
)
def test_only_trouble_at_that_moment_explains_a_repeat(hit: Hit, wrong: int) -> None:
    """A message that is sent again is one that somebody had in hand when he was hit."""
    evidence = sound()
    _again(evidence, 16.0)
    evidence.hits = [hit]
    assert _unexplained(evidence) == wrong


def test_one_trouble_explains_one_repeat() -> None:
    """However often a message comes again; and one more if it lasts for longer than a lease."""
    evidence = sound()
    _again(evidence, 3.2, 3.4, 3.6)
    evidence.hits = [Hit("kill -9", "ingest-worker", 3.1, 3.1)]
    assert _unexplained(evidence) == 2
    evidence.hits = [Hit("full", "postgres", 1.0, 10.0)]
    assert _unexplained(evidence) == 1


def test_the_plan_explains_no_flood_of_repeats() -> None:
    """Of 55 that are sent again a kill each three seconds explains those that it hit, no more."""
    evidence = sound()
    evidence.heard = [Heard(f"m{n}", "a", {"document_id": "d"}, 20.0 * n) for n in range(55)]
    evidence.heard += [replace(one, at=one.at + 13.0) for one in evidence.heard]
    hits = [Hit("kill -9", "ingest-worker", 20.0 * n + 0.1, 20.0 * n + 0.1) for n in range(5)]
    evidence.hits = hits + [
        Hit("kill -9", "postgres", 20.0 * n + 7.0, 20.0 * n + 7.0) for n in range(55)
    ]
    (one,) = (one for one in check(evidence) if "sent again" in one.promise)
    assert len(one.wrong) == 50


def test_a_try_that_failed_explains_a_repeat() -> None:
    """As the log of the webhook has it; and it may come behind what is told later."""
    evidence = sound()
    tries = evidence.facts.deliveries[2]["attempts"]
    _again(evidence, 16.0, of=0)
    assert _unexplained(evidence) == 1
    tries.insert(0, {"error": "timeout: no answer in 2 s"})
    assert _unexplained(evidence) == 0
    evidence.heard.append(evidence.heard.pop(0))
    assert not [one for one in check(evidence) if "in the order" in one.promise and one.wrong]


def test_calls_that_may_not_have_been_billed_are_in_the_ledger_with_their_worst_case() -> None:
    """So many more than there are bills as the uncertain money allows."""
    for more, wrong in ((1, 0), (2, 1)):
        evidence = sound()
        costs = evidence.facts.costs
        costs["usd"] = 0.0115
        for one in (*costs["items"], *costs["groups"]):
            one.update(calls=1 + more, usd=0.0115, uncertain_usd=0.007)
        assert len([one for one in check(evidence) if one.wrong]) == wrong


def test_what_a_reading_leaves_unsure_waits_too() -> None:
    """A question about the document itself is no result, and is there once."""
    evidence = sound()
    _ask_once(evidence)
    assert not [one for one in check(evidence) if one.wrong]


def test_the_last_line_says_good_or_bad() -> None:
    """Good is what kept every promise, and did all that should go wrong."""
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
    assert "      1  documents ended while things died" in report.table()
    assert list(report.table())[-1] == (
        "GOOD: seed 7, 2 kills of 2, 1 other troubles, 1 documents accepted of 1,"
        " 0 promises broken, 0 looked at nothing, 1 s"
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
    report.checks[3].looked_at = 0
    assert not report.good
    assert "1 looked at nothing" in report.last_line()


def test_documents_are_what_they_say() -> None:
    """A report's balance sheet is broken in one place, which a check can find."""
    report = next(one for one in papers(5, 10) if one.kind == "report")
    rows = {row["label"]: row["values"] for row in json.loads(report.data)["statements"][0]["rows"]}
    first, second = rows["Total assets"]
    assert (first - second, rows["Total liabilities and stockholders' equity"]) == (
        9_000,
        [second, second],
    )


def test_a_cap_is_in_force_that_few_questions_exhaust(tmp_path: Path) -> None:
    """The policy of a run has the stand-in as its only provider, and the cap of the run."""
    path = tmp_path / "policy.toml"
    with stand_in(seed=1) as provider:
        write_policy(path, provider.url, 100)
    policy = read_policies(path).of("default")
    assert [one.name for one in policy.providers] == ["stand-in"]
    assert policy.day_micro_usd == policy.month_micro_usd == cap(100) == 400_000
    assert cap(1) == 25_000
